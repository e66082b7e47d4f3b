package model

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Path names the root, an object, an object instance, a resource or a resource
// instance, as in "/", "/3", "/3/0", "/3/0/7" and "/3/0/7/1".
type Path struct {
	ids   [4]uint16
	depth uint8
}

// The depths of paths.
const (
	DepthRoot = iota
	DepthObject
	DepthInstance
	DepthResource
	DepthResourceInstance
)

// MaxID is reserved: no object, instance or resource has it (section 7.2).
const MaxID = 0xffff

// NewPath makes a path of up to four IDs: object, instance, resource, resource
// instance.
func NewPath(ids ...uint16) Path {
	var p Path
	p.depth = uint8(copy(p.ids[:], ids))
	return p
}

// ParsePath reads a path; numbers have no leading zeros (section 7.2: 16-bit
// unsigned integers in decimal; 65535 is reserved).
func ParsePath(s string) (Path, error) {
	var p Path
	if s == "/" || s == "" {
		return p, nil
	}
	for id := range strings.SplitSeq(strings.TrimPrefix(s, "/"), "/") {
		v, err := strconv.ParseUint(id, 10, 16)
		if err != nil || v == MaxID || len(id) > 1 && id[0] == '0' || id[0] == '+' || p.depth == DepthResourceInstance {
			return Path{}, fmt.Errorf("path %q: want up to four numbers", s)
		}
		p = p.Child(uint16(v))
	}
	return p, nil
}

// String is the path as in links and URIs.
func (p Path) String() string {
	if p.depth == DepthRoot {
		return "/"
	}
	var b []byte
	for _, id := range p.ids[:p.depth] {
		b = append(b, '/')
		b = strconv.AppendUint(b, uint64(id), 10)
	}
	return string(b)
}

// Object, Instance and Resource are the path's numbers; 0 beyond its depth.
func (p Path) Object() uint16 { return p.ids[0] }

// Instance is the object instance ID.
func (p Path) Instance() uint16 { return p.ids[1] }

// Resource is the resource ID.
func (p Path) Resource() uint16 { return p.ids[2] }

// ResourceInstance is the resource instance ID.
func (p Path) ResourceInstance() uint16 { return p.ids[3] }

// ID is the last number; 0 of the root.
func (p Path) ID() uint16 {
	if p.depth == DepthRoot {
		return 0
	}
	return p.ids[p.depth-1]
}

// Depth is how many numbers the path has: one of the Depth constants.
func (p Path) Depth() int { return int(p.depth) }

// Contains reports whether q is p or below it.
func (p Path) Contains(q Path) bool { return p.depth <= q.depth && q.Up(p.Depth()) == p }

// Up is the ancestor at a depth, or p itself if that is not above it.
func (p Path) Up(depth int) Path {
	if depth >= p.Depth() {
		return p
	}
	return NewPath(p.ids[:depth]...)
}

// Parent is the path one level up.
func (p Path) Parent() Path { return p.Up(p.Depth() - 1) }

// Child is the path one level down.
func (p Path) Child(id uint16) Path {
	p.ids[p.depth] = id
	p.depth++
	return p
}

// Below is what comes after an ancestor, as in "0/7" for "/3/0/7" below "/3".
func (p Path) Below(ancestor Path) string {
	s := p.String()[len(strings.TrimSuffix(ancestor.String(), "/")):]
	return strings.TrimPrefix(s, "/")
}

// Common is the deepest path that contains both.
func (p Path) Common(q Path) Path {
	for !p.Contains(q) {
		p = p.Parent()
	}
	return p
}

// Compare orders paths by their numbers; an ancestor comes first.
func (p Path) Compare(q Path) int {
	return slices.CompareFunc(p.ids[:p.depth], q.ids[:q.depth], cmp.Compare[uint16])
}
