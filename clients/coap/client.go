package coap

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// call is a request that waits for its response.
type call struct {
	token       string
	transmit    *transmission
	timer       *time.Timer  // waits for the response after the ACK
	observation *Observation // to be established by the response, or nil
	result      chan result  // takes one
}

type result struct {
	resp *Response
	err  error
}

// Do sends a request and returns its response. A payload larger than
// Config.BlockSize or, on a stream, than fits into one message goes in blocks
// (RFC 7959 Block1), a response in blocks is assembled (Block2); a request that carries a Block option itself is sent as
// it is and its response returned as it comes. A response of class 4 or 5 is a
// response, not an error. Errors: *TimeoutError, ErrReset, ErrClosed,
// ErrCriticalOption; of a transfer in blocks *BlockError, *ETagError,
// *StatusError and ErrTooLarge; or ctx's: cancelling ctx stops the
// retransmissions.
func (c *Conn) Do(ctx context.Context, r *Request) (*Response, error) {
	return c.do(ctx, r, nil)
}

func (c *Conn) do(ctx context.Context, r *Request, o *Observation) (*Response, error) {
	_, block1 := r.Uint(message.Block1)
	if _, block2 := r.Uint(message.Block2); block1 || block2 {
		return c.exchange(ctx, r, o)
	}
	var resp *Response
	var err error
	if fits := len(r.Payload) <= c.room(&r.Message); fits {
		resp, err = c.exchange(ctx, r, o)
	} else {
		resp, err = c.upload(ctx, r, o)
	}
	if err != nil {
		return nil, err
	}
	return c.collect(ctx, r, resp)
}

// Ping sends an empty confirmable message and waits for the Reset it elicits
// (RFC 7252 section 1.2, "CoAP ping"); on a stream, a Ping and waits for the
// Pong until ctx ends (RFC 8323 section 5.4).
func (c *Conn) Ping(ctx context.Context) error {
	if c.stream != nil {
		return c.pingStream(ctx)
	}
	result := make(chan error, 1)
	t := &transmission{
		msg:  message.Message{Type: message.Confirmable, Code: codes.Empty},
		done: func(_ *message.Message, err error) { result <- err },
	}
	c.mu.Lock()
	c.submit(t)
	c.unlock()
	select {
	case err := <-result:
		if err == ErrReset {
			return nil
		}
		return err
	case <-ctx.Done():
		c.mu.Lock()
		c.withdraw(t)
		c.unlock()
		return fmt.Errorf("coap: ping: %w", context.Cause(ctx))
	}
}

// exchange sends one request message and returns its one response message.
func (c *Conn) exchange(ctx context.Context, r *Request, o *Observation) (*Response, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("coap: request: %w", context.Cause(ctx))
	}
	p, err := c.begin(r, o)
	if err != nil {
		return nil, err
	}
	select {
	case res := <-p.result:
		return res.resp, res.err
	case <-ctx.Done():
	}
	c.mu.Lock()
	c.finish(p, nil, fmt.Errorf("coap: request: %w", context.Cause(ctx)))
	c.unlock()
	res := <-p.result // a response that came first counts
	return res.resp, res.err
}

// begin registers a call and submits its request.
func (c *Conn) begin(r *Request, o *Observation) (*call, error) {
	c.mu.Lock()
	defer c.unlock()
	switch {
	case c.ended:
		return nil, c.reason
	case c.stream != nil && c.stream.release != nil:
		return nil, fmt.Errorf("%w: %w", ErrClosed, c.stream.release)
	}
	token, err := c.token(r.Token)
	if err != nil {
		return nil, err
	}
	p := &call{token: string(token), observation: o, result: make(chan result, 1)}
	kind := message.Confirmable
	if r.NonConfirmable {
		kind = message.NonConfirmable
	}
	p.transmit = &transmission{
		msg: message.Message{Type: kind, Code: r.Code, Token: token, Options: r.Options, Payload: r.Payload},
		done: func(ack *message.Message, err error) {
			c.acknowledged(p, ack, err)
		},
	}
	c.calls[p.token] = p
	c.submit(p.transmit)
	return p, nil
}

// token is the wanted one, or a fresh one that no call or observation uses.
func (c *Conn) token(wanted []byte) ([]byte, error) {
	if wanted != nil {
		if len(wanted) > message.MaxTokenSize || c.calls[string(wanted)] != nil {
			return nil, fmt.Errorf("%w: %x is in use or too long", ErrTokens, wanted)
		}
		return wanted, nil
	}
	const tries = 1000
	token := make([]byte, c.cfg.TokenLength)
	for range tries {
		r := c.cfg.Rand.Uint64()
		for i := range token {
			token[i] = byte(r >> (8 * i))
		}
		if c.calls[string(token)] == nil && c.observations[string(token)] == nil {
			return token, nil
		}
	}
	return nil, ErrTokens
}

