package report

import (
	"strings"
	"unicode/utf8"
)

// A table aligns columns: the first two to the left, numbers to the right.
type table struct {
	style Style
	rows  [][]string // the first is the header; a note has one cell
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

// note adds a line that spans all columns.
func (t *table) note(line string) { t.rows = append(t.rows, []string{line}) }

func (t *table) write(b *strings.Builder) {
	var widths []int
	for _, row := range t.rows {
		if len(row) == 1 {
			continue
		}
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for n, row := range t.rows {
		if len(row) == 1 {
			b.WriteString("    " + row[0] + "\n")
			continue
		}
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i > 0 {
				line.WriteString("  ")
			}
			if i < 2 {
				line.WriteString(cell + pad)
			} else {
				line.WriteString(pad + cell)
			}
		}
		text := strings.TrimRight(line.String(), " ")
		switch {
		case n == 0:
			text = paint(text, "2", t.style)
		case strings.Contains(text, "FAILED"):
			text = paint(text, "31", t.style)
		}
		b.WriteString(text + "\n")
	}
}

func bold(s string, style Style) string { return paint(s, "1", style) }

// paint wraps s in an ANSI SGR code where colour is allowed.
func paint(s, code string, style Style) string {
	if !style.Color {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}
