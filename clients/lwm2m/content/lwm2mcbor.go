package content

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/thinlink/thinlink/clients/lwm2m/model"
)

// Format application/vnd.oma.lwm2m+cbor (Core 1.2 section 7.5.6) is a map by
// object ID of maps by instance ID of maps by resource ID, whose values are
// values or maps by resource instance ID. A key may also be an array of IDs, in
// place of as many maps.

// encodeLwM2MCBOR writes nodes in the order of their paths as nested maps.
func encodeLwM2MCBOR(_ model.Path, nodes []model.Node) ([]byte, error) {
	return appendLevel(nil, model.Flat(nodes), model.DepthObject)
}

// appendLevel appends the map of the IDs at a depth.
func appendLevel(dst []byte, nodes []model.Node, depth int) (_ []byte, err error) {
	var groups [][]model.Node
	for len(nodes) > 0 {
		path, n := nodes[0].Path.Up(depth), 1
		for n < len(nodes) && path.Contains(nodes[n].Path) {
			n++
		}
		groups, nodes = append(groups, nodes[:n]), nodes[n:]
	}
	dst = appendHead(dst, majorMap, uint64(len(groups)))
	for _, g := range groups {
		path := g[0].Path.Up(depth)
		dst = appendHead(dst, majorUnsigned, uint64(path.ID()))
		if len(g) == 1 && g[0].Path == path && (g[0].Value != nil || depth != model.DepthInstance) {
			dst, err = appendValue(dst, g[0])
		} else {
			if g[0].Path == path {
				g = g[1:] // it only says that the place is there
			}
			dst, err = appendLevel(dst, g, depth+1)
		}
		if err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// appendValue appends a value, or null if there is none.
func appendValue(dst []byte, n model.Node) ([]byte, error) {
	b, err := cborEncoding.Marshal(plain(n.Value))
	return append(dst, b...), err
}

// Major types of RFC 8949 section 3.1, and the additional information of
// section 3.
const (
	majorUnsigned = 0
	majorMap      = 5
	oneByte       = 24
	twoBytes      = 25
	indefinite    = 31
	breakByte     = 0xff
)

// appendHead appends the head of an item of up to 65535.
func appendHead(dst []byte, major byte, v uint64) []byte {
	switch {
	case v < oneByte:
		return append(dst, major<<5|byte(v))
	case v <= 0xff:
		return append(dst, major<<5|oneByte, byte(v))
	}
	return binary.BigEndian.AppendUint16(append(dst, major<<5|twoBytes), uint16(v))
}

var errLwM2MCBOR = errors.New("malformed LwM2M CBOR")

// decodeLwM2MCBOR walks the maps itself: their keys may be arrays.
func decodeLwM2MCBOR(_ model.Path, schema model.Schema, payload []byte) ([]model.Node, error) {
	if err := cborDecoding.Wellformed(payload); err != nil {
		return nil, err
	}
	if len(payload) == 0 || payload[0]>>5 != majorMap {
		return nil, fmt.Errorf("%w: no map", errLwM2MCBOR)
	}
	w := walker{schema: schema}
	_, err := w.walk(model.Path{}, payload)
	return w.nodes, err
}

type walker struct {
	schema model.Schema
	nodes  []model.Node
}

// walk reads the map at the head of well-formed data and returns what follows.
func (w *walker) walk(at model.Path, data []byte) (rest []byte, err error) {
	pairs, endless, data := mapHead(data)
	if nothing := pairs == 0 && (!endless || data[0] == breakByte); nothing && at.Depth() >= model.DepthInstance {
		w.empty(at)
	}
	for ; endless || pairs > 0; pairs-- {
		if endless && data[0] == breakByte {
			return data[1:], nil
		}
		var key any
		if data, err = cborDecoding.UnmarshalFirst(data, &key); err != nil {
			return nil, err
		}
		path, err := below(at, key)
		if err != nil {
			return nil, err
		}
		if data, err = w.value(path, data); err != nil {
			return nil, fmt.Errorf("%v: %w", path, err)
		}
	}
	return data, nil
}

// empty notes a place without anything below it.
func (w *walker) empty(at model.Path) {
	n := model.Node{Path: at}
	if at.Depth() == model.DepthResource {
		n.Value = model.Multiple{}
	}
	w.nodes = append(w.nodes, n)
}

// value reads what a key leads to: another map, or a value.
func (w *walker) value(path model.Path, data []byte) (rest []byte, err error) {
	if data[0]>>5 == majorMap {
		return w.walk(path, data)
	}
	var v any
	if rest, err = cborDecoding.UnmarshalFirst(data, &v); err != nil {
		return nil, err
	}
	if v != nil {
		v, err = typed(typeAt(w.schema, path), v)
	}
	w.nodes = append(w.nodes, model.Node{Path: path, Value: v})
	return rest, err
}

// mapHead is the number of pairs of a map in well-formed data, or endless for
// one that a break ends.
func mapHead(data []byte) (pairs uint64, endless bool, rest []byte) {
	info := data[0] & 31
	switch {
	case info == indefinite:
		return 0, true, data[1:]
	case info < oneByte:
		return uint64(info), false, data[1:]
	}
	n := 1 << (info - oneByte)
	return bigEndian(data[1 : 1+n]), false, data[1+n:]
}

// below is the path that a key leads to: one ID or an array of some.
func below(at model.Path, key any) (model.Path, error) {
	ids, ok := key.([]any)
	if !ok {
		ids = []any{key}
	}
	for _, id := range ids {
		v, ok := id.(uint64)
		if !ok || v >= model.MaxID || at.Depth() == model.DepthResourceInstance {
			return at, fmt.Errorf("%w: key %v below %v", errLwM2MCBOR, key, at)
		}
		at = at.Child(uint16(v))
	}
	if len(ids) == 0 {
		return at, fmt.Errorf("%w: empty key below %v", errLwM2MCBOR, at)
	}
	return at, nil
}
