package tree

import (
	"errors"
	"fmt"
	"maps"
	"strconv"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
)

// Read returns the representation of an object, instance or resource
// (section 6.3.1). Resources without R are left out of objects and instances.
// asked says whether accept is the server's wish. Errors: *StatusError.
func (t *Tree) Read(path model.Path, accept message.MediaType, asked bool) ([]byte, message.MediaType, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	def, inst, res, err := t.find(path)
	if err != nil {
		return nil, 0, err
	}
	if res != nil {
		if res.Ops&model.R == 0 {
			return nil, 0, model.Refuse(codes.MethodNotAllowed, path.String()+" cannot be read")
		}
		return content.EncodeSingle(res, inst.Values[res.ID], accept, asked)
	}
	if asked && accept != content.TLV {
		return nil, 0, model.Refuse(codes.NotAcceptable, fmt.Sprintf("format %d of %v", accept, path))
	}
	if inst != nil {
		return content.EncodeValues(readable(def, inst)), content.TLV, nil
	}
	var payload []byte
	for _, id := range t.instanceIDs(def.ID) {
		inst := t.instances[model.NewPath(def.ID, id)]
		payload = content.AppendTLV(payload, content.TLVObjectInstance, id, content.EncodeValues(readable(def, inst)))
	}
	return payload, content.TLV, nil
}

func readable(def *model.Object, inst *Instance) model.Values {
	values := make(model.Values, len(inst.Values))
	for id, v := range inst.Values {
		if res := def.Resource(id); res != nil && res.Ops&model.R != 0 {
			values[id] = v
		}
	}
	return values
}

// Write stores what the server sends (section 6.3.3). replace on an instance
// removes the optional resources that the payload lacks. Nothing is stored
// unless everything can be. Errors: *StatusError.
func (t *Tree) Write(path model.Path, replace bool, payload []byte, format message.MediaType, given bool) error {
	inst, values, err := t.decode(path, payload, format, given)
	if err != nil {
		return badRequest(err)
	}
	if inst.OnWrite != nil {
		if values, err = inst.OnWrite(values); err != nil {
			return badRequest(err)
		}
	}
	replace = replace && path.Depth() == model.DepthInstance
	path = model.NewPath(path.Object(), path.Instance())
	t.mu.Lock()
	if replace {
		t.clear(path, values)
	}
	changes := t.store(path, values)
	t.mu.Unlock()
	t.tell(changes)
	return nil
}

// decode reads the payload of a write and checks it against the definition.
func (t *Tree) decode(path model.Path, payload []byte, format message.MediaType, given bool) (*Instance, model.Values, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	def, inst, res, err := t.find(path)
	if err != nil {
		return nil, nil, err
	}
	if inst == nil {
		return nil, nil, model.Refuse(codes.MethodNotAllowed, "objects cannot be written")
	}
	if res != nil {
		if res.Ops&model.W == 0 {
			return nil, nil, model.Refuse(codes.MethodNotAllowed, path.String()+" cannot be written")
		}
		v, err := content.DecodeSingle(def, res, payload, format, given)
		return inst, model.Values{res.ID: v}, err
	}
	if !given || format != content.TLV {
		return nil, nil, model.Refuse(codes.UnsupportedMediaType, "an instance is written as TLV")
	}
	values, err := content.DecodeValues(def, payload)
	if err != nil {
		return nil, nil, err
	}
	for id := range values {
		if def.Resource(id).Ops&model.W == 0 {
			return nil, nil, model.Refuse(codes.MethodNotAllowed, path.Child(id).String()+" cannot be written")
		}
	}
	return inst, values, nil
}

// clear removes the writable optional resources of an instance that are not in
// values; mu is held.
func (t *Tree) clear(path model.Path, values model.Values) {
	def, inst := t.objects[path.Object()], t.instances[path]
	maps.DeleteFunc(inst.Values, func(id uint16, _ any) bool {
		_, given := values[id]
		res := def.Resource(id)
		return !given && res.Ops&model.W != 0 && !res.Mandatory
	})
}

// badRequest makes 4.00 of errors that have no code of their own.
func badRequest(err error) error {
	var status *model.StatusError
	if errors.As(err, &status) {
		return status
	}
	return model.Refuse(codes.BadRequest, err.Error())
}

