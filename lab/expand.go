package lab

import (
	"fmt"
	"slices"
	"strings"

	"github.com/thinlink/thinlink/internal/confyaml"
	"github.com/thinlink/thinlink/power"
	"github.com/thinlink/thinlink/profiles"
)

// Matrix is what a user asks for: the product of its lists.
type Matrix struct {
	Scenarios  []string // built-in names, suites, or files
	Profiles   []string // built-in names or files
	Stacks     []string // built-in names or files; none: the scenario's own
	Program    *Program // in place of a stack, of scenario exec
	Engines    []string
	Seeds      []uint64
	Sets       []Setting      // overrides of profile, scenario or stack values
	Interrupts []Interruption // of firmware updates
	Out        string         // directory for captures; "" writes none
	Version    string         // of thinlink, for the captures' comments
}

// Setting is one override by path.
type Setting struct{ Path, Value string }

// SettingError says why a setting is not possible.
type SettingError struct {
	Setting
	Err error
}

func (e *SettingError) Error() string {
	return fmt.Sprintf("--set %s=%s: %v", e.Path, e.Value, e.Err)
}

// Unwrap gives errors.As the reason.
func (e *SettingError) Unwrap() error { return e.Err }

// ParseSetting reads "path=value".
func ParseSetting(s string) (Setting, error) {
	path, value, ok := strings.Cut(s, "=")
	if !ok || path == "" {
		return Setting{}, fmt.Errorf("--set %q: want path=value, for example link.loss=2%%", s)
	}
	return Setting{Path: strings.TrimSpace(path), Value: strings.TrimSpace(value)}, nil
}

// Expand checks everything that is asked for and returns the runs, profile by
// profile. It makes no certificates and touches no file but those named.
func Expand(m Matrix) ([]*Run, error) {
	links, err := loadAll(m.Profiles, profiles.Load)
	if err != nil {
		return nil, err
	}
	cells, err := m.cells()
	if err != nil {
		return nil, err
	}
	if err := m.apply(links, cells); err != nil {
		return nil, err
	}
	for i := range cells {
		if err := cells[i].program(m.Engines); err != nil {
			return nil, err
		}
	}
	if len(m.Interrupts) > 0 {
		for _, c := range cells {
			if c.scenario.Kind != KindOTA {
				return nil, fmt.Errorf("interruptions belong to scenario ota, not to %s", c.scenario.Name)
			}
		}
	}
	models, err := modelsOf(links)
	if err != nil {
		return nil, err
	}
	var runs []*Run
	for _, link := range links {
		for _, c := range cells {
			stack := c.stack.tuned(link.Timers)
			for _, engine := range m.Engines {
				if err := stack.runsOn(engine, link); err != nil {
					return nil, err
				}
				for _, seed := range m.Seeds {
					runs = append(runs, &Run{
						Profile: link.Name, Scenario: *c.scenario, Stack: stack, Serves: c.serves,
						Engine: engine, Seed: seed, Link: link.Netem(), TC: link.TC, Interrupts: m.Interrupts,
						Model: models[link], Network: power.NetworkOf(link.Netem()), MCU: power.MCU(link.Power.MCU),
						Version: m.Version, Out: m.Out,
					})
				}
			}
		}
	}
	return runs, nil
}

// A cell is a scenario with one of its stacks.
type cell struct {
	scenario *Scenario
	stack    *Stack
	serves   *Stack // of protocol exec: whose platform the program talks to
}

// program checks a stack of protocol exec, and finds the platform's.
func (c *cell) program(engines []string) (err error) {
	if c.stack.Protocol != "exec" {
		return nil
	}
	for _, e := range engines {
		if e != "tun" {
			return fmt.Errorf("stack %s is a program: engine %s runs none: use --engine tun", c.stack.Name, e)
		}
	}
	if name := c.stack.Exec.Platform; name != "" {
		if c.serves, err = LoadStack(name); err != nil {
			return fmt.Errorf("stack %s: exec.platform: %w", c.stack.Name, err)
		}
		if err := c.serves.plays(KindConnect); err != nil {
			return fmt.Errorf("stack %s: exec.platform: %w", c.stack.Name, err)
		}
	}
	if err := c.stack.Exec.check(c.serves); err != nil {
		return fmt.Errorf("stack %s: %w", c.stack.Name, err)
	}
	return nil
}

func (m Matrix) cells() ([]cell, error) {
	var cells []cell
	for _, name := range m.Scenarios {
		entries, suite := Suites[name]
		if !suite {
			entries = []SuiteEntry{{Scenario: name}}
		}
		for _, e := range entries {
			sc, err := LoadScenario(e.Scenario)
			if err != nil {
				return nil, err
			}
			names := m.Stacks
			if len(names) == 0 {
				names = e.Stacks
			}
			if len(names) == 0 {
				names = sc.Stacks
			}
			if m.Program != nil {
				stack, err := m.Program.stack()
				if err != nil {
					return nil, err
				}
				cells = append(cells, cell{scenario: sc, stack: stack})
				continue
			}
			if len(names) == 0 {
				return nil, fmt.Errorf("scenario %s: --stack names no stack", sc.Name)
			}
			for _, s := range names {
				stack, err := LoadStack(s)
				if err != nil {
					return nil, err
				}
				if err := stack.plays(sc.Kind); err != nil {
					return nil, fmt.Errorf("scenario %s, stack %s: %w", sc.Name, stack.Name, err)
				}
				cells = append(cells, cell{scenario: sc, stack: stack})
			}
		}
	}
	return cells, nil
}

// apply carries out the overrides: link, radio, power, sms and mtu belong to the
// profile, stack.* to the stack, everything else to the scenario.
func (m Matrix) apply(links []*profiles.Profile, cells []cell) error {
	for _, set := range m.Sets {
		head, rest, _ := strings.Cut(set.Path, ".")
		var err error
		switch head {
		case "link", "radio", "power", "mtu", "sms":
			err = each(links, func(p *profiles.Profile) error { return p.Set(set.Path, set.Value) })
		case "stack":
			err = each(cells, func(c cell) error { return c.stack.Set(rest, set.Value) })
		default:
			err = setScenarios(cells, set)
		}
		if err != nil {
			return &SettingError{set, err}
		}
	}
	for _, link := range links {
		if err := link.Check(); err != nil {
			return err
		}
	}
	return each(cells, func(c cell) error { return c.scenario.check() })
}

// setScenarios sets a value on every scenario whose kind uses it.
func setScenarios(cells []cell, set Setting) error {
	used := false
	for _, c := range cells {
		if err := confyaml.Set(c.scenario, set.Path, set.Value); err != nil {
			return err
		}
		used = used || c.scenario.uses(set.Path)
	}
	if !used {
		return fmt.Errorf("%s belongs to scenario %v", set.Path, kindFields[set.Path])
	}
	return nil
}

func loadAll[T any](names []string, load func(string) (T, error)) ([]T, error) {
	var all []T
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return nil, fmt.Errorf("%s is named twice", name)
		}
		v, err := load(name)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

func each[T any](list []T, f func(T) error) error {
	for _, v := range list {
		if err := f(v); err != nil {
			return err
		}
	}
	return nil
}
