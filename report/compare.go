package report

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// DefaultLevel is the share of differences called significant that may be
// chance.
const DefaultLevel = 0.05

// Side is one of the two sets of runs of a comparison.
type Side struct {
	Name    string
	Records []*Record
}

// Comparison says in which cells two sets of runs differ.
//
// A cell of one set matches the cell of the other with the same profile,
// scenario, stack, engine, interruptions and overrides. What is constant
// within each set, but not the same in both, does not count: that is what is
// compared, and listed in Settings. So two folders, two stacks or two profiles
// of one folder, or two settings compare alike.
type Comparison struct {
	A     string  `json:"a"`
	B     string  `json:"b"`
	Level float64 `json:"level"`
	// Method says in a sentence how Difference.P and Q came about.
	Method string `json:"method"`
	// Settings are inputs that all runs of a side share, but the sides do not.
	Settings    []SettingDifference `json:"settings"`
	Differences []Difference        `json:"differences"`
	// OnlyA and OnlyB are cells without a match.
	OnlyA []CellName `json:"only_a"`
	OnlyB []CellName `json:"only_b"`
}

// SettingDifference is an input that tells the sides apart.
type SettingDifference struct {
	Path string `json:"path"`
	A    string `json:"a"`
	B    string `json:"b"`
}

// CellName identifies a cell. View joins what is neither profile, stack nor
// loss.
type CellName struct {
	View    string `json:"view"`
	Profile string `json:"profile"`
	Stack   string `json:"stack"`
	Loss    string `json:"loss"`
}

func (c CellName) String() string {
	s := c.View + ", " + c.Stack + " over " + c.Profile
	if c.Loss != "" {
		s += ", loss " + lossLabel(c.Loss)
	}
	return s
}

// Verdict says what a comparison of a cell came to.
type Verdict string

// The verdicts. Less and More are of B against A.
const (
	Identical  Verdict = "identical"       // seed by seed the same
	Unclear    Verdict = "not significant" // the difference may be chance
	TooFew     Verdict = "too few runs"    // no difference could be significant
	Less       Verdict = "less"
	More       Verdict = "more"
	Incomplete Verdict = "not comparable" // no run of a side completed
)

// Difference compares one metric of a cell.
type Difference struct {
	CellName
	Metric string   `json:"metric"`
	Unit   string   `json:"unit"`
	A      Estimate `json:"a"` // of completed runs; of metric completed: of all
	B      Estimate `json:"b"`
	// Change is B's median over A's, less 1; 0 if A's is 0.
	Change  float64 `json:"change"`
	P       float64 `json:"p"` // of this cell alone; 1 if it was not tested
	Q       float64 `json:"q"` // adjusted for all cells of the metric
	Verdict Verdict `json:"verdict"`

	metric *metric
}

// completion compares whether runs complete.
var completion = &metric{
	name: "completed", title: "share of runs that completed", per: 1, format: func(v float64) string { return fmt.Sprintf("%.0f %%", 100*v) },
	of: func(r *Record) float64 {
		if r.Completed {
			return 1
		}
		return 0
	}, has: always,
}

var compareMetrics = []*metric{completionTime, linkBytes, wastedBytes, energy, retransmissions, spurious, completion}

// Compare compares two sets of runs at a significance level between 0 and 1.
func Compare(a, b Side, level float64) *Comparison {
	c := &Comparison{
		A: a.Name, B: b.Name, Level: level,
		Method: fmt.Sprintf("Two-sided permutation test of the difference of medians, equal differences ordered by that of means; "+
			"p-values adjusted for all tested cells of a metric after Benjamini and Hochberg; level %g. "+
			"Cells whose runs are the same seed by seed need no test.", level),
		Settings: []SettingDifference{}, Differences: []Difference{}, OnlyA: []CellName{}, OnlyB: []CellName{},
	}
	left, right := c.align(a.Records, b.Records)
	ofA := make(map[*Record]bool)
	for _, r := range left {
		ofA[r] = true
	}
	for _, both := range newGrid(slices.Concat(left, right)).cells {
		x, y := &cell{cellKey: both.cellKey}, &cell{cellKey: both.cellKey}
		for _, r := range both.runs {
			if ofA[r] {
				x.runs = append(x.runs, r)
			} else {
				y.runs = append(y.runs, r)
			}
		}
		c.add(CellName(both.cellKey), x, y)
	}
	c.adjust()
	return c
}

func (c *Comparison) add(name CellName, x, y *cell) {
	switch {
	case len(x.runs) == 0:
		c.OnlyB = append(c.OnlyB, name)
	case len(y.runs) == 0:
		c.OnlyA = append(c.OnlyA, name)
	default:
		for _, m := range compareMetrics {
			if m.applies(x.runs) && m.applies(y.runs) {
				c.Differences = append(c.Differences, compareCells(name, x, y, m, c.Level))
			}
		}
	}
}

