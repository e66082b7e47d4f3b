package model

import (
	"fmt"
	"math"
	"strconv"
)

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
	Unsigned                   // uint64
	CoreLink                   // string, in link format
)

// Link is a value of type ObjectLink: object and instance.
type Link struct{ Object, Instance uint16 }

// Multiple is the value of a multiple-instance resource, by resource instance.
type Multiple map[uint16]any

// String is the type's name in object definitions.
func (t Type) String() string {
	names := [...]string{"none", "String", "Integer", "Float", "Boolean", "Opaque", "Time", "Objlnk", "Unsigned Integer", "Corelnk"}
	if int(t) >= len(names) {
		return "Type(" + strconv.Itoa(int(t)) + ")"
	}
	return names[t]
}

// Numeric reports whether values are numbers that can be compared.
func (t Type) Numeric() bool { return t == Integer || t == Unsigned || t == Float || t == Time }

// Number is a numeric value as a float.
func Number(v any) (f float64, ok bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case uint64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// Convert makes a value that a format has typed by itself one of type t: formats
// such as SenML know numbers, but neither floats nor times. t 0 leaves it as it
// is.
func Convert(t Type, v any) (any, error) {
	switch v := v.(type) {
	case string:
		if t == 0 || t == String || t == CoreLink {
			return v, nil
		}
	case bool:
		if t == 0 || t == Boolean {
			return v, nil
		}
	case []byte:
		if t == 0 || t == Opaque {
			return v, nil
		}
	case Link:
		if t == 0 || t == ObjectLink {
			return v, nil
		}
	case int64, uint64, float64:
		f, _ := Number(v)
		switch {
		case math.IsNaN(f) || math.IsInf(f, 0): // no text format has these
		case t == 0:
			return v, nil
		default:
			return convertNumber(t, v)
		}
	}
	return nil, fmt.Errorf("a %T is no value of type %v", v, t)
}

// The bounds of what float64 numbers are exactly: as integers, and of 64 bits.
const (
	two63 = 1 << 63
	two64 = 1 << 64
)

func convertNumber(t Type, v any) (any, error) {
	f, _ := Number(v)
	i, isInt := v.(int64)
	u, isUint := v.(uint64)
	whole := f == math.Trunc(f)
	switch {
	case t == Float:
		return f, nil
	case (t == Integer || t == Time) && isInt:
		return i, nil
	case (t == Integer || t == Time) && isUint && u <= math.MaxInt64:
		return int64(u), nil
	case (t == Integer || t == Time) && !isInt && !isUint && whole && f >= -two63 && f < two63:
		return int64(f), nil
	case t == Unsigned && isUint:
		return u, nil
	case t == Unsigned && isInt && i >= 0:
		return uint64(i), nil
	case t == Unsigned && !isInt && !isUint && whole && f >= 0 && f < two64:
		return uint64(f), nil
	}
	return nil, fmt.Errorf("%v is no value of type %v", v, t)
}
