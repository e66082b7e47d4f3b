package content

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/thinlink/thinlink/clients/lwm2m/model"
)

// record is a SenML record as it is written (RFC 8428 section 4), with vlo for
// object links (Core 1.1 section 7.4.4). Names of JSON and labels of CBOR
// (section 6, table 4).
type record struct {
	BaseName string   `json:"bn,omitempty" cbor:"-2,keyasint,omitempty"`
	BaseTime any      `json:"bt,omitempty" cbor:"-3,keyasint,omitempty"`
	Name     string   `json:"n,omitempty" cbor:"0,keyasint,omitempty"`
	Time     any      `json:"t,omitempty" cbor:"6,keyasint,omitempty"`
	Value    any      `json:"v,omitempty" cbor:"2,keyasint,omitempty"`
	String   *string  `json:"vs,omitempty" cbor:"3,keyasint,omitempty"`
	Boolean  *bool    `json:"vb,omitempty" cbor:"4,keyasint,omitempty"`
	Data     *urlData `json:"vd,omitempty" cbor:"8,keyasint,omitempty"`
	Link     string   `json:"vlo,omitempty" cbor:"vlo,omitempty"`
}

// urlData is bytes, in JSON as base64 with the URL-safe alphabet and without
// padding (RFC 8428 section 4.3).
type urlData []byte

// MarshalText implements encoding.TextMarshaler.
func (d urlData) MarshalText() ([]byte, error) {
	return base64.RawURLEncoding.AppendEncode(nil, d), nil
}

// set gives a record its value.
func (r *record) set(v any) {
	switch v := v.(type) {
	case string:
		r.String = &v
	case bool:
		r.Boolean = &v
	case []byte:
		r.Data = (*urlData)(&v)
	case model.Link:
		r.Link = string(AppendText(nil, v))
	default:
		r.Value = v
	}
}

// valued leaves out nodes that only say that an instance is there.
func valued(nodes []model.Node) []model.Node {
	return slices.DeleteFunc(nodes, func(n model.Node) bool { return n.Value == nil })
}

// records makes a pack of nodes in the order of their paths. Nodes of one object
// instance share a base name.
func records(nodes []model.Node) []record {
	pack := make([]record, 0, len(nodes))
	nodes = model.Flat(nodes)
	var now float64
	for len(nodes) > 0 {
		run := nodes[:family(nodes)]
		nodes = nodes[len(run):]
		base := run[0].Path.Common(run[len(run)-1].Path)
		for i, n := range run {
			var r record
			if i == 0 {
				r.BaseName = base.String()
				if len(run) > 1 {
					r.BaseName += "/"
				}
			}
			if n.Time != now {
				now = n.Time
				r.BaseTime = whole(now)
			}
			r.Name = n.Path.Below(base)
			r.set(n.Value)
			pack = append(pack, r)
		}
	}
	return pack
}

// family is how many nodes, from the first on, are of one object instance and
// have names below their common base: none is that base itself.
func family(nodes []model.Node) int {
	n := 1
	if nodes[0].Path.Depth() <= model.DepthInstance {
		return n
	}
	instance := nodes[0].Path.Up(model.DepthInstance)
	for n < len(nodes) && instance.Contains(nodes[n].Path) && !nodes[n-1].Path.Contains(nodes[n].Path) {
		n++
	}
	return n
}

// whole is a float as an integer if it is one, which is shorter.
func whole(f float64) any {
	if i, err := model.Convert(model.Integer, f); err == nil {
		return i
	}
	return f
}

// base is what records inherit from the ones before (RFC 8428 section 4.1).
type base struct {
	name        string
	time, value float64
	hasValue    bool
}

var errSenML = errors.New("malformed SenML")

// resolve reads a pack whose records are maps by the names of JSON (section
// 4.6): numbers are int64, uint64 or float64, vd is []byte.
func resolve(schema model.Schema, pack []map[string]any) ([]model.Node, error) {
	nodes := make([]model.Node, 0, len(pack))
	var b base
	for i, r := range pack {
		n, err := b.resolve(schema, r)
		if err != nil {
			return nil, fmt.Errorf("record %d: %w", i, err)
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

// maxSenMLVersion is the one of RFC 8428 (section 4.4).
const maxSenMLVersion = 10

func (b *base) resolve(schema model.Schema, r map[string]any) (n model.Node, err error) {
	for label := range r {
		if strings.HasSuffix(label, "_") { // section 4.4: must be understood
			return n, fmt.Errorf("%w: field %q", errSenML, label)
		}
	}
	if v, ok := r["bver"]; ok {
		if version, ok := model.Number(v); !ok || version > maxSenMLVersion {
			return n, fmt.Errorf("%w: version %v", errSenML, v)
		}
	}
	name, time := "", 0.0
	for _, f := range []struct {
		label string
		into  any
	}{{"bn", &b.name}, {"bt", &b.time}, {"n", &name}, {"t", &time}} {
		if err := take(r, f.label, f.into); err != nil {
			return n, err
		}
	}
	if _, ok := r["bv"]; ok {
		b.hasValue = true
		if err := take(r, "bv", &b.value); err != nil {
			return n, err
		}
	}
	if n.Path, err = namedPath(b.name + name); err != nil {
		return n, err
	}
	if n.Time = b.time + time; math.IsNaN(n.Time) || math.IsInf(n.Time, 0) {
		return n, fmt.Errorf("%w: time %v", errSenML, n.Time)
	}
	v, err := b.pick(r)
	if err == nil && v != nil {
		n.Value, err = model.Convert(typeAt(schema, n.Path), v)
	}
	return n, err
}

// namedPath is the path of a whole name; base names often end with a slash.
func namedPath(name string) (model.Path, error) {
	if name == "" || name[0] != '/' {
		return model.Path{}, fmt.Errorf("%w: name %q", errSenML, name)
	}
	if len(name) > 1 {
		name = strings.TrimSuffix(name, "/")
	}
	return model.ParsePath(name)
}

// take reads a field that is a string or a number, if it is there.
func take(r map[string]any, label string, into any) error {
	v, there := r[label]
	if !there {
		return nil
	}
	ok := false
	switch into := into.(type) {
	case *string:
		*into, ok = v.(string)
	case *float64:
		*into, ok = model.Number(v)
	}
	if !ok {
		return fmt.Errorf("%w: field %s: %v", errSenML, label, v)
	}
	return nil
}

// pick is the value of a record, nil for none: it has at most one (section 4.2).
func (b *base) pick(r map[string]any) (value any, err error) {
	for _, label := range []string{"v", "vs", "vb", "vd", "vlo"} {
		v, there := r[label]
		if !there || v == nil { // null deletes a resource instance (Core 1.2 section 6.3.9)
			continue
		}
		if value != nil {
			return nil, fmt.Errorf("%w: two values", errSenML)
		}
		if value, err = b.valueOf(label, v); err != nil {
			return nil, err
		}
	}
	return value, nil
}

func (b *base) valueOf(label string, v any) (any, error) {
	_, numeric := model.Number(v)
	s, isString := v.(string)
	_, isBool := v.(bool)
	_, isData := v.([]byte)
	switch {
	case label == "v" && numeric && b.hasValue:
		f, _ := model.Number(v)
		return whole(b.value + f), nil // section 4.6: the sum
	case label == "v" && numeric, label == "vs" && isString, label == "vb" && isBool, label == "vd" && isData:
		return v, nil
	case label == "vlo" && isString:
		return parseLink(s)
	}
	return nil, fmt.Errorf("%w: field %s: %v", errSenML, label, v)
}
