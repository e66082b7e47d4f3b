package netem_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/thinlink/thinlink/netem"
	"github.com/thinlink/thinlink/profiles"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// A probe sends plain traffic over a bare link, as ping and iperf3 would.
type probe struct {
	link   *netem.Link
	now    time.Time
	answer func(dir netem.Direction, ip []byte)
	refill func() // after every event, if set
}

func newProbe(t *testing.T, cfg netem.Config) *probe {
	t.Helper()
	link, err := netem.NewLink(cfg, 1, start, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &probe{link: link, now: start}
}

// until runs to a time; the answer function sees each packet when it arrives.
func (p *probe) until(at time.Time) {
	for {
		next, ok := p.link.Next()
		if !ok || next.After(at) {
			break
		}
		p.now = next
		p.link.Advance(next, p.answer)
		if p.refill != nil {
			p.refill()
		}
	}
	p.now = at
	p.link.Advance(at, p.answer)
}

// times are round trips in seconds.
type times struct {
	sorted []float64
	lost   float64 // share
}

func (t times) q(p float64) float64 { return t.sorted[int(p*float64(len(t.sorted)-1))] }

func (t times) mean() float64 {
	var sum float64
	for _, x := range t.sorted {
		sum += x
	}
	return sum / float64(len(t.sorted))
}

// ping sends rounds of n echo requests of 20 B of payload over UDP (48 B of
// IP), one second after the answer to the one before, and returns the round
// trips of the first of each round and of the others. Between rounds the
// device goes idle.
func ping(t *testing.T, cfg netem.Config, rounds, n int) (first, others times) {
	t.Helper()
	p := newProbe(t, cfg)
	const patience = 120 * time.Second
	var sent time.Time
	var got time.Duration
	p.answer = func(dir netem.Direction, ip []byte) {
		if dir == netem.Up {
			p.link.Send(p.now, netem.Down, ip)
		} else if ip[0] == 1 {
			got = p.now.Sub(sent)
			ip[0] = 0
		}
	}
	for range rounds {
		for i := range n {
			to := &others
			if i == 0 {
				to = &first
			}
			ip := make([]byte, 48)
			ip[0] = 1
			sent, got = p.now, -1
			p.link.Send(sent, netem.Up, ip)
			for got < 0 && p.now.Sub(sent) < patience {
				next, ok := p.link.Next()
				if !ok || next.After(sent.Add(patience)) {
					break
				}
				p.until(next)
			}
			ip[0] = 0
			if got < 0 {
				to.lost++
			} else {
				to.sorted = append(to.sorted, got.Seconds())
			}
			p.until(p.now.Add(time.Second))
		}
		p.until(p.now.Add(time.Minute + 137*time.Millisecond))
	}
	for _, x := range []*times{&first, &others} {
		x.lost /= max(1, x.lost+float64(len(x.sorted)))
		slices.Sort(x.sorted)
	}
	return first, others
}

// bulk keeps a direction's queue full of packets of the link's MTU and
// returns the bit/s of IP that arrive. With acks, each is answered by 52 B,
// as TCP's acknowledgements do.
func bulk(t *testing.T, cfg netem.Config, dir netem.Direction, acks bool) float64 {
	t.Helper()
	p := newProbe(t, cfg)
	size := int(cfg.MTU)
	var bytes int
	fill := func() {
		for p.link.Stats(dir).Waiting < 2 {
			p.link.Send(p.now, dir, make([]byte, size))
		}
	}
	p.answer = func(to netem.Direction, ip []byte) {
		if to != dir {
			return
		}
		bytes += len(ip)
		if acks {
			p.link.Send(p.now, 1-dir, make([]byte, 52))
		}
	}
	p.refill = fill
	fill()
	const warmUp, span = 200 * time.Second, 2000 * time.Second
	p.until(start.Add(warmUp))
	bytes = 0
	p.until(start.Add(warmUp + span))
	return float64(bytes) * 8 / span.Seconds()
}

// TestProfilesFit holds the built-in profiles against measurements. Run it
// with -v for the table of VALIDATION.md. SIM: raw data of a measurement study
// in two Norwegian NB-IoT networks; STB: Stellenbosch 2019 thesis, one module
// in several technologies.
func TestProfilesFit(t *testing.T) {
	var table strings.Builder
	fmt.Fprintln(&table, "| profile | what | measured | simulated | deviation | tolerance |")
	fmt.Fprintln(&table, "|---|---|---|---|---|---|")
	row := func(profile, what, unit string, want, got, tolerance float64) {
		off := got/want - 1
		fmt.Fprintf(&table, "| %s | %s | %.4g %s | %.4g %s | %+.0f %% | %.0f %% |\n",
			profile, what, want, unit, got, unit, 100*off, 100*tolerance)
		if math.Abs(off) > tolerance {
			t.Errorf("%s: %s is %.4g %s, measured %.4g", profile, what, got, unit, want)
		}
	}
	// p5, p50, p95, p99 from idle, s; connected mean, s; echo loss.
	for _, m := range []struct {
		profile   string
		idle      [4]float64
		connected float64
		loss      float64
	}{
		{"nbiot", [4]float64{0, 0.55, 0, 0}, 0.1975, 0.002},
		{"nbiot-ce0-singletone", [4]float64{1.17, 2.02, 3.22, 4.28}, 0, 0.002},
		{"nbiot-ce1", [4]float64{1.81, 2.48, 6.83, 12.7}, 0.396, 0.013},
		{"nbiot-ce2", [4]float64{4.93, 6.37, 12.45, 21}, 0.793, 0.012},
	} {
		first, others := ping(t, load(t, m.profile), 10_000, 4)
		for i, q := range []float64{0.05, 0.5, 0.95, 0.99} {
			source := "SIM"
			if m.profile == "nbiot" {
				source = "first of ten, STB"
			}
			if m.idle[i] > 0 {
				row(m.profile, fmt.Sprintf("ping from idle, 20 B, p%.0f (%s)", 100*q, source), "s", m.idle[i], first.q(q), 0.2)
			}
		}
		if ratio := first.q(0.99) / first.q(0.5); ratio < 2 || ratio > 6 {
			t.Errorf("%s: p99/p50 from idle is %.1f, measured 2 to 5", m.profile, ratio)
		}
		if m.connected > 0 {
			row(m.profile, "connected ping, mean (STB)", "s", m.connected, others.mean(), 0.1)
		}
		loss := (first.lost + 3*others.lost) / 4
		row(m.profile, "echoes lost (SIM)", "%", 100*m.loss, 100*loss, 0.2)
	}
	for _, m := range []struct {
		profile string
		time    float64 // s
	}{{"nbiot-ce0-singletone", 23.7}, {"nbiot-ce0-rai", 3.2}} { // p50 23.4-24.1; 2.4-4
		row(m.profile, "not idle for a ping, p50 (SIM)", "s", m.time, awake(t, load(t, m.profile)), 0.25)
	}
	for _, m := range []struct {
		profile  string
		up, down float64 // kbit/s
	}{
		{"nbiot", 56, 24}, {"ltem", 293, 264}, {"egprs", 158, 254},
	} {
		cfg := load(t, m.profile)
		row(m.profile, "bulk uplink (STB)", "kbit/s", m.up, bulk(t, cfg, netem.Up, false)/1000, 0.1)
		row(m.profile, "bulk downlink (STB)", "kbit/s", m.down, bulk(t, cfg, netem.Down, false)/1000, 0.1)
		row(m.profile, "bulk downlink with 52 B up per packet", "kbit/s", m.down, bulk(t, cfg, netem.Down, true)/1000, 0.1)
	}
	t.Log("\n" + table.String())
}

// load gives a built-in profile's link.
func load(t *testing.T, name string) netem.Config {
	t.Helper()
	p, err := profiles.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return p.Netem()
}

// awake is the median time that a device spends out of idle for one ping.
func awake(t *testing.T, cfg netem.Config) float64 {
	t.Helper()
	var tap idleTap
	link, err := netem.NewLink(cfg, 1, start, &tap)
	if err != nil {
		t.Fatal(err)
	}
	p := &probe{link: link, now: start}
	p.answer = func(dir netem.Direction, ip []byte) {
		if dir == netem.Up {
			link.Send(p.now, netem.Down, ip)
		}
	}
	for range 1000 {
		link.Send(p.now, netem.Up, make([]byte, 48))
		p.until(p.now.Add(2 * time.Minute))
	}
	slices.Sort(tap.times)
	return tap.times[len(tap.times)/2]
}

// An idleTap notes the times between two stays in idle, in seconds.
type idleTap struct {
	left  time.Time
	idle  bool
	times []float64
}

func (*idleTap) Sent(time.Time, uint64, netem.Direction, []byte) {}
func (*idleTap) Delivered(time.Time, uint64)                     {}
func (*idleTap) Dropped(time.Time, uint64, netem.Drop)           {}

func (i *idleTap) Radio(now time.Time, s netem.RadioState) {
	idle := s == netem.RadioIdle
	if i.idle && !idle {
		i.left = now
	}
	if !i.idle && idle && !i.left.IsZero() {
		i.times = append(i.times, now.Sub(i.left).Seconds())
	}
	i.idle = idle
}

// TestPropagation: nothing is faster than light over a satellite, TR 38.821
// table 7.1-1 (round trips of 541.46 and 25.77 ms).
func TestPropagation(t *testing.T) {
	for name, roundTrip := range map[string]time.Duration{"ntn-geo": 541460 * time.Microsecond, "ntn-leo600": 25770 * time.Microsecond} {
		cfg := load(t, name)
		cfg.Outages = nil
		first, others := ping(t, cfg, 500, 4)
		if least := min(first.q(0), others.q(0)); least < roundTrip.Seconds() {
			t.Errorf("%s: a round trip of %.3f s, less than %v", name, least, roundTrip)
		}
	}
}

// TestEveryProfileCarries: each built-in profile takes traffic both ways, and
// its rates are those it states.
func TestEveryProfileCarries(t *testing.T) {
	for _, name := range profiles.Names() {
		cfg := load(t, name)
		first, others := ping(t, cfg, 20, 5)
		if len(first.sorted) == 0 || len(others.sorted) == 0 {
			t.Errorf("%s: no ping came back", name)
		}
		if cfg.Outages = nil; cfg.Rate(netem.Up) == 0 || cfg.Rate(netem.Up) > 1e6 {
			continue // too fast to flood
		}
		for _, dir := range []netem.Direction{netem.Up, netem.Down} {
			want := float64(cfg.Rate(dir))
			if got := bulk(t, cfg, dir, false); math.Abs(got/want-1) > 0.08 {
				t.Errorf("%s: bulk %v %.0f bit/s, stated %.0f", name, dir, got, want)
			}
		}
	}
}
