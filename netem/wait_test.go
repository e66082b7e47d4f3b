package netem

import (
	"testing"
	"time"
)

// arrivals notes when packets arrive.
type arrivals struct{ at []time.Time }

func (a *arrivals) Sent(time.Time, uint64, Direction, []byte) {}
func (a *arrivals) Delivered(now time.Time, _ uint64)         { a.at = append(a.at, now) }
func (a *arrivals) Dropped(time.Time, uint64, Drop)           {}
func (a *arrivals) Radio(time.Time, RadioState)               {}

// Wait foretells what happens: on a link without service time or delay a packet
// arrives when its wait is over.
func TestWait(t *testing.T) {
	start := time.Unix(1000, 0)
	cfg := Config{
		Outages: []Outage{{Start: 300 * time.Second, Duration: 20 * time.Second, Every: 400 * time.Second}},
		Radio: &RadioConfig{
			RRC:  &RRCConfig{Setup: Latency{Fixed: 100 * ms, Median: 300 * ms, Sigma: 0.5}, Inactivity: 10 * time.Second},
			CDRX: &CDRXConfig{Inactivity: 2 * time.Second, Cycle: 500 * ms, OnDuration: 20 * ms},
			Idle: &IdleConfig{Cycle: 2560 * ms},
		},
	}
	for _, lose := range []bool{false, true} {
		cfg.OutageLose = lose
		tap := new(arrivals)
		link, err := NewLink(cfg, 3, start, tap)
		if err != nil {
			t.Fatal(err)
		}
		waited, lost := 0, 0
		now := start
		for i := range 400 {
			dir := Direction(i % 2)
			now = now.Add(time.Duration(1+i*i%23) * 700 * ms)
			link.Advance(now, func(Direction, []byte) {})
			wait, ok := link.Wait(now, dir)
			before := len(tap.at)
			link.Send(now, dir, make([]byte, 100))
			for len(tap.at) == before && ok {
				next, any := link.Next()
				if !any {
					t.Fatalf("packet %d never arrives, want after %v", i, wait)
				}
				link.Advance(next, func(Direction, []byte) {})
			}
			if !ok {
				lost++
				continue
			}
			if got := tap.at[len(tap.at)-1].Sub(now); got != wait {
				t.Errorf("packet %d (%v) at %v took %v, want %v", i, dir, now.Sub(start), got, wait)
			}
			now = tap.at[len(tap.at)-1]
			if wait > 0 {
				waited++
			}
		}
		if waited < 50 || lose != (lost > 0) {
			t.Errorf("lose %v: %d packets waited, %d were lost", lose, waited, lost)
		}
	}
}

// What nobody can foretell is said to be unknown.
func TestWaitPSM(t *testing.T) {
	start := time.Unix(1000, 0)
	link, err := NewLink(Config{Radio: &RadioConfig{
		RRC: &RRCConfig{Setup: Latency{Fixed: 100 * ms}, Inactivity: time.Second},
		PSM: &PSMConfig{T3324: 2 * time.Second, Wake: Latency{Fixed: 50 * ms}},
	}}, 1, start, nil)
	if err != nil {
		t.Fatal(err)
	}
	if next, ok := link.NextChange(); !ok || next != start.Add(2*time.Second) {
		t.Errorf("the next change is at %v, %v", next, ok)
	}
	link.Advance(start.Add(3*time.Second), func(Direction, []byte) {})
	if wait, ok := link.Wait(start.Add(3*time.Second), Up); !ok || wait != 150*ms {
		t.Errorf("uplink waits %v, %v", wait, ok)
	}
	if _, ok := link.Wait(start.Add(3*time.Second), Down); ok {
		t.Error("downlink in power saving mode has a known wait")
	}
}
