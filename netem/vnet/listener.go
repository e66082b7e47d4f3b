package vnet

import (
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/thinlink/thinlink/internal/wire"
	"github.com/thinlink/thinlink/netem/vnet/tcp"
)

// listener is a net.Listener.
type listener struct {
	socket
	port    uint16
	pending int // connections whose handshake is not over
	ready   []*tcpConn
}

func (h *Host) listenTCP(network string, local netip.AddrPort) (net.Listener, error) {
	bound, err := h.bind(wire.ProtoTCP, local)
	if err != nil {
		return nil, opError("listen", network, nil, netAddr(wire.ProtoTCP, local), os.NewSyscallError("bind", err))
	}
	l := &listener{port: bound.Port()}
	l.init(h, network, netAddr(wire.ProtoTCP, bound), nil)
	h.listeners[l.port] = l
	h.tcpPorts[l.port]++
	h.open = append(h.open, l)
	return l, nil
}

// syn answers a connection request, unless too many wait: then the peer's
// retransmission tries again.
func (l *listener) syn(key connKey, s *tcp.Segment) {
	h := l.host
	if l.pending+len(l.ready) >= h.cfg.Backlog {
		return
	}
	n := h.net
	c := h.newConn(l.network, key, tcp.Accept(h.cfg.TCP, n.now, s, n.iss.Uint32(), n.mtu, h.addr.Is6()))
	c.listener = l
	l.pending++
}

// established moves a connection to those that Accept returns.
func (l *listener) established(c *tcpConn) {
	c.listener = nil
	l.pending--
	l.ready = append(l.ready, c)
	l.in.wake()
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	l.host.net.lock()
	defer l.host.net.unlock()
	for {
		if err := l.check(&l.in); err != nil {
			return nil, l.fail("accept", err)
		}
		if len(l.ready) > 0 {
			c := l.ready[0]
			l.ready[0] = nil
			l.ready = l.ready[1:]
			return c, nil
		}
		l.in.wait()
	}
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return l.local }

// SetDeadline sets the time from which Accept fails; zero is never.
func (l *listener) SetDeadline(t time.Time) error { return l.setDeadlines(t, &l.in) }

// Close implements net.Listener. Connections that nobody accepted are reset.
func (l *listener) Close() error {
	n := l.host.net
	n.lock()
	defer n.unlock()
	if l.closed {
		return l.fail("close", net.ErrClosed)
	}
	for _, s := range l.host.open {
		if c, ok := s.(*tcpConn); ok && c.listener == l {
			c.abandon()
		}
	}
	for _, c := range l.ready {
		c.abandon()
	}
	l.drop()
	return nil
}

// drop implements dropper. The connections it leaves behind are the host's.
func (l *listener) drop() {
	if !l.shut() {
		return
	}
	l.ready = nil
	delete(l.host.listeners, l.port)
	l.host.releaseTCP(l.port)
	l.host.remove(l)
}
