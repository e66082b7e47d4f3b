package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/thinlink/thinlink/internal/units"
	"github.com/thinlink/thinlink/lab"
)

// lossPath is the override that curves are drawn against.
const lossPath = "link.loss"

// A cellKey tells cells apart. View is all that is neither profile, stack nor
// loss: scenario, engine if there are several, other values that vary, and
// interruptions. Stack includes the stack's own values that vary. Loss is ""
// where the profile's own holds.
type cellKey struct{ View, Profile, Stack, Loss string }

// A cell is the runs that differ in nothing but the seed.
type cell struct {
	cellKey
	runs []*Record
}

// A grid is a folder's runs by cell. What varies is in a stable order, the
// sweep's or by name, whatever the order in which runs ended.
type grid struct {
	views, profiles, stacks, losses []string
	cells                           []*cell
	byKey                           map[cellKey]*cell
	// fixed are overrides that all runs share.
	fixed map[string]string
}

func newGrid(records []*Record) *grid { return newGridLike(records, &lab.SweepInfo{}) }

// grid has the order of the sweep that wrote the folder, if one did.
func (f *Folder) grid() *grid {
	if f.Sweep == nil {
		return newGrid(f.Records)
	}
	return newGridLike(f.Records, f.Sweep)
}

func newGridLike(records []*Record, order *lab.SweepInfo) *grid {
	g := &grid{byKey: make(map[cellKey]*cell), fixed: sharedSets(records)}
	views := make(map[string]*Record)
	engines := distinct(records, func(r *Record) string { return r.Engine })
	for _, r := range records {
		key := cellKey{viewOf(r, g.fixed, len(engines) > 1), r.Profile, stackOf(r, g.fixed), r.Set[lossPath]}
		c := g.byKey[key]
		if c == nil {
			c = &cell{cellKey: key}
			g.byKey[key] = c
			g.cells = append(g.cells, c)
		}
		if views[key.View] == nil {
			views[key.View] = r
			g.views = append(g.views, key.View)
		}
		c.runs = append(c.runs, r)
	}
	slices.SortFunc(g.views, func(a, b string) int {
		x, y := views[a], views[b]
		return cmp.Or(cmp.Compare(scenarioRank(x.Scenario), scenarioRank(y.Scenario)),
			cmp.Compare(disruptionRank(order, x.Interrupt), disruptionRank(order, y.Interrupt)), cmp.Compare(a, b))
	})
	g.profiles = distinct(records, func(r *Record) string { return r.Profile })
	slices.SortFunc(g.profiles, like(order.Profiles))
	stackNames := make(map[string]string)
	for _, r := range records {
		stackNames[stackOf(r, g.fixed)] = r.Stack
	}
	byStack := like(order.Stacks)
	g.stacks = slices.SortedFunc(maps.Keys(stackNames), func(a, b string) int {
		return cmp.Or(byStack(stackNames[a], stackNames[b]), cmp.Compare(a, b))
	})
	g.losses = distinct(records, func(r *Record) string { return r.Set[lossPath] })
	byLoss := func(a, b string) int { return cmp.Compare(lossValue(a), lossValue(b)) }
	slices.SortStableFunc(g.losses, byLoss)
	slices.SortStableFunc(g.cells, func(a, b *cell) int {
		return cmp.Or(cmp.Compare(slices.Index(g.views, a.View), slices.Index(g.views, b.View)),
			cmp.Compare(slices.Index(g.profiles, a.Profile), slices.Index(g.profiles, b.Profile)), byLoss(a.Loss, b.Loss),
			cmp.Compare(slices.Index(g.stacks, a.Stack), slices.Index(g.stacks, b.Stack)))
	})
	for _, c := range g.cells {
		slices.SortStableFunc(c.runs, func(a, b *Record) int { return cmp.Compare(a.Seed, b.Seed) })
	}
	return g
}

// like orders names as a list has them, and others after it by name.
func like(list []string) func(a, b string) int {
	rank := func(name string) int {
		if i := slices.Index(list, name); i >= 0 {
			return i
		}
		return len(list)
	}
	return func(a, b string) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b)) }
}

// disruptionRank puts runs without interruption first.
func disruptionRank(order *lab.SweepInfo, name string) int {
	if name == "" {
		return -1
	}
	for i, d := range order.Disruptions {
		if d.Name == name {
			return i
		}
	}
	return len(order.Disruptions)
}

func (g *grid) at(view, profile, stack, loss string) *cell {
	return g.byKey[cellKey{view, profile, stack, loss}]
}

