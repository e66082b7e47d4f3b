package coap

import (
	"context"
	"fmt"
	"io"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// UploadOptions say how a request's payload is sent.
type UploadOptions struct {
	// BlockSize is the largest size to use, in bytes: a power of two from 16
	// to 1024. 0 means Config.BlockSize and, on a stream, BERT blocks where
	// both ends support them.
	BlockSize int
	// Offset is where to start, in bytes: a multiple of the block size and
	// less than the payload's length. It resumes an upload that an earlier
	// Conn began; RFC 7959 leaves it to the receiver whether it still has what
	// came before. If it has not, Next returns an *IncompleteError.
	Offset int64
}

// Upload is a block-wise PUT, POST or the like in progress. It is not for
// concurrent use.
type Upload struct {
	conn *Conn
	req  Request // without payload
	body []byte

	offset int64
	szx    uint8
	begun  bool // the size was announced
	last   bool
	resp   *Response
}

// Upload prepares the transfer of r's payload in blocks (RFC 7959 section
// 2.5); Next performs it. Every block is a request of its own. A payload of
// one block is sent as one block, too. Errors: options out of range.
func (c *Conn) Upload(r *Request, opt UploadOptions) (*Upload, error) {
	szx, err := c.transferBlocks("upload", opt.BlockSize, opt.Offset)
	if err != nil {
		return nil, err
	}
	if size := int64(len(r.Payload)); opt.Offset > 0 && opt.Offset >= size {
		return nil, fmt.Errorf("coap: upload: offset %d: the payload ends at %d", opt.Offset, size)
	}
	u := &Upload{conn: c, req: *r, body: r.Payload, offset: opt.Offset, szx: szx}
	u.req.Message = r.clone()
	u.req.Payload = nil
	return u, nil
}

// Next sends the next block and returns it when the peer has taken it; after
// the last one it returns io.EOF. After an error Next may be called again and
// sends the same block, but after an *IncompleteError the one that the peer
// wants. Errors: those of Do, *IncompleteError for a 4.08, and *StatusError
// for another response that is not of class 2.
func (u *Upload) Next(ctx context.Context) (Block, error) {
	if u.last {
		return Block{}, io.EOF
	}
	block, err := u.step(ctx)
	switch {
	case err != nil:
		return Block{}, err
	case u.resp.Code == codes.RequestEntityIncomplete:
		return Block{}, u.rewind(block)
	case !u.resp.IsSuccess():
		return Block{}, &StatusError{u.resp.Code}
	}
	return block, nil
}

// Response is the latest response: after the last block the final one. It is
// nil before the first.
func (u *Upload) Response() *Response { return u.resp }

// step sends one block and, if the peer takes it, advances. The server may ask
// for smaller blocks at any time.
func (u *Upload) step(ctx context.Context) (Block, error) {
	for {
		if err := u.conn.awaitPeer(ctx); err != nil {
			return Block{}, err
		}
		b, req, err := u.cut()
		if err != nil {
			return Block{}, err
		}
		resp, err := u.conn.exchange(ctx, req, nil)
		if err != nil {
			return Block{}, err
		}
		answer, present, ok := resp.block(message.Block1)
		if !ok {
			return Block{}, &BlockError{"reserved block size in the response"}
		}
		smaller := present && answer.szx < b.szx
		if smaller {
			u.szx = answer.szx
			if resp.Code == codes.RequestEntityTooLarge && !u.begun {
				continue // RFC 7959 section 2.9.3: again, in smaller blocks
			}
		}
		u.resp = resp
		block := Block{Offset: u.offset, Data: req.Payload, Last: !b.more, Size: int64(len(u.body))}
		return block, u.accept(b, block, resp)
	}
}

// cut makes the request of the next block.
func (u *Upload) cut() (blockOption, *Request, error) {
	req := u.req
	req.Message = u.req.clone()
	szx, length := u.conn.fit(&req.Message, u.szx)
	b, err := blockAt(u.offset, szx)
	if err != nil {
		return b, nil, err
	}
	rest := u.body[u.offset:]
	if b.more = len(rest) > length; b.more {
		rest = rest[:length]
	}
	req.Payload = rest
	req.setBlock(message.Block1, b)
	if b.num > 0 {
		req.Remove(message.IfNoneMatch) // RFC 7959 section 2.10
	}
	if !u.begun { // RFC 7959 section 4
		req.SetUint(message.Size1, uint32(len(u.body)))
	}
	return b, &req, nil
}

// accept advances if the response says that the block was taken.
func (u *Upload) accept(b blockOption, block Block, resp *Response) error {
	answer, present, _ := resp.block(message.Block1)
	switch {
	case !resp.IsSuccess():
		return nil
	case !b.more && resp.Code == codes.Continue:
		return &BlockError{"2.31 to the last block"}
	case b.more && (!present || answer.num != b.num):
		return &BlockError{fmt.Sprintf("response does not acknowledge block %d", b.num)}
	}
	u.begun = true
	u.last = block.Last
	u.offset += int64(len(block.Data))
	return nil
}

// rewind goes to the block that a 4.08 asks for, or to the first.
func (u *Upload) rewind(refused Block) error {
	e := &IncompleteError{Offset: refused.Offset, Wanted: -1}
	u.offset, u.begun = 0, false
	b, present, _ := u.resp.block(message.Block1)
	format, _ := u.resp.ContentFormat()
	if num, ok := parseMissing(u.resp.Payload); ok && present && format == MissingBlocks {
		b.num = num
		if b.offset() < int64(len(u.body)) {
			e.Wanted, u.offset = b.offset(), b.offset()
		}
	}
	return e
}

// upload sends a request whose payload does not fit into one message, as far
// as is known of the peer, and returns the final response.
func (c *Conn) upload(ctx context.Context, r *Request, o *Observation) (*Response, error) {
	if err := c.awaitPeer(ctx); err != nil {
		return nil, err
	}
	if len(r.Payload) <= c.room(&r.Message) {
		return c.exchange(ctx, r, o)
	}
	u, err := c.Upload(r, UploadOptions{})
	for err == nil && !u.last {
		if _, err = u.step(ctx); err == nil && !u.resp.IsSuccess() {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	return u.resp, nil
}
