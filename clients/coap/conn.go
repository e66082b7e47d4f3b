package coap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// Stats counts what a Conn did since it was made; on a stream all stay 0.
type Stats struct {
	// Retransmissions counts confirmable messages sent again.
	Retransmissions int
	// GiveUps counts confirmable messages that were never acknowledged.
	GiveUps int
	// Duplicates counts messages received again and not acted upon.
	Duplicates int
}

// maxDatagram is more than any UDP payload.
const maxDatagram = 64 << 10

// Conn is one peer session, client and server at once. Its methods may be
// called concurrently.
type Conn struct {
	conn    net.Conn
	cfg     Config
	handler Handler
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup // handlers and notifications being completed

	mu    sync.Mutex // guards the rest; see unlock
	stats Stats
	ended bool
	// cause is why it ended, nil if it was closed by us; reason is what
	// everything then fails with: ErrClosed, wrapping cause.
	cause, reason error
	stream        *stream // nil on datagrams; itself constant

	effects  []effect
	flushing bool

	ids          messageIDs
	inFlight     map[uint16]*transmission // unacknowledged, by message ID
	waiting      []*transmission          // for NSTART, in order
	outstanding  int                      // interactions that count for NSTART
	calls        map[string]*call         // by token
	observations map[string]*Observation  // by token
	observers    map[string]*Observer     // by token

	seen       seenMessages
	assemblies []*assembly
	snapshots  []snapshot
}

// effect is what is to happen outside the lock: a datagram to send, or a
// callback.
type effect struct {
	datagram []byte
	call     func()
}

// NewConn makes a session over conn, which must keep message boundaries and
// whose Write must not wait for the peer. handler may be nil: every request is
// then answered 4.04. The Conn owns conn and cfg.Rand. Nothing is received
// before Serve runs. It panics if cfg does not Validate.
func NewConn(conn net.Conn, cfg Config, handler Handler) *Conn {
	if err := cfg.Validate(); err != nil {
		panic(err)
	}
	if handler == nil {
		handler = HandlerFunc(func(context.Context, *Request) *Response { return Status(codes.NotFound) })
	}
	cfg.ResponseTimeout = responseTimeout(cfg)
	lifetimes := lifetimes{confirmable: cfg.ExchangeLifetime(), non: cfg.NonLifetime()}
	cfg = cfg.withDefaults()
	if cfg.Rand == nil {
		cfg.Rand = rand.New(rand.NewPCG(0, 7252))
	}
	c := &Conn{
		conn: conn, cfg: cfg, handler: handler,
		ids:          messageIDs{next: uint16(cfg.Rand.Uint32()), lifetime: lifetimes.confirmable},
		inFlight:     make(map[uint16]*transmission),
		calls:        make(map[string]*call),
		observations: make(map[string]*Observation),
		observers:    make(map[string]*Observer),
		seen:         seenMessages{lifetimes: lifetimes, byID: make(map[uint16]*seenMessage)},
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

func responseTimeout(cfg Config) time.Duration {
	if cfg.ResponseTimeout > 0 {
		return cfg.ResponseTimeout
	}
	return cfg.ExchangeLifetime()
}

// Serve receives until the Conn is closed, then returns nil, or until the
// connection fails, then returns why. It waits for handlers. A Conn serves
// once. On a stream the reason may be an *AbortError or a *ReleaseError, and
// the peer's closing after our Release is none.
func (c *Conn) Serve() error {
	serve := c.serveDatagrams
	if c.stream != nil {
		serve = c.serveStream
	}
	err := serve()
	if c.wasReleased(err) {
		err = nil
	}
	c.end(err)
	c.running.Wait()
	return c.failure()
}

// failure is why the session ended, nil if it was closed by us.
func (c *Conn) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause == nil {
		return nil
	}
	return fmt.Errorf("coap: connection: %w", c.cause)
}

// serveDatagrams returns why it ended.
func (c *Conn) serveDatagrams() error {
	buf := make([]byte, maxDatagram)
	for {
		n, err := c.conn.Read(buf)
		if errors.Is(err, syscall.ECONNREFUSED) {
			continue // an ICMP error; the peer may come back, or we give up in time
		}
		if err != nil {
			return err
		}
		c.receive(bytes.Clone(buf[:n]))
	}
}

// Close ends the session at once: the connection is closed and everything that
// waits fails with ErrClosed. It does not wait for handlers; Serve does.
func (c *Conn) Close() error {
	c.end(nil)
	return nil
}

// closed is the error of everything that fails because the session has ended.
func (c *Conn) closed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reason
}

// Done is closed when the session has ended.
func (c *Conn) Done() <-chan struct{} { return c.ctx.Done() }

// LocalAddr is the connection's own address.
func (c *Conn) LocalAddr() net.Addr { return c.conn.LocalAddr() }

