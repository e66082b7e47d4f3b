package measure

import (
	"encoding/binary"
	"time"
)

// coapExchangeLifetime is how long a message ID names the same message,
// RFC 7252 section 4.8.2.
const coapExchangeLifetime = 247 * time.Second

// A coapMessage is what is needed of one.
type coapMessage struct {
	typ    uint8 // 0 CON, 1 NON, 2 ACK, 3 RST
	code   uint8
	id     uint16
	header int // bytes before the payload: header, token, options, marker
	path   bool
}

// parseCoAP parses a whole datagram, RFC 7252 section 3. It is strict, because
// it also decides whether something is CoAP at all.
func parseCoAP(b []byte) (m coapMessage, ok bool) {
	const headerLen = 4
	if len(b) < headerLen || b[0]>>6 != 1 {
		return m, false
	}
	m = coapMessage{typ: b[0] >> 4 & 3, code: b[1], id: binary.BigEndian.Uint16(b[2:])}
	token := int(b[0] & 0xf)
	if token > 8 || headerLen+token > len(b) || !coapCode(m.code) {
		return m, false
	}
	if m.code == 0 { // Empty: nothing follows, RFC 7252 section 4.1
		m.header = headerLen
		return m, len(b) == headerLen
	}
	n, path, ok := coapOptions(b[headerLen+token:])
	m.header, m.path = headerLen+token+n, path
	return m, ok
}

// coapOptions measures options and payload marker, RFC 7252 section 3.1, and
// tells whether there is a Uri-Path. It is not ok if they are malformed, or if
// nothing follows the marker.
func coapOptions(b []byte) (n int, path, ok bool) {
	const marker, uriPath = 0xff, 11
	at, number := 0, 0
	for at < len(b) {
		if b[at] == marker {
			return at + 1, path, at+1 < len(b)
		}
		delta, length := int(b[at]>>4), int(b[at]&0xf)
		at++
		for _, v := range []*int{&delta, &length} {
			n := 0
			switch *v {
			case 13:
				n = 1
			case 14:
				n = 2
			case 15:
				return at, path, false
			}
			if at+n > len(b) {
				return at, path, false
			}
			switch n {
			case 1:
				*v = 13 + int(b[at])
			case 2:
				*v = 269 + int(binary.BigEndian.Uint16(b[at:]))
			}
			at += n
		}
		number += delta
		if at+length > len(b) {
			return at, path, false
		}
		path = path || number == uriPath
		at += length
	}
	return at, path, true
}

// coapCode reports whether a code's class is in use (RFC 7252 section 12.1;
// 7.xx is signalling, RFC 8323 section 5).
func coapCode(code uint8) bool {
	switch code >> 5 {
	case 0:
		return code <= 7
	case 2, 4, 5, 7:
		return true
	}
	return false
}

// coapACK and RST behind it answer a message: their copies answer its copies
// and are no retransmissions of their own (RFC 7252 section 4.2), as tshark's
// coap.retransmitted has it.
const coapACK = 2

func (m *coapMessage) retransmits() bool { return m.typ < coapACK }

func (m *coapMessage) request() bool { return m.code >= 1 && m.code <= 7 }

// coapID names a message within a flow.
type coapID struct {
	dir uint8
	typ uint8
	id  uint16
}

// coapCopy is what is known of the copies sent so far.
type coapCopy struct {
	first   time.Time
	arrives bool // one of them was not lost
}

// coapTracker recognises retransmissions.
type coapTracker map[coapID]coapCopy

// repeat notes a message and reports whether it is a copy of an earlier one,
// and if so whether that one arrives.
func (t coapTracker) repeat(p *Packet, m *coapMessage) (repeat, arrives bool) {
	id := coapID{uint8(p.Dir), m.typ, m.id}
	c, ok := t[id]
	if !ok || p.Time.Sub(c.first) > coapExchangeLifetime {
		t[id] = coapCopy{p.Time, p.Lost == ""}
		return false, false
	}
	arrives = c.arrives
	c.arrives = arrives || p.Lost == ""
	t[id] = c
	return true, arrives
}
