package lwm2m

import (
	"context"
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
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
		if err = try(ctx); !isTimeout(err) {
			break
		}
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
	req.SetAccept(coap.LinkFormat)
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

// ReadInteger reads an integer resource.
func (r *registration) ReadInteger(ctx context.Context, path model.Path) (int64, error) {
	what := "read " + path.String()
	resp, err := r.do(ctx, what, coap.NewRequest(codes.GET, path.String()), codes.Content)
	if err != nil {
		return 0, err
	}
	v, err := integerOf(resp, path)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	return v, nil
}

// integerOf is the integer in the representation of a resource.
func integerOf(resp *coap.Response, path model.Path) (int64, error) {
	id := path.Resource()
	def := &model.Object{ID: path.Object(), Resources: []model.Resource{{ID: id, Type: model.Integer}}}
	format, given := resp.ContentFormat()
	v, err := content.DecodeSingle(def, &def.Resources[0], resp.Payload, format, given)
	if err != nil {
		return 0, err
	}
	return v.(int64), nil
}

// WriteText writes a resource as plain text (section 6.3.3).
func (r *registration) WriteText(ctx context.Context, path model.Path, value any) error {
	req := coap.NewRequest(codes.PUT, path.String()).WithPayload(coap.TextPlain, content.AppendText(nil, value))
	_, err := r.do(ctx, "write "+path.String(), req, codes.Changed)
	return err
}

// Write writes resources of an instance as TLV: replace, or else update (section
// 6.3.3).
func (r *registration) Write(ctx context.Context, path model.Path, replace bool, values model.Values) error {
	method := codes.POST
	if replace {
		method = codes.PUT
	}
	req := coap.NewRequest(method, path.String()).WithPayload(content.TLV, content.EncodeValues(values))
	_, err := r.do(ctx, "write "+path.String(), req, codes.Changed)
	return err
}

// Execute performs an executable resource (section 6.3.5).
func (r *registration) Execute(ctx context.Context, path model.Path, args string) error {
	req := coap.NewRequest(codes.POST, path.String())
	if args != "" {
		req.WithPayload(coap.TextPlain, []byte(args))
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
// value and every later one. format 0 leaves it to the device.
func (r *registration) Observe(ctx context.Context, path model.Path, format message.MediaType, notify func(*coap.Response)) (*coap.Observation, error) {
	req := coap.NewRequest(codes.GET, path.String())
	if format != 0 {
		req.SetAccept(format)
	}
	what := "observe " + path.String()
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
