package coap

import (
	"math/bits"

	"github.com/plgd-dev/go-coap/v3/message"
)

// maxBlockNumber is the largest NUM of a Block option (RFC 7959 section 2.2).
const maxBlockNumber = 1<<20 - 1

// blockOption is the value of Block1 or Block2 (RFC 7959 section 2.2).
type blockOption struct {
	num  uint32
	more bool
	szx  uint8 // size exponent, 0 to 6
}

// parseBlock refuses size exponent 7: it is reserved on datagrams.
func parseBlock(v uint32) (b blockOption, ok bool) {
	b = blockOption{num: v >> 4, more: v&8 != 0, szx: uint8(v & 7)}
	return b, b.szx < 7
}

// block is the option id of m; present is false if there is none, ok is false
// if its value is not allowed.
func (m *Message) block(id message.OptionID) (b blockOption, present, ok bool) {
	v, present := m.Uint(id)
	if !present {
		return b, false, true
	}
	b, ok = parseBlock(v)
	return b, true, ok
}

func (m *Message) setBlock(id message.OptionID, b blockOption) { m.SetUint(id, b.value()) }

func (b blockOption) value() uint32 {
	v := b.num<<4 | uint32(b.szx)
	if b.more {
		v |= 8
	}
	return v
}

// size is the block's length in bytes, of which only the last may fall short.
func (b blockOption) size() int { return 16 << b.szx }

// offset is the block's position in the body.
func (b blockOption) offset() int64 { return int64(b.num) << (b.szx + 4) }

// exponent is the SZX of a block size.
func exponent(size int) uint8 { return uint8(bits.TrailingZeros(uint(size)) - 4) }

// cacheKey tells the block-wise transfers of one peer apart: by everything in
// the request but what differs between its blocks (RFC 7959 section 2.5, RFC
// 7252 section 5.4.2).
func cacheKey(m *Message) string {
	key := []byte{byte(m.Code)}
	for _, o := range m.Options {
		switch o.ID {
		case message.Block1, message.Block2, message.Size1, message.Size2, message.Observe:
		default:
			key = append(key, byte(o.ID>>8), byte(o.ID), byte(len(o.Value)>>8), byte(len(o.Value)))
			key = append(key, o.Value...)
		}
	}
	return string(key)
}
