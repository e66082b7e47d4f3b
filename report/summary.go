package report

import (
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
)

// A source is one row of a page's sources.
type source struct {
	Name   string
	Values []sourceValue
}

type sourceValue struct {
	Text string
	Code bool // to copy and run
}

func (f *Folder) title() string {
	if f.Sweep != nil && f.Sweep.Title != "" {
		return f.Sweep.Title
	}
	abs, err := filepath.Abs(f.Dir)
	if err != nil {
		abs = f.Dir
	}
	return "thinlink: " + filepath.Base(abs)
}

// lead says in a line what the page is about.
func (g *grid) lead(records []*Record) string {
	done := 0
	for _, r := range records {
		if r.Completed {
			done++
		}
	}
	parts := []string{
		fmt.Sprintf("%s, %s completed", plural(len(records), "run"), count(float64(done))),
		plural(len(g.cells), "cell"), plural(len(g.stacks), "stack"), plural(len(g.profiles), "profile"),
	}
	if len(g.losses) > 1 {
		parts = append(parts, plural(len(g.losses), "loss rate"))
	}
	return strings.Join(parts, "; ")
}

func notices(f *Folder) []string {
	out := slices.Clone(f.Warnings)
	single, doubtful := 0, 0
	g := f.grid()
	for _, c := range g.cells {
		switch {
		case len(c.runs) < 3:
			single++
		case c.doubt() != "":
			doubtful++
		}
	}
	if single > 0 {
		out = append(out, fmt.Sprintf("%d of %s have fewer than three runs: their intervals say nothing, and differences between them may be chance. Give more seeds, for example with --repeat 5.", single, plural(len(g.cells), "cell")))
	}
	if doubtful > 0 {
		out = append(out, fmt.Sprintf("%d of %s are doubtful: too few of their runs completed.", doubtful, plural(len(g.cells), "cell")))
	}
	return out
}

// A verdict is what a scenario over a profile shows: sentences made of numbers.
type verdict struct {
	Heading   string
	Profile   string
	Sentences []string
}

// A question asks which stack has the least of something.
type question struct {
	m     *metric
	one   string // after the name of one stack
	many  string // after several
	ahead string // of the next
}

var questions = []question{
	{completionTime, "finishes first", "finish first", "sooner"},
	{linkBytes, "sends the fewest bytes", "send the fewest bytes", "fewer"},
	{wastedPerInterruption, "wastes least per interruption", "waste least per interruption", "less"},
	{energy, "needs the least energy", "need the least energy", "less"},
}

// timed scenarios end when they are done; others last as long as their window.
var timed = []string{"connect", "ota", "bulk"}

// summary says for every scenario and profile which stack does best, counted
// over all cells in which at least two stacks can be compared.
func (g *grid) summary() []verdict {
	var verdicts []verdict
	for _, scenario := range g.scenarios() {
		for _, profile := range g.profiles {
			v := verdict{Heading: scenario + " over " + profile, Profile: profile}
			for _, q := range questions {
				if q.m == completionTime && !slices.Contains(timed, scenario) {
					continue
				}
				if s := g.contest(scenario, profile, q.m).answer(q); s != "" {
					v.Sentences = append(v.Sentences, s)
				}
			}
			if len(v.Sentences) > 0 {
				verdicts = append(verdicts, v)
			}
		}
	}
	return verdicts
}

