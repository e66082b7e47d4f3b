package content

import (
	"fmt"

	"github.com/thinlink/thinlink/clients/lwm2m/model"
)

// encodeTLV writes nodes as TLV (section 7.4.3): of an object its instances, of a
// resource instance itself, of anything else resources.
func encodeTLV(base model.Path, nodes []model.Node) ([]byte, error) {
	switch base.Depth() {
	case model.DepthObject:
		return appendGroups(nil, nodes, model.DepthInstance), nil
	case model.DepthResourceInstance:
		v, err := only(base, nodes)
		if err != nil {
			return nil, err
		}
		return appendTLV(nil, tlvResourceInstance, base.ID(), AppendBinary(nil, v)), nil
	}
	return appendGroups(nil, nodes, model.DepthResource), nil
}

// appendGroups appends an element for each place of a depth that nodes, in the
// order of their paths, are at or below.
func appendGroups(dst []byte, nodes []model.Node, depth int) []byte {
	for len(nodes) > 0 {
		path := nodes[0].Path.Up(depth)
		n := 1
		for n < len(nodes) && path.Contains(nodes[n].Path) {
			n++
		}
		dst = appendGroup(dst, path, nodes[:n])
		nodes = nodes[n:]
	}
	return dst
}

// appendGroup appends the element of one place.
func appendGroup(dst []byte, path model.Path, nodes []model.Node) []byte {
	first := nodes[0]
	if first.Value == nil {
		nodes = nodes[1:] // it only says that the place is there
	}
	switch {
	case path.Depth() == model.DepthInstance:
		return appendTLV(dst, tlvInstance, path.ID(), appendGroups(nil, nodes, model.DepthResource))
	case path.Depth() == model.DepthResourceInstance:
		return appendTLV(dst, tlvResourceInstance, path.ID(), AppendBinary(nil, first.Value))
	case first.Path != path:
		return appendTLV(dst, tlvMultiple, path.ID(), appendGroups(nil, nodes, model.DepthResourceInstance))
	}
	if _, multiple := first.Value.(model.Multiple); multiple {
		return appendTLV(dst, tlvMultiple, path.ID(), appendGroups(nil, model.Flat(nodes), model.DepthResourceInstance))
	}
	return appendTLV(dst, tlvResource, path.ID(), AppendBinary(nil, first.Value))
}

// decodeTLV reads TLV. Resources of an object without an instance around them
// are of a new one, whose ID is to be chosen: model.MaxID (section 6.3.6).
func decodeTLV(base model.Path, schema model.Schema, payload []byte) ([]model.Node, error) {
	list, err := parseTLVs(payload)
	if err != nil {
		return nil, err
	}
	wrapped := len(list) > 0 && list[0].Kind == tlvInstance
	at := base
	switch {
	case base.Depth() == model.DepthObject && !wrapped:
		at = base.Child(model.MaxID)
		return appendNodes([]model.Node{{Path: at}}, schema, at, list)
	case base.Depth() == model.DepthInstance && wrapped, base.Depth() == model.DepthResourceInstance:
		at = base.Parent()
	case base.Depth() == model.DepthResource && (len(list) == 0 || list[0].Kind != tlvResourceInstance):
		at = base.Parent()
	}
	return appendNodes(nil, schema, at, list)
}

// appendNodes appends what elements at a path say.
func appendNodes(nodes []model.Node, schema model.Schema, at model.Path, list []element) (_ []model.Node, err error) {
	depths := [...]int{
		tlvInstance: model.DepthObject, tlvMultiple: model.DepthInstance, tlvResource: model.DepthInstance,
		tlvResourceInstance: model.DepthResource,
	}
	for i := range list {
		e := &list[i]
		if at.Depth() != depths[e.Kind] {
			return nil, fmt.Errorf("%w: kind %d at %v", errTLV, e.Kind, at)
		}
		path := at.Child(e.ID)
		switch e.Kind {
		case tlvInstance:
			nodes, err = appendNodes(append(nodes, model.Node{Path: path}), schema, path, e.Children)
		case tlvMultiple:
			nodes, err = appendInstances(nodes, schema, path, e.Children)
		default:
			var v any
			v, err = ParseBinary(typeAt(schema, path), e.Value)
			nodes = append(nodes, model.Node{Path: path, Value: v})
		}
		if err != nil {
			return nil, fmt.Errorf("%v: %w", path, err)
		}
	}
	return nodes, nil
}

// appendInstances appends the instances of a resource, which may have none.
func appendInstances(nodes []model.Node, schema model.Schema, path model.Path, list []element) ([]model.Node, error) {
	if len(list) == 0 {
		return append(nodes, model.Node{Path: path, Value: model.Multiple{}}), nil
	}
	return appendNodes(nodes, schema, path, list)
}
