package content

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
)

// How CBOR is written: numbers in their shortest form (RFC 8949 section 4.1).
var cborEncoding = must(cbor.EncOptions{ShortestFloat: cbor.ShortestFloat16}.EncMode())

// How CBOR is read: keys of maps at most once, and no deeper than any format of
// LwM2M nests.
var cborDecoding = must(cbor.DecOptions{DupMapKey: cbor.DupMapKeyEnforcedAPF, MaxNestedLevels: 16}.DecMode())

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// epochTag marks seconds since 1970, fractionTag a decimal fraction (RFC 8949
// sections 3.4.2 and 3.4.4).
const (
	epochTag    = 1
	fractionTag = 4
)

// encodeCBOR and decodeCBOR are format application/cbor (Core 1.2 section
// 7.5.3): one value.
func encodeCBOR(base model.Path, nodes []model.Node) ([]byte, error) {
	v, err := only(base, nodes)
	if err != nil {
		return nil, err
	}
	return cborEncoding.Marshal(plain(v))
}

func decodeCBOR(base model.Path, schema model.Schema, payload []byte) ([]model.Node, error) {
	var v any
	if err := cborDecoding.Unmarshal(payload, &v); err != nil {
		return nil, err
	}
	v, err := typed(typeAt(schema, base), v)
	return []model.Node{{Path: base, Value: v}}, err
}

// plain is a value as CBOR has it: object links are text.
func plain(v any) any {
	if l, ok := v.(model.Link); ok {
		return string(AppendText(nil, l))
	}
	return v
}

// typed makes a value of type t of one that was decoded from CBOR.
func typed(t model.Type, v any) (any, error) {
	v, err := number(v)
	if err != nil {
		return nil, err
	}
	if s, ok := v.(string); ok && t == model.ObjectLink {
		return parseLink(s)
	}
	return model.Convert(t, v)
}

var errNumber = errors.New("unsupported kind of number")

// number resolves the tags of numbers; other values stay as they are.
func number(v any) (any, error) {
	switch v := v.(type) {
	case time.Time: // the library's reading of epochTag
		return v.Unix(), nil
	case cbor.Tag:
		if v.Number == fractionTag {
			return fraction(v.Content)
		}
		return nil, fmt.Errorf("tag %d: %w", v.Number, errNumber)
	}
	return v, nil
}

// fraction is mantissa * 10^exponent.
func fraction(content any) (any, error) {
	pair, ok := content.([]any)
	if !ok || len(pair) != 2 {
		return nil, fmt.Errorf("decimal fraction: %w", errNumber)
	}
	exponent, ok1 := model.Number(pair[0])
	mantissa, ok2 := model.Number(pair[1])
	if !ok1 || !ok2 || math.Abs(exponent) > 400 { // beyond what floats have
		return nil, fmt.Errorf("decimal fraction: %w", errNumber)
	}
	return mantissa * math.Pow(10, exponent), nil
}
