package measure

import "encoding/binary"

// coapCSM is the code of the Capabilities and Settings Message, 7.01, which each
// end of CoAP over TCP sends first (RFC 8323 section 5.3).
const coapCSM = 7<<5 | 1

// isCoAPStream reports whether a stream begins with a CSM. It has no token.
func isCoAPStream(b []byte) bool {
	f, ok := parseCoAPFrame(b)
	return ok && f.token == 0 && f.code == coapCSM
}

// A coapFrame is a message of CoAP over TCP up to its token (RFC 8323 section
// 3.2).
type coapFrame struct {
	header int // bytes of lengths and code
	token  int
	length int64 // of options, marker and payload, behind the token
	code   uint8
}

// parseCoAPFrame reads the front of a message; false if it is not all there, or
// none.
func parseCoAPFrame(b []byte) (f coapFrame, ok bool) {
	if len(b) == 0 || b[0]&0xf > 8 {
		return f, false
	}
	f.token, f.length = int(b[0]&0xf), int64(b[0]>>4)
	extended := [16]int{13: 1, 14: 2, 15: 4}[b[0]>>4] // bytes
	f.header = 1 + extended + 1
	if len(b) < f.header {
		return f, false
	}
	switch ext := b[1:]; extended {
	case 1:
		f.length = 13 + int64(ext[0])
	case 2:
		f.length = 269 + int64(binary.BigEndian.Uint16(ext))
	case 4:
		f.length = 65805 + int64(binary.BigEndian.Uint32(ext))
	}
	f.code = b[f.header-1]
	return f, coapCode(f.code)
}

// coapClasses splits one direction of CoAP over TCP into protocol and payload.
func coapClasses(b []byte) classes {
	var c classes
	for len(b) > 0 {
		f, ok := parseCoAPFrame(b)
		if !ok {
			break // not CoAP, or out of step: payload
		}
		front := min(len(b), f.header+f.token)
		body := b[front:][:min(int64(len(b)-front), f.length)]
		options, _, _ := coapOptions(body)
		c.add(front+options, classProtocol)
		c.add(len(body)-options, classPayload)
		b = b[front+len(body):]
	}
	return c
}
