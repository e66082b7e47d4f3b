package vnet

import (
	"net/netip"

	"github.com/thinlink/thinlink/internal/wire"
	"github.com/thinlink/thinlink/netem"
)

// A gateway keeps the endpoints of a link without IP, as that of non-IP data
// delivery by a point-to-point tunnel does (TS 23.401 section 4.3.17.8). What
// crosses is the content of UDP datagrams of one flow, that on which the device
// sent last; everything else has no way over the link and vanishes.
type gateway struct{ device, platform netip.AddrPort }

// unwrap is what a host's packet is on the link, nil if nothing.
func (g *gateway) unwrap(from *Host, packet []byte) []byte {
	p, err := wire.ParseIP(packet)
	if err != nil || p.Protocol != wire.ProtoUDP {
		return nil
	}
	u, err := wire.ParseUDP(p.Payload)
	if err != nil || len(u.Payload) == 0 {
		return nil
	}
	src, dst := netip.AddrPortFrom(p.Src, u.SrcPort), netip.AddrPortFrom(p.Dst, u.DstPort)
	switch {
	case from.dir == netem.Up:
		g.device, g.platform = src, dst
	case src != g.platform || dst != g.device:
		return nil
	}
	return u.Payload
}

// wrap is the packet that a host gets of what the link delivered.
func (g *gateway) wrap(to *Host, data []byte) []byte {
	src, dst := g.device, g.platform
	if to.dir == netem.Up {
		src, dst = dst, src
	}
	packet := to.peer.begin(dst.Addr(), wire.ProtoUDP, wire.UDPHeaderLen+len(data))
	packet = append(wire.AppendUDP(packet, src.Port(), dst.Port()), data...)
	wire.Seal(packet)
	return packet
}
