package content

import (
	"fmt"

	"github.com/thinlink/thinlink/clients/lwm2m/model"
)

// senMLLabels are the names that CBOR has numbers for (RFC 8428 section 6, table
// 4).
var senMLLabels = map[int64]string{
	-1: "bver", -2: "bn", -3: "bt", -4: "bu", -5: "bv", -6: "bs",
	0: "n", 1: "u", 2: "v", 3: "vs", 4: "vb", 5: "s", 6: "t", 7: "ut", 8: "vd",
}

// encodeSenMLCBOR and decodeSenMLCBOR are format application/senml+cbor (RFC
// 8428 section 6; Core 1.1 section 7.4.5).
func encodeSenMLCBOR(_ model.Path, nodes []model.Node) ([]byte, error) {
	return cborEncoding.Marshal(records(valued(nodes)))
}

func decodeSenMLCBOR(_ model.Path, schema model.Schema, payload []byte) ([]model.Node, error) {
	var raw []map[any]any
	if err := cborDecoding.Unmarshal(payload, &raw); err != nil {
		return nil, err
	}
	pack := make([]map[string]any, len(raw))
	for i, r := range raw {
		var err error
		if pack[i], err = named(r); err != nil {
			return nil, fmt.Errorf("record %d: %w", i, err)
		}
	}
	return resolve(schema, pack)
}

// named has the fields of a record by name. Fields of unknown numbers are
// ignored (RFC 8428 section 4.4).
func named(r map[any]any) (map[string]any, error) {
	fields := make(map[string]any, len(r))
	for key, v := range r {
		label, ok := key.(string)
		if !ok {
			if label, ok = labelOf(key); !ok {
				continue
			}
		}
		var err error
		if fields[label], err = number(v); err != nil {
			return nil, fmt.Errorf("field %s: %w", label, err)
		}
	}
	return fields, nil
}

func labelOf(key any) (label string, ok bool) {
	n, err := model.Convert(model.Integer, key)
	if err != nil {
		return "", false
	}
	label, ok = senMLLabels[n.(int64)]
	return label, ok
}
