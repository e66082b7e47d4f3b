package tree

import (
	"maps"
	"slices"
	"strconv"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
)

// MaxDepth is the deepest that a discover goes (Core 1.2 section 6.3.2).
const MaxDepth = 3

// Discover lists what is at a path and below it, with the attributes that the
// server has attached, and at the path itself those that hold there (section
// 6.3.2). depth is how many levels to go down; negative is the default: two from
// an object, else one.
func (v View) Discover(path model.Path, depth int) ([]content.WebLink, error) {
	v.t.mu.Lock()
	defer v.t.mu.Unlock()
	p, err := v.find(path)
	switch {
	case err != nil:
		return nil, err
	case depth > MaxDepth:
		return nil, model.Refuse(codes.BadRequest, "depth is at most 3")
	case path.Depth() == model.DepthResourceInstance:
		return nil, model.Refuse(codes.MethodNotAllowed, "resource instances are not discovered")
	case depth < 0 && path.Depth() == model.DepthObject:
		depth = 2
	case depth < 0:
		depth = 1
	}
	links := v.links(path, p, path.Depth()+depth)
	links[0].Params = append(v.t.properties(path, p), v.effective(path).params()...)
	return links, nil
}

// links lists a path and what is below it down to a depth; mu is held.
func (v View) links(path model.Path, p place, depth int) []content.WebLink {
	links := []content.WebLink{{Target: path.String(), Params: append(v.t.properties(path, p), v.attached(path).params()...)}}
	if path.Depth() >= depth {
		return links
	}
	for _, id := range v.t.children(path, p) {
		if below, err := v.t.find(path.Child(id)); err == nil {
			links = append(links, v.links(path.Child(id), below, depth)...)
		}
	}
	return links
}

// properties are what a link says of a place itself (section 5.1.2, class
// property): the version of an object, the number of a resource's instances.
func (t *Tree) properties(path model.Path, p place) []content.LinkParam {
	switch path.Depth() {
	case model.DepthObject:
		if p.def.Version != "" {
			return []content.LinkParam{content.Attribute("ver", p.def.Version)}
		}
	case model.DepthResource:
		if m, ok := p.inst.Values[p.res.ID].(model.Multiple); ok {
			return []content.LinkParam{content.Attribute("dim", strconv.Itoa(len(m)))}
		}
	}
	return nil
}

// children are the IDs one level below a place; mu is held.
func (t *Tree) children(path model.Path, p place) (ids []uint16) {
	switch path.Depth() {
	case model.DepthObject:
		return t.instanceIDs(path.Object())
	case model.DepthInstance:
		for i := range p.def.Resources {
			ids = append(ids, p.def.Resources[i].ID)
		}
	case model.DepthResource:
		m, _ := p.inst.Values[p.res.ID].(model.Multiple)
		ids = slices.Sorted(maps.Keys(m))
	}
	return ids
}

// Registered lists the objects and instances for a registration (section
// 6.2.1): objects with a version or without instances, and all instances. The
// security object is not listed.
func (t *Tree) Registered() []content.WebLink {
	t.mu.Lock()
	defer t.mu.Unlock()
	links := []content.WebLink{{Target: "/", Params: []content.LinkParam{content.Attribute("rt", "oma.lwm2m"), content.Attribute("ct", strconv.Itoa(int(t.cfg.Format)))}}}
	for _, object := range t.objectIDs() {
		if object == objects.Security.ID {
			continue
		}
		path, instances := model.NewPath(object), t.instanceIDs(object)
		if v := t.objects[object].Version; v != "" {
			links = append(links, content.WebLink{Target: path.String(), Params: []content.LinkParam{content.Attribute("ver", v)}})
		} else if len(instances) == 0 {
			links = append(links, content.WebLink{Target: path.String()})
		}
		for _, id := range instances {
			links = append(links, content.WebLink{Target: path.Child(id).String()})
		}
	}
	return links
}
