package coap

import (
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// inbound is a received request until its response is sent.
type inbound struct {
	req   *Request
	mid   uint16
	seen  *seenMessage
	timer *time.Timer // fires the empty ACK
	// acknowledged: an empty ACK went out, the response follows separately.
	acknowledged bool
}

// receiveRequest answers a first copy of a request; mu is held. On a stream
// there is no s.
func (c *Conn) receiveRequest(m message.Message, s *seenMessage) {
	opts, ok := checkOptions(m.Options)
	in := &inbound{mid: uint16(m.MessageID), seen: s, req: &Request{
		Message:        Message{Code: m.Code, Options: opts, Payload: m.Payload, stream: c.stream != nil},
		NonConfirmable: m.Type == message.NonConfirmable,
		Token:          m.Token,
		conn:           c,
	}}
	if c.stream != nil {
		c.stream.serving++
	}
	switch {
	case !ok && in.req.NonConfirmable: // rejected, RFC 7252 section 5.4.1
	case !ok:
		c.answer(in, Status(codes.BadOption))
	case in.req.asksProxy():
		c.answer(in, Status(codes.ProxyingNotSupported)) // section 5.10.2
	default:
		c.deregister(in.req)
		if c.stream == nil && !in.req.NonConfirmable {
			in.timer = time.AfterFunc(c.cfg.AckDelay, func() { c.acknowledgeLate(in) })
		}
		c.running.Go(func() { c.serve(in) })
	}
}

func (r *Request) asksProxy() bool {
	_, uri := r.Bytes(message.ProxyURI)
	_, scheme := r.Bytes(message.ProxyScheme)
	return uri || scheme
}

// acknowledgeLate sends the empty ACK when the handler takes its time
// (RFC 7252 section 5.2.2).
func (c *Conn) acknowledgeLate(in *inbound) {
	c.mu.Lock()
	defer c.unlock()
	if in.timer == nil {
		return // answered meanwhile
	}
	in.acknowledged = true
	c.reply(in.seen, emptyMessage(message.Acknowledgement, in.mid))
}

// serve runs in a goroutine of its own.
func (c *Conn) serve(in *inbound) {
	resp := c.handle(in.req)
	c.mu.Lock()
	defer c.unlock()
	c.answer(in, resp)
}

// handle turns a request message into its response message: block-wise
// transfer first, then the handler.
func (c *Conn) handle(r *Request) *Response {
	if resp := c.serveBlock(r); resp != nil {
		return resp
	}
	whole, early := c.assemble(r)
	if early != nil {
		return early
	}
	if resp := c.continueSnapshot(whole); resp != nil {
		return resp
	}
	resp := c.handler.ServeCoAP(c.ctx, whole)
	if resp == nil {
		resp = Status(codes.InternalServerError)
	}
	r.observer = whole.observer
	resp = c.slice(whole, resp)
	if block1, ok := r.Bytes(message.Block1); ok {
		resp = &Response{Message: resp.clone()}
		resp.Set(message.Block1, block1) // RFC 7959 section 2.3: the final response echoes it
	}
	return resp
}

// answer sends a response: piggy-backed on the ACK if that is still to come,
// otherwise as a message of its own (RFC 7252 sections 5.2.1 to 5.2.3).
func (c *Conn) answer(in *inbound, resp *Response) {
	if in.timer != nil {
		in.timer.Stop()
		in.timer = nil
	}
	if c.stream != nil {
		c.stream.serving--
	}
	if c.ended {
		return
	}
	resp = c.confirmObserver(in.req.observer, resp)
	m := message.Message{Code: resp.Code, Token: in.req.Token, Options: resp.Options, Payload: resp.Payload}
	switch {
	case c.stream != nil:
		c.submit(&transmission{msg: m})
	case in.req.NonConfirmable:
		m.Type = message.NonConfirmable
		_, _ = c.sendNon(m) // no response is what a client of NON must reckon with
	case in.acknowledged:
		m.Type = message.Confirmable
		c.submit(&transmission{msg: m})
	default:
		m.Type, m.MessageID = message.Acknowledgement, int32(in.mid)
		if datagram, err := encode(m); err == nil {
			c.reply(in.seen, datagram)
			return
		}
		// A response that cannot be encoded is the handler's error.
		m = message.Message{Type: message.Acknowledgement, MessageID: int32(in.mid), Token: in.req.Token, Code: codes.InternalServerError}
		if datagram, err := encode(m); err == nil {
			c.reply(in.seen, datagram)
		}
	}
}

// sendNon sends a non-confirmable message once and returns its message ID.
func (c *Conn) sendNon(m message.Message) (mid uint16, err error) {
	mid, err = c.ids.take(time.Now())
	if err != nil {
		return 0, err
	}
	m.MessageID = int32(mid)
	datagram, err := encode(m)
	if err != nil {
		return 0, err
	}
	c.send(datagram)
	return mid, nil
}
