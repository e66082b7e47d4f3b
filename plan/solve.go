package plan

import (
	"context"
	"fmt"
	"math"

	"github.com/thinlink/thinlink/power"
)

// Solve measures a deployment's signatures and simulates its cells.
func Solve(ctx context.Context, d *Deployment, m *Meter) (*Answer, error) {
	radios := make([]*radio, len(d.Coverage))
	for i := range d.Coverage {
		r, err := d.radio(&d.Coverage[i])
		if err != nil {
			return nil, d.dec.Errorf(fmt.Sprintf("coverage.%d.profile", i), "%v", err)
		}
		radios[i] = r
	}
	list, err := d.populations(ctx, m)
	if err != nil {
		return nil, err
	}
	sum, err := simulate(ctx, d, radios, list)
	if err != nil {
		return nil, err
	}
	a := d.answer(radios, list, sum)
	if !d.Service.Skip {
		if a.Capacity, err = search(ctx, d, radios, list); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// simulate runs all cells one after the other.
func simulate(ctx context.Context, d *Deployment, radios []*radio, list []population) (*tally, error) {
	var sum *tally
	for i := range d.Cells() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		homes := make([]resident, len(list))
		for j := range list {
			n := list[j].count
			homes[j] = resident{population: &list[j], count: n*(i+1)/d.Cells() - n*i/d.Cells()}
		}
		t := newCell(d, radios, homes, us(d.Duration), d.Seed+uint64(i), seedCell).run()
		if sum == nil {
			sum = t
		} else {
			sum.merge(t)
		}
	}
	return sum, nil
}

func (d *Deployment) answer(radios []*radio, list []population, t *tally) *Answer {
	a := &Answer{
		Deployment: d.Name, WhatIf: d.whatIf, Technology: d.Technology, Seed: d.Seed, Cells: d.Cells(), Carriers: d.Carriers,
		DurationS: d.Duration.Seconds(), Assumptions: append([]string{}, d.assumptions...), Warnings: []string{},
	}
	a.Assumptions = append(a.Assumptions, d.fixed()...)
	for i := range list {
		a.Devices += list[i].count
		for _, w := range list[i].sig.Warnings {
			a.warn("group %s, %s: %s", list[i].group, d.Coverage[list[i].class].Name, w)
		}
	}
	a.DevicesPerCell = (a.Devices + a.Cells - 1) / a.Cells
	var all homeTally
	for i := range t.homes {
		all.merge(&t.homes[i])
	}
	sec := a.DurationS
	a.Offered = Offered{float64(all.reports) / sec, 8 * (all.up + all.updateUp) / sec, 8 * (all.down + all.updateDown) / sec}
	a.Channels = d.channels(t)
	for i, r := range radios {
		a.Access = append(a.Access, d.access(i, r, t))
	}
	seconds := float64(us(d.Duration)) * float64(a.Cells)
	a.Connected = Held{Mean: t.holding / seconds, Peak: t.peak, Limit: d.RRC.Connected}
	for h, v := range t.byHour {
		a.Connected.ByHour = append(a.Connected.ByHour, v/float64(t.length(h))/float64(a.Cells))
	}
	a.Delay = d.delays(list, t)
	a.Blocking, a.Lost = probability(all.blocked, all.reports), probability(all.lost, all.reports)
	for _, name := range d.names() {
		a.Groups = append(a.Groups, d.group(name, list, t))
	}
	a.saturation()
	if a.Blocking.P > 0.05 {
		a.warn("%s of the reports are given up in random access: data, cost and utilisation are of what is left", percent(a.Blocking.P))
	}
	return a
}

// saturation warns of channels without room. On NB-IoT control and data share
// the downlink.
func (a *Answer) saturation() {
	names, peaks := []string{}, []float64{}
	for _, u := range a.Channels {
		if u.Class == "all" {
			names, peaks = append(names, u.Channel), append(peaks, u.Peak)
		}
	}
	if a.Technology == "nbiot" {
		names[channelDown] = names[channelControl] + " and " + names[channelDown] + " together"
		peaks[channelDown] += peaks[channelControl]
	}
	for i, peak := range peaks {
		if peak > 0.95 {
			a.warn("%s: %.0f %% in the fullest hour, saturated: delays depend on how long that lasts", names[i], 100*peak)
		}
	}
}

func (a *Answer) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	for _, w := range a.Warnings {
		if w == text {
			return
		}
	}
	a.Warnings = append(a.Warnings, text)
}

// fixed are the constants of the model that no file sets.
func (d *Deployment) fixed() []string {
	out := []string{"arrivals: every device reports periodically, at a random phase unless synchronised"}
	if d.Technology == "nbiot" {
		return append(out, "downlink: 70 % of the anchor carrier's subframes are left by synchronisation and system information (general knowledge), all of another carrier's",
			"a connected device asks for each grant by random access (TS 36.321 section 5.4.4)")
	}
	return append(out, "downlink: 90 % of a narrowband is left by synchronisation and system information (general knowledge)",
		"airtime of a half-duplex device at its profile's rate: 30 % of the time (300 of 1000 kbit/s)")
}

// length is how long an hour lasted; the last one may be shorter.
func (t *tally) length(h int) int64 { return min(hour, t.end-int64(h)*hour) }