func (g *grid) scenarios() (names []string) {
	for _, view := range g.views {
		name, _, _ := strings.Cut(view, ",")
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// A contest counts in how many places of the matrix each stack is best.
type contest struct {
	places int
	wins   map[string]int
	clear  map[string]int       // wins with an interval below all others
	ahead  map[string][]float64 // by what share the next is above
}

func (g *grid) contest(scenario, profile string, m *metric) *contest {
	c := &contest{wins: make(map[string]int), clear: make(map[string]int), ahead: make(map[string][]float64)}
	for _, view := range g.views {
		if name, _, _ := strings.Cut(view, ","); name != scenario {
			continue
		}
		for _, loss := range g.lossesOf(view, profile) {
			estimates := make(map[string]Estimate)
			for _, stack := range g.stacks {
				if cell := g.at(view, profile, stack, loss); cell != nil {
					if e := cell.estimate(m); e.N > 0 {
						estimates[stack] = e
					}
				}
			}
			c.judge(estimates)
		}
	}
	return c
}

// judge counts one place. Stacks with equal medians all win.
func (c *contest) judge(estimates map[string]Estimate) {
	if len(estimates) < 2 {
		return
	}
	c.places++
	lowest, next := math.Inf(1), math.Inf(1)
	for _, e := range estimates {
		lowest = min(lowest, e.Median)
	}
	for _, e := range estimates {
		if e.Median > lowest {
			next = min(next, e.Median)
		}
	}
	for stack, e := range estimates {
		if e.Median != lowest {
			continue
		}
		c.wins[stack]++
		if lowest > 0 && !math.IsInf(next, 1) {
			c.ahead[stack] = append(c.ahead[stack], 1-lowest/next)
		}
		if clearlyLeast(estimates, stack) {
			c.clear[stack]++
		}
	}
}

// clearlyLeast: the intervals of at least three runs each do not overlap.
func clearlyLeast(estimates map[string]Estimate, stack string) bool {
	e := estimates[stack]
	for other, o := range estimates {
		if other != stack && (o.Lo <= e.Hi || o.N < 3) {
			return false
		}
	}
	return e.N >= 3
}

// answer names the stacks with the most wins, or is "".
func (c *contest) answer(q question) string {
	if c.places == 0 {
		return ""
	}
	most := 0
	for _, n := range c.wins {
		most = max(most, n)
	}
	var first []string
	for _, stack := range slices.Sorted(maps.Keys(c.wins)) {
		if c.wins[stack] == most {
			first = append(first, stack)
		}
	}
	switch {
	case len(first) == len(c.wins) && len(first) > 1 && most == c.places:
		return fmt.Sprintf("%s %s, all alike.", strings.Join(first, ", "), q.many)
	case len(first) > 1:
		return fmt.Sprintf("%s %s, each in %s.", strings.Join(first, ", "), q.many, places(most, c.places))
	}
	s := fmt.Sprintf("%s %s in %s", first[0], q.one, places(most, c.places))
	if n := c.clear[first[0]]; n > 0 && n == most {
		s += ", clearly"
	} else if n > 0 {
		s += fmt.Sprintf(", clearly in %d", n)
	}
	if ahead := slices.Sorted(slices.Values(c.ahead[first[0]])); len(ahead) > 0 {
		s += fmt.Sprintf("; %s\u00a0%% %s than the next", threeDigits(100*median(ahead)), q.ahead)
	}
	return s + "."
}

func places(n, all int) string {
	if all == 1 {
		return "the only cell"
	}
	if n == all {
		return fmt.Sprintf("all %d cells", all)
	}
	return fmt.Sprintf("%d of %d cells", n, all)
}

// sources say where the numbers come from and how to get them again.
func sources(f *Folder, g *grid) []source {
	var out []source
	add := func(name string, code bool, values ...string) {
		s := source{Name: name}
		for _, v := range values {
			if v != "" {
				s.Values = append(s.Values, sourceValue{v, code})
			}
		}
		if len(s.Values) > 0 {
			out = append(out, s)
		}
	}
	add("command", true, distinct(f.Records, func(r *Record) string { return r.Command })...)
	add("thinlink", false, distinct(f.Records, func(r *Record) string { return r.Version })...)
	add("engine", false, strings.Join(distinct(f.Records, func(r *Record) string { return r.Engine }), ", "))
	add("profiles", false, strings.Join(g.profiles, ", "))
	add("stacks", false, strings.Join(g.stacks, ", "))
	add("seeds", false, seedRanges(f.Records))
	add("interruptions", true, interruptions(f)...)
	var fixed []string
	for _, path := range slices.Sorted(maps.Keys(g.fixed)) {
		fixed = append(fixed, path+"="+g.fixed[path])
	}
	add("the same in all runs", true, fixed...)
	add("intervals", false, fmt.Sprintf("percentile bootstrap of the median, 95 %%, %d resamples; with fewer than three runs the range", resamples))
	add("errors", false, counted(f.Records, func(r *Record) []string {
		if r.Error == "" {
			return nil
		}
		return []string{strings.ReplaceAll(r.Error, "\n", ": ")}
	})...)
	add("warnings", false, counted(f.Records, func(r *Record) []string { return r.Warnings })...)
	return out
}

// interruptions says what the names of a sweep's interruptions mean.
func interruptions(f *Folder) (list []string) {
	if f.Sweep == nil {
		return nil
	}
	for _, d := range f.Sweep.Disruptions {
		events := make([]string, len(d.Events))
		for i, e := range d.Events {
			events[i] = e.String()
		}
		if len(events) > 0 {
			list = append(list, d.Name+": "+strings.Join(events, ","))
		}
	}
	return list
}

// counted lists texts with the number of runs that have them, the most
// frequent first.
func counted(records []*Record, of func(*Record) []string) []string {
	n := make(map[string]int)
	for _, r := range records {
		for _, text := range slices.Compact(slices.Sorted(slices.Values(of(r)))) {
			n[text]++
		}
	}
	texts := slices.SortedFunc(maps.Keys(n), func(a, b string) int {
		if n[a] != n[b] {
			return n[b] - n[a]
		}
		return strings.Compare(a, b)
	})
	for i, text := range texts {
		texts[i] = fmt.Sprintf("%s (%s)", text, plural(n[text], "run"))
	}
	return texts
}

// seedRanges prints seeds as 1-5, 7.
func seedRanges(records []*Record) string {
	seen := make(map[uint64]bool)
	for _, r := range records {
		seen[r.Seed] = true
	}
	seeds := slices.Sorted(maps.Keys(seen))
	var parts []string
	for i := 0; i < len(seeds); {
		j := i
		for j+1 < len(seeds) && seeds[j+1] == seeds[j]+1 {
			j++
		}
		switch {
		case j > i+1:
			parts = append(parts, fmt.Sprintf("%d-%d", seeds[i], seeds[j]))
		case j == i+1:
			parts = append(parts, fmt.Sprint(seeds[i]), fmt.Sprint(seeds[j]))
		default:
			parts = append(parts, fmt.Sprint(seeds[i]))
		}
		i = j + 1
	}
	return strings.Join(parts, ", ")
}
