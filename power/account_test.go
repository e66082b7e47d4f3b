package power

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/thinlink/thinlink/internal/units"
	"github.com/thinlink/thinlink/netem"
)

var (
	begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	// simple draws a different round power in every state.
	simple = Model{TX: 1, RX: 0.5, Setup: 0.25, Connected: 0.125, CDRXSleep: 0.0625, IdleSleep: 0.01, PSM: 0.001, TAU: 0.3, Page: 0.02, Wake: 0.04}
)

// line makes a timeline from states that begin at the given seconds.
func line(end float64, changes ...any) Timeline {
	t := Timeline{Start: begin, End: at(end)}
	for i := 0; i < len(changes); i += 2 {
		t.Changes = append(t.Changes, Change{at(changes[i].(float64)), changes[i+1].(netem.RadioState)})
	}
	return t
}

func at(s float64) time.Time { return begin.Add(time.Duration(s * float64(time.Second))) }

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9*max(1, math.Abs(want)) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// exchange is idle, a set-up of 2 s, 1 s of sending, 3 s of silence, 0.5 s of
// receiving, 20 s to the release, idle and PSM.
func exchange() Timeline {
	return line(1000, 0., netem.RadioIdle, 100., netem.RadioSetup, 102., netem.RadioTx, 103., netem.RadioConnected,
		106., netem.RadioRx, 106.5, netem.RadioConnected, 126.5, netem.RadioIdle, 136.5, netem.RadioPSM)
}

func TestAccountByHand(t *testing.T) {
	tl := exchange()
	tl.Reports = []time.Time{at(103)}
	a := simple.Account(tl, Network{Idle: &netem.IdleConfig{Cycle: 2 * time.Second}})
	near(t, "tx", a.States.TX, 1)
	near(t, "rx", a.States.RX, 0.25)
	near(t, "setup", a.States.Setup, 0.5)
	near(t, "connected", a.States.Connected, 23*0.125)
	near(t, "idle", a.States.Idle, 110*0.01)
	near(t, "paging", a.States.Paging, 55*0.02)
	near(t, "psm", a.States.PSM, 863.5*0.001)
	near(t, "reports", a.Causes.Reports, 1+0.25+0.5+23*0.125)
	near(t, "of it tail", a.Causes.ReportTail, 20*0.125)
	if len(a.Connections) != 1 || a.Connections[0].Cause != CauseReport || a.Connections[0].Duration != 26500*time.Millisecond {
		t.Errorf("connections %+v", a.Connections)
	}
	s := a.Summary("m", 1000)
	near(t, "per byte", s.PerByteJ, a.Causes.Reports/1000)
	near(t, "per report", s.PerReportJ, a.Causes.Reports)
	near(t, "mean", s.MeanW, a.States.Total()/1000)
}

// TestConnectedDRXAccount: 3 s of silence are all within the inactivity timer
// of 5 s; of the 20 s tail 5 s are, and then 1 s of each 4 s cycle.
func TestConnectedDRXAccount(t *testing.T) {
	net := Network{CDRX: &netem.CDRXConfig{Inactivity: 5 * time.Second, Cycle: 4 * time.Second, OnDuration: time.Second}}
	a := simple.Account(exchange(), net)
	listens := 3. + 5 + 4 // cycles begin 5, 9, 13 and 17 s after the last packet
	near(t, "connected", a.States.Connected, listens*0.125+(23-listens)*0.0625)
	if a.Connections[0].Cause != CauseSession {
		t.Errorf("without a report the cause is %s", a.Connections[0].Cause)
	}
}

func TestTrackingAreaUpdateAccount(t *testing.T) {
	tl := line(100, 0., netem.RadioPSM, 50., netem.RadioSetup, 51., netem.RadioConnected, 53., netem.RadioIdle, 63., netem.RadioPSM)
	a := simple.Account(tl, Network{})
	near(t, "tau", a.States.TAU, 3*0.3)
	near(t, "tau cause", a.Causes.TAU, 3*0.3)
	near(t, "setup", a.States.Setup, 0)
	if a.Count(CauseTAU) != 1 {
		t.Errorf("%d updates", a.Count(CauseTAU))
	}
}

