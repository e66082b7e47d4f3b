package model

import "strconv"

// Type is the data type of a resource (LwM2M Core 1.1 appendix C).
type Type uint8

// The data types and the Go types of their values.
const (
	String     Type = iota + 1 // string
	Integer                    // int64
	Float                      // float64
	Boolean                    // bool
	Opaque                     // []byte
	Time                       // int64, seconds since 1970
	ObjectLink                 // Link
)

// Link is a value of type ObjectLink: object and instance.
type Link struct{ Object, Instance uint16 }

// Multiple is the value of a multiple-instance resource, by resource instance.
type Multiple map[uint16]any

// String is the type's name in object definitions.
func (t Type) String() string {
	names := [...]string{"none", "String", "Integer", "Float", "Boolean", "Opaque", "Time", "Objlnk"}
	if int(t) >= len(names) {
		return "Type(" + strconv.Itoa(int(t)) + ")"
	}
	return names[t]
}
