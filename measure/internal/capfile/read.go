package capfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// ErrFormat says that a file is not a capture.
var ErrFormat = errors.New("neither a pcap nor a pcapng capture")

// maxPacketLen is the largest frame that is taken for one, bytes: libpcap's
// MAXIMUM_SNAPLEN is 256 KiB, for USB 128 MiB.
const maxPacketLen = 1 << 27

// Parse reads a capture. The packets share b. A file that ends too early is
// read as far as it goes and marked Truncated; a file that contradicts itself
// is refused, with the offset.
func Parse(b []byte) (*File, error) {
	if len(b) < 4 {
		return nil, ErrFormat
	}
	if binary.LittleEndian.Uint32(b) == blockSection {
		return parseNG(b)
	}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		switch order.Uint32(b) {
		case magicMicro:
			return parsePCAP(b, order, time.Microsecond)
		case magicNano:
			return parsePCAP(b, order, time.Nanosecond)
		}
	}
	return nil, ErrFormat
}

// pcap's magic numbers (draft-ietf-opsawg-pcap section 4).
const (
	magicMicro = 0xa1b2c3d4
	magicNano  = 0xa1b23c4d
)

func parsePCAP(b []byte, order binary.ByteOrder, unit time.Duration) (*File, error) {
	const header, record = 24, 16
	if len(b) < header {
		return nil, fmt.Errorf("pcap: the file header is cut off: %w", ErrFormat)
	}
	if major := order.Uint16(b[4:]); major != 2 {
		return nil, fmt.Errorf("pcap: version %d.%d is unknown", major, order.Uint16(b[6:]))
	}
	f := &File{}
	// The upper bits describe a frame check sequence.
	link := uint16(order.Uint32(b[20:]))
	for off := header; off < len(b); {
		if len(b)-off < record {
			f.Truncated = true
			break
		}
		h := b[off:]
		have, length := order.Uint32(h[8:]), order.Uint32(h[12:])
		if have > maxPacketLen || have > length {
			return nil, fmt.Errorf("pcap: packet %d at offset %d: captured length %d, length %d", len(f.Packets)+1, off, have, length)
		}
		off += record
		if int(have) > len(b)-off {
			f.Truncated = true
			break
		}
		f.Packets = append(f.Packets, Packet{
			Time:     time.Unix(int64(order.Uint32(h)), int64(order.Uint32(h[4:]))*int64(unit)),
			LinkType: link, Data: b[off : off+int(have) : off+int(have)], Length: int(min(length, maxPacketLen)),
		})
		off += int(have)
	}
	return f, nil
}

// pcapng's block types (draft-ietf-opsawg-pcapng section 4 and "Block Types").
const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockPacket    = 2 // obsolete
	blockSimple    = 3
	blockEnhanced  = 6
	blockSecrets   = 10
)

const (
	byteOrderMagic = 0x1a2b3c4d
	secretsTLS     = 0x544c534b // "TLSK"
)

// Option codes (draft-ietf-opsawg-pcapng section 3.5 and the sections of the
// blocks).
const (
	optEnd           = 0
	optComment       = 1
	optCustomString  = 2988
	optCustomBinary  = 2989
	optHardware      = 2 // section
	optOS            = 3
	optApplication   = 4
	optInterfaceName = 2 // interface
	optResolution    = 9
	optOffset        = 14
)

// customPEN marks our custom options. It is the enterprise number for examples
// and documentation (RFC 5612): thinlink has none of its own.
const customPEN = 32473

// An iface is what an Interface Description Block says.
type iface struct {
	name       string
	link       uint16
	snapLen    uint32
	resolution byte
	offset     int64 // s
}

// ngReader reads sections.
type ngReader struct {
	file   *File
	order  binary.ByteOrder
	ifaces []iface
}

func parseNG(b []byte) (*File, error) {
	r := &ngReader{file: &File{}, order: binary.LittleEndian}
	for off := 0; off < len(b); {
		rest := b[off:]
		if len(rest) < 12 {
			r.file.Truncated = true
			break
		}
		typ := r.order.Uint32(rest)
		if typ == blockSection { // reads the same in both orders
			if err := r.setOrder(rest[8:]); err != nil {
				return nil, fmt.Errorf("pcapng: section at offset %d: %w", off, err)
			}
		}
		length := r.order.Uint32(rest[4:])
		if length < 12 || length%4 != 0 {
			return nil, fmt.Errorf("pcapng: block at offset %d: length %d", off, length)
		}
		if uint64(length) > uint64(len(rest)) {
			r.file.Truncated = true
			break
		}
		if trailer := r.order.Uint32(rest[length-4:]); trailer != length {
			return nil, fmt.Errorf("pcapng: block at offset %d: its lengths %d and %d differ", off, length, trailer)
		}
		if err := r.block(typ, rest[8:length-4]); err != nil {
			return nil, fmt.Errorf("pcapng: block at offset %d: %w", off, err)
		}
		off += int(length)
	}
	return r.file, nil
}

func (r *ngReader) setOrder(b []byte) error {
	switch {
	case binary.LittleEndian.Uint32(b) == byteOrderMagic:
		r.order = binary.LittleEndian
	case binary.BigEndian.Uint32(b) == byteOrderMagic:
		r.order = binary.BigEndian
	default:
		return errors.New("no byte-order magic")
	}
	return nil
}

var errShortBlock = errors.New("shorter than its type needs")

