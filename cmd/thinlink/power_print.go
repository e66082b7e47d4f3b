package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"

	"github.com/thinlink/thinlink/lab"
)

// printBattery writes a battery's life for people.
func printBattery(w io.Writer, l *lab.BatteryLife, p *lab.BatteryPlan) error {
	var b strings.Builder
	module := l.Module
	if module == "" {
		module = "mean powers of the profile"
	}
	fmt.Fprintf(&b, "%s, %s, %s: a report every %s (%.0f B of IP with its session's share)\n", l.Profile, l.Stack, module, seconds(l.EveryS), l.BytesPerReport)
	fmt.Fprintf(&b, "%s of %s at %g degrees Celsius last %s: %s mean, of which %s self-discharge\n\n",
		p.Battery.Capacity, p.Battery.Chemistry.Name, p.Battery.Celsius, years(l.Years), watts(l.MeanW+l.SelfDischargeW), watts(l.SelfDischargeW))
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, list := range [][]lab.BudgetItem{l.Budget, l.ByState} {
		for _, item := range list {
			fmt.Fprintf(t, "%5.1f %%\t%s\t%s\n", 100*item.Share, item.What, watts(item.MeanW))
		}
		fmt.Fprintln(t)
	}
	if l.Energy.Reports > 0 {
		fmt.Fprintf(t, "a connection with a report costs\t%s\n", joules(l.Energy.PerReportJ))
	}
	fmt.Fprintf(t, "a byte of IP costs\t%s\n", joules(l.Energy.PerByteJ))
	fmt.Fprintf(t, "connecting cost once\t%s\n", joules(l.Energy.BeforeJ))
	fmt.Fprintf(t, "simulated\t%s: %d connections with reports, %d others, %d tracking area updates\n",
		seconds(l.WindowS), l.Energy.Reports, l.Energy.Sessions, l.Energy.Updates)
	t.Flush()
	fmt.Fprintf(&b, "\nwhat dominates: %s (%.0f %%)\n", l.Dominates, 100*l.Budget[0].Share)
	for _, a := range l.Assumptions {
		fmt.Fprintf(&b, "assumed: %s\n", a)
	}
	for _, warning := range l.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", warning)
	}
	printSensitivity(&b, l)
	b.WriteString("\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func printSensitivity(b *strings.Builder, l *lab.BatteryLife) {
	if len(l.Sensitivity) == 0 {
		return
	}
	b.WriteString("\none thing changed at a time:\n")
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, c := range l.Sensitivity {
		if c.Error != "" {
			fmt.Fprintf(t, "  %s\tfailed: %s\n", c.What, c.Error)
			continue
		}
		fmt.Fprintf(t, "  %s\t%s\t%+.0f %%\t%s\n", c.What, years(c.Years), 100*(c.Years/l.Years-1), strings.Join(c.Warnings, "; "))
	}
	t.Flush()
}

func years(y float64) string {
	if y < 1 {
		return fmt.Sprintf("%.0f days", y*365.25)
	}
	return fmt.Sprintf("%.1f years", y)
}

func watts(w float64) string { return prefixed(w, "W") }

func joules(j float64) string { return prefixed(j, "J") }

// prefixed writes a value with three significant digits.
func prefixed(v float64, unit string) string {
	for _, p := range []struct {
		prefix string
		factor float64
	}{{"", 1}, {"m", 1e-3}, {"u", 1e-6}} {
		if math.Abs(v) >= p.factor {
			return fmt.Sprintf("%.3g %s%s", v/p.factor, p.prefix, unit)
		}
	}
	return fmt.Sprintf("%.3g n%s", v/1e-9, unit)
}
