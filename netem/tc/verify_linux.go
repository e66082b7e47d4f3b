package tc

import (
	"context"
	"fmt"
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
	p := &probe{dir: dir, n: n, payload: 50, burst: min(probeBurst, int(n.Limit)-1)}
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
// beside its jitter, the rate within 1 ms or 5 %, and without losses none. A
// train is too short to tell a share of losses.
func (p *probe) judge(list []Passage) (complaints []string) {
	complain := func(format string, args ...any) {
		complaints = append(complaints, p.dir.String()+": "+fmt.Sprintf(format, args...))
	}
	if len(list) != probeSingles+p.burst {
		complain("the router saw %d probes of %d: do they take another way?", len(list), probeSingles+p.burst)
		return complaints
	}
	spread := tableSpan*p.n.Jitter + max(2*time.Millisecond, p.n.Delay/20)
	lost := 0
	for i, x := range list {
		if x.Lost != "" || x.Done.IsZero() {
			lost++
			continue
		}
		want := p.n.Delay + p.n.airtime(len(x.Data))
		if got := x.Done.Sub(x.Sent); i < probeSingles && (got-want).Abs() > spread+p.n.airtime(len(x.Data))/20 {
			complain("a probe took %v, want %v: is another program using the link, or the machine too busy?", got, want)
			break
		}
	}
	if lost > 0 && p.n.lossless() {
		complain("%d probes of %d were lost, want none", lost, len(list))
	}
	if lost == 0 && p.burst >= 2 && p.n.Rate > 0 && p.n.Rate != inOrder && p.n.Jitter == 0 {
		burst := list[probeSingles:]
		got := burst[len(burst)-1].Done.Sub(burst[0].Done)
		want := time.Duration(len(burst)-1) * p.n.airtime(len(burst[0].Data))
		if (got - want).Abs() > max(time.Millisecond, want/20) {
			complain("%d probes at once took %v, want %v: is an offload on, or the rate wrong?", len(burst), got, want)
		}
	}
	return complaints
}

func (n *Netem) lossless() bool {
	return n.Loss == 0 && n.Gemodel == nil && n.Duplicate == 0 && n.Corrupt == 0
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
	complaints := append(probes[0].judge(by[0]), probes[1].judge(by[1])...)
	if len(complaints) > 0 {
		return fmt.Errorf("tc: the link is not as planned: %s", strings.Join(complaints, "; "))
	}
	b.capture, err = b.newCapture()
	return err
}
