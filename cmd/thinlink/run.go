package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/thinlink/thinlink/lab"
	"github.com/thinlink/thinlink/measure"
	"github.com/thinlink/thinlink/profiles"
	"github.com/thinlink/thinlink/report"
)

// runFlags are what thinlink run takes.
type runFlags struct {
	profiles, stacks, engines []string
	seeds                     []uint
	repeat                    int
	sets                      []string
	interrupt                 string
	out                       string
	json                      bool
	clock                     string
	workers                   int
	hang                      time.Duration
	linkOnly                  bool
	meter                     meteredFlags
	elsewhere                 elsewhereFlags
}

func newRun() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run SCENARIO...",
		Short: "run scenarios over profiles and stacks, and print what they cost",
		Long: fmt.Sprintf(`Run every scenario over every profile with every stack and seed.

scenarios: %s; or a YAML file
stacks:    %s; or a YAML file
profiles:  %s; or a YAML file`,
			strings.Join(lab.ScenarioNames(), ", "), strings.Join(lab.StackNames(), ", "), strings.Join(profiles.Names(), ", ")),
		Example: `  thinlink run paper-2020 -p ethernet,nbiot
  thinlink run ota -p nbiot --stack mqtt-https,lwm2m-coap-pull --set link.loss=2% --repeat 5
  thinlink run connect,observe -p ltem,./my-link.yaml -o results --json
  thinlink run connect -p ltem --engine sim,vm --link-only
  thinlink run connect,observe -p nbiot --stack mqtt-qos1 --broker mqtts://192.168.1.30 --ca ca.pem
  thinlink run bulk -p ethernet --stack tcp --set link.down.rate=26kbit --set link.delay=800ms --set size=1MiB`,
		Args: cobra.MinimumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return lab.ScenarioNames(), cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fl := cmd.Flags()
	fl.StringSliceVarP(&f.profiles, "profile", "p", nil, "link profiles: names or files")
	fl.StringSliceVar(&f.stacks, "stack", nil, "stacks: names or files (default: the scenario's)")
	fl.StringSliceVar(&f.engines, "engine", []string{"sim"}, "what carries the packets: sim, tc (this kernel's TCP and netem, needs root), vm (the same in a virtual machine), tun (this kernel's TCP over the modelled link), host (this machine's network, to a platform elsewhere)")
	fl.UintSliceVar(&f.seeds, "seed", []uint{1}, "seeds of everything random in link and stacks")
	fl.IntVar(&f.repeat, "repeat", 1, "runs per seed N: seeds N, N+1, ...; the median and the range are printed")
	fl.StringArrayVar(&f.sets, "set", nil, "override a value, for example link.loss=2% or image=256KiB; repeats")
	fl.StringVar(&f.interrupt, "interrupt", "", "interruptions of an update: outage, window, psm, reboot, platform, rebind; for example outage@50%:90s,reboot@70%")
	fl.StringVarP(&f.out, "output", "o", "", "directory for captures (pcapng), key logs, events and results.jsonl")
	fl.BoolVar(&f.linkOnly, "link-only", false, "run what the kernel's netem can do of each profile, without radio, on every engine alike")
	fl.BoolVar(&f.json, "json", false, "print one JSON object per run")
	fl.StringVar(&f.clock, "clock", "virtual", "clock of engine sim: virtual or real")
	fl.IntVarP(&f.workers, "jobs", "j", 0, "runs at once (default: one per core)")
	fl.DurationVar(&f.hang, "hang", time.Minute, "real time without progress after which a run is given up")
	f.meter.add(cmd)
	f.elsewhere.add(cmd)
	cmd.MarkFlagRequired("profile")
	complete(cmd, "profile", profiles.Names)
	complete(cmd, "stack", lab.StackNames)
	complete(cmd, "engine", func() []string { return engineNames })
	complete(cmd, "clock", func() []string { return []string{"virtual", "real"} })
	return cmd
}

func complete(cmd *cobra.Command, flag string, names func() []string) {
	err := cmd.RegisterFlagCompletionFunc(flag, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return names(), cobra.ShellCompDirectiveDefault
	})
	if err != nil {
		panic(err) // a flag that newRun has just defined
	}
}

