package lwm2m

import (
	"context"
	"net"
	"sync"
	"time"
)

// Queue mode (section 6.5): a device that sleeps is heard for a while after each
// of its messages, and deaf otherwise. The server keeps what it has to say until
// it hears the device.

// wakefulness is a server's knowledge of a device in queue mode. The zero value
// is a device that is always awake.
type wakefulness struct {
	mu    sync.Mutex
	awake time.Duration // after its last message; 0: always
	until time.Time
	heard chan struct{} // closed when the device is heard
}

// sleeps puts the device into queue mode, or takes it out.
func (w *wakefulness) sleeps(awake time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.awake = awake
}

// hear notes a message of the device.
func (w *wakefulness) hear() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.awake == 0 {
		return
	}
	w.until = time.Now().Add(w.awake)
	if w.heard != nil {
		close(w.heard)
		w.heard = nil
	}
}

// miss notes that the device has not answered: it sleeps, whatever was expected.
func (w *wakefulness) miss() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.until = time.Time{}
}

// wait returns when the device is awake.
func (w *wakefulness) wait(ctx context.Context) error {
	for {
		w.mu.Lock()
		if w.awake == 0 || time.Now().Before(w.until) {
			w.mu.Unlock()
			return nil
		}
		if w.heard == nil {
			w.heard = make(chan struct{})
		}
		heard := w.heard
		w.mu.Unlock()
		select {
		case <-heard:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// A sleeper is the device's receiver for a server in queue mode: what arrives while
// it is off is lost. nil is always on.
type sleeper struct {
	awake time.Duration // after the last message either way

	mu    sync.Mutex
	until time.Time
}

// stir keeps the receiver on.
func (s *sleeper) stir() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until = time.Now().Add(s.awake)
}

// hears reports whether the receiver is on, and keeps it on if so.
func (s *sleeper) hears() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if !now.Before(s.until) {
		return false
	}
	s.until = now.Add(s.awake)
	return true
}

// packets is a socket that the receiver listens to.
func (s *sleeper) packets(pc net.PacketConn) net.PacketConn {
	if s == nil {
		return pc
	}
	return &sleepyPackets{pc, s}
}

type sleepyPackets struct {
	net.PacketConn
	sleeper *sleeper
}

// ReadFrom implements net.PacketConn.
func (p *sleepyPackets) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := p.PacketConn.ReadFrom(b)
		if err != nil || p.sleeper.hears() {
			return n, from, err
		}
	}
}

// WriteTo implements net.PacketConn.
func (p *sleepyPackets) WriteTo(b []byte, to net.Addr) (int, error) {
	p.sleeper.stir()
	return p.PacketConn.WriteTo(b, to)
}

// datagrams is the same for a connected socket.
func (s *sleeper) datagrams(c net.Conn) net.Conn {
	if s == nil {
		return c
	}
	return &sleepyConn{c, s}
}

type sleepyConn struct {
	net.Conn
	sleeper *sleeper
}

// Read implements net.Conn.
func (c *sleepyConn) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if err != nil || c.sleeper.hears() {
			return n, err
		}
	}
}

// Write implements net.Conn.
func (c *sleepyConn) Write(b []byte) (int, error) {
	c.sleeper.stir()
	return c.Conn.Write(b)
}
