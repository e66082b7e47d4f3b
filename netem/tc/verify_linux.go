package tc

import (
	"context"
	"fmt"
	"math"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/thinlink/thinlink/netem"
)

// A probe is a short train of datagrams that shows whether one direction does
// what the plan says: some one by one for the delay, some at once for the rate.
type probe struct {
	dir     netem.Direction
	n       *Netem
	payload int
	burst   int
}

const (
	probeSingles = 5
	probeBurst   = 8
	probePort    = "9" // the Discard Protocol's (RFC 863)
	probeHeaders = 48  // IPv6 and UDP
)

func newProbe(dir netem.Direction, n *Netem) *probe {
	p := &probe{dir: dir, n: n, payload: 50, burst: max(1, min(probeBurst, int(n.Limit)-1))}
	if n.Rate > 1e6/8 { // small packets would pass too fast to tell
		p.payload = 1000
	}
	return p
}

// send sends the train and waits until its last packet must have passed.
func (p *probe) send(ctx context.Context, c net.Conn) error {
	empty := p.n.Delay + tableSpan*p.n.Jitter + p.n.airtime(p.payload+probeHeaders) + 20*time.Millisecond
	b := make([]byte, p.payload)
	for i := range probeSingles + p.burst {
		b[0] = byte(i)
		if _, err := c.Write(b); err != nil {
			return err
		}
		if i >= probeSingles {
			continue
		}
		if err := wait(ctx, empty); err != nil {
			return err
		}
	}
	return wait(ctx, empty+time.Duration(p.burst)*p.n.airtime(p.payload+probeHeaders))
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// judge compares what the tap saw with the plan: the delay within 2 ms or 5 %
// beside its jitter, the rate within 1 ms or 5 %, and losses that chance does
// not explain. back is the plan of the other direction. Each complaint names
// the likely cause.
func (p *probe) judge(list []Passage, back *Netem) (complaints []string) {
	complain := func(format string, args ...any) {
		complaints = append(complaints, p.dir.String()+": "+fmt.Sprintf(format, args...))
	}
	if len(list) != probeSingles+p.burst {
		complain("the router saw %d probes of %d: do they take another way?", len(list), probeSingles+p.burst)
		return complaints
	}
	for _, x := range list[:probeSingles] {
		if x.Lost == "" && !x.Done.IsZero() && !p.n.delays(x) {
			complain("a probe took %v, want %v: %s", x.Done.Sub(x.Sent), p.n.Delay+p.n.airtime(len(x.Data)), p.lateBecause(x, back))
			break
		}
	}
	lost := 0
	for _, x := range list {
		if x.Lost != "" || x.Done.IsZero() {
			lost++
		}
	}
	if !p.n.likely(lost, len(list)) {
		complain("%d probes of %d were lost, want %s: does another discipline or a filter drop them?", lost, len(list), percent(p.n.losses()))
	}
	if lost == 0 && p.burst >= 2 && p.n.Rate > 0 && p.n.Rate != inOrder && p.n.Jitter == 0 {
		if got, want := p.spread(list[probeSingles:]), p.n.spread(p.burst, list[0].Data); !near(got, want) {
			complain("%d probes at once took %v, want %v: %s", p.burst, got, want, p.fastBecause(list[probeSingles:], back))
		}
	}
	return complaints
}

// delays reports a probe that took as long as it should on an empty link.
func (n *Netem) delays(x Passage) bool {
	airtime := n.airtime(len(x.Data))
	slack := tableSpan*n.Jitter + max(2*time.Millisecond, n.Delay/20) + airtime/20
	return (x.Done.Sub(x.Sent) - n.Delay - airtime).Abs() <= slack
}

func (p *probe) lateBecause(x Passage, back *Netem) string {
	if back.delays(x) {
		return "that is the other direction's: are the directions exchanged?"
	}
	return "is another program using the link, or the machine too busy?"
}

// spread is how long a burst takes from its first packet to its last.
func (p *probe) spread(burst []Passage) time.Duration {
	return burst[len(burst)-1].Done.Sub(burst[0].Done)
}

func (n *Netem) spread(packets int, data []byte) time.Duration {
	return time.Duration(packets-1) * n.airtime(len(data))
}

func near(got, want time.Duration) bool { return (got - want).Abs() <= max(time.Millisecond, want/20) }

// fastBecause tells apart what makes a burst pass at another rate.
func (p *probe) fastBecause(burst []Passage, back *Netem) string {
	airtime := p.n.airtime(len(burst[0].Data))
	first, last := burst[1].Done.Sub(burst[0].Done), burst[len(burst)-1].Done.Sub(burst[len(burst)-2].Done)
	switch {
	case near(p.spread(burst), back.spread(len(burst), burst[0].Data)):
		return "that is the other direction's: are the directions exchanged?"
	case first < airtime/2 && near(last, airtime):
		return "the first passed at once: has another discipline credit for bursts (tbf, htb)?"
	case p.spread(burst) < time.Millisecond:
		return "they passed as one: is an offload on (tso, gso, gro)?"
	}
	return "is the rate another, or another program using the link?"
}

// losses is the share of packets that do not arrive undamaged, losses in bursts
// aside.
func (n *Netem) losses() float64 { return 1 - (1-share(n.Loss))*(1-share(n.Corrupt)) }

// likely reports a number of losses that happens by chance more often than once
// in 100,000 times on either side. Losses in bursts can be any number.
func (n *Netem) likely(lost, of int) bool {
	const rare = 1e-5
	if n.Gemodel != nil {
		return true
	}
	atMost, atLeast := 0., 0.
	for k := range of + 1 {
		p := binomial(of, k, n.losses())
		if k <= lost {
			atMost += p
		}
		if k >= lost {
			atLeast += p
		}
	}
	return atMost > rare && atLeast > rare
}

func binomial(n, k int, p float64) float64 {
	x := math.Pow(p, float64(k)) * math.Pow(1-p, float64(n-k))
	for i := range k {
		x *= float64(n-i) / float64(i+1)
	}
	return x
}

// Verify measures delay, rate and loss of both directions with short trains of
// datagrams, and starts the capture afresh. The error says what is not as
// planned.
func (b *Testbed) Verify(ctx context.Context) error {
	probes := [2]*probe{newProbe(netem.Up, &b.cfg.Plan.Up), newProbe(netem.Down, &b.cfg.Plan.Down)}
	hosts := [2]*Host{netem.Up: b.Device(), netem.Down: b.Platform()}
	var errs [2]error
	var wg sync.WaitGroup
	for i, p := range probes {
		to := hosts[1-i]
		sink, err := to.ListenPacket("udp", net.JoinHostPort(to.Addr().String(), probePort))
		if err != nil {
			return fmt.Errorf("tc: probe: %w", err)
		}
		defer sink.Close()
		c, err := hosts[i].DialContext(ctx, "udp", sink.LocalAddr().String())
		if err != nil {
			return fmt.Errorf("tc: probe: %w", err)
		}
		defer c.Close()
		wg.Go(func() { errs[i] = p.send(ctx, c) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("tc: probe: %w", err)
		}
	}
	all, err := b.Capture()
	if err != nil {
		return err
	}
	var by [2][]Passage
	for _, p := range all {
		by[p.Dir] = append(by[p.Dir], p)
	}
	complaints := append(probes[0].judge(by[0], probes[1].n), probes[1].judge(by[1], probes[0].n)...)
	if len(complaints) > 0 {
		return fmt.Errorf("tc: the link is not as planned: %s", strings.Join(complaints, "; "))
	}
	b.capture, err = b.newCapture()
	return err
}