func (f *runFlags) run(cmd *cobra.Command, args []string) error {
	if f.elsewhere.given() && !cmd.Flags().Changed("engine") {
		f.engines = []string{"host"}
	}
	matrix, err := f.matrix(args)
	if err != nil {
		return err
	}
	runs, err := lab.Expand(matrix)
	if err != nil {
		return err
	}
	if f.linkOnly {
		for _, run := range runs {
			run.ReduceLink()
		}
	}
	if err := f.elsewhere.apply(cmd.Context(), runs); err != nil {
		return err
	}
	if err := checkKernelRuns(runs); err != nil {
		return err
	}
	pool, err := newPool(cmd.Context(), f.engines, f.clock, f.hang, f.workers)
	if err != nil {
		return err
	}
	if err := f.meter.wrap(pool); err != nil {
		return err
	}
	if err := lab.Certify(runs); err != nil {
		return err
	}
	sink, err := newSink(f, newProvenance(cmd, args, matrix.Sets, f.interrupt), cmd.OutOrStdout())
	if err != nil {
		return err
	}
	bar := newProgress(cmd.ErrOrStderr(), len(runs))
	pool.Started, pool.Progress, pool.Done = bar.started, bar.progress, bar.done
	runErr := pool.Execute(cmd.Context(), runs, func(_ *lab.Run, res *measure.Result) error {
		bar.clear()
		return sink.add(res)
	})
	bar.close()
	if err := sink.close(slices.ContainsFunc(args, func(a string) bool { return strings.Contains(a, "paper-2020") })); err != nil {
		return &exitError{exitIncomplete, err}
	}
	switch {
	case errors.Is(runErr, context.Canceled):
		return &exitError{exitIncomplete, fmt.Errorf("interrupted: %d of %d runs finished", sink.n, len(runs))}
	case runErr != nil:
		return &exitError{exitMachine, runErr}
	case sink.incomplete > 0:
		return &exitError{status: exitIncomplete}
	}
	return nil
}

func (f *runFlags) matrix(args []string) (lab.Matrix, error) {
	m := lab.Matrix{Profiles: f.profiles, Stacks: f.stacks, Engines: f.engines, Out: f.out, Version: version}
	for _, a := range args {
		m.Scenarios = append(m.Scenarios, strings.Split(a, ",")...)
	}
	if f.repeat < 1 || f.repeat > 10000 {
		return m, fmt.Errorf("--repeat %d: want 1 to 10000", f.repeat)
	}
	for _, s := range f.seeds {
		for i := range f.repeat {
			if seed := uint64(s) + uint64(i); !slices.Contains(m.Seeds, seed) {
				m.Seeds = append(m.Seeds, seed)
			}
		}
	}
	if err := checkEngines(f.engines); err != nil {
		return m, err
	}
	if f.interrupt != "" {
		var err error
		if m.Interrupts, err = lab.ParseInterruptions(f.interrupt); err != nil {
			return m, err
		}
	}
	for _, s := range f.sets {
		set, err := lab.ParseSetting(s)
		if err != nil {
			return m, err
		}
		m.Sets = append(m.Sets, set)
	}
	return m, nil
}

// A sink takes results as they come: JSON lines at once, a table at the end,
// and a durable copy in the output directory.
type sink struct {
	json          bool
	stdout        io.Writer
	file          *os.File // results.jsonl, nil without -o
	from          provenance
	results       []*measure.Result
	n, incomplete int
}

func newSink(f *runFlags, from provenance, stdout io.Writer) (*sink, error) {
	s := &sink{json: f.json, stdout: stdout, from: from}
	if f.out == "" {
		return s, nil
	}
	if err := os.MkdirAll(f.out, 0o777); err != nil {
		return nil, err
	}
	var err error
	s.file, err = os.OpenFile(filepath.Join(f.out, "results.jsonl"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o666)
	return s, err
}

func (s *sink) add(res *measure.Result) error {
	s.n++
	if !res.Completed {
		s.incomplete++
	}
	s.results = append(s.results, res)
	line, err := json.Marshal(s.from.record(res))
	if err != nil {
		return fmt.Errorf("result: %w", err)
	}
	line = append(line, '\n')
	if s.file != nil {
		if _, err := s.file.Write(line); err != nil {
			return err
		}
		if err := s.file.Sync(); err != nil {
			return err
		}
	}
	if s.json {
		_, err = s.stdout.Write(line)
	}
	return err
}

func (s *sink) close(paper bool) error {
	if s.file != nil {
		if err := s.file.Close(); err != nil {
			return err
		}
	}
	if s.json || s.n == 0 {
		return nil
	}
	return report.Text(s.stdout, s.results, report.Style{Color: isTerminal(s.stdout), Paper: paper})
}
