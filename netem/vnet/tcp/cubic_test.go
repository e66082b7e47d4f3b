package tcp

import (
	"math"
	"testing"
	"time"
)

// bare is a connection with a clock, for the congestion control alone.
func bare(cwnd uint32) *Conn {
	c := newConn(Linux(), time.Unix(1_900_000_000, 0), 1, 2, 0, 1358, false)
	c.cwnd = cwnd
	c.cwndLimited = true
	c.cc.init(c)
	return c
}

// grow delivers a window of segments per round trip and returns the window
// after each.
func grow(c *Conn, rtt time.Duration, rounds int) (out []uint32) {
	for range rounds {
		for n := c.cwnd; n > 0; n-- {
			c.now += rtt / time.Duration(c.cwnd+1)
			c.cc.acked(c, rtt)
			c.cc.avoid(c, 1)
		}
		out = append(out, c.cwnd)
	}
	return out
}

// After a loss at W_max the window follows W(t) = C (t-K)^3 + W_max with
// K = cbrt(W_max (1-beta) / C) (RFC 9438 section 4.2).
func TestCubicFollowsItsFunction(t *testing.T) {
	const rtt = 100 * time.Millisecond
	c := bare(1000)
	c.ssthresh = c.cc.ssthresh(c)
	c.cwnd = c.ssthresh
	if c.cwnd != 700 {
		t.Fatalf("beta: %d of 1000", c.cwnd)
	}
	start := c.now
	k := math.Cbrt(300 / 0.4)
	for range 150 {
		grow(c, rtt, 1)
		at := (c.now - start).Seconds()
		want := 0.4*math.Pow(at-k, 3) + 1000
		if math.Abs(float64(c.cwnd)-want) > 0.015*want {
			t.Fatalf("after %.1f s: window %d, want %.0f", at, c.cwnd, want)
		}
	}
}

// Small windows grow as Reno's would (RFC 9438 section 4.3): 0.53 segments per
// round trip, the rate that is fair with a factor of 0.7.
func TestCubicIsFriendly(t *testing.T) {
	c := bare(10)
	c.ssthresh = c.cc.ssthresh(c)
	c.cwnd = c.ssthresh
	w := grow(c, 10*time.Millisecond, 40)
	if got := w[39]; got < 7+16 || got > 7+27 {
		t.Errorf("window %d after 40 round trips from 7", got)
	}
}

// Fast convergence (RFC 9438 section 4.7): a second loss below W_max lowers it
// further.
func TestCubicFastConvergence(t *testing.T) {
	c := bare(100)
	q := c.cc.(*cubic)
	c.cc.ssthresh(c)
	if q.lastMax != 100 {
		t.Errorf("W_max %d", q.lastMax)
	}
	c.cwnd = 80
	c.cc.ssthresh(c)
	if q.lastMax != 80*(1024+717)/2048 {
		t.Errorf("W_max %d after a loss at 80", q.lastMax)
	}
	c.cwnd = 2
	if got := c.cc.ssthresh(c); got != 2 {
		t.Errorf("ssthresh %d, at least 2", got)
	}
}

// An idle time is not a time of growth (RFC 9438 section 5.8).
func TestCubicIdle(t *testing.T) {
	c := bare(100)
	c.ssthresh = c.cc.ssthresh(c)
	c.cwnd = c.ssthresh
	grow(c, 100*time.Millisecond, 3)
	before := c.cwnd
	c.lastSend = c.now
	c.now += time.Minute
	c.cc.restart(c)
	grow(c, 100*time.Millisecond, 1)
	if c.cwnd > before+5 {
		t.Errorf("window %d after a minute's pause, %d before", c.cwnd, before)
	}
}

func TestCubeRoot(t *testing.T) {
	for _, n := range []uint64{0, 1, 2, 10, 12345, 1 << 20} {
		for _, d := range []uint64{0, 1} {
			if got := cubeRoot(n*n*n + d*n); got != n {
				t.Errorf("cube root of %d^3 + %d: %d", n, d*n, got)
			}
		}
	}
}

// HyStart leaves slow start when a round's least round trip is an eighth (4 to
// 16 ms) above the least of all, not before 16 segments, and not for jitter in
// single samples.
func TestHyStartDelay(t *testing.T) {
	c := bare(10)
	round := func(rtt time.Duration) {
		c.sndNxt += c.cwnd * 1306
		for n := c.cwnd; n > 0; n-- {
			c.sndUna += 1306
			c.now += 3 * time.Millisecond // no train
			r := rtt
			if n%5 == 0 {
				r += 50 * time.Millisecond
			}
			c.cc.acked(c, r)
			c.cc.avoid(c, 1)
		}
	}
	round(100 * time.Millisecond) // 20
	round(100 * time.Millisecond) // 40
	round(111 * time.Millisecond) // within 12.5 ms
	if c.ssthresh != infiniteSsthresh || c.cwnd != 80 {
		t.Fatalf("left slow start at %d", c.cwnd)
	}
	round(113 * time.Millisecond)
	if c.ssthresh == infiniteSsthresh || c.cwnd > 100 {
		t.Errorf("window %d, ssthresh %d: the round trip grew by 13 ms", c.cwnd, c.ssthresh)
	}
}

// ... or when ACKs come closely spaced for longer than half the round trip.
func TestHyStartTrain(t *testing.T) {
	c := bare(20)
	c.sndNxt += 200 * 1306
	for range 60 {
		c.now += time.Millisecond
		c.sndUna += 1306
		c.cc.acked(c, 100*time.Millisecond)
		c.cc.avoid(c, 1)
	}
	if c.ssthresh == infiniteSsthresh || c.ssthresh < 65 || c.ssthresh > 75 {
		t.Errorf("ssthresh %d, want about 20 + 51", c.ssthresh)
	}
	c = bare(20)
	c.cc.(*cubic).hystart = false
	c.sndNxt += 200 * 1306
	for range 60 {
		c.now += time.Millisecond
		c.cc.acked(c, 100*time.Millisecond)
	}
	if c.ssthresh != infiniteSsthresh {
		t.Error("HyStart though it is off")
	}
}

// A time-out starts CUBIC anew.
func TestCubicAfterTimeout(t *testing.T) {
	c := bare(100)
	grow(c, 50*time.Millisecond, 2)
	c.setCA(caLoss)
	if q := c.cc.(*cubic); q.lastMax != 0 || q.epoch != 0 || q.found || q.delayMin != 0 {
		t.Errorf("%+v", q)
	}
}
