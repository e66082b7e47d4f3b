package lwm2m

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/tree"
)

// dispatcher turns a server's requests into operations on a device's tree
// (section 6.3; methods and codes are those of the transport bindings,
// OMA-TS-LightweightM2M_Transport-V1_1 section 6.4).
type dispatcher struct {
	view tree.View
	obs  *observers
	// pushed, if not nil, takes the blocks of a package.
	pushed func(*coap.Request, coap.Block) *coap.Response
}

// ServeCoAP implements coap.Handler.
func (d *dispatcher) ServeCoAP(_ context.Context, r *coap.Request) *coap.Response {
	path, err := model.ParsePath(r.Path())
	if err != nil {
		return coap.Status(codes.NotFound)
	}
	if !r.Holds(d.view.Exists(path)) {
		return coap.Status(codes.PreconditionFailed)
	}
	switch r.Code {
	case codes.GET:
		return d.get(r, path)
	case codes.PUT:
		return d.put(r, path)
	case codes.POST:
		return d.post(r, path)
	case codes.DELETE:
		return d.remove(path)
	case coap.FETCH:
		return d.fetch(r, path)
	case coap.IPATCH:
		return d.patch(r, path)
	}
	return coap.Status(codes.MethodNotAllowed)
}

// get is read, observe or, with Accept link format, discover.
func (d *dispatcher) get(r *coap.Request, path model.Path) *coap.Response {
	accept, asked := r.Accept()
	if asked && accept == content.Links {
		return d.discover(r, path)
	}
	view, err := d.observing(r, []model.Path{path})
	if err != nil {
		return failure(err)
	}
	payload, format, err := d.view.Read(path, accept, asked)
	if err != nil {
		return failure(err)
	}
	d.obs.register(r, view, []model.Path{path}, func() (*coap.Response, error) {
		payload, format, err := d.view.Read(path, accept, asked)
		return coap.NewResponse(codes.Content, format, payload), err
	})
	return coap.NewResponse(codes.Content, format, payload)
}

// observing is the view of the observation that a request asks for: with its
// attributes, which no other request has (Transport 1.2 section 6.4.5).
func (d *dispatcher) observing(r *coap.Request, paths []model.Path) (tree.View, error) {
	queries := r.Queries()
	if _, observe := r.Observe(); !observe && len(queries) > 0 {
		return d.view, model.Refuse(codes.BadRequest, "attributes without observation")
	}
	return d.view.Observing(paths, queries)
}

// discover takes how deep to go from query depth (Transport 1.2 section 6.4.4).
func (d *dispatcher) discover(r *coap.Request, path model.Path) *coap.Response {
	depth := -1
	for _, q := range r.Queries() {
		value, ok := strings.CutPrefix(q, "depth=")
		n, err := strconv.ParseUint(value, 10, 8)
		if !ok || err != nil {
			return coap.Status(codes.BadRequest)
		}
		depth = int(n)
	}
	links, err := d.view.Discover(path, depth)
	if err != nil {
		return failure(err)
	}
	return coap.NewResponse(codes.Content, content.Links, content.AppendLinks(nil, links))
}

// put is write-attributes if it has queries and nothing else, otherwise write
// that replaces.
func (d *dispatcher) put(r *coap.Request, path model.Path) *coap.Response {
	format, given := r.ContentFormat()
	if queries := r.Queries(); len(queries) > 0 {
		if given || len(r.Payload) > 0 {
			return coap.Status(codes.BadRequest)
		}
		err := d.view.WriteAttributes(path, queries)
		d.obs.rearm()
		return changed(err)
	}
	return changed(d.view.Write(path, true, r.Payload, format, given))
}

// post is create on an object, execute on an executable resource, otherwise
// write that updates.
func (d *dispatcher) post(r *coap.Request, path model.Path) *coap.Response {
	if len(r.Queries()) > 0 {
		return coap.Status(codes.BadRequest)
	}
	format, given := r.ContentFormat()
	switch {
	case path.Depth() == model.DepthObject:
		return d.create(path, r.Payload, format, given)
	case d.view.Executable(path):
		if given && format != content.Text {
			return coap.Status(codes.UnsupportedMediaType)
		}
		return changed(d.view.Execute(path, string(r.Payload)))
	}
	return changed(d.view.Write(path, false, r.Payload, format, given))
}

// create tells the path of the new instance if its ID was not the server's
// choice (Transport 1.1 section 6.4.4).
func (d *dispatcher) create(path model.Path, payload []byte, format message.MediaType, given bool) *coap.Response {
	at, chosen, err := d.view.Create(path, payload, format, given)
	if err != nil {
		return failure(err)
	}
	resp := coap.Status(codes.Created)
	if chosen {
		resp.SetLocationPath(at.String())
	}
	return resp
}

func (d *dispatcher) remove(path model.Path) *coap.Response {
	if err := d.view.Delete(path); err != nil {
		return failure(err)
	}
	return coap.Status(codes.Deleted)
}

// fetch is read-composite or observe-composite (sections 6.3.8 and 6.4.5), which
// are of the root. The response is in the request's format if the server has no
// other wish.
func (d *dispatcher) fetch(r *coap.Request, path model.Path) *coap.Response {
	format, given := r.ContentFormat()
	switch {
	case path.Depth() != model.DepthRoot:
		return coap.Status(codes.MethodNotAllowed)
	case !given || !content.Composite(format):
		return coap.Status(codes.UnsupportedMediaType)
	}
	paths, err := d.view.Paths(r.Payload, format)
	if err != nil {
		return failure(err)
	}
	accept, asked := r.Accept()
	if !asked {
		accept = content.Plain(format)
	}
	view, err := d.observing(r, paths)
	if err != nil {
		return failure(err)
	}
	payload, err := d.view.ReadComposite(paths, accept)
	if err != nil {
		return failure(err)
	}
	d.obs.register(r, view, paths, func() (*coap.Response, error) {
		payload, err := d.view.ReadComposite(paths, accept)
		return coap.NewResponse(codes.Content, accept, payload), err
	})
	return coap.NewResponse(codes.Content, accept, payload)
}

// patch is write-composite (section 6.3.9), which is of the root.
func (d *dispatcher) patch(r *coap.Request, path model.Path) *coap.Response {
	format, given := r.ContentFormat()
	switch {
	case path.Depth() != model.DepthRoot:
		return coap.Status(codes.MethodNotAllowed)
	case !given:
		return coap.Status(codes.UnsupportedMediaType)
	}
	return changed(d.view.WriteComposite(r.Payload, format))
}

func changed(err error) *coap.Response {
	if err != nil {
		return failure(err)
	}
	return coap.Status(codes.Changed)
}

// failure is the response to an operation that was refused.
func failure(err error) *coap.Response {
	var status *model.StatusError
	if errors.As(err, &status) {
		return coap.Status(status.Code)
	}
	return coap.Status(codes.InternalServerError)
}
