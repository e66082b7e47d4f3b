package vnet

import (
	"net/netip"

	"github.com/thinlink/thinlink/internal/wire"
	"github.com/thinlink/thinlink/netem"
)

// bearer is 3GPP's non-IP data delivery by a point-to-point tunnel (TS 23.401
// section 4.3.17.8): what crosses the link is the content of UDP datagrams,
// without any header, and the network's gateway keeps the endpoints. It has one
// flow, the one that the device sent on last; everything else has no way over
// the link and vanishes.
type bearer struct{ device, platform netip.AddrPort }

// unwrap is what a host's packet is on the link, nil if nothing.
func (b *bearer) unwrap(from *Host, packet []byte) []byte {
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
		b.device, b.platform = src, dst
	case src != b.platform || dst != b.device:
		return nil
	}
	return u.Payload
}

// wrap is the packet that a host gets of what the link delivered.
func (b *bearer) wrap(to *Host, data []byte) []byte {
	src, dst := b.device, b.platform
	if to.dir == netem.Up {
		src, dst = dst, src
	}
	packet := to.peer.begin(dst.Addr(), wire.ProtoUDP, wire.UDPHeaderLen+len(data))
	packet = append(wire.AppendUDP(packet, src.Port(), dst.Port()), data...)
	wire.Seal(packet)
	return packet
}