// Execute performs an executable resource (section 6.3.5). args are as in
// section 6.3.5's grammar: 0='x',1. Errors: *StatusError.
func (t *Tree) Execute(path model.Path, args string) error {
	t.mu.Lock()
	_, inst, res, err := t.find(path)
	t.mu.Unlock()
	if err != nil {
		return err
	}
	if res == nil || res.Ops&model.E == 0 || inst.OnExecute == nil {
		return model.Refuse(codes.MethodNotAllowed, path.String()+" cannot be executed")
	}
	if !validArguments(args) {
		return model.Refuse(codes.BadRequest, "malformed arguments")
	}
	if err := inst.OnExecute(res.ID, args); err != nil {
		return badRequest(err)
	}
	return nil
}

// Executable reports whether a path names a resource to execute.
func (t *Tree) Executable(path model.Path) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, _, res, err := t.find(path)
	return err == nil && res != nil && res.Ops&model.E != 0
}

// validArguments checks arglist of section 6.3.5: digits, each with an
// optional quoted value, separated by commas.
func validArguments(s string) bool {
	for i := 0; i < len(s); {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		if i++; i < len(s) && s[i] == '=' {
			if i++; i == len(s) || s[i] != '\'' {
				return false
			}
			for i++; i < len(s) && s[i] != '\''; i++ {
				if s[i] == '"' || s[i] == '\\' || s[i] <= ' ' || s[i] > '~' {
					return false
				}
			}
			if i == len(s) {
				return false
			}
			i++
		}
		if i == len(s) {
			return true
		}
		if s[i] != ',' || i+1 == len(s) {
			return false
		}
		i++
	}
	return true
}

// Discover lists an object, instance or resource with the attributes attached
// (section 6.3.2). Errors: *StatusError.
func (t *Tree) Discover(path model.Path) ([]content.WebLink, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	def, inst, res, err := t.find(path)
	if err != nil {
		return nil, err
	}
	if res != nil {
		l := t.resourceLink(path, inst, res)
		l.Params = append(l.Params, t.effective(path).params()...) // inherited ones, too
		return []content.WebLink{l}, nil
	}
	if inst != nil {
		return t.instanceLinks(path, def, inst), nil
	}
	l := content.WebLink{Target: path.String()}
	if def.Version != "" {
		l.Params = append(l.Params, content.Attribute("ver", def.Version))
	}
	l.Params = append(l.Params, t.attributes[path].params()...)
	links := []content.WebLink{l}
	for _, id := range t.instanceIDs(def.ID) {
		p := path.Child(id)
		links = append(links, t.instanceLinks(p, def, t.instances[p])...)
	}
	return links, nil
}

func (t *Tree) instanceLinks(path model.Path, def *model.Object, inst *Instance) []content.WebLink {
	links := []content.WebLink{{Target: path.String(), Params: t.attributes[path].params()}}
	for i := range def.Resources {
		res := &def.Resources[i]
		if !inst.has(res) {
			continue
		}
		p := path.Child(res.ID)
		l := t.resourceLink(p, inst, res)
		l.Params = append(l.Params, t.attributes[p].params()...)
		links = append(links, l)
	}
	return links
}

func (t *Tree) resourceLink(path model.Path, inst *Instance, res *model.Resource) content.WebLink {
	l := content.WebLink{Target: path.String()}
	if m, ok := inst.Values[res.ID].(model.Multiple); ok {
		l.Params = append(l.Params, content.Attribute("dim", strconv.Itoa(len(m))))
	}
	return l
}

// Registered lists the objects and instances for a registration (section
// 6.2.1): objects with a version or without instances, and all instances. The
// security object is not listed.
func (t *Tree) Registered() []content.WebLink {
	t.mu.Lock()
	defer t.mu.Unlock()
	links := []content.WebLink{{Target: "/", Params: []content.LinkParam{content.Attribute("rt", "oma.lwm2m"), content.Attribute("ct", strconv.Itoa(int(content.TLV)))}}}
	for _, object := range t.objectIDs() {
		if object == objects.Security.ID {
			continue
		}
		path, instances := model.NewPath(object), t.instanceIDs(object)
		if v := t.objects[object].Version; v != "" {
			links = append(links, content.WebLink{Target: path.String(), Params: []content.LinkParam{content.Attribute("ver", v)}})
		}
		for _, id := range instances {
			links = append(links, content.WebLink{Target: path.Child(id).String()})
		}
	}
	return links
}
