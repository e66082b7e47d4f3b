package coap

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// TestFrame has the examples of RFC 8323 sections 3.2 and 5.7, and a CSM.
func TestFrame(t *testing.T) {
	for _, tt := range []struct {
		m    message.Message
		want []byte
	}{
		{message.Message{Code: codes.Valid, Token: []byte{0x7f}}, []byte{0x01, 0x43, 0x7f}},
		{message.Message{Code: codes.Ping, Token: []byte{0x42}}, []byte{0x01, 0xe2, 0x42}},
		{message.Message{Code: codes.Pong, Token: []byte{0x42}}, []byte{0x01, 0xe3, 0x42}},
		{Config{}.withDefaults().csm(), largeCSM},
	} {
		got, err := encodeFrame(tt.m, baseMessageSize)
		if err != nil || !bytes.Equal(got, tt.want) {
			t.Errorf("%v is %x, %v, want %x", tt.m, got, err, tt.want)
		}
		m, err := readFrame(bytes.NewReader(tt.want), len(tt.want))
		if err != nil || !sameContent(m, tt.m) {
			t.Errorf("%x is %v, %v", tt.want, m, err)
		}
	}
}

func sameContent(a, b message.Message) bool {
	return a.Code == b.Code && bytes.Equal(a.Token, b.Token) && bytes.Equal(a.Payload, b.Payload) &&
		slices.EqualFunc(a.Options, b.Options, func(a, b message.Option) bool { return a.ID == b.ID && bytes.Equal(a.Value, b.Value) })
}

// TestFrameLength: the boundaries of the Extended Length (RFC 8323 section
// 3.2), where options and payload are n bytes.
func TestFrameLength(t *testing.T) {
	for n, header := range map[int][]byte{
		12:          {0xc0, 0x45},
		13:          {0xd0, 0, 0x45},
		268:         {0xd0, 255, 0x45},
		269:         {0xe0, 0, 0, 0x45},
		65804:       {0xe0, 255, 255, 0x45},
		65805:       {0xf0, 0, 0, 0, 0, 0x45},
		65805 + 258: {0xf0, 0, 0, 1, 2, 0x45},
	} {
		want := append(append(header, 0xff), image(n-1)...)
		got, err := encodeFrame(message.Message{Code: codes.Content, Payload: image(n - 1)}, len(want))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: %x..., %v, want %x...", n, got[:6], err, want[:6])
		}
		m, err := readFrame(bytes.NewReader(want), len(want))
		if err != nil || !bytes.Equal(m.Payload, image(n-1)) {
			t.Errorf("%d bytes: %d, %v", n, len(m.Payload), err)
		}
		if _, err := readFrame(bytes.NewReader(want), len(want)-1); err != errFrameTooLarge {
			t.Errorf("%d bytes: %v, want errFrameTooLarge", n, err)
		}
		if _, err := encodeFrame(m, len(want)-1); !errors.Is(err, ErrMessageSize) {
			t.Errorf("%d bytes: %v, want ErrMessageSize", n, err)
		}
		if _, err := readFrame(bytes.NewReader(want[:len(want)-1]), len(want)); err != io.ErrUnexpectedEOF {
			t.Errorf("%d bytes, one missing: %v, want io.ErrUnexpectedEOF", n, err)
		}
	}
}

func TestFrameErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		d    []byte
		want error
	}{
		"nothing":           {nil, io.EOF},
		"no code":           {[]byte{0x00}, io.ErrUnexpectedEOF},
		"no token":          {[]byte{0x01, 0x45}, io.ErrUnexpectedEOF},
		"token of 9":        {[]byte{0x09, 0x45, 1, 2, 3, 4, 5, 6, 7, 8, 9}, errFormat},
		"option cut":        {[]byte{0x20, 0x45, 0xb4, 'r'}, errFormat},
		"option reserved":   {[]byte{0x10, 0x45, 0xf0}, errFormat},
		"marker alone":      {[]byte{0x10, 0x45, 0xff}, errFormat},
		"larger than 2^32":  {[]byte{0xf0, 0xff, 0xff, 0xff, 0xff, 0x45}, errFrameTooLarge},
		"half of a length":  {[]byte{0xe0, 0x00}, io.ErrUnexpectedEOF},
		"extension missing": {[]byte{0xf1}, io.ErrUnexpectedEOF},
	} {
		if _, err := readFrame(bytes.NewReader(tt.d), 1000); err != tt.want {
			t.Errorf("%s: got %v, want %v", name, err, tt.want)
		}
	}
}

// TestOverhead: what fits by room, fits indeed.
func TestOverhead(t *testing.T) {
	m := Message{Code: codes.Content}
	for range 3 {
		m.AddQuery("a query of some length")
		full := Message{Code: m.Code, Options: slices.Clone(m.Options)}
		n := overhead(&m)
		full.SetUint(message.Observe, 1<<24-1)
		full.setBlock(message.Block1, blockOption{maxBlockNumber, true, bert})
		full.SetUint(message.Size1, 1<<32-1)
		d, err := encodeFrame(message.Message{Code: full.Code, Token: image(8), Options: full.Options, Payload: image(70_000)}, 1<<20)
		if err != nil || len(d) > n+70_000 {
			t.Errorf("%d bytes besides the payload, %v, want at most %d", len(d)-70_000, err, n)
		}
	}
}
