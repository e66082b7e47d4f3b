package mqttsn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// kind is a message type (section 5.2.2).
type kind byte

const (
	advertise    kind = 0x00
	searchGW     kind = 0x01
	gwInfo       kind = 0x02
	connect      kind = 0x04
	connack      kind = 0x05
	willTopicReq kind = 0x06
	willTopic    kind = 0x07
	willMsgReq   kind = 0x08
	willMsg      kind = 0x09
	register     kind = 0x0a
	regack       kind = 0x0b
	publish      kind = 0x0c
	puback       kind = 0x0d
	subscribe    kind = 0x12
	suback       kind = 0x13
	unsubscribe  kind = 0x14
	unsuback     kind = 0x15
	pingreq      kind = 0x16
	pingresp     kind = 0x17
	disconnect   kind = 0x18
)

var kindNames = map[kind]string{
	advertise: "ADVERTISE", searchGW: "SEARCHGW", gwInfo: "GWINFO", connect: "CONNECT", connack: "CONNACK",
	willTopicReq: "WILLTOPICREQ", willTopic: "WILLTOPIC", willMsgReq: "WILLMSGREQ", willMsg: "WILLMSG",
	register: "REGISTER", regack: "REGACK", publish: "PUBLISH", puback: "PUBACK", subscribe: "SUBSCRIBE",
	suback: "SUBACK", unsubscribe: "UNSUBSCRIBE", unsuback: "UNSUBACK", pingreq: "PINGREQ", pingresp: "PINGRESP",
	disconnect: "DISCONNECT",
}

func (k kind) String() string {
	if name, ok := kindNames[k]; ok {
		return name
	}
	return fmt.Sprintf("message type %#x", byte(k))
}

// idType says what a topic field holds (section 5.3.4).
type idType byte

const (
	topicNormal     idType = 0 // a registered number; in SUBSCRIBE a name
	topicPredefined idType = 1
	topicShort      idType = 2 // two characters
)

// code is a return code (section 5.3.10).
type code byte

const (
	accepted     code = 0
	congestion   code = 1
	invalidTopic code = 2
	notSupported code = 3
)

// Levels of QoS; qosNone is that of clients that never connect.
const qosNone = -1

// message is any message; fields that its kind does not have are zero.
type message struct {
	kind        kind
	dup, retain bool
	will, clean bool
	qos         int8 // -1 to 2
	idType      idType
	topic       uint16 // registered, predefined, or two characters
	id          uint16
	duration    uint16 // CONNECT, DISCONNECT; seconds
	hasDuration bool   // of DISCONNECT
	code        code
	name        string // topic name, client identifier
	data        []byte // PUBLISH, WILLMSG
	gateway     byte   // GWINFO, ADVERTISE
}

const protocolID = 1 // section 5.3.8

// flags is section 5.3.4.
func (m *message) flags() byte {
	f := byte(m.qos&3)<<5 | byte(m.idType)
	for _, b := range []struct {
		set bool
		bit byte
	}{{m.dup, 0x80}, {m.retain, 0x10}, {m.will, 8}, {m.clean, 4}} {
		if b.set {
			f |= b.bit
		}
	}
	return f
}

func (m *message) setFlags(f byte) {
	m.dup, m.retain, m.will, m.clean = f&0x80 != 0, f&0x10 != 0, f&8 != 0, f&4 != 0
	if m.qos = int8(f >> 5 & 3); m.qos == 3 {
		m.qos = qosNone
	}
	m.idType = idType(f & 3)
}

// encode gives the message behind its length (section 5.2.1).
func (m *message) encode() []byte {
	b := []byte{byte(m.kind)}
	two := func(n uint16) { b = binary.BigEndian.AppendUint16(b, n) }
	switch m.kind {
	case searchGW:
		b = append(b, 0)
	case advertise:
		b = append(b, m.gateway)
		two(m.duration)
	case gwInfo:
		b = append(b, m.gateway)
	case connect:
		b = append(b, m.flags(), protocolID)
		two(m.duration)
		b = append(b, m.name...)
	case connack:
		b = append(b, byte(m.code))
	case willTopic:
		if m.name != "" { // an empty one has no will
			b = append(append(b, m.flags()), m.name...)
		}
	case willMsg:
		b = append(b, m.data...)
	case register:
		two(m.topic)
		two(m.id)
		b = append(b, m.name...)
	case regack, puback:
		two(m.topic)
		two(m.id)
		b = append(b, byte(m.code))
	case publish:
		b = append(b, m.flags())
		two(m.topic)
		two(m.id)
		b = append(b, m.data...)
	case subscribe, unsubscribe:
		b = append(b, m.flags())
		two(m.id)
		if m.idType == topicNormal {
			b = append(b, m.name...)
		} else {
			two(m.topic)
		}
	case suback:
		b = append(b, m.flags())
		two(m.topic)
		two(m.id)
		b = append(b, byte(m.code))
	case unsuback:
		two(m.id)
	case pingreq:
		b = append(b, m.name...)
	case disconnect:
		if m.hasDuration {
			two(m.duration)
		}
	}
	if n := len(b) + 1; n < 256 {
		return append([]byte{byte(n)}, b...)
	}
	n := len(b) + 3
	return append([]byte{1, byte(n >> 8), byte(n)}, b...)
}

