package report

import (
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
)

// A comparePage is what the template "compare" shows.
type comparePage struct {
	Title, Lead      string
	Comparison       *Comparison
	Choices          []choice
	Stacks, Profiles []string
	Tally            cellTable
	Heats            []heatSection
	Table            cellTable
}

// CompareHTML writes a comparison as one page that loads nothing else.
func CompareHTML(w io.Writer, c *Comparison) error {
	p := &comparePage{
		Title: "thinlink: " + c.A + " against " + c.B, Comparison: c,
		Lead: fmt.Sprintf("%d of %s significant at level %g; %s only in A, %d only in B",
			len(c.Significant()), plural(len(c.Differences), "difference"), c.Level, plural(len(c.OnlyA), "cell"), len(c.OnlyB)),
		Tally: c.tallyTable(), Table: c.table(),
	}
	views := c.distinct(func(d *Difference) string { return d.View })
	p.Stacks = c.distinct(func(d *Difference) string { return d.Stack })
	p.Profiles = c.distinct(func(d *Difference) string { return d.Profile })
	var metrics, viewOptions []option
	for _, m := range compareMetrics {
		if len(c.Tally(m.name)) == 0 {
			continue
		}
		metrics = append(metrics, option{m.name, m.title})
		for _, view := range views {
			if s := c.heatSection(view, m); len(s.Maps) > 0 {
				p.Heats = append(p.Heats, s)
			}
		}
	}
	for _, view := range views {
		viewOptions = append(viewOptions, option{view, view})
	}
	for _, ch := range []choice{{"view", "Show", viewOptions}, {"metric", "change of", metrics}} {
		if len(ch.Options) > 1 {
			p.Choices = append(p.Choices, ch)
		}
	}
	return pages.ExecuteTemplate(w, "compare", p)
}

// distinct lists a field of the differences in their order.
func (c *Comparison) distinct(of func(*Difference) string) (list []string) {
	seen := make(map[string]bool)
	for i := range c.Differences {
		if v := of(&c.Differences[i]); !seen[v] {
			seen[v] = true
			list = append(list, v)
		}
	}
	return list
}

// heatSection is one map per profile: stacks down, losses across.
func (c *Comparison) heatSection(view string, m *metric) heatSection {
	s := heatSection{View: view, Metric: m.name, Heading: "change of " + m.title + ", B against A, %: " + view}
	for _, profile := range c.distinct(func(d *Difference) string { return d.Profile }) {
		h := heatMap{Title: profile, Corner: "loss"}
		var losses []string
		at := make(map[[2]string]*Difference)
		for i := range c.Differences {
			d := &c.Differences[i]
			if d.View != view || d.Profile != profile || d.metric != m {
				continue
			}
			at[[2]string{d.Stack, d.Loss}] = d
			if !slices.Contains(losses, d.Loss) {
				losses = append(losses, d.Loss)
				h.Cols = append(h.Cols, lossLabel(d.Loss))
			}
			if !slices.Contains(h.Rows, d.Stack) {
				h.Rows = append(h.Rows, d.Stack)
			}
		}
		for _, stack := range h.Rows {
			row := make([]heatCell, len(losses))
			for i, loss := range losses {
				row[i] = changeCell(at[[2]string{stack, loss}])
			}
			h.Cells = append(h.Cells, row)
		}
		if len(h.Rows) > 0 {
			s.Maps = append(s.Maps, heatFigure{Profile: profile, Map: h})
		}
	}
	return s
}

func changeCell(d *Difference) heatCell {
	if d == nil {
		return heatCell{Value: math.NaN()}
	}
	h := heatCell{Value: d.Change, Verdict: d.Verdict, Text: "="}
	switch {
	case d.Verdict == Incomplete:
		h.Text = "n/a"
	case d.Verdict == Identical:
	case d.A.Median == 0 && d.B.Median != 0: // no ratio
		h.Text = "+" + d.metric.format(d.B.Median)
	default:
		h.Text = fmt.Sprintf("%+.1f", 100*d.Change)
	}
	h.Tip = fmt.Sprintf("%s\n%s\nA: %s, %s\nB: %s, %s\nq = %.3f: %s", d.CellName, d.metric.title,
		d.metric.describe(d.A), plural(d.A.N, "run"), d.metric.describe(d.B), plural(d.B.N, "run"), d.Q, d.Verdict)
	return h
}

// paintChange colours significant changes, the stronger the larger: purple
// for less, orange for more (ColorBrewer's PuOr reads the same for the
// colour-blind).
func paintChange(c heatCell) template.CSS {
	strength := min(math.Abs(c.Value)/.3, 1)
	if c.Text[0] == '+' && c.Value == 0 {
		strength = 1 // from nothing
	}
	var end [3]float64
	switch c.Verdict {
	case Less:
		end = [3]float64{84, 39, 136}
	case More:
		end = [3]float64{179, 88, 6}
	default:
		return ""
	}
	mix := func(k int) uint8 { return uint8(math.Round(235 + (end[k]-235)*(.25+.75*strength))) }
	r, g, b := mix(0), mix(1), mix(2)
	return template.CSS(fmt.Sprintf("background-color:#%02x%02x%02x;color:%s", r, g, b, textOn(r, g, b)))
}

func (c *Comparison) tallyTable() cellTable {
	t := cellTable{Head: []tableHead{{"cells, B against A", true}}}
	for _, v := range tallyVerdicts {
		t.Head = append(t.Head, tableHead{string(v), false})
	}
	for _, m := range compareMetrics {
		n := c.Tally(m.name)
		if len(n) == 0 {
			continue
		}
		row := tableRow{Cells: []tableCell{textCell(m.title)}}
		for _, v := range tallyVerdicts {
			row.Cells = append(row.Cells, numberCell(count(float64(n[v])), float64(n[v])))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func (c *Comparison) table() cellTable {
	t := cellTable{Head: []tableHead{{"what", true}, {"profile", true}, {"stack", true}, {"loss", false}, {"metric", true},
		{"A", false}, {"B", false}, {"change", false}, {"p", false}, {"q", false}, {"verdict", true}}}
	for i := range c.Differences {
		d := &c.Differences[i]
		row := tableRow{Stack: d.Stack, Profile: d.Profile, Cells: []tableCell{
			textCell(d.View), textCell(d.Profile), textCell(d.Stack), numberCell(lossLabel(d.Loss), lossValue(d.Loss)),
			textCell(d.metric.title), estimateCell(d.metric, d.A), estimateCell(d.metric, d.B),
			numberCell(d.changeText(), d.Change), numberCell(fmt.Sprintf("%.3f", d.P), d.P), numberCell(fmt.Sprintf("%.3f", d.Q), d.Q),
			textCell(string(d.Verdict)),
		}}
		if d.Verdict == Less || d.Verdict == More {
			row.Class = "yes"
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}
