package tc

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/thinlink/thinlink/internal/units"
	"github.com/thinlink/thinlink/netem"
)

// The tests in this file need the kernel's netem; `make test-kernel` runs them
// in a virtual machine, where THINLINK_VM is set and none may be skipped.

var (
	device4   = netip.MustParseAddr("100.64.0.2")
	platform4 = netip.MustParseAddr("203.0.113.10")
	device6   = netip.MustParseAddr("fd00:6c::2")
	platform6 = netip.MustParseAddr("2001:db8::10")
)

// testbed builds one for a link, or skips the test where the machine cannot.
func testbed(t *testing.T, cfg netem.Config) *Testbed {
	t.Helper()
	plan, _, err := NewPlan(cfg, 1, false)
	if err != nil {
		t.Fatal(err)
	}
	return testbedOf(t, Config{Plan: plan, Device: HostConfig{Addr: device4}, Platform: HostConfig{Addr: platform4}})
}

func testbedOf(t *testing.T, cfg Config) *Testbed {
	t.Helper()
	b, err := NewTestbed(cfg)
	var missing *MissingError
	if errors.As(err, &missing) && os.Getenv("THINLINK_VM") == "" {
		t.Skipf("this machine lacks something (make test-kernel runs it in a virtual one): %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// ends returns sockets of the two hosts by the direction they send in.
func ends(t *testing.T, b *Testbed) (tx [2]net.Conn, received func(netem.Direction) int) {
	t.Helper()
	hosts := [2]*Host{netem.Up: b.Device(), netem.Down: b.Platform()}
	var mu sync.Mutex
	var counts [2]int
	for dir, from := range hosts {
		to := hosts[1-dir]
		rx, err := to.ListenPacket("udp", net.JoinHostPort(to.Addr().String(), "9"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { rx.Close() })
		if tx[dir], err = from.DialContext(t.Context(), "udp", rx.LocalAddr().String()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { tx[dir].Close() })
		go func() {
			buf := make([]byte, 2048)
			for {
				if _, _, err := rx.ReadFrom(buf); err != nil {
					return
				}
				mu.Lock()
				counts[dir]++
				mu.Unlock()
			}
		}()
	}
	return tx, func(dir netem.Direction) int {
		mu.Lock()
		defer mu.Unlock()
		return counts[dir]
	}
}

// send sends n datagrams with numbers in them, every after the one before.
func send(t *testing.T, c net.Conn, first, n, payload int, every time.Duration) {
	for i := first; i < first+n; i++ {
		b := make([]byte, payload)
		copy(b, fmt.Sprintf("%08d", i))
		if _, err := c.Write(b); err != nil {
			t.Error(err)
			return
		}
		if every > 0 {
			time.Sleep(every)
		}
	}
}

func passagesOf(t *testing.T, b *Testbed) (by [2][]Passage) {
	t.Helper()
	all, err := b.Capture()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		by[p.Dir] = append(by[p.Dir], p)
	}
	return by
}

const udpHeaders = 28 // IPv4 and UDP

// TestKernelShapes loads both directions at once with delay, loss and rate, and
// holds what comes out to what was asked for.
func TestKernelShapes(t *testing.T) {
	for _, test := range []struct {
		rate    units.BitRate
		payload int
	}{{1000, 30}, {26_000, 60}, {300_000, 500}, {10_000_000, 1000}} {
		t.Run(test.rate.String(), func(t *testing.T) {
			cfg := netem.Config{
				MTU:  1358,
				Up:   netem.DirectionConfig{Rate: test.rate, Overhead: 14, Delay: 50 * ms, Loss: netem.LossConfig{Rate: 0.02}},
				Down: netem.DirectionConfig{Rate: test.rate * 2, Delay: 120 * ms, Loss: netem.LossConfig{Rate: 0.05}},
			}
			b := testbed(t, cfg)
			tx, received := ends(t, b)
			const single, burst = 60, 4000
			var wg sync.WaitGroup
			for dir := range tx {
				c := cfg.Up
				if dir == int(netem.Down) {
					c = cfg.Down
				}
				airtime := func(n int) time.Duration {
					return time.Duration(float64(n*8*(test.payload+udpHeaders+int(c.Overhead))) / float64(c.Rate) * float64(time.Second))
				}
				wg.Go(func() {
					send(t, tx[dir], 0, single, test.payload, 2*airtime(1)+c.Delay)
					time.Sleep(airtime(1) + 2*c.Delay)
					send(t, tx[dir], single, burst, test.payload, 0)
					time.Sleep(airtime(burst) + 2*c.Delay)
				})
			}
			wg.Wait()
			by := passagesOf(t, b)
			for _, dir := range []netem.Direction{netem.Up, netem.Down} {
				c := cfg.Up
				if dir == netem.Down {
					c = cfg.Down
				}
				if len(by[dir]) != single+burst {
					t.Fatalf("%v: the tap saw %d packets, want %d", dir, len(by[dir]), single+burst)
				}
				checkDelay(t, dir, c, by[dir][:single])
				checkRate(t, dir, c, by[dir][single:])
				delivered := checkLoss(t, dir, float64(c.Loss.Rate), by[dir])
				if got := received(dir); got != delivered {
					t.Errorf("%v: %d datagrams arrived, the tap saw %d leave", dir, got, delivered)
				}
			}
		})
	}
}

// checkDelay: a packet that finds the link empty takes its airtime and the
// delay, within 1 ms or 1 %.
func checkDelay(t *testing.T, dir netem.Direction, c netem.DirectionConfig, list []Passage) {
	t.Helper()
	for _, p := range list {
		if p.Lost != "" {
			continue
		}
		want := c.Delay + time.Duration(float64(8*(len(p.Data)+int(c.Overhead)))/float64(c.Rate)*float64(time.Second))
		got := p.Done.Sub(p.Sent)
		if off := (got - want).Abs(); off > max(ms, want/100) {
			t.Errorf("%v: a packet took %v, want %v", dir, got, want)
			return
		}
	}
}

// checkRate: packets that follow each other take their airtime, within 1 %.
func checkRate(t *testing.T, dir netem.Direction, c netem.DirectionConfig, list []Passage) {
	t.Helper()
	bits, first, last := 0, time.Time{}, time.Time{}
	for _, p := range list {
		switch {
		case p.Lost != "":
		case first.IsZero():
			first = p.Done
		default:
			bits += 8 * (len(p.Data) + int(c.Overhead))
			last = p.Done
		}
	}
	got := float64(bits) / last.Sub(first).Seconds()
	t.Logf("%v: %.1f bit/s of %d", dir, got, c.Rate)
	if math.Abs(got/float64(c.Rate)-1) > 0.01 {
		t.Errorf("%v: rate %.1f bit/s, want %d within 1 %%", dir, got, c.Rate)
	}
}

// interval99 bounds a normal deviate in 99 % of all cases. The kernel draws from
// the seed that it was given, the same each time.
const interval99 = 2.576

// checkLoss: independent losses are within their 99 % interval.
func checkLoss(t *testing.T, dir netem.Direction, p float64, list []Passage) (delivered int) {
	t.Helper()
	lost := 0
	for _, x := range list {
		switch x.Lost {
		case netem.DropLoss:
			lost++
		case "":
			delivered++
		default:
			t.Errorf("%v: a packet was lost for reason %q", dir, x.Lost)
		}
	}
	n := float64(len(list))
	deviation := math.Sqrt(n * p * (1 - p))
	off := (float64(lost) - n*p) / deviation
	t.Logf("%v: %d of %.0f packets lost, %.2f %%, %+.2f standard deviations", dir, lost, n, 100*float64(lost)/n, off)
	if math.Abs(off) > interval99 {
		t.Errorf("%v: %d of %.0f packets lost, want %.1f +- %.1f", dir, lost, n, n*p, interval99*deviation)
	}
	return delivered
}

// TestKernelDistributions compares the delays that netem draws with the
// distribution that was asked for.
func TestKernelDistributions(t *testing.T) {
	const n, mean, jitter = 2000, 200 * ms, 40 * ms
	for _, form := range []netem.Distribution{netem.Uniform, netem.Normal, netem.LogNormal, netem.Pareto, netem.ParetoNormal, netem.Table} {
		t.Run(string(form), func(t *testing.T) {
			c := netem.DirectionConfig{Delay: mean, Jitter: jitter, Distribution: form, Table: []float64{-2, -1, 0, 1, 2}}
			b := testbed(t, netem.Config{Up: c})
			tx, _ := ends(t, b)
			send(t, tx[netem.Up], 0, n, 20, 500*ms)
			time.Sleep(time.Second)
			// Kolmogorov-Smirnov against the quantiles, at the 0.01 % level.
			below := 0.
			quantile := quantiles(c)
			var worst float64
			list := passagesOf(t, b)[netem.Up]
			for i := range 20 {
				u := (float64(i) + 0.5) / 20
				x := float64(mean) + quantile(u)*float64(jitter)
				below = 0
				for _, p := range list {
					if float64(p.Done.Sub(p.Sent)-100*time.Microsecond) < x {
						below++
					}
				}
				worst = max(worst, math.Abs(below/n-u))
			}
			if limit := 2.23 / math.Sqrt(n); worst > limit || len(list) != n {
				t.Errorf("%d packets; the distribution is off by %.4f, want at most %.4f", len(list), worst, limit)
			}
		})
	}
}

// TestKernelLimit fills a queue: what fits passes, the rest is dropped.
func TestKernelLimit(t *testing.T) {
	const size = 1000
	b := testbed(t, netem.Config{MTU: size, Up: netem.DirectionConfig{Rate: 80_000, Delay: 50 * ms, Queue: netem.QueueConfig{Packets: 12}}})
	tx, _ := ends(t, b)
	send(t, tx[netem.Up], 0, 100, size-udpHeaders, 0)
	time.Sleep(5 * time.Second)
	counts := map[netem.Drop]int{}
	for _, p := range passagesOf(t, b)[netem.Up] {
		counts[p.Lost]++
	}
	// 12 wait, the one in service among them; one may be in flight.
	if want := int(b.cfg.Plan.Up.Limit); want != 13 || counts[""] != want || counts[netem.DropQueue] != 100-want {
		t.Errorf("limit %d: %v", want, counts)
	}
}

// TestKernelGemodel checks the long-run loss of the Gilbert-Elliott model and
// the length of its bursts.
func TestKernelGemodel(t *testing.T) {
	loss := netem.LossConfig{P: 0.01, R: 0.25, BadLoss: 1}
	b := testbed(t, netem.Config{Down: netem.DirectionConfig{Loss: loss}})
	tx, _ := ends(t, b)
	const n = 20_000
	send(t, tx[netem.Down], 0, n, 20, ms)
	time.Sleep(time.Second)
	lost, bursts, before := 0, 0, false
	for _, p := range passagesOf(t, b)[netem.Down] {
		now := p.Lost == netem.DropLoss
		if now {
			lost++
		}
		if now && !before {
			bursts++
		}
		before = now
	}
	share, length := float64(lost)/n, float64(lost)/float64(bursts)
	if want := loss.Mean(); math.Abs(share/want-1) > 0.25 {
		t.Errorf("loss %.4f, want %.4f", share, want)
	}
	if want := 1 / float64(loss.R); math.Abs(length/want-1) > 0.25 {
		t.Errorf("bursts of %.2f packets, want %.2f", length, want)
	}
}

// TestKernelDamage corrupts and duplicates.
func TestKernelDamage(t *testing.T) {
	b := testbed(t, netem.Config{Up: netem.DirectionConfig{Corrupt: 0.1}, Down: netem.DirectionConfig{Duplicate: 0.1}})
	tx, received := ends(t, b)
	const n = 4000
	send(t, tx[netem.Up], 0, n, 100, ms)
	send(t, tx[netem.Down], 0, n, 100, ms)
	time.Sleep(time.Second)
	by := passagesOf(t, b)
	damaged := 0
	for _, p := range by[netem.Up] {
		if p.Lost == netem.DropCorrupt {
			damaged++
		} else if p.Lost != "" {
			t.Errorf("lost for reason %q", p.Lost)
		}
	}
	slack := interval99 * math.Sqrt(n*0.1*0.9)
	if math.Abs(float64(damaged)-n*0.1) > slack {
		t.Errorf("%d damaged packets, want %d +- %.0f", damaged, n/10, slack)
	}
	if extra := float64(received(netem.Down) - n); math.Abs(extra-n*0.1) > slack {
		t.Errorf("%.0f packets twice, want %d +- %.0f", extra, n/10, slack)
	}
}

// driven builds a testbed that imitates a link's outages and radio.
func driven(t *testing.T, cfg netem.Config) *Testbed {
	t.Helper()
	plan, _, err := NewPlan(cfg, 1, true)
	if err != nil {
		t.Fatal(err)
	}
	b := testbedOf(t, Config{
		Plan: plan, Device: HostConfig{Addr: device4}, Platform: HostConfig{Addr: platform4}, Drive: Drive{Model: cfg, Seed: 1},
	})
	if err := b.Start(time.Now()); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestKernelOutage: an outage loses everything for as long as it lasts, and
// again, or makes it wait for its end.
func TestKernelOutage(t *testing.T) {
	for _, lose := range []bool{true, false} {
		b := driven(t, netem.Config{
			OutageLose: lose,
			Outages:    []netem.Outage{{Start: 10 * time.Second, Duration: 5 * time.Second, Every: 30 * time.Second}},
		})
		tx, _ := ends(t, b)
		time.Sleep(ms) // packets are well inside a second
		send(t, tx[netem.Up], 0, 58, 20, time.Second)
		if err := b.Outage(5 * time.Second); err != nil {
			t.Fatal(err)
		}
		send(t, tx[netem.Up], 58, 2, 20, 100*ms)
		time.Sleep(10 * time.Second)
		list := passagesOf(t, b)[netem.Up]
		for i, p := range list {
			in := i%30 >= 10 && i%30 < 15 || i >= 58
			if got := p.Lost == netem.DropOutage; got != (in && lose) {
				t.Errorf("lose %v, second %d: lost %q", lose, i, p.Lost)
			}
			ends := 15*time.Second - p.Sent.Sub(list[0].Sent)%(30*time.Second) - 2*ms
			if i >= 58 {
				ends = 5*time.Second - p.Sent.Sub(list[58].Sent)
			}
			if !in {
				ends = 0
			}
			if took := p.Done.Sub(p.Sent); !lose && (took-ends).Abs() > max(5*ms, ends/60) {
				t.Errorf("second %d: a packet took %v, want %v", i, took, ends)
			}
		}
	}
}

// TestKernelRadio: the kernel makes packets wait as the model does, for the
// set-up of a connection and for a page.
func TestKernelRadio(t *testing.T) {
	cfg := netem.Config{
		Up:   netem.DirectionConfig{Rate: 60_000, Delay: 40 * ms},
		Down: netem.DirectionConfig{Rate: 24_000, Delay: 60 * ms},
		Radio: &netem.RadioConfig{
			RRC:  &netem.RRCConfig{Setup: netem.Latency{Fixed: 130 * ms, Median: 310 * ms, Sigma: 0.5}, Inactivity: 5 * time.Second},
			Idle: &netem.IdleConfig{Cycle: 1280 * ms},
		},
	}
	b := driven(t, cfg)
	tx, _ := ends(t, b)
	// Trains of five packets, mostly from idle, by turns in each direction.
	for i := range 40 {
		send(t, tx[i%2], 5*i, 5, 100, 70*ms)
		time.Sleep(time.Duration(3+i%7) * 1777 * ms)
	}
	by := passagesOf(t, b)
	// What the model says to the packets at the same times.
	model, err := netem.NewLink(cfg, 1, b.driver.Load().started, nil)
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Concat(by[0], by[1])
	slices.SortFunc(all, func(a, b Passage) int { return a.Sent.Compare(b.Sent) })
	var want []time.Time
	advance := func(to time.Time) {
		for at, ok := model.Next(); ok && !at.After(to); at, ok = model.Next() {
			model.Advance(at, func(netem.Direction, []byte) { want = append(want, at) })
		}
		model.Advance(to, func(netem.Direction, []byte) { want = append(want, to) })
	}
	for _, p := range all {
		advance(p.Sent)
		model.Send(p.Sent, p.Dir, slices.Clone(p.Data))
	}
	advance(all[len(all)-1].Sent.Add(time.Minute))
	if len(want) != len(all) || len(all) != 200 {
		t.Fatalf("%d packets, the model has %d, want 200", len(all), len(want))
	}
	idle, worst := 0, time.Duration(0)
	for i, p := range all {
		if p.Lost != "" {
			t.Errorf("packet %d is lost: %q", i, p.Lost)
			continue
		}
		if p.Done.Sub(p.Sent) > 300*ms {
			idle++
		}
		off := p.Done.Sub(want[i])
		worst = max(worst, off.Abs())
		// A step is a sixteenth of the wait for page and set-up.
		if off.Abs() > 150*ms {
			t.Errorf("packet %d (%v) left %v after it came, by the model %v", i, p.Dir, p.Done.Sub(p.Sent), want[i].Sub(p.Sent))
		}
	}
	t.Logf("%d of 200 packets waited for the radio; none is more than %v from the model", idle, worst)
	if idle < 40 {
		t.Errorf("%d packets waited for the radio", idle)
	}
}

// TestKernelReadsBack sets disciplines and reads them: whatever the kernel
// holds otherwise is an error of setNetem.
func TestKernelReadsBack(t *testing.T) {
	b := testbed(t, netem.Config{})
	for _, n := range []Netem{
		{Limit: 1},
		{Limit: 14, Delay: 800 * ms, Rate: 3250, Loss: probability(0.02)},
		{Limit: unlimited, Delay: time.Hour, Jitter: maxJitter, Rate: inOrder},
		{Limit: 9, Delay: 123456789, Jitter: 98765, Table: []int16{-8192, 0, 8192}, Rate: 304, Overhead: -14},
		{Limit: 9, Gemodel: &Gemodel{1, 2, 3, 4}, Duplicate: 5, Corrupt: 6, Rate: 1 << 40, Overhead: 400, Seed: 7},
	} {
		if err := b.router.setNetem(root(toDevice, b.down.index), &n); err != nil {
			t.Errorf("%v: %v", &n, err)
		}
	}
	// What the kernel does not take is told, not hidden.
	bad := Netem{Limit: 9, Delay: ms, Jitter: ms, Table: make([]int16, 16385)}
	var op *OpError
	if err := b.router.setNetem(root(toDevice, b.down.index), &bad); !errors.As(err, &op) {
		t.Errorf("a table that is too long: %v", err)
	}
}

// TestKernelVerify finds out a link that is not as planned.
func TestKernelVerify(t *testing.T) {
	cfg := netem.Config{
		Up:   netem.DirectionConfig{Rate: 20_000, Delay: 50 * ms},
		Down: netem.DirectionConfig{Rate: 10_000_000, Delay: 20 * ms, Jitter: 5 * ms, Loss: netem.LossConfig{Rate: 0.3}},
	}
	for _, test := range []struct {
		name   string
		change func(*Plan) // of what is believed, not of what is
		want   string
	}{
		{"as planned", func(*Plan) {}, ""},
		{"too little loss", func(p *Plan) { p.Up.Loss = probability(0.9) }, "up: 0 probes of 13 were lost, want 90%"},
		{"delay", func(p *Plan) { p.Up.Delay = 60 * ms }, "up: a probe took"},
		{"rate", func(p *Plan) { p.Up.Rate = 2750; p.Up.Overhead = 0 }, "up: 8 probes at once took"},
		{"exchanged", func(p *Plan) { p.Up, p.Down = p.Down, p.Up }, "are the directions exchanged?"},
		{"loss", func(p *Plan) { p.Down.Loss = 0 }, "were lost, want 0%"},
	} {
		b := testbed(t, cfg)
		test.change(&b.cfg.Plan)
		err := b.Verify(t.Context())
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
		if err == nil {
			if by := passagesOf(t, b); len(by[0])+len(by[1]) > 0 {
				t.Errorf("the capture begins with %d probes", len(by[0])+len(by[1]))
			}
		}
	}
}
