package lwm2m

import (
	"context"
	"errors"

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
	tree *tree.Tree
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
	switch r.Code {
	case codes.GET:
		return d.get(r, path)
	case codes.PUT:
		return d.put(r, path)
	case codes.POST:
		return d.post(r, path)
	}
	return coap.Status(codes.MethodNotAllowed)
}

// get is read, observe or, with Accept link format, discover.
func (d *dispatcher) get(r *coap.Request, path model.Path) *coap.Response {
	accept, asked := r.Accept()
	if asked && accept == coap.LinkFormat {
		links, err := d.tree.Discover(path)
		if err != nil {
			return failure(err)
		}
		return coap.NewResponse(codes.Content, coap.LinkFormat, content.AppendLinks(nil, links))
	}
	payload, format, err := d.tree.Read(path, accept, asked)
	if err != nil {
		return failure(err)
	}
	d.obs.register(r, path)
	return coap.NewResponse(codes.Content, format, payload)
}

// put is write-attributes if it has queries and nothing else, otherwise write
// that replaces.
func (d *dispatcher) put(r *coap.Request, path model.Path) *coap.Response {
	format, given := r.ContentFormat()
	if queries := r.Queries(); len(queries) > 0 {
		if given || len(r.Payload) > 0 {
			return coap.Status(codes.BadRequest)
		}
		err := d.tree.WriteAttributes(path, queries)
		d.obs.rearm()
		return changed(err)
	}
	return changed(d.tree.Write(path, true, r.Payload, format, given))
}

// post is execute on an executable resource, otherwise write that updates.
func (d *dispatcher) post(r *coap.Request, path model.Path) *coap.Response {
	if len(r.Queries()) > 0 {
		return coap.Status(codes.BadRequest)
	}
	format, given := r.ContentFormat()
	if d.tree.Executable(path) {
		if given && format != coap.TextPlain {
			return coap.Status(codes.UnsupportedMediaType)
		}
		return changed(d.tree.Execute(path, string(r.Payload)))
	}
	return changed(d.tree.Write(path, false, r.Payload, format, given))
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
