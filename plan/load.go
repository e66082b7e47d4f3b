package plan

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/thinlink/thinlink/internal/confyaml"
	"github.com/thinlink/thinlink/internal/units"
	"github.com/thinlink/thinlink/lab"
	"github.com/thinlink/thinlink/power"
	"github.com/thinlink/thinlink/profiles"
)

// Load reads a deployment file. Each whatIf is one "path=value" on top of it;
// a path that begins with a field of a group holds for every group. Mistakes
// are confyaml.Errors.
func Load(path string, whatIf ...string) (*Deployment, error) {
	doc, err := confyaml.ParseFile(path)
	if err != nil {
		return nil, err
	}
	return load(doc, path, whatIf)
}

func load(doc *confyaml.Document, path string, whatIf []string) (*Deployment, error) {
	d := &Deployment{
		path: path, whatIf: strings.Join(whatIf, " "),
		Sites: 1, Sectors: 1, Carriers: 1, Mode: InBand, Duration: 24 * time.Hour, Seed: 1,
		RandomAccess: RandomAccess{Attempts: 10, BackOff: 2048 * time.Millisecond, Window: 10 * time.Second},
		RRC:          RRC{Connected: 2000, Response: 7, Request: 11, Setup: 40, Complete: 25, Release: 12},
		Service:      Service{Delay: 10 * time.Second, Percentile: 0.95, Blocking: 0.01},
	}
	d.dec = confyaml.NewDecoder(d)
	if err := d.dec.Apply(doc); err != nil {
		return nil, err
	}
	if err := d.dec.Complete(); err != nil {
		return nil, err
	}
	for _, w := range whatIf {
		if err := d.set(w); err != nil {
			return nil, fmt.Errorf("--what-if %s: %w", w, err)
		}
	}
	d.defaults()
	return d, d.check()
}

// set applies one what-if.
func (d *Deployment) set(text string) error {
	path, value, ok := strings.Cut(text, "=")
	if !ok || path == "" {
		return errors.New("want path=value, for example groups.meters.stack=mqtt")
	}
	head, _, _ := strings.Cut(path, ".")
	if !groupField(head) {
		if rest, under := strings.CutPrefix(path, "groups."); under {
			name, _, _ := strings.Cut(rest, ".")
			if _, known := d.Groups[name]; !known {
				return fmt.Errorf("no group %q (known: %s)", name, strings.Join(d.names(), ", "))
			}
		}
		return d.dec.Set(path, value)
	}
	for _, name := range d.names() {
		if err := d.dec.Set("groups."+name+"."+path, value); err != nil {
			return err
		}
	}
	return nil
}

// groupField says whether a name is a group's field and none of the
// deployment's.
func groupField(name string) bool {
	return slices.Contains([]string{"count", "stack", "packets", "interval", "traffic", "payload", "arrival", "spread", "set", "ota", "tariff", "battery"}, name)
}

func (d *Deployment) names() []string { return slices.Sorted(maps.Keys(d.Groups)) }

func (d *Deployment) assume(format string, args ...any) {
	d.assumptions = append(d.assumptions, fmt.Sprintf(format, args...))
}

// given says whether a file or a what-if has a value at a path.
func (d *Deployment) given(path string) bool {
	_, ok := d.dec.Pos(path)
	return ok
}

// Random access of one NB-IoT operator for its three levels (V LENA); for
// LTE-M an opportunity every 20 ms with 54 contention preambles (G).
var (
	nbiotClasses = []Class{
		{Name: "CE0", Share: 0.80, Profile: "nbiot", Period: 320 * time.Millisecond, Preambles: 12, Repetitions: 1, Attempts: 5},
		{Name: "CE1", Share: 0.15, Profile: "nbiot-ce1", Period: 640 * time.Millisecond, Preambles: 12, Repetitions: 8, Attempts: 5},
		{Name: "CE2", Share: 0.05, Profile: "nbiot-ce2", Period: 2560 * time.Millisecond, Preambles: 12, Repetitions: 32, Attempts: 5},
	}
	ltemClasses = []Class{
		{Name: "normal", Share: 0.95, Profile: "ltem", Period: 20 * time.Millisecond, Preambles: 54, Repetitions: 1, Attempts: 5},
		{Name: "edge", Share: 0.05, Profile: "ltem-edge", Period: 80 * time.Millisecond, Preambles: 54, Repetitions: 16, Attempts: 5},
	}
)

