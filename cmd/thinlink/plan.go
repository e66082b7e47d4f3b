package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/thinlink/thinlink/lab"
	"github.com/thinlink/thinlink/plan"
)

// planFlags are what thinlink plan takes.
type planFlags struct {
	json, schema bool
	whatIf       []string
	html         string
	workers      int
	hang         time.Duration
}

func newPlan() *cobra.Command {
	var f planFlags
	cmd := &cobra.Command{
		Use:   "plan FILE",
		Short: "say how many devices a network carries, and what they cost",
		Long: `Simulate the cells of a deployment: random access, control and data channels,
connections, with the traffic of real stacks that are run once for each group
and coverage class. Prints utilisation, collisions and blocking, delays, devices
per cell, campaigns, data, cost and battery life, and what is assumed.

--what-if PATH=VALUE answers a variant beside the file as it is; it repeats. A
path that begins with a group's field (stack, interval, count, ota.strategy, ...)
holds for every group.`,
		Example: `  thinlink plan examples/plan-smart-meters.yaml
  thinlink plan examples/plan-smart-meters.yaml --what-if stack=mqtt --what-if carriers=2
  thinlink plan examples/plan-ota-campaign.yaml --what-if ota.strategy=delta --html plan.html`,
		Args: fileUnless(&f.schema),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.schema {
				return printSchema(cmd, plan.Schema)
			}
			return f.run(cmd, args[0])
		},
	}
	fl := cmd.Flags()
	fl.BoolVar(&f.json, "json", false, "print one JSON object per variant")
	fl.StringArrayVar(&f.whatIf, "what-if", nil, "answer a variant, too: path=value; repeats")
	fl.StringVar(&f.html, "html", "", "write a page with plots to this file")
	fl.BoolVar(&f.schema, "schema", false, "print the JSON Schema of deployment files, for editors")
	fl.IntVarP(&f.workers, "jobs", "j", 0, "signatures measured at once (default: one per core)")
	fl.DurationVar(&f.hang, "hang", time.Minute, "real time without progress after which a run is given up")
	return cmd
}

func (f *planFlags) run(cmd *cobra.Command, file string) error {
	variants, err := f.variants(file)
	if err != nil {
		return err
	}
	path, err := lab.FindWorker()
	if err != nil {
		return err
	}
	meter := plan.NewMeter(&lab.Pool{
		Workers: f.workers,
		Engines: map[string]lab.Engine{"sim": &lab.Workers{Command: []string{path}, Hang: f.hang}},
	})
	var answers []*plan.Answer
	enc := json.NewEncoder(cmd.OutOrStdout())
	for _, d := range variants {
		a, err := plan.Solve(cmd.Context(), d, meter)
		if err != nil {
			return planFailed(cmd, err)
		}
		answers = append(answers, a)
		if f.json {
			if err := enc.Encode(a); err != nil {
				return &exitError{exitIncomplete, err}
			}
		}
	}
	if f.html != "" {
		if err := writePlanPage(f.html, answers); err != nil {
			return &exitError{exitMachine, err}
		}
	}
	if f.json {
		return nil
	}
	return plan.WriteText(cmd.OutOrStdout(), answers)
}

// variants are the file as it is and each what-if.
func (f *planFlags) variants(file string) ([]*plan.Deployment, error) {
	base, err := plan.Load(file)
	if err != nil {
		return nil, err
	}
	list := []*plan.Deployment{base}
	for _, w := range f.whatIf {
		d, err := plan.Load(file, w)
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, nil
}

// planFailed tells wrong input, found only when signatures were measured, from
// an interruption.
func planFailed(cmd *cobra.Command, err error) error {
	if cmd.Context().Err() != nil {
		return &exitError{exitIncomplete, errors.New("interrupted")}
	}
	return err
}

func writePlanPage(path string, answers []*plan.Answer) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := errors.Join(plan.WriteHTML(file, answers), file.Close()); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
