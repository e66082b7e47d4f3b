package broker

import (
	"crypto/tls"
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
	// MaxQueuedBytes is the size of their payloads, beyond which one message at
	// least may wait. 0: 64 MiB.
	MaxQueuedBytes int
	// MaxInflight is the number of QoS 1 and 2 messages sent to one client and
	// not yet acknowledged. 0: 20.
	MaxInflight int
	// MaxReceived is the number of QoS 2 messages of one client that wait for
	// its PUBREL. 0: 65535, as many as there are.
	MaxReceived int
	// MaxTopicAlias is the number of topic aliases that a client of MQTT 5 may
	// set. 0: 16.
	MaxTopicAlias int
	// MaxSubscriptions is the number of filters of one client; further ones
	// are refused in SUBACK. 0: 1000.
	MaxSubscriptions int
	// MaxSessions is the number of clients known, connected or not; further
	// ones are refused as "server unavailable". 0: 10000.
	MaxSessions int
	// MaxRetained is the number of retained messages; further topics are not
	// retained. 0: 10000.
	MaxRetained int
	// MaxConnections is the number of connections, those before CONNECT
	// included; further ones are closed at once. 0: 10000.
	MaxConnections int
	// MaxKeepAlive is the longest keep-alive of a client of MQTT 5, in whole
	// seconds; one that asks for more, or none, is told to take it. 0: any.
	MaxKeepAlive time.Duration
	// MaxSessionExpiry is how long a session outlives its connection at most,
	// in whole seconds. 0: as long as the client asks.
	MaxSessionExpiry time.Duration
	// Authenticate, if not nil, judges a client that connects: Success,
	// BadUserNameOrPassword, NotAuthorized or another refusal. It must not call
	// the broker.
	Authenticate func(Credentials) Reason
	// Authorize, if not nil, tells whether a client may publish on a topic, or
	// subscribe to a filter. It must not call the broker.
	Authorize func(client, topic string, publish bool) bool
	// Log, if not nil, is told in one line of a client that violates the
	// protocol or reaches a limit. It must not call the broker.
	Log func(line string)
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
	set(&o.MaxQueuedBytes, 64<<20)
	set(&o.MaxInflight, 20)
	set(&o.MaxReceived, 0xffff)
	set(&o.MaxTopicAlias, 16)
	set(&o.MaxConnections, 10_000)
	set(&o.MaxSubscriptions, 1000)
	set(&o.MaxSessions, 10_000)
	set(&o.MaxRetained, 10_000)
	if o.MaxSessionExpiry <= 0 {
		o.MaxSessionExpiry = forever
	}
	if o.ConnectTimeout <= 0 {
		o.ConnectTimeout = 15 * time.Minute
	}
}

// Credentials are what a client says of itself when it connects.
type Credentials struct {
	Client   string // identifier; empty if the broker is to assign one
	HasUser  bool
	User     string
	Password []byte
	Level    byte // of the protocol: 4 is MQTT 3.1.1, 5 is MQTT 5
	// TLS is the state of its connection, nil without TLS.
	TLS *tls.ConnectionState
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
	turn      int  // of shared subscriptions
	full      bool // the last connection was turned away
	// retainedFull: the last message to be retained was not.
	retainedFull bool
	after        []func() // what unlock does once the lock is free

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
	if full := len(b.conns) >= b.opt.MaxConnections; b.closed || full {
		if full && !b.full { // one line until there is room again
			b.log("%s: %d connections are the most", c.name(), b.opt.MaxConnections)
		}
		b.full = full
		c.shut()
		return
	}
	b.full = false
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
	if err := m.check(); err != nil {
		return fmt.Errorf("broker: publish: %w", err)
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
		will := s.will
		s.wake()
		if s.expiry == 0 {
			continue
		}
		s.conn = nil
		s.keepAway()
		b.sessions = append(b.sessions, s)
		if will != nil {
			b.putOff(s, &will.message, max(1, time.Until(will.left)))
		} else {
			b.putOff(s, nil, 0)
		}
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

// log tells of a client in one line.
func (b *Broker) log(format string, args ...any) {
	if b.opt.Log != nil {
		b.opt.Log(fmt.Sprintf(format, args...))
	}
}

// number writes a count in constant length.
func number(n int) string { return fmt.Sprintf("%08d", n) }
