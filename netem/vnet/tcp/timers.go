package tcp

import "time"

// timerKind says what the one transmit timer of a connection is set for.
type timerKind uint8

const (
	timerNone timerKind = iota
	timerRetransmit
	timerReorder // RACK's reordering window
	timerProbe   // tail loss probe
	timerPersist // zero-window probe
)

// tickNow is the time of the last tick.
func (c *Conn) tickNow() time.Duration { return c.now - c.now%c.cfg.Tick }

// ceilTick rounds an interval up to whole ticks.
func (c *Conn) ceilTick(d time.Duration) time.Duration {
	if r := d % c.cfg.Tick; r > 0 {
		d += c.cfg.Tick - r
	}
	return d
}

// deadline is when a timer set now for d fires: d in whole ticks after the
// last tick, and with a timer wheel rounded up to its level's granularity.
func (c *Conn) deadline(d time.Duration) time.Duration {
	return c.wheel(c.tickNow() + c.ceilTick(d))
}

// wheel rounds an expiry up as Linux's timer wheel does (kernel/time/timer.c):
// the level that covers n ticks has a granularity of 8^level, from 63 ticks
// on; an expiry on a boundary moves to the next.
func (c *Conn) wheel(at time.Duration) time.Duration {
	if !c.cfg.TimerWheel {
		return at
	}
	gran := c.cfg.Tick
	for start := 63 * c.cfg.Tick; at-c.now >= start && start < 24*time.Hour; start *= 8 {
		gran *= 8
	}
	return (at + gran) / gran * gran
}

// arm sets the transmit timer.
func (c *Conn) arm(kind timerKind, d time.Duration) {
	c.xmitKind = kind
	c.xmitAt = c.deadline(min(d, c.cfg.MaxRTO))
}

func (c *Conn) disarm() { c.xmitKind = timerNone }

// Next says when Tick is wanted; ok is false when no timer runs.
func (c *Conn) Next() (at time.Time, ok bool) {
	var d time.Duration
	earliest := func(t time.Duration) {
		if d == 0 || t < d {
			d = t
		}
	}
	if c.xmitKind != timerNone {
		earliest(c.xmitAt)
	}
	if c.ack.timer {
		earliest(c.ack.fires)
	}
	if c.idleAt != 0 {
		earliest(c.idleAt)
	}
	if d == 0 {
		return time.Time{}, false
	}
	return c.epoch.Add(d), true
}

// Tick runs every timer that is due.
func (c *Conn) Tick(now time.Time) {
	c.setNow(now)
	if c.ack.timer && c.now >= c.ack.fires {
		c.delayedACKTimeout()
	}
	if c.xmitKind != timerNone && c.now >= c.xmitAt {
		c.transmitTimeout()
	}
	if c.idleAt != 0 && c.now >= c.idleAt {
		c.idleTimeout()
	}
}

func (c *Conn) transmitTimeout() {
	switch c.xmitKind {
	case timerReorder:
		c.reorderTimeout()
	case timerProbe:
		c.sendLossProbe()
	case timerRetransmit:
		c.disarm()
		c.retransmitTimeout()
	case timerPersist:
		c.disarm()
		c.persistTimeout()
	}
}

// idleTimeout ends TIME-WAIT and an orphaned FIN-WAIT-2, and runs keep-alive.
func (c *Conn) idleTimeout() {
	c.idleAt = 0
	switch {
	case c.state == TimeWait, c.state == FinWait2 && c.orphan:
		c.die(nil)
	case c.cfg.KeepAlive > 0 && c.synchronised():
		c.keepAlive()
	}
}

func (c *Conn) resetKeepAlive() {
	if c.cfg.KeepAlive > 0 {
		c.idleAt = c.deadline(c.cfg.KeepAlive)
	}
}

// keepAlive probes an idle peer (RFC 9293 section 3.8.4).
func (c *Conn) keepAlive() {
	if c.counts.packets > 0 || c.unsent() > 0 {
		c.resetKeepAlive()
		return
	}
	idle := c.now - max(c.lastRecv, c.ack.lastData)
	if idle < c.cfg.KeepAlive {
		c.idleAt = c.deadline(c.cfg.KeepAlive - idle)
		return
	}
	if c.cfg.UserTimeout > 0 && idle >= c.cfg.UserTimeout && c.probesOut > 0 ||
		c.cfg.UserTimeout == 0 && c.probesOut >= c.cfg.KeepAliveProbes {
		c.sendRST()
		c.die(ErrTimeout)
		return
	}
	c.probesOut++
	c.sendProbe()
	c.idleAt = c.deadline(c.cfg.KeepAliveInterval)
}

