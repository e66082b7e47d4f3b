package coap

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// link is an in-memory datagram path between two ends, a and b, with a one-way
// delay and scripted loss. It logs what was sent.
type link struct {
	delay time.Duration
	// lose decides about the n-th datagram of a direction, from 0.
	lose func(fromA bool, n int, d []byte) bool

	mu    sync.Mutex
	start time.Time
	count [2]int
	log   []sent
}

type sent struct {
	at    time.Duration
	fromA bool
	lost  bool
	data  []byte
}

type end struct {
	link   *link
	fromA  bool
	peer   *end
	in     chan []byte
	closed chan struct{}
	once   sync.Once
}

func newLink() (l *link, a, b *end) {
	l = &link{start: time.Now()}
	newEnd := func(fromA bool) *end {
		return &end{link: l, fromA: fromA, in: make(chan []byte, 4096), closed: make(chan struct{})}
	}
	a, b = newEnd(true), newEnd(false)
	a.peer, b.peer = b, a
	return l, a, b
}

func (e *end) Write(d []byte) (int, error) {
	select {
	case <-e.closed:
		return 0, net.ErrClosed
	default:
	}
	data := append([]byte(nil), d...)
	if e.link.admit(e.fromA, data) {
		return len(d), nil
	}
	if e.link.delay == 0 {
		e.peer.in <- data
		return len(d), nil
	}
	time.AfterFunc(e.link.delay, func() { e.peer.in <- data })
	return len(d), nil
}

// admit logs a datagram and reports whether it is lost.
func (l *link) admit(fromA bool, d []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := 0
	if fromA {
		i = 1
	}
	lost := l.lose != nil && l.lose(fromA, l.count[i], d)
	l.count[i]++
	l.log = append(l.log, sent{time.Since(l.start), fromA, lost, d})
	return lost
}

// loses changes what is lost while datagrams may be on their way.
func (l *link) loses(f func(fromA bool, n int, d []byte) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lose = f
}

func (e *end) Read(p []byte) (int, error) {
	select {
	case d := <-e.in:
		return copy(p, d), nil
	case <-e.closed:
		return 0, net.ErrClosed
	}
}

func (e *end) Close() error {
	e.once.Do(func() { close(e.closed) })
	return nil
}

func (e *end) LocalAddr() net.Addr              { return &net.UDPAddr{} }
func (e *end) RemoteAddr() net.Addr             { return &net.UDPAddr{} }
func (e *end) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (e *end) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (e *end) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

// pair is two Conns joined by a link.
type pair struct {
	*link
	t    testing.TB
	a, b *Conn
}

// newPair joins two Conns, usually a as the client and b as the server. They
// are closed at the end of the test.
func newPair(t testing.TB, cfg Config, a, b Handler) *pair {
	l, ea, eb := newLink()
	cfgA, cfgB := cfg, cfg
	cfgA.Rand, cfgB.Rand = rand.New(rand.NewPCG(1, 1)), rand.New(rand.NewPCG(1, 2))
	p := &pair{link: l, t: t, a: NewConn(ea, cfgA, a), b: NewConn(eb, cfgB, b)}
	var served sync.WaitGroup
	for _, c := range []*Conn{p.a, p.b} {
		served.Go(func() {
			if err := c.Serve(); err != nil {
				t.Errorf("Serve: %v", err)
			}
		})
	}
	t.Cleanup(func() {
		p.a.Close()
		p.b.Close()
		served.Wait()
	})
	return p
}

// raw is one Conn whose peer is the test itself.
type raw struct {
	*link
	t    testing.TB
	conn *Conn
	peer *end
}

func newRaw(t testing.TB, cfg Config, h Handler) *raw {
	l, ea, eb := newLink()
	cfg.Rand = rand.New(rand.NewPCG(1, 1))
	r := &raw{link: l, t: t, conn: NewConn(ea, cfg, h), peer: eb}
	var served sync.WaitGroup
	served.Go(func() { _ = r.conn.Serve() })
	t.Cleanup(func() {
		r.conn.Close()
		served.Wait()
	})
	return r
}

// put sends a message to the Conn.
func (r *raw) put(m message.Message) {
	r.t.Helper()
	d, err := encode(m)
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.peer.Write(d); err != nil {
		r.t.Fatal(err)
	}
}

// get takes the next message of the Conn; it must have been sent already.
func (r *raw) get() message.Message {
	r.t.Helper()
	synctest.Wait()
	select {
	case d := <-r.peer.in:
		m, err := decode(d)
		if err != nil {
			r.t.Fatalf("the Conn sent %x: %v", d, err)
		}
		return m
	default:
		r.t.Fatal("the Conn sent nothing")
		panic("unreachable")
	}
}

// silent checks that the Conn has sent nothing more.
func (r *raw) silent() {
	r.t.Helper()
	synctest.Wait()
	select {
	case d := <-r.peer.in:
		r.t.Fatalf("the Conn sent %x, want nothing", d)
	default:
	}
}

// timeline is the log, one line per datagram: time, direction (> from a),
// type, code, blocks, "lost".
func (l *link) timeline() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var lines []string
	for _, s := range l.log {
		dir := "<"
		if s.fromA {
			dir = ">"
		}
		line := fmt.Sprintf("%v %s %s", s.at.Round(time.Millisecond), dir, describe(s.data))
		if s.lost {
			line += " lost"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func describe(d []byte) string {
	m, err := decode(d)
	if err != nil {
		return err.Error()
	}
	return [...]string{"CON", "NON", "ACK", "RST"}[m.Type] + describeContent(m)
}

// describeContent is code and blocks; a BERT block tells the size of its
// payload.
func describeContent(m message.Message) (text string) {
	switch {
	case isRequest(m.Code):
		text += " " + m.Code.String()
	case m.Code != codes.Empty:
		text += " " + CodeString(m.Code)
	}
	msg := Message{Options: m.Options, stream: true}
	if isSignal(m.Code) {
		return text // option numbers mean something else
	}
	if v, ok := msg.Observe(); ok {
		text += fmt.Sprintf(" obs:%d", v)
	}
	for _, o := range []struct {
		name string
		id   message.OptionID
	}{{"1", message.Block1}, {"2", message.Block2}} {
		if b, ok, _ := msg.block(o.id); ok {
			more := 0
			if b.more {
				more = 1
			}
			text += fmt.Sprintf(" %s:%d/%d/%s", o.name, b.num, more, blockSize(b, len(m.Payload)))
		}
	}
	return text
}

func blockSize(b blockOption, payload int) string {
	switch {
	case b.szx < bert:
		return fmt.Sprint(b.size())
	case payload == 0:
		return "BERT"
	}
	return fmt.Sprintf("BERT(%d)", payload)
}

func (l *link) wantTimeline(t testing.TB, want string) {
	t.Helper()
	var lines []string
	for line := range strings.SplitSeq(want, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	wantLines(t, l.timeline(), strings.Join(lines, "\n"))
}

func wantLines(t testing.TB, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("timeline:\n%s\nwant:\n%s", got, want)
	}
}

// loseFirst loses the first n datagrams from a, or from b.
func loseFirst(fromA bool, n int) func(bool, int, []byte) bool {
	return func(from bool, i int, _ []byte) bool { return from == fromA && i < n }
}

// loseRandomly loses a fraction p of the datagrams both ways.
func loseRandomly(seed uint64, p float64) func(bool, int, []byte) bool {
	rng := rand.New(rand.NewPCG(seed, 10))
	return func(bool, int, []byte) bool { return rng.Float64() < p }
}
