package coap

import (
	"context"
	"encoding/binary"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// BlockHandler is a Handler that takes the bodies of some block-wise requests
// block by block, as a device does that writes firmware to flash as it comes.
//
// ServeBlock is called for every request with a Block1 option; r.Payload is
// b.Data. It returns nil for a resource whose requests ServeCoAP shall see
// whole. Otherwise it answers
//
//   - Status(codes.Continue) to a block that it took and is not the last,
//   - r.Incomplete to a block that leaves a gap, such as one that resumes an
//     upload of which the handler knows nothing,
//   - the final response to the last block, also when that comes again because
//     the response was lost with the connection,
//   - any error, such as 4.13, to end the upload.
//
// The handler keeps the state: the Conn remembers nothing between the blocks,
// so that an upload may go on over another Conn or after a power cut. A block
// at offset 0 starts anew. Config.MaxBody does not apply. Calls overlap if a
// client does not wait for the response to a block, or over several Conns: the
// handler locks its state as any Handler does. To tell apart two
// images offered one after the other, both ends agree on RequestTag.
type BlockHandler interface {
	Handler
	ServeBlock(ctx context.Context, r *Request, b Block) *Response
}

// After is what the block adds to the first have bytes of a body: nothing if
// it is a repeated one. ok is false if the block leaves a gap.
func (b Block) After(have int64) (data []byte, ok bool) {
	if b.Offset > have {
		return nil, false
	}
	return b.Data[min(have-b.Offset, int64(len(b.Data))):], true
}

// Incomplete is the 4.08 to a block of a request that leaves a gap after the
// first have bytes (RFC 7959 section 2.9.2). RFC 7959 has no means to say which
// block is wanted, so this borrows the payload that RFC 9177 section 5 gives
// the 4.08 of Q-Block1: the number of the missing block, in the block size of
// the request. An Upload understands it; other clients see a 4.08.
func (r *Request) Incomplete(have int64) *Response {
	b, _, _ := r.block(message.Block1)
	return NewResponse(codes.RequestEntityIncomplete, MissingBlocks, appendMissing(nil, uint32(have/int64(b.size()))))
}

// serveBlock passes a block to a handler that takes them. It returns nil if
// the request is to be assembled.
func (c *Conn) serveBlock(r *Request) *Response {
	h, ok := c.handler.(BlockHandler)
	b, present, valid := r.block(message.Block1)
	if !ok || !present || !valid || !b.holds(len(r.Payload)) {
		return nil
	}
	block := Block{Offset: b.offset(), Data: r.Payload, Last: !b.more, Size: -1}
	if size, ok := r.Size1(); ok {
		block.Size = int64(size)
	}
	resp := h.ServeBlock(c.ctx, r, block)
	switch {
	case resp == nil:
		return nil
	case resp.Code == codes.Continue && !b.more:
		resp = Status(codes.InternalServerError) // the handler's error
	case !b.more:
		resp = c.slice(r, resp)
	case resp.Code != codes.Continue:
		// RFC 7959 section 2.3: without M, the block was acted upon on its own.
		b.more = b.more && !resp.IsSuccess()
	}
	out := &Response{Message: resp.clone()}
	if resp.IsSuccess() && !block.Last {
		b = c.acceptable(b)
	}
	out.setBlock(message.Block1, b)
	return out
}

// appendMissing encodes one block number as a CBOR unsigned integer in its
// shortest form (RFC 8949 section 3).
func appendMissing(dst []byte, num uint32) []byte {
	switch {
	case num < 24:
		return append(dst, byte(num))
	case num < 1<<8:
		return append(dst, 24, byte(num))
	case num < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, 25), uint16(num))
	}
	return binary.BigEndian.AppendUint32(append(dst, 26), num)
}

// parseMissing is the first of a sequence of missing block numbers.
func parseMissing(p []byte) (num uint32, ok bool) {
	if len(p) == 0 || p[0] > 26 {
		return 0, false // not an unsigned integer of at most 32 bits
	}
	if p[0] < 24 {
		return uint32(p[0]), true
	}
	n := 1 << (p[0] - 24)
	if len(p) < 1+n {
		return 0, false
	}
	for _, b := range p[1 : 1+n] {
		num = num<<8 | uint32(b)
	}
	return num, num <= maxBlockNumber
}
