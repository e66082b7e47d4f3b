package confyaml

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/thinlink/thinlink/internal/units"
)

// Leaf is one plain value of a configuration.
type Leaf struct {
	Path  string // dotted, as Set takes it
	Value string // as YAML writes it
}

// Leaves lists the values of a struct that are not zero, in the order of its
// fields.
func Leaves(of any) []Leaf {
	var leaves []Leaf
	var walk func(n *yaml.Node, path string)
	walk = func(n *yaml.Node, path string) {
		switch n.Kind {
		case yaml.MappingNode:
			for i := 0; i < len(n.Content); i += 2 {
				walk(n.Content[i+1], join(path, n.Content[i].Value))
			}
		case yaml.SequenceNode:
			for i, c := range n.Content {
				walk(c, join(path, strconv.Itoa(i)))
			}
		default:
			leaves = append(leaves, Leaf{path, n.Value})
		}
	}
	walk(tree(of, nil), "")
	return leaves
}

// Encode writes a struct as the YAML that decodes to it, without the fields
// that are zero. comment gives the comment of the value at a dotted path, or
// ""; it may be nil.
func Encode(of any, comment func(path string) string) ([]byte, error) {
	var b strings.Builder
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(tree(of, comment)); err != nil {
		return nil, fmt.Errorf("encode %T: %w", of, err)
	}
	if err := enc.Close(); err != nil {
		return nil, fmt.Errorf("encode %T: %w", of, err)
	}
	return []byte(b.String()), nil
}

// Object is a struct as maps, lists, numbers, booleans and text for JSON;
// values with units are text. Fields that are zero are left out.
func Object(of any) map[string]any {
	return plain(tree(of, nil)).(map[string]any)
}

func plain(n *yaml.Node) any {
	switch n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i < len(n.Content); i += 2 {
			m[n.Content[i].Value] = plain(n.Content[i+1])
		}
		return m
	case yaml.SequenceNode:
		list := []any{}
		for _, c := range n.Content {
			list = append(list, plain(c))
		}
		return list
	}
	var v any
	if err := n.Decode(&v); err != nil {
		panic(err) // tree made the node
	}
	return v
}

func tree(of any, comment func(path string) string) *yaml.Node {
	v := reflect.ValueOf(of)
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	return node(v, "", comment)
}

// node is v as YAML, nil if there is nothing to write.
func node(v reflect.Value, path string, comment func(string) string) *yaml.Node {
	switch {
	case v.Kind() == reflect.Pointer && v.IsNil():
		return nil
	case v.Kind() == reflect.Pointer:
		return node(v.Elem(), path, comment)
	case isScalar(v.Type()):
		n := scalarNode(v)
		if comment != nil {
			if c := comment(path); c != "" {
				n.LineComment = "# " + c
			}
		}
		return n
	case v.Kind() == reflect.Slice:
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for i := range v.Len() {
			n.Content = append(n.Content, node(v.Index(i), join(path, strconv.Itoa(i)), comment))
		}
		return n
	case v.Kind() == reflect.Map:
		return mapNode(v, path, comment)
	}
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for _, f := range fieldsOf(v.Type()) {
		fv := v.FieldByIndex(f.index)
		if fv.IsZero() || fv.Kind() == reflect.Slice && fv.Len() == 0 || fv.Kind() == reflect.Map && fv.Len() == 0 {
			continue
		}
		if c := node(fv, join(path, f.name), comment); c != nil {
			n.Content = append(n.Content, keyNode(f.name), c)
		}
	}
	return n
}

func keyNode(name string) *yaml.Node {
	n := new(yaml.Node)
	n.SetString(name)
	return n
}

func mapNode(v reflect.Value, path string, comment func(string) string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for _, key := range sortedKeys(v) {
		n.Content = append(n.Content, keyNode(key), node(v.MapIndex(reflect.ValueOf(key).Convert(v.Type().Key())), join(path, key), comment))
	}
	return n
}

func sortedKeys(v reflect.Value) []string {
	var keys []string
	for _, k := range v.MapKeys() {
		keys = append(keys, k.String())
	}
	slices.Sort(keys)
	return keys
}

func scalarNode(v reflect.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode}
	switch {
	case v.Type() == durationType:
		n.Value = units.FormatDuration(time.Duration(v.Int()))
	case isText(v.Type()):
		n.Value = marshalText(v)
	case v.Kind() == reflect.String:
		n.SetString(v.String())
	case v.CanFloat():
		n.Value = strconv.FormatFloat(v.Float(), 'g', -1, v.Type().Bits())
	default:
		n.Value = fmt.Sprint(v.Interface())
	}
	return n
}

// marshalText is the text of a value whose type reads text.
func marshalText(v reflect.Value) string {
	m, ok := v.Interface().(encoding.TextMarshaler)
	if !ok {
		panic("confyaml: " + v.Type().String() + " reads text and does not write it")
	}
	text, err := m.MarshalText()
	if err != nil {
		panic(fmt.Sprintf("confyaml: write %s: %v", v.Type(), err))
	}
	return string(text)
}
