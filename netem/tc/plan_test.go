package tc

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/thinlink/thinlink/netem"
)

const ms = time.Millisecond

func TestPlan(t *testing.T) {
	cfg := netem.Config{
		MTU: 1358,
		Up:  netem.DirectionConfig{Rate: 60_000, Overhead: 14, Delay: 800 * ms, Queue: netem.QueueConfig{Packets: 12}},
		Down: netem.DirectionConfig{Rate: 26_000, Delay: 800 * ms, Jitter: 20 * ms, Distribution: netem.Normal,
			Queue: netem.QueueConfig{Bytes: 16 << 10}, Loss: netem.LossConfig{P: 0.25, R: 0.5, BadLoss: 0.75},
			Duplicate: 0.125, Corrupt: 0.5},
	}
	plan, missing, err := NewPlan(cfg, 0, false)
	if err != nil {
		t.Fatal(err)
	}
	// 6000 B in flight are four packets; 2600 B are two.
	for dir, want := range []string{
		"limit 16 delay 800ms rate 60kbit",
		"limit 14 delay 800ms 20ms distribution normal loss gemodel 25% 50% 75% 0% duplicate 12.5% corrupt 50% rate 26kbit -14",
	} {
		if got := plan.Direction(netem.Direction(dir)).String(); got != want {
			t.Errorf("%v: got  %s\nwant %s", netem.Direction(dir), got, want)
		}
	}
	if plan.MTU != 1358 {
		t.Errorf("MTU %d", plan.MTU)
	}
	var fields []string
	for _, m := range missing {
		fields = append(fields, m.Field)
	}
	if got := strings.Join(fields, " "); got != "link.down.duplicate link.down.queue" {
		t.Errorf("unsupported: %s", got)
	}
}

// Everything that netem cannot do is named.
func TestPlanUnsupported(t *testing.T) {
	radio := &netem.RadioConfig{
		RRC: &netem.RRCConfig{}, CDRX: &netem.CDRXConfig{Cycle: ms, OnDuration: ms}, Idle: &netem.IdleConfig{Cycle: ms}, PSM: &netem.PSMConfig{},
		Up: &netem.GrantConfig{TBS: 1000, Data: ms}, Down: &netem.GrantConfig{TBS: 1000, Data: ms},
	}
	rates := netem.Config{Up: netem.DirectionConfig{Rate: 1000}, Down: netem.DirectionConfig{Rate: 1000}}
	for _, test := range []struct {
		name string
		set  func(*netem.Config)
		want string
	}{
		{"nothing", func(c *netem.Config) {}, ""},
		{"half duplex", func(c *netem.Config) { c.HalfDuplex, c.TurnAround = true, ms }, "link.half_duplex link.turn_around"},
		{"waiting outage", func(c *netem.Config) { c.Outages = []netem.Outage{{Duration: ms}} }, "link.outages"},
		{"losing outage", func(c *netem.Config) { c.Outages, c.OutageLose = []netem.Outage{{Duration: ms}}, true }, "link.outages"},
		{"radio", func(c *netem.Config) { c.Radio = radio }, "radio.rrc radio.cdrx radio.idle radio.psm radio.up radio.down"},
		{"air", func(c *netem.Config) { c.Up.LossPlace, c.Up.Loss.Rate = netem.PlaceAir, 0.5 }, "link.up.loss_place"},
		{"air without loss", func(c *netem.Config) { c.Up.LossPlace = netem.PlaceAir }, ""},
		{"reorder", func(c *netem.Config) { c.Up.Reorder, c.Up.Delay, c.Up.Jitter = true, ms, ms }, "link.up.reorder"},
		{"fraction", func(c *netem.Config) { c.Up.Rate = 1003 }, "link.up.rate"},
		{"jitter", func(c *netem.Config) { c.Up.Delay, c.Up.Jitter = 3000*ms, 3000*ms }, "link.up.jitter"},
		{"tail", func(c *netem.Config) {
			c.Up.Delay, c.Up.Jitter, c.Up.Distribution = 3000*ms, 2000*ms, netem.Pareto
		}, "link.up.distribution"},
	} {
		cfg := rates
		test.set(&cfg)
		_, missing, err := NewPlan(cfg, 1, false)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		var fields []string
		for _, m := range missing {
			fields = append(fields, m.Field)
		}
		if got := strings.Join(fields, " "); got != test.want {
			t.Errorf("%s: unsupported %q, want %q", test.name, got, test.want)
		}
	}
}

// Grants without a rate in their place are an error, not an infinite rate.
func TestPlanGrants(t *testing.T) {
	cfg := netem.Config{Radio: &netem.RadioConfig{Down: &netem.GrantConfig{TBS: 1000, Data: ms}}}
	_, _, err := NewPlan(cfg, 1, false)
	var noRate *NoRateError
	if !errors.As(err, &noRate) || noRate.Rate != "link.down.rate" || !strings.Contains(err.Error(), "1 Mbit/s") {
		t.Errorf("got %v", err)
	}
}

// Jitter without a rate keeps packets in order unless the link reorders.
func TestPlanOrder(t *testing.T) {
	c := netem.DirectionConfig{Delay: 9 * ms, Jitter: ms}
	plan, _, err := NewPlan(netem.Config{Up: c, Down: netem.DirectionConfig{Delay: 9 * ms, Jitter: ms, Reorder: true}}, 1, false)
	if err != nil || plan.Up.Rate != inOrder || plan.Down.Rate != 0 {
		t.Errorf("rates %d and %d, %v", plan.Up.Rate, plan.Down.Rate, err)
	}
}

// TestTables checks the moments of each distribution's table and that no delay
// is negative.
func TestTables(t *testing.T) {
	for _, test := range []struct {
		form      netem.Distribution
		deviation float64
	}{{netem.Normal, 1}, {netem.LogNormal, 1}, {netem.Pareto, 0.738}, {netem.ParetoNormal, 0.774}, {netem.Table, 1}} {
		c := netem.DirectionConfig{Delay: 500 * ms, Jitter: 50 * ms, Distribution: test.form, Table: []float64{-math.Sqrt(3), math.Sqrt(3)}}
		entries, _ := table(c)
		mean, square := 0., 0.
		for _, e := range entries {
			x := float64(e) / tableScale / tableSize
			mean += x
			square += x * float64(e) / tableScale
		}
		// Cutting the heavy tail of a Pareto distribution costs deviation:
		// of what is beyond 4 the mean is 1/(2*4.964^2*0.866) = 0.0234.
		if math.Abs(mean) > 0.03 || math.Abs(math.Sqrt(square)-test.deviation) > 0.02 {
			t.Errorf("%s: mean %.4f, deviation %.4f, want 0 and %g", test.form, mean, math.Sqrt(square), test.deviation)
		}
		c.Delay = 20 * ms
		entries, _ = table(c)
		for _, e := range entries {
			if float64(e) < -0.4*tableScale-1 {
				t.Errorf("%s: an entry of %d is a negative delay", test.form, e)
				break
			}
		}
	}
}
