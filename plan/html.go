package plan

import (
	"io"
	"strings"

	"github.com/thinlink/thinlink/report"
)

// WriteHTML writes a page with plots that needs nothing from elsewhere.
func WriteHTML(w io.Writer, answers []*Answer) error {
	d := report.Document{Title: answers[0].Deployment, Lead: answers[0].headline()}
	if len(answers) > 1 {
		d.Sections = append(d.Sections, report.Section{Heading: "Side by side", Tables: []report.Grid{grid("", 1, sideBySide(answers))}})
	}
	for _, a := range answers {
		d.Sections = append(d.Sections, a.sections()...)
	}
	return d.Write(w)
}

// sections are one answer's part of the page.
func (a *Answer) sections() []report.Section {
	prefix := ""
	if a.WhatIf != "" {
		prefix = a.WhatIf + ": "
	}
	network := report.Section{
		Heading: prefix + "network", Notices: a.Warnings, Text: append([]string{a.offered()}, a.Capacity.lines()...),
		Charts: a.charts(), Tables: []report.Grid{
			grid("Utilisation", 2, a.utilisation()), grid("Random access", 1, a.access()),
			grid("Delay of a report, to its exchange's last packet", 1, a.delays()),
		},
		List: a.accessNotes(),
	}
	groups := report.Section{Heading: prefix + "devices"}
	for i := range a.Groups {
		g := &a.Groups[i]
		groups.Tables = append(groups.Tables, facts(g.headline(), g.lines()))
	}
	return []report.Section{network, groups, {Heading: prefix + "assumed", List: a.Assumptions}}
}

// grid is a table whose first row is its head.
func grid(title string, texts int, rows [][]string) report.Grid {
	return report.Grid{Title: title, Head: rows[0], Texts: texts, Rows: rows[1:]}
}

// facts is a table of what a group's lines say: a word, and what it stands for.
func facts(title string, lines []string) report.Grid {
	g := report.Grid{Title: title, Head: []string{"", ""}, Texts: 2}
	for _, l := range lines {
		name, text, named := strings.Cut(l, ": ")
		if !named {
			name, text = "", l
		}
		g.Rows = append(g.Rows, []string{name, text})
	}
	return g
}

func (a *Answer) charts() []report.Curves {
	use := report.Curves{Title: "Utilisation", XLabel: "hour", YLabel: "%"}
	for _, u := range a.Channels {
		if u.Class == "all" {
			use.Lines = append(use.Lines, hourly(u.Channel, u.ByHour, 100))
		}
	}
	access := report.Curves{Title: "Random access load", XLabel: "hour", YLabel: "preambles in 100 opportunities"}
	for _, x := range a.Access {
		access.Lines = append(access.Lines, hourly(x.Class, x.ByHour, 100))
	}
	held := report.Curves{Title: "Connections of a cell", XLabel: "hour", YLabel: "connections", Lines: []report.Curve{hourly("connections", a.Connected.ByHour, 1)}}
	return []report.Curves{use, access, held}
}

// hourly is a curve of hourly means, each at the middle of its hour.
func hourly(name string, values []float64, factor float64) report.Curve {
	c := report.Curve{Name: name}
	for i, v := range values {
		c.X, c.Y = append(c.X, float64(i)+.5), append(c.Y, factor*v)
	}
	return c
}
