package report

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/thinlink/thinlink/measure"
)

// maxCaptures bounds a page: of more captures those of the lowest seeds are
// drawn, and the page says how many were not.
const maxCaptures = 24

// Widths of columns.
const (
	lengthBin  = 100 // bytes, as the reference experiment draws
	seriesSize = 120 // columns over time, at most
)

// A capturePage is a run's capture as the reference experiment draws one.
type capturePage struct {
	Title, File string
	Summary     string
	Charts      []*columnChart
}

// captures describes the captures in a folder. What cannot be read is a
// warning.
func captures(f *Folder) (pages []*capturePage, left int, warnings []string) {
	var with []*Record
	for _, r := range f.Records {
		// A name from a file must not lead out of the folder.
		if r.Files.PCAPNG == "" || !filepath.IsLocal(r.Files.PCAPNG) {
			continue
		}
		if _, err := os.Stat(filepath.Join(f.Dir, r.Files.PCAPNG)); err == nil {
			with = append(with, r)
		}
	}
	slices.SortStableFunc(with, func(a, b *Record) int { return cmp.Compare(a.Seed, b.Seed) })
	if len(with) > maxCaptures {
		left = len(with) - maxCaptures
		with = with[:maxCaptures]
	}
	for _, r := range with {
		trace, err := measure.Open(filepath.Join(f.Dir, r.Files.PCAPNG), measure.OpenOptions{})
		if err != nil {
			warnings = append(warnings, fmt.Sprintf("capture left out: %v", err))
			continue
		}
		pages = append(pages, newCapturePage(r, trace))
	}
	return pages, left, warnings
}

func newCapturePage(r *Record, trace *measure.Trace) *capturePage {
	length := trace.WindowEnd.Sub(trace.WindowStart)
	step := time.Duration(niceStep(length.Seconds()/seriesSize) * float64(time.Second))
	t := measure.Describe(trace, lengthBin, max(step, time.Millisecond))
	p := &capturePage{
		Title: fmt.Sprintf("%s, %s over %s, seed %d", r.Scenario, r.Stack, r.Profile, r.Seed),
		File:  r.Files.PCAPNG,
		Summary: fmt.Sprintf("%s packets in %s, mean %.0f B, %.0f %% of the bytes from platform to device",
			count(float64(r.Up.Packets+r.Down.Packets)), compactSeconds(length.Seconds()), t.MeanPacket, 100*t.ShareDown),
	}
	p.Charts = append(overTime(p.Title, t, length), lengths(p.Title, t))
	return p
}

// overTime are a trace's bytes and packets in equal steps, one chart each.
func overTime(title string, t *measure.Traffic, length time.Duration) []*columnChart {
	step := length.Seconds()
	if len(t.Series) > 1 {
		step = t.Series[1].T
	}
	per := fmt.Sprintf(" per %s", compactSeconds(step))
	bytes := &columnChart{Title: title + ": bytes over time", XLabel: "time from the window's start, s", YLabel: "IP bytes" + per, Step: step}
	packets := &columnChart{Title: title + ": packets over time", XLabel: bytes.XLabel, YLabel: "packets" + per, Step: step}
	for _, s := range t.Series {
		at := fmt.Sprintf("from %s s", tickLabel(s.T))
		bytes.add(s.T, float64(s.DownBytes), float64(s.UpBytes), at, " B")
		packets.add(s.T, float64(s.DownPackets), float64(s.UpPackets), at, "")
	}
	return []*columnChart{bytes, packets}
}

// usualLengths is where a histogram ends at the earliest, so that runs compare.
const usualLengths = 1500

// lengths is a trace's histogram of packet lengths.
func lengths(title string, t *measure.Traffic) *columnChart {
	c := &columnChart{Title: title + ": packet lengths", XLabel: "IP packet length, B", YLabel: "packets", Step: lengthBin}
	// The axis begins at 0; empty bins count.
	fill := func(end int) {
		for from := lengthBin * len(c.X); from < end; from += lengthBin {
			c.add(float64(from), 0, 0, "", "")
		}
	}
	for _, b := range t.Lengths {
		fill(b.From)
		c.add(float64(b.From), float64(b.Down), float64(b.Up), fmt.Sprintf("%d to %d B", b.From, b.To-1), "")
	}
	fill(usualLengths)
	return c
}

func (c *columnChart) add(x, down, up float64, at, unit string) {
	c.X = append(c.X, x)
	c.Down = append(c.Down, down)
	c.Up = append(c.Up, up)
	c.Tips = append(c.Tips, fmt.Sprintf("%s\ndown %s%s\nup %s%s", at, count(math.Round(down)), unit, count(up), unit))
}
