package content

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/thinlink/thinlink/clients/lwm2m/model"
)

// document is format application/vnd.oma.lwm2m+json (LwM2M 1.0.2 section 6.4.4).
type document struct {
	BaseName string      `json:"bn,omitempty"`
	BaseTime json.Number `json:"bt,omitempty"`
	Entries  []entry     `json:"e"`
}

// entry is one value; bytes are in String, as base64.
type entry struct {
	Name    string      `json:"n,omitempty"`
	Time    json.Number `json:"t,omitempty"`
	Value   json.Number `json:"v,omitempty"`
	Boolean *bool       `json:"bv,omitempty"`
	Link    string      `json:"ov,omitempty"`
	String  *string     `json:"sv,omitempty"`
}

// encodeJSON writes nodes with their common place as base name.
func encodeJSON(base model.Path, nodes []model.Node) ([]byte, error) {
	nodes = model.Flat(nodes)
	if len(nodes) > 0 {
		base = nodes[0].Path.Common(nodes[len(nodes)-1].Path)
	}
	doc := document{BaseName: base.String(), Entries: make([]entry, 0, len(nodes))}
	if len(nodes) != 1 {
		doc.BaseName += "/"
	}
	for _, n := range nodes {
		if n.Value == nil {
			continue // an instance without resources cannot be told
		}
		e := entry{Name: n.Path.Below(base)}
		if n.Time != 0 {
			e.Time = json.Number(AppendText(nil, n.Time))
		}
		e.set(n.Value)
		doc.Entries = append(doc.Entries, e)
	}
	return marshalJSON(doc)
}

func (e *entry) set(v any) {
	switch v := v.(type) {
	case bool:
		e.Boolean = &v
	case model.Link:
		e.Link = string(AppendText(nil, v))
	case string, []byte:
		s := string(AppendText(nil, v))
		e.String = &s
	default:
		e.Value = json.Number(AppendText(nil, v))
	}
}

var errJSON = errors.New("malformed LwM2M JSON")

func decodeJSON(base model.Path, schema model.Schema, payload []byte) ([]model.Node, error) {
	var doc document
	if err := unmarshalJSON(payload, &doc); err != nil {
		return nil, err
	}
	if doc.Entries == nil {
		return nil, fmt.Errorf("%w: no entries", errJSON)
	}
	if doc.BaseName == "" { // then names are relative to the request's path
		doc.BaseName = base.String() + "/"
	}
	start, err := seconds(doc.BaseTime)
	if err != nil {
		return nil, err
	}
	nodes := make([]model.Node, 0, len(doc.Entries))
	for _, e := range doc.Entries {
		n := model.Node{Time: start}
		if n.Path, err = namedPath("/" + strings.TrimLeft(doc.BaseName+e.Name, "/")); err == nil {
			n.Value, err = e.value(typeAt(schema, n.Path))
		}
		if err != nil {
			return nil, fmt.Errorf("entry %q: %w", e.Name, err)
		}
		later, err := seconds(e.Time)
		if err != nil {
			return nil, err
		}
		if n.Time += later; math.IsInf(n.Time, 0) {
			return nil, fmt.Errorf("%w: time %v", errJSON, n.Time)
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

// seconds is a time, 0 for none.
func seconds(n json.Number) (float64, error) {
	if n == "" {
		return 0, nil
	}
	return n.Float64()
}

// value is that of the one field that is there.
func (e *entry) value(t model.Type) (v any, err error) {
	fields := 0
	if e.Value != "" {
		fields++
		v, err = jsonNumber(e.Value)
	}
	if e.Boolean != nil {
		fields++
		v = *e.Boolean
	}
	if e.Link != "" {
		fields++
		v, err = parseLink(e.Link)
	}
	if e.String != nil {
		fields++
		v = *e.String
		if t == model.Opaque {
			v, err = base64.StdEncoding.DecodeString(*e.String)
		}
	}
	if fields != 1 {
		return nil, fmt.Errorf("%w: %d values", errJSON, fields)
	}
	if err != nil {
		return nil, err
	}
	return model.Convert(t, v)
}
