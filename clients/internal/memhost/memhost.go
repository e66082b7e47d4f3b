// Package memhost joins two clients.Hosts by memory, for tests of stacks that
// need streams but no link: no loss, a fixed delay, ample buffers.
//
//	device, platform := memhost.Pair(50 * time.Millisecond)
//
// Only TCP exists. All waiting is on channels and timers, so it runs in a
// testing/synctest bubble. Closing either end of a connection lets the other
// read what is under way, then io.EOF.
package memhost

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// Host is one end of the pair.
type Host struct {
	addr  netip.Addr
	delay time.Duration
	peer  *Host

	mu        sync.Mutex
	listeners map[uint16]*listener
	nextPort  uint16
	conns     []*conn
}

// Pair makes two hosts whose bytes arrive after the one-way delay.
func Pair(delay time.Duration) (device, platform *Host) {
	device = newHost("10.0.0.2", delay)
	platform = newHost("10.0.0.1", delay)
	device.peer, platform.peer = platform, device
	return device, platform
}

func newHost(addr string, delay time.Duration) *Host {
	return &Host{
		addr: netip.MustParseAddr(addr), delay: delay,
		listeners: make(map[uint16]*listener), nextPort: 49152,
	}
}

// Addr is the host's address.
func (h *Host) Addr() netip.Addr { return h.addr }

// ListenPacket is not offered.
func (h *Host) ListenPacket(network, _ string) (net.PacketConn, error) {
	return nil, fmt.Errorf("memhost: listen %s: %w", network, errors.ErrUnsupported)
}

// Listen accepts connections to a numeric address.
func (h *Host) Listen(_, address string) (net.Listener, error) {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fmt.Errorf("memhost: listen: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.listeners[ap.Port()] != nil {
		return nil, fmt.Errorf("memhost: listen: %w", syscall.EADDRINUSE)
	}
	l := &listener{host: h, addr: ap, queue: make(chan *conn, 16), closed: make(chan struct{})}
	h.listeners[ap.Port()] = l
	return l, nil
}

// DialContext connects to a numeric address of the peer after one round trip.
func (h *Host) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fmt.Errorf("memhost: dial: %w", err)
	}
	wait := time.NewTimer(2 * h.delay)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	h.peer.mu.Lock()
	l := h.peer.listeners[ap.Port()]
	h.peer.mu.Unlock()
	if l == nil {
		return nil, fmt.Errorf("memhost: dial %s: %w", address, syscall.ECONNREFUSED)
	}
	h.mu.Lock()
	h.nextPort++
	local := netip.AddrPortFrom(h.addr, h.nextPort)
	h.mu.Unlock()
	near, far := newConns(local, ap, h.delay)
	select {
	case l.queue <- far:
	case <-l.closed:
		return nil, fmt.Errorf("memhost: dial %s: %w", address, syscall.ECONNREFUSED)
	}
	h.mu.Lock()
	h.conns = append(h.conns, near, far)
	h.mu.Unlock()
	return near, nil
}

// Cut resets every connection this host has dialled, on both ends at once.
// What is under way is lost.
func (h *Host) Cut() {
	h.mu.Lock()
	conns := h.conns
	h.conns = nil
	h.mu.Unlock()
	for _, c := range conns {
		c.in.fail(syscall.ECONNRESET)
	}
}

// Block stops all bytes on the connections this host has dialled, in both
// directions and for ever: the connections stay open and silent.
func (h *Host) Block() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.conns {
		c.in.block()
	}
}

type listener struct {
	host   *Host
	addr   netip.AddrPort
	queue  chan *conn
	once   sync.Once
	closed chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.addr) }

func (l *listener) Close() error {
	l.once.Do(func() {
		l.host.mu.Lock()
		delete(l.host.listeners, l.addr.Port())
		l.host.mu.Unlock()
		close(l.closed)
	})
	return nil
}
