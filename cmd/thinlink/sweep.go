package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/thinlink/thinlink/lab"
	"github.com/thinlink/thinlink/report"
)

// sweepFlags are what thinlink sweep takes; those for the pool are run's.
type sweepFlags struct {
	runFlags
	resume, dryRun, schema bool
}

func newSweep() *cobra.Command {
	var f sweepFlags
	cmd := &cobra.Command{
		Use:   "sweep FILE",
		Short: "run a matrix of profiles, stacks, values and interruptions",
		Long: `Run one scenario over every combination of the profiles, stacks, values,
interruptions and seeds that a YAML file names, in parallel over the cores.

Each result is in results.jsonl of the output directory as soon as its run has
ended. After a crash or Ctrl-C, --resume goes on: it repeats nothing and loses
nothing. In the end the directory has the results as results.csv and
results.parquet, too, and in cells.csv and cells.jsonl the medians over seeds
with 95 % intervals.`,
		Example: `  thinlink sweep examples/sweep-small.yaml --dry-run
  thinlink sweep examples/sweep-small.yaml -o results
  thinlink sweep examples/sweep-small.yaml -o results --resume`,
		Args: fileUnless(&f.schema),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.schema {
				return printSchema(cmd, lab.SweepSchema)
			}
			return f.run(cmd, args[0])
		},
	}
	fl := cmd.Flags()
	fl.StringVarP(&f.out, "output", "o", "", "directory for the results (default: the sweep's name)")
	fl.BoolVar(&f.resume, "resume", false, "go on with a directory that has results already")
	fl.BoolVar(&f.dryRun, "dry-run", false, "check the file and say how much there is to run; write nothing")
	fl.BoolVar(&f.json, "json", false, "print each result of this call as a line of JSON, in the order of the runs")
	fl.BoolVar(&f.schema, "schema", false, "print the JSON Schema of sweep files, for editors")
	fl.StringVar(&f.clock, "clock", "virtual", "clock of engine sim: virtual or real")
	fl.IntVarP(&f.workers, "jobs", "j", 0, "runs at once (default: one per core)")
	fl.DurationVar(&f.hang, "hang", time.Minute, "real time without progress after which a run is given up")
	complete(cmd, "clock", func() []string { return []string{"virtual", "real"} })
	return cmd
}

func (f *sweepFlags) run(cmd *cobra.Command, file string) error {
	sweep, err := lab.LoadSweep(file)
	if err != nil {
		return err
	}
	plan, err := sweep.Plan(version, strings.Join([]string{"thinlink", "sweep", file}, " "))
	if err != nil {
		return err
	}
	if f.out == "" {
		f.out = sweep.Name
	}
	if f.dryRun {
		return f.describe(cmd.OutOrStdout(), plan)
	}
	if err := checkEngines(plan.Info.Engines); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	pool, err := newPool(cmd.Context(), plan.Info.Engines, f.clock, f.hang, f.workers)
	if err != nil {
		return err
	}
	job, err := plan.Open(f.out, f.resume)
	if err != nil {
		return err
	}
	runErr := f.execute(cmd, job, pool)
	if err := errors.Join(runErr, job.Close()); err != nil {
		return f.stopped(err)
	}
	return f.finish(cmd.OutOrStdout())
}

// execute runs what is left, with progress on a terminal and lines on demand.
func (f *sweepFlags) execute(cmd *cobra.Command, job *lab.SweepJob, pool *lab.Pool) error {
	bar := newProgress(cmd.ErrOrStderr(), job.Todo())
	defer bar.close()
	pool.Started, pool.Progress, pool.Done = bar.started, bar.progress, bar.done
	return job.Execute(cmd.Context(), pool, func(res lab.SweepResult) error {
		if !f.json {
			return nil
		}
		bar.clear()
		return json.NewEncoder(cmd.OutOrStdout()).Encode(res)
	})
}

// stopped says how to go on.
func (f *sweepFlags) stopped(err error) error {
	if errors.Is(err, context.Canceled) {
		return &exitError{exitIncomplete, fmt.Errorf("interrupted; go on with --resume -o %s", f.out)}
	}
	return &exitError{exitMachine, fmt.Errorf("%w; go on with --resume -o %s", err, f.out)}
}

// finish writes the results' other forms and prints the table.
func (f *sweepFlags) finish(stdout io.Writer) error {
	folder, err := report.Load(f.out)
	if err != nil {
		return &exitError{exitMachine, err}
	}
	for name, write := range map[string]func(io.Writer, *report.Folder) error{
		"results.csv": report.WriteCSV, "results.parquet": report.WriteParquet,
		"cells.csv": report.WriteCellsCSV, "cells.jsonl": report.WriteCellsJSON,
	} {
		if err := writeFile(filepath.Join(f.out, name), folder, write); err != nil {
			return &exitError{exitMachine, err}
		}
	}
	if !f.json {
		if err := report.SweepText(stdout, folder, report.Style{Color: isTerminal(stdout)}); err != nil {
			return err
		}
	}
	for _, r := range folder.Records {
		if !r.Completed {
			return &exitError{status: exitIncomplete}
		}
	}
	return nil
}

func writeFile(path string, folder *report.Folder, write func(io.Writer, *report.Folder) error) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := errors.Join(write(file, folder), file.Close()); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// describe says what a sweep comes to.
func (f *sweepFlags) describe(w io.Writer, plan *lab.SweepPlan) error {
	todo := plan.Len()
	if f.resume {
		var err error
		if todo, err = plan.Remaining(f.out); err != nil {
			return err
		}
	}
	info := plan.Info
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", info.Name, info.Title)
	fmt.Fprintf(&b, "scenario   %s\nprofiles   %s\nstacks     %s\nengines    %s\n", info.Scenario,
		strings.Join(info.Profiles, ", "), strings.Join(info.Stacks, ", "), strings.Join(info.Engines, ", "))
	for _, axis := range info.Axes {
		fmt.Fprintf(&b, "set        %s = %s\n", axis.Path, strings.Join(axis.Values, ", "))
	}
	for _, d := range info.Disruptions {
		if d.Name != "" {
			fmt.Fprintf(&b, "interrupt  %s: %v\n", d.Name, d.Events)
		}
	}
	fmt.Fprintf(&b, "seeds      %d\n%d cells, %d runs", len(info.Seeds), plan.Cells(), plan.Len())
	if f.resume {
		fmt.Fprintf(&b, ", %d of them left in %s", todo, f.out)
	}
	jobs := f.workers
	if jobs == 0 {
		jobs = runtime.NumCPU()
	}
	fmt.Fprintf(&b, "\nabout %v on %d cores, at %v for each run\n",
		(time.Duration(todo) * guess / time.Duration(jobs)).Round(time.Second), jobs, guess)
	_, err := io.WriteString(w, b.String())
	return err
}

// guess is what a run takes on one core: a 256 KiB update over a lossy link,
// start of the worker included.
const guess = 60 * time.Millisecond