func (d *Deployment) channels(t *tally) []Use {
	var list []Use
	resources := float64(t.cells * d.Carriers)
	use := func(channel, class string, busy []float64) {
		u := Use{Channel: channel, Class: class}
		for h, v := range busy {
			share := v / float64(t.length(h)) / resources
			u.ByHour = append(u.ByHour, share)
			u.Mean += v / float64(t.end) / resources
			u.Peak = max(u.Peak, share)
		}
		list = append(list, u)
	}
	names := channelNames[d.Technology]
	for ch := range t.use {
		sum := make([]float64, len(t.byHour))
		for class := range t.use[ch] {
			for h, v := range t.use[ch][class] {
				sum[h] += v
			}
		}
		use(names[ch], "all", sum)
		for class := range t.use[ch] {
			use(names[ch], d.Coverage[class].Name, t.use[ch][class])
		}
	}
	return list
}

func (d *Deployment) access(class int, r *radio, t *tally) Access {
	n := &t.access[class]
	perS := float64(r.preambles*d.Carriers) / (float64(r.period) / float64(second))
	a := Access{
		Class: d.Coverage[class].Name, Preambles: n.preambles, Capacity: perS,
		PerS:      float64(n.preambles) / float64(t.cells) / (float64(t.end) / float64(second)),
		Collision: probability(n.collided, n.preambles), NoResponse: n.unanswered, Rejected: n.rejected,
	}
	a.ClosedForm = 1 - math.Exp(-a.PerS/perS)
	if n.successes > 0 {
		a.Attempts = float64(n.tries) / float64(n.successes)
	}
	for h, v := range n.byHour {
		a.ByHour = append(a.ByHour, float64(v)/float64(t.cells)/(float64(t.length(h))/float64(second))/perS)
	}
	return a
}

func delayOf(class string, h *histogram) Delay {
	return Delay{class, h.n, h.quantile(.5), h.quantile(.95), h.quantile(.99)}
}

func (d *Deployment) delays(list []population, t *tally) []Delay {
	all := new(histogram)
	byClass := make([]histogram, len(d.Coverage))
	for i := range list {
		all.merge(&t.homes[i].delay)
		byClass[list[i].class].merge(&t.homes[i].delay)
	}
	out := []Delay{delayOf("all", all)}
	for i := range byClass {
		out = append(out, delayOf(d.Coverage[i].Name, &byClass[i]))
	}
	return out
}

func (d *Deployment) group(name string, list []population, t *tally) GroupAnswer {
	g := d.Groups[name]
	out := GroupAnswer{Name: name, Devices: g.Count, Stack: g.Stack}
	if g.Packets != nil {
		out.Stack = "given packets"
	}
	var sum homeTally
	first := true
	for i := range list {
		p := &list[i]
		if p.group != name {
			continue
		}
		sum.merge(&t.homes[i])
		if first {
			first = false
			out.ReportUp, out.ReportDown, out.ReportPackets = p.sig.Report.bytes(true), p.sig.Report.bytes(false), len(p.sig.Report.Packets)
			out.SessionS = p.sig.SessionPeriod.Seconds()
			out.SessionBytes = p.sig.Session.bytes(true) + p.sig.Session.bytes(false)
		}
	}
	out.Reports, out.Repeated, out.Spurious = sum.reports, sum.repeats, sum.spurious
	out.Blocking, out.Delay = probability(sum.blocked, sum.reports), delayOf("all", &sum.delay)
	const month = 30 * 86400
	out.BytesMonth = (sum.up + sum.down) / float64(g.Count) / d.Duration.Seconds() * month
	if g.OTA != nil {
		out.OTA = d.updates(g.OTA, &sum)
	}
	if g.Tariff != nil {
		out.Cost = g.cost(out.BytesMonth, out.OTA)
	}
	if g.Battery != nil && g.Packets == nil {
		out.Battery = d.life(&g, name, list)
	}
	return out
}

func (g *Group) cost(bytes float64, ota *Update) *Cost {
	t := g.Tariff
	c := &Cost{Currency: t.Currency, PerDevice: t.Monthly + max(0, bytes-float64(t.Included))/1e6*t.PerMB}
	c.Group = c.PerDevice * float64(g.Count)
	if ota != nil {
		c.OTA = (ota.UpBytes + ota.DownBytes) / 1e6 * t.PerMB
	}
	return c
}

func (d *Deployment) updates(o *Campaign, sum *homeTally) *Update {
	u := &Update{Stack: o.Stack, Strategy: o.Strategy, Image: int64(o.size()), Updated: sum.updates, Failed: sum.failedUpdates, Left: sum.leftUpdates}
	finished, took := sortedSeconds(sum.finished), sortedSeconds(sum.took)
	if n := len(finished); n > 0 {
		u.P50S, u.P95S, u.LastS = finished[(n-1)/2], finished[(n-1)*95/100], finished[n-1]
		u.DeviceS = took[(n-1)/2]
		u.UpBytes, u.DownBytes = sum.updateUp/float64(n), sum.updateDown/float64(n)
	}
	return u
}

// life is the battery life by class and interval, from the energy that was
// measured with the signature.
func (d *Deployment) life(g *Group, name string, list []population) *Life {
	chemistry, err := power.ChemistryOf(g.Battery.Chemistry)
	if err != nil {
		return nil // check has refused it
	}
	b := power.Battery{Capacity: g.Battery.Capacity, Chemistry: chemistry, Celsius: g.Battery.Celsius}
	out := new(Life)
	for i := range list {
		p := &list[i]
		if p.group == name && p.sig.MeanW > 0 {
			out.Rows = append(out.Rows, LifeRow{
				Class: d.Coverage[p.class].Name, IntervalS: p.interval.Seconds(), Share: float64(p.count) / float64(g.Count),
				MeanMW: 1000 * p.sig.MeanW, Years: b.Years(p.sig.MeanW),
			})
		}
	}
	if len(out.Rows) == 0 {
		return nil
	}
	out.P5, out.P50, out.P95 = out.quantile(.05), out.quantile(.50), out.quantile(.95)
	return out
}
