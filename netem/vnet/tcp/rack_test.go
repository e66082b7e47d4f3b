package tcp

import (
	"testing"
	"time"
)

// The reordering window (RFC 8985 section 6.2, step 4): none until reordering
// was seen and the loss is evident, else a quarter of the least round trip for
// each D-SACK round, at most the smoothed round trip, and back after 16
// recoveries.
func TestReorderingWindow(t *testing.T) {
	c := newConn(Linux(), time.Unix(1_900_000_000, 0), 1, 2, 0, 1358, false)
	c.rtt.min.add(c.now, 100*time.Millisecond)
	c.rtt.srtt = 8 * 160 * time.Millisecond
	want := func(d time.Duration, when string) {
		t.Helper()
		if got := c.rack.window(c); got != d {
			t.Errorf("%s: %v, want %v", when, got, d)
		}
	}
	want(25*time.Millisecond, "at first")
	c.counts.sacked = 3
	want(0, "with three SACKed segments and no reordering")
	c.reordSeen = true
	want(25*time.Millisecond, "with reordering")

	e := ackEvent{rated: true}
	for n := range 10 {
		c.delivered += 10
		e.priorDelivered = c.delivered // a round trip after the last change
		c.rack.dsackSeen = true
		c.rack.updateWindow(c, &e)
		want(min(time.Duration(n+2)*25*time.Millisecond, 160*time.Millisecond), "grown")
	}
	steps := c.rack.steps
	e.priorDelivered = c.delivered - 1
	c.rack.dsackSeen = true
	c.rack.updateWindow(c, &e)
	if c.rack.steps != steps {
		t.Error("grew twice in a round trip")
	}
	c.setCA(caRecovery)
	for range persistRecoveries {
		c.undoRecovery() // a recovery ends without being undone
	}
	c.rack.updateWindow(c, &e)
	want(25*time.Millisecond, "after sixteen recoveries")
}

// The filter holds the least of the last five minutes.
func TestWindowedMin(t *testing.T) {
	var w windowedMin
	if w.get() != 1<<63-1 {
		t.Error("a minimum of nothing")
	}
	var all []minSample
	for n := range 3000 {
		now := time.Duration(n+1) * time.Second
		v := time.Duration(200+(n*7919)%101+n/20%50) * time.Millisecond
		w.add(now, v)
		all = append(all, minSample{now, v})
		least := v
		for _, s := range all {
			if now-s.at <= minWindow {
				least = min(least, s.v)
			}
		}
		if got := w.get(); got < least || got > least+30*time.Millisecond {
			t.Fatalf("after %v: %v, the least is %v", now, got, least)
		}
	}
}
