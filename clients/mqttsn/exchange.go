package mqttsn

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Timers are those of retransmission (section 7.2).
type Timers struct {
	Retry  time.Duration `conf:"t_retry" doc:"T_retry: time before a message without answer is sent again" min:"100ms"`
	Number int           `conf:"n_retry" doc:"N_retry: how often it is sent again" min:"0" max:"20"`
}

// link sends and receives the messages of one peer. Messages that want an
// answer wait for each other: one is under way at a time (section 6.12).
type link struct {
	conn   net.Conn
	timers Timers
	lost   func(error) // told once, when an answer does not come

	mu      sync.Mutex
	current *exchange
	waiting []*exchange
	lastID  uint16
	ended   bool
}

// exchange is a message that wants an answer.
type exchange struct {
	message message
	sent    int
	timer   *time.Timer
	done    func(*message, error) // without lock
}

var (
	errNoAnswer = errors.New("no answer")
	errEnded    = errors.New("session has ended")
)

// maxWaiting bounds the exchanges that wait for their turn.
const maxWaiting = 256

// nextID is a message identifier; mu is held.
func (l *link) nextID() uint16 {
	if l.lastID++; l.lastID == 0 {
		l.lastID = 1
	}
	return l.lastID
}

// send writes a message that wants no answer. What cannot be written is lost
// like a datagram.
func (l *link) send(m message) { _, _ = l.conn.Write(m.encode()) }

// ask writes a message until it is answered; done is told of the answer, or why
// none comes.
func (l *link) ask(m message, done func(*message, error)) {
	l.mu.Lock()
	if l.ended || len(l.waiting) >= maxWaiting {
		l.mu.Unlock()
		done(nil, errEnded)
		return
	}
	switch m.kind {
	case register, publish, subscribe, unsubscribe:
		m.id = l.nextID()
	}
	l.waiting = append(l.waiting, &exchange{message: m, done: done})
	l.advance()
	l.mu.Unlock()
}

// advance begins the next exchange, if none is under way; mu is held.
func (l *link) advance() {
	if l.current != nil || len(l.waiting) == 0 || l.ended {
		return
	}
	l.current = l.waiting[0]
	l.waiting = l.waiting[1:]
	l.transmit(l.current)
}

// transmit sends an exchange's message, again with DUP if it can carry it.
func (l *link) transmit(x *exchange) {
	m := x.message
	m.dup = x.sent > 0 && (m.kind == publish || m.kind == subscribe)
	x.sent++
	l.send(m)
	x.timer = time.AfterFunc(l.timers.Retry, func() { l.retry(x) })
}

// retry sends again, or gives up.
func (l *link) retry(x *exchange) {
	l.mu.Lock()
	if l.current != x || l.ended {
		l.mu.Unlock()
		return
	}
	if x.sent <= l.timers.Number {
		l.transmit(x)
		l.mu.Unlock()
		return
	}
	l.mu.Unlock()
	err := fmt.Errorf("%s: %w after %d transmissions", x.message.kind, errNoAnswer, x.sent)
	l.end(err)
	l.lost(err)
}

// received takes a message that answers the exchange under way.
func (l *link) received(m *message) bool {
	l.mu.Lock()
	x := l.current
	if x == nil || !m.answers(&x.message) {
		l.mu.Unlock()
		return false
	}
	x.timer.Stop()
	l.current = nil
	l.mu.Unlock()
	x.done(m, nil)
	l.mu.Lock()
	l.advance()
	l.mu.Unlock()
	return true
}

// end gives up all exchanges.
func (l *link) end(err error) {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return
	}
	l.ended = true
	all := l.waiting
	if l.current != nil {
		l.current.timer.Stop()
		all = append([]*exchange{l.current}, all...)
	}
	l.current, l.waiting = nil, nil
	l.mu.Unlock()
	for _, x := range all {
		x.done(nil, err)
	}
}
