package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// SweepText prints one table for each profile: the median completion time, a
// line for each scenario, value and interruption, a column for each stack.
func SweepText(w io.Writer, f *Folder, style Style) error {
	g := newGrid(f.Records)
	var b strings.Builder
	fmt.Fprintf(&b, "%s, median over seeds\n", completionTime.title)
	for _, profile := range g.profiles {
		writeSweepProfile(&b, g, profile, style)
	}
	writeLegend(&b, g)
	_, err := io.WriteString(w, b.String())
	return err
}

func writeSweepProfile(b *strings.Builder, g *grid, profile string, style Style) {
	fmt.Fprintf(b, "\n%s\n", bold(profile, style))
	t := &table{style: style}
	stackHeader(t, g.stacks)
	for _, view := range g.views {
		for _, loss := range g.lossesOf(view, profile) {
			row := []string{view, "loss " + lossLabel(loss)}
			for _, stack := range g.stacks {
				row = append(row, cellText(g.at(view, profile, stack, loss)))
			}
			t.row(row...)
		}
	}
	t.write(b)
}

// stackHeader breaks the names of stacks at hyphens, so that many fit.
func stackHeader(t *table, stacks []string) {
	const width = 11
	columns := make([][]string, len(stacks))
	height := 0
	for i, stack := range stacks {
		columns[i] = wrapName(stack, width)
		height = max(height, len(columns[i]))
	}
	for line := range height {
		row := []string{"", ""}
		for _, c := range columns {
			if line < len(c) {
				row = append(row, c[line])
			} else {
				row = append(row, "")
			}
		}
		t.row(row...)
	}
}

// wrapName splits after hyphens, and at spaces.
func wrapName(name string, width int) (lines []string) {
	for word := range strings.FieldsSeq(name) {
		line := ""
		for part := range strings.SplitAfterSeq(word, "-") {
			if line != "" && utf8.RuneCountInString(line+part) > width {
				lines = append(lines, line)
				line = ""
			}
			line += part
		}
		lines = append(lines, line)
	}
	return lines
}

// Marks of cells that say less than others.
const (
	markDoubtful = "?" // too few completed
	markWide     = "~" // the interval reaches further than a tenth of the median
)

func cellText(c *cell) string {
	if c == nil {
		return ""
	}
	e := c.estimate(completionTime)
	if e.N == 0 {
		return "none" + markDoubtful
	}
	mark := " "
	switch {
	case c.doubt() != "":
		mark = markDoubtful
	case e.Median-e.Lo > e.Median/10 || e.Hi-e.Median > e.Median/10:
		mark = markWide
	}
	return compactSeconds(e.Median) + mark
}

// writeLegend explains the marks that occur, and why runs did not complete.
func writeLegend(b *strings.Builder, g *grid) {
	doubtful, wide := 0, 0
	reasons := map[string]int{}
	var order []string
	for _, c := range g.cells {
		switch text := cellText(c); {
		case strings.HasSuffix(text, markDoubtful):
			doubtful++
		case strings.HasSuffix(text, markWide):
			wide++
		}
		for _, r := range c.runs {
			if r.Completed {
				continue
			}
			reason := strings.ReplaceAll(r.Error, "\n", ": ")
			if reasons[reason] == 0 {
				order = append(order, reason)
			}
			reasons[reason]++
		}
	}
	b.WriteByte('\n')
	if doubtful > 0 {
		fmt.Fprintf(b, "%s doubtful: fewer than 3 runs completed, or less than half (%s)\n", markDoubtful, plural(doubtful, "cell"))
	}
	if wide > 0 {
		fmt.Fprintf(b, "%s the 95 %% interval reaches further than a tenth of the median (%s)\n", markWide, plural(wide, "cell"))
	}
	const most = 10
	for i, reason := range order {
		if i == most {
			fmt.Fprintf(b, "and %d other errors\n", len(order)-most)
			break
		}
		fmt.Fprintf(b, "%s did not complete: %s\n", plural(reasons[reason], "run"), reason)
	}
}
