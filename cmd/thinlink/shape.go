package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/thinlink/thinlink/lab"
	"github.com/thinlink/thinlink/netem/tc"
	"github.com/thinlink/thinlink/profiles"
)

// shapeFlags are what thinlink shape's commands take.
type shapeFlags struct {
	device string
	to     string
	uid    string
	from   string
	sets   []string
	seed   uint
	yes    bool
	after  time.Duration
}

func newShape() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "shape",
		Short: "make a real interface of this machine behave like a profile's link",
		Long: `Shape a real interface with the kernel's netem: what leaves it is uplink, what
comes in is downlink. --to shapes only what goes to a host and comes from it,
--uid only what a user sends, --from only what this machine forwards for a
device behind another interface. clear restores exactly what was there before.`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(newShapeApply(), newShapeTry(), newShapeShow(), newShapeClear())
	return cmd
}

func (f *shapeFlags) dev(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.device, "dev", "", "interface, for example eth0")
}

func (f *shapeFlags) plan(cmd *cobra.Command) {
	f.dev(cmd)
	cmd.MarkFlagRequired("dev")
	cmd.Flags().StringVar(&f.to, "to", "", "shape only what goes to HOST[:PORT] and comes from it")
	cmd.Flags().StringVar(&f.uid, "uid", "", "shape only what a user's programs send (a name or number; uplink only)")
	cmd.Flags().StringVar(&f.from, "from", "", "shape only what is forwarded for the device behind this interface")
	cmd.MarkFlagsMutuallyExclusive("uid", "to")
	cmd.MarkFlagsMutuallyExclusive("uid", "from")
	cmd.Flags().StringArrayVar(&f.sets, "set", nil, "override a value, for example link.loss=2%; repeats")
	cmd.Flags().UintVar(&f.seed, "seed", 1, "seed of netem's generator, on kernels that have one")
}

func newShapeApply() *cobra.Command {
	var f shapeFlags
	cmd := &cobra.Command{
		Use:   "apply PROFILE --dev IFACE",
		Short: "shape an interface until clear or reboot",
		Long: `Shape an interface until clear or reboot. On the interface that carries an SSH
connection apply refuses without --yes: try reverts by itself.`,
		Example: `  sudo thinlink shape apply ltem --dev eth0
  sudo thinlink shape apply nbiot --dev wlan0 --to broker.example:8883 --set link.loss=2%
  sudo thinlink shape apply nbiot --dev eth0 --from wlan0   # a device under test on our access point`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeArgs(profiles.Names),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.guard(args[0]); err != nil {
				return err
			}
			return f.apply(cmd.Context(), cmd.ErrOrStderr(), args[0])
		},
	}
	f.plan(cmd)
	cmd.Flags().BoolVar(&f.yes, "yes", false, "shape the interface that carries an SSH connection, too")
	return cmd
}

// guard refuses to shape the interface that carries an SSH connection. What is
// forwarded for another device does not concern it.
func (f *shapeFlags) guard(profile string) error {
	if f.yes || f.from != "" {
		return nil
	}
	ssh, err := carriesSSH(f.device)
	if err != nil {
		return &exitError{exitMachine, err}
	}
	if ssh {
		return &exitError{exitInput, fmt.Errorf("%s carries an SSH connection: try first (thinlink shape try %s --dev %[1]s), or give --yes", f.device, profile)}
	}
	return nil
}

// match is what the flags select.
func (f *shapeFlags) match(ctx context.Context) (m tc.Match, err error) {
	m.From = f.from
	if f.from == f.device {
		return m, fmt.Errorf("--from %s: want another interface than --dev", f.from)
	}
	if f.to != "" {
		if m.To, err = peers(ctx, f.to); err != nil {
			return m, fmt.Errorf("--to %q: want HOST or HOST:PORT: %w", f.to, err)
		}
	}
	if f.uid != "" {
		name := f.uid
		if u, err := user.Lookup(name); err == nil {
			name = u.Uid
		}
		id, err := strconv.ParseUint(name, 10, 32)
		if err != nil {
			return m, fmt.Errorf("--uid %q: want a user's name or number", f.uid)
		}
		uid := uint32(id)
		m.UID = &uid
	}
	return m, nil
}

