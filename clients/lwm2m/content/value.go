package content

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// AppendBinary appends a value as it stands in a TLV (section 7.4.3.1):
// integers in the shortest of 1, 2, 4, 8 bytes, floats always in 8, so that
// their size does not depend on the value.
func AppendBinary(dst []byte, v any) []byte {
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
	case model.Link:
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

// ParseBinary reads what AppendBinary writes, and floats of 4 bytes.
func ParseBinary(t model.Type, b []byte) (any, error) {
	switch {
	case t == model.String && utf8.Valid(b):
		return string(b), nil
	case t == model.Opaque:
		return b, nil
	case (t == model.Integer || t == model.Time) && (len(b) == 1 || len(b) == 2 || len(b) == 4 || len(b) == 8):
		shift := 64 - 8*len(b)
		return int64(bigEndian(b)) << shift >> shift, nil // sign-extended
	case t == model.Float && len(b) == 4:
		return float64(math.Float32frombits(binary.BigEndian.Uint32(b))), nil
	case t == model.Float && len(b) == 8:
		return math.Float64frombits(binary.BigEndian.Uint64(b)), nil
	case t == model.Boolean && len(b) == 1 && b[0] <= 1:
		return b[0] == 1, nil
	case t == model.ObjectLink && len(b) == 4:
		return model.Link{Object: binary.BigEndian.Uint16(b), Instance: binary.BigEndian.Uint16(b[2:])}, nil
	}
	return nil, fmt.Errorf("%d bytes are no value of type %v", len(b), t)
}

// AppendText appends a value in plain text (section 7.4.1).
func AppendText(dst []byte, v any) []byte {
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
	case model.Link:
		return fmt.Appendf(dst, "%d:%d", v.Object, v.Instance)
	}
	panic(fmt.Sprintf("lwm2m: value of type %T", v))
}

// ParseText reads what AppendText writes.
func ParseText(t model.Type, s string) (v any, err error) {
	switch {
	case t == model.String && utf8.ValidString(s):
		return s, nil
	case t == model.Opaque:
		v, err = base64.StdEncoding.DecodeString(s)
	case t == model.Integer || t == model.Time:
		v, err = strconv.ParseInt(s, 10, 64)
	case t == model.Float:
		v, err = strconv.ParseFloat(s, 64)
	case t == model.Boolean && (s == "0" || s == "1"):
		return s == "1", nil
	case t == model.ObjectLink:
		v, err = parseLinkText(s)
	default:
		err = fmt.Errorf("%q is no value of type %v", s, t)
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

func parseLinkText(s string) (model.Link, error) {
	o, i, _ := strings.Cut(s, ":")
	object, err1 := strconv.ParseUint(o, 10, 16)
	instance, err2 := strconv.ParseUint(i, 10, 16)
	if err1 != nil || err2 != nil {
		return model.Link{}, fmt.Errorf("%q is no object link", s)
	}
	return model.Link{Object: uint16(object), Instance: uint16(instance)}, nil
}
