package measure

import "bytes"

// Ports of MQTT-SN: those of MQTT over UDP (IANA), and 1884, which gateways
// have by habit.
const (
	portMQTTSN       = 1884
	portMQTTUDP      = 1883
	portMQTTSecureUD = 8883
)

// Message types of MQTT-SN (version 1.2 section 5.2.2) that want an answer, or
// carry an application message.
const (
	snWillTopicReq = 0x06
	snWillMsgReq   = 0x08
	snConnect      = 0x04
	snWillTopic    = 0x07
	snWillMsg      = 0x09
	snRegister     = 0x0a
	snPublish      = 0x0c
	snSubscribe    = 0x12
	snUnsubscribe  = 0x14
	snPingreq      = 0x16
	snDisconnect   = 0x18
	snLastType     = 0x1d
	snDUP          = 0x80
	snQoS          = 0x60
	snQoSNone      = 0x60
)

// An snMessage is what is needed of one.
type snMessage struct {
	typ    byte
	header int    // bytes before an application message
	key    []byte // what copies have in common; nil if it wants no answer
	id     bool   // key has a message identifier
}

// parseMQTTSN parses a whole datagram (section 5.2).
func parseMQTTSN(b []byte) (m snMessage, ok bool) {
	head := 1
	if len(b) > 0 && b[0] == 1 {
		head = 3
	}
	if len(b) <= head || snLength(b) != len(b) {
		return m, false
	}
	m.typ = b[head]
	if m.typ > snLastType || m.typ == 3 || m.typ == 0x11 || m.typ == 0x19 {
		return m, false
	}
	m.header = len(b)
	body := head + 1
	switch m.typ {
	case snPublish: // flags, topic, message identifier
		const fields = 5
		if len(b) < body+fields {
			return m, false
		}
		m.header = body + fields
		if qos := b[body] & snQoS; qos == 0 || qos == snQoSNone {
			return m, true
		}
		m.id = true
	case snRegister, snSubscribe, snUnsubscribe:
		m.id = true
	case snConnect, snPingreq, snDisconnect, snWillTopic, snWillMsg, snWillTopicReq, snWillMsgReq:
	default:
		return m, true
	}
	m.key = bytes.Clone(b)
	if (m.typ == snPublish || m.typ == snSubscribe) && len(b) > body {
		m.key[body] &^= snDUP
	}
	return m, true
}

func snLength(b []byte) int {
	if b[0] == 1 && len(b) >= 3 {
		return int(b[1])<<8 | int(b[2])
	}
	return int(b[0])
}

// snTracker recognises retransmissions: a message that equals the last one of
// its direction that wants an answer and, if no identifier tells it from a new
// one, that nothing of the other end has answered.
type snTracker [2]struct {
	key      []byte
	answered bool
	arrives  bool
}

// repeat notes a message and reports whether it is a copy of an earlier one, and
// if so whether that one arrives.
func (t *snTracker) repeat(p *Packet, m *snMessage) (repeat, arrives bool) {
	here, there := &t[p.Dir], &t[1-p.Dir]
	arriving := p.Lost == ""
	if arriving {
		there.answered = true
	}
	if m.key == nil {
		return false, false
	}
	if bytes.Equal(here.key, m.key) && (m.id || !here.answered) {
		arrives = here.arrives
		here.arrives = arrives || arriving
		return true, arrives
	}
	here.key, here.answered, here.arrives = m.key, false, arriving
	return false, false
}
