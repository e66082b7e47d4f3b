package shadow

import (
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"time"

	"github.com/thinlink/thinlink/clients/mqtt/internal/jsontext"
)

// patch is one section of an update request.
type patch struct {
	given  bool // the section is in the request
	clear  bool // it is null: the whole section goes
	values tree
}

// parseState reads the state of an update request.
func parseState(raw json.RawMessage) (desired, reported patch, err error) {
	if raw == nil {
		return desired, reported, errors.New("missing required node: state")
	}
	var state any
	if err := jsontext.Decode(raw, &state); err != nil {
		return desired, reported, errors.New("invalid JSON")
	}
	if state == nil { // null removes everything
		all := patch{given: true, clear: true}
		return all, all, nil
	}
	object, ok := state.(tree)
	if !ok {
		return desired, reported, errors.New("state node must be an object")
	}
	for key, value := range object {
		switch key {
		case "desired":
			desired, err = parseSection(value)
		case "reported":
			reported, err = parseSection(value)
		default:
			err = errors.New("state contains an invalid node: " + key)
		}
		if err != nil {
			return desired, reported, err
		}
	}
	return desired, reported, nil
}

func parseSection(v any) (patch, error) {
	p := patch{given: true}
	switch v := v.(type) {
	case nil:
		p.clear = true
	case tree:
		if tooDeep(v, MaxDepth) {
			return p, errors.New("JSON contains too many levels of nesting; maximum is 8")
		}
		p.values = v
	default:
		return p, errors.New("state nodes must be objects")
	}
	return p, nil
}

func tooDeep(v any, levels int) bool {
	if levels < 0 {
		return true
	}
	switch v := v.(type) {
	case tree:
		for _, child := range v {
			if tooDeep(child, levels-1) {
				return true
			}
		}
	case []any:
		for _, child := range v {
			if tooDeep(child, levels-1) {
				return true
			}
		}
	}
	return false
}

// merged is the section after the patch; the section itself stays as it was.
func (s section) merged(p patch, now time.Time) section {
	if p.clear {
		return section{}
	}
	if !p.given {
		return s
	}
	next := section{clone(s.values), clone(s.stamps)}
	merge(next.values, next.stamps, p.values, now.Unix())
	return next
}

// merge sets members of values and notes when; null removes a member, and an
// object that is left without members goes with it.
func merge(values, stamps, patch tree, at int64) {
	for key, v := range patch {
		object, isObject := v.(tree)
		switch {
		case v == nil:
			delete(values, key)
			delete(stamps, key)
		case isObject:
			child, ok := values[key].(tree)
			childStamps, ok2 := stamps[key].(tree)
			if !ok || !ok2 {
				child, childStamps = tree{}, tree{}
			}
			merge(child, childStamps, object, at)
			values[key], stamps[key] = child, childStamps
			if len(child) == 0 {
				delete(values, key)
				delete(stamps, key)
			}
		default:
			values[key], stamps[key] = v, stamp(v, at)
		}
	}
}

// stamp is the metadata of a value: the time for each leaf.
func stamp(v any, at int64) any {
	switch v := v.(type) {
	case tree:
		t := tree{}
		for key, child := range v {
			if child != nil {
				t[key] = stamp(child, at)
			}
		}
		return t
	case []any:
		list := make([]any, len(v))
		for i, child := range v {
			list[i] = stamp(child, at)
		}
		return list
	}
	return tree{"timestamp": at}
}

// clone copies the objects of a tree; other values are never changed in place.
func clone(t tree) tree {
	c := make(tree, len(t))
	for key, v := range t {
		if object, ok := v.(tree); ok {
			c[key] = clone(object)
		} else {
			c[key] = v
		}
	}
	return c
}

// echo is the section as the accepted message repeats it.
func (p patch) echo() any {
	switch {
	case !p.given:
		return nil
	case p.clear:
		return json.RawMessage("null")
	}
	return p.values
}

func (p patch) stamped(now time.Time) any {
	if !p.given || p.clear {
		return nil
	}
	return stamp(p.values, now.Unix())
}

// delta is what is desired and not reported so, with its metadata; nil if
// there is no such thing.
func (s *Shadow) delta() (values, stamps any) {
	d, m := differ(s.desired.values, s.desired.stamps, s.reported.values)
	return some(d), some(m)
}

func differ(want, stamps, have tree) (d, m tree) {
	d, m = tree{}, tree{}
	for key, w := range want {
		wantObject, ok1 := w.(tree)
		haveObject, ok2 := have[key].(tree)
		if ok1 && ok2 {
			stampObject, _ := stamps[key].(tree)
			if cd, cm := differ(wantObject, stampObject, haveObject); len(cd) > 0 {
				d[key], m[key] = cd, cm
			}
		} else if h, ok := have[key]; !ok || !reflect.DeepEqual(w, h) {
			d[key], m[key] = w, stamps[key]
		}
	}
	return d, m
}

// some is the tree, or nil if it is empty, so that encoding leaves it out.
func some(t tree) any {
	if len(t) == 0 {
		return nil
	}
	return maps.Clone(t)
}
