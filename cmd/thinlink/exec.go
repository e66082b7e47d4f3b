package main

import (
	"context"

	"errors"

	"os"

	"github.com/spf13/cobra"

	"github.com/thinlink/thinlink/lab"
)

// execFlags are what thinlink exec takes.
type execFlags struct {
	profile, platform string
	seed              uint64
	sets              []string
	out               string
	json, internet    bool
}

func newExec() *cobra.Command {
	var f execFlags
	cmd := &cobra.Command{
		Use:   "exec -p PROFILE -- CMD...",
		Short: "run any program over a link, in real time",
		Long: `Run a program over a link in real time: in a network namespace whose only way out
is a TUN device and the profile's link and radio. Root is not needed where
ordinary users may make user namespaces.

The program reaches this machine's loopback at 10.64.0.1 (outside.thinlink.test,
$THINLINK_OUTSIDE), with --platform the platform of a stack at
platform.thinlink.test ($THINLINK_HOST, $THINLINK_PORT, certificates in
$THINLINK_CA, $THINLINK_CERT, $THINLINK_KEY), and nothing else unless --internet
is given. {host}, {port}, {outside}, {ca}, {cert}, {key} in the command stand for
the same.

What it sent and received is printed on the standard error when it ends. The exit
status is the program's: 128 and the number for a signal, 127 if it cannot be
started. thinlink's own are 2 for wrong input and 3 if the machine lacks
something; then the program was not run.`,
		Example: `  thinlink exec -p nbiot -- curl -k https://10.64.0.1:8443/
  thinlink exec -p nbiot-ce1 --set link.loss=5% -- mosquitto_pub -h 10.64.0.1 -t a -m b -q 1
  thinlink exec -p ltem --platform mqtt -- sh -c 'mosquitto_pub -h {host} -p {port} --cafile {ca} --cert {cert} --key {key} -t a -m b'
  thinlink exec -p nbiot -o results -- ping -c 3 10.64.0.1`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fl := cmd.Flags()
	fl.SetInterspersed(false)
	fl.StringVarP(&f.profile, "profile", "p", "", "link profile: name or file")
	fl.StringVar(&f.platform, "platform", "", "stack whose platform answers the program: name or file (default: none)")
	fl.Uint64Var(&f.seed, "seed", 1, "seed of everything random in the link")
	fl.StringArrayVar(&f.sets, "set", nil, "override a value of the profile, for example link.loss=2%; repeats")
	fl.StringVarP(&f.out, "output", "o", "", "directory for the capture (pcapng), key log, events and results.jsonl")
	fl.BoolVar(&f.json, "json", false, "print the result as a JSON object, on the standard error")
	fl.BoolVar(&f.internet, "internet", false, "let the program reach, over the link, whatever this machine reaches")
	must(cmd.MarkFlagRequired("profile"))
	return cmd
}

func must(err error) {
	if err != nil {
		panic(err) // a flag that was defined just before
	}
}

func (f *execFlags) run(cmd *cobra.Command, args []string) error {
	matrix := lab.Matrix{
		Scenarios: []string{"exec"}, Profiles: []string{f.profile}, Engines: []string{"tun"}, Seeds: []uint64{f.seed},
		Program: &lab.Program{Command: args, Platform: f.platform, Internet: f.internet},
		Sets:    []lab.Setting{{Path: "limit", Value: "365d"}}, Out: f.out, Version: version,
	}
	for _, s := range f.sets {
		set, err := lab.ParseSetting(s)
		if err != nil {
			return err
		}
		matrix.Sets = append(matrix.Sets, set)
	}
	runs, err := lab.Expand(matrix)
	if err != nil {
		return err
	}
	if err := lab.Certify(runs); err != nil {
		return err
	}
	sink, err := newSink(&runFlags{out: f.out, json: f.json}, newProvenance(cmd, args, matrix.Sets, ""), cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	res, err := lab.Exec(cmd.Context(), runs[0])
	if err != nil {
		return &exitError{exitMachine, errors.Join(err, sink.close(false))}
	}
	if err := errors.Join(sink.add(res), sink.close(false)); err != nil {
		return &exitError{exitMachine, err}
	}
	switch {
	case res.Exec == nil:
		return &exitError{exitMachine, errors.New(res.Error)}
	case res.Exec.ExitStatus != 0:
		return &exitError{status: res.Exec.ExitStatus}
	}
	return nil
}

// newTunWorker is this program as the worker of engine tun, in namespaces of its
// own.
func newTunWorker() *cobra.Command {
	return &cobra.Command{
		Use:    lab.TunWorker + " FILE",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			// Signals are for the program, not for its worker.
			return lab.ServeTunWorker(context.Background(), args[0], os.NewFile(3, "results"))
		},
	}
}
