package tlsdec

import "encoding/binary"

// Record content types (RFC 5246 section 6.2.1, RFC 9146 section 4).
const (
	typeChangeCipherSpec = 20
	typeAlert            = 21
	typeHandshake        = 22
	typeData             = 23
	typeHeartbeat        = 24
	typeCID              = 25
)

// Handshake types (RFC 5246 section 7.4, RFC 6347 section 4.3.2).
const (
	msgClientHello      = 1
	msgServerHello      = 2
	msgNewSessionTicket = 4
)

// Versions on the wire.
const (
	versionTLS12  = 0x0303
	versionTLS13  = 0x0304
	versionDTLS12 = 0xfefd
)

// retryRandom marks a ServerHello as a HelloRetryRequest, RFC 8446 section
// 4.1.3.
var retryRandom = [randomLen]byte{
	0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
	0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
}

// A hello is what is needed of a ClientHello or ServerHello.
type hello struct {
	version        uint16 // selected version of a ServerHello
	random         [randomLen]byte
	suite          uint16 // ServerHello
	encryptThenMAC bool
	cid            []byte // connection_id extension, RFC 9146 section 3
	hasCID         bool
	sessionID      []byte
	ticket         []byte // session_ticket extension, RFC 5077
}

// Extension types (IANA "TLS ExtensionType Values").
const (
	extEncryptThenMAC    = 22
	extSessionTicket     = 35
	extSupportedVersions = 43
	extConnectionID      = 54
)

// parseHello parses the body of a ClientHello or ServerHello of TLS or DTLS.
// Extensions may be cut: what is there is used.
func parseHello(b []byte, server, dtls bool) (h hello, ok bool) {
	r := reader{b: b}
	h.version = r.uint16()
	copy(h.random[:], r.take(randomLen))
	h.sessionID = r.take(int(r.uint8()))
	if server {
		h.suite = r.uint16()
		r.uint8() // compression method
	} else {
		if dtls {
			r.take(int(r.uint8())) // cookie
		}
		r.take(int(r.uint16())) // cipher suites
		r.take(int(r.uint8()))  // compression methods
	}
	if r.failed {
		return h, false
	}
	exts := reader{b: r.rest(int(r.uint16()))}
	for !exts.failed && len(exts.b) > 0 {
		typ := exts.uint16()
		e := reader{b: exts.take(int(exts.uint16()))}
		switch {
		case exts.failed:
		case typ == extSupportedVersions && server:
			h.version = e.uint16()
		case typ == extSessionTicket:
			h.ticket = e.b
		case typ == extEncryptThenMAC:
			h.encryptThenMAC = true
		case typ == extConnectionID:
			h.cid = e.take(int(e.uint8()))
			h.hasCID = !e.failed
		}
	}
	return h, true
}

// reader takes values off the front of b until it is too short.
type reader struct {
	b      []byte
	failed bool
}

func (r *reader) take(n int) []byte {
	if r.failed || n > len(r.b) {
		r.failed = true
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

// rest is take for a length that may be more than there is.
func (r *reader) rest(n int) []byte {
	if r.failed {
		return nil
	}
	return r.take(min(n, len(r.b)))
}

func (r *reader) uint8() uint8 {
	if v := r.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (r *reader) uint16() uint16 {
	if v := r.take(2); v != nil {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

func uint24(b []byte) int { return int(b[0])<<16 | int(b[1])<<8 | int(b[2]) }
