package lwm2m

import (
	"errors"
	"fmt"
	"maps"
	"strconv"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// Read returns the representation of an object, instance or resource
// (section 6.3.1). Resources without R are left out of objects and instances.
// asked says whether accept is the server's wish. Errors: *StatusError.
func (t *Tree) Read(path Path, accept message.MediaType, asked bool) ([]byte, message.MediaType, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	def, inst, res, err := t.find(path)
	if err != nil {
		return nil, 0, err
	}
	if res != nil {
		if res.Ops&R == 0 {
			return nil, 0, refuse(codes.MethodNotAllowed, path.String()+" cannot be read")
		}
		return encodeSingle(res, inst.Values[res.ID], accept, asked)
	}
	if asked && accept != FormatTLV {
		return nil, 0, refuse(codes.NotAcceptable, fmt.Sprintf("format %d of %v", accept, path))
	}
	if inst != nil {
		return EncodeValues(readable(def, inst)), FormatTLV, nil
	}
	var payload []byte
	for _, id := range t.instanceIDs(def.ID) {
		inst := t.instances[NewPath(def.ID, id)]
		payload = AppendTLV(payload, TLVObjectInstance, id, EncodeValues(readable(def, inst)))
	}
	return payload, FormatTLV, nil
}

func readable(def *Object, inst *Instance) Values {
	values := make(Values, len(inst.Values))
	for id, v := range inst.Values {
		if res := def.resource(id); res != nil && res.Ops&R != 0 {
			values[id] = v
		}
	}
	return values
}

// Write stores what the server sends (section 6.3.3). replace on an instance
// removes the optional resources that the payload lacks. Nothing is stored
// unless everything can be. Errors: *StatusError.
func (t *Tree) Write(path Path, replace bool, payload []byte, format message.MediaType, given bool) error {
	inst, values, err := t.decode(path, payload, format, given)
	if err != nil {
		return badRequest(err)
	}
	if inst.OnWrite != nil {
		if values, err = inst.OnWrite(values); err != nil {
			return badRequest(err)
		}
	}
	replace = replace && path.depth == depthInstance
	path.depth, path.ids[2] = depthInstance, 0
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
func (t *Tree) decode(path Path, payload []byte, format message.MediaType, given bool) (*Instance, Values, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	def, inst, res, err := t.find(path)
	if err != nil {
		return nil, nil, err
	}
	if inst == nil {
		return nil, nil, refuse(codes.MethodNotAllowed, "objects cannot be written")
	}
	if res != nil {
		if res.Ops&W == 0 {
			return nil, nil, refuse(codes.MethodNotAllowed, path.String()+" cannot be written")
		}
		v, err := decodeSingle(def, res, payload, format, given)
		return inst, Values{res.ID: v}, err
	}
	if !given || format != FormatTLV {
		return nil, nil, refuse(codes.UnsupportedMediaType, "an instance is written as TLV")
	}
	values, err := DecodeValues(def, payload)
	if err != nil {
		return nil, nil, err
	}
	for id := range values {
		if def.resource(id).Ops&W == 0 {
			return nil, nil, refuse(codes.MethodNotAllowed, path.child(id).String()+" cannot be written")
		}
	}
	return inst, values, nil
}

// clear removes the writable optional resources of an instance that are not in
// values; mu is held.
func (t *Tree) clear(path Path, values Values) {
	def, inst := t.objects[path.Object()], t.instances[path]
	maps.DeleteFunc(inst.Values, func(id uint16, _ any) bool {
		_, given := values[id]
		res := def.resource(id)
		return !given && res.Ops&W != 0 && !res.Mandatory
	})
}

// badRequest makes 4.00 of errors that have no code of their own.
func badRequest(err error) error {
	var status *StatusError
	if errors.As(err, &status) {
		return status
	}
	return refuse(codes.BadRequest, err.Error())
}

// Execute performs an executable resource (section 6.3.5). args are as in
// section 6.3.5's grammar: 0='x',1. Errors: *StatusError.
func (t *Tree) Execute(path Path, args string) error {
	t.mu.Lock()
	_, inst, res, err := t.find(path)
	t.mu.Unlock()
	if err != nil {
		return err
	}
	if res == nil || res.Ops&E == 0 || inst.OnExecute == nil {
		return refuse(codes.MethodNotAllowed, path.String()+" cannot be executed")
	}
	if !validArguments(args) {
		return refuse(codes.BadRequest, "malformed arguments")
	}
	if err := inst.OnExecute(res.ID, args); err != nil {
		return badRequest(err)
	}
	return nil
}

// executable reports whether a path names a resource to execute.
func (t *Tree) executable(path Path) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, _, res, err := t.find(path)
	return err == nil && res != nil && res.Ops&E != 0
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
func (t *Tree) Discover(path Path) ([]WebLink, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	def, inst, res, err := t.find(path)
	if err != nil {
		return nil, err
	}
	if res != nil {
		l := t.resourceLink(path, inst, res)
		l.Params = append(l.Params, t.effective(path).params()...) // inherited ones, too
		return []WebLink{l}, nil
	}
	if inst != nil {
		return t.instanceLinks(path, def, inst), nil
	}
	l := WebLink{Target: path.String()}
	if def.Version != "" {
		l.Params = append(l.Params, LinkParam{"ver", def.Version, true})
	}
	l.Params = append(l.Params, t.attributes[path].params()...)
	links := []WebLink{l}
	for _, id := range t.instanceIDs(def.ID) {
		p := path.child(id)
		links = append(links, t.instanceLinks(p, def, t.instances[p])...)
	}
	return links, nil
}

func (t *Tree) instanceLinks(path Path, def *Object, inst *Instance) []WebLink {
	links := []WebLink{{Target: path.String(), Params: t.attributes[path].params()}}
	for i := range def.Resources {
		res := &def.Resources[i]
		if !inst.has(res) {
			continue
		}
		p := path.child(res.ID)
		l := t.resourceLink(p, inst, res)
		l.Params = append(l.Params, t.attributes[p].params()...)
		links = append(links, l)
	}
	return links
}

func (t *Tree) resourceLink(path Path, inst *Instance, res *Resource) WebLink {
	l := WebLink{Target: path.String()}
	if m, ok := inst.Values[res.ID].(Multiple); ok {
		l.Params = append(l.Params, LinkParam{"dim", strconv.Itoa(len(m)), true})
	}
	return l
}

// Registered lists the objects and instances for a registration (section
// 6.2.1): objects with a version or without instances, and all instances. The
// security object is not listed.
func (t *Tree) Registered() []WebLink {
	t.mu.Lock()
	defer t.mu.Unlock()
	links := []WebLink{{Target: "/", Params: []LinkParam{{"rt", "oma.lwm2m", true}, {"ct", strconv.Itoa(int(FormatTLV)), true}}}}
	for _, object := range t.objectIDs() {
		if object == securityObject.ID {
			continue
		}
		path, instances := NewPath(object), t.instanceIDs(object)
		if v := t.objects[object].Version; v != "" {
			links = append(links, WebLink{path.String(), []LinkParam{{"ver", v, true}}})
		}
		for _, id := range instances {
			links = append(links, WebLink{Target: path.child(id).String()})
		}
	}
	return links
}
