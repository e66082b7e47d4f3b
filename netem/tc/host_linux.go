package tc

import (
	"context"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// Host opens sockets of package net inside a namespace. Addresses are numeric.
type Host struct {
	ns     *namespace
	cfg    HostConfig
	closed func(TCPInfo)
}

// Addr is the host's own address.
func (h *Host) Addr() netip.Addr { return h.cfg.Addr }

// DialContext is net.Dialer's.
func (h *Host) DialContext(ctx context.Context, network, address string) (c net.Conn, err error) {
	err = h.ns.do(func() (err error) {
		d := net.Dialer{KeepAlive: -1, KeepAliveConfig: h.cfg.KeepAlive}
		c, err = d.DialContext(ctx, network, address)
		return err
	})
	if err != nil {
		return nil, err
	}
	return h.watch(c), nil
}

// Listen is net.Listen.
func (h *Host) Listen(network, address string) (l net.Listener, err error) {
	err = h.ns.do(func() (err error) {
		cfg := net.ListenConfig{KeepAlive: -1, KeepAliveConfig: h.cfg.KeepAlive}
		l, err = cfg.Listen(context.Background(), network, address)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &listener{l, h}, nil
}

// ListenPacket is net.ListenPacket.
func (h *Host) ListenPacket(network, address string) (c net.PacketConn, err error) {
	err = h.ns.do(func() (err error) {
		c, err = net.ListenPacket(network, address)
		return err
	})
	return c, err
}

// listener watches the connections it accepts.
type listener struct {
	net.Listener
	host *Host
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.host.watch(c), nil
}

// watch makes a TCP connection tell what it came to when it closes.
func (h *Host) watch(c net.Conn) net.Conn {
	if t, ok := c.(*net.TCPConn); ok && h.closed != nil {
		return &tcpConn{t, h.closed}
	}
	return c
}

type tcpConn struct {
	*net.TCPConn
	closed func(TCPInfo)
}

// Close asks the kernel before it closes.
func (c *tcpConn) Close() error {
	raw, err := c.SyscallConn()
	if err == nil {
		raw.Control(func(fd uintptr) { // fails on a connection closed before
			info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
			if err == nil {
				c.closed(newTCPInfo(c.TCPConn, info))
			}
		})
	}
	return c.TCPConn.Close()
}

func newTCPInfo(c net.Conn, i *unix.TCPInfo) TCPInfo {
	return TCPInfo{
		Local: c.LocalAddr(), Remote: c.RemoteAddr(),
		Retransmissions: int(i.Total_retrans), Lost: int(i.Lost),
		RTT:    time.Duration(i.Rtt) * time.Microsecond,
		MinRTT: time.Duration(i.Min_rtt) * time.Microsecond,
	}
}
