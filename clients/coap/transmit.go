package coap

import (
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
)

// transmission is one message on its way: a confirmable one until it is
// acknowledged (RFC 7252 section 4.2), or a non-confirmable request until its
// response. Either counts as an outstanding interaction (section 4.7).
type transmission struct {
	msg message.Message // MessageID is set when it is sent
	// done, if not nil, is told the outcome: the ACK (on a stream an empty one,
	// when the message has been written), or an error. mu is held.
	done func(ack *message.Message, err error)
	// renew, if not nil, is asked before every sending whether msg shall
	// be replaced; if so, it has replaced msg, and a fresh message ID is drawn.
	renew func() bool

	datagram []byte
	sent     int // transmissions so far
	first    time.Time
	timeout  time.Duration
	timer    *time.Timer
	holding  bool // an NSTART slot
	settled  bool
}

// submit queues t until NSTART lets it go or, on a stream, until what comes
// before it has been written.
func (c *Conn) submit(t *transmission) {
	if c.ended {
		c.settle(t, nil, c.reason)
		return
	}
	c.waiting = append(c.waiting, t)
	if c.stream != nil {
		c.stream.wake.Signal()
		return
	}
	c.startWaiting()
}

func (c *Conn) startWaiting() {
	for !c.ended && c.outstanding < c.cfg.NStart && len(c.waiting) > 0 {
		t := c.waiting[0]
		c.waiting = c.waiting[1:]
		c.start(t)
	}
}

func (c *Conn) start(t *transmission) {
	c.outstanding++
	t.holding = true
	if t.renew != nil {
		t.renew()
	}
	t.first = time.Now()
	if err := c.identify(t, t.first); err != nil {
		c.settle(t, nil, err)
		return
	}
	t.sent = 1
	c.send(t.datagram)
	t.timeout = c.cfg.ResponseTimeout
	if t.msg.Type == message.Confirmable {
		// Section 4.2: between ACK_TIMEOUT and ACK_TIMEOUT * ACK_RANDOM_FACTOR.
		factor := 1 + c.cfg.Rand.Float64()*(c.cfg.AckRandomFactor-1)
		t.timeout = time.Duration(float64(c.cfg.AckTimeout) * factor)
	}
	t.timer = time.AfterFunc(t.timeout, func() { c.timedOut(t) })
}

// identify gives t a message ID and encodes it.
func (c *Conn) identify(t *transmission, now time.Time) error {
	mid, err := c.ids.take(now)
	if err != nil {
		return err
	}
	c.forget(t)
	t.msg.MessageID = int32(mid)
	t.datagram, err = encode(t.msg)
	if err == nil {
		c.inFlight[mid] = t
	}
	return err
}

// timedOut retransmits with doubled time-out, or gives up (section 4.2).
func (c *Conn) timedOut(t *transmission) {
	c.mu.Lock()
	defer c.unlock()
	if t.settled {
		return
	}
	now := time.Now()
	confirmable := t.msg.Type == message.Confirmable
	if !confirmable || t.sent > c.cfg.MaxRetransmit {
		if confirmable {
			c.stats.GiveUps++
		}
		c.settle(t, nil, &TimeoutError{Transmissions: t.sent, Waited: now.Sub(t.first)})
		return
	}
	if t.renew != nil && t.renew() {
		if err := c.identify(t, now); err != nil {
			c.settle(t, nil, err)
			return
		}
	} else {
		c.stats.Retransmissions++
	}
	t.sent++
	t.timeout *= 2
	c.send(t.datagram)
	t.timer.Reset(t.timeout)
}

// settle ends t, once, and lets the next one go.
func (c *Conn) settle(t *transmission, ack *message.Message, err error) {
	if t.settled {
		return
	}
	c.withdraw(t)
	if t.done != nil {
		t.done(ack, err)
	}
}

// withdraw ends t without telling.
func (c *Conn) withdraw(t *transmission) {
	if t.settled {
		return
	}
	t.settled = true
	if t.timer != nil {
		t.timer.Stop()
	}
	c.forget(t)
	if !t.holding {
		c.dropWaiting(t)
		return
	}
	t.holding = false
	c.outstanding--
	c.startWaiting()
}

func (c *Conn) forget(t *transmission) {
	if mid := uint16(t.msg.MessageID); c.inFlight[mid] == t {
		delete(c.inFlight, mid)
	}
}

func (c *Conn) dropWaiting(t *transmission) {
	for i, w := range c.waiting {
		if w == t {
			c.waiting = append(c.waiting[:i:i], c.waiting[i+1:]...)
			return
		}
	}
}
