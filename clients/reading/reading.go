// Package reading writes readings and commands for stacks that send nothing but
// the value itself: plain MQTT topics, plain CoAP and HTTPS.
//
//	payload := reading.CBOR.Reading(r)
//	r, err := reading.CBOR.ParseReading(payload)
//
// JSON (RFC 8259) spells names out. CBOR (RFC 8949) has the same members under
// the numbers 1 to 4, floats in the shortest form that keeps their value, as
// its section 4.2.1 has it. Protobuf is the message
//
//	message Reading { string text = 1; sint64 integer = 2; double float = 3; bool boolean = 4; }
//	message Command { sint64 value = 1; }
package reading

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/fxamacker/cbor/v2"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/thinlink/thinlink/clients"
)

// Format is an encoding.
type Format string

// The formats.
const (
	JSON     Format = "json"
	CBOR     Format = "cbor"
	Protobuf Format = "protobuf"
)

// value is a reading with its names and numbers.
type value struct {
	Text    string  `json:"string_value" cbor:"1,keyasint"`
	Integer int64   `json:"integer_value" cbor:"2,keyasint"`
	Float   float64 `json:"float_value" cbor:"3,keyasint"`
	Boolean bool    `json:"boolean_value" cbor:"4,keyasint"`
}

type command struct {
	Value *int64 `json:"command" cbor:"1,keyasint"`
}

// Numbers of the Protobuf fields.
const (
	fieldText protowire.Number = iota + 1
	fieldInteger
	fieldFloat
	fieldBoolean

	fieldCommand protowire.Number = 1
)

var cborMode = func() cbor.EncMode {
	m, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic(err) // the options are constant
	}
	return m
}()

// Encodable reports what the format cannot carry: JSON has neither infinities
// nor NaN.
func (f Format) Encodable(r clients.Reading) error {
	if f == JSON && (math.IsNaN(r.Float) || math.IsInf(r.Float, 0)) {
		return fmt.Errorf("JSON has no number %v", r.Float)
	}
	return nil
}

// Reading encodes a reading that is Encodable.
func (f Format) Reading(r clients.Reading) []byte {
	if f != Protobuf {
		return f.marshal(value(r))
	}
	b := protowire.AppendTag(nil, fieldText, protowire.BytesType)
	b = protowire.AppendString(b, r.Text)
	b = protowire.AppendTag(b, fieldInteger, protowire.VarintType)
	b = protowire.AppendVarint(b, protowire.EncodeZigZag(r.Integer))
	b = protowire.AppendTag(b, fieldFloat, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, math.Float64bits(r.Float))
	if r.Boolean { // proto3 leaves out what is zero
		b = protowire.AppendTag(b, fieldBoolean, protowire.VarintType)
		b = protowire.AppendVarint(b, 1)
	}
	return b
}

// ParseReading decodes a reading.
func (f Format) ParseReading(b []byte) (clients.Reading, error) {
	var v value
	if f != Protobuf {
		err := f.unmarshal(b, &v)
		return clients.Reading(v), err
	}
	err := fields(b, func(n protowire.Number, t protowire.Type, number uint64, text []byte) {
		switch {
		case n == fieldText && t == protowire.BytesType:
			v.Text = string(text)
		case n == fieldInteger && t == protowire.VarintType:
			v.Integer = protowire.DecodeZigZag(number)
		case n == fieldFloat && t == protowire.Fixed64Type:
			v.Float = math.Float64frombits(number)
		case n == fieldBoolean && t == protowire.VarintType:
			v.Boolean = number != 0
		}
	})
	return clients.Reading(v), err
}

// Command encodes a command.
func (f Format) Command(v int64) []byte {
	if f != Protobuf {
		return f.marshal(command{&v})
	}
	b := protowire.AppendTag(nil, fieldCommand, protowire.VarintType)
	return protowire.AppendVarint(b, protowire.EncodeZigZag(v))
}

var errNoCommand = errors.New("no command")

// ParseCommand decodes a command.
func (f Format) ParseCommand(b []byte) (int64, error) {
	var c command
	var err error
	if f != Protobuf {
		err = f.unmarshal(b, &c)
	} else {
		err = fields(b, func(n protowire.Number, t protowire.Type, number uint64, _ []byte) {
			if n == fieldCommand && t == protowire.VarintType {
				v := protowire.DecodeZigZag(number)
				c.Value = &v
			}
		})
	}
	if err == nil && c.Value == nil {
		err = errNoCommand
	}
	if err != nil {
		return 0, err
	}
	return *c.Value, nil
}

// fields walks over a Protobuf message; fields that nobody knows are skipped.
func fields(b []byte, each func(n protowire.Number, t protowire.Type, number uint64, text []byte)) error {
	for len(b) > 0 {
		n, t, size := protowire.ConsumeTag(b)
		if size < 0 {
			return protowire.ParseError(size)
		}
		b = b[size:]
		var number uint64
		var text []byte
		switch t {
		case protowire.VarintType:
			number, size = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			number, size = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			text, size = protowire.ConsumeBytes(b)
		default:
			size = protowire.ConsumeFieldValue(n, t, b)
		}
		if size < 0 {
			return protowire.ParseError(size)
		}
		each(n, t, number, text)
		b = b[size:]
	}
	return nil
}

func (f Format) marshal(v any) []byte {
	var b []byte
	var err error
	if f == CBOR {
		b, err = cborMode.Marshal(v)
	} else {
		var buf bytes.Buffer
		enc := json.NewEncoder(&buf)
		enc.SetEscapeHTML(false)
		err = enc.Encode(v)
		b = bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
	}
	if err != nil {
		panic(fmt.Sprintf("reading: %v", err)) // our own types, and Encodable
	}
	return b
}

func (f Format) unmarshal(b []byte, v any) error {
	if f == CBOR {
		return cbor.Unmarshal(b, v)
	}
	return json.Unmarshal(b, v)
}
