package plan

import (
	"bytes"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/thinlink/thinlink/internal/units"
)

// WriteText writes answers for people: each one in full, then, if there are
// several, their figures side by side.
func WriteText(w io.Writer, answers []*Answer) error {
	var b bytes.Buffer
	for i, a := range answers {
		if i > 0 {
			b.WriteString("\n")
		}
		a.text(&b)
	}
	if len(answers) > 1 {
		b.WriteString("\nside by side\n")
		table(&b, sideBySide(answers))
	}
	_, err := w.Write(b.Bytes())
	return err
}

// table aligns rows of cells.
func table(b *bytes.Buffer, rows [][]string) {
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				fmt.Fprint(t, "\t")
			} else {
				fmt.Fprint(t, "  ")
			}
			fmt.Fprint(t, cell)
		}
		fmt.Fprintln(t)
	}
	t.Flush() // a bytes.Buffer takes all
}

// name tells a variant from the others.
func (a *Answer) name() string {
	if a.WhatIf == "" {
		return a.Deployment
	}
	return a.Deployment + " with " + a.WhatIf
}

func percent(v float64) string { return fmt.Sprintf("%.3g %%", 100*v) }

func (p Probability) text() string {
	return fmt.Sprintf("%s (%s to %s)", percent(p.P), percent(p.Low), percent(p.High))
}

func secs(s float64) string {
	switch {
	case s == 0:
		return "-"
	case s < 300:
		return fmt.Sprintf("%.3g s", s)
	}
	return units.FormatDuration(time.Duration(s * float64(time.Second)).Round(time.Second))
}

// count is a number of things.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func size(v float64) string { return units.Bytes(v + 0.5).Human() }

// headline says what was simulated.
func (a *Answer) headline() string {
	return fmt.Sprintf("%d devices in %s of %s, %s, %s", a.Devices, count(a.Cells, "cell"), count(a.Carriers, "carrier"), a.Technology,
		units.FormatDuration(time.Duration(a.DurationS*float64(time.Second))))
}

func (a *Answer) offered() string {
	return fmt.Sprintf("%.4g reports/s, %.4g kbit/s up and %.4g kbit/s down on the air in all cells",
		a.Offered.ReportsPerS, a.Offered.UpBPS/1000, a.Offered.DownBPS/1000)
}

func (a *Answer) utilisation() [][]string {
	rows := [][]string{{"channel", "class", "mean", "fullest hour"}}
	for _, u := range a.Channels {
		rows = append(rows, []string{u.Channel, u.Class, percent(u.Mean), percent(u.Peak)})
	}
	return rows
}

func (a *Answer) access() [][]string {
	rows := [][]string{{"class", "preambles/s of cell", "opportunities/s", "collision (95 % interval)", "closed form", "attempts"}}
	for _, x := range a.Access {
		rows = append(rows, []string{x.Class, fmt.Sprintf("%.3g", x.PerS), fmt.Sprintf("%.4g", x.Capacity), x.Collision.text(), percent(x.ClosedForm), fmt.Sprintf("%.2f", x.Attempts)})
	}
	return rows
}

// accessNotes are what the table of random access does not say.
func (a *Answer) accessNotes() []string {
	return []string{
		fmt.Sprintf("reports given up in random access: %s; lost on the link: %s", a.Blocking.text(), a.Lost.text()),
		fmt.Sprintf("connections of a cell: %.4g in the mean, %d at most, %d allowed", a.Connected.Mean, a.Connected.Peak, a.Connected.Limit),
	}
}

func (a *Answer) delays() [][]string {
	rows := [][]string{{"class", "reports", "median", "95 %", "99 %"}}
	for _, x := range a.Delay {
		rows = append(rows, []string{x.Class, fmt.Sprint(x.N), secs(x.P50S), secs(x.P95S), secs(x.P99S)})
	}
	return rows
}

// lines say how many devices a cell carries, and what ends that.
func (c *Capacity) lines() []string {
	if c == nil {
		return nil
	}
	lines := []string{fmt.Sprintf("devices per cell, in this mix, with %.3g %% of exchanges within %s and at most %s given up: %d",
		100*c.Percentile, secs(c.ServiceS), percent(c.MaxBlocking), c.DevicesPerCell)}
	if c.DevicesPerCell == 0 {
		return append(lines, fmt.Sprintf("even a cell with next to no load misses the %s", c.Limit))
	} else if c.Beyond > 0 {
		return append(lines, fmt.Sprintf("at %d the %s is missed; closest to its end: %s at %s", c.Beyond, c.Limit, c.First, percent(c.Load)))
	}
	return lines
}

func (a *Answer) text(b *bytes.Buffer) {
	fmt.Fprintf(b, "%s: %s\n  %s\n", a.name(), a.headline(), a.offered())
	fmt.Fprintln(b, "\nutilisation")
	table(b, a.utilisation())
	fmt.Fprintln(b, "\nrandom access")
	table(b, a.access())
	indent(b, a.accessNotes())
	fmt.Fprintln(b, "\ndelay of a report, to its exchange's last packet")
	table(b, a.delays())
	for i := range a.Groups {
		g := &a.Groups[i]
		fmt.Fprintf(b, "\n%s\n", g.headline())
		indent(b, g.lines())
	}
	if lines := a.Capacity.lines(); lines != nil {
		fmt.Fprintf(b, "\n%s\n", lines[0])
		indent(b, lines[1:])
	}
	list(b, "assumed", a.Assumptions)
	list(b, "warnings", a.Warnings)
}

