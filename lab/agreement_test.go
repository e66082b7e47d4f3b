package lab

import (
	"context"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/thinlink/thinlink/measure"
	"github.com/thinlink/thinlink/netem/vnet/tcp"
)

// TestAgreement runs the reference experiment on engines sim and vm and holds
// one to the other. It takes the better part of an hour: `make agreement` runs
// it and writes the table of VALIDATION.md, with PART=2%/nbiot that part of it.
func TestAgreement(t *testing.T) {
	file := os.Getenv("THINLINK_AGREEMENT")
	if file == "" {
		t.Skip("two hundred virtual machines take too long for every test: make agreement runs this")
	}
	pool := agreementPool(t)
	table := "| profile | loss | scenario | stack | packets, sim | vm | bytes, sim | vm | s, sim | vm | agrees |\n|---|---|---|---|---|---|---|---|---|---|---|\n"
	for _, part := range []struct {
		loss    string
		sim, vm uint64 // how many seeds
	}{{"0%", phases, 3}, {"2%", 99, 9}} {
		for _, profile := range []string{"ethernet", "ltem", "nbiot"} {
			t.Run(part.loss+"/"+profile, func(t *testing.T) {
				for _, r := range agreementOf(t, pool, profile, part.loss, part.sim, part.vm) {
					table += r.markdown()
					if !r.agrees() && r.explanation() == "" {
						t.Errorf("engines differ: %s", r.markdown())
					}
				}
			})
		}
	}
	if err := os.WriteFile(file, []byte(table), 0o666); err != nil {
		t.Fatal(err)
	}
}

