package coap

import (
	"fmt"
	"slices"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// snapshot is a response that is being fetched in blocks, kept so that all of
// them come from one state of the resource (RFC 7959 section 2.4).
type snapshot struct {
	key  string
	resp *Response
	made time.Time
}

// slice cuts the block that r asks for out of a response (RFC 7959 section
// 2.4). A response that fits into one message and was not asked for in blocks
// stays as it is.
func (c *Conn) slice(r *Request, resp *Response) *Response {
	b, asked, ok := r.block(message.Block2)
	if !ok {
		return Status(codes.BadRequest)
	}
	if !resp.IsSuccess() || resp.Code == codes.Valid {
		return resp // no representation to cut
	}
	size := int64(len(resp.Payload))
	if resp.Body != nil {
		size = resp.Size
	}
	szx, length := c.fit(&resp.Message, c.preferred())
	if !asked {
		b.szx = szx
		if resp.Body == nil && size <= int64(c.room(&resp.Message)) {
			return resp
		}
	}
	offset := b.offset()
	if offset > 0 && offset >= size {
		return Status(codes.BadRequest)
	}
	b = smallerBlocks(b, szx)
	if b.szx < bert {
		length = b.size()
	}
	b.more = offset+int64(length) < size
	payload, err := resp.read(offset, min(int64(length), size-offset))
	if err != nil {
		return Status(codes.InternalServerError)
	}
	out := &Response{Message: resp.clone()}
	out.Payload = payload
	if asked || b.more {
		out.setBlock(message.Block2, b)
	}
	if _, wanted := r.Size2(); wanted || b.more && b.num == 0 { // section 4
		out.SetUint(message.Size2, uint32(size))
	}
	if b.more && (resp.Body == nil || !safe(r.Code)) {
		c.keepSnapshot(r, resp)
	}
	return out
}

// smallerBlocks renumbers b for blocks of at most the given size.
func smallerBlocks(b blockOption, szx uint8) blockOption {
	if b.szx <= szx {
		return b
	}
	smaller := blockOption{more: b.more, szx: szx}
	smaller.num = b.num * uint32(b.size()/smaller.size())
	return smaller
}

func (r *Response) read(offset, n int64) ([]byte, error) {
	if r.Body == nil {
		return r.Payload[offset : offset+n], nil
	}
	buf := make([]byte, n)
	if got, err := r.Body.ReadAt(buf, offset); got < len(buf) {
		return nil, fmt.Errorf("coap: read response body: %w", err)
	}
	return buf, nil
}

// safe methods may be executed once per block (RFC 7252 section 5.1).
func safe(method codes.Code) bool { return method == codes.GET || method == FETCH }

func (c *Conn) keepSnapshot(r *Request, resp *Response) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := cacheKey(&r.Message)
	c.dropSnapshots(func(s snapshot) bool { return s.key == key })
	c.snapshots = append(c.snapshots, snapshot{key, resp, time.Now()})
	if len(c.snapshots) > maxTransfers {
		c.snapshots = slices.Delete(c.snapshots, 0, 1)
	}
}

func (c *Conn) dropSnapshots(which func(snapshot) bool) {
	now := time.Now()
	c.snapshots = slices.DeleteFunc(c.snapshots, func(s snapshot) bool {
		return which(s) || now.Sub(s.made) >= c.seen.confirmable
	})
}

// continueSnapshot answers a request for a later block from the response it
// belongs to. It returns nil if the handler is to answer.
func (c *Conn) continueSnapshot(r *Request) *Response {
	b, _, ok := r.block(message.Block2)
	if !ok {
		return Status(codes.BadRequest)
	}
	if b.num == 0 {
		return nil
	}
	switch resp := c.findSnapshot(cacheKey(&r.Message)); {
	case resp != nil:
		return c.slice(r, resp)
	case safe(r.Code):
		return nil
	}
	return Status(codes.RequestEntityIncomplete)
}

func (c *Conn) findSnapshot(key string) *Response {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropSnapshots(func(snapshot) bool { return false })
	for _, s := range c.snapshots {
		if s.key == key {
			return s.resp
		}
	}
	return nil
}
