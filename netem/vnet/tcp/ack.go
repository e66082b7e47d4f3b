package tcp

import "time"

// ackState decides when the receiver acknowledges (RFC 9293 section 3.8.6.3,
// RFC 5681 section 4.2). As in Linux the delay, ato, follows the interval
// between arrivals; a bulk transfer starts with a number of quick ACKs; an
// interactive session ("pingpong") delays from the first on.
type ackState struct {
	scheduled bool // something is to be acknowledged
	timer     bool // the delay runs until at
	pushed    bool // a small or pushed segment is among it
	pushed2   bool // a second one
	now       bool // the protocol mandates an immediate ACK

	at       time.Duration
	fires    time.Duration // when the timer does, on its grid
	ato      time.Duration
	quick    int
	pingpong bool
	lastData time.Duration // arrival of the last data, a multiple of the tick
	lastLen  int
	rcvMSS   int // estimate of the peer's segment size
}

// clear forgets what is scheduled: an ACK left.
func (a *ackState) clear() {
	a.scheduled, a.timer, a.pushed, a.pushed2, a.now = false, false, false, false, false
}

// quickACK acknowledges at once and the next segments too: something odd
// arrived, the peer is recovering.
func (c *Conn) quickACK() {
	c.addQuick(c.cfg.QuickACKs)
	c.ack.pingpong = false
	c.ack.ato = c.cfg.DelayedACKMin
	c.ack.scheduled = true
	if c.cfg.QuickACKs == 0 {
		c.ack.now = true
	}
}

func (c *Conn) addQuick(most int) {
	n := int(c.rcv.wnd) / (2 * max(c.ack.rcvMSS, 1))
	if n == 0 {
		n = 2
	}
	c.ack.quick = max(c.ack.quick, min(n, most))
}

// dataReceived notes the arrival of n in-order bytes.
func (c *Conn) dataReceived(s *Segment, n int) {
	a := &c.ack
	a.scheduled = true
	c.measureSegmentSize(s, n)
	c.measureReceiverRTT()
	now := c.tickNow()
	if a.ato == 0 {
		c.addQuick(c.cfg.QuickACKs)
		a.ato = c.cfg.DelayedACKMin
	} else {
		half := c.cfg.DelayedACKMin / 2
		switch gap := now - a.lastData; {
		case gap <= half:
			a.ato = a.ato/2 + half
		case gap < a.ato:
			a.ato = min(a.ato/2+gap, c.rtt.rto)
		case gap > c.rtt.rto:
			c.addQuick(c.cfg.QuickACKs) // the sender starts again slowly
		}
	}
	a.lastData = now
	if n >= 128 {
		c.growWindow(n)
	}
}

// measureSegmentSize adapts the estimate of a full segment; smaller ones are
// the end of a write, which the reader will want acknowledged.
func (c *Conn) measureSegmentSize(s *Segment, n int) {
	a := &c.ack
	last := a.lastLen
	a.lastLen = 0
	if n >= a.rcvMSS {
		a.rcvMSS = min(n, c.rcv.advMSS)
		if s.Flags&PSH != 0 {
			a.pushed = true
		}
		return
	}
	hdr := headerLen + s.optionLen()
	if n+hdr >= 536+headerLen || n+hdr >= 88+headerLen && s.Flags&(PSH|FIN|SYN|URG) == 0 {
		// Free of the jitter that SACK blocks cause.
		a.lastLen = n + hdr - headerLen
		if c.tsOK {
			a.lastLen -= 12
		}
		if a.lastLen == last {
			a.rcvMSS = last
			return
		}
	}
	a.pushed2 = a.pushed2 || a.pushed
	a.pushed = true
}

// acknowledge sends the ACK that is due or starts its delay.
func (c *Conn) acknowledge() {
	a := &c.ack
	if !a.scheduled {
		return
	}
	r := &c.rcv
	switch {
	case a.now, a.quick > 0 && !a.pingpong:
		c.sendACK()
	case r.nxt-r.wup > uint32(a.rcvMSS) && (r.fixed || r.unread() == 0 || c.selectWindow() >= r.wnd):
		// More than one full segment (RFC 9293 section 3.8.6.3, SHLD-19), and
		// the window moves; otherwise the reader will send it.
		c.sendACK()
	case len(r.ofo) > 0:
		c.sendACK() // RFC 5681 section 4.2: at once while there is a gap
	default:
		c.delayACK()
	}
}

// delayACK starts or shortens the delay.
func (c *Conn) delayACK() {
	a := &c.ack
	ato := a.ato
	if ato > c.cfg.DelayedACKMin {
		most := 500 * time.Millisecond
		if a.pingpong || a.pushed {
			most = c.cfg.DelayedACKMax
		}
		if c.rtt.srtt > 0 {
			most = min(most, max(c.ceilTick(c.rtt.srtt/8), c.cfg.DelayedACKMin))
		}
		ato = min(ato, most)
	}
	ato = min(ato, c.cfg.DelayedACKMax)
	// The expiry is compared in whole ticks, the timer itself may fire later.
	now := c.tickNow()
	at := now + c.ceilTick(ato)
	if a.timer {
		if a.at <= now+ato/4 {
			c.sendACK()
			return
		}
		at = min(at, a.at)
	}
	a.scheduled, a.timer, a.at, a.fires = true, true, at, c.wheel(at)
}

// delayedACKTimeout sends the delayed ACK.
func (c *Conn) delayedACKTimeout() {
	a := &c.ack
	a.timer = false
	if !a.scheduled {
		return
	}
	if a.pingpong {
		a.pingpong = false
		a.ato = c.cfg.DelayedACKMin
	} else {
		a.ato = min(2*a.ato, c.rtt.rto)
	}
	c.sendACK()
}

// ackAfterRead sends the ACK that waited for the reader, and a window update
// when the window at least doubles.
func (c *Conn) ackAfterRead() {
	a, r := &c.ack, &c.rcv
	if a.scheduled && (r.nxt-r.wup > uint32(a.rcvMSS) ||
		(a.pushed2 || a.pushed && !a.pingpong) && r.used() == 0 && c.cfg.QuickACKs > 0) {
		c.sendACK()
		return
	}
	if r.fin {
		return
	}
	now := r.window()
	if r.fixed {
		if c.selectWindow() >= now+uint32(min(r.rcvbuf/4, r.advMSS)) && now < uint32(r.rcvbuf)/2 {
			c.sendACK()
		}
		return
	}
	if 2*now <= r.clamp {
		if w := c.selectWindow(); w > 0 && w >= 2*now {
			c.sendACK()
		}
	}
}

// ackSent notes that a segment with an acknowledgement left.
func (c *Conn) ackSent() {
	a := &c.ack
	if a.quick > 0 && a.scheduled {
		a.quick--
		if a.quick == 0 {
			a.ato = c.cfg.DelayedACKMin
		}
	}
	a.clear()
}
