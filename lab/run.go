package lab

import (
	"fmt"

	"github.com/thinlink/thinlink/clients/pki"
	"github.com/thinlink/thinlink/measure"
	"github.com/thinlink/thinlink/netem"
	"github.com/thinlink/thinlink/power"
	"github.com/thinlink/thinlink/profiles"
)

// Run is one run, resolved: profile, scenario and stack with every override
// applied, and a seed. It marshals to JSON, so that a worker can execute it.
type Run struct {
	Profile  string
	Scenario Scenario
	Stack    Stack
	// Serves is the stack whose platform answers a program of protocol exec.
	Serves *Stack `json:",omitempty"`
	Engine string
	Seed   uint64
	Link   netem.Config
	// TC is what the kernel's netem gets in place of grants.
	TC profiles.TC
	// Model, Network and MCU turn the radio's timeline into energy.
	Model   power.Model
	Network power.Network
	MCU     power.MCU
	// Interrupts happen during a firmware update.
	Interrupts []Interruption `json:",omitempty"`
	PKI        *pki.Material  `json:",omitempty"`
	// Elsewhere is the platform, if it is not the run's own.
	Elsewhere *Elsewhere `json:",omitempty"`
	// Version of thinlink, for the files' comments.
	Version string `json:",omitempty"`
	// OnWindow, if not nil, is told when the measured window begins and ends,
	// on engines that run in this process.
	OnWindow func(open bool) `json:"-"`
	// Out is the directory for capture, key log and events; "" writes none.
	Out string
}

// Base is the name of the run's files, without extension.
func (r *Run) Base() string {
	return fmt.Sprintf("%s-%s-%s-%s-s%d", r.Profile, r.Scenario.Name, r.Stack.Name, r.Engine, r.Seed)
}

// window tells who wants to know.
func (r *Run) window(open bool) {
	if r.OnWindow != nil {
		r.OnWindow(open)
	}
}

// timers names the protocol timers where they are not the stack's own.
func (r *Run) timers() string {
	if r.Stack.Timers == TimersProfile {
		return TimersProfile
	}
	return ""
}

func (r *Run) newResult() *measure.Result {
	return &measure.Result{
		Profile:  r.Profile,
		Scenario: r.Scenario.Name,
		Stack:    r.Stack.Name,
		Engine:   r.Engine,
		Seed:     r.Seed,
		Timers:   r.timers(),
		Warnings: []string{},
	}
}
