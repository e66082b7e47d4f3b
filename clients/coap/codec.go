package coap

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/udp/coder"
)

// headerLen is the size of the fixed header (RFC 7252 section 3).
const headerLen = 4

var (
	// errNotCoAP is a datagram to ignore in silence (RFC 7252 section 3:
	// unknown version; or too short to have a message ID).
	errNotCoAP = errors.New("coap: not a CoAP datagram")
	// errFormat is a message format error: the header can be relied on.
	errFormat = errors.New("coap: message format error")
)

// decode parses a datagram, which the message then refers to. With errFormat
// the message has type and ID.
//
// go-coap's options parser is used without its table of definitions: with it,
// critical options of illegal length would vanish, where RFC 7252 section
// 5.4.3 wants them treated as unrecognised.
func decode(d []byte) (message.Message, error) {
	var m message.Message
	if len(d) < headerLen || d[0]>>6 != 1 {
		return m, errNotCoAP
	}
	m.Type = message.Type(d[0] >> 4 & 3)
	m.Code = codes.Code(d[1])
	m.MessageID = int32(binary.BigEndian.Uint16(d[2:]))
	tokenLen := int(d[0] & 0xf)
	if tokenLen > message.MaxTokenSize || len(d) < headerLen+tokenLen {
		return m, errFormat
	}
	if m.Code == codes.Empty && len(d) > headerLen {
		return m, errFormat // section 4.1
	}
	m.Token = d[headerLen : headerLen+tokenLen]
	return m, decodeContent(&m, d[headerLen+tokenLen:])
}

// decodeContent parses options and payload.
func decodeContent(m *message.Message, content []byte) error {
	n, err := unmarshalOptions(&m.Options, content)
	if err != nil {
		return errFormat
	}
	m.Payload = content[n:]
	if len(m.Payload) == 0 && endsWithMarker(content) {
		return errFormat // section 3: a marker followed by no payload
	}
	return nil
}

func unmarshalOptions(opts *message.Options, data []byte) (int, error) {
	if len(data) == 0 {
		return 0, nil
	}
	*opts = make(message.Options, 0, 16)
	n, err := opts.Unmarshal(data, nil)
	if errors.Is(err, message.ErrOptionsTooSmall) {
		*opts = make(message.Options, 0, len(data)) // an option has at least one byte
		n, err = opts.Unmarshal(data, nil)
	}
	return n, err
}

// endsWithMarker tells a trailing payload marker from an option whose last
// byte is 0xff: without that byte, only the former still parses.
func endsWithMarker(data []byte) bool {
	if len(data) == 0 || data[len(data)-1] != 0xff {
		return false
	}
	var opts message.Options
	_, err := unmarshalOptions(&opts, data[:len(data)-1])
	return err == nil
}

func encode(m message.Message) ([]byte, error) {
	size := headerLen + len(m.Token) + 1 + len(m.Payload)
	for _, o := range m.Options {
		size += optionLen(o)
	}
	if size > maxDatagram { // also keeps option lengths below what go-coap would truncate
		return nil, fmt.Errorf("coap: encode: message of %d bytes is larger than a datagram", size)
	}
	buf := make([]byte, size)
	n, err := coder.DefaultCoder.Encode(m, buf)
	if err != nil {
		return nil, fmt.Errorf("coap: encode: %w", err)
	}
	return buf[:n], nil
}

// maxOptionLen is the longest value that the format can express, in bytes
// (RFC 7252 section 3.1).
const maxOptionLen = 65535 + 269

// optionLen bounds the encoded length of an option, in bytes.
func optionLen(o message.Option) int { return 5 + len(o.Value) }

// emptyMessage is an ACK or RST without content (RFC 7252 section 4.1).
func emptyMessage(t message.Type, mid uint16) []byte {
	return []byte{1<<6 | byte(t)<<4, byte(codes.Empty), byte(mid >> 8), byte(mid)}
}

func isRequest(c codes.Code) bool { return c != codes.Empty && c>>5 == 0 }

func isResponse(c codes.Code) bool { return c>>5 == 2 || c>>5 == 4 || c>>5 == 5 }

// checkOptions removes elective options that are to be ignored and reports
// whether a critical one is left that this layer cannot accept: unrecognised
// (RFC 7252 section 5.4.1), of illegal length (5.4.3) or repeated (5.4.5).
func checkOptions(opts message.Options) (kept message.Options, ok bool) {
	kept, ok = opts[:0], true
	for i, o := range opts {
		def, known := message.CoapOptionDefs[o.ID]
		good := !known || len(o.Value) >= int(def.MinLen) && len(o.Value) <= int(def.MaxLen)
		if known && !repeatable(o.ID) && i > 0 && opts[i-1].ID == o.ID {
			good = false
		}
		critical := o.ID&1 == 1
		switch {
		case critical && (!known || !good):
			ok = false
			kept = append(kept, o)
		case good:
			kept = append(kept, o)
		}
	}
	return kept, ok
}

func repeatable(id message.OptionID) bool {
	switch id {
	case message.IfMatch, message.ETag, message.LocationPath, message.URIPath,
		message.URIQuery, message.LocationQuery:
		return true
	}
	return false
}
