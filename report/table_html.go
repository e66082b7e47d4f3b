package report

import (
	"fmt"
	"math"
	"strconv"
)

// A cellTable lists every cell, for reading off and for those who cannot see
// the charts.
type cellTable struct {
	Head []tableHead
	Rows []tableRow
}

type tableHead struct {
	Name string
	Text bool // not a number
}

type tableRow struct {
	Stack, Profile, Class string
	Cells                 []tableCell
}

// A tableCell is one cell; Note stands beside or below its text, Sort is its
// number, if its column sorts by one.
type tableCell struct{ Text, Note, Class, Sort string }

func textCell(s string) tableCell { return tableCell{Text: s, Class: "text"} }

func numberCell(text string, v float64) tableCell {
	return tableCell{Text: text, Sort: strconv.FormatFloat(v, 'g', 8, 64)}
}

// tableMetrics are the table's columns.
var tableMetrics = []*metric{
	completionTime, linkBytes, wastedBytes, wastedPerInterruption, energy, retransmissions, spurious, handshakes,
}

func (g *grid) table() cellTable {
	var metrics []*metric
	for _, m := range tableMetrics {
		for _, view := range g.views {
			if g.measures(view, m) {
				metrics = append(metrics, m)
				break
			}
		}
	}
	t := cellTable{Head: []tableHead{{"what", true}, {"profile", true}, {"stack", true}, {"loss", false}, {"completed", false}}}
	for _, m := range metrics {
		t.Head = append(t.Head, tableHead{m.title, false})
	}
	t.Head = append(t.Head, tableHead{"doubt", true})
	for _, c := range g.cells {
		done := len(c.completed())
		row := tableRow{Stack: c.Stack, Profile: c.Profile, Cells: []tableCell{
			textCell(c.View), textCell(c.Profile), textCell(c.Stack),
			numberCell(lossLabel(c.Loss), lossValue(c.Loss)),
			numberCell(fmt.Sprintf("%d/%d", done, len(c.runs)), float64(done)/float64(len(c.runs))),
		}}
		for _, m := range metrics {
			row.Cells = append(row.Cells, estimateCell(m, c.estimate(m)))
		}
		row.Cells = append(row.Cells, tableCell{Text: c.doubt(), Class: "mark"})
		t.Rows = append(t.Rows, row)
	}
	return t
}

func estimateCell(m *metric, e Estimate) tableCell {
	if e.N == 0 {
		return numberCell("\u2013", math.NaN())
	}
	c := numberCell(m.format(e.Median), e.Median)
	if e.Lo != e.Hi {
		c.Note = fmt.Sprintf("[%s, %s]", m.format(e.Lo), m.format(e.Hi))
	}
	return c
}
