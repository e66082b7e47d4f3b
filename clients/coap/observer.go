package coap

import (
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

const (
	// maxUnconfirmed is the longest time without a confirmable notification,
	// by which a server finds out that nobody listens (RFC 7641 section 4.5).
	maxUnconfirmed = 24 * time.Hour
	// rememberedIDs is how many non-confirmable notifications a Reset is
	// still matched to.
	rememberedIDs = 8
	sequenceMask  = 1<<24 - 1
	// maxObservers bounds what a Conn keeps for its peer; a registration beyond it
	// is answered as a request that does not observe (RFC 7641 section 4.1).
	maxObservers = 256
)

// Observer is a server's view of one observation.
type Observer struct {
	conn  *Conn
	req   *Request
	onEnd func(error)

	// Guarded by conn.mu:
	seq       uint32 // last used
	ended     bool
	ready     bool          // the registration was answered
	flight    *transmission // a confirmable notification, or nil
	next      *notification // waits for flight or ready, or nil
	confirmed time.Time     // last confirmable notification, or registration
	ids       [rememberedIDs]uint16
	sent      int // non-confirmable notifications
}

type notification struct {
	resp        *Response
	confirmable bool
}

// AcceptObserve registers the sender of r, if r asks for it and has not too many
// observations, and returns its Observer; else nil. It is called by a handler, before it returns a response
// of class 2, to which the Observe option is added. onEnd, if not nil, is
// called once when the observation ends, with the reason: nil for a
// deregistration, an error notification or End, ErrReset, a *TimeoutError,
// ErrClosed, or ErrCanceled when registered anew under the same token or
// refused by the handler's response. It must not block.
func (r *Request) AcceptObserve(onEnd func(error)) *Observer {
	if v, ok := r.Observe(); !ok || v != observeRegister || r.conn == nil || !safe(r.Code) {
		return nil
	}
	if b, _, _ := r.block(message.Block2); b.num > 0 {
		return nil // one observes a resource, not a block of it: RFC 7959 section 2.6
	}
	c := r.conn
	c.mu.Lock()
	defer c.unlock()
	old := c.observers[string(r.Token)]
	if old == nil && len(c.observers) >= maxObservers {
		return nil
	}
	o := &Observer{conn: c, req: r, onEnd: onEnd, confirmed: time.Now()}
	if old != nil {
		o.seq = old.seq // the client may see both as one, RFC 7641 section 4.4
		c.endObserver(old, ErrCanceled)
	}
	r.observer = o
	if c.ended {
		c.endObserver(o, c.reason)
		return o
	}
	c.observers[string(r.Token)] = o
	return o
}

// Request is the registration.
func (o *Observer) Request() *Request { return o.req }

// End forgets the observer without a message.
func (o *Observer) End() {
	o.conn.mu.Lock()
	defer o.conn.unlock()
	o.conn.endObserver(o, nil)
}

// Notify sends a new state to the observer. A confirmable notification that is
// still unacknowledged is replaced by the newest state at its next
// retransmission (RFC 7641 section 4.5.2); a non-confirmable one then waits
// for its outcome, too. On a stream one notification at a time waits for being
// written, whether confirmable or not. After 24 hours without one, a notification is
// confirmable in any case (section 4.5). A response not of class 2 ends the
// observation. Notify does not wait: it returns ErrCanceled if the observation
// has ended.
func (o *Observer) Notify(r *Response, confirmable bool) error {
	r = o.conn.slice(o.req, r)
	o.conn.mu.Lock()
	defer o.conn.unlock()
	if o.ended {
		return ErrCanceled
	}
	if time.Since(o.confirmed) >= maxUnconfirmed {
		confirmable = true
	}
	o.next = &notification{r, confirmable || o.next != nil && o.next.confirmable}
	return o.conn.advance(o)
}

// advance sends the newest state if nothing is in its way.
func (c *Conn) advance(o *Observer) error {
	if o.next == nil || !o.ready || o.flight != nil || o.ended {
		return nil
	}
	if !o.next.confirmable && c.stream == nil {
		resp := o.next.resp
		mid, err := c.sendNon(o.take(message.NonConfirmable))
		if err != nil {
			return err
		}
		o.ids[o.sent%rememberedIDs] = mid
		o.sent++
		c.endAfterError(o, resp)
		return nil
	}
	resp := o.next.resp
	t := &transmission{msg: o.take(message.Confirmable)}
	t.renew = func() bool {
		if o.next == nil || o.ended {
			return false
		}
		resp = o.next.resp
		t.msg = o.take(message.Confirmable)
		return true
	}
	t.done = func(_ *message.Message, err error) {
		o.flight = nil
		if err != nil {
			c.endObserver(o, err) // sections 3.6 and 4.5
			return
		}
		c.endAfterError(o, resp)
		_ = c.advance(o) // its errors come back with the next Notify
	}
	o.flight = t
	o.confirmed = time.Now()
	c.submit(t)
	return nil
}

// take makes the message of the newest state, with the next sequence number.
func (o *Observer) take(kind message.Type) message.Message {
	resp := &Response{Message: o.next.resp.clone()}
	o.next = nil
	if resp.IsSuccess() {
		resp.SetUint(message.Observe, o.sequence())
	}
	return message.Message{
		Type: kind, Code: resp.Code, Token: o.req.Token,
		Options: resp.Options, Payload: resp.Payload,
	}
}

// sequence counts up from 1, so that the option stays short (RFC 7641
// section 4.4 wants it to increase, no more).
func (o *Observer) sequence() uint32 {
	o.seq = (o.seq + 1) & sequenceMask
	return o.seq
}

// endAfterError ends an observation that an error notification has ended for
// the client (section 4.2).
func (c *Conn) endAfterError(o *Observer, sent *Response) {
	if !sent.IsSuccess() {
		c.endObserver(o, nil)
	}
}

// confirmObserver adds the Observe option to the response to a registration,
// or takes the registration back if the response is an error.
func (c *Conn) confirmObserver(o *Observer, resp *Response) *Response {
	switch {
	case o == nil || o.ended:
		return resp
	case !resp.IsSuccess():
		c.endObserver(o, ErrCanceled)
		return resp
	}
	out := &Response{Message: resp.clone()}
	out.SetUint(message.Observe, o.sequence())
	o.ready = true
	// After the response, which is about to be queued.
	c.callLater(func() {
		c.mu.Lock()
		defer c.unlock()
		_ = c.advance(o) // its errors come back with the next Notify
	})
	return out
}

// deregister removes the observer that a request with Observe 1 names by its
// token (RFC 7641 section 4.1).
func (c *Conn) deregister(r *Request) {
	if v, ok := r.Observe(); ok && v == observeDeregister && (r.Code == codes.GET || r.Code == FETCH) {
		if o := c.observers[string(r.Token)]; o != nil {
			c.endObserver(o, nil)
		}
	}
}

// endObserver ends an observation, once; mu is held.
func (c *Conn) endObserver(o *Observer, reason error) {
	if o.ended {
		return
	}
	o.ended, o.next = true, nil
	if c.observers[string(o.req.Token)] == o {
		delete(c.observers, string(o.req.Token))
	}
	if o.flight != nil {
		c.withdraw(o.flight) // no use retransmitting, RFC 7641 section 4.5
	}
	if o.onEnd != nil {
		c.callLater(func() { o.onEnd(reason) })
	}
}

// observerByMessage finds whose non-confirmable notification had this ID.
func (c *Conn) observerByMessage(mid uint16) *Observer {
	for _, o := range c.observers { // at most one matches
		for i := range min(o.sent, rememberedIDs) {
			if o.ids[i] == mid {
				return o
			}
		}
	}
	return nil
}