var errMalformed = errors.New("malformed message")

// decode reads one datagram, which is one message.
func decode(b []byte) (m message, err error) {
	header := 1
	if len(b) > 0 && b[0] == 1 {
		header = 3
	}
	if len(b) < header+1 {
		return m, fmt.Errorf("%w: %d bytes", errMalformed, len(b))
	}
	size := int(b[0])
	if header == 3 {
		size = int(binary.BigEndian.Uint16(b[1:]))
	}
	if size != len(b) {
		return m, fmt.Errorf("%w: length %d in a datagram of %d bytes", errMalformed, size, len(b))
	}
	m.kind = kind(b[header])
	r := reader{b: b[header+1:]}
	m.read(&r)
	if r.short || len(r.b) > 0 {
		return m, fmt.Errorf("%w: %s of %d bytes", errMalformed, m.kind, len(b))
	}
	return m, nil
}

func (m *message) read(r *reader) {
	switch m.kind {
	case searchGW:
		r.byte() // radius: there is no broadcast to limit
	case advertise:
		m.gateway, m.duration = r.byte(), r.two()
	case gwInfo:
		m.gateway = r.byte()
		r.rest() // an address that a client adds
	case connect:
		m.setFlags(r.byte())
		if r.byte() != protocolID {
			r.short = true
		}
		m.duration, m.name = r.two(), r.text(1)
	case connack:
		m.code = code(r.byte())
	case willTopicReq, willMsgReq, pingresp:
	case willTopic:
		if len(r.b) > 0 {
			m.setFlags(r.byte())
			m.name = r.text(1)
		}
	case willMsg:
		m.data = r.rest()
	case register:
		m.topic, m.id, m.name = r.two(), r.two(), r.text(1)
	case regack, puback:
		m.topic, m.id, m.code = r.two(), r.two(), code(r.byte())
	case publish:
		m.setFlags(r.byte())
		m.topic, m.id, m.data = r.two(), r.two(), r.rest()
		r.valid(m.idType <= topicShort)
	case subscribe, unsubscribe:
		m.setFlags(r.byte())
		m.id = r.two()
		r.valid(m.idType <= topicShort)
		if m.idType == topicNormal {
			m.name = r.text(1)
		} else {
			m.topic = r.two()
		}
	case suback:
		m.setFlags(r.byte())
		m.topic, m.id, m.code = r.two(), r.two(), code(r.byte())
	case unsuback:
		m.id = r.two()
	case pingreq:
		m.name = r.text(0)
	case disconnect:
		if m.hasDuration = len(r.b) > 0; m.hasDuration {
			m.duration = r.two()
		}
	default:
		r.short = true
	}
}

type reader struct {
	b     []byte
	short bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.short, r.b = true, nil
		return make([]byte, n)
	}
	taken := r.b[:n]
	r.b = r.b[n:]
	return taken
}

func (r *reader) byte() byte   { return r.take(1)[0] }
func (r *reader) two() uint16  { return binary.BigEndian.Uint16(r.take(2)) }
func (r *reader) rest() []byte { return r.take(len(r.b)) }

// text takes the rest as UTF-8 of at least so many bytes.
func (r *reader) text(least int) string {
	s := string(r.rest())
	r.valid(len(s) >= least && utf8.ValidString(s))
	return s
}

func (r *reader) valid(ok bool) { r.short = r.short || !ok }

// answers reports whether a message answers one of ours.
func (m *message) answers(to *message) bool {
	switch to.kind {
	case register:
		return m.kind == regack && m.id == to.id
	case publish:
		return m.kind == puback && m.id == to.id
	case subscribe:
		return m.kind == suback && m.id == to.id
	case unsubscribe:
		return m.kind == unsuback && m.id == to.id
	case connect:
		return m.kind == connack || m.kind == willTopicReq || m.kind == willMsgReq
	case willTopic:
		return m.kind == willMsgReq || m.kind == connack
	case willMsg:
		return m.kind == connack
	case pingreq:
		return m.kind == pingresp
	case disconnect:
		return m.kind == disconnect
	case willTopicReq:
		return m.kind == willTopic
	case willMsgReq:
		return m.kind == willMsg
	}
	return false
}
