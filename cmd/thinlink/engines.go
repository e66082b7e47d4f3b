package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/thinlink/thinlink/internal/vm"
	"github.com/thinlink/thinlink/lab"
	"github.com/thinlink/thinlink/netem/tc"
	"github.com/thinlink/thinlink/netem/tun"
	"github.com/thinlink/thinlink/profiles"
)

// engineNames are what --engine takes.
var engineNames = []string{"sim", "tc", "vm", "tun", "host"}

func checkEngines(names []string) error {
	for _, e := range names {
		if !slices.Contains(engineNames, e) {
			return fmt.Errorf("--engine %q: want %s", e, strings.Join(engineNames, ", "))
		}
	}
	return nil
}

// newPool makes the engines and checks that they can execute runs here.
func newPool(ctx context.Context, engines []string, clock string, hang time.Duration, workers int) (*lab.Pool, error) {
	pool := &lab.Pool{Workers: workers, Engines: map[string]lab.Engine{}}
	for _, name := range engines {
		engine, err := newEngine(ctx, name, clock, hang)
		if err != nil {
			return nil, err
		}
		pool.Engines[name] = engine
		if name == "host" {
			pool.Workers = 1 // runs would share this machine's ports and its link
		}
	}
	return pool, nil
}

// checkKernelRuns says which run engines tc and vm cannot execute at all.
func checkKernelRuns(runs []*lab.Run) error {
	for _, run := range runs {
		if run.Engine == "tc" || run.Engine == "vm" {
			if err := run.CheckKernel(); err != nil {
				return err
			}
		}
	}
	return nil
}

func newEngine(ctx context.Context, name, clock string, hang time.Duration) (lab.Engine, error) {
	switch name {
	case "tc":
		return lab.Kernel{}, tc.Check()
	case "vm":
		return lab.NewVM(ctx, hang)
	case "tun":
		return lab.NewTun(ctx, hang)
	case "host":
		return lab.NewHost()
	}
	command, err := simCommand(clock)
	return &lab.Workers{Command: command, Hang: hang}, err
}

// simCommand is what starts a worker of engine sim.
func simCommand(clock string) ([]string, error) {
	switch clock {
	case "virtual":
		path, err := lab.FindWorker()
		return []string{path}, err
	case "real":
		self, err := os.Executable()
		if err != nil {
			return nil, &exitError{exitMachine, err}
		}
		return []string{self, "worker-real"}, nil
	}
	return nil, fmt.Errorf("--clock %q: want virtual or real", clock)
}

// machineLacks reports an error about the machine, not about the input.
func machineLacks(err error) bool {
	var noKernel *tc.MissingError
	var noVM *vm.MissingError
	var noTun *tun.MissingError
	return errors.Is(err, lab.ErrNoWorker) || errors.As(err, &noKernel) || errors.As(err, &noVM) || errors.As(err, &noTun)
}

// showKernel prints what the kernel's netem gets for a profile, as tc would say
// it, and what it cannot do.
func showKernel(w io.Writer, p *profiles.Profile, engine string) error {
	if engine != "tc" && engine != "vm" {
		return fmt.Errorf("--engine %q: want tc or vm; sim does all that the profile says", engine)
	}
	plan, warnings, err := (&lab.Run{Profile: p.Name, Engine: engine, Seed: 1, Link: p.Netem(), TC: p.TC}).KernelPlan()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "up    netem %v\ndown  netem %v\nmtu   %d\n", &plan.Up, &plan.Down, plan.MTU)
	for _, text := range warnings {
		fmt.Fprintln(w, text)
	}
	return nil
}

// newKernelWorker is this program as the worker of engine vm, in its machine.
func newKernelWorker() *cobra.Command {
	return &cobra.Command{
		Use:    lab.KernelWorker + " FILE",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer f.Close()
			return lab.ServeKernelWorker(cmd.Context(), f, os.NewFile(3, "results"))
		},
	}
}
