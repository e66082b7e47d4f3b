package report

import (
	"fmt"
	"io"
	"strings"
)

// CompareText prints a comparison: what was compared, how many cells differ in
// each metric, and the significant differences, or with all every one.
func CompareText(w io.Writer, c *Comparison, all bool, style Style) error {
	var b strings.Builder
	fmt.Fprintf(&b, "A: %s\nB: %s\n", c.A, c.B)
	for _, s := range c.Settings {
		fmt.Fprintf(&b, "%s: A %s, B %s\n", s.Path, orNone(s.A), orNone(s.B))
	}
	b.WriteByte('\n')
	writeTally(&b, c, style)
	rows := c.Significant()
	if all {
		rows = c.Differences
	}
	if len(rows) > 0 {
		b.WriteByte('\n')
		writeDifferences(&b, rows, style)
	} else if len(c.Differences) > 0 {
		b.WriteString("\nNo difference is significant.\n")
	}
	for _, only := range []struct {
		side  string
		cells []CellName
	}{{"A", c.OnlyA}, {"B", c.OnlyB}} {
		for _, name := range only.cells {
			fmt.Fprintf(&b, "only in %s: %s\n", only.side, name)
		}
	}
	fmt.Fprintf(&b, "\n%s\n", c.Method)
	_, err := io.WriteString(w, b.String())
	return err
}

// tallyVerdicts is the order in which verdicts are counted out.
var tallyVerdicts = []Verdict{Less, More, Unclear, Identical, TooFew, Incomplete}

func writeTally(b *strings.Builder, c *Comparison, style Style) {
	t := &table{style: style}
	t.row("cells, B against A", "", "less", "more", "not significant", "identical", "too few runs", "not comparable")
	for _, m := range compareMetrics {
		n := c.Tally(m.name)
		if len(n) == 0 {
			continue
		}
		row := []string{m.title, ""}
		for _, v := range tallyVerdicts {
			row = append(row, count(float64(n[v])))
		}
		t.row(row...)
	}
	t.write(b)
	if len(c.Differences) == 0 {
		b.WriteString("No cell is in both.\n")
	}
}

func writeDifferences(b *strings.Builder, rows []Difference, style Style) {
	t := &table{style: style}
	t.row("cell", "metric", "A", "B", "change", "q", "verdict")
	for _, d := range rows {
		t.row(d.CellName.String(), d.metric.title, d.metric.describe(d.A), d.metric.describe(d.B), d.changeText(), fmt.Sprintf("%.3f", d.Q), string(d.Verdict))
	}
	t.write(b)
}

// changeText is the change in per cent, "" where there is none to state.
func (d *Difference) changeText() string {
	if d.Verdict == Incomplete || d.A.Median == 0 {
		return ""
	}
	if d.Verdict == Identical {
		return "0 %"
	}
	return fmt.Sprintf("%+.1f %%", 100*d.Change)
}
