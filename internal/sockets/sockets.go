// Package sockets is a host over the operating system's sockets: what package
// vnet is for modelled hosts, for this machine or one of its namespaces.
//
//	h := &sockets.Host{IP: netip.MustParseAddr("192.168.1.20")}
//	conn, err := h.DialContext(ctx, "tcp", "192.168.1.30:8883")
//
// Limitations: a UDP server on an unspecified address answers from the address
// that the kernel prefers towards the client, which on a machine with several
// addresses in one network need not be the one that the client knows.
package sockets

import (
	"context"
	"net"
	"net/netip"
)

// Host opens sockets of package net.
type Host struct {
	// IP is the host's own address.
	IP netip.Addr
	// Bind is where servers on IP listen; the zero value is IP.
	Bind netip.Addr
	// KeepAlive is that of all TCP connections; the zero value is none.
	KeepAlive net.KeepAliveConfig
	// Do runs what opens a socket, for example in another namespace; nil runs
	// it here.
	Do func(func() error) error
	// Opened is told of every TCP connection, and Closing just before it
	// closes, perhaps more than once; nil is silence.
	Opened, Closing func(*net.TCPConn)
}

// Towards is a host with the address that this machine has towards another. It
// sends nothing.
func Towards(addr netip.Addr) (*Host, error) {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 9))) // Discard
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return &Host{IP: c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()}, nil
}

// Addr is the host's own address.
func (h *Host) Addr() netip.Addr { return h.IP }

func (h *Host) do(open func() error) error {
	if h.Do == nil {
		return open()
	}
	return h.Do(open)
}

// DialContext is net.Dialer's.
func (h *Host) DialContext(ctx context.Context, network, address string) (c net.Conn, err error) {
	err = h.do(func() (err error) {
		d := net.Dialer{KeepAlive: -1, KeepAliveConfig: h.KeepAlive}
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
	err = h.do(func() (err error) {
		cfg := net.ListenConfig{KeepAlive: -1, KeepAliveConfig: h.KeepAlive}
		l, err = cfg.Listen(context.Background(), network, h.bound(address))
		return err
	})
	if err != nil {
		return nil, err
	}
	return &listener{l, h}, nil
}

// ListenPacket is net.ListenPacket.
func (h *Host) ListenPacket(network, address string) (c net.PacketConn, err error) {
	err = h.do(func() (err error) {
		c, err = net.ListenPacket(network, h.bound(address))
		return err
	})
	return c, err
}

// bound is where to listen for an address of the host.
func (h *Host) bound(address string) string {
	own, err := netip.ParseAddrPort(address)
	if err != nil || own.Addr() != h.IP || own.Port() == 0 || !h.Bind.IsValid() {
		return address
	}
	return netip.AddrPortFrom(h.Bind, own.Port()).String()
}

// listener watches the connections it accepts.
type listener struct {
	net.Listener
	host *Host
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.host.watch(c), nil
}

func (h *Host) watch(c net.Conn) net.Conn {
	t, ok := c.(*net.TCPConn)
	if ok && h.Opened != nil {
		h.Opened(t)
	}
	if ok && h.Closing != nil {
		return &watched{t, h.Closing}
	}
	return c
}

type watched struct {
	*net.TCPConn
	closing func(*net.TCPConn)
}

// Close implements net.Conn.
func (c *watched) Close() error {
	c.closing(c.TCPConn)
	return c.TCPConn.Close()
}