// acknowledged is the outcome of a request's transmission.
func (c *Conn) acknowledged(p *call, ack *message.Message, err error) {
	switch {
	case err != nil:
		c.finish(p, nil, err)
	case ack.Code == codes.Empty:
		c.awaitResponse(p) // a separate response will follow, RFC 7252 section 5.2.2
	default:
		resp, understood := c.newReceived(*ack)
		c.respond(p, resp, understood)
	}
}

// awaitResponse limits the wait for the response to an acknowledged request.
func (c *Conn) awaitResponse(p *call) {
	p.timer = time.AfterFunc(c.cfg.ResponseTimeout, func() {
		c.mu.Lock()
		defer c.unlock()
		t := p.transmit
		c.finish(p, nil, &TimeoutError{
			Transmissions: t.sent,
			Waited:        time.Since(t.first),
			Acknowledged:  true,
		})
	})
}

// respond ends a call with a response. One with a critical option that is not
// understood must be rejected (RFC 7252 section 5.4.1).
func (c *Conn) respond(p *call, resp *Response, understood bool) {
	if !understood {
		c.finish(p, nil, ErrCriticalOption)
		return
	}
	if p.observation != nil {
		c.establish(p.observation, p.token, resp)
	}
	c.finish(p, resp, nil)
}

// newReceived takes a response from its message and reports whether it is
// understood.
func (c *Conn) newReceived(m message.Message) (resp *Response, understood bool) {
	opts, ok := checkOptions(m.Options)
	return &Response{Message: Message{Code: m.Code, Options: opts, Payload: m.Payload, stream: c.stream != nil}}, ok
}

// finish ends a call, once.
func (c *Conn) finish(p *call, resp *Response, err error) {
	if c.calls[p.token] != p {
		return
	}
	delete(c.calls, p.token)
	if p.timer != nil {
		p.timer.Stop()
	}
	c.withdraw(p.transmit)
	if c.stream != nil {
		c.stream.wake.Signal() // a Release may wait for this
	}
	p.result <- result{resp, err}
}

// receiveAck acts on an acknowledgement. One whose ID does not match is ignored
// (RFC 7252 section 4.2), as is one of a request with anything but its response.
// Whatever acknowledges a response ends its retransmission (section 5.2.2).
func (c *Conn) receiveAck(m message.Message) {
	t := c.inFlight[uint16(m.MessageID)]
	if t == nil || t.msg.Type != message.Confirmable {
		return
	}
	if isRequest(t.msg.Code) && m.Code != codes.Empty && !(isResponse(m.Code) && slices.Equal(m.Token, t.msg.Token)) {
		return
	}
	c.settle(t, &m, nil)
}

// receiveReset ends what the message with this ID began.
func (c *Conn) receiveReset(mid uint16) {
	if t := c.inFlight[mid]; t != nil {
		c.settle(t, nil, ErrReset)
		return
	}
	if o := c.observerByMessage(mid); o != nil {
		c.endObserver(o, ErrReset) // RFC 7641 section 3.6
	}
}

// receiveResponse acts on a response that came in a message of its own: a
// separate response, the response to a non-confirmable request, or a
// notification.
func (c *Conn) receiveResponse(m message.Message, s *seenMessage) {
	p, o := c.calls[string(m.Token)], c.observations[string(m.Token)]
	resp, understood := c.newReceived(m)
	_, notification := resp.Observe()
	switch {
	case understood && (p != nil || o != nil):
		if m.Type == message.Confirmable {
			c.reply(s, emptyMessage(message.Acknowledgement, uint16(m.MessageID)))
		}
	case m.Type == message.NonConfirmable && notification:
		// Only a Reset tells the server that nobody listens
		// (RFC 7641 section 3.6).
		c.reply(s, emptyMessage(message.Reset, uint16(m.MessageID)))
	default:
		c.reject(m, s)
	}
	c.dispatch(p, o, resp, understood)
}

// dispatch passes a response on to the call or observation it is for.
func (c *Conn) dispatch(p *call, o *Observation, resp *Response, understood bool) {
	_, notification := resp.Observe()
	switch {
	case o != nil && understood && (p == nil || notification):
		c.notified(o, resp)
	case p != nil:
		c.respond(p, resp, understood)
	}
}
