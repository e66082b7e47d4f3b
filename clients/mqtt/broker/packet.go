package broker

import (
	"encoding/binary"
	"fmt"
)

// kind is the type of a control packet (section 2.2.1).
type kind byte

const (
	kindConnect kind = iota + 1
	kindConnack
	kindPublish
	kindPuback
	kindPubrec
	kindPubrel
	kindPubcomp
	kindSubscribe
	kindSuback
	kindUnsubscribe
	kindUnsuback
	kindPingreq
	kindPingresp
	kindDisconnect
	kindAuth // MQTT 5
)

var kindNames = [...]string{"will", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE",
	"SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH"}

func (k kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("packet type %d", byte(k))
}

// Protocol levels (section 3.1.2.2).
const (
	level4 = 4 // MQTT 3.1.1
	level5 = 5
)

// packet is any control packet of either version. A field that the packet's
// kind or version does not have is zero.
type packet struct {
	kind   kind
	dup    bool
	qos    byte
	retain bool

	id      uint16
	topic   string
	payload []byte
	// reason is CONNACK's code, in MQTT 3.1.1 its return code; that of an
	// acknowledgement, of DISCONNECT and of AUTH.
	reason  Reason
	present bool     // CONNACK: there was a session
	reasons []Reason // SUBACK, UNSUBACK: one for each filter
	subs    []subscription
	filters []string // UNSUBSCRIBE
	props   Properties
	connect *connectFields
}

// connectFields are those of CONNECT.
type connectFields struct {
	level     byte
	clean     bool // clean session, or clean start
	keepAlive uint16
	client    string
	will      *Message
	willDelay uint32
	hasUser   bool
	user      string
	password  []byte
}

// encode gives the packet as the protocol level writes it.
func (p *packet) encode(level byte) []byte {
	flags := byte(0)
	var body []byte
	switch p.kind {
	case kindPublish:
		flags = p.qos << 1
		if p.dup {
			flags |= 8
		}
		if p.retain {
			flags |= 1
		}
		body = make([]byte, 0, len(p.topic)+len(p.payload)+32)
		body = appendText(body, p.topic)
		if p.qos > 0 {
			body = appendTwo(body, p.id)
		}
		if level == level5 {
			body = appendProperties(body, p.props)
		}
		body = append(body, p.payload...)
	case kindConnack:
		body = []byte{0, byte(p.reason)}
		if p.present {
			body[0] = 1
		}
		if level == level5 {
			body = appendProperties(body, p.props)
		}
	case kindPuback, kindPubrec, kindPubrel, kindPubcomp:
		if p.kind == kindPubrel {
			flags = 2
		}
		body = p.appendReason(appendTwo(nil, p.id), level)
	case kindSuback, kindUnsuback:
		body = appendTwo(nil, p.id)
		if level == level5 {
			body = appendProperties(body, p.props)
		}
		if p.kind == kindSuback || level == level5 {
			for _, r := range p.reasons {
				body = append(body, byte(r))
			}
		}
	case kindDisconnect, kindAuth:
		body = p.appendReason(nil, level)
	}
	b := append(make([]byte, 0, len(body)+5), byte(p.kind)<<4|flags)
	return append(appendVarint(b, uint32(len(body))), body...)
}

// appendReason writes a reason code and properties, or nothing where that means
// success (sections 3.4.2.1, 3.14.2.1).
func (p *packet) appendReason(b []byte, level byte) []byte {
	if level != level5 || p.reason == Success && len(p.props) == 0 {
		return b
	}
	b = append(b, byte(p.reason))
	if len(p.props) == 0 {
		return b
	}
	return appendProperties(b, p.props)
}

func appendTwo(b []byte, n uint16) []byte  { return binary.BigEndian.AppendUint16(b, n) }
func appendFour(b []byte, n uint32) []byte { return binary.BigEndian.AppendUint32(b, n) }
func appendText(b []byte, s string) []byte { return append(appendTwo(b, uint16(len(s))), s...) }

// appendVarint writes a variable byte integer (section 1.5.5).
func appendVarint(b []byte, n uint32) []byte {
	for ; n > 0x7f; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}
