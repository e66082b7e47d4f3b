// Package wire is a small exact codec of the headers thinlink meets: IPv4
// (RFC 791), IPv6 (RFC 8200), UDP (RFC 768), TCP (RFC 9293, as a view: its
// meaning lives in netem/vnet/tcp) and ICMP echo and unreachable messages
// (RFC 792, RFC 4443).
//
// Nouns: an IP is a parsed IP header with its payload; UDP, TCP and ICMP are
// views of that payload. Views share the bytes they were parsed from, and
// parsing allocates nothing. Packets are built front to back and finished by
// Seal, which fills in lengths and checksums:
//
//	b := wire.AppendIP(nil, wire.IP{Src: src, Dst: dst, Protocol: wire.ProtoUDP, HopLimit: 64})
//	b = wire.AppendUDP(b, 1024, 5683)
//	b = append(b, payload...)
//	wire.Seal(b)
//
// Parsing checks structure, never checksums: captures taken on a sending host
// often hold unfinished ones. Receivers call Valid as well.
//
// Limitations: fragments are reported, not reassembled; IPv4 options and IPv6
// extension headers are skipped, not interpreted.
package wire

import "errors"

// The errors of parsing. They carry no detail, so that refusing a packet costs
// nothing.
var (
	ErrShort   = errors.New("wire: shorter than its headers say")
	ErrVersion = errors.New("wire: neither IPv4 nor IPv6")
	ErrHeader  = errors.New("wire: malformed header")
)

// IP protocol numbers (IANA "Assigned Internet Protocol Numbers").
const (
	ProtoICMP   = 1
	ProtoTCP    = 6
	ProtoUDP    = 17
	ProtoICMPv6 = 58
)
