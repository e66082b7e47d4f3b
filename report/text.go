// Package report turns results into what people read. It runs nothing: a
// folder of results gives the same report at any time, on any machine.
package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/thinlink/thinlink/measure"
)

// Style says how text may look.
type Style struct {
	// Color allows ANSI colours; set it for terminals only.
	Color bool
	// Paper adds the reference experiment's figures.
	Paper bool
}

// Text prints one table per profile: a line per scenario and stack, with the
// median over seeds and repetitions and, where there are several, the range.
func Text(w io.Writer, results []*measure.Result, style Style) error {
	var b strings.Builder
	for i, profile := range profilesOf(results) {
		if i > 0 {
			b.WriteByte('\n')
		}
		writeProfile(&b, profile, results, style)
	}
	writeNotes(&b, results)
	_, err := io.WriteString(w, b.String())
	return err
}

func profilesOf(results []*measure.Result) []string {
	var names []string
	for _, r := range results {
		if !slices.Contains(names, r.Profile) {
			names = append(names, r.Profile)
		}
	}
	return names
}

// A group is the runs of one cell of the experiment.
type group struct {
	scenario, stack, engine string
	runs                    []*measure.Result
}

func groupsOf(profile string, results []*measure.Result) []*group {
	var groups []*group
	for _, r := range results {
		if r.Profile != profile {
			continue
		}
		i := slices.IndexFunc(groups, func(g *group) bool {
			return g.scenario == r.Scenario && g.stack == r.Stack && g.engine == r.Engine
		})
		if i < 0 {
			i = len(groups)
			groups = append(groups, &group{scenario: r.Scenario, stack: r.Stack, engine: r.Engine})
		}
		groups[i].runs = append(groups[i].runs, r)
	}
	return groups
}

func writeProfile(b *strings.Builder, profile string, results []*measure.Result, style Style) {
	groups := groupsOf(profile, results)
	fmt.Fprintf(b, "%s  (engine %s, %s)\n", bold(profile, style), enginesOf(groups), seedsOf(groups))
	t := &table{style: style}
	header := []string{"scenario", "stack", "packets up", "down", "bytes up", "down", "total", "retrans.", "time", "energy"}
	if style.Paper {
		header = append(header, "on Ethernet", "paper (LAN)", "diff.")
	}
	t.row(header...)
	last := ""
	for _, g := range groups {
		name := g.scenario
		if name == last {
			name = ""
		}
		last = g.scenario
		t.row(groupRow(name, g, style)...)
		for _, line := range detailRows(g) {
			t.note(line)
		}
	}
	t.write(b)
}

func groupRow(name string, g *group, style Style) []string {
	row := []string{
		name, g.stack,
		g.stat(func(r *measure.Result) float64 { return float64(r.Up.Packets) }, count),
		g.stat(func(r *measure.Result) float64 { return float64(r.Down.Packets) }, count),
		g.stat(func(r *measure.Result) float64 { return float64(r.Up.Bytes) }, count),
		g.stat(func(r *measure.Result) float64 { return float64(r.Down.Bytes) }, count),
		g.stat(func(r *measure.Result) float64 { return float64(r.Up.Bytes + r.Down.Bytes) }, count),
		g.stat(func(r *measure.Result) float64 {
			x := r.Retransmissions
			return float64(x.TCP + x.CoAP + x.DTLS + x.MQTTSN)
		}, count),
		g.stat(func(r *measure.Result) float64 { return r.CompletionS }, seconds),
		g.stat(func(r *measure.Result) float64 { return r.EnergyJ }, joules),
	}
	if failed := g.failed(); failed > 0 {
		row[8] = fmt.Sprintf("FAILED %d/%d", failed, len(g.runs))
	}
	if !style.Paper {
		return row
	}
	p, ok := paper2020[[2]string{g.scenario, g.stack}]
	if !ok {
		return append(row, "", "", "")
	}
	eth := g.median(func(r *measure.Result) float64 { return float64(r.Up.BytesEthernet + r.Down.BytesEthernet) })
	return append(row, count(eth), count(p.Bytes), fmt.Sprintf("%+.0f %%", 100*(eth/p.Bytes-1)))
}

