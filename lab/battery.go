package lab

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/thinlink/thinlink/internal/units"
	"github.com/thinlink/thinlink/measure"
	"github.com/thinlink/thinlink/netem"
	"github.com/thinlink/thinlink/power"
	"github.com/thinlink/thinlink/profiles"
)

// BatteryPlan asks how long a battery lasts.
type BatteryPlan struct {
	Profile, Stack string
	Every          time.Duration // between reports
	Battery        power.Battery
	// PSM is the device's power saving mode, which replaces the profile's.
	PSM PSMChoice
	// KeepAlive is MQTT's, Lifetime that of a LwM2M registration, which is
	// updated after half of it. 0 is the stack's own.
	KeepAlive, Lifetime time.Duration
	Sets                []Setting // what the user sets besides
	Seed                uint64
}

// PSMChoice is how a device saves power between reports.
type PSMChoice struct {
	Mode             PSMMode
	T3324, T3412     time.Duration // with PSMTimers
	EDRXCycle        time.Duration // with PSMEDRX
	PagingTimeWindow time.Duration
}

// PSMMode says what a PSMChoice means.
type PSMMode uint8

// The modes.
const (
	PSMDefault PSMMode = iota // the profile's; without one that of power.DefaultPSM
	PSMTimers                 // these timers
	PSMEDRX                   // none, but eDRX
	PSMOff                    // none: always reachable by the profile's paging
)

// Defaults of sessions that a battery is to carry for years.
const (
	// DefaultKeepAlive is the longest that one large cloud's broker takes
	// (G), so that MQTT is seen at its best.
	DefaultKeepAlive = 20 * time.Minute
	// DefaultLifetime is the LwM2M default of 86400 s (OMA-TS-LightweightM2M
	// Core V1_1, section 6.2.1).
	DefaultLifetime = 24 * time.Hour
)

// Run makes the plan's run and says what it assumes beyond what was asked for.
func (p *BatteryPlan) Run() (*Run, []string, error) {
	link, err := profiles.Load(p.Profile)
	if err != nil {
		return nil, nil, err
	}
	sets, assumed := p.radio(link)
	if p.KeepAlive > 0 {
		sets = append(sets, Setting{"stack.mqtt.keep_alive", units.FormatDuration(p.KeepAlive)})
	}
	if p.Lifetime > 0 {
		sets = append(sets, Setting{"stack.lwm2m.lifetime", units.FormatDuration(p.Lifetime)})
	}
	sets = append(sets, Setting{"interval", units.FormatDuration(p.Every)})
	runs, err := Expand(Matrix{
		Scenarios: []string{"battery"}, Profiles: []string{p.Profile}, Stacks: []string{p.Stack},
		Engines: []string{"sim"}, Seeds: []uint64{p.Seed}, Sets: append(sets, p.Sets...),
	})
	if err != nil {
		return nil, nil, err
	}
	run := runs[0]
	if run.Link.Radio == nil || run.Link.Radio.RRC == nil {
		return nil, nil, fmt.Errorf("profile %s has no radio (radio.rrc): nothing to estimate a battery's life from", run.Profile)
	}
	if run.Scenario.Interval < time.Second {
		return nil, nil, fmt.Errorf("a report every %v: want at least 1s", run.Scenario.Interval)
	}
	run.fitWindow()
	return run, append(assumed, run.assumptions()...), nil
}

// radio gives the settings for the device's power saving.
func (p *BatteryPlan) radio(link *profiles.Profile) (sets []Setting, assumed []string) {
	set := func(path string, d time.Duration) {
		sets = append(sets, Setting{path, units.FormatDuration(d)})
	}
	psm := power.DefaultPSM(link.Technology)
	switch {
	case p.PSM.Mode == PSMDefault && (psm == nil || link.Radio == nil || link.Radio.PSM != nil):
		return nil, nil
	case p.PSM.Mode == PSMOff || p.PSM.Mode == PSMEDRX:
		sets = append(sets, Setting{"radio.psm", "null"})
		if p.PSM.Mode == PSMEDRX {
			set("radio.idle.edrx_cycle", p.PSM.EDRXCycle)
			set("radio.idle.ptw", p.PSM.PagingTimeWindow)
		}
		return sets, nil
	case psm == nil:
		psm = new(netem.PSMConfig)
	}
	if p.PSM.Mode == PSMTimers {
		psm.T3324, psm.T3412 = p.PSM.T3324, p.PSM.T3412
	} else {
		assumed = append(assumed, fmt.Sprintf("power saving mode: the profile has none, so T3324 %v, T3412 %v (--psm changes that)",
			units.FormatDuration(psm.T3324), units.FormatDuration(psm.T3412)))
	}
	set("radio.psm.t3324", psm.T3324)
	set("radio.psm.t3412", psm.T3412)
	set("radio.psm.wake.fixed", psm.Wake.Fixed)
	set("radio.psm.update.fixed", psm.Update.Fixed)
	return sets, assumed
}

