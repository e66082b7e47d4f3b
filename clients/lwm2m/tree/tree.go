package tree

import (
	"maps"
	"slices"
	"sync"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
)

// Config is what a tree needs to know.
type Config struct {
	// Version is that of LwM2M, which decides of formats and operations; empty is
	// 1.1.
	Version string
	// Format is how objects and instances are read without a wish of the server.
	// 0 is TLV.
	Format message.MediaType
	// Changed, if not nil, is told which readable resources got new values by one
	// operation, after it. It is called without locks held, as is Restructured,
	// which is told that instances came or went.
	Changed      func([]model.Path)
	Restructured func()
}

// Instance is an object instance on a device. Its hooks are called without
// locks held, one operation of a server at a time.
type Instance struct {
	// Values are those of the resources that the instance supports. A resource
	// that cannot be read, or is not set, may be nil.
	Values model.Values
	// OnWrite, if not nil, is told what a server wants to write and may refuse
	// with a *model.StatusError. What it returns is stored.
	OnWrite func(v model.Values) (model.Values, error)
	// Execute has the executable resources that the instance supports.
	Execute map[uint16]func(args string) error
	// Refresh, if not nil, brings values up to date before they are read. The tree
	// is locked then.
	Refresh func(model.Values)
	// OnDelete, if not nil, is told that a server has deleted the instance.
	OnDelete func()
}

// object is an object with what servers may do to its instances.
type object struct {
	*model.Object
	source *model.Object // in no version
	// create makes an instance that a server wants, or refuses; nil refuses all.
	create func(id uint16, v model.Values) (*Instance, error)
}

// Tree is the objects of a device with their instances, values and attributes.
// It is safe for concurrent use.
type Tree struct {
	cfg Config

	mu         sync.Mutex
	objects    map[uint16]object
	instances  map[model.Path]*Instance
	attributes map[attached]Attributes
}

// New makes an empty tree.
func New(cfg Config) *Tree {
	if cfg.Version == "" {
		cfg.Version = content.V11
	}
	if cfg.Format == 0 {
		cfg.Format = content.TLV
	}
	return &Tree{
		cfg:        cfg,
		objects:    make(map[uint16]object),
		instances:  make(map[model.Path]*Instance),
		attributes: make(map[attached]Attributes),
	}
}

// Define puts an object into the tree, perhaps without instances. Servers may
// create and delete instances if create, which makes one, is not nil.
func (t *Tree) Define(def *model.Object, create func(id uint16, v model.Values) (*Instance, error)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.object(def)
	o.create = create
	t.objects[def.ID] = o
}

// object is a definition in the tree's version.
func (t *Tree) object(def *model.Object) object {
	return object{Object: objects.In(t.cfg.Version, def), source: def}
}

// Add puts an instance of an object into the tree, which then owns inst.
func (t *Tree) Add(def *model.Object, id uint16, inst *Instance) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.objects[def.ID]; !ok {
		t.objects[def.ID] = t.object(def)
	}
	t.instances[model.NewPath(def.ID, id)] = inst
}

// Remove takes an instance out of the tree.
func (t *Tree) Remove(object, instance uint16) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drop(model.NewPath(object, instance))
}

// drop forgets an instance and what is attached to it; mu is held.
func (t *Tree) drop(path model.Path) {
	delete(t.instances, path)
	maps.DeleteFunc(t.attributes, func(a attached, _ Attributes) bool { return path.Contains(a.path) })
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

// Instances are the IDs of an object's instances, in order.
func (t *Tree) Instances(object uint16) []uint16 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.instanceIDs(object)
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
	if t.cfg.Changed != nil && len(changes) > 0 {
		t.cfg.Changed(changes)
	}
}

// restructured reports that instances came or went.
func (t *Tree) restructured() {
	if t.cfg.Restructured != nil {
		t.cfg.Restructured()
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

// schema finds definitions; mu is held.
func (t *Tree) schema(path model.Path) *model.Resource {
	def, ok := t.objects[path.Object()]
	if !ok {
		return nil
	}
	return def.Resource(path.Resource())
}

// place is what a path leads to; nil below its depth.
type place struct {
	def  *object
	inst *Instance
	res  *model.Resource
}

// find returns what a path names, or 4.04; mu is held.
func (t *Tree) find(path model.Path) (p place, err error) {
	notFound := model.Refuse(codes.NotFound, path.String()+" does not exist")
	def, ok := t.objects[path.Object()]
	if path.Depth() == model.DepthRoot || !ok {
		return p, notFound
	}
	p.def = &def
	if path.Depth() == model.DepthObject {
		return p, nil
	}
	if p.inst = t.instances[path.Up(model.DepthInstance)]; p.inst == nil {
		return p, notFound
	}
	if path.Depth() == model.DepthInstance {
		return p, nil
	}
	if p.res = def.Resource(path.Resource()); p.res == nil || !p.inst.has(p.res) {
		return p, notFound
	}
	if path.Depth() == model.DepthResourceInstance {
		m, _ := p.inst.Values[p.res.ID].(model.Multiple)
		if _, ok := m[path.ResourceInstance()]; !ok {
			return p, notFound
		}
	}
	return p, nil
}

// has reports whether the instance supports a resource: it has a place for its
// value, can be executed, or must be given a value.
func (i *Instance) has(r *model.Resource) bool {
	_, valued := i.Values[r.ID]
	return valued || i.Execute[r.ID] != nil || r.Ops == model.W && r.Mandatory
}

// readable reports whether a resource has a value that a server may read.
func (i *Instance) readable(r *model.Resource) bool {
	return r != nil && r.Ops&model.R != 0 && i.Values[r.ID] != nil
}

// SetVersion makes the tree one of another version of LwM2M. Its format becomes
// TLV if that version lacks the present one.
func (t *Tree) SetVersion(version string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cfg.Version = version
	if !content.Supported(version, t.cfg.Format) {
		t.cfg.Format = content.TLV
	}
	for id, o := range t.objects {
		o.Object = objects.In(version, o.source)
		t.objects[id] = o
	}
}
