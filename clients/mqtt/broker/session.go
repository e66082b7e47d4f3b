package broker

import (
	"slices"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// session is the state of a client that outlives its connection (section
// 4.1). The identifiers of packets sent and of packets received are separate
// spaces: a client's PUBLISH with the identifier of an unacknowledged delivery
// has nothing to do with it (section 2.3.1).
type session struct {
	id    string
	clean bool  // ends with its connection
	conn  *conn // nil while the client is away

	subs     []subscription
	queue    []Message           // to be sent
	sent     []*delivery         // sent, not acknowledged, in order
	lastID   uint16              // the last identifier given to a delivery
	received map[uint16]struct{} // QoS 2 messages of the client, until PUBREL
}

type subscription struct {
	filter string
	qos    byte
}

// delivery is a QoS 1 or 2 message on its way to the client.
type delivery struct {
	id  uint16
	msg Message
	// received: PUBREC has come, PUBREL is on its way, the message itself is
	// never sent again (section 4.3.3).
	received bool
}

func newSession(id string, clean bool) *session {
	return &session{id: id, clean: clean, received: make(map[uint16]struct{})}
}

// match is the highest QoS of the subscriptions that match [MQTT-3.3.5-1].
func (s *session) match(topic string) (qos byte, ok bool) {
	for _, sub := range s.subs {
		if matches(sub.filter, topic) {
			qos, ok = max(qos, sub.qos), true
		}
	}
	return qos, ok
}

// subscribe adds a filter or replaces an equal one [MQTT-3.8.4-3]. It reports
// false if there are too many.
func (s *session) subscribe(sub subscription, limit int) bool {
	for i := range s.subs {
		if s.subs[i].filter == sub.filter {
			s.subs[i] = sub
			return true
		}
	}
	if len(s.subs) >= limit {
		return false
	}
	s.subs = append(s.subs, sub)
	return true
}

// unsubscribe removes a filter that is equal character by character
// [MQTT-3.10.4-1].
func (s *session) unsubscribe(filter string) {
	s.subs = slices.DeleteFunc(s.subs, func(sub subscription) bool { return sub.filter == filter })
}

// pump sends queued messages in order while the connection takes them and the
// window of unacknowledged ones is open.
func (s *session) pump(window int) {
	for len(s.queue) > 0 && s.conn != nil && s.conn.takes() {
		m := s.queue[0]
		if m.QoS > 0 && len(s.sent) >= window {
			return
		}
		s.queue = s.queue[1:]
		d := &delivery{msg: m}
		if m.QoS > 0 {
			d.id = s.newID()
			s.sent = append(s.sent, d)
		}
		s.conn.send(d.publish(false))
	}
}

// newID is an identifier that no unacknowledged delivery has [MQTT-2.3.1-4];
// the window is far below the 65535 there are.
func (s *session) newID() uint16 {
	for {
		if s.lastID++; s.lastID != 0 && s.find(s.lastID) == nil {
			return s.lastID
		}
	}
}

func (s *session) find(id uint16) *delivery {
	for _, d := range s.sent {
		if d.id == id {
			return d
		}
	}
	return nil
}

// resume sends again, in the original order and with the original
// identifiers, what was not acknowledged before the connection broke
// [MQTT-4.4.0-1], [MQTT-4.6.0-1].
func (s *session) resume() {
	for _, d := range s.sent {
		if d.received {
			s.conn.send(ack(packets.Pubrel, d.id))
		} else {
			s.conn.send(d.publish(true))
		}
	}
}

// acknowledged handles PUBACK, PUBREC and PUBCOMP. One that belongs to no
// delivery in that state is a repetition and changes nothing.
func (s *session) acknowledged(kind byte, id uint16) {
	d := s.find(id)
	switch {
	case kind == packets.Pubrec:
		if d != nil && d.msg.QoS == 2 {
			d.received = true
		}
		// Also for an unknown one: the sender of PUBREC waits for it.
		s.conn.send(ack(packets.Pubrel, id))
	case d == nil:
	case kind == packets.Puback && d.msg.QoS == 1, kind == packets.Pubcomp && d.received:
		s.sent = slices.DeleteFunc(s.sent, func(x *delivery) bool { return x == d })
	}
}

// publish is the delivery's packet; dup marks a repetition [MQTT-3.3.1-1].
func (d *delivery) publish(dup bool) packets.ControlPacket {
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.TopicName, p.Payload = d.msg.Topic, d.msg.Payload
	p.Qos, p.Retain, p.Dup, p.MessageID = d.msg.QoS, d.msg.Retain, dup, d.id
	return p
}

// ack makes one of the packets that consist of an identifier.
func ack(kind byte, id uint16) packets.ControlPacket {
	p := packets.NewControlPacket(kind)
	switch p := p.(type) {
	case *packets.PubackPacket:
		p.MessageID = id
	case *packets.PubrecPacket:
		p.MessageID = id
	case *packets.PubrelPacket:
		p.MessageID = id
	case *packets.PubcompPacket:
		p.MessageID = id
	case *packets.UnsubackPacket:
		p.MessageID = id
	}
	return p
}
