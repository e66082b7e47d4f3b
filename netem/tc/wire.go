package tc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// The attributes of netem's options, include/uapi/linux/pkt_sched.h. Package
// nl knows some of them only.
const (
	attrCorr      = 1
	attrDelayDist = 2
	attrReorder   = 3
	attrCorrupt   = 4
	attrLoss      = 5
	attrRate      = 6
	attrRate64    = 8
	attrLatency64 = 10
	attrJitter64  = 11
	attrPRNGSeed  = 14

	lossGemodel = 2 // NETEM_LOSS_GE, inside attrLoss
)

// tickShift turns nanoseconds into the kernel's psched ticks (PSCHED_SHIFT).
const tickShift = 6

var native = binary.NativeEndian

// qoptLen is the length of struct tc_netem_qopt.
const qoptLen = 24

// options encodes the content of TCA_OPTIONS. Every attribute is there, so
// that changing a discipline leaves nothing of its former self.
func (n *Netem) options() []byte {
	var b []byte
	for _, v := range []uint32{ticks(n.Delay), n.Limit, n.Loss, 0, n.Duplicate, ticks(n.Jitter)} {
		b = native.AppendUint32(b, v)
	}
	b = attr32(b, attrCorr, 0, 0, 0)
	b = attr32(b, attrReorder, 0, 0)
	b = attr32(b, attrCorrupt, n.Corrupt, 0)
	if g := n.Gemodel; g != nil {
		b = attr(b, attrLoss, attr32(nil, lossGemodel, g.P, g.R, g.H, g.K1))
	}
	b = attr32(b, attrRate, uint32(min(n.Rate, math.MaxUint32)), uint32(n.Overhead), 0, 0)
	if n.Rate > math.MaxUint32 {
		b = attr(b, attrRate64, native.AppendUint64(nil, n.Rate))
	}
	b = attr(b, attrLatency64, native.AppendUint64(nil, uint64(n.Delay)))
	b = attr(b, attrJitter64, native.AppendUint64(nil, uint64(n.Jitter)))
	if n.Seed != 0 {
		b = attr(b, attrPRNGSeed, native.AppendUint64(nil, n.Seed))
	}
	if n.Table != nil {
		var t []byte
		for _, x := range n.Table {
			t = native.AppendUint16(t, uint16(x))
		}
		b = attr(b, attrDelayDist, t)
	}
	return b
}

func ticks(d time.Duration) uint32 { return uint32(min(int64(d)>>tickShift, math.MaxUint32)) }

// attr appends a route attribute: length, type, data, padding to four bytes
// (rtnetlink(7)).
func attr(b []byte, kind uint16, data []byte) []byte {
	b = native.AppendUint16(b, uint16(4+len(data)))
	b = native.AppendUint16(b, kind)
	b = append(b, data...)
	return append(b, make([]byte, -len(data)&3)...)
}

func attr32(b []byte, kind uint16, values ...uint32) []byte {
	var data []byte
	for _, v := range values {
		data = native.AppendUint32(data, v)
	}
	return attr(b, kind, data)
}

var errShort = errors.New("netem options are cut short")

// parseNetem decodes what the kernel says of a netem discipline, without the
// distribution table and the seed, which it keeps to itself.
func parseNetem(b []byte) (*Netem, error) {
	if len(b) < qoptLen {
		return nil, errShort
	}
	word := func(b []byte, i int) uint32 { return native.Uint32(b[4*i:]) }
	n := &Netem{
		Delay: time.Duration(word(b, 0)) << tickShift, Limit: word(b, 1), Loss: word(b, 2),
		Duplicate: word(b, 4), Jitter: time.Duration(word(b, 5)) << tickShift,
	}
	err := eachAttr(b[qoptLen:], func(kind uint16, data []byte) error {
		want := map[uint16]int{attrCorrupt: 8, attrRate: 16, attrRate64: 8, attrLatency64: 8, attrJitter64: 8}[kind]
		if len(data) < want {
			return errShort
		}
		switch kind {
		case attrCorrupt:
			n.Corrupt = word(data, 0)
		case attrRate:
			n.Rate, n.Overhead = max(n.Rate, uint64(word(data, 0))), int32(word(data, 1))
		case attrRate64:
			n.Rate = native.Uint64(data)
		case attrLatency64:
			n.Delay = time.Duration(native.Uint64(data))
		case attrJitter64:
			n.Jitter = time.Duration(native.Uint64(data))
		case attrLoss:
			return eachAttr(data, func(kind uint16, data []byte) error {
				if kind != lossGemodel {
					return nil
				}
				if len(data) < 16 {
					return errShort
				}
				n.Gemodel = &Gemodel{word(data, 0), word(data, 1), word(data, 2), word(data, 3)}
				return nil
			})
		}
		return nil
	})
	return n, err
}

// eachAttr walks route attributes.
func eachAttr(b []byte, f func(kind uint16, data []byte) error) error {
	const nested = 1 << 15 // NLA_F_NESTED
	for len(b) >= 4 {
		n := int(native.Uint16(b))
		if n < 4 || n > len(b) {
			return fmt.Errorf("attribute of %d bytes: %w", n, errShort)
		}
		if err := f(native.Uint16(b[2:])&^nested, b[4:n]); err != nil {
			return err
		}
		b = b[min(len(b), (n+3)&^3):]
	}
	return nil
}
