package lab

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/thinlink/thinlink/internal/confyaml"
	"github.com/thinlink/thinlink/measure"
)

// ResultSchema is part of every result's key. It grows when equal inputs come
// to give other results, so that old ones are not taken for new ones.
const ResultSchema = 1

// The largest sweep. A cell costs some 2 kB of memory.
const (
	MaxSweepCells = 100_000
	MaxSweepRuns  = 1_000_000
)

// SweepPlan is a sweep, expanded: cells, each to run with every seed.
type SweepPlan struct {
	Info  SweepInfo
	cells []*sweepCell
}

// SweepInfo says what a sweep consists of; reports order their rows by it. It
// stands beside the results as sweep.json.
type SweepInfo struct {
	Schema      int          `json:"schema"` // ResultSchema
	Name        string       `json:"name"`
	Title       string       `json:"title,omitempty"`
	Description string       `json:"description,omitempty"`
	Version     string       `json:"version"` // of thinlink
	Command     string       `json:"command"`
	Scenario    string       `json:"scenario"`
	Profiles    []string     `json:"profiles"`
	Stacks      []string     `json:"stacks"`
	Engines     []string     `json:"engines"`
	Axes        []Axis       `json:"axes"`
	Disruptions []Disruption `json:"interrupt"`
	Seeds       []uint64     `json:"seeds"`
	Runs        int          `json:"runs"`
}

// SweepResult is one line of a sweep's results.jsonl.
type SweepResult struct {
	measure.Result
	// Key identifies all inputs of the run.
	Key     string `json:"key"`
	Version string `json:"version"` // of thinlink
	Command string `json:"command"`
	// Set has the run's value of every path of the sweep that its stack reads.
	Set map[string]string `json:"set"`
	// Interrupt is the name of the run's interruptions, "" if it has none.
	Interrupt string `json:"interrupt"`
}

// A sweepCell is one point of the matrix.
type sweepCell struct {
	run       Run // with seed 0
	set       map[string]string
	interrupt string
	hash      [sha256.Size]byte // of all inputs but the seed
}

// Plan expands the sweep. Nothing is run and nothing is written. version is
// thinlink's and command the user's, for the results.
func (s *Sweep) Plan(version, command string) (*SweepPlan, error) {
	groups, err := s.groups()
	if err != nil {
		return nil, err
	}
	axes := s.axes()
	for _, axis := range axes {
		if !slices.ContainsFunc(groups, func(g stackGroup) bool { return g.reads(axis.Path) }) {
			return nil, confyaml.Errors{s.dec.Errorf("set."+axis.Path, "no stack of this sweep reads it")}
		}
	}
	p := &SweepPlan{Info: SweepInfo{
		Schema: ResultSchema, Name: s.Name, Title: s.Title, Description: s.Description, Version: version, Command: command,
		Engines: s.Engines, Axes: axes, Disruptions: s.disruptions(), Seeds: s.seeds(),
	}}
	if err := s.bounded(groups, p.Info); err != nil {
		return nil, err
	}
	for _, g := range groups {
		if err := s.expand(p, g); err != nil {
			return nil, err
		}
	}
	p.Info.Runs = p.Len()
	return p, p.distinct()
}

// A stackGroup is the stacks of one protocol, which read the same settings.
type stackGroup struct {
	protocol string
	stacks   []string
}

// groups loads the scenario's stacks, too, where the file names none.
func (s *Sweep) groups() ([]stackGroup, error) {
	sc, err := LoadScenario(s.resolve(s.Scenario))
	if err != nil {
		return nil, err
	}
	for _, d := range s.disruptions() {
		if len(d.Events) > 0 && sc.Kind != KindOTA {
			return nil, confyaml.Errors{s.dec.Errorf("interrupt", "interruptions belong to scenario ota, not to %s", sc.Name)}
		}
	}
	names := s.resolveAll(s.Stacks)
	if len(names) == 0 {
		names = sc.Stacks
	}
	var groups []stackGroup
	for i, name := range names {
		stack, err := LoadStack(name)
		if err == nil {
			err = stack.plays(sc.Kind)
		}
		if err != nil {
			return nil, confyaml.Errors{s.dec.Errorf(fmt.Sprintf("stacks.%d", i), "scenario %s, stack %s: %v", sc.Name, name, err)}
		}
		g := slices.IndexFunc(groups, func(g stackGroup) bool { return g.protocol == stack.Protocol })
		if g < 0 {
			g = len(groups)
			groups = append(groups, stackGroup{protocol: stack.Protocol})
		}
		groups[g].stacks = append(groups[g].stacks, name)
	}
	return groups, nil
}

// reads reports whether a setting can make a difference to these stacks:
// stack.mqtt is nothing to a stack of protocol lwm2m.
func (g stackGroup) reads(path string) bool {
	for _, protocol := range []string{"mqtt", "lwm2m"} {
		if strings.HasPrefix(path, "stack."+protocol+".") {
			return g.protocol == protocol
		}
	}
	return true
}

func (g stackGroup) axes(all []Axis) (axes []Axis) {
	for _, axis := range all {
		if g.reads(axis.Path) {
			axes = append(axes, axis)
		}
	}
	return axes
}

// bounded multiplies before anything is expanded.
func (s *Sweep) bounded(groups []stackGroup, info SweepInfo) error {
	cells := 0
	for _, g := range groups {
		n := len(g.stacks) * len(s.Profiles) * len(info.Engines) * len(info.Disruptions)
		for _, axis := range g.axes(info.Axes) {
			if n *= len(axis.Values); n > MaxSweepCells {
				break
			}
		}
		cells += n
	}
	if cells > MaxSweepCells || cells*len(info.Seeds) > MaxSweepRuns {
		return fmt.Errorf("%s: %d cells or more with %d seeds each: want at most %d cells and %d runs",
			s.path, cells, len(info.Seeds), MaxSweepCells, MaxSweepRuns)
	}
	return nil
}

