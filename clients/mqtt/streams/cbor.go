package streams

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// The subset of CBOR (RFC 8949) that messages of streams use: a map of
// definite length from text to integers, byte strings and text strings, in the
// shortest form (section 4.2.1).

// Major types (RFC 8949 section 3.1).
const (
	majorUnsigned = 0
	majorNegative = 1
	majorBytes    = 2
	majorText     = 3
	majorMap      = 5
)

// appendHead appends the initial byte and the argument.
func appendHead(b []byte, major byte, n uint64) []byte {
	m := major << 5
	switch {
	case n < 24:
		return append(b, m|byte(n))
	case n <= math.MaxUint8:
		return append(b, m|24, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, m|25), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, m|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, m|27), n)
}

func appendText(b []byte, s string) []byte {
	return append(appendHead(b, majorText, uint64(len(s))), s...)
}

func appendBytes(b, s []byte) []byte {
	return append(appendHead(b, majorBytes, uint64(len(s))), s...)
}

func appendInt(b []byte, n int64) []byte {
	if n < 0 {
		return appendHead(b, majorNegative, uint64(-1-n))
	}
	return appendHead(b, majorUnsigned, uint64(n))
}

// mapWriter writes a map whose size is known from the start.
type mapWriter struct{ b []byte }

func newMap(pairs int) *mapWriter { return &mapWriter{appendHead(nil, majorMap, uint64(pairs))} }

func (w *mapWriter) int(key string, v int64)    { w.b = appendInt(appendText(w.b, key), v) }
func (w *mapWriter) bytes(key string, v []byte) { w.b = appendBytes(appendText(w.b, key), v) }
func (w *mapWriter) text(key, v string)         { w.b = appendText(appendText(w.b, key), v) }

// fields is a decoded map: values are int64, []byte (part of the input) and
// string.
type fields map[string]any

// maxPairs bounds a map; the largest message has seven.
const maxPairs = 16

var errCBOR = errors.New("not a CBOR map of integers and strings")

// parseMap reads one map and nothing after it.
func parseMap(data []byte) (fields, error) {
	d := decoder{data}
	major, n, err := d.head()
	if err != nil || major != majorMap || n > maxPairs {
		return nil, errCBOR
	}
	f := make(fields, n)
	for range n {
		key, err := d.value()
		name, ok := key.(string)
		if err != nil || !ok {
			return nil, errCBOR
		}
		if _, again := f[name]; again { // RFC 8949 section 5.6
			return nil, fmt.Errorf("key %q twice: %w", name, errCBOR)
		}
		if f[name], err = d.value(); err != nil {
			return nil, err
		}
	}
	if len(d.data) > 0 {
		return nil, errCBOR
	}
	return f, nil
}

type decoder struct{ data []byte }

// head reads the initial byte and the argument, in any length.
func (d *decoder) head() (major byte, n uint64, err error) {
	if len(d.data) == 0 {
		return 0, 0, errCBOR
	}
	major, info := d.data[0]>>5, d.data[0]&31
	d.data = d.data[1:]
	if info < 24 {
		return major, uint64(info), nil
	}
	size := 1 << (info - 24)
	if info > 27 || len(d.data) < size { // 28 to 30 are reserved, 31 is of no definite length
		return 0, 0, errCBOR
	}
	for _, c := range d.data[:size] {
		n = n<<8 | uint64(c)
	}
	d.data = d.data[size:]
	return major, n, nil
}

func (d *decoder) value() (any, error) {
	major, n, err := d.head()
	if err != nil {
		return nil, err
	}
	switch major {
	case majorUnsigned, majorNegative:
		if n > math.MaxInt64 {
			return nil, errCBOR
		}
		if major == majorNegative {
			return -1 - int64(n), nil
		}
		return int64(n), nil
	case majorBytes, majorText:
		if n > uint64(len(d.data)) {
			return nil, errCBOR
		}
		s := d.data[:n]
		d.data = d.data[n:]
		if major == majorBytes {
			return s, nil
		}
		if !utf8.Valid(s) { // RFC 8949 section 3.1
			return nil, errCBOR
		}
		return string(s), nil
	}
	return nil, errCBOR
}

// reader takes fields of a map and remembers the first that has the wrong type.
type reader struct {
	f   fields
	err error
}

func take[T any](r *reader, key string, required bool) (v T) {
	x, there := r.f[key]
	v, ok := x.(T)
	if r.err == nil && (there && !ok || !there && required) {
		r.err = fmt.Errorf("field %q: want %T", key, v)
	}
	return v
}
