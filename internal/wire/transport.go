package wire

import "encoding/binary"

// Lengths of headers without options, bytes.
const (
	UDPHeaderLen = 8
	TCPHeaderLen = 20
)

// UDP is a datagram (RFC 768).
type UDP struct {
	SrcPort, DstPort uint16
	// Length is header and data as the header states it, bytes; Payload holds
	// less than Length - UDPHeaderLen in a cut capture.
	Length  int
	Payload []byte
}

// ParseUDP parses the payload of a whole IP packet.
func ParseUDP(b []byte) (UDP, error) {
	u, err := ParseUDPCut(b)
	if err == nil && u.Length > len(b) {
		return UDP{}, ErrShort
	}
	return u, err
}

// ParseUDPCut is ParseUDP for a payload that a snapshot length may have cut,
// or of which further fragments follow.
func ParseUDPCut(b []byte) (UDP, error) {
	if len(b) < UDPHeaderLen {
		return UDP{}, ErrShort
	}
	u := UDP{
		SrcPort: binary.BigEndian.Uint16(b),
		DstPort: binary.BigEndian.Uint16(b[2:]),
		Length:  int(binary.BigEndian.Uint16(b[4:])),
	}
	if u.Length < UDPHeaderLen {
		return UDP{}, ErrHeader
	}
	u.Payload = b[UDPHeaderLen:min(u.Length, len(b))]
	return u, nil
}

// AppendUDP appends a header whose length and checksum Seal fills in.
func AppendUDP(b []byte, src, dst uint16) []byte {
	return append(b, byte(src>>8), byte(src), byte(dst>>8), byte(dst), 0, 0, 0, 0)
}

// TCPFlags are the control bits of RFC 9293 section 3.1.
type TCPFlags uint8

// The control bits.
const (
	FIN TCPFlags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

// TCP is a segment.
type TCP struct {
	SrcPort, DstPort uint16
	Seq, Ack         uint32
	Flags            TCPFlags
	Window           uint16 // as on the wire, unscaled
	Urgent           uint16
	HeaderLen        int    // with options, bytes
	Options          []byte // undecoded: see NextTCPOption
	Payload          []byte
}

// ParseTCP parses the payload of an IP packet, cut or whole: TCP has no length
// of its own, so that IP.TotalLen tells how much data there was.
func ParseTCP(b []byte) (TCP, error) {
	if len(b) < TCPHeaderLen {
		return TCP{}, ErrShort
	}
	header := int(b[12]>>4) * 4
	if header < TCPHeaderLen {
		return TCP{}, ErrHeader
	}
	if len(b) < header {
		return TCP{}, ErrShort
	}
	return TCP{
		SrcPort:   binary.BigEndian.Uint16(b),
		DstPort:   binary.BigEndian.Uint16(b[2:]),
		Seq:       binary.BigEndian.Uint32(b[4:]),
		Ack:       binary.BigEndian.Uint32(b[8:]),
		Flags:     TCPFlags(b[13]),
		Window:    binary.BigEndian.Uint16(b[14:]),
		Urgent:    binary.BigEndian.Uint16(b[18:]),
		HeaderLen: header,
		Options:   b[TCPHeaderLen:header],
		Payload:   b[header:],
	}, nil
}

// Kinds of TCP options (IANA "TCP Option Kind Numbers").
const (
	OptEnd           = 0
	OptNop           = 1
	OptMSS           = 2
	OptWindowScale   = 3
	OptSACKPermitted = 4
	OptSACK          = 5
	OptTimestamps    = 8
)

// NextTCPOption splits the first option off: its kind, its data without kind
// and length, and what follows. No-operations are skipped. ok is false at the
// end of the list and where the list is malformed.
func NextTCPOption(options []byte) (kind uint8, data, rest []byte, ok bool) {
	for len(options) > 0 && options[0] == OptNop {
		options = options[1:]
	}
	if len(options) < 2 || options[0] == OptEnd {
		return 0, nil, nil, false
	}
	length := int(options[1])
	if length < 2 || length > len(options) {
		return 0, nil, nil, false
	}
	return options[0], options[2:length], options[length:], true
}