// Bounds of what is simulated for a battery's life.
const (
	fewReports  = 20   // enough for a mean of heavy-tailed latencies
	leastOf     = 4    // reports, where those would take too long
	mostReports = 2000 // what they cost drowns rarer signs of life
	longWindow  = 60 * 24 * time.Hour
)

// fitWindow makes the window a whole number of intervals, and of the session's
// timer where that is longer: a day or more, but not more reports than needed.
func (r *Run) fitWindow() {
	every, timer := r.Scenario.Interval, r.sessionTimer()
	least := max(24*time.Hour, 2*timer, leastOf*every, min(fewReports*every, longWindow))
	window := roundUp(roundUp(least, timer), every)
	r.Scenario.Window = min(window, mostReports*every)
	r.Scenario.Limit = 2*r.Scenario.Window + 7*24*time.Hour
}

// roundUp is the next multiple of step; 0 steps nowhere.
func roundUp(d, step time.Duration) time.Duration {
	if step == 0 {
		return d
	}
	return (d + step - 1) / step * step
}

// sessionTimer is the time between two signs of life of the session.
func (r *Run) sessionTimer() time.Duration {
	if r.Stack.Protocol == "mqtt" {
		return r.Stack.MQTT.KeepAlive
	}
	if r.Stack.LwM2M.UpdateInterval > 0 {
		return r.Stack.LwM2M.UpdateInterval
	}
	return r.Stack.LwM2M.Lifetime / 2
}

// assumptions say what of the run decides over the answer.
func (r *Run) assumptions() []string {
	var list []string
	if r.Model.Module == "" {
		list = append(list, "modem: the profile's mean powers (--module takes a module's currents)")
	}
	rrc := r.Link.Radio.RRC
	switch {
	case rrc.RAI > 0 || rrc.RAIUplink > 0:
		list = append(list, fmt.Sprintf("release: by release assistance, at the latest %v after the last packet", units.FormatDuration(rrc.Inactivity)))
	case r.Link.Radio.CDRX == nil && r.Model.Module != "":
		list = append(list, fmt.Sprintf("release: %v after the last packet, listening all the time (the profile has no radio.cdrx)", units.FormatDuration(rrc.Inactivity)))
	default:
		list = append(list, fmt.Sprintf("release: %v after the last packet", units.FormatDuration(rrc.Inactivity)))
	}
	if r.Stack.Protocol == "mqtt" {
		return append(list, fmt.Sprintf("session: MQTT keep-alive every %v; commands wait for the device to wake up", units.FormatDuration(r.sessionTimer())))
	}
	list = append(list, fmt.Sprintf("session: LwM2M registration update every %v; the server queues what it has for a device asleep (queue mode)", units.FormatDuration(r.sessionTimer())))
	if r.Scenario.NATTimeout == 0 {
		list = append(list, "session: no NAT forgets the device (--nat-timeout changes that)")
	}
	return list
}

// BatteryLife is the answer to a BatteryPlan. Powers in W, shares of the mean
// power with the battery's own loss.
type BatteryLife struct {
	Profile string  `json:"profile"`
	Stack   string  `json:"stack"`
	Module  string  `json:"module"`
	EveryS  float64 `json:"every_s"`
	Years   float64 `json:"years"`
	MeanW   float64 `json:"mean_w"`

	SelfDischargeW float64        `json:"self_discharge_w"`
	UsableJ        float64        `json:"usable_j"`
	Budget         []BudgetItem   `json:"budget"`
	ByState        []BudgetItem   `json:"by_state"`
	Dominates      string         `json:"dominates"`
	Energy         *power.Summary `json:"energy"`
	WindowS        float64        `json:"window_s"` // simulated
	BytesPerReport float64        `json:"bytes_per_report"`
	Assumptions    []string       `json:"assumptions"`
	Warnings       []string       `json:"warnings"`
	Sensitivity    []BatteryCase  `json:"sensitivity,omitempty"`
}

// BudgetItem is a part of the mean power.
type BudgetItem struct {
	What  string  `json:"what"`
	MeanW float64 `json:"mean_w"`
	Share float64 `json:"share"`
}

