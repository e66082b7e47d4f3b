package vnet

import (
	"net/netip"
	"syscall"

	"github.com/thinlink/thinlink/internal/wire"
)

// fits reports whether n bytes behind an IP header stay within the MTU, or
// without any header where the link carries no IP.
func (h *Host) fits(n int) bool {
	if h.net.gateway != nil {
		return n-wire.UDPHeaderLen <= h.net.mtu
	}
	if h.addr.Is6() {
		return n <= h.net.mtu-wire.IPv6HeaderLen
	}
	return n <= h.net.mtu-wire.IPv4HeaderLen
}

func (h *Host) sendUDP(port uint16, to netip.AddrPort, data []byte) error {
	if !h.fits(wire.UDPHeaderLen + len(data)) {
		return syscall.EMSGSIZE
	}
	packet := h.begin(to.Addr(), wire.ProtoUDP, wire.UDPHeaderLen+len(data))
	packet = wire.AppendUDP(packet, port, to.Port())
	h.send(append(packet, data...))
	return nil
}

// receiveUDP hands a datagram to the socket on its port, if that wants one
// from its sender.
func (h *Host) receiveUDP(packet []byte, p *wire.IP) {
	u, err := wire.ParseUDP(p.Payload)
	if err != nil {
		return
	}
	from := netip.AddrPortFrom(p.Src, u.SrcPort)
	c := h.udp[u.DstPort]
	if c == nil || c.to.IsValid() && c.to != from {
		h.portUnreachable(packet, p)
		return
	}
	c.enqueue(datagram{from, u.Payload})
}
