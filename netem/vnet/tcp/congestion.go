package tcp

import "time"

// congestion is a congestion control algorithm. Windows are in segments.
type congestion interface {
	// init is called when the connection is established.
	init(c *Conn)
	// ssthresh is the new slow start threshold after a loss.
	ssthresh(c *Conn) uint32
	// avoid grows the window after n segments were delivered.
	avoid(c *Conn, n uint32)
	// acked sees every round trip measured; negative: none.
	acked(c *Conn, rtt time.Duration)
	// lossState is told of a retransmission time-out.
	lossState(c *Conn)
	// restart is told that data leaves an idle connection.
	restart(c *Conn)
}

func newCongestion(cfg Config) congestion {
	if cfg.Congestion == "reno" {
		return reno{}
	}
	return &cubic{hystart: cfg.HyStart}
}

// inSlowStart is RFC 5681 section 3.1.
func (c *Conn) inSlowStart() bool { return c.cwnd < c.ssthresh }

// slowStart grows the window by what was delivered, up to ssthresh, and
// returns what is left over (RFC 5681 section 3.1, counting segments).
func (c *Conn) slowStart(n uint32) uint32 {
	w := min(c.cwnd+n, c.ssthresh)
	n -= w - c.cwnd
	c.cwnd = w
	return n
}

// additiveIncrease grows the window by one segment for each w delivered.
func (c *Conn) additiveIncrease(w, n uint32) {
	if c.cwndCnt >= w { // credits from a higher w: gently
		c.cwndCnt = 0
		c.cwnd++
	}
	c.cwndCnt += n
	if c.cwndCnt >= w {
		c.cwnd += c.cwndCnt / w
		c.cwndCnt %= w
	}
}

// isWindowLimited says whether the window was in full use; otherwise it must
// not grow (RFC 7661). In slow start half of it suffices.
func (c *Conn) isWindowLimited() bool {
	return c.cwndLimited || c.inSlowStart() && c.cwnd < 2*c.maxOut
}

// validateWindow keeps track of the use of the window, and lets one that the
// application did not use for an RTO decay (RFC 2861).
func (c *Conn) validateWindow(limited bool) {
	if !before(c.sndUna, c.cwndUsageSeq) || limited || !c.cwndLimited && c.counts.packets > c.maxOut {
		c.cwndLimited = limited
		c.maxOut = c.counts.packets
		c.cwndUsageSeq = c.sndNxt
	}
	if c.isWindowLimited() {
		c.cwndUsed = 0
		c.cwndStamp = c.now
		return
	}
	c.cwndUsed = max(c.cwndUsed, c.counts.packets)
	if !c.cfg.SlowStartAfterIdle || c.now-c.cwndStamp < c.rtt.rto {
		return
	}
	if c.ca == caOpen && !c.noSpace {
		if used := max(c.cwndUsed, uint32(c.cfg.InitialWindow)); used < c.cwnd {
			c.ssthresh = c.currentSsthresh()
			c.cwnd = (c.cwnd + used) / 2
		}
		c.cwndUsed = 0
	}
	c.cwndStamp = c.now
}

// slowStartAfterIdle halves the window for every RTO without sending, down to
// the initial one (RFC 2861).
func (c *Conn) slowStartAfterIdle() {
	idle := c.now - c.lastSend
	if !c.cfg.SlowStartAfterIdle || c.counts.packets > 0 || idle <= c.rtt.rto {
		return
	}
	least := min(uint32(c.cfg.InitialWindow), c.cwnd)
	c.ssthresh = c.currentSsthresh()
	for idle -= c.rtt.rto; idle > 0 && c.cwnd > least; idle -= c.rtt.rto {
		c.cwnd /= 2
	}
	c.cwnd = max(c.cwnd, least)
	c.cwndStamp = c.now
	c.cwndUsed = 0
}

// reno is RFC 5681.
type reno struct{}

func (reno) init(*Conn)                 {}
func (reno) ssthresh(c *Conn) uint32    { return max(c.cwnd/2, 2) }
func (reno) acked(*Conn, time.Duration) {}
func (reno) lossState(*Conn)            {}
func (reno) restart(*Conn)              {}

func (reno) avoid(c *Conn, n uint32) {
	if !c.isWindowLimited() {
		return
	}
	if c.inSlowStart() {
		if n = c.slowStart(n); n == 0 {
			return
		}
	}
	c.additiveIncrease(c.cwnd, n)
}
