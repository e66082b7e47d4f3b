package wire

import "encoding/binary"

// ICMPHeaderLen is the length of the header of all messages here, bytes.
const ICMPHeaderLen = 8

// Types and codes of ICMP for IPv4 (RFC 792) and for IPv6 (RFC 4443).
const (
	ICMPEchoReply      = 0
	ICMPUnreachable    = 3
	ICMPEchoRequest    = 8
	ICMPCodeProtocol   = 2
	ICMPCodePort       = 3
	ICMPCodeTooBig     = 4 // fragmentation needed; Rest holds the next hop's MTU (RFC 1191)
	ICMPv6Unreachable  = 1
	ICMPv6TooBig       = 2 // Rest holds the MTU
	ICMPv6EchoRequest  = 128
	ICMPv6EchoReply    = 129
	ICMPv6CodePort     = 4
	ICMPv6ParamProblem = 4
)

// ICMP is a message of either version.
type ICMP struct {
	Type, Code uint8
	// Rest is the second word of the header; in echo messages identifier and
	// sequence number.
	Rest uint32
	// Payload is echo data, or the beginning of the packet an error is about.
	Payload []byte
}

// ID is an echo message's identifier.
func (m *ICMP) ID() uint16 { return uint16(m.Rest >> 16) }

// Seq is an echo message's sequence number.
func (m *ICMP) Seq() uint16 { return uint16(m.Rest) }

// Echo makes the Rest of an echo message.
func Echo(id, seq uint16) uint32 { return uint32(id)<<16 | uint32(seq) }

// ParseICMP parses the payload of an IP packet.
func ParseICMP(b []byte) (ICMP, error) {
	if len(b) < ICMPHeaderLen {
		return ICMP{}, ErrShort
	}
	return ICMP{Type: b[0], Code: b[1], Rest: binary.BigEndian.Uint32(b[4:]), Payload: b[ICMPHeaderLen:]}, nil
}

// AppendICMP appends m, whose checksum Seal fills in.
func AppendICMP(b []byte, m ICMP) []byte {
	b = append(b, m.Type, m.Code, 0, 0)
	b = binary.BigEndian.AppendUint32(b, m.Rest)
	return append(b, m.Payload...)
}