// align returns copies of the records in which whatever is constant within
// each side is the same for both, and notes the differences: that is what is
// compared.
func (c *Comparison) align(a, b []*Record) (left, right []*Record) {
	left, right = copies(a), copies(b)
	for _, label := range []struct {
		name  string
		field func(*Record) *string
	}{
		{"profile", func(r *Record) *string { return &r.Profile }},
		{"scenario", func(r *Record) *string { return &r.Scenario }},
		{"stack", func(r *Record) *string { return &r.Stack }},
		{"engine", func(r *Record) *string { return &r.Engine }},
		{"interrupt", func(r *Record) *string { return &r.Interrupt }},
		{"version", func(r *Record) *string { return &r.Version }},
	} {
		x, okX := only(left, func(r *Record) string { return *label.field(r) })
		y, okY := only(right, func(r *Record) string { return *label.field(r) })
		if !okX || !okY || x == y {
			continue
		}
		c.Settings = append(c.Settings, SettingDifference{label.name, x, y})
		for _, r := range slices.Concat(left, right) {
			*label.field(r) = "A or B"
		}
	}
	for _, path := range setPaths(slices.Concat(left, right)) {
		x, okX := only(left, func(r *Record) string { return r.Set[path] })
		y, okY := only(right, func(r *Record) string { return r.Set[path] })
		if !okX || !okY || x == y {
			continue
		}
		c.Settings = append(c.Settings, SettingDifference{path, x, y})
		for _, r := range slices.Concat(left, right) {
			delete(r.Set, path)
		}
	}
	return left, right
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// only is what all records have alike.
func only(records []*Record, of func(*Record) string) (string, bool) {
	first := of(records[0])
	return first, !slices.ContainsFunc(records, func(r *Record) bool { return of(r) != first })
}

func copies(records []*Record) []*Record {
	out := make([]*Record, len(records))
	for i, r := range records {
		c := *r
		c.Set = maps.Clone(r.Set)
		out[i] = &c
	}
	return out
}

func compareCells(name CellName, x, y *cell, m *metric, level float64) Difference {
	a, b := x.valuesOf(m), y.valuesOf(m)
	d := Difference{CellName: name, Metric: m.name, Unit: m.unit, P: 1, Q: 1, metric: m, Verdict: Unclear}
	if d.Unit == "kB" {
		d.Unit = "B" // A and B are in base units
	}
	if len(a) == 0 || len(b) == 0 {
		d.Verdict = Incomplete
		return d
	}
	d.A, d.B = EstimateMedian(a), EstimateMedian(b)
	if m == completion { // its median says nothing
		d.A.Median, d.B.Median = mean(a), mean(b)
	}
	if d.A.Median != 0 {
		d.Change = d.B.Median/d.A.Median - 1
	}
	switch {
	case sameRuns(x, y, m):
		d.Verdict = Identical
	case 2/float64(binomial(len(a)+len(b), len(a))) > level:
		d.Verdict = TooFew
	default:
		d.P = permutationP(a, b)
	}
	return d
}

// valuesOf are a metric's values of the completed runs; whether runs complete
// is asked of all.
func (c *cell) valuesOf(m *metric) (v []float64) {
	runs := c.completed()
	if m == completion {
		runs = c.runs
	}
	for _, r := range runs {
		if m.has(r) {
			v = append(v, m.of(r))
		}
	}
	return v
}

// sameRuns reports whether the sides have the same seeds, and each the same
// value: what a deterministic engine gives for what has not changed.
func sameRuns(x, y *cell, m *metric) bool {
	return slices.EqualFunc(x.runs, y.runs, func(a, b *Record) bool {
		return a.Seed == b.Seed && a.Completed == b.Completed && m.has(a) == m.has(b) && (!m.has(a) || m.of(a) == m.of(b))
	})
}

// adjust sets q-values and verdicts, metric by metric.
func (c *Comparison) adjust() {
	for _, m := range compareMetrics {
		var tested []*Difference
		var p []float64
		for i := range c.Differences {
			if d := &c.Differences[i]; d.metric == m && d.Verdict == Unclear {
				tested = append(tested, d)
				p = append(p, d.P)
			}
		}
		for i, q := range adjustBH(p) {
			d := tested[i]
			d.Q = q
			if q > c.Level {
				continue
			}
			d.Verdict = More
			if d.B.Median < d.A.Median || d.B.Median == d.A.Median && d.meanLess() {
				d.Verdict = Less
			}
		}
	}
}

// meanLess decides where medians agree, from the intervals.
func (d *Difference) meanLess() bool { return d.B.Lo+d.B.Hi < d.A.Lo+d.A.Hi }

// Significant are the differences that are, the largest changes first.
func (c *Comparison) Significant() []Difference {
	var out []Difference
	for _, d := range c.Differences {
		if d.Verdict == Less || d.Verdict == More {
			out = append(out, d)
		}
	}
	slices.SortStableFunc(out, func(a, b Difference) int {
		switch x, y := math.Abs(a.Change), math.Abs(b.Change); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	return out
}

// Tally counts the verdicts of a metric.
func (c *Comparison) Tally(metric string) map[Verdict]int {
	n := make(map[Verdict]int)
	for _, d := range c.Differences {
		if d.Metric == metric {
			n[d.Verdict]++
		}
	}
	return n
}
