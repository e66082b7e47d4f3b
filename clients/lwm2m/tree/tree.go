package tree

import (
	"maps"
	"slices"
	"sync"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
)

// Instance is an object instance on a device. Its hooks are called without
// locks held, one operation of the server at a time.
type Instance struct {
	Values model.Values
	// OnWrite, if not nil, is told what the server wants to write and may
	// refuse with a *StatusError. What it returns is stored.
	OnWrite func(v model.Values) (model.Values, error)
	// OnExecute performs an executable resource; nil refuses them all.
	OnExecute func(resource uint16, args string) error
}

// Tree is the objects of a device with their instances, values and attributes.
// It is safe for concurrent use.
type Tree struct {
	mu         sync.Mutex
	objects    map[uint16]*model.Object
	instances  map[model.Path]*Instance
	attributes map[model.Path]Attributes
	changed    func([]model.Path)
}

// NewTree makes an empty tree. changed, if not nil, is told which readable
// resources got new values by one operation, after it; it is called without
// locks held.
func New(changed func([]model.Path)) *Tree {
	return &Tree{
		objects:    make(map[uint16]*model.Object),
		instances:  make(map[model.Path]*Instance),
		attributes: make(map[model.Path]Attributes),
		changed:    changed,
	}
}

// Add puts an instance of an object into the tree, which then owns inst.
func (t *Tree) Add(def *model.Object, id uint16, inst *Instance) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.objects[def.ID] = def
	t.instances[model.NewPath(def.ID, id)] = inst
}

// Set gives resources of an instance new values from the device's side, as one
// change. It panics if the instance does not exist.
func (t *Tree) Set(object, instance uint16, values model.Values) {
	path := model.NewPath(object, instance)
	t.mu.Lock()
	changes := t.store(path, values)
	t.mu.Unlock()
	t.tell(changes)
}

// Get is the value of a resource, nil if it has none.
func (t *Tree) Get(object, instance, resource uint16) any {
	t.mu.Lock()
	defer t.mu.Unlock()
	inst := t.instances[model.NewPath(object, instance)]
	if inst == nil {
		return nil
	}
	return inst.Values[resource]
}

// Values are those of an instance's resources, nil if it does not exist.
func (t *Tree) Values(object, instance uint16) model.Values {
	t.mu.Lock()
	defer t.mu.Unlock()
	inst := t.instances[model.NewPath(object, instance)]
	if inst == nil {
		return nil
	}
	return maps.Clone(inst.Values)
}

// store puts values into an instance and returns which of them can be read, in
// order of ID; mu is held.
func (t *Tree) store(path model.Path, values model.Values) (changes []model.Path) {
	def, inst := t.objects[path.Object()], t.instances[path]
	if inst.Values == nil {
		inst.Values = make(model.Values)
	}
	for _, id := range slices.Sorted(maps.Keys(values)) {
		inst.Values[id] = values[id]
		if res := def.Resource(id); res != nil && res.Ops&model.R != 0 {
			changes = append(changes, path.Child(id))
		}
	}
	return changes
}

// tell reports changed resources.
func (t *Tree) tell(changes []model.Path) {
	if t.changed != nil && len(changes) > 0 {
		t.changed(changes)
	}
}

// objectIDs are in order; mu is held.
func (t *Tree) objectIDs() []uint16 { return slices.Sorted(maps.Keys(t.objects)) }

// instanceIDs are in order; mu is held.
func (t *Tree) instanceIDs(object uint16) []uint16 {
	var ids []uint16
	for p := range t.instances {
		if p.Object() == object {
			ids = append(ids, p.Instance())
		}
	}
	slices.Sort(ids)
	return ids
}

// find returns what a path names, or 4.04. For depths below its own, results
// are nil. mu is held.
func (t *Tree) find(path model.Path) (def *model.Object, inst *Instance, res *model.Resource, err error) {
	notFound := model.Refuse(codes.NotFound, path.String()+" does not exist")
	if path.Depth() == model.DepthRoot {
		return nil, nil, nil, notFound
	}
	if path.Object() == objects.Security.ID {
		// Section 8.1.1 of the security enabler: only bootstrap may touch it.
		return nil, nil, nil, model.Refuse(codes.Unauthorized, "the security object is not for servers")
	}
	if def = t.objects[path.Object()]; def == nil {
		return nil, nil, nil, notFound
	}
	if path.Depth() == model.DepthObject {
		return def, nil, nil, nil
	}
	if inst = t.instances[model.NewPath(path.Object(), path.Instance())]; inst == nil {
		return nil, nil, nil, notFound
	}
	if path.Depth() == model.DepthInstance {
		return def, inst, nil, nil
	}
	if res = def.Resource(path.Resource()); res == nil || !inst.has(res) {
		return nil, nil, nil, notFound
	}
	return def, inst, res, nil
}

// has reports whether the instance supports a resource: it has a value, can be
// executed, or may be given a value.
func (i *Instance) has(r *model.Resource) bool {
	_, valued := i.Values[r.ID]
	return valued || r.Ops&model.E != 0 && i.OnExecute != nil || r.Ops == model.W
}
