package vnet

import (
	"net"
	"os"
	"sync"
	"time"
)

// socket is what connections, listeners and packet sockets have in common.
type socket struct {
	host          *Host
	network       string // as the application called it
	local, remote net.Addr
	in, out       gate // for those who read or accept, and those who write
	closed        bool // by the application, a Reset, or the network's end
}

func (s *socket) init(h *Host, network string, local, remote net.Addr) {
	s.host, s.network, s.local, s.remote = h, network, local, remote
	s.in.init(h.net)
	s.out.init(h.net)
}

// shut marks the socket closed and wakes all who wait on it. It reports
// whether it was open.
func (s *socket) shut() bool {
	if s.closed {
		return false
	}
	s.closed = true
	s.in.stop()
	s.out.stop()
	return true
}

// check says why nobody may pass g, if so.
func (s *socket) check(g *gate) error {
	switch {
	case s.closed:
		return net.ErrClosed
	case g.passed():
		return os.ErrDeadlineExceeded
	}
	return nil
}

// fail wraps an error of this socket.
func (s *socket) fail(op string, err error) error {
	return opError(op, s.network, s.local, s.remote, err)
}

// LocalAddr is the socket's own address. One that is bound to the unspecified
// address shows the host's.
func (s *socket) LocalAddr() net.Addr { return s.local }

// SetDeadline sets the deadlines of reading and writing.
func (s *socket) SetDeadline(t time.Time) error { return s.setDeadlines(t, &s.in, &s.out) }

// SetReadDeadline sets the time from which reading fails with
// os.ErrDeadlineExceeded; zero is never.
func (s *socket) SetReadDeadline(t time.Time) error { return s.setDeadlines(t, &s.in) }

// SetWriteDeadline is SetReadDeadline for writing.
func (s *socket) SetWriteDeadline(t time.Time) error { return s.setDeadlines(t, &s.out) }

func (s *socket) setDeadlines(t time.Time, gates ...*gate) error {
	n := s.host.net
	n.lock()
	defer n.unlock()
	if s.closed {
		return s.fail("set", net.ErrClosed)
	}
	for _, g := range gates {
		g.setDeadline(t)
	}
	return nil
}

// gate is where goroutines wait to read or to write, at most until a deadline.
type gate struct {
	net      *Network
	cond     sync.Cond
	wakes    uint64
	deadline time.Time
	alarm    alarm
}

func (g *gate) init(n *Network) {
	g.net = n
	g.cond.L = &n.mu
	n.newAlarm(&g.alarm, g.wake)
}

// wait blocks until wake. Time has passed when it returns, and anything may
// have happened. On a link without delay, what the caller did so far may have
// its answer already: then there is nothing to wait for.
func (g *gate) wait() {
	before := g.wakes
	g.net.settle()
	if g.wakes != before {
		return
	}
	g.cond.Wait()
	g.net.advance(time.Now())
}

// wake lets all who wait look again, the longest waiting first.
func (g *gate) wake() {
	g.wakes++
	g.cond.Broadcast()
}

func (g *gate) setDeadline(t time.Time) {
	g.deadline = t
	switch {
	case t.IsZero():
		g.net.stop(&g.alarm)
	case g.passed():
		g.net.stop(&g.alarm)
		g.wake()
	default:
		g.net.set(&g.alarm, t)
	}
}

// passed reports whether the deadline is over.
func (g *gate) passed() bool {
	return !g.deadline.IsZero() && !g.net.now.Before(g.deadline)
}

// stop ends the gate's service.
func (g *gate) stop() {
	g.net.stop(&g.alarm)
	g.wake()
}
