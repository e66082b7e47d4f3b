package lwm2m

import (
	"context"
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
	"github.com/thinlink/thinlink/clients/lwm2m/tree"
)

// do performs one operation of the server. A response other than want is a
// *StatusError.
func (r *registration) do(ctx context.Context, what string, req *coap.Request, want codes.Code) (resp *coap.Response, err error) {
	err = r.persist(ctx, func(ctx context.Context) error {
		resp, err = r.session().Do(ctx, req)
		return err
	})
	return checked(what, resp, err, want)
}

// persist repeats what the device does not answer, until the registration is
// over.
func (r *registration) persist(ctx context.Context, try func(context.Context) error) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(r.over, func() { cancel(errOver) })()
	for range r.retries + 1 {
		if err = r.wakefulness.wait(ctx); err != nil {
			break
		}
		if err = try(ctx); !isTimeout(err) {
			r.wakefulness.hear()
			break
		}
		r.wakefulness.miss()
	}
	return err
}

func checked(what string, resp *coap.Response, err error, want codes.Code) (*coap.Response, error) {
	if err == nil && resp.Code != want {
		err = model.Refuse(resp.Code, string(resp.Payload))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return resp, nil
}

// Discover lists what is below a path (section 6.3.2).
func (r *registration) Discover(ctx context.Context, path model.Path) ([]content.WebLink, error) {
	what := "discover " + path.String()
	req := coap.NewRequest(codes.GET, path.String())
	req.SetAccept(content.Links)
	resp, err := r.do(ctx, what, req, codes.Content)
	if err != nil {
		return nil, err
	}
	links, err := content.ParseLinks(string(resp.Payload))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return links, nil
}

// anyFormat leaves the format of a response to the device.
const anyFormat = message.MediaType(0xffff)

// Read reads what is at and below a path (section 6.3.1).
func (r *registration) Read(ctx context.Context, path model.Path, format message.MediaType) ([]model.Node, error) {
	what := "read " + path.String()
	req := coap.NewRequest(codes.GET, path.String())
	if format != anyFormat {
		req.SetAccept(format)
	}
	resp, err := r.do(ctx, what, req, codes.Content)
	if err != nil {
		return nil, err
	}
	nodes, err := nodesOf(resp, path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return nodes, nil
}

// nodesOf is what a response says of a path; without format it is plain text.
func nodesOf(resp *coap.Response, path model.Path) ([]model.Node, error) {
	format, _ := resp.ContentFormat()
	return content.Decode(format, path, objects.Schema, resp.Payload)
}

// ReadComposite reads several paths at once (section 6.3.8), in a composite
// format.
func (r *registration) ReadComposite(ctx context.Context, paths []model.Path, format message.MediaType) ([]model.Node, error) {
	const what = "read-composite"
	req, err := fetch(paths, format)
	if err != nil {
		return nil, err
	}
	resp, err := r.do(ctx, what, req, codes.Content)
	if err != nil {
		return nil, err
	}
	nodes, err := nodesOf(resp, model.Path{})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return nodes, nil
}

// fetch is the request of a composite read or observation.
func fetch(paths []model.Path, format message.MediaType) (*coap.Request, error) {
	payload, err := content.EncodePaths(format, paths)
	if err != nil {
		return nil, err
	}
	req := coap.NewRequest(coap.FETCH, "/").WithPayload(format, payload)
	req.SetAccept(content.Plain(format))
	return req, nil
}

// ReadInteger reads an integer resource.
func (r *registration) ReadInteger(ctx context.Context, path model.Path) (int64, error) {
	nodes, err := r.Read(ctx, path, anyFormat)
	if err != nil {
		return 0, err
	}
	return integerIn(nodes, path)
}

// integerOf is the integer in the representation of a resource.
func integerOf(resp *coap.Response, path model.Path) (int64, error) {
	nodes, err := nodesOf(resp, path)
	if err != nil {
		return 0, err
	}
	return integerIn(nodes, path)
}

func integerIn(nodes []model.Node, path model.Path) (int64, error) {
	if len(nodes) == 1 && nodes[0].Path == path {
		if v, ok := nodes[0].Value.(int64); ok {
			return v, nil
		}
	}
	return 0, fmt.Errorf("%v is no integer", path)
}

// WriteText writes a resource as plain text (section 6.3.3).
func (r *registration) WriteText(ctx context.Context, path model.Path, value any) error {
	return r.Write(ctx, path, true, content.Text, []model.Node{{Path: path, Value: value}})
}

// Write writes what is at and below a path: replace, or else update in part
// (section 6.3.3).
func (r *registration) Write(ctx context.Context, path model.Path, replace bool, format message.MediaType, nodes []model.Node) error {
	method := codes.POST
	if replace {
		method = codes.PUT
	}
	payload, err := content.Encode(format, path, nodes)
	if err != nil {
		return err
	}
	req := coap.NewRequest(method, path.String()).WithPayload(format, payload)
	_, err = r.do(ctx, "write "+path.String(), req, codes.Changed)
	return err
}

// WriteComposite writes values of several objects (section 6.3.9).
func (r *registration) WriteComposite(ctx context.Context, format message.MediaType, nodes []model.Node) error {
	payload, err := content.Encode(format, model.Path{}, nodes)
	if err != nil {
		return err
	}
	req := coap.NewRequest(coap.IPATCH, "/").WithPayload(format, payload)
	_, err = r.do(ctx, "write-composite", req, codes.Changed)
	return err
}

// Create makes an instance of an object (section 6.3.6) and returns its path.
// Nodes of instance model.MaxID leave its ID to the device.
func (r *registration) Create(ctx context.Context, object model.Path, format message.MediaType, nodes []model.Node) (model.Path, error) {
	payload, err := content.Encode(format, object, nodes)
	if err != nil {
		return object, err
	}
	req := coap.NewRequest(codes.POST, object.String()).WithPayload(format, payload)
	resp, err := r.do(ctx, "create "+object.String(), req, codes.Created)
	if err != nil {
		return object, err
	}
	if location := resp.LocationPath(); location != "/" {
		return model.ParsePath(location)
	}
	return nodes[0].Path.Up(model.DepthInstance), nil
}

// Delete removes an object instance or a resource instance (section 6.3.7).
func (r *registration) Delete(ctx context.Context, path model.Path) error {
	_, err := r.do(ctx, "delete "+path.String(), coap.NewRequest(codes.DELETE, path.String()), codes.Deleted)
	return err
}

// Execute performs an executable resource (section 6.3.5).
func (r *registration) Execute(ctx context.Context, path model.Path, args string) error {
	req := coap.NewRequest(codes.POST, path.String())
	if args != "" {
		req.WithPayload(content.Text, []byte(args))
	}
	_, err := r.do(ctx, "execute "+path.String(), req, codes.Changed)
	return err
}

// WriteAttributes sets the attributes that are not nil (section 6.3.4).
func (r *registration) WriteAttributes(ctx context.Context, path model.Path, a tree.Attributes) error {
	req := coap.NewRequest(codes.PUT, path.String(), a.Queries()...)
	_, err := r.do(ctx, "write-attributes "+path.String(), req, codes.Changed)
	return err
}

// Observe begins an observation (section 6.4.1) and hands over the first
// value and every later one.
func (r *registration) Observe(ctx context.Context, path model.Path, format message.MediaType, notify func(*coap.Response)) (*coap.Observation, error) {
	return r.ObserveWith(ctx, path, tree.Attributes{}, format, notify)
}

// ObserveWith is Observe with attributes for this observation alone (Core 1.2
// section 6.4.1).
func (r *registration) ObserveWith(ctx context.Context, path model.Path, a tree.Attributes, format message.MediaType, notify func(*coap.Response)) (*coap.Observation, error) {
	req := coap.NewRequest(codes.GET, path.String(), a.Queries()...)
	if format != anyFormat {
		req.SetAccept(format)
	}
	return r.observe(ctx, "observe "+path.String(), req, notify)
}

// ObserveComposite begins an observation of several paths (section 6.4.5).
func (r *registration) ObserveComposite(ctx context.Context, paths []model.Path, format message.MediaType, notify func(*coap.Response)) (*coap.Observation, error) {
	return r.ObserveCompositeWith(ctx, paths, tree.Attributes{}, format, notify)
}

// ObserveCompositeWith is ObserveComposite with attributes for this observation
// alone.
func (r *registration) ObserveCompositeWith(ctx context.Context, paths []model.Path, a tree.Attributes, format message.MediaType, notify func(*coap.Response)) (*coap.Observation, error) {
	req, err := fetch(paths, format)
	if err != nil {
		return nil, err
	}
	for _, q := range a.Queries() {
		req.AddQuery(q)
	}
	return r.observe(ctx, "observe-composite", req, notify)
}

func (r *registration) observe(ctx context.Context, what string, req *coap.Request, notify func(*coap.Response)) (*coap.Observation, error) {
	var o *coap.Observation
	var resp *coap.Response
	err := r.persist(ctx, func(ctx context.Context) (err error) {
		o, resp, err = r.session().Observe(ctx, req, notify)
		return err
	})
	if resp, err = checked(what, resp, err, codes.Content); err != nil {
		return nil, err
	}
	if o == nil {
		return nil, fmt.Errorf("%s: the device does not notify", what)
	}
	notify(resp)
	return o, nil
}
