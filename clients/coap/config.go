package coap

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"time"
)

// Config holds the transmission parameters of RFC 7252 section 4.8, which have
// no meaning on streams but for ResponseTimeout, and the sizes of RFC 7959 and
// RFC 8323. The zero value means the defaults given with each field.
type Config struct {
	// AckTimeout is ACK_TIMEOUT, the least time before the first
	// retransmission. 0 means 2 s.
	AckTimeout time.Duration `conf:"ack_timeout"`
	// AckRandomFactor is ACK_RANDOM_FACTOR: the first time-out is drawn
	// uniformly from AckTimeout to AckTimeout times this. 0 means 1.5; 1 makes
	// time-outs constant.
	AckRandomFactor float64 `conf:"ack_random_factor"`
	// MaxRetransmit is MAX_RETRANSMIT, how often a confirmable message is sent
	// again. 0 means 4; -1 sends once and waits for one time-out. At most 20.
	MaxRetransmit int `conf:"max_retransmit"`
	// NStart is NSTART, the number of simultaneous outstanding interactions;
	// further ones queue (section 4.7). 0 means 1.
	NStart int `conf:"nstart"`
	// TokenLength is the length of every token, in bytes, 1 to 8. 0 means 8.
	TokenLength int `conf:"token_length"`
	// BlockSize is the preferred and largest block size, in bytes: a power of
	// two from 16 to 1024 (RFC 7959 section 2.2). 0 means 1024. On a stream a
	// message that the peer takes whole is not cut.
	BlockSize int `conf:"block_size"`
	// AckDelay is how long a handler may take for its response to be
	// piggy-backed on the ACK; after it an empty ACK goes out and the response
	// follows as a message of its own (section 5.2.2). It stays well below the
	// peer's AckTimeout, because a round trip comes on top. 0 means
	// AckTimeout / 4.
	AckDelay time.Duration `conf:"ack_delay"`
	// ResponseTimeout is how long a client waits for the response to a request
	// that was acknowledged, or that was sent non-confirmable. The standard
	// leaves it open. 0 means EXCHANGE_LIFETIME.
	ResponseTimeout time.Duration `conf:"response_timeout"`
	// MaxLatency is MAX_LATENCY, the longest a datagram may live in the
	// network (section 4.8.2). 0 means 100 s.
	MaxLatency time.Duration `conf:"max_latency"`
	// MaxBody limits what block-wise transfer assembles in memory, in bytes:
	// a request beyond it is answered 4.13, a response beyond it fails with
	// ErrTooLarge. A Download is not limited. 0 means 4 MiB.
	MaxBody int `conf:"max_body"`
	// MaxMessageSize is the largest message accepted from the peer of a stream,
	// in bytes; it is announced as Max-Message-Size (RFC 8323 section 5.3.1).
	// BERT needs more than 1152. 0 means 8320: room for 8 blocks and options.
	MaxMessageSize int `conf:"max_message_size"`
	// BERTBlocks is how many blocks of 1024 bytes go at most into one message
	// that is sent over a stream (RFC 8323 section 6), as far as the peer's
	// Max-Message-Size permits. It takes a BlockSize of 1024. 0 means 8; 1
	// switches BERT off.
	BERTBlocks int `conf:"bert_blocks"`
	// Rand draws time-outs, tokens and the first message ID. The Conn owns it:
	// never share one between Conns. nil means a generator of a fixed seed.
	Rand *rand.Rand `conf:"-"`
}

