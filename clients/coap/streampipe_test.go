package coap

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// wire is a byte stream between two ends, a and b, without buffer: a write
// waits for its reader. It logs the messages and can break.
type wire struct {
	start time.Time
	ends  [2]net.Conn

	mu    sync.Mutex
	log   []string
	bytes [2][]byte // written by b, by a
	// breakAt is the message, counted over both directions from 0, with which
	// the connection is lost; 0 for none.
	breakAt int
}

type wireEnd struct {
	net.Conn
	wire  *wire
	fromA bool
}

func newWire() (w *wire, a, b net.Conn) {
	w = &wire{start: time.Now()}
	w.ends[0], w.ends[1] = net.Pipe()
	return w, wireEnd{w.ends[0], w, true}, wireEnd{w.ends[1], w, false}
}

func (e wireEnd) Write(d []byte) (int, error) {
	if e.wire.note(e.fromA, d) {
		e.wire.cut()
	}
	return e.Conn.Write(d)
}

// note logs a message and reports whether the connection breaks before it.
func (w *wire) note(fromA bool, d []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	dir, i := "<", 0
	if fromA {
		dir, i = ">", 1
	}
	w.bytes[i] = append(w.bytes[i], d...)
	m, err := readFrame(bytes.NewReader(d), 1<<30)
	line := fmt.Sprintf("%v %s%s", time.Since(w.start).Round(time.Millisecond), dir, describeContent(m))
	if err != nil {
		line = err.Error()
	}
	w.log = append(w.log, line)
	return w.breakAt > 0 && len(w.log) > w.breakAt
}

// losesAt lets the connection break with message n.
func (w *wire) losesAt(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.breakAt = n
}

// cut ends the connection for both.
func (w *wire) cut() {
	w.ends[0].Close()
	w.ends[1].Close()
}

// wantLog compares the log, without the two CSM, whose order is of no account.
func (w *wire) wantLog(t testing.TB, want string) {
	t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	var got, lines []string
	for _, line := range w.log {
		if !strings.HasSuffix(line, " 7.01") {
			got = append(got, line)
		}
	}
	for line := range strings.SplitSeq(want, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	wantLines(t, strings.Join(got, "\n"), strings.Join(lines, "\n"))
}

// streamPair is two Conns joined by a wire.
type streamPair struct {
	*wire
	a, b *Conn
	errs [2]chan error // of Serve, a's and b's
}

func newStreamPair(t testing.TB, cfgA, cfgB Config, a, b Handler) *streamPair {
	w, ea, eb := newWire()
	cfgA.Rand, cfgB.Rand = rand.New(rand.NewPCG(1, 1)), rand.New(rand.NewPCG(1, 2))
	p := &streamPair{wire: w, a: NewStreamConn(ea, cfgA, a), b: NewStreamConn(eb, cfgB, b)}
	var served sync.WaitGroup
	for i, c := range []*Conn{p.a, p.b} {
		p.errs[i] = make(chan error, 1)
		served.Go(func() { p.errs[i] <- c.Serve() })
	}
	t.Cleanup(func() {
		p.a.Close()
		p.b.Close()
		served.Wait()
	})
	return p
}

// rawStream is one Conn whose peer is the test itself.
type rawStream struct {
	t      testing.TB
	conn   *Conn
	served chan error
	peer   net.Conn
	got    chan message.Message
}

// newRawStream has taken the Conn's CSM and, unless silent, sent its own.
func newRawStream(t testing.TB, cfg Config, h Handler, greeting ...byte) *rawStream {
	ea, eb := net.Pipe()
	cfg.Rand = rand.New(rand.NewPCG(1, 1))
	r := &rawStream{t: t, conn: NewStreamConn(ea, cfg, h), peer: eb, served: make(chan error, 1), got: make(chan message.Message, 100)}
	var running sync.WaitGroup
	running.Go(func() { r.served <- r.conn.Serve() })
	running.Go(func() {
		defer close(r.got)
		for {
			m, err := readFrame(eb, 1<<30)
			if err != nil {
				return
			}
			r.got <- m
		}
	})
	t.Cleanup(func() {
		r.conn.Close()
		eb.Close()
		running.Wait()
	})
	if m := r.get(); m.Code != codes.CSM {
		t.Fatalf("the first message is %v, want 7.01", m)
	}
	r.put(greeting...)
	return r
}

// put sends bytes to the Conn.
func (r *rawStream) put(d ...byte) {
	r.t.Helper()
	if _, err := r.peer.Write(d); err != nil && err != io.ErrClosedPipe {
		r.t.Fatal(err)
	}
}

// get takes the next message of the Conn.
func (r *rawStream) get() message.Message {
	r.t.Helper()
	synctest.Wait()
	select {
	case m, ok := <-r.got:
		if ok {
			return m
		}
		r.t.Fatal("the Conn has closed")
	default:
		r.t.Fatal("the Conn sent nothing")
	}
	panic("unreachable")
}

// emptyCSM and largeCSM (8320 bytes, block-wise) greet a Conn.
var (
	emptyCSM = []byte{0x00, 0xe1}
	largeCSM = []byte{0x40, 0xe1, 0x22, 0x20, 0x80, 0x20}
)

// logged is the first line of the log that contains a text.
func (w *wire) logged(text string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, line := range w.log {
		if strings.Contains(line, text) {
			return line
		}
	}
	return ""
}
