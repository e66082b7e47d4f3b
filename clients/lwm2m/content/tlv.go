package content

import (
	"errors"
	"fmt"
)

// tlvKind says what a TLV holds (OMA-TS-LightweightM2M_Core-V1_1 section
// 7.4.3, bits 7 and 6 of the type).
type tlvKind uint8

// The kinds of TLVs.
const (
	tlvInstance         tlvKind = 0 // holds resources
	tlvResourceInstance tlvKind = 1 // holds one value, inside tlvMultiple
	tlvMultiple         tlvKind = 2 // a resource that holds resource instances
	tlvResource         tlvKind = 3 // a resource that holds one value
)

// element is one element of the OMA LwM2M TLV format, content format 11542.
type element struct {
	Kind tlvKind
	ID   uint16
	// Value is the raw content; for kinds that nest it is the encoding of
	// Children.
	Value []byte
	// Children are the elements inside an object instance or a multiple
	// resource.
	Children []element
}

// Limits of the format (section 7.4.3): the length has at most 24 bits.
const maxTLVLength = 1<<24 - 1

const (
	tlvLongID    = 1 << 5
	tlvLength8   = 1 << 3
	tlvLength16  = 2 << 3
	tlvLength24  = 3 << 3
	tlvShortMask = 7
)

var errTLV = errors.New("malformed TLV")

// appendTLV appends one element with the given content in its shortest form.
// It panics if the content is longer than the format can say, 16 MiB - 1.
func appendTLV(dst []byte, kind tlvKind, id uint16, value []byte) []byte {
	n := len(value)
	head := byte(kind) << 6
	if id > 0xff {
		head |= tlvLongID
	}
	switch {
	case n <= tlvShortMask:
		head |= byte(n)
	case n <= 0xff:
		head |= tlvLength8
	case n <= 0xffff:
		head |= tlvLength16
	case n <= maxTLVLength:
		head |= tlvLength24
	default:
		panic(fmt.Sprintf("lwm2m: TLV of %d bytes", n))
	}
	dst = append(dst, head)
	if id > 0xff {
		dst = append(dst, byte(id>>8))
	}
	dst = append(dst, byte(id))
	switch head & tlvLength24 {
	case tlvLength8:
		dst = append(dst, byte(n))
	case tlvLength16:
		dst = append(dst, byte(n>>8), byte(n))
	case tlvLength24:
		dst = append(dst, byte(n>>16), byte(n>>8), byte(n))
	}
	return append(dst, value...)
}

// parseTLVs reads all elements of data, which they then refer to. Object
// instances hold resources and multiple resources hold resource instances;
// any other nesting is an error.
func parseTLVs(data []byte) ([]element, error) {
	var list []element
	for len(data) > 0 {
		t, n, err := parseTLV(data)
		if err != nil {
			return nil, err
		}
		list = append(list, t)
		data = data[n:]
	}
	return list, nil
}

func parseTLV(data []byte) (t element, n int, err error) {
	head, rest := data[0], data[1:]
	t.Kind = tlvKind(head >> 6)
	idLen := 1
	if head&tlvLongID != 0 {
		idLen = 2
	}
	lengthLen := int(head >> 3 & 3)
	if len(rest) < idLen+lengthLen {
		return t, 0, fmt.Errorf("%w: truncated header", errTLV)
	}
	t.ID = uint16(bigEndian(rest[:idLen]))
	length := uint64(head & tlvShortMask)
	if lengthLen > 0 {
		length = bigEndian(rest[idLen : idLen+lengthLen])
	}
	rest = rest[idLen+lengthLen:]
	if uint64(len(rest)) < length {
		return t, 0, fmt.Errorf("%w: %d bytes announced, %d left", errTLV, length, len(rest))
	}
	t.Value = rest[:length]
	if err := t.parseChildren(); err != nil {
		return t, 0, err
	}
	return t, 1 + idLen + lengthLen + int(length), nil
}

func (t *element) parseChildren() (err error) {
	if t.Kind != tlvInstance && t.Kind != tlvMultiple {
		return nil
	}
	rest := t.Value
	for len(rest) > 0 {
		kind := tlvKind(rest[0] >> 6)
		inMultiple := kind == tlvResourceInstance
		if kind == tlvInstance || inMultiple != (t.Kind == tlvMultiple) {
			return fmt.Errorf("%w: kind %d inside kind %d", errTLV, kind, t.Kind)
		}
		child, n, err := parseTLV(rest)
		if err != nil {
			return err
		}
		t.Children = append(t.Children, child)
		rest = rest[n:]
	}
	return nil
}

func bigEndian(b []byte) uint64 {
	var v uint64
	for _, x := range b {
		v = v<<8 | uint64(x)
	}
	return v
}
