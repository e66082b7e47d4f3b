package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/thinlink/thinlink/internal/units"
	"github.com/thinlink/thinlink/lab"
	"github.com/thinlink/thinlink/measure"
	"github.com/thinlink/thinlink/power"
	"github.com/thinlink/thinlink/profiles"
)

func newPower() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "power",
		Short: "energy and battery life by module models, and measured captures",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(newBattery(), newExchange(), newModules(), newImport(), newMeter())
	return cmd
}

// batteryFlags are what thinlink power battery takes.
type batteryFlags struct {
	profiles, stacks                []string
	module, every, battery          string
	chemistry                       string
	celsius                         float64
	selfDischarge                   string
	payload, psm                    string
	rai                             bool
	keepAlive, lifetime, natTimeout string
	cid                             bool
	txDBM                           float64
	sets                            []string
	seed                            uint64
	sensitivity, json               bool
	hang                            time.Duration
	workers                         int
}

func newBattery() *cobra.Command {
	var f batteryFlags
	cmd := &cobra.Command{
		Use:   "battery",
		Short: "say how long a battery lasts, and what it is spent on",
		Long: `Run the real stack over the profile for a day or more: connected once, a report
at every interval, with the keep-alives, registration updates and tracking area
updates that come with it. Extrapolate with the battery's self-discharge and its
capacity at the temperature.

MQTT holds its connection by keep-alives. LwM2M is in queue mode: the server
sends nothing to a device asleep, which wakes up to report and to update its
registration. Whatever the platform sends to a device in power saving mode waits
in the network.`,
		Example: `  thinlink power battery -p nbiot --module nrf9160 --stack lwm2m --every 2h --battery 5Wh
  thinlink power battery -p nbiot --module nrf9160 --stack mqtt,lwm2m --every 1h --battery 19Wh --rai --sensitivity`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	fl := cmd.Flags()
	fl.StringSliceVarP(&f.profiles, "profile", "p", nil, "link profiles: names or files")
	fl.StringSliceVar(&f.stacks, "stack", []string{"lwm2m"}, "stacks: names or files")
	fl.StringVar(&f.module, "module", "", "module model: "+strings.Join(power.Names(), ", ")+"; or a YAML file (default: the profile's mean powers)")
	fl.StringVar(&f.every, "every", "2h", "time between reports")
	fl.StringVar(&f.battery, "battery", "5Wh", "nominal capacity at 20 degrees Celsius: Wh or J")
	fl.StringVar(&f.chemistry, "chemistry", power.Chemistries()[0], "kind of cell: "+strings.Join(power.Chemistries(), ", "))
	fl.Float64Var(&f.celsius, "temperature", 20, "mean temperature, degrees Celsius")
	fl.StringVar(&f.selfDischarge, "self-discharge", "", "share of the capacity lost per year at 20 degrees Celsius (default: the chemistry's)")
	fl.StringVar(&f.payload, "payload", "", "text in a report, for example 50B (default: the reference reading)")
	fl.StringVar(&f.psm, "psm", "", "power saving mode: T3324,T3412 (10s,24h), off, or edrx:CYCLE,PTW (default: the profile's, or 10s,24h)")
	fl.BoolVar(&f.rai, "rai", false, "the device asks for the release of its connection (release assistance)")
	fl.StringVar(&f.keepAlive, "keep-alive", units.FormatDuration(lab.DefaultKeepAlive), "MQTT's keep-alive; 0 is the stack's own")
	fl.StringVar(&f.lifetime, "lifetime", units.FormatDuration(lab.DefaultLifetime), "lifetime of a LwM2M registration, updated after half of it; 0 is the stack's own")
	fl.StringVar(&f.natTimeout, "nat-timeout", "0s", "silence after which the operator's NAT forgets the device; 0 is never")
	fl.BoolVar(&f.cid, "cid", false, "negotiate a DTLS connection ID (stacks over DTLS)")
	fl.Float64Var(&f.txDBM, "tx-dbm", 0, "transmit power of the module, dBm (default: its highest)")
	fl.StringArrayVar(&f.sets, "set", nil, "override a value of profile, stack or scenario, for example radio.rrc.inactivity=10s; repeats")
	fl.Uint64Var(&f.seed, "seed", 1, "seed of everything random in link and stacks")
	fl.BoolVar(&f.sensitivity, "sensitivity", false, "repeat with one thing changed at a time")
	fl.BoolVar(&f.json, "json", false, "print one JSON object per profile and stack")
	fl.IntVarP(&f.workers, "jobs", "j", 0, "runs at once (default: one per core)")
	fl.DurationVar(&f.hang, "hang", time.Minute, "real time without progress after which a run is given up")
	cmd.MarkFlagRequired("profile")
	complete(cmd, "profile", profiles.Names)
	complete(cmd, "stack", lab.StackNames)
	complete(cmd, "module", power.Names)
	complete(cmd, "chemistry", power.Chemistries)
	return cmd
}

// A question is a plan with its run and, after it, its answer.
type question struct {
	plan     lab.BatteryPlan
	run      *lab.Run
	assumed  []string
	variants []variant
	life     *lab.BatteryLife
}

type variant struct {
	lab.Variant
	run *lab.Run
	err error
}

func (f *batteryFlags) run(cmd *cobra.Command) error {
	questions, err := f.questions(cmd)
	if err != nil {
		return err
	}
	var runs []*lab.Run
	for _, q := range questions {
		runs = append(runs, q.run)
		for _, v := range q.variants {
			if v.err == nil {
				runs = append(runs, v.run)
			}
		}
	}
	results, err := f.execute(cmd, runs)
	if err != nil {
		return err
	}
	failed := false
	for _, q := range questions {
		if err := q.answer(results); err != nil {
			failed = true
			fmt.Fprintf(cmd.ErrOrStderr(), "thinlink: %s, %s: %v\n", q.run.Profile, q.run.Stack.Name, err)
			continue
		}
		if f.json {
			err = json.NewEncoder(cmd.OutOrStdout()).Encode(q.life)
		} else {
			err = printBattery(cmd.OutOrStdout(), q.life, &q.plan)
		}
		if err != nil {
			return err
		}
	}
	if failed {
		return &exitError{status: exitIncomplete}
	}
	return nil
}

// questions checks everything that is asked for.
func (f *batteryFlags) questions(cmd *cobra.Command) ([]*question, error) {
	base, err := f.plan(cmd)
	if err != nil {
		return nil, err
	}
	var all []*question
	for _, profile := range f.profiles {
		for _, stack := range f.stacks {
			q := &question{plan: base}
			q.plan.Profile, q.plan.Stack = profile, stack
			if q.run, q.assumed, err = q.plan.Run(); err != nil {
				return nil, err
			}
			if f.sensitivity {
				for _, v := range q.plan.Variants(q.run) {
					run, _, err := v.Plan.Run()
					q.variants = append(q.variants, variant{v, run, err})
				}
			}
			all = append(all, q)
		}
	}
	return all, nil
}

// plan reads the flags.
func (f *batteryFlags) plan(cmd *cobra.Command) (p lab.BatteryPlan, err error) {
	p.Seed = f.seed
	for _, d := range []struct {
		flag, text string
		to         *time.Duration
	}{{"every", f.every, &p.Every}, {"keep-alive", f.keepAlive, &p.KeepAlive}, {"lifetime", f.lifetime, &p.Lifetime}} {
		if *d.to, err = units.ParseDuration(d.text); err != nil {
			return p, fmt.Errorf("--%s: %w", d.flag, err)
		}
	}
	if p.Battery, err = f.cell(); err != nil {
		return p, err
	}
	if p.PSM, err = parsePSM(f.psm); err != nil {
		return p, err
	}
	flag := cmd.Flags().Changed
	for _, s := range []struct {
		given      bool
		path, text string
	}{
		{flag("module"), "power.module", f.module}, {flag("tx-dbm"), "power.tx_dbm", fmt.Sprint(f.txDBM)},
		{flag("payload"), "payload", f.payload}, {flag("nat-timeout"), "nat_timeout", f.natTimeout},
		{flag("cid"), "stack.lwm2m.connection_id", fmt.Sprint(f.cid)},
	} {
		if s.given {
			p.Sets = append(p.Sets, lab.Setting{Path: s.path, Value: s.text})
		}
	}
	if f.rai {
		p.Sets = append(p.Sets, lab.RAI()...)
	}
	for _, s := range f.sets {
		set, err := lab.ParseSetting(s)
		if err != nil {
			return p, err
		}
		p.Sets = append(p.Sets, set)
	}
	return p, nil
}

// cell is the battery.
func (f *batteryFlags) cell() (b power.Battery, err error) {
	if b.Capacity, err = units.ParseEnergy(f.battery); err != nil {
		return b, fmt.Errorf("--battery: %w", err)
	}
	if b.Capacity == 0 {
		return b, errors.New("--battery 0: want more, for example 5Wh")
	}
	if b.Celsius = f.celsius; b.Celsius < -60 || b.Celsius > 125 {
		return b, fmt.Errorf("--temperature %v: want -60 to 125", f.celsius)
	}
	if b.Chemistry, err = power.ChemistryOf(f.chemistry); err != nil {
		return b, fmt.Errorf("--chemistry: %w", err)
	}
	if f.selfDischarge != "" {
		share, err := units.ParseFraction(f.selfDischarge)
		if err != nil {
			return b, fmt.Errorf("--self-discharge: %w", err)
		}
		b.Chemistry.SelfDischarge = float64(share)
	}
	return b, nil
}

// parsePSM reads "10s,24h", "off" or "edrx:81.92s,2.56s".
func parsePSM(text string) (lab.PSMChoice, error) {
	fail := func(err error) (lab.PSMChoice, error) {
		return lab.PSMChoice{}, fmt.Errorf("--psm %q: want T3324,T3412 (10s,24h), off, or edrx:CYCLE,PTW (edrx:81.92s,2.56s)%s", text, because(err))
	}
	switch text {
	case "":
		return lab.PSMChoice{}, nil
	case "off":
		return lab.PSMChoice{Mode: lab.PSMOff}, nil
	}
	rest, edrx := strings.CutPrefix(text, "edrx:")
	first, second, ok := strings.Cut(rest, ",")
	if !ok {
		return fail(nil)
	}
	a, err := units.ParseDuration(first)
	if err != nil {
		return fail(err)
	}
	b, err := units.ParseDuration(second)
	if err != nil {
		return fail(err)
	}
	if edrx {
		return lab.PSMChoice{Mode: lab.PSMEDRX, EDRXCycle: a, PagingTimeWindow: b}, nil
	}
	return lab.PSMChoice{Mode: lab.PSMTimers, T3324: a, T3412: b}, nil
}

func because(err error) string {
	if err == nil {
		return ""
	}
	return ": " + err.Error()
}

// execute runs them all and gives each run's result.
func (f *batteryFlags) execute(cmd *cobra.Command, runs []*lab.Run) (map[*lab.Run]*measure.Result, error) {
	pool, err := newPool(cmd.Context(), []string{"sim"}, "virtual", f.hang, f.workers)
	if err != nil {
		return nil, err
	}
	if err := lab.Certify(runs); err != nil {
		return nil, err
	}
	bar := newProgress(cmd.ErrOrStderr(), len(runs))
	defer bar.close()
	pool.Started, pool.Progress, pool.Done = bar.started, bar.progress, bar.done
	results := map[*lab.Run]*measure.Result{}
	err = pool.Execute(cmd.Context(), runs, func(run *lab.Run, res *measure.Result) error {
		results[run] = res
		return nil
	})
	switch {
	case errors.Is(err, context.Canceled):
		return nil, &exitError{exitIncomplete, errors.New("interrupted")}
	case err != nil:
		return nil, &exitError{exitMachine, err}
	}
	return results, nil
}

// answer fills in the life and the variants'.
func (q *question) answer(results map[*lab.Run]*measure.Result) (err error) {
	if q.life, err = q.plan.Life(q.run, q.assumed, results[q.run]); err != nil {
		return err
	}
	for _, v := range q.variants {
		c := lab.BatteryCase{What: v.What}
		life, err := (*lab.BatteryLife)(nil), v.err
		if err == nil {
			life, err = v.Plan.Life(v.run, nil, results[v.run])
		}
		if err != nil {
			c.Error = err.Error()
		} else {
			c.Years, c.MeanW, c.Warnings = life.Years, life.MeanW, life.Warnings
		}
		q.life.Sensitivity = append(q.life.Sensitivity, c)
	}
	return nil
}