// RemoteAddr is the peer's address.
func (c *Conn) RemoteAddr() net.Addr { return c.conn.RemoteAddr() }

// Stats returns the counters.
func (c *Conn) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}

// end fails everything that waits and closes the connection, once. cause is
// nil if nothing went wrong.
func (c *Conn) end(cause error) {
	c.mu.Lock()
	if !c.ended {
		c.ended, c.cause, c.reason = true, cause, ErrClosed
		if cause != nil {
			c.reason = fmt.Errorf("%w: %w", ErrClosed, cause)
		}
		waiting := c.waiting
		c.waiting = nil
		// Sorted, that whoever waits is woken in the same order in every run.
		for _, token := range slices.Sorted(maps.Keys(c.calls)) {
			c.finish(c.calls[token], nil, c.reason)
		}
		for _, token := range slices.Sorted(maps.Keys(c.observers)) {
			c.endObserver(c.observers[token], c.reason)
		}
		for _, mid := range slices.Sorted(maps.Keys(c.inFlight)) {
			c.settle(c.inFlight[mid], nil, c.reason)
		}
		for _, t := range waiting {
			c.settle(t, nil, c.reason)
		}
		clear(c.observations)
		if c.stream != nil {
			c.stream.wake.Signal()
		}
	}
	c.unlock()
	c.cancel()
	_ = c.conn.Close() // nothing of ours is left that could fail
}

// unlock releases mu and performs the effects that were queued under it, in
// order and by one goroutine at a time. So no lock is held while writing or
// calling back, and a callback may use the Conn.
func (c *Conn) unlock() {
	if c.flushing {
		c.mu.Unlock()
		return
	}
	c.flushing = true
	for len(c.effects) > 0 {
		batch := c.effects
		c.effects = nil
		c.mu.Unlock()
		for _, e := range batch {
			c.perform(e)
		}
		c.mu.Lock()
		if c.effects == nil {
			clear(batch)
			c.effects = batch[:0] // spare the next one an allocation
		}
	}
	c.flushing = false
	c.mu.Unlock()
}

func (c *Conn) perform(e effect) {
	if e.call != nil {
		e.call()
		return
	}
	// A datagram that cannot be written is a lost one: retransmission repairs
	// it or gives up, and a dead connection ends Serve.
	_, _ = c.conn.Write(e.datagram)
}

// send queues a datagram; mu is held.
func (c *Conn) send(datagram []byte) {
	if !c.ended {
		c.effects = append(c.effects, effect{datagram: datagram})
	}
}

// callLater queues a callback; mu is held.
func (c *Conn) callLater(f func()) { c.effects = append(c.effects, effect{call: f}) }

// receive acts on one datagram, which it keeps.
func (c *Conn) receive(datagram []byte) {
	m, err := decode(datagram)
	if errors.Is(err, errNotCoAP) {
		return
	}
	c.mu.Lock()
	defer c.unlock()
	if c.ended {
		return
	}
	switch {
	case err != nil:
		// Section 4.2: a confirmable message that cannot be processed is
		// rejected; everything else is ignored (4.3).
		if m.Type == message.Confirmable {
			c.send(emptyMessage(message.Reset, uint16(m.MessageID)))
		}
	case m.Type == message.Acknowledgement:
		c.receiveAck(m)
	case m.Type == message.Reset:
		if m.Code == codes.Empty {
			c.receiveReset(uint16(m.MessageID))
		}
	case m.Code == codes.Empty:
		if m.Type == message.Confirmable { // a ping, section 1.2
			c.send(emptyMessage(message.Reset, uint16(m.MessageID)))
		}
	default:
		c.receiveOnce(m)
	}
}

// receiveOnce filters duplicates of confirmable and non-confirmable messages
// (section 4.5) and passes first copies on.
func (c *Conn) receiveOnce(m message.Message) {
	confirmable := m.Type == message.Confirmable
	s, duplicate := c.seen.see(uint16(m.MessageID), confirmable, time.Now())
	switch {
	case duplicate:
		c.stats.Duplicates++
		if confirmable && s.reply != nil {
			c.send(s.reply)
		}
	case isRequest(m.Code):
		c.receiveRequest(m, s)
	case isResponse(m.Code):
		c.receiveResponse(m, s)
	default:
		c.reject(m, s)
	}
}

// reject answers a confirmable message that makes no sense here with a Reset
// (section 4.2) and ignores a non-confirmable one (section 4.3).
func (c *Conn) reject(m message.Message, s *seenMessage) {
	if m.Type == message.Confirmable {
		c.reply(s, emptyMessage(message.Reset, uint16(m.MessageID)))
	}
}

// reply sends the ACK or RST of a received message and keeps it for
// duplicates.
func (c *Conn) reply(s *seenMessage, datagram []byte) {
	c.seen.setReply(s, datagram)
	c.send(datagram)
}
