package wire

import (
	"encoding/binary"
	"net/netip"
)

// Lengths of headers without options, bytes.
const (
	IPv4HeaderLen = 20
	IPv6HeaderLen = 40
)

// IP is an IP header and what follows it.
type IP struct {
	Src, Dst netip.Addr
	// Protocol is the transport's: for IPv6 the Next Header value behind the
	// extension headers.
	Protocol uint8
	// HopLimit is IPv4's Time to Live.
	HopLimit uint8
	// TrafficClass is IPv4's Type of Service.
	TrafficClass uint8
	// ID is IPv4's Identification, or that of IPv6's Fragment header.
	ID uint32
	// FragmentOffset is where Payload lies in the original datagram, bytes.
	FragmentOffset int
	// MoreFragments is set on every fragment but the last.
	MoreFragments bool
	// HeaderLen counts options and extension headers, bytes.
	HeaderLen int
	// TotalLen is the packet's length as its header states it, bytes.
	TotalLen int
	// Payload is the transport header and its data: TotalLen - HeaderLen
	// bytes, or less in a capture that was cut (ParseIPCut).
	Payload []byte
}

// Is6 reports whether the packet is IPv6.
func (p *IP) Is6() bool { return p.Src.Is6() }

// Fragment reports whether the packet is part of a larger datagram. Only the
// fragment with offset 0 begins with a transport header.
func (p *IP) Fragment() bool { return p.MoreFragments || p.FragmentOffset != 0 }

// ParseIP parses one whole IP packet. Bytes behind its end, such as Ethernet
// padding, are left out of Payload. It returns ErrVersion, ErrHeader or, if
// the packet is not all there, ErrShort.
func ParseIP(b []byte) (IP, error) {
	p, err := ParseIPCut(b)
	if err == nil && p.HeaderLen+len(p.Payload) < p.TotalLen {
		return IP{}, ErrShort
	}
	return p, err
}

// ParseIPCut is ParseIP for captures with a snapshot length: the headers must
// be there, the payload may be cut.
func ParseIPCut(b []byte) (IP, error) {
	if len(b) == 0 {
		return IP{}, ErrShort
	}
	switch b[0] >> 4 {
	case 4:
		return parseIPv4(b)
	case 6:
		return parseIPv6(b)
	}
	return IP{}, ErrVersion
}

// parseIPv4 follows RFC 791 section 3.1.
func parseIPv4(b []byte) (IP, error) {
	if len(b) < IPv4HeaderLen {
		return IP{}, ErrShort
	}
	header, total := int(b[0]&0xf)*4, int(binary.BigEndian.Uint16(b[2:]))
	if header < IPv4HeaderLen || total < header {
		return IP{}, ErrHeader
	}
	if len(b) < header {
		return IP{}, ErrShort
	}
	frag := binary.BigEndian.Uint16(b[6:])
	return IP{
		Src:            netip.AddrFrom4([4]byte(b[12:16])),
		Dst:            netip.AddrFrom4([4]byte(b[16:20])),
		Protocol:       b[9],
		HopLimit:       b[8],
		TrafficClass:   b[1],
		ID:             uint32(binary.BigEndian.Uint16(b[4:])),
		FragmentOffset: int(frag&0x1fff) * 8,
		MoreFragments:  frag&0x2000 != 0,
		HeaderLen:      header,
		TotalLen:       total,
		Payload:        b[header:min(total, len(b))],
	}, nil
}

// IPv6 extension headers that may stand before the transport (RFC 8200
// section 4, RFC 4302).
const (
	extHopByHop    = 0
	extRouting     = 43
	extFragment    = 44
	extAuth        = 51
	extDestination = 60
)

// parseIPv6 follows RFC 8200 sections 3 and 4.
func parseIPv6(b []byte) (IP, error) {
	if len(b) < IPv6HeaderLen {
		return IP{}, ErrShort
	}
	p := IP{
		Src:          netip.AddrFrom16([16]byte(b[8:24])),
		Dst:          netip.AddrFrom16([16]byte(b[24:40])),
		Protocol:     b[6],
		HopLimit:     b[7],
		TrafficClass: b[0]<<4 | b[1]>>4,
		HeaderLen:    IPv6HeaderLen,
		TotalLen:     IPv6HeaderLen + int(binary.BigEndian.Uint16(b[4:])),
	}
	b = b[:min(p.TotalLen, len(b))]
	// An IPv4-mapped address never belongs on the wire (RFC 4291 section
	// 2.5.5.2), and would be taken for an IPv4 one.
	if p.Src.Is4In6() || p.Dst.Is4In6() {
		return IP{}, ErrHeader
	}
	if err := p.skipExtensions(b); err != nil {
		return IP{}, err
	}
	p.Payload = b[p.HeaderLen:]
	return p, nil
}

// skipExtensions moves p.Protocol and p.HeaderLen to the transport header.
// Behind a later fragment's Fragment header there is only data.
func (p *IP) skipExtensions(b []byte) error {
	for p.FragmentOffset == 0 {
		var length int
		switch p.Protocol {
		default:
			return nil
		case extHopByHop, extRouting, extDestination, extAuth, extFragment:
		}
		if p.HeaderLen+8 > p.TotalLen {
			return ErrHeader
		}
		if p.HeaderLen+8 > len(b) {
			return ErrShort
		}
		ext := b[p.HeaderLen:]
		switch p.Protocol {
		case extFragment:
			length = 8
			frag := binary.BigEndian.Uint16(ext[2:])
			p.FragmentOffset, p.MoreFragments = int(frag&^7), frag&1 != 0
			p.ID = binary.BigEndian.Uint32(ext[4:])
		case extAuth:
			length = (int(ext[1]) + 2) * 4
		default:
			length = (int(ext[1]) + 1) * 8
		}
		if p.HeaderLen+length > p.TotalLen {
			return ErrHeader
		}
		if p.HeaderLen+length > len(b) {
			return ErrShort
		}
		p.Protocol = ext[0]
		p.HeaderLen += length
	}
	return nil
}

// AppendIP appends a header without options, made of p's addresses, Protocol,
// HopLimit, TrafficClass and, for IPv4, ID. Append the payload, then call Seal.
// IPv4 packets carry Don't Fragment: thinlink's hosts never fragment.
func AppendIP(b []byte, p IP) []byte {
	if p.Is6() {
		src, dst := p.Src.As16(), p.Dst.As16()
		b = append(b, 0x60|p.TrafficClass>>4, p.TrafficClass<<4, 0, 0, 0, 0, p.Protocol, p.HopLimit)
		b = append(b, src[:]...)
		return append(b, dst[:]...)
	}
	src, dst := p.Src.As4(), p.Dst.As4()
	b = append(b, 0x45, p.TrafficClass, 0, 0, byte(p.ID>>8), byte(p.ID), 0x40, 0, p.HopLimit, p.Protocol, 0, 0)
	b = append(b, src[:]...)
	return append(b, dst[:]...)
}
