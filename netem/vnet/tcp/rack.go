package tcp

import "time"

// rackState is RFC 8985's: what was delivered most recently in order of
// transmission, and how long to wait for reordered segments.
type rackState struct {
	at       time.Duration // transmission of the most recently sent delivered segment
	end      uint32
	rtt      time.Duration
	advanced bool

	steps         uint32 // reordering window in quarters of the least round trip
	persist       uint32 // recoveries for which it is kept
	dsackSeen     bool
	lastDelivered uint32
}

// persistRecoveries is for how many recoveries a grown reordering window holds
// (RFC 8985 section 6.2, step 4: 16).
const persistRecoveries = 16

// sentAfter orders transmissions (RFC 8985 section 5.2).
func sentAfter(t1 time.Duration, end1 uint32, t2 time.Duration, end2 uint32) bool {
	return t1 > t2 || t1 == t2 && after(end1, end2)
}

// advance is RFC 8985 section 6.2, step 1 and 2: t was delivered.
func (r *rackState) advance(c *Conn, t *transmitted) {
	rtt := c.now - t.at
	if t.everRetrans && rtt < c.rtt.min.get() {
		return // rather the delivery of an earlier transmission
	}
	r.advanced = true
	r.rtt = rtt
	if sentAfter(t.at, t.end, r.at, r.end) {
		r.at, r.end = t.at, t.end
	}
}

// window is the reordering window (RFC 8985 section 6.2, step 4).
func (r *rackState) window(c *Conn) time.Duration {
	if !c.reordSeen && (c.ca >= caRecovery || c.counts.sacked >= c.reordering) {
		return 0
	}
	least := c.rtt.min.get()
	if least == 1<<63-1 {
		return c.rtt.srtt / 8
	}
	return min(least/4*time.Duration(r.steps), c.rtt.srtt/8)
}

// updateWindow adapts the reordering window to D-SACKs, once per round trip.
func (r *rackState) updateWindow(c *Conn, e *ackEvent) {
	if !e.rated {
		return
	}
	if before(e.priorDelivered, r.lastDelivered) {
		r.dsackSeen = false
	}
	switch {
	case r.dsackSeen:
		r.steps = min(255, r.steps+1)
		r.dsackSeen = false
		r.lastDelivered = c.delivered
		r.persist = persistRecoveries
	case r.persist == 0:
		r.steps = 1
	}
}

// timeout is how long t may still take before it is lost.
func (r *rackState) timeout(c *Conn, t *transmitted, window time.Duration) time.Duration {
	return r.rtt + window - (c.now - t.at)
}

// detect is RFC 8985 section 6.2, step 5: mark what was sent before the most
// recently delivered segment and is overdue, and say how long to wait for
// what is not yet.
func (r *rackState) detect(c *Conn) (wait time.Duration) {
	window := r.window(c)
	for t := c.txq.oldest; t != nil; {
		next := t.next
		if !t.lost || t.retrans {
			if !sentAfter(r.at, r.end, t.at, t.end) {
				break
			}
			if left := r.timeout(c, t, window); left <= 0 {
				c.markLost(t)
				c.txq.unlist(t)
			} else {
				wait = max(wait, left)
			}
		}
		t = next
	}
	return wait
}

// minReorderTimeout is the least reordering timer (Linux: 2 ms on top).
const minReorderTimeout = 2 * time.Millisecond

// rackMarkLost marks losses after an ACK; true when the reordering timer runs.
func (c *Conn) rackMarkLost() bool {
	if !c.rack.advanced {
		return false
	}
	c.rack.advanced = false
	wait := c.rack.detect(c)
	if wait > 0 {
		c.arm(timerReorder, min(wait+minReorderTimeout, c.rtt.rto))
	}
	return wait > 0
}

// reorderTimeout ends the wait for reordered segments.
func (c *Conn) reorderTimeout() {
	flight, lost := c.inFlight(), c.lost
	c.rack.detect(c)
	if c.inFlight() != flight {
		if c.ca != caRecovery {
			c.enterRecovery()
			c.reduceWindow(1, c.lost-lost, false)
		}
		c.retransmitLost()
	}
	if c.xmitKind != timerRetransmit {
		c.rearm()
	}
}

// tlpState is the tail loss probe's (RFC 8985 section 7).
type tlpState struct {
	active  bool
	high    uint32 // SND.NXT when the probe left
	retrans bool   // the probe was a retransmission
}

// scheduleLossProbe sets the probe timer (RFC 8985 section 7.2): two round
// trips, and when only one segment is outstanding the peer's ACK delay;
// advancing says that the RTO starts anew. It reports whether the timer runs.
func (c *Conn) scheduleLossProbe(advancing bool) bool {
	if !c.cfg.TLP || c.counts.packets == 0 || !c.sackOK || c.ca != caOpen && c.ca != caCWR {
		return false
	}
	d := c.cfg.InitialRTO
	if c.rtt.srtt > 0 {
		d = c.rtt.srtt / 4
		if c.counts.packets == 1 {
			d += c.cfg.MinRTO
		} else {
			d += minReorderTimeout
		}
	}
	rto := c.rtt.rto
	if !advancing {
		rto = c.untilRTO()
	}
	if rto > 0 {
		d = min(d, rto)
	}
	c.arm(timerProbe, d)
	return true
}

// sendLossProbe is RFC 8985 section 7.3: new data, else the last segment again.
func (c *Conn) sendLossProbe() {
	if c.probe() {
		c.tlp.active, c.tlp.high = true, c.sndNxt
		c.stats.TLPs++
		c.disarm() // the RTO starts now
	}
	c.rearm()
}

func (c *Conn) probe() bool {
	if c.tlp.active { // one at a time
		return false
	}
	c.tlp.retrans = false
	if c.unsent() > 0 {
		n := min(int(c.snd.end()-c.sndNxt), c.currentMSS())
		if !after(c.sndNxt+uint32(n), c.windowEnd()) {
			outstanding := c.counts.packets
			c.sendData(sendProbe)
			return c.counts.packets > outstanding
		}
	}
	t := c.txq.tail()
	if t == nil || !c.resend(t) {
		return false
	}
	c.tlp.retrans = true
	return true
}

// processProbeACK ends a probe's episode (RFC 8985 section 7.4).
func (c *Conn) processProbeACK(ack uint32, e *ackEvent) {
	if !c.tlp.active || before(ack, c.tlp.high) {
		return
	}
	switch {
	case !c.tlp.retrans, e.flag&ackDSACKofTLP != 0:
		c.tlp.active = false
	case after(ack, c.tlp.high):
		// No D-SACK came: the probe repaired a loss.
		c.initReduction()
		c.setCA(caCWR)
		c.endReduction()
		c.keepOpen()
	case e.flag&(ackAdvanced|ackNotDup|ackSACKed) == 0:
		c.tlp.active = false // a duplicate ACK: the original had arrived
	}
}
