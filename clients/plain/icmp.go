package plain

import (
	"encoding/binary"
	"net/netip"
)

// icmpHeader is the length of an echo message's header (RFC 792, RFC 4443
// section 4.1): type, code, checksum, identifier, sequence number.
const icmpHeader = 8

// The types of echo messages.
const (
	icmp4EchoReply   = 0
	icmp4EchoRequest = 8
	icmp6EchoRequest = 128
	icmp6EchoReply   = 129
)

// pingID identifies our requests.
const pingID = 0x7468

func icmpNetwork(dst netip.Addr) string {
	if dst.Is4() {
		return "ip4:icmp"
	}
	return "ip6:ipv6-icmp"
}

// putEchoRequest fills the header in front of b's payload.
func putEchoRequest(b []byte, src, dst netip.Addr, seq uint16) {
	b[0] = icmp4EchoRequest
	if dst.Is6() {
		b[0] = icmp6EchoRequest
	}
	binary.BigEndian.PutUint16(b[4:], pingID)
	binary.BigEndian.PutUint16(b[6:], seq)
	if dst.Is4() { // the host fills in ICMPv6 checksums (RFC 3542 section 3.1)
		binary.BigEndian.PutUint16(b[2:], checksum(b))
	}
}

func isEchoReply(b []byte, from netip.Addr) bool {
	if len(b) < icmpHeader || binary.BigEndian.Uint16(b[4:]) != pingID {
		return false
	}
	if from.Is4() {
		return b[0] == icmp4EchoReply
	}
	return b[0] == icmp6EchoReply
}

// checksum is the Internet checksum (RFC 1071) of b, whose own field is zero.
func checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
