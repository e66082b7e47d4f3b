package lab

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/thinlink/thinlink/internal/confyaml"
	"github.com/thinlink/thinlink/profiles"
)

// Sweep is a sweep file: one scenario over the product of profiles, stacks,
// values and interruptions, each with several seeds. Make one with LoadSweep.
type Sweep struct {
	Version     int    `conf:"version" doc:"schema version" min:"1" max:"1" required:"true"`
	Name        string `conf:"name" doc:"name of the results' directory" pattern:"[A-Za-z0-9][A-Za-z0-9._-]{0,63}" required:"true"`
	Title       string `conf:"title" doc:"one line for people"`
	Description string `conf:"description" doc:"what the sweep asks"`

	Scenario string   `conf:"scenario" doc:"a built-in scenario, or a file" required:"true"`
	Profiles []string `conf:"profiles" doc:"built-in profiles, or files" required:"true"`
	Stacks   []string `conf:"stacks" doc:"built-in stacks, or files; none: the scenario's own"`
	Engines  []string `conf:"engines" doc:"what carries the packets; none: sim"`
	Seeds    Seeds    `conf:"seeds" doc:"seeds of everything random: how many, from 1 on, or which"`

	// Set has the values of each path that --set takes.
	Set map[string]Values `conf:"set" doc:"paths as --set takes them, each with a value or a list of values to try"`
	// Interrupt has named lists of interruptions; an empty one is a run
	// without any.
	Interrupt map[string]Interruptions `conf:"interrupt" doc:"names, each with a list of interruptions"`

	dec  *confyaml.Decoder
	path string
}

// Seeds are the seeds of a sweep, as a count or one by one.
type Seeds struct {
	Count int      `conf:"count" doc:"the seeds 1, 2, ... to this" min:"1" max:"10000" scalar:"true"`
	List  []uint64 `conf:"list" doc:"the seeds" list:"true"`
}

// Values are the values that a sweep tries for one path.
type Values struct {
	One  string   `conf:"value" doc:"the only value" scalar:"true"`
	List []string `conf:"values" doc:"the values to try" list:"true"`
}

// Interruptions are what happens to one run.
type Interruptions struct {
	Text string         `conf:"text" doc:"as --interrupt takes them" scalar:"true"`
	List []Interruption `conf:"list" doc:"one by one" list:"true"`
}

// An Axis is one path of a sweep with its values in the order of the file.
type Axis struct {
	Path   string   `json:"path"`
	Values []string `json:"values"`
}

// A Disruption is a named list of interruptions.
type Disruption struct {
	Name   string         `json:"name"`
	Events []Interruption `json:"events"`
}

// SweepSchema is the JSON Schema of sweep files.
func SweepSchema() ([]byte, error) { return confyaml.Schema(Sweep{}) }

// LoadSweep reads a sweep file and checks all that can be checked without
// expanding it. Paths in it are relative to its directory.
func LoadSweep(path string) (*Sweep, error) {
	doc, err := confyaml.ParseFile(path)
	if err != nil {
		return nil, err
	}
	s := &Sweep{path: path}
	s.dec = confyaml.NewDecoder(s)
	if err := s.dec.Apply(doc); err != nil {
		return nil, err
	}
	if err := s.dec.Complete(); err != nil {
		return nil, err
	}
	return s, s.check()
}

// check finds names that nothing answers to, empty lists, and lists with the
// same entry twice.
func (s *Sweep) check() error {
	var errs confyaml.Errors
	if len(s.Profiles) == 0 {
		errs = append(errs, s.dec.Errorf("profiles", "empty: want at least one profile"))
	}
	if len(s.Seeds.List) == 0 && s.Seeds.Count == 0 {
		if _, given := s.dec.Pos("seeds"); given {
			errs = append(errs, s.dec.Errorf("seeds", "empty: want a count or a list"))
		}
		s.Seeds.Count = 1
	}
	if len(s.Engines) == 0 {
		s.Engines = []string{"sim"}
	}
	for _, axis := range s.axes() {
		if len(axis.Values) == 0 {
			errs = append(errs, s.dec.Errorf("set."+axis.Path, "empty: want at least one value"))
		}
		errs = append(errs, twice(s.dec, "set."+axis.Path+".values", axis.Values)...)
	}
	for name, list := range s.Interrupt {
		if list.Text == "" {
			continue
		}
		more, err := ParseInterruptions(list.Text)
		if err != nil {
			errs = append(errs, s.dec.Errorf("interrupt."+name+".text", "%v", err))
		}
		s.Interrupt[name] = Interruptions{List: append(more, list.List...)}
	}
	errs = append(errs, twice(s.dec, "profiles", s.Profiles)...)
	errs = append(errs, twice(s.dec, "stacks", s.Stacks)...)
	errs = append(errs, twice(s.dec, "engines", s.Engines)...)
	errs = append(errs, twice(s.dec, "seeds.list", s.Seeds.List)...)
	if err := errs.Sorted(); err != nil {
		return err
	}
	return s.loadable()
}

