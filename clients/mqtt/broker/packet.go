package broker

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// errMalformed ends a connection [MQTT-4.8.0-1].
var errMalformed = errors.New("malformed packet")

// readPacket reads one control packet of at most limit bytes after its fixed
// header. It is strict where the codec is lenient: flags, lengths, strings cut
// short and bytes left over are errors.
func readPacket(r *bufio.Reader, limit int) (packets.ControlPacket, error) {
	first, err := r.ReadByte()
	if err != nil {
		return nil, err
	}
	size, err := readLength(r, limit)
	if err != nil {
		return nil, err
	}
	fh := packets.FixedHeader{
		MessageType: first >> 4, Dup: first&8 != 0, Qos: first >> 1 & 3, Retain: first&1 != 0,
		RemainingLength: size,
	}
	if !validFlags(fh.MessageType, first&0xf) {
		return nil, fmt.Errorf("%w: flags %#x of type %d", errMalformed, first&0xf, fh.MessageType)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, err
	}
	p, err := packets.NewControlPacketWithHeader(fh)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	if err := unpack(p, body); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", errMalformed, packets.PacketNames[fh.MessageType], err)
	}
	return p, nil
}

// readLength reads the remaining length: up to four bytes of seven bits, least
// significant first (section 2.2.3).
func readLength(r io.ByteReader, limit int) (int, error) {
	n := 0
	for shift := 0; shift < 28; shift += 7 {
		b, err := r.ReadByte()
		if err != nil {
			return 0, err
		}
		n |= int(b&0x7f) << shift
		if b&0x80 == 0 {
			if n > limit {
				return 0, fmt.Errorf("%w: %d bytes, at most %d are accepted", errMalformed, n, limit)
			}
			return n, nil
		}
	}
	return 0, fmt.Errorf("%w: remaining length of more than 4 bytes", errMalformed)
}

// validFlags checks the fixed header's flags against table 2.2
// [MQTT-2.2.2-2]; of PUBLISH, QoS 3 is invalid [MQTT-3.3.1-4] and so is DUP
// with QoS 0 [MQTT-3.3.1-2].
func validFlags(kind, flags byte) bool {
	switch kind {
	case packets.Publish:
		qos := flags >> 1 & 3
		return qos != 3 && (qos > 0 || flags&8 == 0)
	case packets.Pubrel, packets.Subscribe, packets.Unsubscribe:
		return flags == 2
	}
	return flags == 0
}

// unpack decodes a body and holds the result against it: what does not encode
// to the same bytes was cut short, had bytes left over or a reserved bit set
// [MQTT-3.1.2-3].
func unpack(p packets.ControlPacket, body []byte) error {
	if err := p.Unpack(bytes.NewBuffer(body)); err != nil {
		return err
	}
	var again bytes.Buffer
	if err := p.Write(&again); err != nil {
		return err
	}
	if !bytes.HasSuffix(again.Bytes(), body) || again.Len()-len(body) != headerLen(len(body)) {
		return errors.New("length does not fit the fields")
	}
	return nil
}

// headerLen is the size of the fixed header before n bytes.
func headerLen(n int) int {
	size := 2
	for n >>= 7; n > 0; n >>= 7 {
		size++
	}
	return size
}
