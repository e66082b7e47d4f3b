package coap

import (
	"context"
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// baseMessageSize is Max-Message-Size until a CSM says otherwise, in bytes
// (RFC 8323 section 5.3.1).
const baseMessageSize = 1152

// minMessageSize is the least Max-Message-Size that leaves room for a small
// block, in bytes: half of it are header, token and options.
const minMessageSize = 64

// capabilities are what an end of a stream has told of itself.
type capabilities struct {
	maxMessageSize int // in bytes, of a whole message
	blockwise      bool
}

// bert reports support for BERT blocks (RFC 8323 section 5.3.2).
func (p capabilities) bert() bool { return p.blockwise && p.maxMessageSize > baseMessageSize }

// csm is the Capabilities and Settings Message of a Config.
func (c Config) csm() message.Message {
	m := Message{Code: codes.CSM}
	m.SetUint(message.TCPMaxMessageSize, uint32(c.MaxMessageSize))
	m.Set(message.TCPBlockWiseTransfer, nil)
	return message.Message{Code: m.Code, Options: m.Options}
}

// update applies a CSM. Options of illegal length are ignored as not
// recognised (RFC 7252 section 5.4.3); a value that cannot be worked with is
// reason for an Abort (RFC 8323 section 5.6).
func (p *capabilities) update(csm *Message) error {
	if v, ok := csm.Bytes(message.TCPMaxMessageSize); ok && len(v) <= 4 {
		size, _ := csm.Uint(message.TCPMaxMessageSize)
		if size < minMessageSize {
			return &AbortError{
				Diagnostic:   fmt.Sprintf("Max-Message-Size %d is less than %d", size, minMessageSize),
				BadCSMOption: uint16(message.TCPMaxMessageSize),
			}
		}
		p.maxMessageSize = int(min(size, 1<<31-1))
	}
	if v, ok := csm.Bytes(message.TCPBlockWiseTransfer); ok && len(v) == 0 {
		p.blockwise = true
	}
	return nil
}

// awaitPeer waits until the peer's capabilities are known: on a stream, for
// its CSM.
func (c *Conn) awaitPeer(ctx context.Context) error {
	if c.stream == nil {
		return nil
	}
	select {
	case <-c.stream.greeted:
		return nil
	default:
	}
	select {
	case <-c.stream.greeted:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("coap: wait for the peer's CSM: %w", context.Cause(ctx))
	case <-c.ctx.Done():
		return c.closed()
	}
}

// peer is a copy of what the peer has told.
func (c *Conn) peer() capabilities {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stream.peer
}

func (c *Conn) peerHasBERT() bool { return c.stream != nil && c.peer().bert() }

// preferred is the size exponent of the largest blocks wanted.
func (c *Conn) preferred() uint8 {
	if c.stream != nil && c.cfg.BlockSize == 1024 && c.cfg.BERTBlocks > 1 {
		return bert
	}
	return exponent(c.cfg.BlockSize)
}

// transferBlocks checks what a caller asks for and returns the size exponent
// to begin with.
func (c *Conn) transferBlocks(operation string, size int, offset int64) (uint8, error) {
	szx := c.preferred()
	if size != 0 {
		szx = exponent(size)
	} else {
		size = c.cfg.BlockSize
	}
	return szx, checkBlocks(operation, size, offset)
}

// room is how many bytes of payload go into one message with m's options
// without need of blocks.
func (c *Conn) room(m *Message) int {
	if c.stream == nil {
		return c.cfg.BlockSize
	}
	return c.peer().maxMessageSize - overhead(m)
}

// overhead bounds what a message has besides its payload, with a Block, a Size
// and an Observe option still to be added.
func overhead(m *Message) int {
	const added = 5 + 6 + 4
	n := maxFrameHeader + message.MaxTokenSize + added + 1
	for _, o := range m.Options {
		n += optionLen(o)
	}
	return n
}

// fit is the size exponent, szx or less, and the length in bytes of the
// largest block that may be sent with m's options.
func (c *Conn) fit(m *Message, szx uint8) (uint8, int) {
	if c.stream == nil {
		return szx, blockOption{szx: szx}.size()
	}
	room := c.room(m)
	n := min(room/1024, c.cfg.BERTBlocks)
	if szx == bert && n > 0 && c.peerHasBERT() {
		return bert, n * 1024
	}
	szx = min(szx, bert-1)
	for szx > 0 && 16<<szx > room {
		szx--
	}
	return szx, 16 << szx
}