// BatteryCase is one variant of a plan.
type BatteryCase struct {
	What  string  `json:"what"`
	Years float64 `json:"years"`
	MeanW float64 `json:"mean_w"`
	Error string  `json:"error,omitempty"`
	// Warnings are doubts, such as reports that were lost.
	Warnings []string `json:"warnings,omitempty"`
}

// Life extrapolates a plan's result.
func (p *BatteryPlan) Life(run *Run, assumptions []string, res *measure.Result) (*BatteryLife, error) {
	if !res.Completed {
		return nil, errors.New(res.Error)
	}
	if res.Energy == nil || res.WindowS == 0 {
		return nil, errors.New("the run has no energy account")
	}
	e := res.Energy
	if e.MeanW <= 0 {
		return nil, fmt.Errorf("profile %s has no powers, and no module is named: nothing draws from the battery", run.Profile)
	}
	life := &BatteryLife{
		Profile: run.Profile, Stack: run.Stack.Name, Module: e.Module, EveryS: run.Scenario.Interval.Seconds(),
		Years: p.Battery.Years(e.MeanW), MeanW: e.MeanW, SelfDischargeW: p.Battery.SelfDischargeW(), UsableJ: p.Battery.UsableJ(),
		Energy: e, WindowS: res.WindowS, Assumptions: assumptions, Warnings: res.Warnings,
	}
	if life.Years > power.ProvenYears && p.Battery.Chemistry.SelfDischarge > 0 {
		life.Warnings = append(life.Warnings, fmt.Sprintf("longer than cells are known to last, about %d years", power.ProvenYears))
	}
	life.BytesPerReport = float64(res.Up.Bytes+res.Down.Bytes) / (run.Scenario.Window.Seconds() / run.Scenario.Interval.Seconds())
	c, s := e.Causes, e.States
	life.Budget = life.items([]BudgetItem{
		{What: "reports: set-up, sending, receiving", MeanW: c.Reports - c.ReportTail},
		{What: "reports: waiting for the release", MeanW: c.ReportTail},
		{What: "session: set-up, sending, receiving", MeanW: c.Sessions - c.SessionTail},
		{What: "session: waiting for the release", MeanW: c.SessionTail},
		{What: "tracking area updates", MeanW: c.TAU}, {What: "paging", MeanW: c.Paging}, {What: "sleep", MeanW: c.Sleep}, {What: "processor", MeanW: c.MCU},
	})
	life.ByState = life.items([]BudgetItem{
		{What: "tx", MeanW: s.TX}, {What: "rx", MeanW: s.RX}, {What: "setup", MeanW: s.Setup}, {What: "connected", MeanW: s.Connected}, {What: "tau", MeanW: s.TAU},
		{What: "paging", MeanW: s.Paging}, {What: "idle", MeanW: s.Idle}, {What: "psm", MeanW: s.PSM}, {What: "mcu", MeanW: s.MCU},
	})
	life.Dominates = life.Budget[0].What
	return life, nil
}

// items turns energies of the window into mean powers with their shares, the
// largest first, with the battery's own loss.
func (l *BatteryLife) items(list []BudgetItem) []BudgetItem {
	for i := range list {
		list[i].MeanW /= l.WindowS
	}
	list = append(list, BudgetItem{What: "self-discharge", MeanW: l.SelfDischargeW})
	list = slices.DeleteFunc(list, func(b BudgetItem) bool { return b.MeanW <= 0 })
	for i := range list {
		list[i].Share = list[i].MeanW / (l.MeanW + l.SelfDischargeW)
	}
	slices.SortStableFunc(list, func(a, b BudgetItem) int {
		switch {
		case a.MeanW > b.MeanW:
			return -1
		case a.MeanW < b.MeanW:
			return 1
		}
		return 0
	})
	return list
}

// A Variant of a plan differs in one thing.
type Variant struct {
	What string
	Plan BatteryPlan
}

// Variants are what a sensitivity analysis compares with a plan's run.
func (p *BatteryPlan) Variants(run *Run) []Variant {
	var all []Variant
	vary := func(what string, change func(*BatteryPlan), sets ...Setting) {
		plan := *p
		plan.Sets = append(slices.Clone(p.Sets), sets...)
		if change != nil {
			change(&plan)
		}
		all = append(all, Variant{what, plan})
	}
	every := run.Scenario.Interval
	for _, d := range []time.Duration{every / 4, every * 4} {
		if d >= time.Second {
			vary("interval "+units.FormatDuration(d), func(p *BatteryPlan) { p.Every = d })
		}
	}
	for _, size := range []string{"20B", "500B"} {
		vary("text of "+size+" in a report", nil, Setting{"payload", size})
	}
	for _, name := range coverage(p.Profile) {
		vary("profile "+name, func(p *BatteryPlan) { p.Profile = name })
	}
	p.varyRadio(run, vary)
	p.varySession(run, vary)
	return all
}

