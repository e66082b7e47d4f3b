package lwm2m

import (
	"fmt"
	"maps"
	"slices"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients/coap"
)

// FormatTLV is the content format application/vnd.oma.lwm2m+tlv.
const FormatTLV message.MediaType = 11542

// appendResource appends a resource with its value as TLV.
func appendResource(dst []byte, id uint16, v any) []byte {
	m, ok := v.(Multiple)
	if !ok {
		return AppendTLV(dst, TLVResource, id, appendBinary(nil, v))
	}
	var inner []byte
	for _, i := range slices.Sorted(maps.Keys(m)) {
		inner = AppendTLV(inner, TLVResourceInstance, i, appendBinary(nil, m[i]))
	}
	return AppendTLV(dst, TLVMultiple, id, inner)
}

// EncodeValues is the TLV of an instance's resources, in order of ID.
func EncodeValues(v Values) []byte {
	var dst []byte
	for _, id := range slices.Sorted(maps.Keys(v)) {
		dst = appendResource(dst, id, v[id])
	}
	return dst
}

// DecodeValues reads the TLV of an instance's resources by the definition of
// their object. One object instance around them is allowed. A resource that
// the definition lacks is an error.
func DecodeValues(def *Object, payload []byte) (Values, error) {
	list, err := ParseTLV(payload)
	if err != nil {
		return nil, err
	}
	if len(list) == 1 && list[0].Kind == TLVObjectInstance {
		list = list[0].Children
	}
	values := make(Values, len(list))
	for i := range list {
		t := &list[i]
		res := def.resource(t.ID)
		if res == nil || res.Type == 0 {
			return nil, refuse(codes.NotFound, fmt.Sprintf("object %d has no resource %d with a value", def.ID, t.ID))
		}
		if values[t.ID], err = decodeResource(res, t); err != nil {
			return nil, fmt.Errorf("resource %d: %w", t.ID, err)
		}
	}
	return values, nil
}

func decodeResource(res *Resource, t *TLV) (any, error) {
	switch {
	case t.Kind == TLVResource && !res.Multiple:
		return parseBinary(res.Type, t.Value)
	case t.Kind == TLVMultiple && res.Multiple:
		m := make(Multiple, len(t.Children))
		for _, c := range t.Children {
			v, err := parseBinary(res.Type, c.Value)
			if err != nil {
				return nil, err
			}
			m[c.ID] = v
		}
		return m, nil
	}
	return nil, fmt.Errorf("%w: kind %d for resource %q", errTLV, t.Kind, res.Name)
}

// encodeSingle is the payload of one resource in the format asked for.
// Without a wish, a single value is plain text or opaque, several are TLV
// (section 7.4.1 and 7.4.2).
func encodeSingle(res *Resource, v any, accept message.MediaType, asked bool) ([]byte, message.MediaType, error) {
	natural := coap.TextPlain
	switch {
	case res.Multiple:
		natural = FormatTLV
	case res.Type == Opaque:
		natural = coap.Octets
	}
	if !asked {
		accept = natural
	}
	switch {
	case accept == FormatTLV:
		return appendResource(nil, res.ID, v), FormatTLV, nil
	case accept == coap.TextPlain && !res.Multiple:
		return appendText(nil, v), coap.TextPlain, nil
	case accept == coap.Octets && !res.Multiple && res.Type == Opaque:
		return v.([]byte), coap.Octets, nil
	}
	return nil, 0, refuse(codes.NotAcceptable, fmt.Sprintf("no representation of %q in format %d", res.Name, accept))
}

// decodeSingle reads the payload of one resource. Without a format it is plain
// text, or opaque for an opaque resource.
func decodeSingle(def *Object, res *Resource, payload []byte, format message.MediaType, given bool) (any, error) {
	if !given {
		format = coap.TextPlain
		if res.Type == Opaque {
			format = coap.Octets
		}
	}
	switch {
	case format == FormatTLV:
		values, err := DecodeValues(def, payload)
		if err != nil {
			return nil, err
		}
		v, ok := values[res.ID]
		if !ok || len(values) != 1 {
			return nil, fmt.Errorf("%w: want resource %d alone", errTLV, res.ID)
		}
		return v, nil
	case format == coap.TextPlain && !res.Multiple:
		return parseText(res.Type, string(payload))
	case format == coap.Octets && res.Type == Opaque && !res.Multiple:
		return payload, nil
	}
	return nil, refuse(codes.UnsupportedMediaType, fmt.Sprintf("%q cannot be written in format %d", res.Name, format))
}
