package content

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/thinlink/thinlink/clients/lwm2m/model"
)

// encodeSenMLJSON and decodeSenMLJSON are format application/senml+json (RFC
// 8428 section 5; Core 1.1 section 7.4.4).
func encodeSenMLJSON(_ model.Path, nodes []model.Node) ([]byte, error) {
	return marshalJSON(records(valued(nodes)))
}

func decodeSenMLJSON(_ model.Path, schema model.Schema, payload []byte) ([]model.Node, error) {
	var pack []map[string]any
	if err := unmarshalJSON(payload, &pack); err != nil {
		return nil, err
	}
	for _, r := range pack {
		for label, v := range r {
			var err error
			if r[label], err = jsonField(label, v); err != nil {
				return nil, fmt.Errorf("field %s: %w", label, err)
			}
		}
	}
	return resolve(schema, pack)
}

// jsonField makes numbers and bytes of what JSON has in their place.
func jsonField(label string, v any) (any, error) {
	switch v := v.(type) {
	case json.Number:
		return jsonNumber(v)
	case string:
		if label == "vd" {
			return base64.RawURLEncoding.DecodeString(strings.TrimRight(v, "="))
		}
	}
	return v, nil
}

// jsonNumber is an int64 or uint64 if the number is whole and written so, else a
// float64.
func jsonNumber(n json.Number) (any, error) {
	if i, err := strconv.ParseInt(n.String(), 10, 64); err == nil {
		return i, nil
	}
	if u, err := strconv.ParseUint(n.String(), 10, 64); err == nil {
		return u, nil
	}
	return n.Float64()
}

// marshalJSON writes JSON without escapes for the sake of HTML.
func marshalJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// unmarshalJSON reads one JSON value that keeps its numbers as they are written.
func unmarshalJSON(data []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("JSON with something behind it")
	}
	return nil
}
