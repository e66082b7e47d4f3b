package capfile

import "encoding/binary"

// Link types (draft-ietf-opsawg-pcaplinktype). 12 and 14 are raw IP on some
// systems.
const (
	linkNull     = 0
	linkEthernet = 1
	linkRawBSD   = 12
	linkRawOther = 14
	linkLoop     = 108
	linkSLL      = 113
	linkIPv4     = 228
	linkIPv6     = 229
	linkSLL2     = 276
)

// EtherTypes.
const (
	etherIPv4     = 0x0800
	etherIPv6     = 0x86dd
	etherVLAN     = 0x8100 // IEEE 802.1Q
	etherProvider = 0x88a8 // IEEE 802.1ad
	etherQinQ     = 0x9100
)

// KnownLink reports whether IP can look into frames of a link type.
func KnownLink(link uint16) bool {
	switch link {
	case linkNull, linkEthernet, LinkRaw, linkRawBSD, linkRawOther, linkLoop, linkSLL, linkIPv4, linkIPv6, linkSLL2:
		return true
	}
	return false
}

// Ethernet reports whether frames of a link type are Ethernet's, and so at
// most 1514 bytes unless segmentation offload joined them.
func Ethernet(link uint16) bool { return link == linkEthernet }

// IP returns the IP packet in a frame, with any trailer of the link; false if
// it carries something else, or is cut too short to tell.
func IP(link uint16, frame []byte) ([]byte, bool) {
	switch link {
	case LinkRaw, linkRawBSD, linkRawOther, linkIPv4, linkIPv6:
		return version(frame)
	case linkNull, linkLoop: // the protocol family is the host's own number
		if len(frame) < 4 {
			return nil, false
		}
		return version(frame[4:])
	case linkEthernet:
		return etherType(frame, 12)
	case linkSLL:
		return etherType(frame, 14)
	case linkSLL2:
		if len(frame) < 20 {
			return nil, false
		}
		return ether(binary.BigEndian.Uint16(frame), frame[20:])
	}
	return nil, false
}

// version checks that a packet says it is IP.
func version(b []byte) ([]byte, bool) {
	return b, len(b) > 0 && (b[0]>>4 == 4 || b[0]>>4 == 6)
}

// etherType reads the EtherType at an offset and what follows it.
func etherType(frame []byte, at int) ([]byte, bool) {
	if len(frame) < at+2 {
		return nil, false
	}
	return ether(binary.BigEndian.Uint16(frame[at:]), frame[at+2:])
}

func ether(typ uint16, b []byte) ([]byte, bool) {
	for typ == etherVLAN || typ == etherProvider || typ == etherQinQ {
		if len(b) < 4 {
			return nil, false
		}
		typ, b = binary.BigEndian.Uint16(b[2:]), b[4:]
	}
	if typ != etherIPv4 && typ != etherIPv6 {
		return nil, false
	}
	return version(b)
}
