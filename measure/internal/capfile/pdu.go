package capfile

import "encoding/binary"

// LinkUpperPDU is the link type of frames that name the protocol they carry
// (LINKTYPE_WIRESHARK_UPPER_PDU): for links without IP, whose frames nothing
// else would tell apart.
const LinkUpperPDU = 252

// PDU is such a frame. Data has a length that the frame says nothing of.
type PDU struct {
	Dissector string // Wireshark's name of the protocol
	Port      uint16 // of the platform, which Wireshark tells the ends apart by
	Down      bool
	Data      []byte
}

// Tags of a frame (Wireshark, wsutil/exported_pdu_tlvs.h): each has a length of
// two bytes and is padded to four.
const (
	pduEnd       = 0
	pduDissector = 12
	pduPortType  = 24
	pduSource    = 25
	pduTarget    = 26
	pduDirection = 35

	portTypeUDP = 3
	devicePort  = 49152 // RFC 6335 section 6: the first that nobody has
)

// AppendPDU appends a frame.
func AppendPDU(b []byte, p PDU) []byte {
	tag := func(code uint16, value []byte) {
		b = binary.BigEndian.AppendUint16(b, code)
		b = binary.BigEndian.AppendUint16(b, uint16(len(value)+padding(len(value))))
		b = append(b, value...)
		b = append(b, make([]byte, padding(len(value)))...)
	}
	number := func(code uint16, v uint32) { tag(code, binary.BigEndian.AppendUint32(nil, v)) }
	source, target, direction := uint32(devicePort), uint32(p.Port), uint32(0)
	if p.Down {
		source, target, direction = target, source, 1
	}
	tag(pduDissector, []byte(p.Dissector))
	number(pduPortType, portTypeUDP)
	number(pduSource, source)
	number(pduTarget, target)
	number(pduDirection, direction)
	tag(pduEnd, nil)
	return append(b, p.Data...)
}

// ParsePDU reads direction and data of a frame, which the data refers to; false
// if it is malformed or does not tell.
func ParsePDU(frame []byte) (p PDU, ok bool) {
	for len(frame) >= 4 {
		code, n := binary.BigEndian.Uint16(frame), int(binary.BigEndian.Uint16(frame[2:]))
		frame = frame[4:]
		switch {
		case n > len(frame):
			return p, false
		case code == pduEnd:
			p.Data = frame[n:]
			return p, ok
		case code == pduDirection && n == 4:
			p.Down, ok = binary.BigEndian.Uint32(frame) == 1, true
		}
		frame = frame[n:]
	}
	return p, false
}
