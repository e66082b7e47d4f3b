package vnet

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/thinlink/thinlink/internal/wire"
)

// nat is the operator's address translator between the link and the platform:
// the tap, next to the device, sees the device's own address. Its mapping is
// endpoint-independent (RFC 4787 section 4.1), and only flows that the device
// began are let in. ICMP passes with its address changed.
type nat struct {
	device, public netip.Addr
	past           []netip.Addr // former public addresses, the device's own first
	out            map[flow]uint16
	in             map[flow]uint16
	lastPort       uint16
}

// flow is a port of one protocol: the device's in nat.out, the public one in
// nat.in.
type flow struct {
	proto uint8
	port  uint16
}

// firstNATPort begins the ports the platform sees.
const firstNATPort = 20000

// Rebind changes the address and ports under which the platform sees the
// device, as an operator's NAT does after a long silence, or a new bearer.
// Packets to the former ones vanish. Those of the device come from an address
// of 100.64.0.0/10 (RFC 6598) or 2001:db8:6440::/48 and, flow by flow, from new
// ports; packets that belong to no flow of the device do not reach it any more.
func (n *Network) Rebind() {
	n.lock()
	defer n.unlock()
	t := &nat{device: n.device.addr, out: map[flow]uint16{}, in: map[flow]uint16{}, lastPort: firstNATPort - 1}
	former := n.device.addr
	if n.nat != nil {
		former, t.past, t.lastPort = n.nat.public, n.nat.past, n.nat.lastPort
	}
	t.past = append(t.past, former)
	t.public = netip.AddrFrom4([4]byte{100, 64, 0, 0})
	if t.device.Is6() {
		t.public = netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0x64, 0x40})
	}
	for t.public = t.public.Next(); t.owned(t.public) || t.public == n.plat.addr; {
		t.public = t.public.Next()
	}
	n.nat = t
}

// owned reports an address that is or was the device's.
func (t *nat) owned(a netip.Addr) bool {
	return a == t.device || slices.Contains(t.past, a)
}

// reachable reports an address the platform may send to.
func (t *nat) reachable(a netip.Addr) bool { return a == t.public || t.owned(a) }

// outbound returns a device's packet as the platform sees it, or nil if it
// cannot be translated. The packet itself stays as it is.
func (t *nat) outbound(packet []byte) []byte {
	p, err := wire.ParseIP(packet)
	if err != nil || p.Src != t.device || p.HeaderLen != plainHeader(&p) {
		return nil
	}
	packet = slices.Clone(packet[:p.TotalLen])
	source := end{addr: t.public, port: t.publicPort(&p)}
	source.writeTo(packet, &p, true)
	if quoted, q, ok := quotation(packet, &p); ok && q.Dst == t.device {
		f := flow{q.Protocol, portOf(&q, false)}
		end{t.public, t.out[f]}.writeTo(quoted, &q, false)
		resum(quoted, &q)
	}
	wire.Seal(packet)
	return packet
}

// inbound returns the platform's packet, changed in place, as the device sees
// it, or nil if it belongs to no flow of the device.
func (t *nat) inbound(packet []byte) []byte {
	p, err := wire.ParseIP(packet)
	if err != nil || p.Dst != t.public || p.HeaderLen != plainHeader(&p) {
		return nil
	}
	dest := end{addr: t.device}
	if hasPorts(p.Protocol) {
		var ok bool
		if dest.port, ok = t.in[flow{p.Protocol, portOf(&p, false)}]; !ok {
			return nil
		}
	}
	dest.writeTo(packet, &p, false)
	if quoted, q, ok := quotation(packet, &p); ok && q.Src == t.public {
		f := flow{q.Protocol, portOf(&q, true)}
		end{t.device, t.in[f]}.writeTo(quoted, &q, true)
		resum(quoted, &q)
	}
	wire.Seal(packet)
	return packet
}

// publicPort is the port of a packet's flow as the platform sees it, a new one
// for a new flow; 0 for protocols without ports.
func (t *nat) publicPort(p *wire.IP) uint16 {
	if !hasPorts(p.Protocol) {
		return 0
	}
	own := flow{p.Protocol, portOf(p, true)}
	port, ok := t.out[own]
	for !ok {
		if t.lastPort++; t.lastPort == 0 {
			t.lastPort = firstNATPort
		}
		port = t.lastPort
		if _, taken := t.in[flow{p.Protocol, port}]; !taken {
			t.out[own] = port
			t.in[flow{p.Protocol, port}] = own.port
			break
		}
	}
	return port
}

// end is one end of a flow.
type end struct {
	addr netip.Addr
	port uint16
}

// writeTo makes e the source or the destination of a packet.
func (e end) writeTo(packet []byte, p *wire.IP, source bool) {
	at := 24
	switch {
	case source && p.Is6():
		at = 8
	case source:
		at = 12
	case !p.Is6():
		at = 16
	}
	copy(packet[at:], e.addr.AsSlice())
	if len(p.Payload) >= 4 && hasPorts(p.Protocol) {
		binary.BigEndian.PutUint16(packet[p.HeaderLen+portAt(source):], e.port)
	}
}

func hasPorts(proto uint8) bool { return proto == wire.ProtoTCP || proto == wire.ProtoUDP }

func portAt(source bool) int {
	if source {
		return 0
	}
	return 2
}

// portOf reads the source or destination port, 0 if there is none.
func portOf(p *wire.IP, source bool) uint16 {
	if !hasPorts(p.Protocol) || len(p.Payload) < 4 {
		return 0
	}
	return binary.BigEndian.Uint16(p.Payload[portAt(source):])
}

// plainHeader is the length of p's header without options or extensions.
func plainHeader(p *wire.IP) int {
	if p.Is6() {
		return wire.IPv6HeaderLen
	}
	return wire.IPv4HeaderLen
}

// quotation finds the packet that an ICMP error is about.
func quotation(packet []byte, p *wire.IP) (quoted []byte, q wire.IP, ok bool) {
	isError := p.Protocol == wire.ProtoICMP && !p.Is6() && len(p.Payload) > 0 && p.Payload[0] == wire.ICMPUnreachable ||
		p.Protocol == wire.ProtoICMPv6 && p.Is6() && len(p.Payload) > 0 && p.Payload[0] < wire.ICMPv6EchoRequest
	if !isError || len(p.Payload) < wire.ICMPHeaderLen {
		return nil, q, false
	}
	quoted = packet[p.HeaderLen+wire.ICMPHeaderLen : p.TotalLen]
	q, err := wire.ParseIPCut(quoted)
	return quoted, q, err == nil
}

// resum corrects a quoted IPv4 header's checksum; the transport's covers data
// that the quotation may lack (RFC 5508 section 4.2 leaves it).
func resum(quoted []byte, q *wire.IP) {
	if q.Is6() {
		return
	}
	binary.BigEndian.PutUint16(quoted[10:], 0)
	binary.BigEndian.PutUint16(quoted[10:], wire.Fold(wire.Sum(0, quoted[:q.HeaderLen])))
}
