package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// heatMaps are one per profile with losses across; without several losses a
// single one with profiles across. The scale spans all of them.
func (g *grid) heatMaps(view string, m *metric) ([]heatMap, scale) {
	var maps []heatMap
	profiles := g.profilesOf(view)
	if len(g.lossesOf(view, "")) > 1 {
		for _, profile := range profiles {
			losses := g.lossesOf(view, profile)
			h := heatMap{Title: profile, Corner: "loss", Rows: g.stacksOf(view, profile)}
			for _, loss := range losses {
				h.Cols = append(h.Cols, lossLabel(loss))
			}
			h.fill(m, func(row, col int) *cell { return g.at(view, profile, h.Rows[row], losses[col]) })
			maps = append(maps, h)
		}
	} else {
		loss := g.lossesOf(view, "")[0]
		h := heatMap{Title: view, Corner: "profile", Rows: g.stacksOf(view, ""), Cols: profiles}
		if loss != "" {
			h.Title = view + ", loss " + lossLabel(loss)
		}
		h.fill(m, func(row, col int) *cell { return g.at(view, profiles[col], h.Rows[row], loss) })
		maps = append(maps, h)
	}
	var values []float64
	for _, h := range maps {
		for _, row := range h.Cells {
			for _, c := range row {
				values = append(values, c.Value)
			}
		}
	}
	return maps, newScale(values)
}

func (h *heatMap) fill(m *metric, at func(row, col int) *cell) {
	for row := range h.Rows {
		cells := make([]heatCell, len(h.Cols))
		for col := range h.Cols {
			cells[col] = newHeatCell(at(row, col), m)
		}
		h.Cells = append(h.Cells, cells)
	}
}

func newHeatCell(c *cell, m *metric) heatCell {
	if c == nil {
		return heatCell{Value: math.NaN()}
	}
	e := c.estimate(m)
	h := heatCell{Value: e.Median, Doubt: c.doubt(), Tip: c.tip(m, e)}
	switch {
	case e.N > 0:
		h.Text = threeDigits(e.Median / m.per)
	case len(c.completed()) == 0:
		h.Text = "failed"
	default:
		h.Text = "n/a"
	}
	return h
}

// tip is what a pointer over a cell or point shows.
func (c *cell) tip(m *metric, e Estimate) string {
	lines := []string{
		c.Stack + " over " + c.Profile + ", loss " + lossLabel(c.Loss),
		m.title + ": " + m.describe(e),
		fmt.Sprintf("%d of %s completed", len(c.completed()), plural(len(c.runs), "run")),
	}
	if d := c.doubt(); d != "" {
		lines = append(lines, "doubtful: "+d)
	}
	return strings.Join(lines, "\n")
}

// curves are completion time against loss, one chart per profile.
func (g *grid) curves(view string, m *metric) []*lineChart {
	var charts []*lineChart
	for _, profile := range g.profilesOf(view) {
		c := &lineChart{Title: profile, XLabel: "packet loss per direction, %", YLabel: m.axis()}
		var ys []float64
		for _, stack := range g.stacksOf(view, profile) {
			l := line{Name: stack, Style: slices.Index(g.stacks, stack)}
			for _, loss := range g.lossesOf(view, profile) {
				cell := g.at(view, profile, stack, loss)
				if cell == nil || lossValue(loss) < 0 {
					continue
				}
				e := cell.estimate(m)
				if e.N == 0 {
					continue
				}
				ys = append(ys, e.Median)
				l.Points = append(l.Points, point{100 * lossValue(loss), e.Median / m.per, e.Lo / m.per, e.Hi / m.per, cell.doubt() != "", cell.tip(m, e)})
			}
			if len(l.Points) > 0 {
				c.Lines = append(c.Lines, l)
			}
		}
		c.LogY = newScale(ys).Log
		if len(c.Lines) > 0 {
			charts = append(charts, c)
		}
	}
	return charts
}

// layerNames are the parts of layer bars, as of measure.Layers.
var layerNames = []string{"IP", "TCP, UDP, ICMP, SMS", "TLS, DTLS", "MQTT, CoAP, HTTP", "payload"}

func layersOf(r *Record) []float64 {
	l := r.Layers
	return []float64{float64(l.IP), float64(l.Transport), float64(l.Security), float64(l.Protocol), float64(l.Payload)}
}

var directionNames = []string{"device to platform", "platform to device"}

func directionsOf(r *Record) []float64 { return []float64{float64(r.Up.Bytes), float64(r.Down.Bytes)} }

// splits are bars of where a view's bytes went at one loss, one chart per
// profile.
func (g *grid) splits(view, loss string, names []string, of func(*Record) []float64) []*barChart {
	var charts []*barChart
	for _, profile := range g.profilesOf(view) {
		c := &barChart{Title: profile, XLabel: "IP bytes, mean of completed runs, kB", Parts: names}
		for _, stack := range g.stacksOf(view, profile) {
			if cell := g.at(view, profile, stack, loss); cell != nil && len(cell.completed()) > 0 {
				c.Rows = append(c.Rows, splitBar(stack, cell, names, of))
			}
		}
		if len(c.Rows) > 0 {
			charts = append(charts, c)
		}
	}
	return charts
}

// splitBar takes means: unlike medians they add up to the total's mean.
func splitBar(stack string, c *cell, names []string, of func(*Record) []float64) bar {
	runs := c.completed()
	b := bar{Name: stack, Values: make([]float64, len(names)), Tips: make([]string, len(names))}
	total := 0.
	for _, r := range runs {
		for i, v := range of(r) {
			b.Values[i] += v / 1e3 / float64(len(runs))
			total += v / 1e3 / float64(len(runs))
		}
	}
	for i, v := range b.Values {
		b.Tips[i] = fmt.Sprintf("%s over %s\n%s: %s, %.1f %%", stack, c.Profile, names[i], kilobytes(1e3*v), 100*v/max(total, 1e-9))
	}
	b.Note = kilobytes(1e3 * total)
	return b
}

// waste are bars of image bytes wasted per interruption, one chart per
// profile: stacks down, a bar for every view with interruptions.
func (g *grid) waste() []*barChart {
	m := wastedPerInterruption
	var views []string
	for _, view := range g.views {
		if slices.ContainsFunc(g.cells, func(c *cell) bool { return c.View == view && c.estimate(m).N > 0 }) {
			views = append(views, view)
		}
	}
	var charts []*barChart
	for _, profile := range g.profiles {
		c := &barChart{Title: profile, XLabel: m.axis(), Parts: views, Grouped: true}
		for _, stack := range g.stacks {
			b := bar{Name: stack, Values: make([]float64, len(views)), Tips: make([]string, len(views))}
			known := false
			for i, view := range views {
				e, runs := g.pooled(m, view, profile, stack)
				b.Values[i] = e.Median / m.per
				b.Tips[i] = fmt.Sprintf("%s over %s: %s\n%s: %s\n%s, all losses together", stack, profile, view, m.title, m.describe(e), plural(runs, "completed run"))
				known = known || e.N > 0
			}
			if known {
				c.Rows = append(c.Rows, b)
			}
		}
		if len(c.Rows) > 0 {
			charts = append(charts, c)
		}
	}
	return charts
}

// pooled is an estimate over all losses.
func (g *grid) pooled(m *metric, view, profile, stack string) (Estimate, int) {
	all := &cell{}
	for _, c := range g.cells {
		if c.View == view && c.Profile == profile && c.Stack == stack {
			all.runs = append(all.runs, c.runs...)
		}
	}
	return all.estimate(m), len(all.completed())
}
