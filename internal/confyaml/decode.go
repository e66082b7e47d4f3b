package confyaml

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Pos is where a value came from.
type Pos struct {
	File         string
	Line, Column int
	// Comment is the comment on the value's line, or else on that of the
	// mapping around it, without "#".
	Comment string
}

// Decoder applies layers of configuration onto one struct. Later layers win.
type Decoder struct {
	into reflect.Value
	pos  map[string]Pos
	file string // of the layer being applied
	errs Errors
}

// NewDecoder decodes into the struct that into points to; what it holds are
// the defaults.
func NewDecoder(into any) *Decoder {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("confyaml: decode into %T, want a pointer to a struct", into))
	}
	return &Decoder{into: v.Elem(), pos: map[string]Pos{}}
}

// Decode reads one file with all its required fields into the struct that
// into points to. The error is Errors.
func Decode(file string, data []byte, into any) error {
	doc, err := Parse(file, data)
	if err != nil {
		return err
	}
	d := NewDecoder(into)
	if err := d.Apply(doc); err != nil {
		return err
	}
	return d.Complete()
}

// Apply decodes a layer. After an error, which is Errors, the struct holds
// the fields without mistakes.
func (d *Decoder) Apply(doc *Document) error {
	d.file, d.errs = doc.file, nil
	for _, f := range fieldsOf(d.into.Type()) {
		if f.own {
			d.into.FieldByIndex(f.index).SetZero()
			d.forget(f.name)
		}
	}
	d.value(doc.root, d.into, rule{}, place{})
	return d.errs.Sorted()
}

// Complete reports the required fields that no layer gave, as Errors.
func (d *Decoder) Complete() error {
	d.errs = nil
	d.missing(d.into, "", d.pos[""])
	return d.errs.Sorted()
}

// Pos tells where the value at a dotted path came from; false if it is a
// default. Of a value from Set it is the zero Pos. A shared field's path is
// the full one (link.up.rate).
func (d *Decoder) Pos(path string) (Pos, bool) {
	p, ok := d.pos[path]
	return p, ok
}

// Errorf is a mistake that only several fields together show, at the place of
// path or else of what is around it.
func (d *Decoder) Errorf(path, format string, args ...any) *Error {
	e := &Error{Field: path, Problem: fmt.Sprintf(format, args...)}
	for at := path; ; {
		if p, ok := d.pos[at]; ok && p.Line > 0 {
			e.File, e.Line, e.Column = p.File, p.Line, p.Column
			return e
		} else if ok || at == "" {
			return e // from Set, or a default
		}
		at = at[:max(strings.LastIndexByte(at, '.'), 0)]
	}
}

// A place is a field's path as written and as stored, which differ for shared
// fields.
type place struct {
	shown, stored, comment string
	quiet                  bool // the same mistake was reported already
}

func (p place) in(name string, n *yaml.Node) place {
	p.shown, p.stored = join(p.shown, name), join(p.stored, name)
	return p.commented(n)
}

func (p place) commented(n *yaml.Node) place {
	if c := strings.TrimSpace(strings.TrimLeft(n.LineComment, "# ")); c != "" {
		p.comment = c
	}
	return p
}

func (d *Decoder) fail(n *yaml.Node, p place, e Error) {
	if p.quiet {
		return
	}
	e.File, e.Line, e.Column = d.file, n.Line, n.Column
	if e.Field == "" {
		e.Field = p.shown
	}
	d.errs = append(d.errs, &e)
}

// wrong reports a node that is not what type and rule allow.
func (d *Decoder) wrong(n *yaml.Node, t reflect.Type, r rule, p place) {
	e := Error{Allowed: wantType(t, r)}
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		e.Problem = describe(n)
	} else {
		e.Value = shorten(n.Value)
		e.Nearest = Nearest(n.Value, r.enum)
	}
	d.fail(n, p, e)
}

// value decodes node n into v.
func (d *Decoder) value(n *yaml.Node, v reflect.Value, r rule, p place) {
	p = p.commented(n)
	d.pos[p.stored] = Pos{}
	if d.file != "" { // not Set
		d.pos[p.stored] = Pos{d.file, n.Line, n.Column, p.comment}
	}
	t := v.Type()
	switch {
	case t.Kind() == reflect.Pointer && n.Tag == "!!null":
		v.SetZero()
		d.forget(p.stored)
	case t.Kind() == reflect.Pointer:
		target := reflect.New(t.Elem())
		if !v.IsNil() {
			target.Elem().Set(v.Elem())
		}
		d.value(n, target.Elem(), r, p)
		v.Set(target)
	case isScalar(t):
		d.scalar(n, v, r, p)
	case t.Kind() == reflect.Struct && n.Kind == yaml.MappingNode:
		d.mapping(n, v, p)
	case t.Kind() == reflect.Struct:
		f, ok := standIn(t, n.Kind)
		if !ok {
			d.wrong(n, t, r, p)
			return
		}
		target := reflect.New(f.typ).Elem()
		before := len(d.errs)
		d.value(n, target, f.rule, place{p.shown, join(p.stored, f.name), p.comment, p.quiet})
		if len(d.errs) == before {
			v.FieldByIndex(f.index).Set(target)
		}
	case t.Kind() == reflect.Slice && n.Kind == yaml.SequenceNode:
		d.forgetBelow(p.stored)
		v.Set(reflect.MakeSlice(t, len(n.Content), len(n.Content)))
		for i, c := range n.Content {
			d.value(c, v.Index(i), r, p.in(strconv.Itoa(i), c))
		}
	case t.Kind() == reflect.Map && n.Kind == yaml.MappingNode:
		d.entries(n, v, r, p)
	default:
		d.wrong(n, t, r, p)
	}
}