// stacksOf are the stacks that a view has, profile "" for any.
func (g *grid) stacksOf(view, profile string) []string {
	return slices.DeleteFunc(slices.Clone(g.stacks), func(stack string) bool {
		return !slices.ContainsFunc(g.cells, func(c *cell) bool {
			return c.View == view && c.Stack == stack && (profile == "" || c.Profile == profile)
		})
	})
}

// profilesOf are the profiles that a view has.
func (g *grid) profilesOf(view string) []string {
	return slices.DeleteFunc(slices.Clone(g.profiles), func(p string) bool { return len(g.stacksOf(view, p)) == 0 })
}

// lossesOf are the losses that a view has over a profile, "" for any.
func (g *grid) lossesOf(view, profile string) []string {
	return slices.DeleteFunc(slices.Clone(g.losses), func(loss string) bool {
		return !slices.ContainsFunc(g.cells, func(c *cell) bool {
			return c.View == view && c.Loss == loss && (profile == "" || c.Profile == profile)
		})
	})
}

// sharedSets are the overrides that all records have alike. A stack's values
// need to be alike only in the stacks that read them.
func sharedSets(records []*Record) map[string]string {
	fixed := make(map[string]string)
	for _, r := range records {
		maps.Copy(fixed, r.Set)
	}
	for _, r := range records {
		maps.DeleteFunc(fixed, func(path, value string) bool {
			v, ok := r.Set[path]
			return ok && v != value || !ok && !ofStack(path)
		})
	}
	delete(fixed, lossPath) // always a column
	return fixed
}

func ofStack(path string) bool { return strings.HasPrefix(path, "stack.") }

func viewOf(r *Record, fixed map[string]string, engine bool) string {
	parts := []string{r.Scenario}
	if engine {
		parts = append(parts, "engine "+r.Engine)
	}
	parts = append(parts, varying(r, fixed, false)...)
	if r.Interrupt != "" {
		parts = append(parts, r.Interrupt)
	}
	return strings.Join(parts, ", ")
}

func stackOf(r *Record, fixed map[string]string) string {
	return strings.Join(append([]string{r.Stack}, varying(r, fixed, true)...), " ")
}

// varying are a record's overrides that others do not share, without loss: the
// stack's, or all others.
func varying(r *Record, fixed map[string]string, stack bool) (parts []string) {
	for _, path := range slices.Sorted(maps.Keys(r.Set)) {
		if _, same := fixed[path]; same || path == lossPath || ofStack(path) != stack {
			continue
		}
		parts = append(parts, path[strings.LastIndexByte(path, '.')+1:]+"="+r.Set[path])
	}
	return parts
}

// scenarios in the order in which a device meets them.
var scenarioOrder = []string{"connect", "steady", "observe", "command", "ota", "power", "ping", "bulk"}

func scenarioRank(name string) int {
	if i := slices.Index(scenarioOrder, name); i >= 0 {
		return i
	}
	return len(scenarioOrder)
}

// distinct lists values in the order in which they come.
func distinct(records []*Record, of func(*Record) string) (values []string) {
	seen := make(map[string]bool)
	for _, r := range records {
		if v := of(r); !seen[v] {
			seen[v] = true
			values = append(values, v)
		}
	}
	return values
}

// lossValue is a loss as a share, below 0 for the profile's own.
func lossValue(text string) float64 {
	f, err := units.ParseFraction(text)
	if err != nil {
		return -1
	}
	return float64(f)
}

func lossLabel(loss string) string {
	if loss == "" {
		return "profile's"
	}
	return strings.Replace(loss, "%", " %", 1)
}

func (c *cell) completed() []*Record {
	return slices.DeleteFunc(slices.Clone(c.runs), func(r *Record) bool { return !r.Completed })
}

// estimate sums up a metric over the runs that completed.
func (c *cell) estimate(m *metric) Estimate {
	var values []float64
	for _, r := range c.completed() {
		if m.has(r) {
			values = append(values, m.of(r))
		}
	}
	return EstimateMedian(values)
}

// doubt says why a cell's figures mean little, "" if they are sound: fewer
// than three runs completed, or less than half.
func (c *cell) doubt() string {
	done, all := len(c.completed()), len(c.runs)
	switch {
	case all < 3 && done == all:
		return fmt.Sprintf("only %s", plural(all, "run"))
	case done < 3 || 2*done < all:
		return fmt.Sprintf("%d of %s completed", done, plural(all, "run"))
	}
	return ""
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return count(float64(n)) + " " + noun + "s"
}
