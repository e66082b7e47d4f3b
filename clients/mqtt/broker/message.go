package broker

import (
	"fmt"
	"time"
)

// Message is an application message.
type Message struct {
	Topic   string
	Payload []byte // not to be changed afterwards
	QoS     byte   // 0, 1 or 2
	// Retain keeps the message for later subscribers. To a subscriber it says
	// that the message was kept.
	Retain bool
	// Properties are those of MQTT 5 that travel with a message: payload
	// format, content type, response topic, correlation data and user
	// properties; others are ignored.
	Properties Properties
	// Expires is when the message is no longer worth sending; zero is never.
	Expires time.Time
	// From is the identifier of the client that published the message, empty
	// if this process did.
	From string

	// subscriptions are the identifiers that a delivery carries; life is the
	// expiry interval of a will, which begins when it is published.
	subscriptions []uint32
	life          time.Duration
}

// lifetime takes the message expiry interval, if there is one.
func (m *Message) lifetime(ps Properties) {
	if s, ok := ps.Num(MessageExpiry); ok {
		m.life = time.Duration(s) * time.Second
		if s == 0 {
			m.life = 1 // expires at once, but had an interval
		}
	}
}

// begin starts the lifetime.
func (m *Message) begin(now time.Time) {
	if m.life > 0 {
		m.Expires = now.Add(m.life)
	}
}

func (m *Message) expired(now time.Time) bool { return !m.Expires.IsZero() && !now.Before(m.Expires) }

// check tells what is wrong with a message of this process.
func (m *Message) check() error {
	if m.QoS > 2 {
		return fmt.Errorf("QoS %d", m.QoS)
	}
	return checkTopic(m.Topic)
}