// loadable reports names and files that do not load, at their place.
func (s *Sweep) loadable() error {
	type named struct {
		place, name string
		load        func(string) error
	}
	list := []named{{"scenario", s.Scenario, func(name string) error { _, err := LoadScenario(name); return err }}}
	for i, name := range s.Profiles {
		list = append(list, named{fmt.Sprintf("profiles.%d", i), name, func(name string) error { _, err := profiles.Load(name); return err }})
	}
	for i, name := range s.Stacks {
		list = append(list, named{fmt.Sprintf("stacks.%d", i), name, func(name string) error { _, err := LoadStack(name); return err }})
	}
	var errs confyaml.Errors
	for _, l := range list {
		var inside confyaml.Errors
		switch err := l.load(s.resolve(l.name)); {
		case errors.As(err, &inside): // a mistake in that file, with its own place
			return err
		case err != nil:
			errs = append(errs, s.dec.Errorf(l.place, "%v", err))
		}
	}
	return errs.Sorted()
}

func twice[T comparable](dec *confyaml.Decoder, path string, list []T) (errs confyaml.Errors) {
	for i, v := range list {
		if slices.Contains(list[:i], v) {
			errs = append(errs, dec.Errorf(fmt.Sprintf("%s.%d", path, i), "%v is given twice", v))
		}
	}
	return errs
}

// resolve makes a file's path relative to the sweep file's directory; names of
// what is built in stay.
func (s *Sweep) resolve(name string) string {
	if !confyaml.IsPath(name) || filepath.IsAbs(name) {
		return name
	}
	name = filepath.Join(filepath.Dir(s.path), name)
	if !confyaml.IsPath(name) {
		name = "./" + name
	}
	return name
}

func (s *Sweep) resolveAll(names []string) []string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = s.resolve(name)
	}
	return all
}

// axes are the paths of Set in the order of the file.
func (s *Sweep) axes() []Axis {
	var axes []Axis
	for _, path := range s.inOrder("set", maps.Keys(s.Set)) {
		v := s.Set[path]
		if _, one := s.dec.Pos("set." + path + ".value"); one {
			v.List = append([]string{v.One}, v.List...)
		}
		axes = append(axes, Axis{path, v.List})
	}
	return axes
}

// disruptions are the lists of Interrupt in the order of the file; without any
// it is one without a name, in which nothing happens.
func (s *Sweep) disruptions() []Disruption {
	if len(s.Interrupt) == 0 {
		return []Disruption{{}}
	}
	var all []Disruption
	for _, name := range s.inOrder("interrupt", maps.Keys(s.Interrupt)) {
		all = append(all, Disruption{name, s.Interrupt[name].List})
	}
	return all
}

// inOrder sorts the keys of a mapping as the file has them.
func (s *Sweep) inOrder(field string, keys func(func(string) bool)) []string {
	return slices.SortedFunc(keys, func(a, b string) int {
		p, _ := s.dec.Pos(field + "." + a)
		q, _ := s.dec.Pos(field + "." + b)
		return cmp.Or(cmp.Compare(p.Line, q.Line), cmp.Compare(p.Column, q.Column), cmp.Compare(a, b))
	})
}

func (s *Sweep) seeds() []uint64 {
	list := slices.Clone(s.Seeds.List)
	for i := range s.Seeds.Count {
		if seed := uint64(i + 1); !slices.Contains(s.Seeds.List, seed) {
			list = append(list, seed)
		}
	}
	return list
}
