package tcp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// Segment is one TCP segment without its IP header.
type Segment struct {
	SrcPort, DstPort uint16
	Seq, Ack         uint32
	Flags            Flags
	Window           uint16 // as on the wire, unscaled
	MSS              uint16 // option, 0: absent
	WindowScale      int8   // option, -1: absent
	SACKPermitted    bool
	SACK             []SACKBlock // at most 4
	Timestamps       bool
	TSVal, TSEcr     uint32
	Payload          []byte
}

// SACKBlock is the half-open range [Start, End) of RFC 2018.
type SACKBlock struct{ Start, End uint32 }

// Flags are the control bits of RFC 9293 section 3.1.
type Flags uint8

// The control bits.
const (
	FIN Flags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

// String names the bits as tcpdump does: "S.", "P.", "F.", "R".
func (f Flags) String() string {
	var b strings.Builder
	for i, r := range "FSRP" {
		if f&(1<<i) != 0 {
			b.WriteRune(r)
		}
	}
	if f&ACK != 0 {
		b.WriteByte('.')
	}
	for i, r := range "UEW" {
		if f&(URG<<i) != 0 {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// headerLen is the header without options.
const headerLen = 20

// The option kinds of RFC 9293, RFC 7323 and RFC 2018.
const (
	optEnd           = 0
	optNop           = 1
	optMSS           = 2
	optWindowScale   = 3
	optSACKPermitted = 4
	optSACK          = 5
	optTimestamps    = 8
)

// Len is the segment's length in sequence space: SYN and FIN count one.
func (s *Segment) Len() uint32 {
	n := uint32(len(s.Payload))
	if s.Flags&SYN != 0 {
		n++
	}
	if s.Flags&FIN != 0 {
		n++
	}
	return n
}

// optionLen is the padded length of the options AppendTo writes.
func (s *Segment) optionLen() int {
	n := 0
	if s.MSS != 0 {
		n += 4
	}
	switch {
	case s.Timestamps:
		n += 12 // two bytes of padding, or SACK-permitted in their place
	case s.SACKPermitted:
		n += 4
	}
	if s.WindowScale >= 0 && s.Flags&SYN != 0 {
		n += 4
	}
	if k := len(s.SACK); k > 0 {
		n += 4 + 8*k
	}
	return n
}

// AppendTo appends the wire form to b, with a checksum of 0, and returns it.
// The options stand in the order and with the padding Linux uses. The window
// scale is written on SYN segments only (RFC 7323 section 2.2).
func (s *Segment) AppendTo(b []byte) []byte {
	be := binary.BigEndian
	hdr := headerLen + s.optionLen()
	b = be.AppendUint16(b, s.SrcPort)
	b = be.AppendUint16(b, s.DstPort)
	b = be.AppendUint32(b, s.Seq)
	b = be.AppendUint32(b, s.Ack)
	b = append(b, byte(hdr/4)<<4, byte(s.Flags))
	b = be.AppendUint16(b, s.Window)
	b = append(b, 0, 0, 0, 0) // checksum, urgent pointer
	if s.MSS != 0 {
		b = append(b, optMSS, 4)
		b = be.AppendUint16(b, s.MSS)
	}
	switch {
	case s.Timestamps && s.SACKPermitted:
		b = append(b, optSACKPermitted, 2)
	case s.Timestamps:
		b = append(b, optNop, optNop)
	case s.SACKPermitted:
		b = append(b, optNop, optNop, optSACKPermitted, 2)
	}
	if s.Timestamps {
		b = append(b, optTimestamps, 10)
		b = be.AppendUint32(b, s.TSVal)
		b = be.AppendUint32(b, s.TSEcr)
	}
	if s.WindowScale >= 0 && s.Flags&SYN != 0 {
		b = append(b, optNop, optWindowScale, 3, byte(s.WindowScale))
	}
	if len(s.SACK) > 0 {
		b = append(b, optNop, optNop, optSACK, byte(2+8*len(s.SACK)))
		for _, k := range s.SACK {
			b = be.AppendUint32(b, k.Start)
			b = be.AppendUint32(b, k.End)
		}
	}
	return append(b, s.Payload...)
}

// ErrMalformed is wrapped by the errors of [Parse].
var ErrMalformed = errors.New("malformed TCP segment")

// Parse reads header and options; it does not verify the checksum. Payload
// aliases b. Unknown options are skipped (RFC 9293 section 3.1, MUST-6), an
// option that runs past the header is an error.
func Parse(b []byte) (Segment, error) {
	s := Segment{WindowScale: -1}
	if len(b) < headerLen {
		return s, fmt.Errorf("%w: %d bytes", ErrMalformed, len(b))
	}
	hdr := int(b[12]>>4) * 4
	if hdr < headerLen || hdr > len(b) {
		return s, fmt.Errorf("%w: data offset %d of %d bytes", ErrMalformed, hdr, len(b))
	}
	be := binary.BigEndian
	s.SrcPort, s.DstPort = be.Uint16(b), be.Uint16(b[2:])
	s.Seq, s.Ack = be.Uint32(b[4:]), be.Uint32(b[8:])
	s.Flags = Flags(b[13])
	s.Window = be.Uint16(b[14:])
	s.Payload = b[hdr:]
	return s, s.parseOptions(b[headerLen:hdr])
}

func (s *Segment) parseOptions(b []byte) error {
	for len(b) > 0 {
		switch b[0] {
		case optEnd:
			return nil
		case optNop:
			b = b[1:]
			continue
		}
		if len(b) < 2 || int(b[1]) < 2 || int(b[1]) > len(b) {
			return fmt.Errorf("%w: option %d runs past the header", ErrMalformed, b[0])
		}
		s.parseOption(b[0], b[2:b[1]])
		b = b[b[1]:]
	}
	return nil
}

// parseOption ignores an option whose length is not the one of its kind.
func (s *Segment) parseOption(kind byte, v []byte) {
	be := binary.BigEndian
	switch {
	case kind == optMSS && len(v) == 2:
		s.MSS = be.Uint16(v)
	case kind == optWindowScale && len(v) == 1 && s.Flags&SYN != 0:
		// RFC 7323 section 2.3: a shift above 14 means 14.
		s.WindowScale = int8(min(v[0], 14))
	case kind == optSACKPermitted && len(v) == 0:
		s.SACKPermitted = true
	case kind == optTimestamps && len(v) == 8:
		s.Timestamps, s.TSVal, s.TSEcr = true, be.Uint32(v), be.Uint32(v[4:])
	case kind == optSACK && len(v) > 0 && len(v)%8 == 0:
		s.SACK = make([]SACKBlock, 0, 4)
		for ; len(v) > 0; v = v[8:] {
			s.SACK = append(s.SACK, SACKBlock{be.Uint32(v), be.Uint32(v[4:])})
		}
	}
}

// Reset returns the segment that answers s when no connection exists for it
// (RFC 9293 section 3.5.2, group 1); ok is false when s is itself a reset.
func Reset(s *Segment) (r Segment, ok bool) {
	if s.Flags&RST != 0 {
		return r, false
	}
	r = Segment{SrcPort: s.DstPort, DstPort: s.SrcPort, Flags: RST, WindowScale: -1}
	if s.Flags&ACK != 0 {
		r.Seq = s.Ack
	} else {
		r.Flags |= ACK
		r.Ack = s.Seq + s.Len()
	}
	return r, true
}

// before reports a < b in sequence space (RFC 9293 section 3.4).
func before(a, b uint32) bool { return int32(a-b) < 0 }

// after reports a > b in sequence space.
func after(a, b uint32) bool { return int32(b-a) < 0 }

// between reports lo <= x <= hi in sequence space.
func between(x, lo, hi uint32) bool { return hi-lo >= x-lo }

func maxSeq(a, b uint32) uint32 {
	if after(a, b) {
		return a
	}
	return b
}

func minSeq(a, b uint32) uint32 {
	if before(a, b) {
		return a
	}
	return b
}
