package broker

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

// Options bound what clients can make the broker hold. The zero value is
// ready to use.
type Options struct {
	// MaxPacket is the largest packet accepted, in bytes after the fixed
	// header. 0: 1 MiB.
	MaxPacket int
	// MaxQueued is the number of messages that wait for one client; further
	// ones are dropped. 0: 1000.
	MaxQueued int
	// MaxInflight is the number of QoS 1 and 2 messages sent to one client and
	// not yet acknowledged. 0: 20.
	MaxInflight int
	// MaxSubscriptions is the number of filters of one client; further ones
	// are refused in SUBACK. 0: 1000.
	MaxSubscriptions int
	// MaxSessions is the number of clients known, connected or not; further
	// ones are refused as "server unavailable". 0: 10000.
	MaxSessions int
	// MaxRetained is the number of retained messages; further topics are not
	// retained. 0: 10000.
	MaxRetained int
	// ConnectTimeout is the time from accepting a connection to its CONNECT,
	// the TLS handshake included. 0: 15 min, for certificates over 500 bit/s.
	ConnectTimeout time.Duration
}

func (o *Options) setDefaults() {
	set := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	set(&o.MaxPacket, 1<<20)
	set(&o.MaxQueued, 1000)
	set(&o.MaxInflight, 20)
	set(&o.MaxSubscriptions, 1000)
	set(&o.MaxSessions, 10_000)
	set(&o.MaxRetained, 10_000)
	if o.ConnectTimeout <= 0 {
		o.ConnectTimeout = 15 * time.Minute
	}
}

// Message is an application message.
type Message struct {
	Topic   string
	Payload []byte // not to be changed afterwards
	QoS     byte   // 0, 1 or 2
	// Retain keeps the message for later subscribers. To a subscriber it says
	// that the message was kept.
	Retain bool
}

// Broker routes messages between clients and local subscribers.
type Broker struct {
	opt Options

	mu        sync.Mutex // guards all below and the fields of sessions and conns
	closed    bool
	listeners []net.Listener
	conns     []*conn    // those that have sent CONNECT and the others
	sessions  []*session // in order of their first connection
	local     []*localSub
	retained  map[string]Message
	assigned  int // client identifiers made up so far
	dropped   int
	after     []func() // what unlock does once the lock is free

	running sync.WaitGroup
}

// localSub is a subscription of this process.
type localSub struct {
	filter string
	fn     func(Message)
}

// ErrClosed is returned by calls on a closed broker.
var ErrClosed = errors.New("broker: closed")

// New makes a broker that serves nothing yet.
func New(opt Options) *Broker {
	opt.setDefaults()
	return &Broker{opt: opt, retained: make(map[string]Message)}
}

// Serve accepts connections until the listener or the broker is closed; then
// it returns nil. A broker that is closed already closes the listener.
func (b *Broker) Serve(ln net.Listener) error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return ln.Close()
	}
	b.listeners = append(b.listeners, ln)
	b.mu.Unlock()
	for {
		nc, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		} else if err != nil {
			return fmt.Errorf("broker: accept: %w", err)
		}
		b.start(nc)
	}
}

// start serves one connection in goroutines of its own.
func (b *Broker) start(nc net.Conn) {
	b.mu.Lock()
	defer b.unlock()
	c := newConn(b, nc)
	if b.closed {
		c.shut()
		return
	}
	b.conns = append(b.conns, c)
	b.running.Add(1)
	go func() {
		defer b.running.Done()
		c.serve()
	}()
}

// Close ends all connections and returns when their goroutines have ended.
// Wills are not published. Listeners are closed, too.
func (b *Broker) Close() error {
	b.mu.Lock()
	b.closed = true
	var errs []error
	for _, ln := range b.listeners {
		if err := ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	for _, c := range b.conns {
		c.shut()
	}
	b.conns, b.listeners = nil, nil
	b.unlock()
	b.running.Wait()
	return errors.Join(errs...)
}

// Publish routes a message from this process. It does not wait for clients.
func (b *Broker) Publish(m Message) error {
	if err := checkTopic(m.Topic); err != nil {
		return fmt.Errorf("broker: publish: %w", err)
	}
	if m.QoS > 2 {
		return fmt.Errorf("broker: publish: QoS %d", m.QoS)
	}
	b.mu.Lock()
	defer b.unlock()
	if b.closed {
		return ErrClosed
	}
	b.route(m)
	return nil
}

// Subscribe calls fn for every message that matches the filter, in the
// goroutine that routes it and without holding the broker's lock: fn may
// publish. Retained messages come first, before Subscribe returns.
func (b *Broker) Subscribe(filter string, fn func(Message)) (cancel func(), err error) {
	if err := checkFilter(filter); err != nil {
		return nil, fmt.Errorf("broker: subscribe: %w", err)
	}
	sub := &localSub{filter, fn}
	b.mu.Lock()
	defer b.unlock()
	b.local = append(b.local, sub)
	for _, m := range b.retainedFor(filter) {
		b.after = append(b.after, func() { fn(m) })
	}
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.local = slices.DeleteFunc(b.local, func(s *localSub) bool { return s == sub })
	}, nil
}

// Inherit takes over what a broker that is closed would have kept in its
// database: retained messages, and the sessions that are not clean, with what
// waits for their clients (section 4.1). Call it before Serve.
func (b *Broker) Inherit(old *Broker) {
	old.mu.Lock()
	defer old.unlock()
	b.mu.Lock()
	defer b.unlock()
	b.assigned = old.assigned
	for topic, m := range old.retained {
		b.retained[topic] = m
	}
	for _, s := range old.sessions {
		if s.clean {
			continue
		}
		s.conn = nil
		s.queue = slices.DeleteFunc(s.queue, func(m Message) bool { return m.QoS == 0 })
		b.sessions = append(b.sessions, s)
	}
	old.sessions, old.retained = nil, nil
}

// Unretain removes the retained messages whose topics match a filter, and
// tells nobody.
func (b *Broker) Unretain(filter string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for topic := range b.retained {
		if matches(filter, topic) {
			delete(b.retained, topic)
		}
	}
}

// Dropped is the number of messages given up because a client's queue was
// full, or because it was away and the message had QoS 0.
func (b *Broker) Dropped() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dropped
}

// Connected reports whether a client of that identifier is connected.
func (b *Broker) Connected(clientID string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.session(clientID)
	return s != nil && s.conn != nil
}

// unlock frees the lock and then does what was put off while it was held.
func (b *Broker) unlock() {
	after := b.after
	b.after = nil
	b.mu.Unlock()
	for _, f := range after {
		f()
	}
}

func (b *Broker) session(id string) *session {
	for _, s := range b.sessions {
		if s.id == id {
			return s
		}
	}
	return nil
}

func (b *Broker) forget(s *session) {
	b.sessions = slices.DeleteFunc(b.sessions, func(x *session) bool { return x == s })
}
