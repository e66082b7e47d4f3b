package lab

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/measure"
	"github.com/thinlink/thinlink/netem"
	"github.com/thinlink/thinlink/power"
	"github.com/thinlink/thinlink/profiles"
)

// eventDue is a moment at which the device has something to report.
const eventDue = "report.due"

// power reports at every interval of the window. A report that takes longer
// than the interval makes the device miss the next ones.
func (p *player) power(ctx context.Context, s *clients.Session) error {
	if err := p.connected(ctx, s); err != nil {
		return err
	}
	sc := &p.run.Scenario
	sent, missed := 0, 0
	for n := 0; sc.Interval > 0; n++ {
		due := time.Duration(n) * sc.Interval
		if due >= sc.Window {
			break
		}
		if due < p.w.Now().Sub(p.opened) {
			missed++
			continue
		}
		if err := p.awaitReport(ctx, p.opened.Add(due)); err != nil {
			return err
		}
		p.w.Record(clients.Event{Kind: eventDue})
		sent++
		if err := s.Report(ctx, p.reading(sent)); err != nil {
			return fmt.Errorf("report %d: %w", sent, err)
		}
		p.stepDone()
	}
	if missed > 0 {
		p.out.Warnings = append(p.out.Warnings, fmt.Sprintf(
			"reports took longer than the interval of %v: %d of %d were made", sc.Interval, sent, sent+missed))
	}
	if sc.Interval > 0 {
		return nil
	}
	if err := clients.Sleep(ctx, sc.Window); err != nil {
		return err
	}
	p.stepDone()
	return nil
}

// awaitReport waits until a report is due. If the silence is long enough, the
// operator's NAT forgets the device meanwhile.
func (p *player) awaitReport(ctx context.Context, due time.Time) error {
	if nat := p.run.Scenario.NATTimeout; nat > 0 && due.Sub(p.w.Now()) > nat {
		if p.w.Faults.Rebind == nil {
			return fmt.Errorf("nat_timeout: engine %s has no address translation; use engine sim", p.run.Engine)
		}
		if err := clients.Sleep(ctx, nat); err != nil {
			return err
		}
		p.w.Faults.Rebind()
	}
	return clients.Sleep(ctx, due.Sub(p.w.Now()))
}

// reading is the n-th sample, with a text of the scenario's payload.
func (p *player) reading(n int) clients.Reading {
	r := reading(n)
	if size := int(p.run.Scenario.Payload); size > 0 {
		r.Text = strings.Repeat("r", size)
	}
	return r
}

// modelsOf resolves what the modem draws on each profile.
func modelsOf(links []*profiles.Profile) (map[*profiles.Profile]power.Model, error) {
	models := map[*profiles.Profile]power.Model{}
	for _, link := range links {
		model, err := ModelOf(link)
		if err != nil {
			return nil, err
		}
		models[link] = model
	}
	return models, nil
}

// ModelOf is the module model that the profile names, or its own mean powers.
func ModelOf(p *profiles.Profile) (power.Model, error) {
	if p.Power.Module == "" {
		return power.Means(p.Power.TX, p.Power.RX, p.Power.Connected, p.Power.Idle, p.Power.PSM), nil
	}
	module, err := power.Load(p.Power.Module)
	if err != nil {
		return power.Model{}, fmt.Errorf("profile %s: power.module: %w", p.Name, err)
	}
	model, err := module.Model(p.Technology, p.Power.TxDBM)
	if err != nil {
		return power.Model{}, fmt.Errorf("profile %s: power.module: %w", p.Name, err)
	}
	return model, nil
}

// account adds the window's energy to a result.
func (r *Run) account(trace *measure.Trace, res *measure.Result) {
	if r.Link.Radio == nil && r.MCU == (power.MCU{}) {
		return
	}
	line, arrived := timeline(trace)
	if due := len(line.Reports); r.Scenario.Kind == KindPower && arrived < due {
		res.Warnings = append(res.Warnings, fmt.Sprintf("%d of %d reports did not reach the platform", due-arrived, due))
	}
	a := r.Model.Account(line, r.Network)
	wanted := r.Model.Module != "" || r.Scenario.Kind == KindPower
	if len(line.Changes) == 0 && wanted {
		res.Warnings = append(res.Warnings, fmt.Sprintf("no energy: engine %s has no radio whose states could be judged", r.Engine))
	}
	bytes := res.Up.Bytes + res.Down.Bytes
	a.AddMCU(r.MCU, power.Work{
		Reports: len(line.Reports), Handshakes: int(res.Retransmissions.TLSHandshakes), Bytes: bytes,
	})
	res.EnergyJ = a.States.Total()
	if wanted {
		res.Energy = a.Summary(r.Model.Module, bytes)
		line.Start, line.End = trace.Start, trace.WindowStart
		res.Energy.BeforeJ = r.Model.Account(line, r.Network).States.Total()
	}
}

// timeline takes the radio's timeline from a trace, over its measured window.
// A report counts where it is due in scenario power, elsewhere where it
// arrives; arrived is the number of those that did.
func timeline(t *measure.Trace) (_ power.Timeline, arrived int) {
	line := power.Timeline{Start: t.WindowStart, End: t.WindowEnd}
	var due, got []time.Time
	for _, e := range t.Events {
		switch inside := !e.Time.Before(t.WindowStart) && e.Time.Before(t.WindowEnd); {
		case e.Kind == measure.EventRadio:
			line.Changes = append(line.Changes, power.Change{At: e.Time, State: netem.RadioState(e.Detail)})
		case e.Kind == eventDue && inside:
			due = append(due, e.Time)
		case e.Kind == clients.EventReport && inside:
			got = append(got, e.Time)
		}
	}
	if line.Reports = due; len(due) == 0 {
		line.Reports = got
	}
	return line, len(got)
}
