package tcp

import "time"

// cubic is CUBIC (RFC 9438) with Linux's integers: beta = 717/1024 and
// C = 410/1024 segments/s^3, windows in segments, the clock read in ticks.
type cubic struct {
	hystart bool

	cnt         uint32 // segments to deliver for an increase by one
	lastMax     uint32 // W_max, 0: none yet
	lastCwnd    uint32
	lastTime    time.Duration
	origin      uint32
	k           uint64 // K in 1/1024 s
	epoch       time.Duration
	ackCnt      uint32
	tcpCwnd     uint32 // W_est, the window of a Reno flow
	delayMin    time.Duration
	found       bool // HyStart ended slow start
	roundStart  time.Duration
	roundEnd    uint32 // sequence number that ends the round
	lastAck     time.Duration
	roundMin    time.Duration // least round trip of the round
	roundSample int
}

const (
	cubicBeta      = 717 // of 1024
	cubicC         = 410 // of 1024
	cubicBetaScale = 8 * (1024 + cubicBeta) / 3 / (1024 - cubicBeta)

	hystartLowWindow  = 16
	hystartMinSamples = 8
	hystartAckDelta   = 2 * time.Millisecond
	hystartDelayMin   = 4 * time.Millisecond
	hystartDelayMax   = 16 * time.Millisecond
)

func (q *cubic) init(c *Conn) {
	*q = cubic{hystart: q.hystart}
	q.newRound(c)
}

// lossState starts anew after a time-out.
func (q *cubic) lossState(c *Conn) {
	*q = cubic{hystart: q.hystart}
	q.newRound(c)
}

// restart moves the epoch over an idle time, which is no time of growth
// (RFC 9438 section 5.8).
func (q *cubic) restart(c *Conn) {
	if idle := c.tickNow() - (c.lastSend - c.lastSend%c.cfg.Tick); q.epoch != 0 && idle > 0 {
		q.epoch = min(q.epoch+idle, c.tickNow())
	}
}

// ssthresh is RFC 9438 section 4.6 and 4.7, multiplicative decrease and fast
// convergence.
func (q *cubic) ssthresh(c *Conn) uint32 {
	q.epoch = 0
	if c.cwnd < q.lastMax {
		q.lastMax = c.cwnd * (1024 + cubicBeta) / (2 * 1024)
	} else {
		q.lastMax = c.cwnd
	}
	return max(c.cwnd*cubicBeta/1024, 2)
}

func (q *cubic) avoid(c *Conn, n uint32) {
	if !c.isWindowLimited() {
		return
	}
	if c.inSlowStart() {
		if n = c.slowStart(n); n == 0 {
			return
		}
	}
	q.update(c, n)
	c.additiveIncrease(q.cnt, n)
}

// update computes cnt for the current time.
func (q *cubic) update(c *Conn, n uint32) {
	cwnd, now := c.cwnd, c.tickNow()
	q.ackCnt += n
	if q.lastCwnd == cwnd && now-q.lastTime <= time.Second/32 {
		return
	}
	if q.epoch == 0 || now != q.lastTime {
		q.lastCwnd, q.lastTime = cwnd, now
		q.target(cwnd, now, n)
	}
	q.friendly(cwnd)
	q.cnt = max(q.cnt, 2) // at most 1.5 times the window per round trip
}

// target sets cnt so that the window follows the cubic function W_cubic
// (RFC 9438 section 4.2) a round trip ahead.
func (q *cubic) target(cwnd uint32, now time.Duration, n uint32) {
	if q.epoch == 0 {
		q.epoch = now
		q.ackCnt, q.tcpCwnd = n, cwnd
		if q.lastMax <= cwnd {
			q.k, q.origin = 0, cwnd
		} else {
			q.k = cubeRoot(1 << 40 / cubicC * uint64(q.lastMax-cwnd))
			q.origin = q.lastMax
		}
	}
	t := uint64(now-q.epoch+q.delayMin) * 1024 / uint64(time.Second)
	off := t - q.k
	if t < q.k {
		off = q.k - t
	}
	off = min(off, 300*1024) // beyond five minutes the product would overflow
	delta := uint32(cubicC * off * off * off >> 40)
	goal := q.origin + delta
	if t < q.k {
		goal = q.origin - delta
	}
	if goal > cwnd {
		q.cnt = cwnd / (goal - cwnd)
	} else {
		q.cnt = 100 * cwnd
	}
	if q.lastMax == 0 {
		q.cnt = min(q.cnt, 20) // no loss yet: at least 5 % per round trip
	}
}

// friendly grows no slower than a Reno flow would (RFC 9438 section 4.3).
func (q *cubic) friendly(cwnd uint32) {
	step := cwnd * cubicBetaScale / 8
	for q.ackCnt > step {
		q.ackCnt -= step
		q.tcpCwnd++
	}
	if q.tcpCwnd > cwnd {
		q.cnt = min(q.cnt, cwnd/(q.tcpCwnd-cwnd))
	}
}

// cubeRoot is the integer cube root.
func cubeRoot(a uint64) uint64 {
	lo, hi := uint64(0), uint64(1)<<21
	for lo < hi {
		if m := (lo + hi + 1) / 2; m*m*m <= a {
			lo = m
		} else {
			hi = m - 1
		}
	}
	return lo
}

// acked feeds a round trip to HyStart.
func (q *cubic) acked(c *Conn, rtt time.Duration) {
	if rtt < 0 || q.epoch != 0 && c.tickNow()-q.epoch < time.Second {
		return // just after a recovery round trips mean little
	}
	rtt = max(rtt, time.Microsecond)
	if q.delayMin == 0 || rtt < q.delayMin {
		q.delayMin = rtt
	}
	if q.hystart && !q.found && c.inSlowStart() {
		q.detect(c, rtt)
	}
}

func (q *cubic) newRound(c *Conn) {
	q.roundStart, q.lastAck = c.now, c.now
	q.roundEnd = c.sndNxt
	q.roundMin, q.roundSample = 1<<63-1, 0
}

// detect ends slow start before the queue overflows (HyStart, Ha and Rhee
// 2011): when a train of closely spaced ACKs is as long as half the least
// round trip, or when a round's least round trip has grown by an eighth.
func (q *cubic) detect(c *Conn, rtt time.Duration) {
	if after(c.sndUna, q.roundEnd) {
		q.newRound(c)
	}
	if c.cwnd < hystartLowWindow {
		return
	}
	if c.now-q.lastAck <= hystartAckDelta {
		q.lastAck = c.now
		if c.now-q.roundStart > q.delayMin/2 {
			q.exit(c)
		}
	}
	q.roundMin = min(q.roundMin, rtt)
	if q.roundSample < hystartMinSamples {
		q.roundSample++
		return
	}
	if q.roundMin > q.delayMin+min(max(q.delayMin/8, hystartDelayMin), hystartDelayMax) {
		q.exit(c)
	}
}

func (q *cubic) exit(c *Conn) {
	q.found = true
	c.ssthresh = c.cwnd
}
