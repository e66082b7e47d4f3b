package vnet

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"

	"github.com/thinlink/thinlink/internal/wire"
	"github.com/thinlink/thinlink/netem/vnet/tcp"
)

// connKey tells a host's connections apart; the local address is its own.
type connKey struct {
	port   uint16
	remote netip.AddrPort
}

// tcpConn is a net.Conn on a tcp.Conn. It outlives Close until TCP has
// finished.
type tcpConn struct {
	socket
	key      connKey
	tcp      *tcp.Conn
	timer    alarm
	listener *listener // until the handshake is over, on the passive side
	emit     func(*tcp.Segment)
	dirty    bool // in Network.dirty
	gone     bool // not the host's any more
	writing  bool // by one goroutine at a time, so that writes do not mix
	readEnd  bool // CloseRead
}

// newConn adds a connection to the host.
func (h *Host) newConn(network string, key connKey, t *tcp.Conn) *tcpConn {
	c := &tcpConn{key: key, tcp: t}
	local := netip.AddrPortFrom(h.addr, key.port)
	c.init(h, network, netAddr(wire.ProtoTCP, local), netAddr(wire.ProtoTCP, key.remote))
	c.emit = c.transmit
	h.net.newAlarm(&c.timer, c.tick)
	h.conns[key] = c
	h.tcpPorts[key.port]++
	h.open = append(h.open, c)
	h.net.touch(c)
	return c
}

func (h *Host) dialTCP(ctx context.Context, network string, remote netip.AddrPort) (net.Conn, error) {
	fail := func(err error) (net.Conn, error) {
		return nil, opError("dial", network, nil, netAddr(wire.ProtoTCP, remote), err)
	}
	n := h.net
	if n.closed || !h.reaches(remote.Addr()) {
		return fail(os.NewSyscallError("connect", syscall.ENETUNREACH))
	}
	port := h.ephemeral(wire.ProtoTCP)
	if port == 0 {
		return fail(os.NewSyscallError("connect", syscall.EADDRNOTAVAIL))
	}
	t := tcp.Dial(h.cfg.TCP, n.now, port, remote.Port(), n.iss.Uint32(), n.mtu, h.addr.Is6())
	c := h.newConn(network, connKey{port, remote}, t)
	stop := context.AfterFunc(ctx, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		c.out.wake()
	})
	defer stop()
	for c.handshaking() && ctx.Err() == nil {
		c.out.wait()
	}
	switch {
	case c.closed:
		return fail(net.ErrClosed)
	case c.handshaking():
		c.abandon()
		return fail(ctx.Err())
	case t.Err() != nil:
		return fail(kernelError("connect", t.Err()))
	}
	return c, nil
}

// handshaking reports whether Dial has to wait.
func (c *tcpConn) handshaking() bool {
	state := c.tcp.State()
	return !c.closed && (state == tcp.SynSent || state == tcp.SynReceived)
}

// abandon resets a connection that nobody has or will have.
func (c *tcpConn) abandon() {
	c.shut()
	c.tcp.Abort(c.host.net.now)
	c.host.net.touch(c)
}

// Read implements net.Conn.
func (c *tcpConn) Read(b []byte) (int, error) {
	c.host.net.lock()
	defer c.host.net.unlock()
	n, err := c.read(b)
	return n, c.fail("read", kernelError("read", err))
}

func (c *tcpConn) read(b []byte) (int, error) {
	for {
		if err := c.check(&c.in); err != nil {
			return 0, err
		}
		if c.readEnd {
			return 0, io.EOF
		}
		n, err := c.tcp.Read(c.host.net.now, b)
		if n > 0 || err != nil || len(b) == 0 {
			c.host.net.touch(c) // the window may have opened
			return n, err
		}
		c.in.wait()
	}
}

// Write implements net.Conn.
func (c *tcpConn) Write(b []byte) (int, error) {
	c.host.net.lock()
	defer c.host.net.unlock()
	for c.writing {
		if err := c.check(&c.out); err != nil {
			return 0, c.fail("write", err)
		}
		c.out.wait()
	}
	c.writing = true
	n, err := c.write(b)
	c.writing = false
	c.out.wake()
	return n, c.fail("write", kernelError("write", err))
}

func (c *tcpConn) write(b []byte) (written int, err error) {
	for {
		if err := c.check(&c.out); err != nil {
			return written, err
		}
		n, err := c.tcp.Write(c.host.net.now, b[written:])
		c.host.net.touch(c)
		written += n
		if err != nil || written == len(b) {
			return written, err
		}
		c.out.wait()
	}
}

