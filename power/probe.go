package power

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/thinlink/thinlink/netem"
)

// Probe is one uplink packet and its answer over a bare link, from idle (or
// PSM) back to it: what a measurement with an echo server sees. The zero Up
// measures tracking area updates instead.
type Probe struct {
	Up, Down int // IP packets, bytes; Down 0 is no answer
	Count    int // how often
}

// Echo is an exchange of n bytes of UDP payload over IPv4 in both directions.
func Echo(n, count int) Probe {
	const headers = 28 // IPv4 and UDP
	return Probe{Up: n + headers, Down: n + headers, Count: count}
}

// Probed are the connections of a probe.
type Probed struct {
	Connections []Connection
	States      States // means of one connection, J
	EnergyJ     Sample
	DurationS   Sample
}

// Sample describes many values.
type Sample struct {
	Mean   float64 `json:"mean"`
	P5     float64 `json:"p5"`
	Median float64 `json:"median"`
	P95    float64 `json:"p95"`
}

func sample(values []float64) Sample {
	slices.Sort(values)
	sum := 0.
	for _, v := range values {
		sum += v
	}
	q := func(p float64) float64 { return values[int(p*float64(len(values)-1)+0.5)] }
	return Sample{sum / float64(len(values)), q(0.05), q(0.5), q(0.95)}
}

// ErrNeverIdle says that a link's connections are not released.
var ErrNeverIdle = errors.New("the radio never returns to idle: an exchange has no end (set radio.rrc.inactivity)")

// Run measures the probe over a link with a model.
func (p Probe) Run(cfg netem.Config, model *Model, seed uint64) (*Probed, error) {
	switch {
	case cfg.Radio == nil || cfg.Radio.RRC == nil || cfg.Radio.RRC.Inactivity == 0:
		return nil, ErrNeverIdle
	case p.Up == 0 && (cfg.Radio.PSM == nil || cfg.Radio.PSM.T3412 == 0):
		return nil, errors.New("no tracking area updates: set radio.psm.t3412")
	case p.Count < 1:
		return nil, fmt.Errorf("%d exchanges: want 1 or more", p.Count)
	}
	cfg.Outages = nil
	r := &prober{probe: p, now: time.Unix(0, 0).UTC()}
	var err error
	if r.link, err = netem.NewLink(cfg, seed, r.now, r); err != nil {
		return nil, err
	}
	start := r.now
	for range p.Count {
		r.once(cfg.Radio)
	}
	account := model.Account(Timeline{Start: start, End: r.now, Changes: r.changes}, NetworkOf(cfg))
	return newProbed(account, p.Up == 0)
}

func newProbed(a *Account, updates bool) (*Probed, error) {
	out := new(Probed)
	var energies, durations []float64
	for _, c := range a.Connections {
		if updates != (c.Cause == CauseTAU) {
			continue
		}
		out.Connections = append(out.Connections, c)
		energies = append(energies, c.EnergyJ)
		durations = append(durations, c.Duration.Seconds())
	}
	if len(energies) == 0 {
		return nil, errors.New("no exchange took place")
	}
	n := float64(len(energies))
	s := a.States
	out.States = States{TX: s.TX / n, RX: s.RX / n, Setup: s.Setup / n, Connected: s.Connected / n, TAU: s.TAU / n}
	out.EnergyJ, out.DurationS = sample(energies), sample(durations)
	return out, nil
}

// A prober drives a link through one exchange after the other. It is the
// link's tap, too.
type prober struct {
	probe   Probe
	link    *netem.Link
	now     time.Time
	changes []Change
}

// once waits for an update, or sends a packet and waits until its connection
// is over and the device asleep.
func (r *prober) once(radio *netem.RadioConfig) {
	if r.probe.Up == 0 {
		r.until(r.now.Add(radio.PSM.T3412 + time.Hour)) // one update, and time for it
		return
	}
	r.link.Send(r.now, netem.Up, make([]byte, r.probe.Up))
	quiet := radio.RRC.Inactivity + time.Minute
	if radio.PSM != nil {
		quiet += radio.PSM.T3324
	}
	for { // until nothing is on its way any more
		next, ok := r.link.Next()
		if !ok {
			break
		}
		r.until(next)
	}
	// The odd part spreads the exchanges over the phase of paging.
	r.until(r.now.Add(quiet + 137*time.Millisecond))
}

func (r *prober) until(at time.Time) {
	for {
		next, ok := r.link.Next()
		if !ok || next.After(at) {
			break
		}
		r.now = next
		r.link.Advance(next, r.deliver)
	}
	r.now = at
	r.link.Advance(at, r.deliver)
}

func (r *prober) deliver(dir netem.Direction, _ []byte) {
	if dir == netem.Up && r.probe.Down > 0 {
		r.link.Send(r.now, netem.Down, make([]byte, r.probe.Down))
	}
}

// Sent implements netem.Tap.
func (*prober) Sent(time.Time, uint64, netem.Direction, []byte) {}

// Delivered implements netem.Tap.
func (*prober) Delivered(time.Time, uint64) {}

// Dropped implements netem.Tap.
func (*prober) Dropped(time.Time, uint64, netem.Drop) {}

// Radio implements netem.Tap.
func (r *prober) Radio(now time.Time, state netem.RadioState) {
	r.changes = append(r.changes, Change{now, state})
}
