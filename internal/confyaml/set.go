package confyaml

import (
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Set assigns one value by its dotted path with the checks of Decode, to the
// struct that into points to. Elements of lists go by their index from 0; the
// index after the last appends. Lists and mappings are written as YAML
// ("[a, b]"). The error is *Error, without a file.
func Set(into any, path, value string) error { return NewDecoder(into).Set(path, value) }

// Set is a layer of one value.
func (d *Decoder) Set(path, value string) error {
	d.file, d.errs = "", nil
	d.set(d.into, rule{}, strings.Split(path, "."), place{}, value)
	if len(d.errs) > 0 {
		e := d.errs[0]
		e.Line, e.Column = 0, 0
		return e
	}
	return nil
}

// set walks the path to the value that is to be assigned.
func (d *Decoder) set(v reflect.Value, r rule, path []string, p place, value string) {
	t := v.Type()
	switch {
	case len(path) == 0:
		if n, ok := d.node(t, r, p, value); ok {
			d.value(n, v, r, p)
		}
	case t.Kind() == reflect.Pointer:
		target := reflect.New(t.Elem())
		if !v.IsNil() {
			target.Elem().Set(v.Elem())
		}
		d.set(target.Elem(), r, path, p, value)
		if len(d.errs) == 0 {
			v.Set(target)
		}
	case isScalar(t):
		d.fail(&yaml.Node{}, p, Error{Problem: "has no fields", Allowed: wantType(t, r)})
	case t.Kind() == reflect.Slice:
		d.setElement(v, r, path, p, value)
	case t.Kind() == reflect.Map:
		d.setEntry(v, r, path, p, value)
	default:
		d.setField(v, path, p, value)
	}
}

func (d *Decoder) setField(v reflect.Value, path []string, p place, value string) {
	targets := lookup(v.Type(), path[0])
	if targets == nil {
		names := namesOf(v.Type())
		e := Error{Problem: unknownField, Field: join(p.shown, shorten(path[0])), Nearest: Nearest(path[0], names)}
		if e.Nearest == "" {
			e.Allowed = "one of " + strings.Join(names, ", ")
		}
		d.fail(&yaml.Node{}, p, e)
		return
	}
	for _, target := range targets {
		f, q := v, place{shown: join(p.shown, path[0]), stored: p.stored}
		for _, step := range target {
			f, q.stored = f.FieldByIndex(step.index), join(q.stored, step.name)
		}
		last := target[len(target)-1]
		before := reflect.New(f.Type()).Elem()
		before.Set(f)
		if len(path) == 1 && last.replace {
			f.SetZero()
			d.forget(q.stored)
		}
		d.set(f, last.rule, path[1:], q, value)
		if len(d.errs) > 0 {
			f.Set(before)
			return
		}
	}
}

func (d *Decoder) setElement(v reflect.Value, r rule, path []string, p place, value string) {
	i, err := strconv.Atoi(path[0])
	if err != nil || i < 0 || i > v.Len() {
		d.fail(&yaml.Node{}, p, Error{Field: join(p.shown, shorten(path[0])), Problem: "no such element", Allowed: "an index from 0 to " + strconv.Itoa(v.Len())})
		return
	}
	// A copy, so that a mistake changes nothing and no other holder of the
	// slice sees the change.
	list := reflect.MakeSlice(v.Type(), max(v.Len(), i+1), max(v.Len(), i+1))
	reflect.Copy(list, v)
	d.set(list.Index(i), r, path[1:], place{join(p.shown, path[0]), join(p.stored, path[0]), "", false}, value)
	if len(d.errs) == 0 {
		v.Set(list)
	}
}

func (d *Decoder) setEntry(v reflect.Value, r rule, path []string, p place, value string) {
	key := reflect.ValueOf(path[0]).Convert(v.Type().Key())
	target := reflect.New(v.Type().Elem()).Elem()
	if old := v.MapIndex(key); old.IsValid() {
		target.Set(old)
	}
	d.set(target, r, path[1:], place{join(p.shown, path[0]), join(p.stored, path[0]), "", false}, value)
	if len(d.errs) > 0 {
		return
	}
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	v.SetMapIndex(key, target)
}

// node is the value as YAML would give it: text as it is for a plain field,
// parsed for any other.
func (d *Decoder) node(t reflect.Type, r rule, p place, value string) (*yaml.Node, bool) {
	for t.Kind() == reflect.Pointer {
		if value == "null" {
			return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}, true
		}
		t = t.Elem()
	}
	scalar := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
	if isScalar(t) {
		return scalar, true
	}
	doc, err := Parse("", []byte("value: "+value))
	if err != nil || len(doc.root.Content) != 2 {
		d.wrong(scalar, t, r, p)
		return nil, false
	}
	return doc.root.Content[1], true
}
