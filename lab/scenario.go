package lab

import (
	"embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/thinlink/thinlink/internal/confyaml"
	"github.com/thinlink/thinlink/internal/units"
)

//go:embed scenarios/*.yaml
var scenarioFiles embed.FS

var scenarios = confyaml.Library{FS: scenarioFiles, Dir: "scenarios", Noun: "scenario"}

// Kind says which steps a scenario performs.
type Kind string

// The kinds of scenarios.
const (
	KindConnect Kind = "connect" // power-on to the first report
	KindSteady  Kind = "steady"  // connected and silent
	KindObserve Kind = "observe" // a report every interval
	KindCommand Kind = "command" // one message from platform to device
	KindOTA     Kind = "ota"     // power-on, connect, firmware update
	KindPing    Kind = "ping"    // round trips from idle and connected
	KindBulk    Kind = "bulk"    // one transfer
	KindPower   Kind = "power"   // a window of reports, for its energy
	KindExec    Kind = "exec"    // a program of the user's from beginning to end
)

// Scenario is what a run does, the same over every profile and stack.
type Scenario struct {
	Version     int      `conf:"version" doc:"schema version" min:"1" max:"1" required:"true"`
	Name        string   `conf:"name" doc:"name in results" required:"true"`
	Title       string   `conf:"title" doc:"one line for people"`
	Description string   `conf:"description" doc:"what the scenario shows"`
	Kind        Kind     `conf:"kind" doc:"the steps" enum:"connect,steady,observe,command,ota,ping,bulk,power,exec" required:"true"`
	Stacks      []string `conf:"stacks" doc:"stacks that run when --stack names none"`

	// Window is the least time that is measured; a step that lasts longer
	// extends it.
	Window time.Duration `conf:"window" doc:"least measured time" min:"0s"`
	// Settle is the silence between connecting and the window, for scenarios
	// that start connected.
	Settle time.Duration `conf:"settle" doc:"silence before the window" min:"0s"`
	// Limit ends a run that does not complete.
	Limit time.Duration `conf:"limit" doc:"a run that lasts longer has failed" min:"1s"`

	Reports  int           `conf:"reports" doc:"observe: number of reports" min:"1" max:"100000"`
	Interval time.Duration `conf:"interval" doc:"observe, power: time between reports, for power 0s is none; ping: between pings of a train" min:"0s"`

	Image units.Bytes `conf:"image" doc:"ota: size of the image" min:"1" max:"67108864"`

	Size      units.Bytes   `conf:"size" doc:"bulk: bytes to transfer" min:"1" max:"1073741824"`
	Direction string        `conf:"direction" doc:"bulk: direction of the data" enum:"up,down"`
	Rate      units.BitRate `conf:"rate" doc:"bulk over udp: IP rate offered; 0 is 1.2 times the link's" min:"0"`

	// NATTimeout is after how long a silence the operator forgets the device's
	// UDP bindings, so that the platform sees it under a new address.
	NATTimeout time.Duration `conf:"nat_timeout" doc:"power: silence before a report after which the operator's NAT has a new address for the device; 0 is never" min:"0s"`

	Payload units.Bytes   `conf:"payload" doc:"ping, bulk over udp: payload of a datagram; power: text in a report, 0 is the reference reading" min:"0" max:"1232"`
	Trains  int           `conf:"trains" doc:"ping: trains, each from idle" min:"1" max:"100000"`
	Count   int           `conf:"count" doc:"ping: pings of a train; the first finds the radio idle" min:"1" max:"100000"`
	Gap     time.Duration `conf:"gap" doc:"ping: silence before a train" min:"0s"`
	Timeout time.Duration `conf:"timeout" doc:"ping: after this a reply counts as lost" min:"1ms"`
}

// fields that only some kinds use; --set on another kind is a mistake.
var kindFields = map[string][]Kind{
	"reports":     {KindObserve},
	"interval":    {KindObserve, KindPing, KindPower},
	"image":       {KindOTA},
	"size":        {KindBulk},
	"direction":   {KindBulk},
	"rate":        {KindBulk},
	"payload":     {KindPing, KindBulk, KindPower},
	"trains":      {KindPing},
	"count":       {KindPing},
	"gap":         {KindPing},
	"timeout":     {KindPing},
	"nat_timeout": {KindPower},
}

// uses reports whether the scenario's kind reads the field.
func (s *Scenario) uses(field string) bool {
	kinds, special := kindFields[field]
	return !special || slices.Contains(kinds, s.Kind)
}

// Suites are lists of scenarios and their stacks under one name.
var Suites = map[string][]SuiteEntry{
	"paper-2020": {
		{"connect", []string{"mqtt", "lwm2m"}},
		{"steady", []string{"mqtt", "lwm2m"}},
		{"observe", []string{"mqtt", "lwm2m"}},
		{"command", []string{"mqtt-plain-topic", "lwm2m"}},
		{"ota", []string{"mqtt-https", "lwm2m-coap-pull", "lwm2m-https-pull"}},
	},
	// The reference experiment's energy: idle and three intervals.
	"power": {
		{"power-idle", []string{"mqtt", "lwm2m"}},
		{"power-1s", []string{"mqtt", "lwm2m"}},
		{"power-30s", []string{"mqtt", "lwm2m"}},
		{"power-60s", []string{"mqtt", "lwm2m"}},
	},
}

// SuiteEntry is one scenario of a suite with the stacks it compares.
type SuiteEntry struct {
	Scenario string
	Stacks   []string
}

// ScenarioNames lists the built-in scenarios and suites.
func ScenarioNames() []string {
	return slices.Sorted(slices.Values(append(scenarios.Names(), suiteNames()...)))
}

func suiteNames() []string { return slices.Collect(maps.Keys(Suites)) }

// LoadScenario reads a built-in scenario by name or a file by path.
func LoadScenario(nameOrPath string) (*Scenario, error) {
	doc, err := scenarios.Open(nameOrPath, suiteNames()...)
	if err != nil {
		return nil, err
	}
	s := new(Scenario)
	dec := confyaml.NewDecoder(s)
	if err := dec.Apply(doc); err != nil {
		return nil, err
	}
	if err := dec.Complete(); err != nil {
		return nil, err
	}
	return s, s.check()
}

func (s *Scenario) check() error {
	if s.Limit < s.Window {
		return fmt.Errorf("scenario %s: limit %v is below window %v", s.Name, s.Limit, s.Window)
	}
	if s.Interval == 0 && (s.Kind == KindObserve || s.Kind == KindPing) {
		return fmt.Errorf("scenario %s: interval 0s: want more", s.Name)
	}
	return nil
}

// ScenarioTitle is the one line that describes a built-in scenario or suite.
func ScenarioTitle(name string) (string, error) {
	if entries, ok := Suites[name]; ok {
		names := make([]string, len(entries))
		for i, e := range entries {
			names[i] = e.Scenario
		}
		return "the reference experiment: " + strings.Join(names, ", "), nil
	}
	s, err := LoadScenario(name)
	if err != nil {
		return "", err
	}
	return s.Title, nil
}

// ScenarioFile is the YAML of a built-in scenario.
func ScenarioFile(name string) ([]byte, error) {
	if _, ok := Suites[name]; ok {
		return nil, fmt.Errorf("%s is a suite of several scenarios; show them one by one", name)
	}
	return scenarios.File(name, suiteNames()...)
}
