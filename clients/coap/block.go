package coap

import (
	"fmt"
	"math/bits"

	"github.com/plgd-dev/go-coap/v3/message"
)

// maxBlockNumber is the largest NUM of a Block option (RFC 7959 section 2.2).
const maxBlockNumber = 1<<20 - 1

// blockOption is the value of Block1 or Block2 (RFC 7959 section 2.2).
type blockOption struct {
	num  uint32
	more bool
	szx  uint8 // size exponent, 0 to 6, or bert
}

// bert is the size exponent of a BERT block, which is any number of blocks of
// 1024 bytes in one message of a stream (RFC 8323 section 6).
const bert = 7

// parseBlock reports as not allowed what is reserved on datagrams.
func parseBlock(v uint32) (b blockOption, ok bool) {
	b = blockOption{num: v >> 4, more: v&8 != 0, szx: uint8(v & 7)}
	return b, b.szx < bert
}

// block is the option id of m; present is false if there is none, ok is false
// if its value is not allowed.
func (m *Message) block(id message.OptionID) (b blockOption, present, ok bool) {
	v, present := m.Uint(id)
	if !present {
		return b, false, true
	}
	b, ok = parseBlock(v)
	return b, true, ok || m.stream
}

func (m *Message) setBlock(id message.OptionID, b blockOption) { m.SetUint(id, b.value()) }

func (b blockOption) value() uint32 {
	v := b.num<<4 | uint32(b.szx)
	if b.more {
		v |= 8
	}
	return v
}

// size is the block's length in bytes, of which only the last may fall short;
// of a BERT block, that of each of its parts.
func (b blockOption) size() int { return 16 << min(b.szx, bert-1) }

// offset is the block's position in the body.
func (b blockOption) offset() int64 { return int64(b.num) * int64(b.size()) }

// holds reports whether n bytes can be the block's content.
func (b blockOption) holds(n int) bool {
	switch {
	case b.szx == bert && b.more:
		return n > 0 && n%b.size() == 0
	case b.szx == bert:
		return true
	case b.more:
		return n == b.size()
	}
	return n <= b.size()
}

// blockAt is the block option of a position in the body, which must be a
// multiple of the block size.
func blockAt(offset int64, szx uint8) (blockOption, error) {
	b := blockOption{szx: szx}
	num := offset / int64(b.size())
	if num > maxBlockNumber {
		return b, &BlockError{fmt.Sprintf("block number %d of offset %d is too large", num, offset)}
	}
	b.num = uint32(num)
	return b, nil
}

// exponent is the SZX of a block size.
func exponent(size int) uint8 { return uint8(bits.TrailingZeros(uint(size)) - 4) }

// checkBlocks validates what a caller asks for, in bytes.
func checkBlocks(operation string, size int, offset int64) error {
	if size < 16 || size > 1024 || bits.OnesCount(uint(size)) != 1 {
		return fmt.Errorf("coap: %s: block size %d: want 16, 32, 64, 128, 256, 512 or 1024", operation, size)
	}
	if offset < 0 || offset%int64(size) != 0 {
		return fmt.Errorf("coap: %s: offset %d: want a multiple of the block size %d", operation, offset, size)
	}
	return nil
}

// cacheKey tells the block-wise transfers of one peer apart: by everything in
// the request but what differs between its blocks (RFC 7959 section 2.5, RFC
// 7252 section 5.4.2). If-None-Match is of the first block alone (section 2.10).
func cacheKey(m *Message) string {
	key := []byte{byte(m.Code)}
	for _, o := range m.Options {
		switch o.ID {
		case message.Block1, message.Block2, message.Size1, message.Size2, message.Observe, message.IfNoneMatch:
		default:
			key = append(key, byte(o.ID>>8), byte(o.ID), byte(len(o.Value)>>8), byte(len(o.Value)))
			key = append(key, o.Value...)
		}
	}
	return string(key)
}
