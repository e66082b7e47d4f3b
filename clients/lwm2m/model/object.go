package model

import (
	"cmp"
	"slices"
)

// Ops are the operations a resource supports, as in object definitions.
type Ops uint8

// The operations; a resource is executable or has a value.
const (
	R Ops = 1 << iota
	W
	E
	RW = R | W
)

// Resource is the definition of a resource.
type Resource struct {
	ID   uint16
	Name string
	Ops  Ops
	Type Type
	// Multiple resources have a value of type Multiple.
	Multiple bool
	// Mandatory resources are always there.
	Mandatory bool
}

// Object is the definition of an object. Resources are in order of ID.
type Object struct {
	ID   uint16
	Name string
	// Version is told at registration unless it is empty, that is 1.0.
	Version string
	// Multiple objects may have several instances.
	Multiple bool
	// Mandatory objects are always there.
	Mandatory bool
	Resources []Resource
}

// Resource finds a definition by ID.
func (o *Object) Resource(id uint16) *Resource {
	i, ok := slices.BinarySearchFunc(o.Resources, id, func(r Resource, id uint16) int { return cmp.Compare(r.ID, id) })
	if !ok {
		return nil
	}
	return &o.Resources[i]
}

// Values are the values of an instance's resources, by ID.
type Values map[uint16]any
