package tree

import (
	"errors"
	"maps"
	"slices"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
)

// Write stores what a server sends for an instance, a resource or a resource
// instance (section 6.3.3): replace in place of what is there, or else in
// addition to it. given says whether the payload came with a format. Nothing is
// stored unless everything can be.
func (v View) Write(path model.Path, replace bool, payload []byte, format message.MediaType, given bool) error {
	v.t.mu.Lock()
	nodes, err := v.written(path, replace, payload, format, given)
	if err != nil {
		v.t.mu.Unlock()
		return err
	}
	return v.commit(v.plan(nodes, path, replace))
}

// written checks the target of a write and decodes what it is to become; mu is
// held.
func (v View) written(path model.Path, replace bool, payload []byte, format message.MediaType, given bool) ([]model.Node, error) {
	p, err := v.allowed(path, MayWrite)
	switch {
	case err != nil:
		return nil, err
	case p.inst == nil:
		return nil, model.Refuse(codes.MethodNotAllowed, "objects cannot be written")
	case p.res == nil:
	case p.res.Ops&model.W == 0:
		return nil, model.Refuse(codes.MethodNotAllowed, path.String()+" cannot be written")
	case !replace && (path.Depth() == model.DepthResourceInstance || !p.res.Multiple):
		// Only what has parts is updated in part (section 6.3.3).
		return nil, model.Refuse(codes.MethodNotAllowed, path.String()+" cannot be updated in part")
	}
	if !given {
		format = content.Text // Transport 1.1 section 6.4.4: none means plain text
		if p.res != nil && p.res.Type == model.Opaque {
			format = content.Opaque
		}
	}
	if path.Depth() == model.DepthResource && p.res.Multiple && content.Single(format) {
		return nil, model.Refuse(codes.UnsupportedMediaType, path.String()+" has instances")
	}
	return v.decode(path, format, payload)
}

// change is what a write makes of one instance.
type change struct {
	path   model.Path
	inst   *Instance
	values model.Values // that resources get; a Multiple is whole
	remove []uint16     // resources that lose their value
}

// plan makes changes of nodes by instance, or refuses; mu is held. replace is the
// place whose old content goes.
func (v View) plan(nodes []model.Node, target model.Path, replace bool) (changes []*change, err error) {
	byPath := make(map[model.Path]*change)
	begin := func(path model.Path) (*change, error) {
		if c := byPath[path]; c != nil {
			return c, nil
		}
		p, err := v.allowed(path, MayWrite)
		if err != nil {
			return nil, err
		}
		c := &change{path: path, inst: p.inst, values: make(model.Values)}
		byPath[path] = c
		changes = append(changes, c)
		return c, nil
	}
	if replace {
		c, err := begin(target.Up(model.DepthInstance))
		if err != nil {
			return nil, err
		}
		v.clear(c, target)
	}
	for _, n := range nodes {
		if n.Path.Depth() < model.DepthInstance {
			return nil, model.Refuse(codes.MethodNotAllowed, n.Path.String()+" cannot be written")
		}
		c, err := begin(n.Path.Up(model.DepthInstance))
		if err == nil {
			err = v.add(c, n)
		}
		if err != nil {
			return nil, err
		}
	}
	return changes, nil
}

// clear notes what a replacement removes: the writable optional resources of an
// instance, the instances of a resource. mu is held.
func (v View) clear(c *change, target model.Path) {
	def := v.t.objects[target.Object()]
	if target.Depth() == model.DepthInstance {
		for id := range c.inst.Values {
			// What no definition knows is of a later version than the server's.
			if res := def.Resource(id); res != nil && res.Ops&model.W != 0 && !res.Mandatory {
				c.remove = append(c.remove, id)
			}
		}
		slices.Sort(c.remove)
	}
	if res := def.Resource(target.Resource()); target.Depth() == model.DepthResource && res.Multiple {
		c.values[res.ID] = model.Multiple{}
	}
}

// add notes one node in the change of its instance; mu is held.
func (v View) add(c *change, n model.Node) error {
	if n.Path.Depth() == model.DepthInstance {
		return nil // which is there
	}
	res := v.t.schema(n.Path)
	if res == nil || res.Type == 0 || !c.inst.has(res) {
		return model.Refuse(codes.NotFound, n.Path.String()+" does not exist")
	}
	if res.Ops&model.W == 0 {
		return model.Refuse(codes.MethodNotAllowed, n.Path.String()+" cannot be written")
	}
	if n.Path.Depth() == model.DepthResource {
		c.values[res.ID] = n.Value
		return nil
	}
	m, ok := c.values[res.ID].(model.Multiple)
	if !ok {
		old, _ := c.inst.Values[res.ID].(model.Multiple)
		if m = maps.Clone(old); m == nil || slices.Contains(c.remove, res.ID) {
			m = make(model.Multiple)
		}
		c.values[res.ID] = m
	}
	if n.Value == nil { // Core 1.2 section 6.3.9
		delete(m, n.Path.ResourceInstance())
	} else {
		m[n.Path.ResourceInstance()] = n.Value
	}
	return nil
}

// commit performs changes, whose hooks may refuse; mu is held, and released.
func (v View) commit(changes []*change, err error) error {
	v.t.mu.Unlock()
	if err != nil {
		return badRequest(err)
	}
	for _, c := range changes {
		if c.inst.OnWrite == nil {
			continue
		}
		if c.values, err = c.inst.OnWrite(c.values); err != nil {
			return badRequest(err)
		}
	}
	v.t.mu.Lock()
	var told []model.Path
	for _, c := range changes {
		for _, id := range c.remove {
			c.inst.Values[id] = nil // its place remains
		}
		if v.t.instances[c.path] == c.inst {
			told = append(told, v.t.store(c.path, c.values)...)
		}
	}
	v.t.mu.Unlock()
	v.t.tell(told)
	return nil
}

// WriteComposite stores values of several objects (section 6.3.9): all or none.
func (v View) WriteComposite(payload []byte, format message.MediaType) error {
	if !content.Composite(format) {
		return model.Refuse(codes.UnsupportedMediaType, "format "+content.Name(format)+" of several paths")
	}
	v.t.mu.Lock()
	nodes, err := v.decode(model.Path{}, format, payload)
	if err != nil {
		v.t.mu.Unlock()
		return err
	}
	return v.commit(v.plan(nodes, model.Path{}, false))
}

// badRequest makes 4.00 of errors that have no code of their own.
func badRequest(err error) error {
	var status *model.StatusError
	if errors.As(err, &status) {
		return status
	}
	return model.Refuse(codes.BadRequest, err.Error())
}