// Validate reports the first field that is out of range, by its snake_case
// name. NewConn panics on a Config that does not validate.
func (c Config) Validate() error {
	c = c.withDefaults()
	switch {
	case c.AckTimeout < time.Millisecond:
		return fmt.Errorf("coap: ack_timeout %v: want at least 1ms", c.AckTimeout)
	case c.AckRandomFactor < 1 || c.AckRandomFactor > 10 || math.IsNaN(c.AckRandomFactor):
		return fmt.Errorf("coap: ack_random_factor %v: want 1 to 10", c.AckRandomFactor)
	case c.MaxRetransmit < 0 || c.MaxRetransmit > 20:
		return fmt.Errorf("coap: max_retransmit %d: want 1 to 20, or -1 for none", c.MaxRetransmit)
	case c.NStart < 1:
		return fmt.Errorf("coap: nstart %d: want at least 1", c.NStart)
	case c.TokenLength < 1 || c.TokenLength > 8:
		return fmt.Errorf("coap: token_length %d: want 1 to 8", c.TokenLength)
	case c.BlockSize < 16 || c.BlockSize > 1024 || bits.OnesCount(uint(c.BlockSize)) != 1:
		return fmt.Errorf("coap: block_size %d: want 16, 32, 64, 128, 256, 512 or 1024", c.BlockSize)
	case c.AckDelay < 0:
		return fmt.Errorf("coap: ack_delay %v: want a positive time", c.AckDelay)
	case c.ResponseTimeout < 0:
		return fmt.Errorf("coap: response_timeout %v: want a positive time", c.ResponseTimeout)
	case c.MaxLatency < 0:
		return fmt.Errorf("coap: max_latency %v: want a positive time", c.MaxLatency)
	case c.MaxBody < 0:
		return fmt.Errorf("coap: max_body %d: want a positive size", c.MaxBody)
	case c.MaxMessageSize < minMessageSize || c.MaxMessageSize > 16<<20:
		return fmt.Errorf("coap: max_message_size %d: want 64 to 16777216", c.MaxMessageSize)
	case c.BERTBlocks < 1 || c.BERTBlocks > 1024:
		return fmt.Errorf("coap: bert_blocks %d: want 1 to 1024", c.BERTBlocks)
	}
	return nil
}

// MaxTransmitSpan is MAX_TRANSMIT_SPAN, the longest time from the first
// transmission of a confirmable message to its last (section 4.8.2).
func (c Config) MaxTransmitSpan() time.Duration {
	c = c.withDefaults()
	return c.spans(1<<c.MaxRetransmit - 1)
}

// MaxTransmitWait is MAX_TRANSMIT_WAIT, the longest time from the first
// transmission of a confirmable message to giving up on it (section 4.8.2).
func (c Config) MaxTransmitWait() time.Duration {
	c = c.withDefaults()
	return c.spans(2<<c.MaxRetransmit - 1)
}

// ExchangeLifetime is EXCHANGE_LIFETIME, how long a confirmable message's ID
// must not be used again (section 4.8.2).
func (c Config) ExchangeLifetime() time.Duration {
	d := c.withDefaults()
	processingDelay := d.AckTimeout
	return c.MaxTransmitSpan() + 2*d.MaxLatency + processingDelay
}

// NonLifetime is NON_LIFETIME, how long a non-confirmable message's ID must
// not be used again (section 4.8.2).
func (c Config) NonLifetime() time.Duration {
	return c.MaxTransmitSpan() + c.withDefaults().MaxLatency
}

// spans is n first time-outs of the longest kind.
func (c Config) spans(n int) time.Duration {
	return time.Duration(float64(c.AckTimeout) * float64(n) * c.AckRandomFactor)
}

// withDefaults is to be called once: it turns MaxRetransmit -1 into 0.
func (c Config) withDefaults() Config {
	setDefault(&c.AckTimeout, 2*time.Second)
	setDefault(&c.AckRandomFactor, 1.5)
	setDefault(&c.MaxRetransmit, 4)
	if c.MaxRetransmit == -1 {
		c.MaxRetransmit = 0
	}
	setDefault(&c.NStart, 1)
	setDefault(&c.TokenLength, 8)
	setDefault(&c.BlockSize, 1024)
	setDefault(&c.AckDelay, c.AckTimeout/4)
	setDefault(&c.MaxLatency, 100*time.Second)
	setDefault(&c.MaxBody, 4<<20)
	setDefault(&c.MaxMessageSize, 8320)
	setDefault(&c.BERTBlocks, 8)
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
