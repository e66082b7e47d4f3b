package vnet

import (
	"net/netip"
	"slices"
	"syscall"

	"github.com/thinlink/thinlink/internal/wire"
)

func (h *Host) icmpProtocol() uint8 {
	if h.addr.Is6() {
		return wire.ProtoICMPv6
	}
	return wire.ProtoICMP
}

func (h *Host) sendICMP(dst netip.Addr, m wire.ICMP) {
	packet := h.begin(dst, h.icmpProtocol(), wire.ICMPHeaderLen+len(m.Payload))
	h.send(wire.AppendICMP(packet, m))
}

// sendRaw sends an application's ICMP message. Its checksum is the
// application's for IPv4 and the host's for IPv6 (RFC 3542 section 3.1).
func (h *Host) sendRaw(dst netip.Addr, message []byte) error {
	if !h.fits(len(message)) {
		return syscall.EMSGSIZE
	}
	packet := append(h.begin(dst, h.icmpProtocol(), len(message)), message...)
	wire.Seal(packet)
	if h.addr.Is4() {
		copy(packet[wire.IPv4HeaderLen:], message)
	}
	h.net.send(h, packet)
	return nil
}

// receiveICMP answers echo requests, tells sockets about errors, and gives
// every raw socket its copy.
func (h *Host) receiveICMP(p *wire.IP) {
	m, err := wire.ParseICMP(p.Payload)
	if err != nil {
		return
	}
	request, reply, unreachable, port := uint8(wire.ICMPEchoRequest), uint8(wire.ICMPEchoReply),
		uint8(wire.ICMPUnreachable), uint8(wire.ICMPCodePort)
	if h.addr.Is6() {
		request, reply, unreachable, port = wire.ICMPv6EchoRequest, wire.ICMPv6EchoReply,
			wire.ICMPv6Unreachable, wire.ICMPv6CodePort
	}
	switch {
	case m.Type == request:
		h.sendICMP(p.Src, wire.ICMP{Type: reply, Rest: m.Rest, Payload: m.Payload})
	case m.Type == unreachable && m.Code == port:
		h.refused(m.Payload)
	}
	for _, c := range h.raw {
		c.enqueue(datagram{netip.AddrPortFrom(p.Src, 0), p.Payload})
	}
}

// portUnreachable reports a datagram nobody wanted.
func (h *Host) portUnreachable(packet []byte, p *wire.IP) {
	m, limit := wire.ICMP{Type: wire.ICMPUnreachable, Code: wire.ICMPCodePort}, 576-wire.IPv4HeaderLen // RFC 1812 section 4.3.2.3
	if h.addr.Is6() {
		m, limit = wire.ICMP{Type: wire.ICMPv6Unreachable, Code: wire.ICMPv6CodePort}, 1280-wire.IPv6HeaderLen // RFC 4443 section 2.4
	}
	m.Payload = packet[:min(p.TotalLen, min(limit, h.net.mtu-wire.IPv4HeaderLen)-wire.ICMPHeaderLen)]
	h.sendICMP(p.Src, m)
}

// refused finds the socket that sent the packet an ICMP error quotes. Only a
// connected one hears of it, as in Linux (RFC 1122 section 4.1.3.3).
func (h *Host) refused(quoted []byte) {
	p, err := wire.ParseIPCut(quoted)
	if err != nil || p.Protocol != wire.ProtoUDP || p.Src != h.addr {
		return
	}
	u, err := wire.ParseUDPCut(p.Payload)
	if err != nil {
		return
	}
	c := h.udp[u.SrcPort]
	if c != nil && c.to == netip.AddrPortFrom(p.Dst, u.DstPort) {
		c.err = syscall.ECONNREFUSED
		c.in.wake()
	}
}

// without removes c from list.
func without(list []*packetConn, c *packetConn) []*packetConn {
	return slices.DeleteFunc(list, func(x *packetConn) bool { return x == c })
}