// TestExtendedDRX holds the account of eDRX against Nordic's published means,
// from which the model's energies were derived: this checks the arithmetic of
// windows.
func TestExtendedDRX(t *testing.T) {
	m, err := Load("nrf9160")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		technology string
		cycle, drx time.Duration
		want       float64 // uA
	}{
		{"ltem", 81920 * time.Millisecond, 1280 * time.Millisecond, 18}, {"ltem", 655360 * time.Millisecond, 1280 * time.Millisecond, 6},
		{"nbiot", 81920 * time.Millisecond, 2560 * time.Millisecond, 37}, {"nbiot", 655360 * time.Millisecond, 2560 * time.Millisecond, 9},
	} {
		model, err := m.Model(c.technology, nil)
		if err != nil {
			t.Fatal(err)
		}
		a := model.Account(line(10000, 0., netem.RadioIdle), Network{Idle: &netem.IdleConfig{Cycle: c.drx, EDRXCycle: c.cycle, PTW: c.drx}})
		if got := a.MeanW() / m.Voltage.Volts() * 1e6; math.Abs(got/c.want-1) > 0.05 {
			t.Errorf("%s, eDRX %v: %.1f uA, published %v", c.technology, c.cycle, got, c.want)
		}
	}
}

// TestMeans: five mean powers give power times time.
func TestMeans(t *testing.T) {
	m := Means(600e6, 200e6, 50e6, 3e6, 15e3)
	a := m.Account(exchange(), Network{Idle: &netem.IdleConfig{Cycle: time.Second}, CDRX: &netem.CDRXConfig{Cycle: 1, OnDuration: 1}})
	near(t, "total", a.States.Total(), 1*0.6+0.5*0.2+25*0.05+110*0.003+863.5*15e-6)
}

func TestMCU(t *testing.T) {
	a := simple.Account(exchange(), Network{})
	a.AddMCU(MCU{Idle: units.Power(1e6), Active: units.Power(20e6), Report: time.Second, Handshake: 3 * time.Second, PerKiB: 100 * time.Millisecond},
		Work{Reports: 2, Handshakes: 1, Bytes: 2048})
	near(t, "mcu", a.States.MCU, 1000*1e-3+5.2*20e-3)
	near(t, "mcu cause", a.Causes.MCU, a.States.MCU)
}

// random makes any timeline.
func random(rng *rand.Rand) Timeline {
	states := []netem.RadioState{netem.RadioPSM, netem.RadioIdle, netem.RadioSetup, netem.RadioConnected, netem.RadioRx, netem.RadioTx}
	tl := Timeline{Start: at(20 * rng.Float64()), End: at(80 + 20*rng.Float64())}
	for s := 0.; s < 100; s += rng.ExpFloat64() * 3 {
		tl.Changes = append(tl.Changes, Change{at(s), states[rng.IntN(len(states))]})
		if rng.IntN(5) == 0 {
			tl.Reports = append(tl.Reports, at(s))
		}
	}
	return tl
}

// TestAccountProperties: the states and the causes split the same energy; cut
// in two, a window costs the same; the power is between the least and the
// greatest.
func TestAccountProperties(t *testing.T) {
	net := Network{CDRX: &netem.CDRXConfig{Inactivity: time.Second, Cycle: 2 * time.Second, OnDuration: 300 * time.Millisecond}, Idle: &netem.IdleConfig{Cycle: time.Second}}
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		tl := random(rng)
		a := simple.Account(tl, net)
		c := a.Causes
		near(t, "sum of causes", c.Reports+c.Sessions+c.TAU+c.Paging+c.Sleep+c.MCU, a.States.Total())
		if c.ReportTail > c.Reports+1e-12 || c.SessionTail > c.Sessions+1e-12 {
			t.Fatalf("seed %d: tails %+v", seed, c)
		}
		left, right := tl, tl
		left.End = at(50)
		right.Start = at(50)
		// The cut changes neither states nor, but for the connection across it, causes.
		half := simple.Account(left, net).States
		rest := simple.Account(right, net).States
		if cutsTAU(tl, 50) {
			continue
		}
		near(t, "two halves", half.Total()+rest.Total(), a.States.Total())
		if w := a.MeanW(); w < simple.PSM*(1-1e-9) || w > simple.TX {
			t.Fatalf("seed %d: mean %v W", seed, w)
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// cutsTAU says whether a cut goes through a connection whose first part has
// nothing on the air yet, so that it looks like an update.
func cutsTAU(tl Timeline, cut float64) bool {
	for _, s := range tl.segments() {
		if s.to.Before(at(cut)) && s.asleep() {
			continue
		}
		if s.from.Before(at(cut)) && s.to.After(at(cut)) {
			return !s.asleep()
		}
	}
	return false
}

func TestAccountOfNothing(t *testing.T) {
	a := simple.Account(Timeline{Start: begin, End: begin}, Network{})
	if a.MeanW() != 0 || a.States != (States{}) || len(a.Connections) != 0 {
		t.Errorf("%+v", a)
	}
}
