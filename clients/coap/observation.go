package coap

import (
	"context"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
)

// Values of the Observe option in a request (RFC 7641 section 2).
const (
	observeRegister   = 0
	observeDeregister = 1
)

// Observation is a client's interest in a resource.
type Observation struct {
	conn   *Conn
	req    *Request
	notify func(*Response)

	// Guarded by conn.mu:
	token  string
	seq    uint32    // of the freshest notification
	at     time.Time // when it came
	epoch  int       // counts fresh notifications
	active bool
}

// Observe registers for r's resource (RFC 7641 section 3.1), r being a GET or
// FETCH, and returns the first response. If the server declines, the
// Observation is nil and the response that of a plain request.
//
// notify is called for every fresher notification, one at a time, mostly from
// the receiving loop: it must not block nor wait for this Conn. A notification
// without Observe option, or not of class 2, is the last one. A notification
// of several blocks is completed first; if that fails it is not delivered.
func (c *Conn) Observe(ctx context.Context, r *Request, notify func(*Response)) (*Observation, *Response, error) {
	req := *r
	req.Message = r.clone()
	req.SetUint(message.Observe, observeRegister)
	o := &Observation{conn: c, req: &req, notify: notify}
	resp, err := c.do(ctx, &req, o)
	if err != nil {
		o.Forget()
		return nil, nil, err
	}
	c.mu.Lock()
	established := !o.at.IsZero()
	c.unlock()
	if !established {
		o = nil
	}
	return o, resp, nil
}

// Active reports whether notifications are still expected.
func (o *Observation) Active() bool {
	o.conn.mu.Lock()
	defer o.conn.unlock()
	return o.active && !o.conn.ended
}

// Cancel deregisters by a request with Observe 1 (RFC 7641 section 3.6) and
// returns its response. Notifications that still arrive are acknowledged and
// not delivered.
func (o *Observation) Cancel(ctx context.Context) (*Response, error) {
	o.conn.mu.Lock()
	o.active = false
	token := o.token
	o.conn.unlock()
	req := *o.req
	req.Message = o.req.clone()
	req.SetUint(message.Observe, observeDeregister)
	req.Token = []byte(token) // the same, section 3.6
	resp, err := o.conn.do(ctx, &req, nil)
	o.Forget()
	return resp, err
}

// Forget ends the observation without a message; the next notification is
// answered with a Reset, which tells the server. A stream has no Reset: there
// the server goes on until Cancel (RFC 8323 appendix A.4).
func (o *Observation) Forget() {
	o.conn.mu.Lock()
	defer o.conn.unlock()
	o.conn.endObservation(o)
}

func (c *Conn) endObservation(o *Observation) {
	o.active = false
	if c.observations[o.token] == o {
		delete(c.observations, o.token)
	}
}

// establish begins an observation if the first response says so
// (RFC 7641 section 3.1).
func (c *Conn) establish(o *Observation, token string, resp *Response) {
	seq, ok := resp.Observe()
	if !ok || !resp.IsSuccess() {
		return
	}
	o.token, o.seq, o.at, o.active = token, seq, time.Now(), true
	c.observations[token] = o
}

// notified acts on a notification; mu is held.
func (c *Conn) notified(o *Observation, resp *Response) {
	if !o.active {
		return
	}
	seq, ok := resp.Observe()
	switch now := time.Now(); {
	case !ok || !resp.IsSuccess():
		c.endObservation(o) // section 3.2
	case c.stream == nil && !fresher(o.seq, o.at, seq, now):
		return // on a stream the order is kept, RFC 8323 appendix A.1
	default:
		o.seq, o.at = seq, now
	}
	o.epoch++
	epoch := o.epoch
	if b, present, _ := resp.block(message.Block2); !present || !b.more {
		c.callLater(func() { o.notify(resp) })
		return
	}
	c.running.Go(func() { c.complete(o, epoch, resp) })
}

// complete fetches the other blocks of a notification (RFC 7959 section 2.6)
// and delivers it, unless a fresher one came meanwhile.
func (c *Conn) complete(o *Observation, epoch int, resp *Response) {
	whole, err := c.collect(c.ctx, o.req, resp)
	c.mu.Lock()
	defer c.unlock()
	if err == nil && o.epoch == epoch {
		c.callLater(func() { o.notify(whole) })
	}
}

// fresher is the comparison of RFC 7641 section 3.4.
func fresher(v1 uint32, t1 time.Time, v2 uint32, t2 time.Time) bool {
	const half = 1 << 23
	return v1 < v2 && v2-v1 < half || v1 > v2 && v1-v2 > half || t2.Sub(t1) > 128*time.Second
}