func (r *ngReader) block(typ uint32, body []byte) error {
	if len(body) < fixedLen(typ) {
		return errShortBlock
	}
	switch typ {
	case blockSection:
		return r.section(body)
	case blockInterface:
		r.describe(body)
	case blockSecrets:
		n := r.order.Uint32(body[4:])
		if uint64(n) > uint64(len(body)-8) {
			return errShortBlock
		}
		if r.order.Uint32(body) == secretsTLS {
			r.file.KeyLog = append(append(r.file.KeyLog, body[8:8+n]...), '\n')
		}
	case blockEnhanced, blockSimple, blockPacket:
		return r.packet(typ, body)
	}
	return nil
}

// fixedLen is the length of a block's fixed part, bytes.
func fixedLen(typ uint32) int {
	switch typ {
	case blockSection:
		return 16
	case blockInterface, blockSecrets:
		return 8
	case blockEnhanced, blockPacket:
		return 20
	case blockSimple:
		return 4
	}
	return 0
}

func (r *ngReader) section(body []byte) error {
	if major := r.order.Uint16(body[4:]); major != 1 {
		return fmt.Errorf("pcapng version %d is unknown", major)
	}
	r.ifaces = nil
	r.options(body[16:], func(code uint16, v []byte) {
		switch code {
		case optComment:
			r.file.Comment = string(v)
		case optApplication:
			r.file.Application = string(v)
		case optCustomString:
			if own, ok := r.custom(v); ok {
				r.file.Custom = string(own)
			}
		}
	})
	return nil
}

func (r *ngReader) describe(body []byte) {
	i := iface{link: r.order.Uint16(body), snapLen: r.order.Uint32(body[4:]), resolution: 6}
	r.options(body[8:], func(code uint16, v []byte) {
		switch {
		case code == optInterfaceName:
			i.name = string(v)
		case code == optResolution && len(v) >= 1:
			i.resolution = v[0]
		case code == optOffset && len(v) >= 8:
			i.offset = int64(r.order.Uint64(v))
		}
	})
	r.ifaces = append(r.ifaces, i)
}

// packet reads an Enhanced, Simple or (obsolete) Packet Block.
func (r *ngReader) packet(typ uint32, body []byte) error {
	var id, have, length uint32
	var stamp uint64
	data := body
	switch typ {
	case blockSimple:
		length, data = r.order.Uint32(body), body[4:]
		have = length
		if len(r.ifaces) > 0 && r.ifaces[0].snapLen > 0 {
			have = min(have, r.ifaces[0].snapLen)
		}
	case blockPacket:
		id = uint32(r.order.Uint16(body))
	default:
		id = r.order.Uint32(body)
	}
	if typ != blockSimple {
		stamp = uint64(r.order.Uint32(body[4:]))<<32 | uint64(r.order.Uint32(body[8:]))
		have, length, data = r.order.Uint32(body[12:]), r.order.Uint32(body[16:]), body[20:]
	}
	if uint64(id) >= uint64(len(r.ifaces)) {
		return fmt.Errorf("packet %d: interface %d was not described", len(r.file.Packets)+1, id)
	}
	if uint64(have) > uint64(len(data)) || have > length {
		return fmt.Errorf("packet %d: captured length %d, length %d", len(r.file.Packets)+1, have, length)
	}
	i := &r.ifaces[id]
	p := Packet{Interface: i.name, LinkType: i.link, Data: data[:have:have], Length: int(min(length, maxPacketLen))}
	if typ != blockSimple {
		p.Time = i.time(stamp)
		r.options(data[min(int(have)+padding(int(have)), len(data)):], func(code uint16, v []byte) {
			if code == optCustomBinary {
				if own, ok := r.custom(v); ok {
					p.Custom = own
				}
			}
		})
	}
	r.file.Packets = append(r.file.Packets, p)
	return nil
}

// custom splits the enterprise number off.
func (r *ngReader) custom(v []byte) ([]byte, bool) {
	if len(v) < 4 || r.order.Uint32(v) != customPEN {
		return nil, false
	}
	return v[4:], true
}

// options goes through a list; a malformed rest is left out, because options
// never change what the packets are.
func (r *ngReader) options(b []byte, each func(code uint16, value []byte)) {
	for len(b) >= 4 {
		code, n := r.order.Uint16(b), int(r.order.Uint16(b[2:]))
		if code == optEnd || n > len(b)-4 {
			return
		}
		each(code, b[4:4+n])
		b = b[min(4+n+padding(n), len(b)):]
	}
}

func padding(n int) int { return -n & 3 }

// time converts a time stamp (if_tsresol and if_tsoffset,
// draft-ietf-opsawg-pcapng section 4.2).
func (i *iface) time(stamp uint64) time.Time {
	if i.resolution&0x80 != 0 {
		bits := uint(i.resolution & 0x7f)
		if bits > 63 {
			return time.Unix(i.offset, 0)
		}
		fraction := float64(stamp&(1<<bits-1)) / math.Exp2(float64(bits))
		return time.Unix(i.offset+int64(stamp>>bits), int64(fraction*1e9))
	}
	units := uint64(1) // per second
	for range min(i.resolution, 19) {
		units *= 10
	}
	fraction := stamp % units
	if units > 1e9 {
		fraction /= units / 1e9
	} else {
		fraction *= 1e9 / units
	}
	return time.Unix(i.offset+int64(stamp/units), int64(fraction))
}