func agreementPool(t *testing.T) *Pool {
	t.Helper()
	vm, err := NewVM(t.Context(), 10*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	worker, err := FindWorker()
	if err != nil {
		t.Fatal(err)
	}
	return &Pool{Workers: runtime.NumCPU(), Engines: map[string]Engine{"vm": vm, "sim": &Workers{Command: []string{worker}, Hang: time.Minute}}}
}

// phases is how many phases of a kernel's timers make a difference to a
// time-out of a quarter of a second to two: the wheel's step is eight ticks.
const phases = 8

// agreementOf runs one profile's link, without jitter: netem varies the delay
// before the rate, which smooths it again, and the model after it. A kernel's
// timers are at an arbitrary phase when a connection begins, so those of sim
// are at each.
func agreementOf(t *testing.T, pool *Pool, profile, loss string, sim, vm uint64) []agreement {
	t.Helper()
	var runs []*Run
	add := func(engine string, seed uint64, sets ...Setting) {
		t.Helper()
		more, err := Expand(Matrix{
			Scenarios: []string{"paper-2020"}, Profiles: []string{profile}, Engines: []string{engine}, Seeds: []uint64{seed},
			Sets: append(sets, Setting{"link.jitter", "0s"}, Setting{"link.loss", loss}),
		})
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, more...)
	}
	for seed := uint64(1); seed <= sim; seed++ {
		phase := (time.Duration(seed%phases) * tcp.Linux().Tick).String()
		add("sim", seed, Setting{"stack.tcp.device.timer_phase", phase}, Setting{"stack.tcp.platform.timer_phase", phase})
	}
	for seed := uint64(1); seed <= vm; seed++ {
		add("vm", seed)
	}
	for _, r := range runs {
		r.ReduceLink()
	}
	if err := Certify(runs); err != nil {
		t.Fatal(err)
	}
	var rows []agreement
	err := pool.Execute(context.WithoutCancel(t.Context()), runs, func(_ *Run, res *measure.Result) error {
		if !res.Completed {
			t.Errorf("%s %s %s on %s: %s", res.Profile, res.Scenario, res.Stack, res.Engine, res.Error)
		}
		key := agreement{profile: profile, loss: loss, scenario: res.Scenario, stack: res.Stack}
		i := slices.IndexFunc(rows, func(a agreement) bool { return a.scenario == key.scenario && a.stack == key.stack })
		if i < 0 {
			i, rows = len(rows), append(rows, key)
		}
		rows[i].add(res)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// An agreement compares the two engines' runs of one kind.
type agreement struct {
	profile, loss, scenario, stack string
	sim, vm                        sample
}

// A sample is what runs with several seeds came to.
type sample struct{ packets, bytes, seconds []float64 }

func (a *agreement) add(res *measure.Result) {
	s := &a.sim
	if res.Engine == "vm" {
		s = &a.vm
	}
	s.packets = append(s.packets, float64(res.Up.Packets+res.Down.Packets))
	s.bytes = append(s.bytes, float64(res.Up.Bytes+res.Down.Bytes))
	s.seconds = append(s.seconds, res.CompletionS)
}

func median(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	return percentile(sorted, 50)
}

// The guest's processor executes one instruction per nanosecond of its clock,
// which sim does not count: over ethernet, where nothing else takes time, an
// update takes 0.15 to 0.22 ms for each packet, besides 15 ms for each TLS
// handshake and side.
const (
	guestTLS    = 0.1    // s
	guestPacket = 0.0002 // s
)

// agrees: bytes and packets within 2 %, completion within 3 %, as medians; or
// each engine's median lies within the other's range.
func (a *agreement) agrees() bool { return a.compare(near, inRange) }

// close is agrees by the medians alone.
func (a *agreement) close() bool { return a.compare(near, nil) }

func (a *agreement) compare(near, or func(x, y []float64, relative, absolute float64) bool) bool {
	for _, c := range []struct {
		sim, vm            []float64
		relative, absolute float64
	}{
		{a.sim.packets, a.vm.packets, 0.02, 0}, {a.sim.bytes, a.vm.bytes, 0.02, 0}, {a.sim.seconds, a.vm.seconds, 0.03, guestTLS + guestPacket*median(a.vm.packets)},
	} {
		if !near(c.sim, c.vm, c.relative, c.absolute) && (or == nil || !or(c.sim, c.vm, 0, 0)) {
			return false
		}
	}
	return true
}

func near(x, y []float64, relative, absolute float64) bool {
	mx, my := median(x), median(y)
	return math.Abs(mx-my) <= max(relative*my, absolute)
}

func inRange(x, y []float64, _, _ float64) bool {
	in := func(m float64, list []float64) bool { return slices.Min(list) <= m && m <= slices.Max(list) }
	return in(median(x), y) && in(median(y), x)
}

// explanation is why a row differs.
func (a *agreement) explanation() string {
	if a.profile == "ethernet" && a.stack == "mqtt-https" {
		return "without a rate the guest's processor decides how many segments an acknowledgement covers"
	}
	if a.profile == "ltem" && a.stack == "mqtt-https" {
		return "the kernel's receive window grows for longer, and while it does each segment is acknowledged alone"
	}
	return ""
}

func (a *agreement) markdown() string {
	verdict := "yes"
	switch {
	case a.close():
	case a.agrees():
		verdict = "in range"
	default:
		verdict = "no: " + a.explanation()
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %.0f | %.0f | %.0f | %.0f | %.2f | %.2f | %s |\n",
		a.profile, a.loss, a.scenario, a.stack, median(a.sim.packets), median(a.vm.packets),
		median(a.sim.bytes), median(a.vm.bytes), median(a.sim.seconds), median(a.vm.seconds), verdict)
}

func TestAgrees(t *testing.T) {
	row := func(sim, vm float64) *agreement {
		return &agreement{
			sim: sample{[]float64{100}, []float64{1000}, []float64{sim}},
			vm:  sample{[]float64{101}, []float64{1010}, []float64{vm}},
		}
	}
	for _, test := range []struct {
		a    *agreement
		want bool
	}{
		{row(100, 102), true}, {row(100, 104), false}, {row(0.01, 0.05), true},
		{&agreement{sim: sample{[]float64{100}, []float64{1}, []float64{1}}, vm: sample{[]float64{110}, []float64{1}, []float64{1}}}, false},
		{&agreement{
			sim: sample{[]float64{90, 100, 110}, []float64{1}, []float64{1}},
			vm:  sample{[]float64{95, 106, 120}, []float64{1}, []float64{1}},
		}, true},
	} {
		if got := test.a.agrees(); got != test.want {
			t.Errorf("%s: agrees is %v", test.a.markdown(), got)
		}
	}
}
