package tree

import (
	"errors"
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
)

// Create makes an instance of an object with the values of the payload (section
// 6.3.6) and returns its path, and whether its ID was the device's choice.
func (v View) Create(path model.Path, payload []byte, format message.MediaType, given bool) (created model.Path, chosen bool, err error) {
	v.t.mu.Lock()
	def, id, values, err := v.creation(path, payload, format, given)
	v.t.mu.Unlock()
	if err != nil {
		return created, false, err
	}
	if chosen = id == model.MaxID; chosen {
		v.t.mu.Lock()
		id = v.t.freeID(def.ID)
		v.t.mu.Unlock()
	}
	inst, err := def.create(id, values)
	if err != nil {
		return created, false, badRequest(err)
	}
	created = path.Child(id)
	v.t.mu.Lock()
	v.t.instances[created] = inst
	v.owns(created)
	changes := v.t.present(created)
	v.t.mu.Unlock()
	v.t.tell(changes)
	v.t.restructured()
	return created, chosen, nil
}

// creation checks and decodes what is to be created; mu is held.
func (v View) creation(path model.Path, payload []byte, format message.MediaType, given bool) (def *object, id uint16, values model.Values, err error) {
	p, err := v.find(path)
	if err != nil {
		return nil, 0, nil, err
	}
	def = p.def
	switch {
	case def.create == nil:
		return nil, 0, nil, model.Refuse(codes.MethodNotAllowed, path.String()+" has no instances that servers create")
	case !v.mayCreate(path):
		return nil, 0, nil, model.Refuse(codes.Unauthorized, path.String()+" is not for this server")
	case !given && len(payload) > 0:
		return nil, 0, nil, model.Refuse(codes.UnsupportedMediaType, "no format")
	case !given:
		format = content.TLV
	}
	nodes, err := v.decode(path, format, payload)
	if err != nil {
		return nil, 0, nil, err
	}
	if id, err = oneInstance(nodes); err == nil {
		values, err = v.initial(def, nodes)
	}
	if v.t.instances[path.Child(id)] != nil {
		err = model.Refuse(codes.BadRequest, path.Child(id).String()+" exists")
	}
	return def, id, values, err
}

// oneInstance is the ID of the instance that all nodes are of.
func oneInstance(nodes []model.Node) (uint16, error) {
	if len(nodes) == 0 {
		return model.MaxID, nil
	}
	at := nodes[0].Path.Up(model.DepthInstance)
	for _, n := range nodes {
		if n.Path.Depth() < model.DepthInstance || !at.Contains(n.Path) {
			return 0, model.Refuse(codes.BadRequest, "want one instance")
		}
	}
	return at.ID(), nil
}

// initial are the values of a new instance: a mandatory resource that only the
// server can set must be there (section 6.3.6), what is optional and not known
// is ignored. mu is held.
func (v View) initial(def *object, nodes []model.Node) (model.Values, error) {
	var known []model.Node
	for _, n := range nodes {
		switch res := def.Resource(n.Path.Resource()); {
		case n.Path.Depth() < model.DepthResource, res == nil:
		case res.Ops&model.W == 0:
			return nil, model.Refuse(codes.BadRequest, n.Path.String()+" cannot be written")
		case n.Value != nil:
			known = append(known, n)
		}
	}
	values := model.ValuesOf(known)
	for i := range def.Resources {
		res := &def.Resources[i]
		if _, ok := values[res.ID]; res.Mandatory && res.Ops == model.RW && !ok {
			return nil, model.Refuse(codes.BadRequest, fmt.Sprintf("resource %d is mandatory", res.ID))
		}
	}
	return values, nil
}

// mayCreate reports whether the server may create instances of an object: the
// access control of instance 65535 says so (section 8.2.1). mu is held.
func (v View) mayCreate(path model.Path) bool { return v.may(path.Child(model.MaxID), MayCreate) }

// owns makes the server the owner of an instance it has created (section
// 8.1.2), if there are others; mu is held.
func (v View) owns(path model.Path) {
	if !v.bootstrap && len(v.t.instanceIDs(objects.Server.ID)) > 1 {
		v.t.protect(path.Object(), path.Instance(), v.server, 0)
	}
}

// present are the readable resources of an instance; mu is held.
func (t *Tree) present(path model.Path) (paths []model.Path) {
	p, err := t.find(path)
	if err != nil {
		return nil
	}
	for _, n := range instanceNodes(path, p) {
		paths = append(paths, n.Path)
	}
	return paths
}

// Delete removes an instance of an object whose instances servers may create
// (section 6.3.7) or, from LwM2M 1.2 on, a resource instance.
func (v View) Delete(path model.Path) error {
	v.t.mu.Lock()
	if path.Depth() == model.DepthResourceInstance {
		return v.deleteValue(path)
	}
	p, err := v.allowed(path, MayDelete)
	if err == nil && (p.inst == nil || p.res != nil || p.def.create == nil) {
		err = model.Refuse(codes.MethodNotAllowed, path.String()+" cannot be deleted")
	}
	if err != nil {
		v.t.mu.Unlock()
		return err
	}
	gone := v.t.present(path)
	v.t.drop(path)
	v.t.unprotect(path.Object(), path.Instance())
	v.t.mu.Unlock()
	if p.inst.OnDelete != nil {
		p.inst.OnDelete()
	}
	v.t.tell(gone)
	v.t.restructured()
	return nil
}

// deleteValue removes a resource instance; mu is held, and released.
func (v View) deleteValue(path model.Path) error {
	p, err := v.allowed(path, MayWrite)
	if err == nil && (v.t.cfg.Version < content.V12 || p.res.Ops&model.W == 0) {
		err = model.Refuse(codes.MethodNotAllowed, path.String()+" cannot be deleted")
	}
	if err != nil {
		v.t.mu.Unlock()
		return err
	}
	return v.commit(v.plan([]model.Node{{Path: path}}, path, false))
}

// errArguments says that the arguments of an execution are malformed.
var errArguments = errors.New("malformed arguments")

// Execute performs an executable resource (section 6.3.5). args are as in that
// section's grammar: 0='x',1.
func (v View) Execute(path model.Path, args string) error {
	v.t.mu.Lock()
	p, err := v.allowed(path, MayExecute)
	v.t.mu.Unlock()
	if err != nil {
		return err
	}
	if p.res == nil || p.inst.Execute[p.res.ID] == nil {
		return model.Refuse(codes.MethodNotAllowed, path.String()+" cannot be executed")
	}
	if _, err := ParseArguments(args); err != nil {
		return badRequest(err)
	}
	if err := p.inst.Execute[p.res.ID](args); err != nil {
		return badRequest(err)
	}
	return nil
}

// Executable reports whether a path names a resource to execute.
func (v View) Executable(path model.Path) bool {
	v.t.mu.Lock()
	defer v.t.mu.Unlock()
	p, err := v.find(path)
	return err == nil && p.res != nil && p.res.Ops&model.E != 0
}