// peers are the addresses of HOST or HOST:PORT.
func peers(ctx context.Context, text string) (list []netip.AddrPort, err error) {
	host, port := text, uint16(0)
	if h, p, err := net.SplitHostPort(text); err == nil {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return nil, fmt.Errorf("port %q: want 1 to 65535", p)
		}
		host, port = h, uint16(n)
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	for _, a := range addrs {
		list = append(list, netip.AddrPortFrom(a.Unmap().WithZone(""), port))
	}
	return list, nil
}

// apply plans and shapes, with a warning for all that the kernel cannot do.
func (f *shapeFlags) apply(ctx context.Context, w io.Writer, profile string) error {
	p, err := profiles.Load(profile)
	if err != nil {
		return err
	}
	for _, s := range f.sets {
		set, err := lab.ParseSetting(s)
		if err != nil {
			return err
		}
		if err := p.Set(set.Path, set.Value); err != nil {
			return fmt.Errorf("--set %s: %w", s, err)
		}
	}
	if err := p.Check(); err != nil {
		return err
	}
	match, err := f.match(ctx)
	if err != nil {
		return err
	}
	run := &lab.Run{Profile: p.Name, Engine: "tc", Seed: uint64(f.seed), Link: p.Netem(), TC: p.TC}
	run.TC.RRC = "" // that, too, belongs to a run
	plan, warnings, err := run.KernelPlan()
	if err != nil {
		return err
	}
	if len(run.Link.Outages) > 0 {
		warnings = append(warnings, "shape: outages are left out: they belong to a run")
	}
	if match.UID != nil {
		warnings = append(warnings, "shape: what comes in has no user yet: only the uplink is shaped")
	}
	for _, text := range warnings {
		fmt.Fprintln(w, "warning:", text)
	}
	if err := tc.Shape(f.device, p.Name, match, plan); err != nil {
		return &exitError{exitMachine, err}
	}
	return nil
}

const tryFor = time.Minute

func newShapeTry() *cobra.Command {
	var f shapeFlags
	cmd := &cobra.Command{
		Use:   "try PROFILE --dev IFACE",
		Short: "shape an interface for 60 s, and longer only if you confirm it",
		Long: `Shape an interface for 60 s. Whoever can still press Enter keeps it; otherwise it
reverts by itself, even if this terminal is gone by then.`,
		Example:           "  sudo thinlink shape try nbiot --dev eth0",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeArgs(profiles.Names),
		RunE: func(cmd *cobra.Command, args []string) error {
			// Whoever reverts is there before there is anything to revert.
			reverter, err := startReverter(f.device, tryFor)
			if err != nil {
				return &exitError{exitMachine, err}
			}
			if err := f.apply(cmd.Context(), cmd.ErrOrStderr(), args[0]); err != nil {
				return errors.Join(err, reverter.cancel())
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is shaped as %s. Press Enter within %v to keep it.\n", f.device, args[0], tryFor)
			if !confirmed(cmd.Context(), cmd.InOrStdin(), tryFor) {
				return errors.Join(reverter.cancel(), revert(cmd.OutOrStdout(), f.device))
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Kept, until thinlink shape clear --dev %s.\n", f.device)
			return reverter.cancel()
		},
	}
	f.plan(cmd)
	return cmd
}

func revert(w io.Writer, device string) error {
	err := tc.Unshape(device)
	if err == nil || errors.Is(err, tc.ErrNotShaped) { // the reverter was first
		_, err = fmt.Fprintf(w, "%s is as it was before.\n", device)
		return err
	}
	return &exitError{exitMachine, err}
}

// confirmed waits for a line.
func confirmed(ctx context.Context, in io.Reader, limit time.Duration) bool {
	line := make(chan bool, 1)
	go func() {
		_, err := bufio.NewReader(in).ReadString('\n')
		line <- err == nil
	}()
	select {
	case ok := <-line:
		return ok
	case <-time.After(limit):
	case <-ctx.Done():
	}
	return false
}

// A reverter is a process of its own, which no hang-up reaches.
type reverter struct{ cmd *exec.Cmd }

func startReverter(device string, after time.Duration) (*reverter, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "shape", "clear", "--dev", device, "--after", after.String())
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start what reverts: %w", err)
	}
	return &reverter{cmd}, nil
}

