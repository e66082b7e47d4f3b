package coap

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// DownloadOptions say how a representation is fetched.
type DownloadOptions struct {
	// BlockSize is the size asked for, in bytes: a power of two from 16 to
	// 1024. 0 means Config.BlockSize and, on a stream, BERT blocks where both
	// ends support them; the server then decides how many go into a message.
	BlockSize int
	// Offset is where to start, in bytes: a multiple of the block size. With
	// ETag it resumes an earlier transfer.
	Offset int64
	// ETag is what the representation must still have; nil accepts any and
	// then holds all blocks to the first one's.
	ETag []byte
	// SameToken uses one token for all blocks. Otherwise every block has a
	// fresh one, as AVSystem Anjay does.
	SameToken bool
}

// Block is one block of a representation or of a request's body; of a BERT
// block (RFC 8323 section 6), all of its parts.
type Block struct {
	// Offset is the position of Data in the whole, in bytes.
	Offset int64
	// Data is the block's content; the last block may be shorter.
	Data []byte
	// Last says that the whole ends here.
	Last bool
	// ETag identifies the representation; nil if the server gives none, and in
	// uploads. To be persisted with Offset for a later resumption.
	ETag []byte
	// Size is the size of the whole if the peer told (Size2, of an upload
	// Size1), else -1. Peers tell it with the first block.
	Size int64
}

// Download is a block-wise GET in progress. It is not for concurrent use.
type Download struct {
	conn  *Conn
	req   Request
	code  codes.Code // what every block must come with
	token []byte     // of all blocks, or nil for fresh ones

	offset int64
	szx    uint8
	etag   []byte
	held   bool // later blocks must have etag
	size   int64
	last   bool
}

// Download prepares a block-wise GET (or FETCH) of r (RFC 7959 section 2.4);
// Next performs it. Every block is a request of its own. Errors: options out
// of range.
func (c *Conn) Download(r *Request, opt DownloadOptions) (*Download, error) {
	szx, err := c.transferBlocks("download", opt.BlockSize, opt.Offset)
	if err != nil {
		return nil, err
	}
	d := &Download{
		conn: c, req: *r, code: codes.Content,
		offset: opt.Offset, szx: szx,
		etag: opt.ETag, held: opt.ETag != nil, size: -1,
	}
	d.req.Message = r.clone()
	d.token = r.Token
	if opt.SameToken && d.token == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		if d.token, err = c.token(nil); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// Next fetches the next block; after the last one it returns io.EOF. After an
// error Next may be called again and asks for the same block. Errors: those of
// Do, and *StatusError for a response other than 2.05.
func (d *Download) Next(ctx context.Context) (Block, error) {
	if d.last {
		return Block{}, io.EOF
	}
	if err := d.conn.awaitPeer(ctx); err != nil {
		return Block{}, err
	}
	if d.szx == bert && !d.conn.peerHasBERT() {
		d.szx = bert - 1
	}
	b, err := blockAt(d.offset, d.szx)
	if err != nil {
		return Block{}, err
	}
	req := d.req
	req.Message = d.req.clone()
	req.Token = d.token
	req.setBlock(message.Block2, b)
	resp, err := d.conn.exchange(ctx, &req, nil)
	if err != nil {
		return Block{}, err
	}
	return d.accept(resp)
}

// accept checks a response against what was asked for, and advances.
func (d *Download) accept(resp *Response) (Block, error) {
	if resp.Code != d.code {
		return Block{}, &StatusError{resp.Code}
	}
	if d.held && !bytes.Equal(resp.ETag(), d.etag) {
		return Block{}, &ETagError{Want: d.etag, Got: resp.ETag()}
	}
	b, present, ok := resp.block(message.Block2)
	switch {
	case !ok:
		return Block{}, &BlockError{"reserved block size in the response"}
	case !present && d.offset > 0:
		return Block{}, &BlockError{"the server does not support Block2 and sent the whole representation"}
	case !present: // all of it fitted
	case b.szx > d.szx:
		return Block{}, &BlockError{fmt.Sprintf("block size exponent %d where %d was asked for", b.szx, d.szx)}
	case b.offset() != d.offset:
		return Block{}, &BlockError{fmt.Sprintf("block at offset %d where %d was asked for", b.offset(), d.offset)}
	case !b.holds(len(resp.Payload)):
		return Block{}, &BlockError{fmt.Sprintf("payload of %d bytes in a block of %d", len(resp.Payload), b.size())}
	default:
		d.szx = b.szx
	}
	d.etag, d.held = resp.ETag(), true
	if size, ok := resp.Size2(); ok {
		d.size = int64(size)
	}
	d.last = !b.more
	block := Block{Offset: d.offset, Data: resp.Payload, Last: d.last, ETag: d.etag, Size: d.size}
	d.offset += int64(len(resp.Payload))
	return block, nil
}

// collect completes a response of which the first block has come.
func (c *Conn) collect(ctx context.Context, r *Request, resp *Response) (*Response, error) {
	b, present, ok := resp.block(message.Block2)
	switch {
	case !present:
		return resp, nil
	case !ok || b.num != 0:
		return nil, &BlockError{fmt.Sprintf("unasked-for block %d", b.num)}
	case !b.holds(len(resp.Payload)):
		return nil, &BlockError{fmt.Sprintf("payload of %d bytes in a block of %d", len(resp.Payload), b.size())}
	}
	whole := *resp
	whole.Message = resp.clone()
	whole.Remove(message.Block2)
	if !b.more {
		return &whole, nil
	}
	d := &Download{
		conn: c, req: Request{Message: r.clone(), NonConfirmable: r.NonConfirmable}, code: resp.Code,
		offset: int64(len(resp.Payload)), szx: b.szx, etag: resp.ETag(), held: true, size: -1,
	}
	d.req.Remove(message.Observe) // only the first block observes, RFC 7959 section 2.6
	if r.Code != FETCH {
		d.req.Payload = nil // the server has it, RFC 7959 section 3.3
	}
	return &whole, d.readAll(ctx, &whole)
}

func (d *Download) readAll(ctx context.Context, whole *Response) error {
	body := bytes.Clone(whole.Payload)
	for !d.last {
		b, err := d.Next(ctx)
		if err != nil {
			return err
		}
		if len(body)+len(b.Data) > d.conn.cfg.MaxBody {
			return ErrTooLarge
		}
		body = append(body, b.Data...)
	}
	whole.Payload = body
	return nil
}
