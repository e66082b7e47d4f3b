package broker

import (
	"slices"
	"time"
)

// delayedWill is a will that waits for its delay (section 3.1.3.2.2 of MQTT 5).
type delayedWill struct {
	message Message
	timer   *time.Timer
	left    time.Time // when it is due
}

// putOff lets a session wait for its client: its will is published when its
// delay is over, at the latest when the session ends, which it does when it
// has expired [MQTT-3.1.2-8], [MQTT-3.1.2-23].
func (b *Broker) putOff(s *session, will *Message, delay time.Duration) {
	if will != nil && delay > 0 && s.expiry > 0 {
		s.will = &delayedWill{message: *will, left: time.Now().Add(delay)}
		s.will.timer = time.AfterFunc(delay, func() {
			b.mu.Lock()
			defer b.unlock()
			b.publishWill(s)
		})
		will = nil
	}
	switch s.expiry {
	case 0:
		b.forget(s)
	case forever:
	default:
		b.endLater(s)
	}
	if will != nil {
		will.begin(time.Now())
		b.route(*will)
	}
}

// endLater forgets the session when it has expired.
func (b *Broker) endLater(s *session) {
	s.end = time.AfterFunc(s.expiry, func() {
		b.mu.Lock()
		defer b.unlock()
		if s.conn == nil && !b.closed {
			b.forget(s)
		}
	})
}

// publishWill publishes a will whose time has come; a client that has come back
// before has taken it away [MQTT-3.1.3-9].
func (b *Broker) publishWill(s *session) {
	w := s.will
	if w == nil || b.closed {
		return
	}
	s.will = nil
	w.timer.Stop()
	w.message.begin(time.Now())
	b.route(w.message)
}

// wake ends waiting: the client has come back.
func (s *session) wake() {
	if s.end != nil {
		s.end.Stop()
		s.end = nil
	}
	if s.will != nil {
		s.will.timer.Stop()
		s.will = nil
	}
}

// forget ends a session, with a will that still waits.
func (b *Broker) forget(s *session) {
	b.sessions = slices.DeleteFunc(b.sessions, func(x *session) bool { return x == s })
	b.publishWill(s)
	s.wake()
}