// defaults fills in what the file leaves out and notes it as an assumption.
func (d *Deployment) defaults() {
	builtin := nbiotClasses
	if d.Technology == "ltem" {
		builtin = ltemClasses
	}
	if len(d.Coverage) == 0 {
		d.Coverage = slices.Clone(builtin)
		var shares []string
		for _, c := range builtin {
			shares = append(shares, fmt.Sprintf("%s %v", c.Name, c.Share))
		}
		d.assume("coverage mix %s: general knowledge, not this network's (set coverage)", strings.Join(shares, ", "))
	}
	resources := false
	for i := range d.Coverage {
		c, b := &d.Coverage[i], builtin[min(i, len(builtin)-1)]
		if c.Period == 0 || c.Preambles == 0 || c.Repetitions == 0 {
			resources = true
		}
		c.Period, c.Preambles = orElse(c.Period, b.Period), orElse(c.Preambles, b.Preambles)
		c.Repetitions, c.Attempts = orElse(c.Repetitions, b.Repetitions), orElse(c.Attempts, b.Attempts)
	}
	if resources || !d.given("coverage") {
		if d.Technology == "nbiot" {
			d.assume("NPRACH: one operator's configuration (V LENA); periods and subcarriers of your network differ")
		} else {
			d.assume("PRACH: 54 preambles every 20 ms, 80 ms at the edge: general knowledge")
		}
	}
	for _, f := range []struct{ path, what string }{
		{"random_access", "random access back-off 2.048 s, 10 attempts, response window 10 s: general knowledge"},
		{"rrc", "RRC message sizes and 2000 connections in a cell: general knowledge"},
	} {
		if !d.given(f.path) {
			d.assume("%s", f.what)
		}
	}
	for _, name := range d.names() {
		d.groupDefaults(name)
	}
}

func (d *Deployment) groupDefaults(name string) {
	g := d.Groups[name]
	if g.Payload.Max > 0 && g.Payload.Alpha == 0 {
		g.Payload.Alpha = 2.5
		d.assume("group %s: Pareto payload with shape 2.5 (TR 45.820, from general knowledge)", name)
	}
	g.Arrival = orElse(g.Arrival, "random")
	if g.Packets != nil {
		d.assume("group %s: packets are given, not measured", name)
	}
	if o := g.OTA; o != nil {
		campaign := *o
		campaign.Strategy = orElse(o.Strategy, "full")
		campaign.Timeout, campaign.Wait = orElse(o.Timeout, time.Hour), orElse(o.Wait, 24*time.Hour)
		campaign.Reach = orElse(o.Reach, "paging")
		if o.Concurrency == nil {
			campaign.Concurrency = map[string]int{}
			for i, c := range d.Coverage {
				campaign.Concurrency[c.Name] = []int{50, 10, 1}[min(i, 2)]
			}
			d.assume("group %s: 50, 10 and 1 updates at once by coverage class, as one vendor's platform allows", name)
		}
		g.OTA = &campaign
	}
	if b := g.Battery; b != nil {
		battery := *b
		battery.Chemistry = orElse(b.Chemistry, power.Chemistries()[0])
		if !d.given("groups." + name + ".battery.celsius") {
			battery.Celsius = 20
		}
		g.Battery = &battery
		d.assume("group %s: battery ageing of %s from data sheets' general knowledge; currents as the module's or profile's sources say", name, battery.Chemistry)
	}
	d.Groups[name] = g
}

