package coap

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// ALPN is the protocol name of CoAP over TLS (RFC 8323 section 8.2).
const ALPN = "coap"

// stream is what a Conn over a reliable transport has in place of the message
// layer. Its fields are guarded by Conn.mu.
type stream struct {
	peer    capabilities
	greeted chan struct{} // closed by the peer's first CSM
	pings   map[string]chan struct{}
	serving int        // requests received and not yet answered
	wake    *sync.Cond // tells the writer of something to do
	// release is the peer's wish to end, nil before.
	release *ReleaseError
	// released: we wish so.
	released bool
}

// NewStreamConn makes a session over a TCP or TLS connection (RFC 8323), which
// Serve begins with a CSM. It is used like one of NewConn, but there are no
// acknowledgements, retransmissions or NSTART: a message counts as delivered
// when it is written, and the wait for a response begins then. When the connection fails, everything that waits fails
// with an error that wraps ErrClosed and the reason; a Download or Upload goes
// on by its offset over a new Conn.
func NewStreamConn(conn net.Conn, cfg Config, handler Handler) *Conn {
	c := NewConn(conn, cfg, handler)
	c.stream = &stream{
		peer:    capabilities{maxMessageSize: baseMessageSize},
		greeted: make(chan struct{}),
		pings:   make(map[string]chan struct{}),
		wake:    sync.NewCond(&c.mu),
	}
	c.submit(&transmission{msg: c.cfg.csm()})
	return c
}

// serveStream runs until the connection has ended and returns why.
func (c *Conn) serveStream() error {
	c.running.Go(func() {
		for c.writeNext() {
		}
	})
	err := c.readFrames()
	if violation := (*AbortError)(nil); errors.As(err, &violation) && !violation.ByPeer {
		c.abort(violation)
	}
	return err
}

func (c *Conn) readFrames() error {
	r := bufio.NewReaderSize(c.conn, 4096)
	for {
		m, err := readFrame(r, c.cfg.MaxMessageSize)
		switch {
		case errors.Is(err, errFormat) || errors.Is(err, errFrameTooLarge):
			err = &AbortError{Diagnostic: err.Error()}
		case err == nil:
			err = c.receiveFrame(m)
		}
		if err != nil {
			return err
		}
	}
}

// receiveFrame acts on a message; an error ends the connection.
func (c *Conn) receiveFrame(m message.Message) error {
	c.mu.Lock()
	defer c.unlock()
	switch {
	case c.ended || m.Code == codes.Empty: // section 3.4
	case !c.hasGreeted() && m.Code != codes.CSM && m.Code != codes.Abort:
		return &AbortError{Diagnostic: "the first message is no CSM"} // section 3.3
	case isSignal(m.Code):
		return c.receiveSignal(m)
	case isRequest(m.Code):
		c.receiveRequest(m, nil)
	case isResponse(m.Code):
		resp, understood := c.newReceived(m)
		c.dispatch(c.calls[string(m.Token)], c.observations[string(m.Token)], resp, understood)
	default:
		return &AbortError{Diagnostic: "code " + CodeString(m.Code) + " is reserved"}
	}
	return nil
}

func (c *Conn) hasGreeted() bool {
	select {
	case <-c.stream.greeted:
		return true
	default:
		return false
	}
}

// writeNext writes the next message, which it waits for. It reports whether
// there may be more. Only one goroutine writes: so the reader goes on while a
// write waits for the peer, and two ends cannot block each other.
func (c *Conn) writeNext() bool {
	t := c.nextFrame()
	if t == nil {
		return false
	}
	if t.datagram == nil {
		return true // it was not to be sent
	}
	if _, err := c.conn.Write(t.datagram); err != nil {
		c.end(err)
		return false
	}
	c.mu.Lock()
	defer c.unlock()
	c.settle(t, &message.Message{Code: codes.Empty}, nil)
	return true
}

// nextFrame waits for a message to be written and encodes it. It returns nil
// at the end, and a message without datagram if that failed.
func (c *Conn) nextFrame() *transmission {
	c.mu.Lock()
	defer c.unlock()
	for !c.ended && len(c.waiting) == 0 {
		if c.mayRelease() {
			release := c.stream.release
			c.callLater(func() { c.end(release) })
			return nil
		}
		c.stream.wake.Wait()
	}
	if c.ended {
		return nil
	}
	t := c.waiting[0]
	c.waiting = c.waiting[1:]
	if err := c.encodeStream(t); err != nil {
		c.settle(t, nil, err)
	}
	return t
}

// encodeStream encodes t as it is now. A response that the peer cannot take
// becomes a 5.00.
func (c *Conn) encodeStream(t *transmission) (err error) {
	if t.renew != nil {
		t.renew()
	}
	t.sent, t.first = 1, time.Now()
	limit := c.stream.peer.maxMessageSize
	if t.datagram, err = encodeFrame(t.msg, limit); err != nil && isResponse(t.msg.Code) {
		t.msg = message.Message{Code: codes.InternalServerError, Token: t.msg.Token}
		t.datagram, err = encodeFrame(t.msg, limit)
	}
	return err
}

// mayRelease reports that the peer wants the connection closed and nothing is
// left to do (section 5.5).
func (c *Conn) mayRelease() bool {
	return c.stream.release != nil && c.stream.serving == 0 && len(c.calls) == 0
}

// wasReleased reports that the connection ended as we asked the peer to.
func (c *Conn) wasReleased(err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stream != nil && c.stream.released && errors.Is(err, io.EOF)
}
