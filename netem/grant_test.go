package netem

import (
	"math"
	"testing"
	"time"
)

// The closed forms of NB1 with 12 tones in good coverage, TS 36.213 sections
// 16.4.1 (DCI to NPDSCH 4 ms), 16.4.2 (NPDSCH to ACK 12 ms) and 16.5.1 (DCI
// to NPUSCH 8 ms); 3 ms before the next NPDCCH search space.
var (
	nb1Down = GrantConfig{TBS: 680, Control: ms, Gap: 4 * ms, Data: 3 * ms, Unit: ms, AckGap: 12 * ms, Ack: 2 * ms, Post: 3 * ms}
	nb1Up   = GrantConfig{TBS: 1000, Control: ms, Gap: 8 * ms, Data: 4 * ms, Unit: ms, Post: 3 * ms}
)

func granted(up, down GrantConfig) Config {
	return Config{HalfDuplex: true, Radio: &RadioConfig{Up: &up, Down: &down}}
}

func TestGrantsClosedForm(t *testing.T) {
	r := newRig(t, granted(nb1Up, nb1Down))
	r.send(0, Down, 85, 85) // 680 b each, one block
	r.want(49*ms, "0 connected", "0 rx", "8 got 1", "20 tx", "22 rx", "33 got 2", "45 tx", "47 rx")
	r.send(60*ms, Up, 250) // two full blocks
	r.want(time.Second, "50 connected", "60 rx", "69 tx", "73 rx", "85 tx", "89 rx", "89 got 3", "92 connected")
}

func TestGrantRates(t *testing.T) {
	nb2Down, nb2Up := nb1Down, nb1Up
	nb2Down.TBS, nb2Down.Data, nb2Down.Processes = 2536, 10*ms, 2
	nb2Up.TBS, nb2Up.Data, nb2Up.Processes = 2536, 10*ms, 2
	single := GrantConfig{TBS: 1000, Control: ms, Gap: 8 * ms, Data: 52 * ms, Post: 3 * ms}
	lossy := nb1Up
	lossy.BLER = 0.1
	for _, test := range []struct {
		name string
		g    GrantConfig
		want float64 // bit/s
	}{
		{"NB1 downlink", nb1Down, 27_200},
		{"NB1 uplink, 12 tones", nb1Up, 62_500},
		{"NB1 uplink, single tone", single, 15_625},
		{"NB1 uplink, 10 % BLER", lossy, 56_250},
		{"NB2 downlink, two processes", nb2Down, 2 * 2536 / 0.042},
		{"NB2 uplink, two processes", nb2Up, 2 * 2536 / 0.032},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := float64(test.g.Rate()); math.Abs(got-test.want) > 1 {
				t.Errorf("Rate is %v, want %v", got, test.want)
			}
			// Packets of 200 full blocks each, so that nothing is wasted.
			cfg := granted(test.g, test.g)
			l, err := NewLink(cfg, 1, start, nil)
			if err != nil {
				t.Fatal(err)
			}
			size := 200 * test.g.TBS / 8
			const n = 50
			for range n {
				l.Send(start, Up, make([]byte, size))
			}
			var end time.Time
			for l.Stats(Up).Out < n {
				end, _ = l.Next()
				l.Advance(end, func(Direction, []byte) {})
			}
			got := float64(n*size*8) / end.Sub(start).Seconds()
			tolerance := 0.001
			if test.g.BLER > 0 {
				tolerance = 0.01 // 10,000 blocks: 0.3 % standard error
			}
			if math.Abs(got/test.want-1) > tolerance {
				t.Errorf("measured %.0f bit/s, want %.0f", got, test.want)
			}
		})
	}
}

// TestShortBlock: the last block of a packet takes its share of the data
// time, in whole subframes, times the repetitions.
func TestShortBlock(t *testing.T) {
	g := nb1Down
	g.Repetitions = 16
	r := newRig(t, granted(nb1Up, g))
	r.send(0, Down, 20) // 160 of 680 b: one of three subframes, 16 times
	r.want(30*ms, "0 connected", "0 rx", "21 got 1")
}

// TestConcatenation: small packets share a block, and a packet starts in what
// the last block of the one before leaves.
func TestConcatenation(t *testing.T) {
	r := newRig(t, granted(nb1Up, nb1Down))
	r.send(0, Up, 50)
	r.send(time.Nanosecond, Up, 50, 50, 200)
	r.want(100*ms, "0 connected", "0 rx", "9 tx", "11 rx", "11 got 1", // alone when its grant was planned
		"23 tx", "27 rx", "27 got 2", "27 got 3", // 14 + 1 + 8 + 4: two packets and 200 b
		"39 tx", "43 rx", "55 tx", "57 rx", "57 got 4", "60 connected") // a full block and 400 b
}

// TestGrantsAlternate: an uplink acknowledgement gets the next grant, not the
// one after the downlink packet.
func TestGrantsAlternate(t *testing.T) {
	r := newRig(t, granted(nb1Up, nb1Down))
	r.send(0, Down, 850) // ten cycles of 25 ms
	r.send(30*ms, Up, 52)
	r.until(time.Second)
	// Two cycles, then 1 + 8 + 2 ms; its cycle of 14 ms delays the tenth
	// block, which is through 8 ms after its start.
	want := map[string]bool{"61 got 2": true, "247 got 1": true}
	for _, line := range r.log {
		delete(want, line)
	}
	if len(want) > 0 {
		t.Errorf("missing %v in %q", want, r.log)
	}
}

// TestRateReplacesGrants: a rate above 0 is what counts.
func TestRateReplacesGrants(t *testing.T) {
	cfg := granted(nb1Up, nb1Down)
	cfg.Down.Rate = 8_000
	if cfg.Rate(Down) != 8_000 || cfg.Rate(Up) != 62_500 {
		t.Errorf("rates %d and %d", cfg.Rate(Up), cfg.Rate(Down))
	}
	r := newRig(t, cfg)
	r.send(0, Down, 100)
	r.want(time.Second, "0 connected", "0 rx", "100 connected", "100 got 1")
}

// TestAccess: a packet after a pause waits for its first grant, the next one
// does not.
func TestAccess(t *testing.T) {
	g := nb1Up
	g.Access = Latency{Fixed: 40 * ms}
	r := newRig(t, granted(g, nb1Down))
	r.send(0, Up, 125, 125)
	r.until(200 * ms)
	r.log = nil
	r.send(200*ms, Up, 125)
	r.want(time.Second, "240 rx", "249 tx", "253 rx", "253 got 3", "256 connected")
}
