package coap

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// Codes that go-coap does not name.
const (
	FETCH    codes.Code = 5        // RFC 8132
	PATCH    codes.Code = 6        // RFC 8132
	IPATCH   codes.Code = 7        // RFC 8132
	Conflict codes.Code = 4<<5 | 9 // RFC 8132
)

// Content formats used most; any message.MediaType will do.
const (
	TextPlain  message.MediaType = 0
	LinkFormat message.MediaType = 40
	Octets     message.MediaType = 42
	// MissingBlocks is application/missing-blocks+cbor-seq (RFC 9177 section 5).
	MissingBlocks message.MediaType = 272
)

// RequestTag is an option that tells apart the block-wise requests for one
// resource (RFC 9175 section 3): different bodies, different tags of up to 8
// bytes.
const RequestTag message.OptionID = 292

// Message is what requests and responses have in common. Options are sorted by
// number; use the methods to keep them so. Values in Options and Payload are
// never changed by this package, nor may they be after sending.
type Message struct {
	Code    codes.Code
	Options message.Options
	Payload []byte

	stream bool // came over a stream, where BERT blocks are allowed
}

// Request asks the peer for something (RFC 7252 section 5.1).
type Request struct {
	Message
	// NonConfirmable sends the request once, without ACK; in a received
	// request it says how it came.
	NonConfirmable bool
	// Token is set in a received request. When sending, nil draws a fresh one
	// of Config.TokenLength.
	Token []byte

	conn     *Conn
	observer *Observer // of a received registration that was accepted
}

// Response answers a Request (RFC 7252 section 5.2).
type Response struct {
	Message
	// Body, if not nil, is served block by block in place of Payload and is
	// Size bytes long. The handler is called for every block, so Body should
	// be cheap to make; give an ETag, that the client notices a change.
	Body io.ReaderAt
	// Size is the length of Body in bytes.
	Size int64
}

// Handler answers requests. ServeCoAP is called in a goroutine of its own and
// may block; ctx ends with the Conn. It sees a block-wise request once, whole
// (RFC 7959 section 2.5, atomic), unless it is a BlockHandler. A nil response
// means 5.00.
type Handler interface {
	ServeCoAP(ctx context.Context, r *Request) *Response
}

// HandlerFunc makes a Handler of a function.
type HandlerFunc func(ctx context.Context, r *Request) *Response

// ServeCoAP calls f.
func (f HandlerFunc) ServeCoAP(ctx context.Context, r *Request) *Response { return f(ctx, r) }

// NewRequest is a confirmable request for a path such as "/rd", with queries
// such as "ep=name".
func NewRequest(code codes.Code, path string, queries ...string) *Request {
	r := &Request{Message: Message{Code: code}}
	r.SetPath(path)
	for _, q := range queries {
		r.AddQuery(q)
	}
	return r
}

// WithPayload sets payload and Content-Format and returns r.
func (r *Request) WithPayload(format message.MediaType, payload []byte) *Request {
	r.SetContentFormat(format)
	r.Payload = payload
	return r
}

// Conn is the session a received request came over, nil in one to send.
func (r *Request) Conn() *Conn { return r.conn }

// NewResponse is a response with a payload.
func NewResponse(code codes.Code, format message.MediaType, payload []byte) *Response {
	r := &Response{Message: Message{Code: code, Payload: payload}}
	r.SetContentFormat(format)
	return r
}

// Status is a response without payload.
func Status(code codes.Code) *Response { return &Response{Message: Message{Code: code}} }

// IsSuccess reports a code of class 2.
func (m *Message) IsSuccess() bool { return m.Code>>5 == 2 }

// Path joins the Uri-Path options: "/" for none, otherwise "/a/b".
func (m *Message) Path() string { return m.join(message.URIPath) }

// SetPath replaces the Uri-Path options by the segments of a path.
func (m *Message) SetPath(path string) { m.split(message.URIPath, path) }

// LocationPath joins the Location-Path options like Path.
func (m *Message) LocationPath() string { return m.join(message.LocationPath) }

// SetLocationPath replaces the Location-Path options.
func (m *Message) SetLocationPath(path string) { m.split(message.LocationPath, path) }

// Queries lists the Uri-Query options in their order.
func (m *Message) Queries() []string {
	var q []string
	for _, o := range m.Options {
		if o.ID == message.URIQuery {
			q = append(q, string(o.Value))
		}
	}
	return q
}

// AddQuery appends an Uri-Query option.
func (m *Message) AddQuery(q string) { m.Add(message.URIQuery, []byte(q)) }

// ContentFormat is the format of the payload, if given.
func (m *Message) ContentFormat() (message.MediaType, bool) {
	v, ok := m.Uint(message.ContentFormat)
	return message.MediaType(v), ok
}

