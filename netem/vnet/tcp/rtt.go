package tcp

import "time"

// rttState estimates the round trip (RFC 6298). The scaled values are Linux's:
// srtt eight times, mdev four times what they name.
type rttState struct {
	srtt    time.Duration // 8 x smoothed round trip; 0: not measured
	mdev    time.Duration // 4 x mean deviation
	mdevMax time.Duration // greatest mdev of this round trip
	rttvar  time.Duration
	seq     uint32 // end of the current round trip
	rto     time.Duration
	min     windowedMin
}

// sample feeds a measured round trip.
func (c *Conn) sampleRTT(d time.Duration) {
	if g := c.cfg.RTTGranularity; g > 0 {
		d = max(d-d%g, g)
	}
	r := &c.rtt
	if c.cfg.RTTEstimator == "jacobson" {
		r.jacobson(d)
		r.rto = max(r.srtt/8+r.rttvar, c.cfg.MinRTO)
	} else {
		r.linux(d, c.cfg.MinRTO, c.sndUna, c.sndNxt)
		r.rto = r.srtt/8 + r.rttvar
	}
	r.rto = min(c.ceilTick(r.rto), c.cfg.MaxRTO)
	c.backoff = 0
}

// jacobson is RFC 6298 section 2 to the letter; rttvar is K x RTTVAR, K = 4.
func (r *rttState) jacobson(m time.Duration) {
	if r.srtt == 0 {
		r.srtt, r.mdev = 8*m, 2*m
	} else {
		dev := m - r.srtt/8
		r.srtt += dev
		if dev < 0 {
			dev = -dev
		}
		r.mdev += dev - r.mdev/4
	}
	r.rttvar = r.mdev
}

// linux is the kernel's estimator: a shrinking round trip moves the deviation
// by an eighth only, the variance decays once per round trip and is never
// below floor, so that the RTO is at least the round trip plus floor.
func (r *rttState) linux(m, floor time.Duration, una, nxt uint32) {
	if r.srtt == 0 {
		r.srtt, r.mdev = 8*m, 2*m
		r.rttvar = max(r.mdev, floor)
		r.mdevMax, r.seq = r.rttvar, nxt
		return
	}
	dev := m - r.srtt/8
	r.srtt = max(r.srtt+dev, 1)
	if dev < 0 {
		dev = -dev - r.mdev/4
		if dev > 0 {
			dev /= 8
		}
	} else {
		dev -= r.mdev / 4
	}
	r.mdev += dev
	if r.mdev > r.mdevMax {
		r.mdevMax = r.mdev
		r.rttvar = max(r.rttvar, r.mdevMax)
	}
	if after(una, r.seq) {
		if r.mdevMax < r.rttvar {
			r.rttvar -= (r.rttvar - r.mdevMax) / 4
		}
		r.seq, r.mdevMax = nxt, floor
	}
}

// windowedMin is the minimum over the last minWindow, kept as the three best
// candidates of successively later parts of it (Kathleen Nichols' filter).
type windowedMin struct{ s [3]minSample }

type minSample struct{ at, v time.Duration }

// minWindow is how long a minimum holds (Linux: tcp_min_rtt_wlen, 300 s).
const minWindow = 300 * time.Second

// get is the minimum; before the first sample it is the longest duration.
func (w *windowedMin) get() time.Duration {
	if w.s[0].at == 0 {
		return 1<<63 - 1
	}
	return w.s[0].v
}

func (w *windowedMin) add(now, v time.Duration) {
	n := minSample{now, v}
	if w.s[0].at == 0 || v <= w.s[0].v || now-w.s[2].at > minWindow {
		w.s = [3]minSample{n, n, n}
		return
	}
	if v <= w.s[1].v {
		w.s[1], w.s[2] = n, n
	} else if v <= w.s[2].v {
		w.s[2] = n
	}
	switch age := now - w.s[0].at; {
	case age > minWindow: // the best expired: the others move up
		w.s = [3]minSample{w.s[1], w.s[2], n}
		if now-w.s[0].at > minWindow {
			w.s = [3]minSample{w.s[1], n, n}
		}
	case w.s[1].at == w.s[0].at && age > minWindow/4:
		w.s[1], w.s[2] = n, n
	case w.s[2].at == w.s[1].at && age > minWindow/2:
		w.s[2] = n
	}
}

// tsNow is the timestamp clock: milliseconds (RFC 7323 section 5.4).
func (c *Conn) tsNow() uint32 { return uint32(c.now / time.Millisecond) }

// sinceTS is the age of an echoed timestamp of ours; ok is false when it
// cannot be one.
func (c *Conn) sinceTS(ecr uint32) (d time.Duration, ok bool) {
	if ecr == 0 {
		return 0, false
	}
	delta := c.tsNow() - (ecr - c.tsOffset)
	if delta > 1<<31/1000 {
		return 0, false
	}
	return time.Duration(max(delta, 1)) * time.Millisecond, true
}

// storeTS remembers the peer's timestamp to echo (RFC 7323 section 4.3).
func (r *receiver) storeTS(c *Conn, s *Segment) {
	r.tsRecent, r.tsRecentAt, r.tsValid = s.TSVal, c.now, true
}

// pawsMaxAge is how long a timestamp is worth comparing (RFC 7323 section 5.5).
const pawsMaxAge = 24 * 24 * time.Hour

// pawsOK is the test R1 of RFC 7323 section 5.3; slack timestamps may be older.
func (r *receiver) pawsOK(c *Conn, s *Segment, slack int32) bool {
	return !r.tsValid || int32(r.tsRecent-s.TSVal) <= slack || c.now-r.tsRecentAt > pawsMaxAge || r.tsRecent == 0
}
