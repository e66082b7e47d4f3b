package coap

import (
	"context"
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// upload sends a request whose payload needs several blocks (RFC 7959
// section 2.5) and returns the final response. The server may ask for smaller
// blocks at any time.
func (c *Conn) upload(ctx context.Context, r *Request) (*Response, error) {
	size, offset := c.cfg.BlockSize, 0
	for {
		end := min(offset+size, len(r.Payload))
		b := blockOption{num: uint32(offset / size), more: end < len(r.Payload), szx: exponent(size)}
		if b.num > maxBlockNumber {
			return nil, &BlockError{fmt.Sprintf("%d bytes are too many for blocks of %d", len(r.Payload), size)}
		}
		resp, err := c.exchange(ctx, uploadBlock(r, b, r.Payload[offset:end]), nil)
		if err != nil {
			return nil, err
		}
		answer, present, ok := resp.block(message.Block1)
		if !ok {
			return nil, &BlockError{"reserved block size in the response"}
		}
		smaller := present && answer.size() < size
		switch {
		case resp.Code == codes.RequestEntityTooLarge && smaller && offset == 0:
			size = answer.size() // RFC 7959 section 2.9.3: again, in smaller blocks
			continue
		case !resp.IsSuccess():
			return resp, nil
		case !b.more && resp.Code == codes.Continue:
			return nil, &BlockError{"2.31 to the last block"}
		case !b.more:
			return resp, nil
		case !present || answer.num != b.num:
			return nil, &BlockError{fmt.Sprintf("response does not acknowledge block %d", b.num)}
		case smaller:
			size = answer.size()
		}
		offset = end
	}
}

func uploadBlock(r *Request, b blockOption, payload []byte) *Request {
	req := *r
	req.Message = r.clone()
	req.Payload = payload
	req.setBlock(message.Block1, b)
	if b.num == 0 {
		req.SetUint(message.Size1, uint32(len(r.Payload)))
	}
	return &req
}
