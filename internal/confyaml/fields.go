package confyaml

import (
	"reflect"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

// A field is one configurable field of a struct.
type field struct {
	name     string
	index    []int
	typ      reflect.Type
	doc      string
	rule     rule
	required bool
	scalar   bool
	list     bool
	share    bool
	replace  bool
	own      bool
}

// A rule restricts a scalar.
type rule struct {
	min, max, above, pattern string
	enum                     []string
}

var fieldCache sync.Map // of []field by reflect.Type

// fieldsOf lists the configurable fields of struct t, those of embedded
// structs among them.
func fieldsOf(t reflect.Type) []field {
	if fields, ok := fieldCache.Load(t); ok {
		return fields.([]field)
	}
	fields := readFields(t)
	fieldCache.Store(t, fields)
	return fields
}

func readFields(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		sf := t.Field(i)
		name, tagged := sf.Tag.Lookup("conf")
		if sf.Anonymous && !tagged && sf.Type.Kind() == reflect.Struct {
			for _, f := range fieldsOf(sf.Type) {
				f.index = append(append([]int{}, sf.Index...), f.index...)
				fields = append(fields, f)
			}
			continue
		}
		if !tagged || name == "-" {
			continue
		}
		f := field{
			name: name, index: sf.Index, typ: sf.Type, doc: sf.Tag.Get("doc"),
			rule:     rule{min: sf.Tag.Get("min"), max: sf.Tag.Get("max"), above: sf.Tag.Get("above"), pattern: sf.Tag.Get("pattern")},
			required: sf.Tag.Get("required") == "true",
			scalar:   sf.Tag.Get("scalar") == "true",
			list:     sf.Tag.Get("list") == "true",
			share:    sf.Tag.Get("share") == "true",
			replace:  sf.Tag.Get("merge") == "replace",
			own:      sf.Tag.Get("merge") == "own",
		}
		if enum := sf.Tag.Get("enum"); enum != "" {
			f.rule.enum = strings.Split(enum, ",")
		}
		fields = append(fields, f)
	}
	return fields
}

// lookup finds the fields that a name beside struct t's fields means: its
// field of that name, or else that field of every shared struct.
func lookup(t reflect.Type, name string) (targets [][]field) {
	fields := fieldsOf(t)
	for _, f := range fields {
		if f.name == name {
			return [][]field{{f}}
		}
	}
	for _, shared := range fields {
		if !shared.share {
			continue
		}
		for _, f := range fieldsOf(shared.typ) {
			if f.name == name {
				targets = append(targets, []field{shared, f})
			}
		}
	}
	return targets
}

// namesOf are the names that lookup finds.
func namesOf(t reflect.Type) []string {
	var names []string
	seen := map[string]bool{}
	add := func(name string) {
		if !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	fields := fieldsOf(t)
	for _, f := range fields {
		add(f.name)
	}
	for _, f := range fields {
		if f.share {
			for _, inner := range fieldsOf(f.typ) {
				add(inner.name)
			}
		}
	}
	return names
}

// standIns are the fields that a plain value or a list in place of struct t
// sets.
func standIns(t reflect.Type) (fields []field) {
	for _, f := range fieldsOf(t) {
		if f.scalar || f.list {
			fields = append(fields, f)
		}
	}
	return fields
}

// standIn is the one of them that a node of this kind sets.
func standIn(t reflect.Type, kind yaml.Kind) (field, bool) {
	for _, f := range standIns(t) {
		if f.scalar && kind == yaml.ScalarNode || f.list && kind == yaml.SequenceNode {
			return f, true
		}
	}
	return field{}, false
}

// join extends a dotted path.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
