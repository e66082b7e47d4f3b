package memhost

import (
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// conn reads from in and writes to out, which is the other end's in.
type conn struct {
	in, out       *stream
	local, remote netip.AddrPort
}

func newConns(a, b netip.AddrPort, delay time.Duration) (near, far *conn) {
	down, up := newStream(delay), newStream(delay)
	return &conn{in: down, out: up, local: a, remote: b}, &conn{in: up, out: down, local: b, remote: a}
}

func (c *conn) Read(p []byte) (int, error)  { return c.in.read(p) }
func (c *conn) Write(p []byte) (int, error) { return c.out.write(p) }
func (c *conn) LocalAddr() net.Addr         { return net.TCPAddrFromAddrPort(c.local) }
func (c *conn) RemoteAddr() net.Addr        { return net.TCPAddrFromAddrPort(c.remote) }

func (c *conn) Close() error {
	c.out.finish()
	c.in.fail(net.ErrClosed)
	return nil
}

func (c *conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetWriteDeadline has nothing to do: writes never block.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

func (c *conn) SetReadDeadline(t time.Time) error {
	c.in.setDeadline(t)
	return nil
}

// stream is one direction: writes become readable after the delay.
type stream struct {
	delay time.Duration

	mu       sync.Mutex
	changed  *sync.Cond
	chunks   []chunk
	finished time.Time // when the writer's end becomes visible
	err      error     // ends both sides at once
	deadline time.Time
	blocked  bool // what is written vanishes
	wake     *time.Timer
}

type chunk struct {
	at   time.Time
	data []byte
}

func newStream(delay time.Duration) *stream {
	s := &stream{delay: delay}
	s.changed = sync.NewCond(&s.mu)
	return s
}

func (s *stream) write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, syscall.EPIPE
	}
	if !s.finished.IsZero() {
		return 0, net.ErrClosed
	}
	if s.blocked {
		return len(p), nil
	}
	s.chunks = append(s.chunks, chunk{time.Now().Add(s.delay), append([]byte(nil), p...)})
	s.changed.Broadcast()
	return len(p), nil
}

func (s *stream) read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		now := time.Now()
		switch {
		case s.err != nil:
			return 0, s.err
		case !s.deadline.IsZero() && !now.Before(s.deadline):
			return 0, os.ErrDeadlineExceeded
		case len(s.chunks) > 0 && !now.Before(s.chunks[0].at):
			return s.take(p), nil
		case len(s.chunks) == 0 && !s.finished.IsZero() && !now.Before(s.finished):
			return 0, io.EOF
		}
		s.sleep(now)
	}
}

func (s *stream) take(p []byte) int {
	n := copy(p, s.chunks[0].data)
	if s.chunks[0].data = s.chunks[0].data[n:]; len(s.chunks[0].data) == 0 {
		s.chunks = s.chunks[1:]
	}
	return n
}

// sleep waits for a change or the next instant at which something may have
// become readable.
func (s *stream) sleep(now time.Time) {
	next := s.finished
	if len(s.chunks) > 0 {
		next = s.chunks[0].at
	}
	if !s.deadline.IsZero() && (next.IsZero() || s.deadline.Before(next)) {
		next = s.deadline
	}
	if !next.IsZero() {
		s.wake = time.AfterFunc(next.Sub(now), func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.changed.Broadcast()
		})
		defer s.wake.Stop()
	}
	s.changed.Wait()
}

func (s *stream) block() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blocked, s.chunks = true, nil
}

func (s *stream) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.blocked {
		return
	}
	if s.finished.IsZero() {
		s.finished = time.Now().Add(s.delay)
	}
	s.changed.Broadcast()
}

func (s *stream) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
	s.chunks = nil
	s.changed.Broadcast()
}

func (s *stream) setDeadline(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline = t
	s.changed.Broadcast()
}