func orElse[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// check finds what single fields do not show.
func (d *Deployment) check() error {
	var errs confyaml.Errors
	fail := func(path, format string, args ...any) { errs = append(errs, d.dec.Errorf(path, format, args...)) }
	if len(d.Groups) == 0 {
		fail("groups", "empty: want at least one group")
	}
	sum := 0.
	names := map[string]bool{}
	for i, c := range d.Coverage {
		place := fmt.Sprintf("coverage.%d", i)
		if names[c.Name] {
			fail(place+".name", "%s is given twice", c.Name)
		}
		names[c.Name] = true
		sum += float64(c.Share)
		if _, err := d.profile(c.Profile); err != nil {
			fail(place+".profile", "%v", err)
		}
		for _, g := range []struct {
			name string
			set  bool
		}{{"up", c.Up != nil && c.Up.Data == 0}, {"down", c.Down != nil && c.Down.Data == 0}} {
			if g.set {
				fail(place+"."+g.name, "data: want a duration above 0s")
			}
		}
	}
	if math.Abs(sum-1) > 1e-6 {
		fail("coverage", "shares add up to %v: want 100%%", units.Fraction(sum))
	}
	for _, name := range d.names() {
		d.checkGroup("groups."+name, d.Groups[name], names, fail)
	}
	if len(errs) == 0 {
		d.checkRuns(fail)
	}
	return errs.Sorted()
}

// checkRuns finds what makes a signature's run impossible, before any is made,
// and classes without timing.
func (d *Deployment) checkRuns(fail func(string, string, ...any)) {
	for i := range d.Coverage {
		if _, err := d.radio(&d.Coverage[i]); err != nil {
			fail(fmt.Sprintf("coverage.%d.profile", i), "%v", err)
		}
	}
	for _, name := range d.names() {
		g := d.Groups[name]
		for _, p := range d.split(&g) {
			for _, j := range d.jobs(&g, &p) {
				place := "groups." + name
				if len(j.sets) > 0 {
					place += ".set"
				}
				if _, err := j.run(""); err != nil {
					fail(place, "%s over %s: %v", j.stack, j.profile, err)
					return
				}
			}
		}
	}
}

func (d *Deployment) checkGroup(place string, g Group, classes map[string]bool, fail func(string, string, ...any)) {
	switch {
	case g.Stack == "" && g.Packets == nil:
		fail(place, "want stack or packets")
	case g.Stack != "" && g.Packets != nil:
		fail(place+".packets", "want stack or packets, not both")
	case g.Stack != "":
		d.checkStack(place+".stack", g.Stack, fail)
	}
	if (g.Interval == 0) == (g.Traffic == "") {
		fail(place, "want interval or traffic, and not both")
	}
	if g.Payload.Max > 0 && (g.Payload.Max < g.Payload.Bytes || g.Payload.Bytes == 0) {
		fail(place+".payload.max", "want bytes above 0 and max of at least bytes")
	}
	if g.Arrival == "synchronised" && g.Interval > 0 && g.Spread > g.Interval {
		fail(place+".spread", "%v: want at most the interval", g.Spread)
	}
	sum := 0.
	for name, share := range g.Coverage {
		sum += float64(share)
		if !classes[name] {
			fail(place+".coverage."+name, "no such coverage class: want one of %s", strings.Join(slices.Sorted(maps.Keys(classes)), ", "))
		}
	}
	if g.Coverage != nil && math.Abs(sum-1) > 1e-6 {
		fail(place+".coverage", "shares add up to %v: want 100%%", units.Fraction(sum))
	}
	for path := range g.Set {
		switch head, _, _ := strings.Cut(path, "."); head {
		case "link", "radio", "power", "mtu", "sms", "stack":
		default:
			fail(place+".set."+path, "want a path below link, radio, power, sms or stack")
		}
	}
	if o := g.OTA; o != nil {
		d.checkStack(place+".ota.stack", o.Stack, fail)
		if o.Strategy == "delta" && o.Delta == 0 {
			fail(place+".ota.strategy", "delta: want the size of the difference in delta")
		}
		for name, n := range o.Concurrency {
			if !classes[name] {
				fail(place+".ota.concurrency."+name, "no such coverage class")
			} else if n < 1 {
				fail(place+".ota.concurrency."+name, "%d: want at least 1", n)
			}
		}
		for name := range classes {
			if _, ok := o.Concurrency[name]; !ok {
				fail(place+".ota.concurrency", "class %s is missing", name)
			}
		}
	}
	if b := g.Battery; b != nil {
		if _, err := power.ChemistryOf(b.Chemistry); err != nil {
			fail(place+".battery.chemistry", "%v", err)
		}
		if b.Module != "" {
			if _, err := power.Load(d.resolve(b.Module)); err != nil {
				fail(place+".battery.module", "%v", err)
			}
		}
	}
}

func (d *Deployment) checkStack(place, name string, fail func(string, string, ...any)) {
	s, err := lab.LoadStack(d.resolve(name))
	switch {
	case err != nil:
		fail(place, "%v", err)
	case s.Protocol != "mqtt" && s.Protocol != "lwm2m":
		fail(place, "%s speaks %s: want a stack of mqtt or lwm2m", name, s.Protocol)
	}
}

func (d *Deployment) profile(name string) (*profiles.Profile, error) {
	return profiles.Load(d.resolve(name))
}

// resolve makes a file's path relative to the deployment's directory; names
// of what is built in stay.
func (d *Deployment) resolve(name string) string {
	if !confyaml.IsPath(name) || filepath.IsAbs(name) {
		return name
	}
	name = filepath.Join(filepath.Dir(d.path), name)
	if !confyaml.IsPath(name) {
		name = "./" + name
	}
	return name
}