func indent(b *bytes.Buffer, lines []string) {
	for _, l := range lines {
		fmt.Fprintf(b, "  %s\n", l)
	}
}

func list(b *bytes.Buffer, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n", title)
	for _, l := range lines {
		fmt.Fprintf(b, "  - %s\n", l)
	}
}

func (g *GroupAnswer) headline() string {
	return fmt.Sprintf("group %s: %d devices, %s", g.Name, g.Devices, g.Stack)
}

// lines are a group's figures.
func (g *GroupAnswer) lines() []string {
	report := fmt.Sprintf("report: %d packets, %.0f B up, %.0f B down", g.ReportPackets, g.ReportUp, g.ReportDown)
	if g.SessionS > 0 {
		report += fmt.Sprintf("; session: %.0f B every %s", g.SessionBytes, secs(g.SessionS))
	}
	data := fmt.Sprintf("data: %s a device and month", size(g.BytesMonth))
	if c := g.Cost; c != nil {
		data += fmt.Sprintf(", %.2f %s; the group %.0f %s", c.PerDevice, c.Currency, c.Group, c.Currency)
	}
	lines := []string{
		report,
		fmt.Sprintf("%d reports, %d retransmissions, %d of them spurious; given up %s; 95 %% within %s",
			g.Reports, g.Repeated, g.Spurious, g.Blocking.text(), secs(g.Delay.P95S)),
		data,
	}
	if l := g.Battery; l != nil {
		lines = append(lines, fmt.Sprintf("battery: 5 %% of devices last less than %.1f years, half %.1f, 95 %% less than %.1f", l.P5, l.P50, l.P95))
	}
	return append(lines, g.OTA.lines(g.Cost)...)
}

// lines are a campaign's figures.
func (o *Update) lines(cost *Cost) []string {
	if o == nil {
		return nil
	}
	lines := []string{fmt.Sprintf("campaign: %s image of %s by %s: %d updated, %d failed, %d left", o.Strategy, size(float64(o.Image)), o.Stack, o.Updated, o.Failed, o.Left)}
	if o.Updated == 0 {
		return lines
	}
	progress := fmt.Sprintf("half after %s, 95 %% after %s, all after %s; one takes %s and %s", secs(o.P50S), secs(o.P95S), secs(o.LastS), secs(o.DeviceS), size(o.UpBytes+o.DownBytes))
	if cost != nil {
		progress += fmt.Sprintf(", %.2f %s", cost.OTA, cost.Currency)
	}
	return append(lines, progress)
}

// sideBySide has a row for each figure and a column for each variant.
func sideBySide(answers []*Answer) [][]string {
	head := []string{""}
	for i, a := range answers {
		if i == 0 {
			head = append(head, "as it is")
		} else {
			head = append(head, a.WhatIf)
		}
	}
	rows := [][]string{head}
	add := func(name string, f func(*Answer) string) {
		row := []string{name}
		known := false
		for _, a := range answers {
			row = append(row, f(a))
			known = known || f(a) != "-"
		}
		if known {
			rows = append(rows, row)
		}
	}
	add("reports/s", func(a *Answer) string { return fmt.Sprintf("%.4g", a.Offered.ReportsPerS) })
	add("up on the air", func(a *Answer) string { return fmt.Sprintf("%.4g kbit/s", a.Offered.UpBPS/1000) })
	add("down on the air", func(a *Answer) string { return fmt.Sprintf("%.4g kbit/s", a.Offered.DownBPS/1000) })
	for ch := range channels {
		add(channelNames[answers[0].Technology][ch], func(a *Answer) string { return percent(a.Channels[ch*(len(a.Access)+1)].Mean) })
	}
	add("reports given up", func(a *Answer) string { return percent(a.Blocking.P) })
	add("delay, median", func(a *Answer) string { return secs(a.Delay[0].P50S) })
	add("delay, 95 %", func(a *Answer) string { return secs(a.Delay[0].P95S) })
	add("devices per cell", func(a *Answer) string {
		if a.Capacity == nil {
			return "-"
		}
		return fmt.Sprint(a.Capacity.DevicesPerCell)
	})
	for i := range answers[0].Groups {
		name := answers[0].Groups[i].Name
		add(name+": data of a month", func(a *Answer) string { return size(a.Groups[i].BytesMonth) })
		add(name+": cost of a month", func(a *Answer) string {
			if c := a.Groups[i].Cost; c != nil {
				return fmt.Sprintf("%.2f %s", c.PerDevice, c.Currency)
			}
			return "-"
		})
		add(name+": battery, median", func(a *Answer) string {
			if l := a.Groups[i].Battery; l != nil {
				return fmt.Sprintf("%.1f years", l.P50)
			}
			return "-"
		})
		add(name+": campaign, 95 %", func(a *Answer) string {
			if o := a.Groups[i].OTA; o != nil && o.Updated > 0 {
				return secs(o.P95S)
			}
			return "-"
		})
	}
	return rows
}
