package lab

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/measure"
	"github.com/thinlink/thinlink/power"
)

func batteryPlan(profile, stack string, every time.Duration, sets ...string) BatteryPlan {
	ideal, err := power.ChemistryOf("ideal")
	if err != nil {
		panic(err)
	}
	p := BatteryPlan{
		Profile: profile, Stack: stack, Every: every, KeepAlive: DefaultKeepAlive, Lifetime: DefaultLifetime, Seed: 1,
		Battery: power.Battery{Capacity: 18_000_000_000, Chemistry: ideal, Celsius: 20},
	}
	for _, s := range sets {
		set, err := ParseSetting(s)
		if err != nil {
			panic(err)
		}
		p.Sets = append(p.Sets, set)
	}
	return p
}

// TestBatteryWindow: whole intervals, and whole periods of the session where
// they are longer; neither too few reports nor too many.
func TestBatteryWindow(t *testing.T) {
	const h, day = time.Hour, 24 * time.Hour
	for _, c := range []struct {
		stack       string
		every, want time.Duration
		sets        string
	}{
		{"mqtt", 2 * h, 40 * h, ""},
		{"lwm2m", 2 * h, 48 * h, ""},
		{"lwm2m", day, 20 * day, ""},
		{"lwm2m", 30 * day, 120 * day, ""},
		{"mqtt", time.Second, 2000 * time.Second, ""},
		{"lwm2m", 2 * h, 14 * day, "stack.lwm2m.lifetime=14d"},
		{"mqtt", 7 * h, 140 * h, "stack.mqtt.keep_alive=0s"},
	} {
		sets := []string{}
		if c.sets != "" {
			sets = append(sets, c.sets)
		}
		p := batteryPlan("nbiot", c.stack, c.every, sets...)
		run, _, err := p.Run()
		if err != nil {
			t.Fatal(err)
		}
		if sc := run.Scenario; sc.Window != c.want || sc.Window%c.every != 0 || sc.Limit <= sc.Window {
			t.Errorf("%s every %v %s: window %v, want %v", c.stack, c.every, c.sets, sc.Window, c.want)
		}
	}
}

func TestBatteryPSM(t *testing.T) {
	for _, c := range []struct {
		profile         string
		choice          PSMChoice
		t3324, t3412    time.Duration // 0, 0: no PSM
		edrx            time.Duration
		assumes, wakeUp bool
	}{
		{"nbiot", PSMChoice{}, 10 * time.Second, 24 * time.Hour, 0, true, true},
		{"nbiot", PSMChoice{Mode: PSMTimers, T3324: time.Minute, T3412: time.Hour}, time.Minute, time.Hour, 0, false, true},
		{"nbiot", PSMChoice{Mode: PSMOff}, 0, 0, 0, false, false},
		{"nbiot", PSMChoice{Mode: PSMEDRX, EDRXCycle: time.Minute, PagingTimeWindow: 2560 * time.Millisecond}, 0, 0, time.Minute, false, false},
		{"umts", PSMChoice{}, 0, 0, 0, false, false},
		{"umts", PSMChoice{Mode: PSMTimers, T3324: time.Minute, T3412: time.Hour}, time.Minute, time.Hour, 0, false, false},
	} {
		p := batteryPlan(c.profile, "lwm2m", time.Hour)
		p.PSM = c.choice
		run, assumed, err := p.Run()
		if err != nil {
			t.Fatalf("%s %+v: %v", c.profile, c.choice, err)
		}
		radio := run.Link.Radio
		switch psm := radio.PSM; {
		case c.t3324 == 0 && psm != nil:
			t.Errorf("%s %+v: PSM %+v", c.profile, c.choice, psm)
		case c.t3324 > 0 && (psm == nil || psm.T3324 != c.t3324 || psm.T3412 != c.t3412 || (psm.Wake.Fixed > 0) != c.wakeUp):
			t.Errorf("%s %+v: PSM %+v", c.profile, c.choice, psm)
		}
		if c.edrx > 0 && (radio.Idle.EDRXCycle != c.edrx || run.Network.Idle.EDRXCycle != c.edrx) {
			t.Errorf("%s %+v: idle %+v", c.profile, c.choice, radio.Idle)
		}
		if got := strings.Contains(strings.Join(assumed, "\n"), "the profile has none"); got != c.assumes {
			t.Errorf("%s %+v: assumed %q", c.profile, c.choice, assumed)
		}
	}
}

// TestBatteryVariants: every variant of every kind of plan is a valid run and
// differs from the plan's.
func TestBatteryVariants(t *testing.T) {
	for _, p := range []BatteryPlan{
		batteryPlan("nbiot", "lwm2m", 2*time.Hour, "power.module=nrf9160"), batteryPlan("ltem", "mqtt", time.Minute, "power.module=nrf9160"),
		batteryPlan("nbiot-ce0-rai", "mqtt", time.Hour), batteryPlan("egprs", "lwm2m", time.Hour), batteryPlan("nbiot-network-b", "lwm2m", time.Hour, "power.module=bc95"),
	} {
		run, _, err := p.Run()
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, v := range p.Variants(run) {
			if slices.Contains(names, v.What) {
				t.Errorf("%s, %s: %s twice", p.Profile, p.Stack, v.What)
			}
			names = append(names, v.What)
			if _, _, err := v.Plan.Run(); err != nil {
				t.Errorf("%s, %s: %s: %v", p.Profile, p.Stack, v.What, err)
			}
		}
		if len(names) < 6 {
			t.Errorf("%s, %s: variants %q", p.Profile, p.Stack, names)
		}
	}
}

