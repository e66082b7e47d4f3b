package tree

import (
	"maps"
	"slices"
	"strconv"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
)

// Bootstrap is the tree as the bootstrap server sees it (section 6.1): it writes
// whole instances, whatever servers may do with their resources.
type Bootstrap struct {
	t *Tree
	// make completes a new instance of an object with what is not its values.
	make func(at model.Path, v model.Values) *Instance
}

// Bootstrap is the view of the bootstrap server. made completes instances that
// it writes.
func (t *Tree) Bootstrap(made func(at model.Path, v model.Values) *Instance) Bootstrap {
	return Bootstrap{t, made}
}

// Write is Bootstrap-Write (section 6.1.7.5) of an object, an instance or a
// resource; of the root it is a pack (Core 1.2 section 6.1.7.7).
func (b Bootstrap) Write(path model.Path, payload []byte, format message.MediaType) error {
	b.t.mu.Lock()
	nodes, err := View{t: b.t, bootstrap: true}.decode(path, format, payload)
	if err == nil {
		err = b.store(nodes)
	}
	b.t.mu.Unlock()
	if err != nil {
		return badRequest(err)
	}
	b.t.restructured()
	return nil
}

// store puts nodes in place of what their instances had, but for resources that
// the device does not know (section 6.1.7.5); mu is held.
func (b Bootstrap) store(nodes []model.Node) error {
	byInstance := map[model.Path][]model.Node{}
	for _, n := range nodes {
		at := n.Path.Up(model.DepthInstance)
		if at.Depth() < model.DepthInstance || at.ID() == model.MaxID {
			return model.Refuse(codes.BadRequest, n.Path.String()+" is of no instance")
		}
		if _, known := b.t.objects[at.Object()]; !known {
			return model.Refuse(codes.NotFound, at.String()+": no such object")
		}
		byInstance[at] = append(byInstance[at], n)
	}
	if len(byInstance) == 0 {
		return model.Refuse(codes.BadRequest, "no instance")
	}
	for at, list := range byInstance {
		var known []model.Node
		for _, n := range list {
			if n.Path.Depth() > model.DepthInstance && n.Value != nil && b.t.schema(n.Path) != nil {
				known = append(known, n)
			}
		}
		values := model.ValuesOf(known)
		inst := b.t.instances[at]
		if inst == nil {
			b.t.instances[at] = b.make(at, values)
			continue
		}
		maps.Copy(inst.Values, values)
	}
	return nil
}

// Delete is Bootstrap-Delete (section 6.1.7.6) of an instance, an object or all:
// the device object and the bootstrap server's own account remain.
func (b Bootstrap) Delete(path model.Path) error {
	b.t.mu.Lock()
	if path.Depth() > model.DepthInstance {
		b.t.mu.Unlock()
		return model.Refuse(codes.BadRequest, "want an object, an instance, or all")
	}
	for at := range maps.Clone(b.t.instances) {
		if path.Contains(at) && !b.remains(at) {
			b.t.drop(at)
		}
	}
	b.t.mu.Unlock()
	b.t.restructured()
	return nil
}

// remains reports an instance that cannot be deleted; mu is held.
func (b Bootstrap) remains(at model.Path) bool {
	own := at.Object() == objects.Security.ID && b.t.instances[at].Values[objects.SecurityBootstrap] == true
	return own || at.Object() == objects.Device.ID || at.Object() == objects.Firmware.ID
}

// Read is Bootstrap-Read (section 6.1.7.9), of the server and access control
// objects only.
func (b Bootstrap) Read(path model.Path, accept message.MediaType, asked bool) ([]byte, message.MediaType, error) {
	if id := path.Object(); path.Depth() == model.DepthRoot || id != objects.Server.ID && id != objects.Access.ID {
		return nil, 0, model.Refuse(codes.MethodNotAllowed, "only the server and access control objects are read")
	}
	return View{t: b.t, bootstrap: true}.Read(path, accept, asked)
}

// Exists reports whether a path leads to something.
func (b Bootstrap) Exists(path model.Path) bool {
	return View{t: b.t, bootstrap: true}.Exists(path)
}

// Discover is Bootstrap-Discover (section 6.1.7.4): the version of the enabler,
// objects and instances, and of accounts the short server ID.
func (b Bootstrap) Discover(path model.Path) ([]content.WebLink, error) {
	if path.Depth() > model.DepthObject {
		return nil, model.Refuse(codes.MethodNotAllowed, "want an object, or all")
	}
	b.t.mu.Lock()
	defer b.t.mu.Unlock()
	links := []content.WebLink{{Target: "/", Params: []content.LinkParam{content.Attribute("lwm2m", b.t.cfg.Version)}}}
	for _, object := range b.t.objectIDs() {
		at := model.NewPath(object)
		if !path.Contains(at) {
			continue
		}
		instances := b.t.instanceIDs(object)
		if len(instances) == 0 {
			links = append(links, content.WebLink{Target: at.String()})
		}
		for _, id := range instances {
			links = append(links, content.WebLink{Target: at.Child(id).String(), Params: b.account(at.Child(id))})
		}
	}
	return links, nil
}

// account is what a link says of an account; mu is held.
func (b Bootstrap) account(at model.Path) []content.LinkParam {
	short := map[uint16]uint16{objects.Security.ID: objects.SecurityShortID, objects.Server.ID: objects.ServerShortID}
	id, is := short[at.Object()]
	values := b.t.instances[at].Values
	ssid, has := values[id].(int64)
	if !is || !has || values[objects.SecurityBootstrap] == true {
		return nil
	}
	params := []content.LinkParam{content.Attribute("ssid", strconv.FormatInt(ssid, 10))}
	if uri, ok := values[objects.SecurityURI].(string); ok && at.Object() == objects.Security.ID {
		params = append(params, content.Attribute("uri", uri))
	}
	return params
}

// An Account is a server's: the values of its security instance and the ID of its
// server instance, which share the Short Server ID.
type Account struct {
	ID       uint16
	Security model.Values
	Server   uint16
}

// Accounts are those that are not a bootstrap server's, in the order of their
// security instances.
func (t *Tree) Accounts() (accounts []Account) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, i := range t.instanceIDs(objects.Security.ID) {
		security := t.instances[model.NewPath(objects.Security.ID, i)].Values
		id, valid := security[objects.SecurityShortID].(int64)
		if !valid || id < 1 || id >= model.MaxID || security[objects.SecurityBootstrap] == true { // appendix E.1, resource 10
			continue
		}
		if server, ok := t.server(id); ok {
			accounts = append(accounts, Account{uint16(id), maps.Clone(security), server})
		}
	}
	return accounts
}

// server is the instance of the server object that has a Short Server ID; mu is
// held.
func (t *Tree) server(id int64) (instance uint16, ok bool) {
	for _, i := range t.instanceIDs(objects.Server.ID) {
		if t.instances[model.NewPath(objects.Server.ID, i)].Values[objects.ServerShortID] == id {
			return i, true
		}
	}
	return 0, false
}

// Nodes are the values of an object's instances, in order.
func (t *Tree) Nodes(object uint16) (nodes []model.Node) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range t.instanceIDs(object) {
		at := model.NewPath(object, id)
		nodes = append(nodes, model.Nodes(at, t.instances[at].Values)...)
	}
	return slices.DeleteFunc(nodes, func(n model.Node) bool { return n.Value == nil })
}
