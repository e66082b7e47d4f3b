package vnet

import (
	"net"
	"net/netip"
	"os"
	"syscall"

	"github.com/thinlink/thinlink/internal/wire"
)

// The receive buffer of a packet socket, as Linux accounts it:
// net.core.rmem_default, and the memory a small packet costs beside its data.
const (
	packetBuffer   = 212992
	packetOverhead = 768
)

// packetConn is a net.PacketConn for UDP or raw ICMP, and for connected UDP
// also a net.Conn.
type packetConn struct {
	socket
	proto uint8
	port  uint16         // UDP
	to    netip.AddrPort // if connected
	queue []datagram     // from head on
	head  int
	held  int   // of packetBuffer, bytes
	err   error // from an ICMP error, for the next call
}

// datagram is what waits to be read. It shares the packet's bytes.
type datagram struct {
	from netip.AddrPort
	data []byte
}

func (h *Host) listenPacket(network string, proto uint8, local netip.AddrPort) (net.PacketConn, error) {
	bound, err := h.bind(proto, local)
	if err != nil {
		return nil, opError("listen", network, nil, netAddr(proto, local), os.NewSyscallError("bind", err))
	}
	return h.newPacketConn(network, proto, bound, netip.AddrPort{}), nil
}

func (h *Host) dialUDP(network string, remote netip.AddrPort) (net.Conn, error) {
	bound, err := h.bind(wire.ProtoUDP, netip.AddrPortFrom(h.addr, 0))
	if err == nil && !h.reaches(remote.Addr()) {
		err = syscall.ENETUNREACH
	}
	if err != nil {
		return nil, opError("dial", network, nil, netAddr(wire.ProtoUDP, remote), os.NewSyscallError("connect", err))
	}
	return h.newPacketConn(network, wire.ProtoUDP, bound, remote), nil
}

func (h *Host) newPacketConn(network string, proto uint8, local, remote netip.AddrPort) *packetConn {
	c := &packetConn{proto: proto, port: local.Port(), to: remote}
	var remoteAddr net.Addr
	if remote.IsValid() {
		remoteAddr = netAddr(proto, remote)
	}
	c.init(h, network, netAddr(proto, local), remoteAddr)
	if proto == wire.ProtoUDP {
		h.udp[c.port] = c
	} else {
		h.raw = append(h.raw, c)
	}
	h.open = append(h.open, c)
	return c
}

// ReadFrom implements net.PacketConn. What does not fit b is lost.
func (c *packetConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := c.receive(b)
	if err != nil {
		return 0, nil, err
	}
	return n, netAddr(c.proto, from), nil
}

// Read implements net.Conn. What does not fit b is lost.
func (c *packetConn) Read(b []byte) (int, error) {
	n, _, err := c.receive(b)
	return n, err
}

// receive takes the first datagram out of the queue, waiting for one.
func (c *packetConn) receive(b []byte) (int, netip.AddrPort, error) {
	c.host.net.lock()
	defer c.host.net.unlock()
	for {
		if err := c.check(&c.in); err != nil {
			return 0, netip.AddrPort{}, c.fail("read", err)
		}
		if err := c.takeError(); err != nil {
			return 0, netip.AddrPort{}, c.fail("read", os.NewSyscallError("read", err))
		}
		if c.head < len(c.queue) {
			d := c.dequeue()
			return copy(b, d.data), d.from, nil
		}
		c.in.wait()
	}
}

func (c *packetConn) takeError() error {
	err := c.err
	c.err = nil
	return err
}

func (c *packetConn) dequeue() datagram {
	d := c.queue[c.head]
	c.queue[c.head] = datagram{}
	if c.head++; c.head == len(c.queue) {
		c.queue, c.head = c.queue[:0], 0
	}
	c.held -= len(d.data) + packetOverhead
	return d
}

// enqueue keeps a datagram for the reader, if there is room.
func (c *packetConn) enqueue(d datagram) {
	cost := len(d.data) + packetOverhead
	if c.held+cost > packetBuffer {
		return
	}
	c.held += cost
	c.queue = append(c.queue, d)
	c.in.wake()
}

// WriteTo implements net.PacketConn. It never waits: what the link cannot
// take, it drops. A datagram above the MTU is EMSGSIZE.
func (c *packetConn) WriteTo(b []byte, addr net.Addr) (int, error) {
	if c.to.IsValid() {
		return 0, opError("write", c.network, c.local, addr, net.ErrWriteToConnected)
	}
	to, err := c.host.addrPort(c.proto, addr)
	if err != nil {
		return 0, opError("write", c.network, c.local, addr, err)
	}
	c.host.net.lock()
	defer c.host.net.unlock()
	n, err := c.write(b, to)
	return n, opError("write", c.network, c.local, addr, err)
}

// Write implements net.Conn.
func (c *packetConn) Write(b []byte) (int, error) {
	c.host.net.lock()
	defer c.host.net.unlock()
	if !c.to.IsValid() {
		return 0, c.fail("write", os.NewSyscallError("write", syscall.EDESTADDRREQ))
	}
	n, err := c.write(b, c.to)
	return n, c.fail("write", err)
}

func (c *packetConn) write(b []byte, to netip.AddrPort) (int, error) {
	if err := c.check(&c.out); err != nil {
		return 0, err
	}
	err := c.takeError()
	switch {
	case err != nil:
	case !c.host.reaches(to.Addr()):
		err = syscall.ENETUNREACH
	case c.proto == wire.ProtoUDP:
		err = c.host.sendUDP(c.port, to, b)
	default:
		err = c.host.sendRaw(to.Addr(), b)
	}
	if err != nil {
		return 0, os.NewSyscallError("sendto", err)
	}
	return len(b), nil
}

// RemoteAddr implements net.Conn; nil if not connected.
func (c *packetConn) RemoteAddr() net.Addr { return c.remote }

// Close implements net.Conn and net.PacketConn.
func (c *packetConn) Close() error {
	c.host.net.lock()
	defer c.host.net.unlock()
	if c.closed {
		return c.fail("close", net.ErrClosed)
	}
	c.drop()
	return nil
}

// drop implements dropper.
func (c *packetConn) drop() {
	if !c.shut() {
		return
	}
	h := c.host
	if c.proto == wire.ProtoUDP {
		delete(h.udp, c.port)
	} else {
		h.raw = without(h.raw, c)
	}
	h.remove(c)
	c.queue, c.head, c.held = nil, 0, 0
}
