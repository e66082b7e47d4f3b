package report

import (
	"html/template"
	"io"
	"strconv"
)

// A Document is a page of tables and charts in the style of the reports, for
// results that are not runs.
type Document struct {
	Title, Lead string
	Sections    []Section
}

// A Section is a part of a document under a heading. What is empty is left out.
type Section struct {
	Heading string
	Notices []string // warnings
	Text    []string // paragraphs
	Charts  []Curves
	Tables  []Grid
	List    []string // after the tables
}

// Curves is a line chart.
type Curves struct {
	Title, XLabel, YLabel string
	Lines                 []Curve
}

// A Curve has one value of Y for each of X.
type Curve struct {
	Name string
	X, Y []float64
}

// A Grid is a table. The first Texts columns are text, the others numbers with
// their units.
type Grid struct {
	Title string
	Head  []string
	Texts int
	Rows  [][]string
}

// Write writes the page, which loads nothing else.
func (d *Document) Write(w io.Writer) error {
	return pages.ExecuteTemplate(w, "document", d)
}

// SVG draws the curves for a page.
func (c *Curves) SVG() template.HTML {
	chart := lineChart{Title: c.Title, XLabel: c.XLabel, YLabel: c.YLabel}
	for i, l := range c.Lines {
		drawn := line{Name: l.Name, Style: i}
		for j, y := range l.Y {
			tip := l.Name + "\n" + c.XLabel + " " + tickLabel(l.X[j]) + ": " + strconv.FormatFloat(y, 'g', 4, 64)
			drawn.Points = append(drawn.Points, point{X: l.X[j], Y: y, Lo: y, Hi: y, Tip: tip})
		}
		chart.Lines = append(chart.Lines, drawn)
	}
	return chart.SVG()
}

// Names are the curves', for the legend.
func (c *Curves) Names() []string {
	names := make([]string, len(c.Lines))
	for i, l := range c.Lines {
		names[i] = l.Name
	}
	return names
}

// Table is the grid as the pages' tables have it. Numbers do not sort: they
// have units of their own.
func (g *Grid) Table() cellTable {
	var t cellTable
	for i, name := range g.Head {
		t.Head = append(t.Head, tableHead{name, i < g.Texts})
	}
	for _, cells := range g.Rows {
		var row tableRow
		for i, text := range cells {
			c := tableCell{Text: text}
			if i < g.Texts {
				c = textCell(text)
			}
			row.Cells = append(row.Cells, c)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}
