package coap

import (
	"slices"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// maxTransfers bounds the unfinished block-wise transfers that a Conn keeps
// for its peer, of each kind; beyond it the oldest is dropped.
const maxTransfers = 4

// assembly is the body of a block-wise request so far.
type assembly struct {
	key     string
	body    []byte
	touched time.Time
}

// assemble collects the blocks of a request (RFC 7959 section 2.5, atomic). It
// returns the whole request, or the response to a block that does not
// complete one.
func (c *Conn) assemble(r *Request) (whole *Request, early *Response) {
	b, present, ok := r.block(message.Block1)
	switch {
	case !present:
		return r, nil
	case !ok || !b.holds(len(r.Payload)):
		return nil, Status(codes.BadRequest)
	}
	if announced, ok := r.Size1(); ok && int64(announced) > int64(c.cfg.MaxBody) {
		return nil, c.tooLarge(b)
	}
	body, early := c.appendBlock(r, b)
	if early != nil {
		return nil, early
	}
	whole = &Request{Message: r.clone(), NonConfirmable: r.NonConfirmable, Token: r.Token, conn: c}
	whole.Remove(message.Block1)
	whole.Payload = body
	return whole, nil
}

// appendBlock adds a block to its assembly and returns the body if this was
// the last one.
func (c *Conn) appendBlock(r *Request, b blockOption) (body []byte, early *Response) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := cacheKey(&r.Message)
	a := c.takeAssembly(key, time.Now())
	if b.num == 0 {
		a = &assembly{key: key} // a new transfer replaces an unfinished one
	}
	switch {
	case a == nil || int64(len(a.body)) < b.offset():
		return nil, blockStatus(codes.RequestEntityIncomplete, b)
	case b.offset()+int64(len(r.Payload)) > int64(c.cfg.MaxBody):
		return nil, c.tooLarge(b)
	}
	// A repeated block, whose response the client did not see, counts anew.
	a.body = append(a.body[:b.offset()], r.Payload...)
	if !b.more {
		return a.body, nil
	}
	a.touched = time.Now()
	c.assemblies = append(c.assemblies, a)
	if len(c.assemblies) > maxTransfers {
		c.assemblies = slices.Delete(c.assemblies, 0, 1)
	}
	return nil, blockStatus(codes.Continue, c.acceptable(b))
}

// takeAssembly removes and returns the assembly of a key, and forgets those
// that were left alone for EXCHANGE_LIFETIME.
func (c *Conn) takeAssembly(key string, now time.Time) (found *assembly) {
	c.assemblies = slices.DeleteFunc(c.assemblies, func(a *assembly) bool {
		if now.Sub(a.touched) >= c.seen.confirmable {
			return true
		}
		if a.key == key {
			found = a
		}
		return a.key == key
	})
	return found
}

// acceptable is b with the block size that is wanted for those that follow: a
// server may ask for smaller ones (RFC 7959 section 2.3).
func (c *Conn) acceptable(b blockOption) blockOption {
	b.szx = min(b.szx, c.preferred())
	return b
}

func blockStatus(code codes.Code, b blockOption) *Response {
	resp := Status(code)
	resp.setBlock(message.Block1, b)
	return resp
}

// tooLarge tells how much would be accepted (RFC 7959 section 2.9.3).
func (c *Conn) tooLarge(b blockOption) *Response {
	resp := blockStatus(codes.RequestEntityTooLarge, b)
	resp.SetUint(message.Size1, uint32(c.cfg.MaxBody))
	return resp
}
