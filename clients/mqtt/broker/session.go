package broker

import (
	"slices"
	"time"
)

// session is the state of a client that outlives its connection (section
// 4.1). The identifiers of packets sent and of packets received are separate
// spaces: a client's PUBLISH with the identifier of an unacknowledged delivery
// has nothing to do with it (section 2.3.1).
type session struct {
	id   string
	conn *conn // nil while the client is away

	// expiry is how long the session outlives its connection: not at all for a
	// clean one of MQTT 3.1.1, for ever for another.
	expiry time.Duration
	// end fires when the session has expired, will when the delay of the will
	// is over (section 3.1.3.2.2); nil while the client is connected.
	end  *time.Timer
	will *delayedWill

	subs     []subscription
	queue    []Message           // to be sent
	queued   int                 // payload bytes in queue
	full     bool                // the last message for the queue was dropped
	sent     []*delivery         // sent, not acknowledged, in order
	lastID   uint16              // the last identifier given to a delivery
	received map[uint16]struct{} // QoS 2 messages of the client, until PUBREL
}

// forever is the expiry of a session that does not (0xffffffff in MQTT 5).
const forever time.Duration = 1<<63 - 1

// sessionExpiry is the duration of an expiry interval (section 3.1.2.11.2).
func sessionExpiry(seconds uint32) time.Duration {
	if seconds == 0xffffffff {
		return forever
	}
	return time.Duration(seconds) * time.Second
}

// delivery is a QoS 1 or 2 message on its way to the client.
type delivery struct {
	id  uint16
	msg Message
	// received: PUBREC has come, PUBREL is on its way, the message itself is
	// never sent again (section 4.3.3).
	received bool
}

func newSession(id string) *session {
	return &session{id: id, received: make(map[uint16]struct{})}
}

// enqueue adds a message for the client and reports false if there are too
// many.
func (s *session) enqueue(m Message, o *Options) bool {
	if len(s.queue) >= o.MaxQueued || len(s.queue) > 0 && s.queued+len(m.Payload) > o.MaxQueuedBytes {
		return false
	}
	s.queue = append(s.queue, m)
	s.queued += len(m.Payload)
	return true
}

func (s *session) dequeue() Message {
	m := s.queue[0]
	s.queue = s.queue[1:]
	s.queued -= len(m.Payload)
	return m
}

// keepAway removes from the queue what is not kept for a client that is away.
func (s *session) keepAway() {
	s.queue = slices.DeleteFunc(s.queue, func(m Message) bool { return m.QoS == 0 })
	s.queued = 0
	for _, m := range s.queue {
		s.queued += len(m.Payload)
	}
}

// pump sends queued messages in order while the connection takes them and the
// window of unacknowledged ones is open. What has expired meanwhile is not sent
// [MQTT-3.3.2-5].
func (s *session) pump() {
	for len(s.queue) > 0 && s.conn != nil && s.conn.takes() {
		if s.queue[0].QoS > 0 && len(s.sent) >= s.conn.window {
			return
		}
		m := s.dequeue()
		s.full = false
		if m.expired(time.Now()) {
			continue
		}
		d := &delivery{msg: m}
		if m.QoS > 0 {
			d.id = s.newID()
		}
		if s.conn.deliver(d, false) && m.QoS > 0 {
			s.sent = append(s.sent, d)
		}
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
	sent := s.sent
	s.sent = nil
	for _, d := range sent {
		if d.received {
			s.conn.send(&packet{kind: kindPubrel, id: d.id})
		} else if !s.conn.deliver(d, true) {
			continue
		}
		s.sent = append(s.sent, d)
	}
}

// acknowledged handles PUBACK, PUBREC and PUBCOMP. One that belongs to no
// delivery in that state is a repetition and changes nothing.
func (s *session) acknowledged(p *packet) {
	d := s.find(p.id)
	refused := p.reason >= UnspecifiedError
	switch {
	case p.kind == kindPubrec && !refused:
		answer := &packet{kind: kindPubrel, id: p.id}
		if d == nil {
			answer.reason = IdentifierNotFound
		} else if d.msg.QoS == 2 {
			d.received = true
		}
		// Also for an unknown one: the sender of PUBREC waits for it.
		s.conn.send(answer)
	case d == nil:
	case p.kind == kindPuback && d.msg.QoS == 1, p.kind == kindPubrec && d.msg.QoS == 2, p.kind == kindPubcomp && d.received:
		s.sent = slices.DeleteFunc(s.sent, func(x *delivery) bool { return x == d })
	}
}

// packet is the delivery's; dup marks a repetition [MQTT-3.3.1-1]. Its
// properties are those of MQTT 5.
func (d *delivery) packet(dup bool, now time.Time) *packet {
	m := &d.msg
	ps := m.Properties.forwarded()
	if !m.Expires.IsZero() { // [MQTT-3.3.2-6]: the time that is left
		left := max(0, m.Expires.Sub(now)+time.Second-1) / time.Second
		ps = append(ps, Property{ID: MessageExpiry, Num: uint32(left)})
	}
	for _, id := range m.subscriptions {
		ps = append(ps, Property{ID: SubscriptionIdentifier, Num: id})
	}
	return &packet{
		kind: kindPublish, dup: dup, qos: m.QoS, retain: m.Retain, id: d.id,
		topic: m.Topic, payload: m.Payload, props: ps,
	}
}