// retransmitTimeout is RFC 6298 section 5.4 to 5.7.
func (c *Conn) retransmitTimeout() {
	if c.state == SynReceived && c.passive {
		c.synACKTimeout()
		return
	}
	if c.counts.packets == 0 {
		return
	}
	if c.sndWnd > 0 || c.orphan || !c.synchronised() {
		c.stats.RTOs++
		if c.gaveUp() {
			c.die(ErrTimeout)
			return
		}
		c.enterLoss()
		c.retransmits++
	} else {
		// The peer took its window back: the retransmission is a probe of it
		// and must not end the connection while the peer answers.
		if c.now-c.lastRecv > 2*c.cfg.MaxRTO {
			c.die(ErrTimeout)
			return
		}
		c.enterLoss()
	}
	if c.state == SynSent || c.state == SynReceived {
		c.synRetrans++
	}
	c.retransmit(c.txq.head())
	c.rtt.rto = min(2*c.rtt.rto, c.cfg.MaxRTO)
	c.arm(timerRetransmit, c.untilUserTimeout(c.rtt.rto))
}

// synACKTimeout repeats the SYN-ACK of a passive open.
func (c *Conn) synACKTimeout() {
	c.stats.RTOs++
	if c.retransmits >= c.cfg.SYNACKRetries {
		c.die(ErrTimeout)
		return
	}
	c.retransmits++
	c.undo.active = true
	c.repeatSYNACK()
	c.arm(timerRetransmit, min(c.cfg.InitialRTO<<c.retransmits, c.cfg.MaxRTO))
}

// gaveUp says whether it is time to end the connection (RFC 9293 section
// 3.8.3).
func (c *Conn) gaveUp() bool {
	if c.state == SynSent || c.state == SynReceived {
		return c.retransmits >= c.cfg.SYNRetries || c.userTimeoutPassed()
	}
	if c.retransmits == 0 {
		return false
	}
	if c.cfg.UserTimeout > 0 {
		return c.userTimeoutPassed()
	}
	tries := c.cfg.Retries
	if c.orphan { // nobody waits for it; Linux: tcp_orphan_retries
		tries = 8
		if c.rtt.rto >= c.cfg.MaxRTO {
			tries = 0
		}
	}
	return c.sinceFirstRetransmission() >= backoffSum(tries, c.cfg.MinRTO, c.cfg.MaxRTO)
}

func (c *Conn) sinceFirstRetransmission() time.Duration {
	return time.Duration(c.tsNow()-c.undo.stamp) * time.Millisecond
}

func (c *Conn) userTimeoutPassed() bool {
	return c.cfg.UserTimeout > 0 && c.retransmits > 0 && c.sinceFirstRetransmission() >= c.cfg.UserTimeout
}

// untilUserTimeout shortens an RTO that would overshoot the user timeout.
func (c *Conn) untilUserTimeout(rto time.Duration) time.Duration {
	if c.cfg.UserTimeout == 0 {
		return rto
	}
	return min(rto, max(c.cfg.UserTimeout-c.sinceFirstRetransmission(), c.cfg.Tick))
}

// backoffSum is how long n retransmissions take that start at first and
// double up to most.
func backoffSum(n int, first, most time.Duration) time.Duration {
	var sum time.Duration
	for rto := first; n >= 0; n-- {
		sum += rto
		if 2*rto <= most {
			rto *= 2
		} else {
			rto = most
		}
	}
	return sum
}

// persistTimeout probes a closed window (RFC 9293 section 3.8.6.1).
func (c *Conn) persistTimeout() {
	if c.counts.packets > 0 || c.unsent() == 0 {
		c.probesOut, c.probesSince = 0, 0
		return
	}
	if c.probesSince == 0 {
		c.probesSince = c.now
	}
	tries := c.cfg.Retries
	if c.orphan {
		tries = min(tries, 8)
	}
	if c.cfg.UserTimeout > 0 && c.now-c.probesSince >= c.cfg.UserTimeout || c.probesOut >= tries {
		c.die(ErrTimeout)
		return
	}
	c.stats.ZeroWindowProbes++
	c.wakeWindow()
	if c.counts.packets > 0 || c.unsent() == 0 {
		c.probesOut, c.backoff, c.probesSince = 0, 0, 0
		return
	}
	c.probesOut++
	if c.backoff < c.cfg.Retries {
		c.backoff++
	}
	c.armPersist()
}

func (c *Conn) armPersist() {
	d := max(c.rtt.rto, c.cfg.MinRTO) << min(c.backoff, 10)
	if c.cfg.UserTimeout > 0 && c.probesSince != 0 {
		d = min(d, max(c.cfg.UserTimeout-(c.now-c.probesSince), 2*c.cfg.Tick))
	}
	c.arm(timerPersist, d)
}

// rearm restarts the RTO after progress (RFC 6298 section 5.3).
func (c *Conn) rearm() {
	if c.counts.packets == 0 {
		c.disarm()
		return
	}
	d := c.rtt.rto
	if c.xmitKind == timerReorder || c.xmitKind == timerProbe {
		d = max(c.untilRTO(), 1)
	}
	c.arm(timerRetransmit, d)
}

// untilRTO is the time until the RTO of the oldest segment.
func (c *Conn) untilRTO() time.Duration {
	t := c.txq.head()
	if t == nil {
		return c.rtt.rto
	}
	return t.at + c.rtt.rto - c.now
}