func (r *reverter) cancel() error {
	if err := r.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop what reverts: %w", err)
	}
	r.cmd.Wait() // its status is that of a killed process
	return nil
}

func newShapeShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "say which interfaces are shaped, and how tc would say it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := tc.Shapings()
			if err != nil {
				return &exitError{exitMachine, err}
			}
			if len(list) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "no interface is shaped")
			}
			for _, s := range list {
				showShaping(cmd.OutOrStdout(), &s)
			}
			return nil
		},
	}
}

// showShaping says a shaping as a person reads it and as tc does.
func showShaping(w io.Writer, s *tc.Shaping) {
	fmt.Fprintf(w, "%s behaves like %s since %s", s.Device, s.Profile, s.Since.Local().Format(time.DateTime))
	if !s.Match.All() {
		fmt.Fprintf(w, ", only for what is %v", s.Match)
	}
	fmt.Fprintf(w, "\n  out  %s\n", s.Up.Describe())
	if s.Match.UID == nil {
		fmt.Fprintf(w, "  in   %s\n", s.Down.Describe())
	}
	for _, line := range s.Commands() {
		fmt.Fprintf(w, "       %s\n", line)
	}
	if !s.Whole {
		fmt.Fprintln(w, "  cut short: thinlink doctor --fix removes it")
	} else if list, err := s.Drift(); err != nil {
		fmt.Fprintf(w, "  cannot ask the kernel: %v\n", err)
	} else {
		for _, text := range list {
			fmt.Fprintf(w, "  changed since: %s\n", text)
		}
	}
}

func newShapeClear() *cobra.Command {
	var f shapeFlags
	cmd := &cobra.Command{
		Use:     "clear [--dev IFACE]",
		Short:   "restore what was there before, on one interface or all",
		Example: "  sudo thinlink shape clear --dev eth0",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.after > 0 {
				time.Sleep(f.after) // the reverter of try: nothing but a kill stops it
			}
			devices := []string{f.device}
			if f.device == "" {
				list, err := tc.Shapings()
				if err != nil {
					return &exitError{exitMachine, err}
				}
				devices = nil
				for _, s := range list {
					devices = append(devices, s.Device)
				}
			}
			return clearShapings(devices)
		},
	}
	f.dev(cmd)
	cmd.Flags().DurationVar(&f.after, "after", 0, "wait before")
	cmd.Flags().MarkHidden("after")
	return cmd
}

func clearShapings(devices []string) error {
	var errs []error
	for _, d := range devices {
		errs = append(errs, tc.Unshape(d))
	}
	if err := errors.Join(errs...); errors.Is(err, tc.ErrNotShaped) {
		return err
	} else if err != nil {
		return &exitError{exitMachine, err}
	}
	return nil
}

// clearLeftovers removes shapings that were cut short, and nothing else.
func clearLeftovers(w io.Writer) error {
	list, err := tc.Shapings()
	if err != nil {
		return &exitError{exitMachine, err}
	}
	for _, s := range list {
		if s.Whole {
			continue
		}
		if err := tc.Unshape(s.Device); err != nil {
			return &exitError{exitMachine, err}
		}
		fmt.Fprintf(w, "%s: removed a shaping that was cut short\n", s.Device)
	}
	return nil
}
