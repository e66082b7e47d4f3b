package wire

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// Sum adds b to a ones' complement sum (RFC 1071). Only the last piece of a
// message may have an odd length.
func Sum(sum uint64, b []byte) uint64 {
	var carry uint64
	for len(b) >= 8 {
		sum, carry = bits.Add64(sum, binary.BigEndian.Uint64(b), carry)
		b = b[8:]
	}
	var tail [8]byte // the tail's place within 64 bits does not matter, its parity does
	copy(tail[:], b)
	sum, carry = bits.Add64(sum, binary.BigEndian.Uint64(tail[:]), carry)
	sum, carry = bits.Add64(sum, 0, carry)
	return sum + carry
}

// Fold turns a sum into the checksum that belongs in a header.
func Fold(sum uint64) uint16 {
	sum = sum>>32 + sum&0xffffffff
	sum = sum>>32 + sum&0xffffffff
	sum = sum>>16 + sum&0xffff
	sum = sum>>16 + sum&0xffff
	return ^uint16(sum)
}

// PseudoHeader is the sum of the pseudo-header (RFC 9293 section 3.1, RFC 8200
// section 8.1) over which transport checksums run; length is that of transport
// header and data, bytes.
func PseudoHeader(src, dst netip.Addr, protocol uint8, length int) uint64 {
	sum := uint64(protocol) + uint64(length)
	if src.Is4() {
		s, d := src.As4(), dst.As4()
		return Sum(Sum(sum, s[:]), d[:])
	}
	s, d := src.As16(), dst.As16()
	return Sum(Sum(sum, s[:]), d[:])
}

// checksumAt is the offset of the checksum in a transport header, or false for
// protocols that Seal and Valid do not know.
func checksumAt(protocol uint8, is6 bool) (offset int, ok bool) {
	switch {
	case protocol == ProtoTCP:
		return 16, true
	case protocol == ProtoUDP:
		return 6, true
	case protocol == ProtoICMP && !is6, protocol == ProtoICMPv6 && is6:
		return 2, true
	}
	return 0, false
}

// transportSum is the sum over a packet's transport header and data, with the
// pseudo-header where the protocol has one: all but ICMP for IPv4.
func transportSum(p *IP) uint64 {
	if p.Protocol == ProtoICMP {
		return Sum(0, p.Payload)
	}
	return Sum(PseudoHeader(p.Src, p.Dst, p.Protocol, len(p.Payload)), p.Payload)
}

// Seal fills in the lengths and checksums of a whole packet that AppendIP
// began, of the UDP header too. b must hold that packet and nothing else.
func Seal(b []byte) {
	header := IPv6HeaderLen
	if b[0]>>4 == 4 {
		header = IPv4HeaderLen
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		binary.BigEndian.PutUint16(b[10:], 0)
		binary.BigEndian.PutUint16(b[10:], Fold(Sum(0, b[:header])))
	} else {
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)-header))
	}
	p, err := ParseIP(b)
	if err != nil {
		panic("wire: sealing what AppendIP did not begin: " + err.Error())
	}
	at, ok := checksumAt(p.Protocol, p.Is6())
	if !ok || len(p.Payload) < at+2 {
		return
	}
	if p.Protocol == ProtoUDP {
		binary.BigEndian.PutUint16(p.Payload[4:], uint16(len(p.Payload)))
	}
	binary.BigEndian.PutUint16(p.Payload[at:], 0)
	sum := Fold(transportSum(&p))
	if sum == 0 && p.Protocol == ProtoUDP {
		sum = 0xffff // RFC 768: zero means that there is no checksum
	}
	binary.BigEndian.PutUint16(p.Payload[at:], sum)
}

// Valid reports whether the checksums of a packet that ParseIP accepted are
// right: the header's and, unless it is a fragment, the transport's. b is the
// slice p was parsed from.
func Valid(b []byte, p *IP) bool {
	if !p.Is6() && Fold(Sum(0, b[:p.HeaderLen])) != 0 {
		return false
	}
	at, ok := checksumAt(p.Protocol, p.Is6())
	if !ok || p.Fragment() {
		return true
	}
	if len(p.Payload) < at+2 {
		return false
	}
	if p.Protocol == ProtoUDP && !p.Is6() && binary.BigEndian.Uint16(p.Payload[at:]) == 0 {
		return true // the sender made none, which IPv6 forbids (RFC 8200 section 8.1)
	}
	return Fold(transportSum(p)) == 0
}
