package model

import (
	"fmt"
	"strconv"
	"strings"
)

// Path names the root, an object, an object instance or a resource, as in "/",
// "/3", "/3/0" and "/3/0/1".
type Path struct {
	ids   [3]uint16
	depth uint8
}

// The depths of paths.
const (
	DepthRoot = iota
	DepthObject
	DepthInstance
	DepthResource
)

// NewPath makes a path of up to three IDs: object, instance, resource.
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
		if err != nil || v == 0xffff || len(id) > 1 && id[0] == '0' || id[0] == '+' || p.depth == DepthResource {
			return Path{}, fmt.Errorf("path %q: want up to three numbers", s)
		}
		p.ids[p.depth] = uint16(v)
		p.depth++
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

// Depth is how many numbers the path has: one of the Depth constants.
func (p Path) Depth() int { return int(p.depth) }

// Contains reports whether q is p or below it.
func (p Path) Contains(q Path) bool {
	if p.depth > q.depth {
		return false
	}
	for i := range p.depth {
		if p.ids[i] != q.ids[i] {
			return false
		}
	}
	return true
}

// Parent is the path one level up.
func (p Path) Parent() Path {
	p.depth--
	p.ids[p.depth] = 0
	return p
}

// Child is the path one level down.
func (p Path) Child(id uint16) Path {
	p.ids[p.depth] = id
	p.depth++
	return p
}
