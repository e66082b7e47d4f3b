// Package tree is a device's side of device management without the network:
// its objects, instances, values and attributes, and the operations on them
// (OMA-TS-LightweightM2M_Core-V1_1 sections 5.1, 6.3 and 8).
//
//	t := tree.New(tree.Config{Version: content.V11, Format: content.TLV})
//	t.Add(objects.Device, 0, &tree.Instance{Values: model.Values{0: "maker"}})
//	payload, format, err := t.As(1).Read(path, 0, false)
//
// Nouns: a Tree is the objects of a device; an Instance of one has values and
// hooks; a View is the tree as one server sees it, with its access rights and
// its attributes, and has the operations.
package tree
