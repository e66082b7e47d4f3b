package model

import (
	"maps"
	"slices"
)

// Node is a place in a device's tree with its value: what every content format
// carries a list of. A resource or resource instance has one value. Without
// value, a node only names a place: one to read, an object instance without
// resources, or a resource instance to delete.
type Node struct {
	Path Path
	// Value is of the Go type of the resource's Type; nil for none. A resource
	// may also have a Multiple, in place of a node for each of its instances.
	Value any
	// Time is when the value was measured, in seconds since 1970; below 2^28 it
	// counts from now (RFC 8428 section 4.5.3), so that 0 is now.
	Time float64
}

// Flat has every resource instance as a node of its own, in place of Multiples.
// Of an empty Multiple nothing is left.
func Flat(nodes []Node) []Node {
	flat := make([]Node, 0, len(nodes))
	for _, n := range nodes {
		m, ok := n.Value.(Multiple)
		if !ok {
			flat = append(flat, n)
			continue
		}
		for _, id := range slices.Sorted(maps.Keys(m)) {
			flat = append(flat, Node{n.Path.Child(id), m[id], n.Time})
		}
	}
	return flat
}

// Schema finds the definition of a resource by a path to it or to an instance
// of it; nil if there is none.
type Schema func(Path) *Resource

// Nodes are the values of an instance's resources, in order of ID.
func Nodes(instance Path, values Values) []Node {
	nodes := make([]Node, 0, len(values))
	for _, id := range slices.Sorted(maps.Keys(values)) {
		nodes = append(nodes, Node{Path: instance.Child(id), Value: values[id]})
	}
	return nodes
}

// ValuesOf is the opposite of Nodes, for nodes of one instance.
func ValuesOf(nodes []Node) Values {
	values := make(Values)
	for _, n := range nodes {
		switch id := n.Path.Resource(); n.Path.Depth() {
		case DepthResource:
			values[id] = n.Value
		case DepthResourceInstance:
			m, ok := values[id].(Multiple)
			if !ok {
				m = make(Multiple)
				values[id] = m
			}
			m[n.Path.ResourceInstance()] = n.Value
		}
	}
	return values
}
