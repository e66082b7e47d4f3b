package lwm2m

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients/coap"
)

// Ops are the operations a resource supports, as in object definitions.
type Ops uint8

// The operations; a resource is executable or has a value.
const (
	R Ops = 1 << iota
	W
	E
	RW = R | W
)

// Resource is the definition of a resource.
type Resource struct {
	ID   uint16
	Name string
	Ops  Ops
	Type Type
	// Multiple resources have a value of type Multiple.
	Multiple bool
	// Mandatory resources are always there.
	Mandatory bool
}

// Object is the definition of an object. Resources are in order of ID.
type Object struct {
	ID   uint16
	Name string
	// Version is told at registration unless it is empty, that is 1.0.
	Version   string
	Resources []Resource
}

// resource finds a definition by ID.
func (o *Object) resource(id uint16) *Resource {
	i, ok := slices.BinarySearchFunc(o.Resources, id, func(r Resource, id uint16) int { return cmp.Compare(r.ID, id) })
	if !ok {
		return nil
	}
	return &o.Resources[i]
}

// Values are the values of an instance's resources, by ID.
type Values map[uint16]any

// Instance is an object instance on a device. Its hooks are called without
// locks held, one operation of the server at a time.
type Instance struct {
	Values Values
	// OnWrite, if not nil, is told what the server wants to write and may
	// refuse with a *StatusError. What it returns is stored.
	OnWrite func(v Values) (Values, error)
	// OnExecute performs an executable resource; nil refuses them all.
	OnExecute func(resource uint16, args string) error
}

// StatusError is the refusal of an operation: the code of the response.
type StatusError struct {
	Code codes.Code
	// Reason is for people; the peer does not see it.
	Reason string
}

func (e *StatusError) Error() string { return coap.CodeString(e.Code) + " " + e.Reason }

func refuse(code codes.Code, reason string) error { return &StatusError{code, reason} }

// Tree is the objects of a device with their instances, values and attributes.
// It is safe for concurrent use.
type Tree struct {
	mu         sync.Mutex
	objects    map[uint16]*Object
	instances  map[Path]*Instance
	attributes map[Path]Attributes
	changed    func([]Path)
}

// NewTree makes an empty tree. changed, if not nil, is told which readable
// resources got new values by one operation, after it; it is called without
// locks held.
func NewTree(changed func([]Path)) *Tree {
	return &Tree{
		objects:    make(map[uint16]*Object),
		instances:  make(map[Path]*Instance),
		attributes: make(map[Path]Attributes),
		changed:    changed,
	}
}

// Add puts an instance of an object into the tree, which then owns inst.
func (t *Tree) Add(def *Object, id uint16, inst *Instance) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.objects[def.ID] = def
	t.instances[NewPath(def.ID, id)] = inst
}

// Set gives resources of an instance new values from the device's side, as one
// change. It panics if the instance does not exist.
func (t *Tree) Set(object, instance uint16, values Values) {
	path := NewPath(object, instance)
	t.mu.Lock()
	changes := t.store(path, values)
	t.mu.Unlock()
	t.tell(changes)
}

// Get is the value of a resource, nil if it has none.
func (t *Tree) Get(object, instance, resource uint16) any {
	t.mu.Lock()
	defer t.mu.Unlock()
	inst := t.instances[NewPath(object, instance)]
	if inst == nil {
		return nil
	}
	return inst.Values[resource]
}

// store puts values into an instance and returns which of them can be read, in
// order of ID; mu is held.
func (t *Tree) store(path Path, values Values) (changes []Path) {
	def, inst := t.objects[path.Object()], t.instances[path]
	if inst.Values == nil {
		inst.Values = make(Values)
	}
	for _, id := range slices.Sorted(maps.Keys(values)) {
		inst.Values[id] = values[id]
		if res := def.resource(id); res != nil && res.Ops&R != 0 {
			changes = append(changes, path.child(id))
		}
	}
	return changes
}

// tell reports changed resources.
func (t *Tree) tell(changes []Path) {
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
func (t *Tree) find(path Path) (def *Object, inst *Instance, res *Resource, err error) {
	notFound := refuse(codes.NotFound, path.String()+" does not exist")
	if path.depth == depthRoot {
		return nil, nil, nil, notFound
	}
	if path.Object() == securityObject.ID {
		// Section 8.1.1 of the security enabler: only bootstrap may touch it.
		return nil, nil, nil, refuse(codes.Unauthorized, "the security object is not for servers")
	}
	if def = t.objects[path.Object()]; def == nil {
		return nil, nil, nil, notFound
	}
	if path.depth == depthObject {
		return def, nil, nil, nil
	}
	if inst = t.instances[NewPath(path.Object(), path.Instance())]; inst == nil {
		return nil, nil, nil, notFound
	}
	if path.depth == depthInstance {
		return def, inst, nil, nil
	}
	if res = def.resource(path.Resource()); res == nil || !inst.has(res) {
		return nil, nil, nil, notFound
	}
	return def, inst, res, nil
}

// has reports whether the instance supports a resource: it has a value, can be
// executed, or may be given a value.
func (i *Instance) has(r *Resource) bool {
	_, valued := i.Values[r.ID]
	return valued || r.Ops&E != 0 && i.OnExecute != nil || r.Ops == W
}
