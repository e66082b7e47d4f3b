package content

import (
	"encoding/binary"
	"fmt"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"math"
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
	case uint64:
		return appendUnsigned(dst, v)
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

// appendUnsigned is as appendInteger: the shortest of 1, 2, 4, 8 bytes.
func appendUnsigned(dst []byte, v uint64) []byte {
	switch {
	case v <= math.MaxUint8:
		return append(dst, byte(v))
	case v <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(dst, uint16(v))
	case v <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(dst, uint32(v))
	}
	return binary.BigEndian.AppendUint64(dst, v)
}

// ParseBinary reads what AppendBinary writes, and floats of 4 bytes; of type 0 it
// is opaque.
func ParseBinary(t model.Type, b []byte) (any, error) {
	integer := len(b) == 1 || len(b) == 2 || len(b) == 4 || len(b) == 8
	switch {
	case (t == model.String || t == model.CoreLink) && utf8.Valid(b):
		return string(b), nil
	case t == 0 || t == model.Opaque:
		return b, nil
	case (t == model.Integer || t == model.Time) && integer:
		shift := 64 - 8*len(b)
		return int64(bigEndian(b)) << shift >> shift, nil // sign-extended
	case t == model.Unsigned && integer:
		return bigEndian(b), nil
	case t == model.Float && len(b) == 4:
		return model.Convert(t, float64(math.Float32frombits(binary.BigEndian.Uint32(b))))
	case t == model.Float && len(b) == 8:
		return model.Convert(t, math.Float64frombits(binary.BigEndian.Uint64(b)))
	case t == model.Boolean && len(b) == 1 && b[0] <= 1:
		return b[0] == 1, nil
	case t == model.ObjectLink && len(b) == 4:
		return model.Link{Object: binary.BigEndian.Uint16(b), Instance: binary.BigEndian.Uint16(b[2:])}, nil
	}
	return nil, fmt.Errorf("%d bytes are no value of type %v", len(b), t)
}
