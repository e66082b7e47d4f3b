package content

import (
	"fmt"
	"maps"
	"slices"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
)

// FormatTLV is the content format application/vnd.oma.lwm2m+tlv.
const TLV message.MediaType = 11542

// appendResource appends a resource with its value as TLV.
func appendResource(dst []byte, id uint16, v any) []byte {
	m, ok := v.(model.Multiple)
	if !ok {
		return AppendTLV(dst, TLVResource, id, AppendBinary(nil, v))
	}
	var inner []byte
	for _, i := range slices.Sorted(maps.Keys(m)) {
		inner = AppendTLV(inner, TLVResourceInstance, i, AppendBinary(nil, m[i]))
	}
	return AppendTLV(dst, TLVMultiple, id, inner)
}

// EncodeValues is the TLV of an instance's resources, in order of ID.
func EncodeValues(v model.Values) []byte {
	var dst []byte
	for _, id := range slices.Sorted(maps.Keys(v)) {
		dst = appendResource(dst, id, v[id])
	}
	return dst
}

// DecodeValues reads the TLV of an instance's resources by the definition of
// their object. One object instance around them is allowed. A resource that
// the definition lacks is an error.
func DecodeValues(def *model.Object, payload []byte) (model.Values, error) {
	list, err := ParseTLV(payload)
	if err != nil {
		return nil, err
	}
	if len(list) == 1 && list[0].Kind == TLVObjectInstance {
		list = list[0].Children
	}
	values := make(model.Values, len(list))
	for i := range list {
		t := &list[i]
		res := def.Resource(t.ID)
		if res == nil || res.Type == 0 {
			return nil, model.Refuse(codes.NotFound, fmt.Sprintf("object %d has no resource %d with a value", def.ID, t.ID))
		}
		if values[t.ID], err = decodeResource(res, t); err != nil {
			return nil, fmt.Errorf("resource %d: %w", t.ID, err)
		}
	}
	return values, nil
}

func decodeResource(res *model.Resource, t *Element) (any, error) {
	switch {
	case t.Kind == TLVResource && !res.Multiple:
		return ParseBinary(res.Type, t.Value)
	case t.Kind == TLVMultiple && res.Multiple:
		m := make(model.Multiple, len(t.Children))
		for _, c := range t.Children {
			v, err := ParseBinary(res.Type, c.Value)
			if err != nil {
				return nil, err
			}
			m[c.ID] = v
		}
		return m, nil
	}
	return nil, fmt.Errorf("%w: kind %d for resource %q", errTLV, t.Kind, res.Name)
}

// EncodeSingle is the payload of one resource in the format asked for.
// Without a wish, a single value is plain text or opaque, several are TLV
// (section 7.4.1 and 7.4.2).
func EncodeSingle(res *model.Resource, v any, accept message.MediaType, asked bool) ([]byte, message.MediaType, error) {
	natural := coap.TextPlain
	switch {
	case res.Multiple:
		natural = TLV
	case res.Type == model.Opaque:
		natural = coap.Octets
	}
	if !asked {
		accept = natural
	}
	switch {
	case accept == TLV:
		return appendResource(nil, res.ID, v), TLV, nil
	case accept == coap.TextPlain && !res.Multiple:
		return AppendText(nil, v), coap.TextPlain, nil
	case accept == coap.Octets && !res.Multiple && res.Type == model.Opaque:
		return v.([]byte), coap.Octets, nil
	}
	return nil, 0, model.Refuse(codes.NotAcceptable, fmt.Sprintf("no representation of %q in format %d", res.Name, accept))
}

// DecodeSingle reads the payload of one resource. Without a format it is plain
// text, or opaque for an opaque resource.
func DecodeSingle(def *model.Object, res *model.Resource, payload []byte, format message.MediaType, given bool) (any, error) {
	if !given {
		format = coap.TextPlain
		if res.Type == model.Opaque {
			format = coap.Octets
		}
	}
	switch {
	case format == TLV:
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
		return ParseText(res.Type, string(payload))
	case format == coap.Octets && res.Type == model.Opaque && !res.Multiple:
		return payload, nil
	}
	return nil, model.Refuse(codes.UnsupportedMediaType, fmt.Sprintf("%q cannot be written in format %d", res.Name, format))
}
