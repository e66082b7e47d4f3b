package tree

import (
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
)

// Read returns the representation of an object, instance, resource or resource
// instance (section 6.3.1). asked says whether accept is the server's wish. What
// cannot be read is left out of objects and instances.
func (v View) Read(path model.Path, accept message.MediaType, asked bool) ([]byte, message.MediaType, error) {
	v.t.mu.Lock()
	defer v.t.mu.Unlock()
	nodes, err := v.nodes(path)
	if err != nil {
		return nil, 0, err
	}
	if !asked {
		accept = v.t.natural(path, nodes)
	}
	if !content.Supported(v.t.cfg.Version, accept) {
		return nil, 0, model.Refuse(codes.NotAcceptable, fmt.Sprintf("format %s of %v", content.Name(accept), path))
	}
	payload, err := content.Encode(accept, path, nodes)
	return payload, accept, err
}

// natural is the format without a wish: a single value is plain text or opaque
// (sections 7.4.1 and 7.4.2), anything else as configured.
func (t *Tree) natural(path model.Path, nodes []model.Node) message.MediaType {
	if path.Depth() < model.DepthResource || len(nodes) != 1 {
		return t.cfg.Format
	}
	switch nodes[0].Value.(type) {
	case model.Multiple:
		return t.cfg.Format
	case []byte:
		return content.Opaque
	}
	return content.Text
}

// nodes are what a read of one path returns; mu is held.
func (v View) nodes(path model.Path) ([]model.Node, error) {
	if path.Depth() == model.DepthObject {
		return v.objectNodes(path)
	}
	p, err := v.allowed(path, MayRead)
	if err != nil {
		return nil, err
	}
	p.inst.refresh()
	if p.res == nil {
		return instanceNodes(path, p), nil
	}
	if !p.inst.readable(p.res) {
		if p.res.Ops&model.R == 0 {
			return nil, model.Refuse(codes.MethodNotAllowed, path.String()+" cannot be read")
		}
		return nil, model.Refuse(codes.NotFound, path.String()+" has no value")
	}
	value := p.inst.Values[p.res.ID]
	if path.Depth() == model.DepthResourceInstance {
		value = value.(model.Multiple)[path.ResourceInstance()]
	}
	return []model.Node{{Path: path, Value: value}}, nil
}

// objectNodes are those of the instances that the server may read.
func (v View) objectNodes(path model.Path) (nodes []model.Node, err error) {
	p, err := v.find(path)
	if err != nil {
		return nil, err
	}
	ids := v.t.instanceIDs(path.Object())
	may := 0
	for _, id := range ids {
		at := path.Child(id)
		if !v.may(at, MayRead) {
			continue
		}
		may++
		p.inst = v.t.instances[at]
		p.inst.refresh()
		nodes = append(append(nodes, model.Node{Path: at}), instanceNodes(at, p)...)
	}
	if may == 0 && len(ids) > 0 {
		return nil, model.Refuse(codes.Unauthorized, path.String()+" is not for this server")
	}
	return nodes, nil
}

// refresh brings values that follow something else up to date.
func (i *Instance) refresh() {
	if i.Refresh != nil {
		i.Refresh(i.Values)
	}
}

func instanceNodes(path model.Path, p place) (nodes []model.Node) {
	for i := range p.def.Resources {
		if res := &p.def.Resources[i]; p.inst.readable(res) {
			nodes = append(nodes, model.Node{Path: path.Child(res.ID), Value: p.inst.Values[res.ID]})
		}
	}
	return nodes
}

// ReadComposite returns the representation of several paths (section 6.3.8).
// What does not exist or may not be read is left out; if nothing is left, that
// is the error. The root stands for everything.
func (v View) ReadComposite(paths []model.Path, accept message.MediaType) ([]byte, error) {
	if !content.Supported(v.t.cfg.Version, accept) || !content.Composite(accept) {
		return nil, model.Refuse(codes.NotAcceptable, "format "+content.Name(accept)+" of several paths")
	}
	v.t.mu.Lock()
	defer v.t.mu.Unlock()
	nodes, err := v.collect(paths)
	if err != nil {
		return nil, err
	}
	return content.Encode(accept, model.Path{}, nodes)
}

// collect reads paths, each place once; mu is held.
func (v View) collect(paths []model.Path) (nodes []model.Node, err error) {
	seen := make(map[model.Path]bool)
	exists := false
	for _, path := range v.expand(paths) {
		found, e := v.nodes(path)
		if e != nil {
			err = e
			continue
		}
		exists = true
		for _, n := range model.Flat(found) {
			if !seen[n.Path] && n.Value != nil {
				seen[n.Path] = true
				nodes = append(nodes, n)
			}
		}
	}
	if exists {
		err = nil
	}
	return nodes, err
}

// expand puts all objects in place of the root.
func (v View) expand(paths []model.Path) (list []model.Path) {
	for _, path := range paths {
		if path.Depth() > model.DepthRoot {
			list = append(list, path)
			continue
		}
		for _, id := range v.t.objectIDs() {
			if id != objects.Security.ID {
				list = append(list, model.NewPath(id))
			}
		}
	}
	return list
}

// Paths reads the list of paths in the request of a composite read (section
// 6.3.8): records without values.
func (v View) Paths(payload []byte, format message.MediaType) ([]model.Path, error) {
	nodes, err := v.decode(model.Path{}, format, payload)
	if err != nil {
		return nil, err
	}
	paths := make([]model.Path, len(nodes))
	for i, n := range nodes {
		if n.Value != nil {
			return nil, model.Refuse(codes.BadRequest, n.Path.String()+" comes with a value")
		}
		paths[i] = n.Path
	}
	if len(paths) == 0 {
		return nil, model.Refuse(codes.BadRequest, "no paths")
	}
	return paths, nil
}

// decode reads the payload of a request in a format that the version has.
func (v View) decode(base model.Path, format message.MediaType, payload []byte) ([]model.Node, error) {
	if !content.Supported(v.t.cfg.Version, format) {
		return nil, model.Refuse(codes.UnsupportedMediaType, "format "+content.Name(format))
	}
	nodes, err := content.Decode(format, base, v.t.schema, payload)
	if err != nil {
		return nil, badRequest(err)
	}
	return nodes, nil
}
