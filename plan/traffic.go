package plan

import (
	"context"
	"fmt"
	"time"

	"github.com/thinlink/thinlink/internal/units"
)

// A part is a share of the devices with one reporting interval.
type part struct {
	interval time.Duration
	share    float64
}

// tr45820 is the reporting intervals of TR 45.820 annex E.2.
var tr45820 = []part{
	{24 * time.Hour, 0.40}, {2 * time.Hour, 0.40}, {time.Hour, 0.15}, {30 * time.Minute, 0.05},
}

func (g *Group) parts() []part {
	if g.Traffic != "" {
		return tr45820
	}
	return []part{{g.Interval, 1}}
}

// reportsPerSecond is a device's mean rate.
func (g *Group) reportsPerSecond() (rate float64) {
	for _, p := range g.parts() {
		rate += p.share / p.interval.Seconds()
	}
	return rate
}

// A population is the devices of one group, class and interval: they share a
// signature.
type population struct {
	group    string
	class    int
	interval time.Duration
	count    int // in the whole deployment
	sig      Signature
	payload  Payload
	arrival  string
	spread   time.Duration
	ota      *Campaign
}

// populations divides the groups and measures their signatures.
func (d *Deployment) populations(ctx context.Context, m *Meter) ([]population, error) {
	var list []population
	var jobs []job
	for _, name := range d.names() {
		g := d.Groups[name]
		for _, s := range d.split(&g) {
			s.group = name
			list = append(list, s)
			jobs = append(jobs, d.jobs(&g, &s)...)
		}
	}
	if err := m.measure(ctx, jobs); err != nil {
		return nil, err
	}
	for i := range list {
		g := d.Groups[list[i].group]
		if err := d.signature(m, &g, &list[i]); err != nil {
			return nil, fmt.Errorf("group %s: %w", list[i].group, err)
		}
	}
	return list, nil
}

// split divides a group by class and interval, rounding so that the sum stays.
func (d *Deployment) split(g *Group) []population {
	var list []population
	given, at := 0, 0.
	for i, c := range d.Coverage {
		share := c.Share
		if g.Coverage != nil {
			share = g.Coverage[c.Name]
		}
		for _, p := range g.parts() {
			at += float64(share) * p.share
			n := int(at*float64(g.Count)+0.5) - given
			given += n
			if n > 0 {
				list = append(list, population{class: i, interval: p.interval, count: n, payload: g.Payload, arrival: g.Arrival, spread: g.Spread, ota: g.OTA})
			}
		}
	}
	return list
}

// jobs are the runs a population's signature needs.
func (d *Deployment) jobs(g *Group, p *population) []job {
	var jobs []job
	if g.Stack != "" {
		jobs = append(jobs, d.report(g, p, g.Payload.Bytes))
		if g.Payload.Max > g.Payload.Bytes {
			jobs = append(jobs, d.report(g, p, g.Payload.Max))
		}
	}
	if g.OTA != nil {
		jobs = append(jobs, d.update(g.OTA, p))
		if g.OTA.Retries > 0 {
			jobs = append(jobs, d.update(g.OTA, p).interrupted())
		}
	}
	return jobs
}

func (d *Deployment) update(o *Campaign, p *population) job {
	return job{profile: d.resolve(d.Coverage[p.class].Profile), stack: d.resolve(o.Stack), scenario: "ota", image: o.size()}
}

// interrupted is the same update with a reboot, which shows whether it resumes.
func (j job) interrupted() job {
	j.interrupt = "reboot@50%"
	return j
}

func (d *Deployment) report(g *Group, p *population, payload units.Bytes) job {
	j := job{
		profile: d.resolve(d.Coverage[p.class].Profile), stack: d.resolve(g.Stack), scenario: "power-60s",
		interval: p.interval, payload: payload, sets: g.Set,
	}
	if g.Battery != nil && g.Battery.Module != "" {
		j.module = d.resolve(g.Battery.Module)
	}
	return j
}

// size is the image that the strategy sends.
func (o *Campaign) size() units.Bytes {
	if o.Strategy == "delta" {
		return o.Delta
	}
	return o.Image
}

// signature puts a population's measurements together.
func (d *Deployment) signature(m *Meter, g *Group, p *population) error {
	if g.Packets != nil {
		p.sig = given(*g.Packets)
	} else {
		j := d.report(g, p, g.Payload.Bytes)
		got := m.cache[j.key()]
		p.sig = got.sig
		p.sig.Report.Packets = append([]Packet(nil), got.sig.Report.Packets...)
		if len(p.sig.Report.Packets) == 0 {
			return fmt.Errorf("no report was seen over %s", d.Coverage[p.class].Profile)
		}
		if g.Payload.Max > g.Payload.Bytes {
			j = d.report(g, p, g.Payload.Max)
			larger := m.cache[j.key()].sig.Report
			if !p.sig.Report.slopes(&larger, float64(g.Payload.Max-g.Payload.Bytes)) {
				p.sig.Warnings = append(p.sig.Warnings, "reports of least and largest payload differ in packets: the least one's are counted")
			}
		}
	}
	if o := g.OTA; o != nil {
		j := d.update(o, p)
		got := m.cache[j.key()]
		if !got.completed {
			p.sig.Warnings = append(p.sig.Warnings, fmt.Sprintf("the update over %s does not complete even on an empty cell: %s", d.Coverage[p.class].Profile, got.why))
		}
		p.sig.Update, p.sig.UpdateUp, p.sig.UpdateDown, p.sig.UpdateTook = got.sig.Update, got.sig.UpdateUp, got.sig.UpdateDown, got.sig.UpdateTook
		again := j.interrupted()
		p.sig.UpdateResumes = m.cache[again.key()].resumed
	}
	return nil
}
