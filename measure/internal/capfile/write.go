package capfile

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"time"
)

// LinkRaw is the link type of packets that begin with their IP header
// (LINKTYPE_RAW, draft-ietf-opsawg-pcaplinktype).
const LinkRaw = 101

// Writer writes one pcapng section: little endian, nanoseconds. The first error
// stops it; Flush returns it.
type Writer struct {
	w   io.Writer
	b   []byte
	err error
}

// Section describes who made a capture. Empty fields are left out.
type Section struct {
	Application, Hardware, OS, Comment string
	// Custom is for our own reader.
	Custom string
}

// NewWriter begins a section.
func NewWriter(w io.Writer, s Section) *Writer {
	c := &Writer{w: w, b: make([]byte, 0, flushAt+1<<12)}
	start := c.begin(blockSection)
	c.b = binary.LittleEndian.AppendUint32(c.b, byteOrderMagic)
	c.b = binary.LittleEndian.AppendUint16(c.b, 1) // version 1.0
	c.b = binary.LittleEndian.AppendUint16(c.b, 0)
	c.b = binary.LittleEndian.AppendUint64(c.b, math.MaxUint64) // length unknown
	c.text(optComment, s.Comment)
	c.text(optHardware, s.Hardware)
	c.text(optOS, s.OS)
	c.text(optApplication, s.Application)
	if s.Custom != "" {
		c.custom(optCustomString, []byte(s.Custom))
	}
	c.end(start, true)
	return c
}

// Interface describes the next interface, with its link type; they count from 0.
func (c *Writer) Interface(name, description string, link uint16) {
	const ifDescription = 3
	start := c.begin(blockInterface)
	c.b = binary.LittleEndian.AppendUint16(c.b, link)
	c.b = append(c.b, 0, 0)
	c.b = binary.LittleEndian.AppendUint32(c.b, 0) // no snapshot length
	c.text(optInterfaceName, name)
	c.text(ifDescription, description)
	c.option(optResolution, []byte{9})
	c.end(start, true)
}

// Secrets embeds a TLS key log ("Decryption Secrets Block"). It serves the
// packets behind it.
func (c *Writer) Secrets(keyLog []byte) {
	start := c.begin(blockSecrets)
	c.b = binary.LittleEndian.AppendUint32(c.b, secretsTLS)
	c.b = binary.LittleEndian.AppendUint32(c.b, uint32(len(keyLog)))
	c.padded(keyLog)
	c.end(start, false)
}

// Packet writes a packet with comments for people and custom, unless nil, for
// our own reader (draft-ietf-opsawg-pcapng section 4.3).
func (c *Writer) Packet(iface int, at time.Time, data []byte, comments []string, custom []byte) {
	start := c.begin(blockEnhanced)
	stamp := uint64(at.UnixNano())
	c.b = binary.LittleEndian.AppendUint32(c.b, uint32(iface))
	c.b = binary.LittleEndian.AppendUint32(c.b, uint32(stamp>>32))
	c.b = binary.LittleEndian.AppendUint32(c.b, uint32(stamp))
	c.b = binary.LittleEndian.AppendUint32(c.b, uint32(len(data)))
	c.b = binary.LittleEndian.AppendUint32(c.b, uint32(len(data)))
	c.padded(data)
	for _, s := range comments {
		c.text(optComment, s)
	}
	if custom != nil {
		c.custom(optCustomBinary, custom)
	}
	c.end(start, len(comments) > 0 || custom != nil)
	if len(c.b) > flushAt {
		c.flush()
	}
}

const flushAt = 1 << 16

// Flush writes what is buffered and returns the first error.
func (c *Writer) Flush() error {
	c.flush()
	if c.err != nil {
		return fmt.Errorf("pcapng: %w", c.err)
	}
	return nil
}

func (c *Writer) flush() {
	if c.err == nil {
		_, c.err = c.w.Write(c.b)
	}
	c.b = c.b[:0]
}

func (c *Writer) begin(typ uint32) (start int) {
	start = len(c.b)
	c.b = binary.LittleEndian.AppendUint32(c.b, typ)
	c.b = append(c.b, 0, 0, 0, 0) // length: see end
	return start
}

// end closes a block, with an end of options if it has any.
func (c *Writer) end(start int, options bool) {
	if options {
		c.option(optEnd, nil)
	}
	n := uint32(len(c.b) - start + 4)
	binary.LittleEndian.PutUint32(c.b[start+4:], n)
	c.b = binary.LittleEndian.AppendUint32(c.b, n)
}

func (c *Writer) padded(v []byte) {
	c.b = append(c.b, v...)
	c.b = append(c.b, 0, 0, 0)[:len(c.b)+padding(len(v))]
}

func (c *Writer) option(code uint16, v []byte) {
	c.b = binary.LittleEndian.AppendUint16(c.b, code)
	c.b = binary.LittleEndian.AppendUint16(c.b, uint16(len(v)))
	c.padded(v)
}

func (c *Writer) text(code uint16, s string) {
	if s != "" {
		c.option(code, []byte(s[:min(len(s), math.MaxUint16)]))
	}
}

// custom writes an option of draft-ietf-opsawg-pcapng section 3.5.1.
func (c *Writer) custom(code uint16, v []byte) {
	c.option(code, append(binary.LittleEndian.AppendUint32(nil, customPEN), v...))
}