// SetContentFormat sets the format of the payload.
func (m *Message) SetContentFormat(f message.MediaType) { m.SetUint(message.ContentFormat, uint32(f)) }

// Accept is the format a request asks for, if it does.
func (m *Message) Accept() (message.MediaType, bool) {
	v, ok := m.Uint(message.Accept)
	return message.MediaType(v), ok
}

// SetAccept asks for a format.
func (m *Message) SetAccept(f message.MediaType) { m.SetUint(message.Accept, uint32(f)) }

// ETag is the first ETag option, nil if there is none.
func (m *Message) ETag() []byte {
	v, _ := m.Bytes(message.ETag)
	return v
}

// SetETag replaces the ETag options by one, of 1 to 8 bytes.
func (m *Message) SetETag(tag []byte) { m.Set(message.ETag, tag) }

// IfMatch lists the If-Match options; an empty one matches anything that
// exists (RFC 7252 section 5.10.8.1).
func (m *Message) IfMatch() [][]byte {
	var tags [][]byte
	for _, o := range m.Options {
		if o.ID == message.IfMatch {
			tags = append(tags, o.Value)
		}
	}
	return tags
}

// AddIfMatch appends an If-Match option.
func (m *Message) AddIfMatch(tag []byte) { m.Add(message.IfMatch, tag) }

// Holds reports whether the conditions of a request are fulfilled: If-Match, that
// its target exists or has one of these entity tags, and If-None-Match, that it
// does not exist. A request whose conditions are not is 4.12 and nothing else
// (RFC 7252 section 5.10.8).
func (m *Message) Holds(exists bool, tags ...[]byte) bool {
	if _, unless := m.Bytes(message.IfNoneMatch); unless && exists {
		return false
	}
	wanted := m.IfMatch()
	matches := func(want []byte) bool {
		same := func(tag []byte) bool { return bytes.Equal(tag, want) }
		return exists && (len(want) == 0 || slices.ContainsFunc(tags, same))
	}
	return len(wanted) == 0 || slices.ContainsFunc(wanted, matches)
}

// Size1 is the size in bytes that a request's payload is announced or, in a
// 4.13, allowed to have (RFC 7959 section 4).
func (m *Message) Size1() (uint32, bool) { return m.Uint(message.Size1) }

// Size2 is the size in bytes of the representation a response is part of.
func (m *Message) Size2() (uint32, bool) { return m.Uint(message.Size2) }

// Observe is the value of the Observe option, if present (RFC 7641 section 2).
func (m *Message) Observe() (uint32, bool) { return m.Uint(message.Observe) }

// Uint is the value of the first option id as an integer, and whether there is
// one (RFC 7252 section 3.2).
func (m *Message) Uint(id message.OptionID) (uint32, bool) {
	value, ok := m.Bytes(id)
	var v uint32
	for _, b := range value {
		v = v<<8 | uint32(b)
	}
	return v, ok
}

// SetUint replaces the options id by one integer, in its shortest form.
func (m *Message) SetUint(id message.OptionID, v uint32) {
	var buf [4]byte
	n, _ := message.EncodeUint32(buf[:], v) // cannot fail: 4 bytes hold any
	m.Set(id, slices.Clone(buf[:n]))
}

// Bytes is the value of the first option id, and whether there is one.
func (m *Message) Bytes(id message.OptionID) ([]byte, bool) {
	for _, o := range m.Options {
		if o.ID == id {
			return o.Value, true
		}
	}
	return nil, false
}

// Set replaces all options id by one.
func (m *Message) Set(id message.OptionID, value []byte) {
	m.Remove(id)
	m.Add(id, value)
}

// Add inserts an option after those of the same number.
func (m *Message) Add(id message.OptionID, value []byte) {
	i := len(m.Options)
	for i > 0 && m.Options[i-1].ID > id {
		i--
	}
	m.Options = slices.Insert(m.Options, i, message.Option{ID: id, Value: value})
}

// Remove deletes all options id.
func (m *Message) Remove(id message.OptionID) {
	m.Options = slices.DeleteFunc(m.Options, func(o message.Option) bool { return o.ID == id })
}

// clone has options of its own, so that they can be changed.
func (m *Message) clone() Message {
	c := *m
	c.Options = append(make(message.Options, 0, len(m.Options)+2), m.Options...)
	return c
}

func (m *Message) join(id message.OptionID) string {
	var b strings.Builder
	for _, o := range m.Options {
		if o.ID == id {
			b.WriteByte('/')
			b.Write(o.Value)
		}
	}
	if b.Len() == 0 {
		return "/"
	}
	return b.String()
}

func (m *Message) split(id message.OptionID, path string) {
	m.Remove(id)
	for segment := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if segment != "" {
			m.Add(id, []byte(segment))
		}
	}
}