// RemoteAddr implements net.Conn.
func (c *tcpConn) RemoteAddr() net.Addr { return c.remote }

// Close implements net.Conn. Written data are still sent, as with SO_LINGER
// off.
func (c *tcpConn) Close() error {
	n := c.host.net
	n.lock()
	defer n.unlock()
	if !c.shut() {
		return c.fail("close", net.ErrClosed)
	}
	c.tcp.Close(n.now)
	n.touch(c)
	return nil
}

// CloseWrite ends the outgoing stream behind the data written.
func (c *tcpConn) CloseWrite() error {
	n := c.host.net
	n.lock()
	defer n.unlock()
	if c.closed {
		return c.fail("close", net.ErrClosed)
	}
	c.tcp.CloseWrite(n.now)
	n.touch(c)
	c.out.wake()
	return nil
}

// CloseRead makes further reads return io.EOF. The peer does not notice.
func (c *tcpConn) CloseRead() error {
	c.host.net.lock()
	defer c.host.net.unlock()
	if c.closed {
		return c.fail("close", net.ErrClosed)
	}
	c.readEnd = true
	c.in.wake()
	return nil
}

// Stats returns the connection's counters and estimates.
func (c *tcpConn) Stats() tcp.Stats {
	c.host.net.lock()
	defer c.host.net.unlock()
	return c.tcp.Stats()
}

// drop implements dropper.
func (c *tcpConn) drop() {
	c.shut()
	c.leave()
}

// leave takes the connection from its host.
func (c *tcpConn) leave() {
	if c.gone {
		return
	}
	c.gone = true
	h := c.host
	h.net.stop(&c.timer)
	delete(h.conns, c.key)
	h.releaseTCP(c.key.port)
	h.remove(c)
	if c.listener != nil {
		c.listener.pending--
		c.listener = nil
	}
}

func (h *Host) releaseTCP(port uint16) {
	if h.tcpPorts[port]--; h.tcpPorts[port] == 0 {
		delete(h.tcpPorts, port)
	}
}

// tick is the timer's ring.
func (c *tcpConn) tick() {
	c.tcp.Tick(c.host.net.now)
	c.host.net.touch(c)
}

// update sends what TCP has to say and tells everybody about its new state.
func (c *tcpConn) update() {
	if c.gone {
		return
	}
	n := c.host.net
	c.tcp.Output(n.now, c.emit)
	if at, ok := c.tcp.Next(); !ok {
		n.stop(&c.timer)
	} else {
		n.set(&c.timer, at)
	}
	state := c.tcp.State()
	if state != tcp.SynReceived && state != tcp.Closed && c.listener != nil {
		c.listener.established(c)
	}
	if c.tcp.Readable() {
		c.in.wake()
	}
	if c.tcp.Writable() {
		c.out.wake()
	}
	if state == tcp.Closed {
		c.leave()
	}
}

// transmit is TCP's way out.
func (c *tcpConn) transmit(s *tcp.Segment) {
	c.host.sendSegment(c.key.remote.Addr(), s)
}

// maxTCPHeader is the header with all its options, bytes.
const maxTCPHeader = 60

func (h *Host) sendSegment(dst netip.Addr, s *tcp.Segment) {
	h.send(s.AppendTo(h.begin(dst, wire.ProtoTCP, maxTCPHeader+len(s.Payload))))
}

// receiveTCP takes a segment from the network.
func (h *Host) receiveTCP(p *wire.IP) {
	s, err := tcp.Parse(p.Payload)
	if err != nil {
		return
	}
	h.segment = s
	if h.cfg.GRO {
		h.receiveGRO(p, &h.segment)
		return
	}
	h.handleTCP(p.Src, &h.segment)
}

// handleTCP finds the connection or listener of a segment.
func (h *Host) handleTCP(src netip.Addr, s *tcp.Segment) {
	key := connKey{s.DstPort, netip.AddrPortFrom(src, s.SrcPort)}
	if c := h.conns[key]; c != nil {
		c.tcp.Input(h.net.now, s)
		h.net.touch(c)
		return
	}
	if l := h.listeners[s.DstPort]; l != nil && s.Flags&(tcp.SYN|tcp.ACK|tcp.RST) == tcp.SYN {
		l.syn(key, s)
		return
	}
	if r, ok := tcp.Reset(s); ok {
		h.sendSegment(src, &r)
	}
}