func TestBatteryMistakes(t *testing.T) {
	for want, p := range map[string]BatteryPlan{
		"has no radio":         batteryPlan("ethernet", "lwm2m", time.Hour),
		"want at least 1s":     batteryPlan("nbiot", "lwm2m", time.Millisecond),
		"unknown module":       batteryPlan("nbiot", "lwm2m", time.Hour, "power.module=none"),
		"technology 3g":        batteryPlan("umts", "lwm2m", time.Hour, "power.module=nrf9160"),
		"want a stack":         batteryPlan("nbiot", "udp", time.Hour),
		"at most 23 dBm":       batteryPlan("nbiot", "lwm2m", time.Hour, "power.module=bc95", "power.tx_dbm=30"),
		"did you mean \"nbiot": batteryPlan("nbiott", "lwm2m", time.Hour),
	} {
		if _, _, err := p.Run(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// traced is a window of 100 s: idle, a connection from 10 s to 30 s with a
// report due in it that did or did not arrive, idle.
func traced(arrived bool) *measure.Trace {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	tr := &measure.Trace{Start: at(-50), WindowStart: at(0), WindowEnd: at(100)}
	for _, e := range []struct {
		s      int
		detail string
	}{{-50, "idle"}, {-40, "tx"}, {-30, "idle"}, {10, "setup"}, {12, "tx"}, {13, "connected"}, {30, "idle"}} {
		tr.Events = append(tr.Events, measure.Event{Time: at(e.s), Kind: measure.EventRadio, Detail: e.detail})
	}
	tr.Events = append(tr.Events, measure.Event{Time: at(10), Kind: eventDue})
	if arrived {
		tr.Events = append(tr.Events, measure.Event{Time: at(13), Kind: clients.EventReport})
	}
	return tr
}

func TestAccountOfTrace(t *testing.T) {
	p := batteryPlan("nbiot", "lwm2m", time.Hour)
	run, _, err := p.Run()
	if err != nil {
		t.Fatal(err)
	}
	run.Model = power.Model{Module: "m", TX: 1, Setup: 0.5, Connected: 0.1, CDRXSleep: 0.1, IdleSleep: 0.01}
	run.Network = power.Network{}
	for _, arrived := range []bool{true, false} {
		res := run.newResult()
		res.Up.Bytes = 100
		run.account(traced(arrived), res)
		const connection = 2*0.5 + 1*1 + 17*0.1
		if want := connection + 80*0.01; math.Abs(res.EnergyJ-want) > 1e-9 {
			t.Errorf("energy %v J, want %v", res.EnergyJ, want)
		}
		e := res.Energy
		if e == nil || e.Reports != 1 || math.Abs(e.PerByteJ-connection/100) > 1e-9 || math.Abs(e.BeforeJ-(10+40*0.01)) > 1e-9 {
			t.Fatalf("%+v", e)
		}
		if warned := strings.Contains(strings.Join(res.Warnings, ""), "1 of 1 reports did not reach the platform"); warned == arrived {
			t.Errorf("arrived %v: warnings %q", arrived, res.Warnings)
		}
	}
}

// TestBatteryLifeByHand: 1 mW out of 18 kJ.
func TestBatteryLifeByHand(t *testing.T) {
	p := batteryPlan("nbiot", "lwm2m", time.Hour)
	run, assumed, err := p.Run()
	if err != nil {
		t.Fatal(err)
	}
	res := run.newResult()
	res.Completed, res.WindowS = true, 1000
	res.Energy = &power.Summary{MeanW: 1e-3, States: power.States{TX: 0.25, PSM: 0.75}, Causes: power.Causes{Reports: 0.25, ReportTail: 0.05, Sleep: 0.75}}
	life, err := p.Life(run, assumed, res)
	if err != nil {
		t.Fatal(err)
	}
	if want := 18e6 / (8766 * 3600); math.Abs(life.Years-want) > 1e-9 {
		t.Errorf("%v years, want %v", life.Years, want)
	}
	if life.Dominates != "sleep" || len(life.Budget) != 3 || math.Abs(life.Budget[0].Share-0.75) > 1e-9 || math.Abs(life.Budget[1].MeanW-0.2e-3) > 1e-12 {
		t.Errorf("%+v", life.Budget)
	}
	res.Completed, res.Error = false, "broken"
	if _, err := p.Life(run, assumed, res); err == nil || err.Error() != "broken" {
		t.Errorf("an incomplete run: %v", err)
	}
}
