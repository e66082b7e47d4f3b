package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Charts are data first: pages draw them as inline SVG and HTML tables, files
// through gonum.org/v1/plot.

// A heatMap is a matrix of one metric: stacks down, losses or profiles across.
type heatMap struct {
	Title      string // the profile, or "" for all
	Corner     string // what the columns are
	Rows, Cols []string
	Cells      [][]heatCell
}

// A heatCell is one cell; a missing one has no Text.
type heatCell struct {
	Text  string
	Value float64 // for the colour; NaN: none
	Doubt string
	Tip   string
	// Verdict makes Value a change, coloured if it is significant.
	Verdict Verdict
}

// A lineChart has one line per stack.
type lineChart struct {
	Title, XLabel, YLabel string
	LogY                  bool
	Lines                 []line
}

type line struct {
	Name   string
	Style  int // index into the page's styles
	Points []point
}

// A point with its 95 % interval; Doubt marks it.
type point struct {
	X, Y, Lo, Hi float64
	Doubt        bool
	Tip          string
}

// A barChart has horizontal bars, each of one or more parts.
type barChart struct {
	Title, XLabel string
	Parts         []string // the legend
	Rows          []bar
	// Grouped draws parts below each other instead of in one bar.
	Grouped bool
}

type bar struct {
	Name   string
	Values []float64 // one per part; NaN: nothing known
	Tips   []string
	Note   string // beside the bar
}

// A columnChart has vertical bars over a numeric axis, uplink on downlink.
type columnChart struct {
	Title, XLabel, YLabel string
	Step                  float64 // width of a column
	X                     []float64
	Down, Up              []float64
	Tips                  []string
}

// A scale maps values to 0..1 for colours and positions.
type scale struct {
	Min, Max float64
	Log      bool
	Whole    bool // of numbers that have no fractions
}

// newScale covers values. Beyond a factor of 30 it is logarithmic, if all are
// positive.
func newScale(values []float64) scale {
	values = slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	if len(values) == 0 {
		return scale{Min: 0, Max: 1}
	}
	s := scale{Min: slices.Min(values), Max: slices.Max(values)}
	s.Log = s.Min > 0 && s.Max > 30*s.Min
	return s
}

func (s scale) at(v float64) float64 {
	lo, hi := s.Min, s.Max
	if s.Log {
		lo, hi, v = math.Log(lo), math.Log(hi), math.Log(v)
	}
	if hi <= lo {
		return 0
	}
	return min(max((v-lo)/(hi-lo), 0), 1)
}

// ticks are round values inside the scale, about n.
func (s scale) ticks(n int) []float64 {
	if s.Log {
		return s.logTicks(n)
	}
	step := niceStep((s.Max - s.Min) / float64(max(n, 1)))
	if s.Whole {
		step = max(step, 1)
	}
	var t []float64
	for k := math.Ceil(s.Min/step - 1e-9); k*step <= s.Max+step*1e-9 && len(t) < 50; k++ {
		t = append(t, k*step+0) // +0: no negative zero
	}
	return t
}

func (s scale) logTicks(n int) []float64 {
	for _, mantissas := range [][]float64{{1, 2, 5}, {1, 3}, {1}} {
		var t []float64
		for e := math.Floor(math.Log10(s.Min)); e <= math.Log10(s.Max); e++ {
			for _, m := range mantissas {
				if v := m * math.Pow(10, e); v >= s.Min*(1-1e-9) && v <= s.Max*(1+1e-9) {
					t = append(t, v)
				}
			}
		}
		if len(t) <= n+2 || len(mantissas) == 1 {
			return t
		}
	}
	panic("unreachable: the last choice is always taken")
}

// niceStep rounds up to 1, 2 or 5 times a power of ten.
func niceStep(v float64) float64 {
	if v <= 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return 1
	}
	p := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if m*p >= v*(1-1e-9) {
			return m * p
		}
	}
	return 10 * p
}

// tickLabel prints a round number shortly.
func tickLabel(v float64) string {
	if a := math.Abs(v); a >= 1e6 {
		return strconv.FormatFloat(v/1e6, 'g', 4, 64) + "M"
	} else if a >= 1e4 {
		return strconv.FormatFloat(v/1e3, 'g', 4, 64) + "k"
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// yScale is the scale of a line chart's points and intervals, widened to whole
// ticks.
func (c *lineChart) yScale() scale {
	var v []float64
	for _, l := range c.Lines {
		for _, p := range l.Points {
			v = append(v, p.Y, p.Lo, p.Hi)
		}
	}
	s := newScale(v)
	if s.Log = c.LogY && s.Min > 0; s.Log {
		s.Min, s.Max = s.Min/1.15, s.Max*1.15
		return s
	}
	s.Min = min(s.Min, 0)
	s.Max = ceilTo(s.Max, 5)
	return s
}

// ceilTo is the smallest whole number of nice steps at or above v, about n.
func ceilTo(v float64, n int) float64 {
	if v <= 0 {
		return 1
	}
	step := niceStep(v / float64(n))
	return step * math.Ceil(v/step-1e-9)
}

func (c *lineChart) xScale() scale {
	s := scale{Min: math.Inf(1), Max: math.Inf(-1)}
	for _, l := range c.Lines {
		for _, p := range l.Points {
			s.Min, s.Max = min(s.Min, p.X), max(s.Max, p.X)
		}
	}
	if s.Max <= s.Min {
		s.Min, s.Max = s.Min-.5, s.Max+.5
	}
	// Room for lines that are drawn beside each other.
	room := .03 * (s.Max - s.Min)
	return scale{Min: s.Min - room, Max: s.Max + room}
}

// longest is the largest extent of a bar.
func (c *barChart) longest() float64 {
	m := 0.
	for _, r := range c.Rows {
		sum := 0.
		for _, v := range r.Values {
			if math.IsNaN(v) {
				continue
			}
			if c.Grouped {
				sum = max(sum, v)
			} else {
				sum += v
			}
		}
		m = max(m, sum)
	}
	return m
}

// describe is the chart in words, for those who cannot see it.
func (c *lineChart) describe() string {
	names := make([]string, len(c.Lines))
	for i, l := range c.Lines {
		names[i] = l.Name
	}
	return fmt.Sprintf("Line chart, %s: %s against %s for %s", c.Title, c.YLabel, c.XLabel, strings.Join(names, ", "))
}

func (c *barChart) describe() string {
	names := make([]string, len(c.Rows))
	for i, r := range c.Rows {
		names[i] = strings.TrimSpace(r.Name + " " + r.Note)
	}
	return fmt.Sprintf("Bar chart, %s: %s of %s", c.Title, c.XLabel, strings.Join(names, ", "))
}

func (c *columnChart) describe() string {
	return fmt.Sprintf("Column chart, %s: %s against %s", c.Title, c.YLabel, c.XLabel)
}
