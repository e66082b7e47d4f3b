package measure

import (
	"slices"
	"sort"
	"time"

	"github.com/thinlink/thinlink/measure/internal/tlsdec"
)

// Limits of a reassembled stream, bytes: damaged sequence numbers must not
// cost memory.
const (
	maxHoles  = 4 << 20
	maxStream = 1 << 30
)

// An assembler puts a TCP stream together.
type assembler struct{ chunks []chunk }

type chunk struct {
	offset int64
	data   []byte
	at     time.Time
}

// append notes a segment's data, of which n bytes were sent and the capture
// holds data.
func (a *assembler) append(offset int64, n int, data []byte, at time.Time) {
	a.chunks = append(a.chunks, chunk{offset, data[:min(n, len(data))], at})
}

// stream joins the chunks. What was not captured is a hole of zeros; what lies
// before offset 0 or beyond the limits is left out.
func (a *assembler) stream() tlsdec.Stream {
	var s tlsdec.Stream
	if !slices.IsSortedFunc(a.chunks, byOffset) {
		slices.SortStableFunc(a.chunks, byOffset)
	}
	size := int64(0)
	for _, c := range a.chunks {
		size = max(size, min(c.offset+int64(len(c.data)), maxStream))
	}
	have, holes := int64(0), int64(0)
	for _, c := range a.chunks {
		have += int64(len(c.data))
	}
	s.Data = make([]byte, 0, min(size, have+maxHoles))
	for _, c := range a.chunks {
		end := int64(len(s.Data))
		if c.offset > end {
			holes += c.offset - end
			if holes > maxHoles || c.offset > maxStream {
				break
			}
			s.Holes = append(s.Holes, tlsdec.Hole{From: int(end), To: int(c.offset)})
			s.Data = append(s.Data, make([]byte, c.offset-end)...)
			end = c.offset
		}
		if skip := end - c.offset; skip < int64(len(c.data)) {
			s.Data = append(s.Data, c.data[skip:]...)
		}
	}
	return s
}

func byOffset(a, b chunk) int {
	switch {
	case a.offset < b.offset:
		return -1
	case a.offset > b.offset:
		return 1
	}
	return 0
}

// sentAt is when a byte of the stream was first sent.
func (a *assembler) sentAt(offset int64) time.Time {
	at := never
	for _, c := range a.chunks {
		if c.offset <= offset && offset < c.offset+int64(len(c.data)) && c.at.Before(at) {
			at = c.at
		}
	}
	return at
}

// class is the layer a byte above transport belongs to.
type class uint8

const (
	classSecurity class = iota
	classProtocol
	classPayload
	classOpaque // payload, most likely, that could not be decrypted
)

// classes are runs of a stream's bytes. What no run covers is payload.
type classes struct {
	ends  []int64 // ascending
	class []class
}

// add appends a run of n bytes.
func (c *classes) add(n int, k class) {
	if n <= 0 {
		return
	}
	last := len(c.ends) - 1
	end := int64(n)
	if last >= 0 {
		end += c.ends[last]
		if c.class[last] == k {
			c.ends[last] = end
			return
		}
	}
	c.ends = append(c.ends, end)
	c.class = append(c.class, k)
}

// count adds the bytes [offset, offset+n) to the layers, and returns how many
// of them could not be decrypted.
func (c *classes) count(l *Layers, offset int64, n int) (undecrypted int64) {
	end := offset + int64(n)
	if offset < 0 {
		l.Payload += min(0, end) - offset
		offset = min(0, end)
	}
	for i := sort.Search(len(c.ends), func(i int) bool { return c.ends[i] > offset }); offset < end && i < len(c.ends); i++ {
		run := min(end, c.ends[i]) - offset
		undecrypted += c.class[i].count(l, run)
		offset += run
	}
	l.Payload += end - offset
	return undecrypted
}

// count adds n bytes of one class.
func (k class) count(l *Layers, n int64) (undecrypted int64) {
	switch k {
	case classSecurity:
		l.Security += n
	case classProtocol:
		l.Protocol += n
	case classOpaque:
		l.Payload += n
		return n
	default:
		l.Payload += n
	}
	return 0
}