// coverage lists the built-in profiles of the same technology in other
// coverage.
func coverage(profile string) []string {
	families := [][]string{{"nbiot", "nbiot-ce1", "nbiot-ce2"}, {"ltem", "ltem-edge"}}
	for _, f := range families {
		if slices.Contains(f, profile) || strings.HasPrefix(profile, f[0]) && !strings.Contains(profile, "/") {
			return slices.DeleteFunc(slices.Clone(f), func(n string) bool { return n == profile })
		}
	}
	return nil
}

// raiSettings are a device that asks for its release: half a second after an
// answer (D SIM, as profile nbiot-ce0-rai), two seconds after a report without
// one.
func raiSettings(on bool) []Setting {
	if on {
		return []Setting{{"radio.rrc.rai", "500ms"}, {"radio.rrc.rai_uplink", "2s"}}
	}
	return []Setting{{"radio.rrc.rai", "0s"}, {"radio.rrc.rai_uplink", "0s"}}
}

// RAI is release assistance as settings.
func RAI() []Setting { return raiSettings(true) }

func (p *BatteryPlan) varyRadio(run *Run, vary func(string, func(*BatteryPlan), ...Setting)) {
	if rrc := run.Link.Radio.RRC; rrc.RAI > 0 || rrc.RAIUplink > 0 {
		vary("without release assistance", nil, raiSettings(false)...)
	} else {
		vary("with release assistance (RAI)", nil, raiSettings(true)...)
	}
	if run.Link.Radio.CDRX == nil && run.Model.Module != "" {
		vary("with connected DRX, 2.048 s cycle", nil, Setting{"radio.cdrx.inactivity", "500ms"},
			Setting{"radio.cdrx.cycle", "2.048s"}, Setting{"radio.cdrx.on_duration", "445ms"})
	}
	if run.Link.Radio.Idle != nil {
		ptw := run.Link.Radio.Idle.Cycle
		for _, cycle := range []time.Duration{81920 * time.Millisecond, 655360 * time.Millisecond} {
			vary("eDRX of "+units.FormatDuration(cycle)+" instead of PSM", func(p *BatteryPlan) {
				p.PSM = PSMChoice{Mode: PSMEDRX, EDRXCycle: cycle, PagingTimeWindow: ptw}
			})
		}
	}
	if run.Link.Radio.PSM != nil {
		vary("without PSM", func(p *BatteryPlan) { p.PSM = PSMChoice{Mode: PSMOff} })
	}
}

func (p *BatteryPlan) varySession(run *Run, vary func(string, func(*BatteryPlan), ...Setting)) {
	if run.Stack.Protocol == "mqtt" {
		for _, d := range []time.Duration{5 * time.Minute, time.Hour, 4 * time.Hour} {
			if d != run.sessionTimer() {
				vary("keep-alive every "+units.FormatDuration(d), func(p *BatteryPlan) { p.KeepAlive = d })
			}
		}
		vary("stack lwm2m", func(p *BatteryPlan) { p.Stack = "lwm2m" })
		return
	}
	for _, d := range []time.Duration{20 * time.Minute, 7 * 24 * time.Hour} {
		if d != run.Stack.LwM2M.Lifetime {
			vary("registration lifetime "+units.FormatDuration(d), func(p *BatteryPlan) { p.Lifetime = d })
		}
	}
	if run.Stack.LwM2M.Security == "certificate" && run.Scenario.Interval > 5*time.Minute {
		// Confirmable, so that the device notices a dead session and the
		// variants differ by the handshake alone.
		nat, con := Setting{"nat_timeout", "300s"}, Setting{"stack.lwm2m.notify", "con"}
		vary("confirmable reports", nil, con)
		vary("confirmable, NAT forgets after 300 s, with CID", nil, con, nat, Setting{"stack.lwm2m.connection_id", "true"})
		vary("confirmable, NAT forgets after 300 s, without CID", nil, con, nat, Setting{"stack.lwm2m.connection_id", "false"})
	}
	vary("stack mqtt", func(p *BatteryPlan) { p.Stack = "mqtt" })
}
