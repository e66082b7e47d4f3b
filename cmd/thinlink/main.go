// Command thinlink runs MQTT and LwM2M over emulated NB-IoT, LTE-M and other
// constrained links, and measures bytes, packets, retransmissions, time and
// energy.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/thinlink/thinlink/internal/vm/guest"
	"github.com/thinlink/thinlink/lab"
)

// version is set by the linker.
var version = "dev"

// Exit statuses, part of the command's contract.
const (
	exitOK         = 0
	exitIncomplete = 1 // some runs did not complete
	exitInput      = 2 // the input was wrong; nothing was written
	exitMachine    = 3 // the machine lacks something
)

func main() {
	guest.Main() // in the machines of engine vm this program is /init, too
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second Ctrl-C ends thinlink at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// An exitError carries the exit status of an error; others are wrong input.
type exitError struct {
	status int
	err    error // nil: everything was said already
}

func (e *exitError) Error() string { return fmt.Sprint(e.err) }
func (e *exitError) Unwrap() error { return e.err }

// run is the whole command; tests call it too.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	var exit *exitError
	if !errors.As(err, &exit) {
		exit = &exitError{exitInput, err}
		if machineLacks(err) {
			exit.status = exitMachine
		}
	}
	if exit.err != nil {
		fmt.Fprintf(stderr, "thinlink: %v\n", exit.err)
	}
	return exit.status
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "thinlink",
		Short: "MQTT and LwM2M over NB-IoT, LTE-M and other constrained links, measured",
		Long: `thinlink runs real MQTT and LwM2M stacks over an emulated cellular link and
records bytes, packets, retransmissions, completion time and energy.`,
		Example: `  thinlink run paper-2020 -p ethernet,nbiot
  thinlink run ota -p nbiot --stack mqtt-https,lwm2m-coap-pull --set link.loss=2%
  thinlink run ping -p nbiot-ce1
  thinlink profiles ls`,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(newRun(), newSweep(), newProfiles(), newStacks(), newScenarios(), newReport(), newCompare(), newAnalyze(), newPower(), newMan(), newPlan(), newDoctor(), newShape(), newExec(), newPlatform(), newWorker(), newKernelWorker(), newTunWorker())
	return root
}

// newWorker is this program as the worker on the real clock.
func newWorker() *cobra.Command {
	return &cobra.Command{
		Use:    "worker-real",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			signal.Ignore(os.Interrupt)
			return lab.ServeWorker(cmd.Context(), cmd.InOrStdin(), os.NewFile(3, "results"))
		},
	}
}
