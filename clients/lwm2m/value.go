package lwm2m

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
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
)

// Link is a value of type ObjectLink: object and instance.
type Link struct{ Object, Instance uint16 }

// Multiple is the value of a multiple-instance resource, by resource instance.
type Multiple map[uint16]any

// appendBinary appends a value as it stands in a TLV (section 7.4.3.1):
// integers in the shortest of 1, 2, 4, 8 bytes, floats always in 8, so that
// their size does not depend on the value.
func appendBinary(dst []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return append(dst, v...)
	case []byte:
		return append(dst, v...)
	case bool:
		if v {
			return append(dst, 1)
		}
		return append(dst, 0)
	case int64:
		return appendInteger(dst, v)
	case float64:
		return binary.BigEndian.AppendUint64(dst, math.Float64bits(v))
	case Link:
		dst = binary.BigEndian.AppendUint16(dst, v.Object)
		return binary.BigEndian.AppendUint16(dst, v.Instance)
	}
	panic(fmt.Sprintf("lwm2m: value of type %T", v))
}

func appendInteger(dst []byte, v int64) []byte {
	switch {
	case v == int64(int8(v)):
		return append(dst, byte(v))
	case v == int64(int16(v)):
		return binary.BigEndian.AppendUint16(dst, uint16(v))
	case v == int64(int32(v)):
		return binary.BigEndian.AppendUint32(dst, uint32(v))
	}
	return binary.BigEndian.AppendUint64(dst, uint64(v))
}

// parseBinary reads what appendBinary writes, and floats of 4 bytes.
func parseBinary(t Type, b []byte) (any, error) {
	switch {
	case t == String && utf8.Valid(b):
		return string(b), nil
	case t == Opaque:
		return b, nil
	case (t == Integer || t == Time) && (len(b) == 1 || len(b) == 2 || len(b) == 4 || len(b) == 8):
		shift := 64 - 8*len(b)
		return int64(bigEndian(b)) << shift >> shift, nil // sign-extended
	case t == Float && len(b) == 4:
		return float64(math.Float32frombits(binary.BigEndian.Uint32(b))), nil
	case t == Float && len(b) == 8:
		return math.Float64frombits(binary.BigEndian.Uint64(b)), nil
	case t == Boolean && len(b) == 1 && b[0] <= 1:
		return b[0] == 1, nil
	case t == ObjectLink && len(b) == 4:
		return Link{binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])}, nil
	}
	return nil, fmt.Errorf("%d bytes are no value of type %v", len(b), t)
}

// appendText appends a value in plain text (section 7.4.1).
func appendText(dst []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return append(dst, v...)
	case []byte:
		return base64.StdEncoding.AppendEncode(dst, v)
	case bool:
		if v {
			return append(dst, '1')
		}
		return append(dst, '0')
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case float64:
		return strconv.AppendFloat(dst, v, 'f', -1, 64)
	case Link:
		return fmt.Appendf(dst, "%d:%d", v.Object, v.Instance)
	}
	panic(fmt.Sprintf("lwm2m: value of type %T", v))
}

// parseText reads what appendText writes.
func parseText(t Type, s string) (v any, err error) {
	switch {
	case t == String && utf8.ValidString(s):
		return s, nil
	case t == Opaque:
		v, err = base64.StdEncoding.DecodeString(s)
	case t == Integer || t == Time:
		v, err = strconv.ParseInt(s, 10, 64)
	case t == Float:
		v, err = strconv.ParseFloat(s, 64)
	case t == Boolean && (s == "0" || s == "1"):
		return s == "1", nil
	case t == ObjectLink:
		v, err = parseLinkText(s)
	default:
		err = fmt.Errorf("%q is no value of type %v", s, t)
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

func parseLinkText(s string) (Link, error) {
	o, i, _ := strings.Cut(s, ":")
	object, err1 := strconv.ParseUint(o, 10, 16)
	instance, err2 := strconv.ParseUint(i, 10, 16)
	if err1 != nil || err2 != nil {
		return Link{}, fmt.Errorf("%q is no object link", s)
	}
	return Link{uint16(object), uint16(instance)}, nil
}

// String is the type's name in object definitions.
func (t Type) String() string {
	names := [...]string{"none", "String", "Integer", "Float", "Boolean", "Opaque", "Time", "Objlnk"}
	if int(t) >= len(names) {
		return "Type(" + strconv.Itoa(int(t)) + ")"
	}
	return names[t]
}
