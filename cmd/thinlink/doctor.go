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
)

// A finding is one line of doctor's: a thing, how it is, and what mends it.
type finding struct {
	thing, state string
	fix          string // "" if nothing is wrong
}

func newDoctor() *cobra.Command {
	var engines []string
	var fix bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "say what this machine lacks for each engine, and how to get it",
		Long: `Say which engines work on this machine, what the others lack, and the command
that gets it. With --fix, remove shapings that were cut short and, where QEMU is
there, download the kernel of engine vm into the cache directory; nothing is
installed. The exit status is 3 if an engine that
--engine names does not work.`,
		Example: `  thinlink doctor
  thinlink doctor --engine vm --fix`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkEngines(engines); err != nil {
				return err
			}
			if fix {
				if err := clearLeftovers(cmd.ErrOrStderr()); err != nil {
					return err
				}
				if err := fetchKernel(cmd.Context(), cmd.ErrOrStderr()); err != nil {
					return err
				}
			}
			return doctor(cmd, engines)
		},
	}
	cmd.Flags().StringSliceVar(&engines, "engine", []string{"sim"}, "engines that must work")
	cmd.Flags().BoolVar(&fix, "fix", false, "remove leftovers; get the kernel of engine vm")
	complete(cmd, "engine", func() []string { return engineNames })
	return cmd
}

// fetchKernel gets the kernel of engine vm, where QEMU is there to boot it.
func fetchKernel(ctx context.Context, w io.Writer) error {
	arch, err := vm.Native()
	if err != nil {
		return err
	}
	if arch.Check() != nil {
		return nil // doctor says so
	}
	kernel, err := vm.FindKernel(ctx, arch, true)
	if err != nil {
		return &exitError{exitMachine, err}
	}
	_, err = fmt.Fprintf(w, "engine vm boots Linux %s of %s\n", kernel.Release, kernel.Image)
	return err
}

func doctor(cmd *cobra.Command, wanted []string) error {
	var failed []string
	list := []finding{}
	for _, name := range engineNames {
		f := examine(cmd.Context(), name)
		if f.fix != "" && slices.Contains(wanted, name) {
			failed = append(failed, name)
		}
		list = append(list, f)
	}
	list = append(list, machine()...)
	for _, f := range list {
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%-14s  %s\n", f.thing, f.state); err != nil {
			return err
		}
		if f.fix == "" {
			continue
		}
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%-14s  -> %s\n", "", f.fix); err != nil {
			return err
		}
	}
	if len(failed) > 0 {
		return &exitError{exitMachine, fmt.Errorf("does not work here: engine %v", failed)}
	}
	return nil
}

// examine tries one engine.
func examine(ctx context.Context, name string) finding {
	_, err := newEngine(ctx, name, "virtual", time.Minute)
	f := finding{thing: "engine " + name, state: "works"}
	var noKernel *tc.MissingError
	var noVM *vm.MissingError
	var noTun *tun.MissingError
	switch {
	case err == nil:
	case errors.As(err, &noKernel):
		f.state, f.fix = noKernel.What, noKernel.Fix
	case errors.As(err, &noVM):
		f.state, f.fix = strings.TrimPrefix(noVM.What, "engine vm "), noVM.Fix
	case errors.As(err, &noTun):
		f.state, f.fix = noTun.What, noTun.Fix
	case errors.Is(err, lab.ErrNoWorker):
		f.state, f.fix = "needs the worker "+lab.WorkerName, "run make and keep both binaries together, or name it in $THINLINK_SIM"
	default:
		f.state, f.fix = err.Error(), "see above"
	}
	return f
}

// writable says how much room results have in the working directory.
func writable() finding {
	f := finding{thing: "free space", state: "unknown"}
	dir, err := os.Getwd()
	if err != nil {
		return f
	}
	free, err := freeBytes(dir)
	if err != nil {
		return f
	}
	f.state = fmt.Sprintf("%.1f GB in %s", float64(free)/1e9, dir)
	if free < 1e9 {
		f.fix = "captures of a large sweep may not fit: give -o a directory with more room"
	}
	return f
}