func (d *Decoder) scalar(n *yaml.Node, v reflect.Value, r rule, p place) {
	target := reflect.New(v.Type()).Elem()
	text := isText(v.Type()) || v.Type() == durationType || v.Kind() == reflect.String
	quoted := n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" || quoted && !text ||
		parseScalar(n.Value, target) != nil || !r.allows(n.Value, target) {
		d.wrong(n, v.Type(), r, p)
		return
	}
	v.Set(target)
}

// mapping decodes the fields of struct v. Shared fields come first, so that
// link.up.rate wins over link.rate wherever they stand.
func (d *Decoder) mapping(n *yaml.Node, v reflect.Value, p place) {
	keys := d.keys(n, p)
	for _, shared := range []bool{true, false} {
		for _, i := range keys {
			k, c := n.Content[i], n.Content[i+1]
			targets := lookup(v.Type(), k.Value)
			switch {
			case len(targets) == 0 && !shared:
				names := namesOf(v.Type())
				e := Error{Problem: unknownField, Field: join(p.shown, shorten(k.Value)), Nearest: Nearest(k.Value, names)}
				if e.Nearest == "" {
					e.Allowed = "one of " + strings.Join(names, ", ")
				}
				d.fail(k, p, e)
			case len(targets) > 0 && shared == (len(targets[0]) == 2):
				for j, target := range targets {
					q := p.in(k.Value, k)
					q.quiet = p.quiet || j > 0
					d.field(c, v, target, q, p.stored)
				}
			}
		}
	}
}

// field decodes node n into the field at the end of path, below the struct v
// that is stored at base.
func (d *Decoder) field(n *yaml.Node, v reflect.Value, path []field, p place, base string) {
	for _, f := range path {
		v, base = v.FieldByIndex(f.index), join(base, f.name)
	}
	p.stored = base
	last := path[len(path)-1]
	if last.replace {
		v.SetZero()
		d.forget(base)
	}
	d.value(n, v, last.rule, p)
}

// entries decodes the entries of a string-keyed map. Entries merge.
func (d *Decoder) entries(n *yaml.Node, v reflect.Value, r rule, p place) {
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	for _, i := range d.keys(n, p) {
		k, c := n.Content[i], n.Content[i+1]
		key := reflect.ValueOf(k.Value).Convert(v.Type().Key())
		target := reflect.New(v.Type().Elem()).Elem()
		if old := v.MapIndex(key); old.IsValid() {
			target.Set(old)
		}
		d.value(c, target, r, p.in(k.Value, k))
		v.SetMapIndex(key, target)
	}
}

// keys are the indices of a mapping's usable keys.
func (d *Decoder) keys(n *yaml.Node, p place) []int {
	first := map[string]int{}
	var keys []int
	for i := 0; i < len(n.Content); i += 2 {
		k := n.Content[i]
		if k.Kind != yaml.ScalarNode || k.Tag == "!!null" {
			d.fail(k, p, Error{Problem: describe(k) + " in place of a field name"})
			continue
		}
		if line, twice := first[k.Value]; twice {
			d.fail(k, p, Error{Field: join(p.shown, shorten(k.Value)), Problem: fmt.Sprintf("given twice, first on line %d", line)})
			continue
		}
		first[k.Value] = k.Line
		keys = append(keys, i)
	}
	return keys
}

func (d *Decoder) forget(path string) {
	delete(d.pos, path)
	d.forgetBelow(path)
}

func (d *Decoder) forgetBelow(path string) {
	for p := range d.pos {
		if strings.HasPrefix(p, path+".") {
			delete(d.pos, p)
		}
	}
}

// missing collects the required fields below v that have no position.
func (d *Decoder) missing(v reflect.Value, path string, around Pos) {
	if p, ok := d.pos[path]; ok {
		around = p
	}
	switch {
	case v.Kind() == reflect.Pointer && !v.IsNil():
		d.missing(v.Elem(), path, around)
	case v.Kind() == reflect.Slice && !isScalar(v.Type()):
		for i := range v.Len() {
			d.missing(v.Index(i), join(path, strconv.Itoa(i)), around)
		}
	case v.Kind() == reflect.Map && !isScalar(v.Type()):
		for it := v.MapRange(); it.Next(); {
			d.missing(it.Value(), join(path, it.Key().String()), around)
		}
	case v.Kind() == reflect.Struct && !isScalar(v.Type()):
		for _, f := range fieldsOf(v.Type()) {
			at := join(path, f.name)
			if _, given := d.pos[at]; f.required && !given {
				d.errs = append(d.errs, &Error{
					File: around.File, Line: around.Line, Column: around.Column,
					Field: at, Problem: "missing", Allowed: wantType(f.typ, f.rule),
				})
			} else if given || f.typ.Kind() != reflect.Struct {
				d.missing(v.FieldByIndex(f.index), at, around)
			}
		}
	}
}