// expand appends the cells of one group of stacks.
func (s *Sweep) expand(p *SweepPlan, g stackGroup) error {
	return product(g.axes(p.Info.Axes), nil, func(sets []Setting) error {
		runs, err := Expand(Matrix{
			Scenarios: []string{s.resolve(s.Scenario)}, Profiles: s.resolveAll(s.Profiles), Stacks: g.stacks,
			Engines: s.Engines, Seeds: []uint64{0}, Sets: sets,
		})
		if err != nil {
			return s.located(err, sets)
		}
		for _, run := range runs {
			p.Info.note(run)
			for _, d := range p.Info.Disruptions {
				cell, err := newSweepCell(*run, sets, d)
				if err != nil {
					return err
				}
				p.cells = append(p.cells, cell)
			}
		}
		return nil
	})
}

// product calls f with every combination of the axes' values.
func product(axes []Axis, sets []Setting, f func([]Setting) error) error {
	if len(axes) == 0 {
		return f(sets)
	}
	for _, value := range axes[0].Values {
		if err := product(axes[1:], append(slices.Clip(sets), Setting{axes[0].Path, value}), f); err != nil {
			return err
		}
	}
	return nil
}

// located finds the place in the sweep file of a value that is not possible.
func (s *Sweep) located(err error, sets []Setting) error {
	var wrong *SettingError
	if errors.As(err, &wrong) {
		field := "set." + wrong.Path
		place := field + ".value"
		if i := slices.Index(s.Set[wrong.Path].List, wrong.Value); i >= 0 {
			place = fmt.Sprintf("%s.values.%d", field, i)
		}
		e := s.dec.Errorf(place, "%s: %v", wrong.Value, wrong.Err)
		e.Field = field
		return confyaml.Errors{e}
	}
	if len(sets) > 0 {
		return confyaml.Errors{s.dec.Errorf("set", "together %v: %v", sets, err)}
	}
	return err
}

// String is the setting as --set takes it.
func (s Setting) String() string { return s.Path + "=" + s.Value }

// note collects the names that results carry, in the order of the file.
func (i *SweepInfo) note(run *Run) {
	i.Scenario = run.Scenario.Name
	if !slices.Contains(i.Profiles, run.Profile) {
		i.Profiles = append(i.Profiles, run.Profile)
	}
	if !slices.Contains(i.Stacks, run.Stack.Name) {
		i.Stacks = append(i.Stacks, run.Stack.Name)
	}
}

func newSweepCell(run Run, sets []Setting, d Disruption) (*sweepCell, error) {
	run.Interrupts = d.Events
	c := &sweepCell{run: run, set: map[string]string{}}
	if len(d.Events) > 0 {
		c.interrupt = d.Name
	}
	for _, set := range sets {
		c.set[set.Path] = set.Value
	}
	// The whole of the resolved run, without what only describes it. The names
	// of set and interrupt count: results carry them.
	run.Scenario.Title, run.Scenario.Description, run.Scenario.Stacks = "", "", nil
	run.Stack.Title, run.Stack.Description, run.Stack.Extends = "", "", ""
	input, err := json.Marshal(struct {
		Schema    int
		Run       Run
		Set       map[string]string
		Interrupt string
	}{ResultSchema, run, c.set, c.interrupt})
	if err != nil {
		return nil, fmt.Errorf("run: %w", err)
	}
	c.hash = sha256.Sum256(input)
	return c, nil
}

// distinct refuses results that could not be told apart.
func (p *SweepPlan) distinct() error {
	seen := map[string]bool{}
	for _, c := range p.cells {
		name := fmt.Sprintf("profile %s, stack %s, engine %s, %v %s", c.run.Profile, c.run.Stack.Name, c.run.Engine, c.set, c.interrupt)
		if seen[name] {
			return fmt.Errorf("sweep %s has several cells of %s: give profiles and stacks names of their own", p.Info.Name, name)
		}
		seen[name] = true
	}
	return nil
}

// Len is the number of runs.
func (p *SweepPlan) Len() int { return len(p.cells) * len(p.Info.Seeds) }

// Cells is the number of runs of each seed.
func (p *SweepPlan) Cells() int { return len(p.cells) }

// at is the cell and the seed of a run. All cells run with the first seed
// before any runs with the second: a sweep that is interrupted knows a little
// about everything, and the time left is estimated from all kinds of runs.
func (p *SweepPlan) at(i int) (*sweepCell, uint64) {
	return p.cells[i%len(p.cells)], p.Info.Seeds[i/len(p.cells)]
}

// key identifies all inputs of a run.
func (p *SweepPlan) key(i int) string {
	cell, seed := p.at(i)
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(cell.hash[:len(cell.hash):len(cell.hash)], seed))
	return hex.EncodeToString(sum[:16])
}

// run makes the i-th run.
func (p *SweepPlan) run(i int) *Run {
	cell, seed := p.at(i)
	run := cell.run
	run.Seed = seed
	return &run
}

// result labels a run's result with what the run was.
func (p *SweepPlan) result(i int, res *measure.Result) SweepResult {
	cell, _ := p.at(i)
	return SweepResult{
		Result: *res, Key: p.key(i), Version: p.Info.Version, Command: p.Info.Command,
		Set: cell.set, Interrupt: cell.interrupt,
	}
}
