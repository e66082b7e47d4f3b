package tree

import (
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
)

// View is the tree as one server sees it. Its methods are the operations of
// device management; errors are *model.StatusError.
type View struct {
	t *Tree
	// server is the Short Server ID.
	server uint16
	// bootstrap servers see everything.
	bootstrap bool
	// given are the attributes of one observation, if it has any of its own.
	given *Attributes
}

// Exists reports whether a path leads to something that the server may see.
func (v View) Exists(path model.Path) bool {
	v.t.mu.Lock()
	defer v.t.mu.Unlock()
	if path.Depth() == model.DepthRoot {
		return true
	}
	_, err := v.find(path)
	return err == nil
}

// Server is the Short Server ID.
func (v View) Server() uint16 { return v.server }

// As is the view of the server with a Short Server ID.
func (t *Tree) As(server uint16) View { return View{t: t, server: server} }

// Right is a bit of an access control list (appendix E.3, resource 2).
type Right int64

// The rights.
const (
	MayRead    Right = 1 << iota // and observe, and write attributes
	MayWrite                     // a value
	MayExecute                   // a resource
	MayDelete                    // an instance
	MayCreate                    // an instance of the object
	mayAll     = MayRead | MayWrite | MayExecute | MayDelete | MayCreate
)

// find is Tree.find for what a server may see: the security object is for
// bootstrap servers only (appendix E.1). mu is held.
func (v View) find(path model.Path) (place, error) {
	if path.Object() == objects.Security.ID && path.Depth() > model.DepthRoot && !v.bootstrap {
		return place{}, model.Refuse(codes.Unauthorized, "the security object is not for servers")
	}
	return v.t.find(path)
}

// allowed finds what a path names and refuses it with 4.01 if the server lacks
// a right there; mu is held.
func (v View) allowed(path model.Path, right Right) (place, error) {
	p, err := v.find(path)
	if err == nil && p.inst != nil && !v.may(path, right) {
		err = model.Refuse(codes.Unauthorized, path.String()+" is not for this server")
	}
	return p, err
}

// may reports whether the server has a right at an object instance, or below it
// (section 8.2). mu is held.
func (v View) may(path model.Path, right Right) bool {
	switch {
	case v.bootstrap || len(v.t.instanceIDs(objects.Server.ID)) <= 1:
		return true // a server that is alone needs no rights
	case path.Object() == objects.Access.ID:
		// Everybody may read who may do what, its owner may change it.
		inst := v.t.instances[path.Up(model.DepthInstance)]
		return right == MayRead || right == MayWrite && inst != nil && inst.Values[objects.AccessOwner] == int64(v.server)
	}
	return v.rights(path.Object(), path.Instance())&right != 0
}

// rights are those that the access control object gives the server; mu is held.
func (v View) rights(object, instance uint16) Right {
	path, ok := v.t.controlled(object, instance)
	if !ok {
		return 0
	}
	return v.granted(v.t.instances[path].Values)
}

// granted are the rights of the server in one access control list: its own, else
// all if it is the owner, else the default.
func (v View) granted(acl model.Values) Right {
	list, _ := acl[objects.AccessACL].(model.Multiple)
	own, listed := list[v.server].(int64)
	byDefault, _ := list[0].(int64)
	switch {
	case listed:
		return Right(own)
	case acl[objects.AccessOwner] == int64(v.server):
		return mayAll
	}
	return Right(byDefault)
}

// Protect gives every instance without access control one, owned by a server:
// others may read, as the default says. An account is its own server's, and
// nobody else's. It is what a device does whose servers are more than one and
// whose factory or bootstrap server said nothing.
func (t *Tree) Protect(owner uint16) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, object := range t.objectIDs() {
		if object == objects.Security.ID || object == objects.Access.ID {
			continue
		}
		for _, id := range t.instanceIDs(object) {
			if own, ok := t.instances[model.NewPath(object, id)].Values[objects.ServerShortID].(int64); ok && object == objects.Server.ID {
				t.protect(object, id, uint16(own), 0)
				continue
			}
			t.protect(object, id, owner, MayRead)
		}
	}
}

// protect adds an access control instance unless there is one; mu is held.
func (t *Tree) protect(object, instance, owner uint16, others Right) {
	if _, ok := t.controlled(object, instance); ok {
		return
	}
	acl := model.Multiple{}
	if others != 0 {
		acl[0] = int64(others)
	}
	if _, ok := t.objects[objects.Access.ID]; !ok {
		t.objects[objects.Access.ID] = t.object(objects.Access)
	}
	t.instances[model.NewPath(objects.Access.ID, t.freeID(objects.Access.ID))] = &Instance{Values: model.Values{
		objects.AccessObject: int64(object), objects.AccessInstance: int64(instance),
		objects.AccessACL: acl, objects.AccessOwner: int64(owner),
	}}
}

// unprotect removes the access control of an instance; mu is held.
func (t *Tree) unprotect(object, instance uint16) {
	if path, ok := t.controlled(object, instance); ok {
		t.drop(path)
	}
}

// controlled is the access control instance of an object instance; mu is held.
func (t *Tree) controlled(object, instance uint16) (model.Path, bool) {
	for path, inst := range t.instances {
		if path.Object() == objects.Access.ID &&
			inst.Values[objects.AccessObject] == int64(object) && inst.Values[objects.AccessInstance] == int64(instance) {
			return path, true
		}
	}
	return model.Path{}, false
}

// freeID is the lowest instance ID that is not in use; mu is held.
func (t *Tree) freeID(object uint16) uint16 {
	for id := uint16(0); ; id++ {
		if t.instances[model.NewPath(object, id)] == nil {
			return id
		}
	}
}
