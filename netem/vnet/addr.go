package vnet

import (
	"net"
	"net/netip"
	"strconv"

	"github.com/thinlink/thinlink/internal/wire"
)

// protocol finds the transport that a network of package net names.
func (h *Host) protocol(network string) (uint8, error) {
	var proto uint8
	want := h.addr.Is6()
	switch network {
	case "tcp", "tcp4", "tcp6":
		proto = wire.ProtoTCP
	case "udp", "udp4", "udp6":
		proto = wire.ProtoUDP
	case "ip4:icmp", "ip4:1":
		proto, want = wire.ProtoICMP, false
	case "ip6:ipv6-icmp", "ip6:58":
		proto, want = wire.ProtoICMPv6, true
	default:
		return 0, net.UnknownNetworkError(network)
	}
	if len(network) == 4 { // tcp4 to udp6
		want = network[3] == '6'
	}
	if want != h.addr.Is6() {
		return 0, &net.AddrError{Err: "network " + network + " on a host of the other family", Addr: h.addr.String()}
	}
	return proto, nil
}

// address parses a numeric address of package net's syntax. A missing host is
// the unspecified address; ICMP's have no port.
func (h *Host) address(proto uint8, s string) (netip.AddrPort, error) {
	host, port := s, uint64(0)
	if proto == wire.ProtoTCP || proto == wire.ProtoUDP {
		var service string
		var err error
		if host, service, err = net.SplitHostPort(s); err != nil {
			return netip.AddrPort{}, err
		}
		if port, err = strconv.ParseUint(service, 10, 16); err != nil {
			return netip.AddrPort{}, &net.AddrError{Err: "port is not a number up to 65535", Addr: s}
		}
	}
	addr := h.unspecified()
	if host != "" {
		var err error
		if addr, err = netip.ParseAddr(host); err != nil {
			return netip.AddrPort{}, &net.AddrError{Err: "not a numeric address", Addr: s}
		}
		addr = h.normal(addr)
	}
	return netip.AddrPortFrom(addr, uint16(port)), nil
}

func (h *Host) unspecified() netip.Addr {
	if h.addr.Is6() {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}

// normal brings an address into the form the host compares: IPv4 as such, and
// "[::]" on an IPv4 host as the unspecified address, as on a dual-stack one.
func (h *Host) normal(a netip.Addr) netip.Addr {
	a = a.Unmap()
	if a.IsUnspecified() {
		return h.unspecified()
	}
	return a
}

// netAddr is ap as package net shows it.
func netAddr(proto uint8, ap netip.AddrPort) net.Addr {
	switch proto {
	case wire.ProtoTCP:
		return net.TCPAddrFromAddrPort(ap)
	case wire.ProtoUDP:
		return net.UDPAddrFromAddrPort(ap)
	}
	return &net.IPAddr{IP: ap.Addr().AsSlice()}
}

// addrPort is the reverse of netAddr for addresses an application passes.
func (h *Host) addrPort(proto uint8, a net.Addr) (netip.AddrPort, error) {
	var ip net.IP
	var port int
	switch a := a.(type) {
	case *net.UDPAddr:
		if a != nil && proto == wire.ProtoUDP {
			ip, port = a.IP, a.Port
		}
	case *net.IPAddr:
		if a != nil && proto != wire.ProtoUDP {
			ip = a.IP
		}
	}
	addr, ok := netip.AddrFromSlice(ip)
	if !ok || port < 0 || port > 65535 {
		text := "<nil>"
		if a != nil {
			text = a.Network() + " " + a.String()
		}
		return netip.AddrPort{}, &net.AddrError{Err: "not an address of this socket's network", Addr: text}
	}
	return netip.AddrPortFrom(h.normal(addr), uint16(port)), nil
}
