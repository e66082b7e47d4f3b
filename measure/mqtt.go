package measure

import "encoding/binary"

// MQTT control packet types (MQTT 3.1.1 section 2.2.1).
const (
	mqttConnect    = 1
	mqttPublish    = 3
	mqttAuth       = 15 // MQTT 5
	mqttLevel5     = 5
	mqttMaxVarint  = 4
	mqttHeaderLen  = 2 // fixed header with a one-byte length
	mqttQoSMask    = 0x06
	mqttPacketID   = 2
	mqttLengthLen  = 2
	mqttLevelAfter = 6 // CONNECT: behind the protocol name "MQTT"
)

// isMQTT reports whether a stream begins with CONNECT (MQTT 3.1.1 section
// 3.1.2, MQTT 5 section 3.1.2; MQTT 3.1 says MQIsdp).
func isMQTT(b []byte) bool {
	_, body, ok := connectBody(b)
	return ok && (hasPrefix(body, "\x00\x04MQTT") || hasPrefix(body, "\x00\x06MQIsdp"))
}

func isMQTT5(b []byte) bool {
	_, body, ok := connectBody(b)
	return ok && hasPrefix(body, "\x00\x04MQTT") && len(body) > mqttLevelAfter && body[mqttLevelAfter] == mqttLevel5
}

func connectBody(b []byte) (length int, body []byte, ok bool) {
	if len(b) < mqttHeaderLen || b[0] != mqttConnect<<4 {
		return 0, nil, false
	}
	length, n := mqttVarint(b[1:])
	if n == 0 {
		return 0, nil, false
	}
	return length, b[1+n:], true
}

func hasPrefix(b []byte, s string) bool { return len(b) >= len(s) && string(b[:len(s)]) == s }

// mqttVarint decodes a Variable Byte Integer (MQTT 3.1.1 section 2.2.3); n is
// its length, 0 if it is malformed or cut.
func mqttVarint(b []byte) (v, n int) {
	for i := 0; i < mqttMaxVarint && i < len(b); i++ {
		v |= int(b[i]&0x7f) << (7 * i)
		if b[i]&0x80 == 0 {
			return v, i + 1
		}
	}
	return 0, 0
}

// mqttClasses splits one direction into protocol and payload: a PUBLISH's
// application message is payload, all else is protocol.
func mqttClasses(b []byte, v5 bool) classes {
	var c classes
	for len(b) > 0 {
		typ := b[0] >> 4
		length, n := mqttVarint(b[1:])
		if typ == 0 || typ == mqttAuth && !v5 || n == 0 && len(b) > mqttMaxVarint {
			break // not MQTT, or out of step: payload
		}
		if n == 0 { // the capture ends in the fixed header
			c.add(len(b), classProtocol)
			break
		}
		body := b[1+n:]
		end := min(length, len(body))
		c.add(1+n, classProtocol)
		header := end
		if typ == mqttPublish {
			header = min(end, publishHeader(body[:end], b[0]&mqttQoSMask != 0, v5))
		}
		c.add(header, classProtocol)
		c.add(end-header, classPayload)
		b = body[end:]
	}
	return c
}

// publishHeader is the length of PUBLISH's variable header (MQTT 3.1.1 section
// 3.3.2): topic, packet identifier if the QoS has one, MQTT 5's properties.
func publishHeader(body []byte, id, v5 bool) int {
	if len(body) < mqttLengthLen {
		return len(body)
	}
	n := mqttLengthLen + int(binary.BigEndian.Uint16(body))
	if id {
		n += mqttPacketID
	}
	if v5 && n < len(body) {
		properties, k := mqttVarint(body[n:])
		n += k + properties
	}
	return n
}