// detailRows are what only some scenarios have to say.
func detailRows(g *group) []string {
	var lines []string
	for _, r := range g.runs {
		if p := r.Ping; p != nil {
			lines = append(lines,
				fmt.Sprintf("seed %d from idle:  %s", r.Seed, pingLine(p.Idle)),
				fmt.Sprintf("seed %d connected:  %s", r.Seed, pingLine(p.Connected)))
		}
		for _, p := range r.Ports {
			lines = append(lines, fmt.Sprintf("seed %d port %d: %s packets and %s B up, %s and %s B down", r.Seed, p.Port,
				count(float64(p.Up.Packets)), count(float64(p.Up.Bytes)), count(float64(p.Down.Packets)), count(float64(p.Down.Bytes))))
		}
		if m := r.SMS; m != nil {
			lines = append(lines, fmt.Sprintf("seed %d short messages: %s up, %s down, price %.2f", r.Seed,
				count(float64(m.Up)), count(float64(m.Down)), m.Cost))
		}
		if u := r.Bulk; u != nil {
			lines = append(lines, fmt.Sprintf("seed %d %s: %s B in %s, goodput %s, IP rate %s", r.Seed, u.Direction,
				count(float64(u.Bytes)), seconds(u.DurationS), bitRate(u.GoodputBPS), bitRate(u.RateBPS)))
		}
	}
	return lines
}

func pingLine(p measure.PingStats) string {
	return fmt.Sprintf("%d sent, %.1f %% lost, round trip min %.0f p5 %.0f p50 %.0f mean %.0f p95 %.0f p99 %.0f max %.0f ms",
		p.Sent, 100*float64(p.Sent-p.Received)/float64(max(p.Sent, 1)),
		p.MinMS, p.P5MS, p.P50MS, p.MeanMS, p.P95MS, p.P99MS, p.MaxMS)
}

// writeNotes lists errors and warnings, each once.
func writeNotes(b *strings.Builder, results []*measure.Result) {
	var notes []string
	for _, r := range results {
		run := fmt.Sprintf("%s %s %s seed %d", r.Profile, r.Scenario, r.Stack, r.Seed)
		if r.Error != "" {
			notes = append(notes, fmt.Sprintf("error: %s: %s", run, strings.ReplaceAll(r.Error, "\n", ": ")))
		}
		for _, w := range r.Warnings {
			if n := fmt.Sprintf("warning: %s: %s", r.Profile, w); !slices.Contains(notes, n) {
				notes = append(notes, n)
			}
		}
	}
	if len(notes) > 0 {
		fmt.Fprintf(b, "\n%s\n", strings.Join(notes, "\n"))
	}
}

func (g *group) failed() (n int) {
	for _, r := range g.runs {
		if !r.Completed {
			n++
		}
	}
	return n
}

func (g *group) values(f func(*measure.Result) float64) []float64 {
	v := make([]float64, len(g.runs))
	for i, r := range g.runs {
		v[i] = f(r)
	}
	slices.Sort(v)
	return v
}

func (g *group) median(f func(*measure.Result) float64) float64 {
	v := g.values(f)
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// stat is the median, with the range if there is one.
func (g *group) stat(f func(*measure.Result) float64, format func(float64) string) string {
	v := g.values(f)
	m := format(g.median(f))
	lo, hi := format(v[0]), format(v[len(v)-1])
	if lo == hi {
		return m
	}
	return fmt.Sprintf("%s (%s-%s)", m, lo, hi)
}

func enginesOf(groups []*group) string {
	var names []string
	for _, g := range groups {
		if !slices.Contains(names, g.engine) {
			names = append(names, g.engine)
		}
	}
	return strings.Join(names, ", ")
}

func seedsOf(groups []*group) string {
	var seeds []string
	for _, g := range groups {
		for _, r := range g.runs {
			if s := fmt.Sprint(r.Seed); !slices.Contains(seeds, s) {
				seeds = append(seeds, s)
			}
		}
	}
	if len(seeds) == 1 {
		return "seed " + seeds[0]
	}
	return fmt.Sprintf("median and range of seeds %s", strings.Join(seeds, ", "))
}

// count prints a whole number with thousands separated.
func count(v float64) string {
	s := fmt.Sprintf("%.0f", math.Abs(v))
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if v < 0 {
		return "-" + s
	}
	return s
}

func seconds(v float64) string {
	switch d := time.Duration(v * float64(time.Second)); {
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%.1f ms", v*1e3)
	case d < 2*time.Minute:
		return fmt.Sprintf("%.1f s", v)
	case d < 2*time.Hour:
		return fmt.Sprintf("%.1f min", v/60)
	default:
		return fmt.Sprintf("%.1f h", v/3600)
	}
}

func joules(v float64) string {
	switch {
	case v == 0:
		return "-"
	case v < 1:
		return fmt.Sprintf("%.0f mJ", v*1e3)
	default:
		return fmt.Sprintf("%.1f J", v)
	}
}

func bitRate(v float64) string {
	switch {
	case v == 0: // in no time at all
		return "-"
	case v >= 1e6:
		return fmt.Sprintf("%.2f Mbit/s", v/1e6)
	case v >= 1e3:
		return fmt.Sprintf("%.2f kbit/s", v/1e3)
	default:
		return fmt.Sprintf("%.0f bit/s", v)
	}
}
