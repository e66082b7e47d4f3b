package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/thinlink/thinlink/clients/pki"
	"github.com/thinlink/thinlink/measure"
	"github.com/thinlink/thinlink/netem/tun"
)

// TunWorker is the hidden command that calls ServeTunWorker. Its argument is
// the file from which it reads the run.
const TunWorker = "worker-tun"

// NewTun is engine tun: the kernel's TCP at both ends of a modelled link, on the
// real clock, each run in a process of its own. The error is a
// *tun.MissingError if the machine lacks something.
func NewTun(ctx context.Context, hang time.Duration) (*Workers, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("tun: %w", err)
	}
	w := &Workers{Command: []string{self, TunWorker, tunTrial}, Hang: hang, Prepare: tun.Reexec, Explain: tun.Explain}
	if _, err := w.Execute(ctx, new(Run), func(Progress) {}); err != nil {
		return nil, err
	}
	w.Command[2] = "/dev/stdin"
	return w, nil
}

// tunTrial in place of a run's file makes the worker find out what the machine
// lacks.
const tunTrial = "trial"

// Exec runs a program over a link, with this process's standard files, and
// returns when it has ended. When ctx ends the program is asked to.
func Exec(ctx context.Context, run *Run) (*measure.Result, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("tun: %w", err)
	}
	w := &Workers{
		// The run comes by descriptor 4: the standard input is the program's.
		Command: []string{self, TunWorker, "/proc/self/fd/4"},
		Prepare: func(cmd *exec.Cmd) {
			tun.Reexec(cmd)
			cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		},
		Explain: tun.Explain, Attached: true,
	}
	return w.Execute(ctx, run, func(Progress) {})
}

// ServeTunWorker is a worker's life: it reads a run from a file, executes it and
// writes messages to out. Beginning with stdin the program of a run gets the
// standard files.
func ServeTunWorker(ctx context.Context, file string, out io.Writer) error {
	run := new(Run)
	if file != tunTrial {
		data, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("worker: %w", err)
		}
		if err := json.Unmarshal(data, run); err != nil {
			return fmt.Errorf("worker: run: %w", err)
		}
	}
	// Ctrl-C is not passed on: the terminal sends it to the program itself. It
	// is caught and not ignored, lest the program inherit that.
	signal.Notify(make(chan os.Signal, 1), os.Interrupt, syscall.SIGQUIT)
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	var stdin *os.File
	if file != "/dev/stdin" {
		stdin = os.Stdin
	}
	enc := json.NewEncoder(out)
	if file == tunTrial {
		err := errors.Join(tun.Furnish(netip.Addr{}), tun.Check())
		return enc.Encode(answer(run.newResult(), err))
	}
	res, err := runTun(ctx, run, stdin, signals, func(p Progress) { _ = enc.Encode(message{Progress: &p}) })
	if err != nil {
		res = run.failed(err)
	}
	return enc.Encode(answer(res, err))
}

// answer is a worker's last message.
func answer(res *measure.Result, err error) message {
	var missing *tun.MissingError
	if errors.As(err, &missing) {
		return message{Missing: missing}
	}
	return message{Result: res}
}

// outsideAddr is the address at which programs reach this machine's loopback.
var outsideAddr = map[string]netip.Addr{"4": netip.MustParseAddr("10.64.0.1"), "6": netip.MustParseAddr("fd00:6c::1")}

func runTun(ctx context.Context, run *Run, stdin *os.File, signals <-chan os.Signal, progress func(Progress)) (*measure.Result, error) {
	start := time.Now()
	rec := measure.NewRecorder(start, deviceAddr[run.Stack.IP])
	cfg := tun.Config{
		Device: tunHost(run, deviceAddr, run.Stack.TCP.Device), Platform: tunHost(run, platformAddr, run.Stack.TCP.Platform),
		Link: run.Link, Seed: run.Seed, Tap: rec,
	}
	upstream := tun.Upstream() // before Furnish puts another in its place
	var nameServer netip.Addr
	if run.Stack.Protocol == "exec" {
		cfg.Gate = &tun.Gate{Outside: outside(run.Stack.Exec.Internet)}
		nameServer = outsideAddr["4"]
	}
	if run.Elsewhere != nil {
		cfg.Gate = &tun.Gate{Outside: outside(true)}
	}
	if err := tun.Furnish(nameServer); err != nil {
		return nil, err
	}
	bed, err := tun.NewBed(cfg)
	if err != nil {
		return nil, err
	}
	defer bed.Close()
	if nameServer.IsValid() {
		if err := bed.Serve(names(run, upstream), nameServer); err != nil {
			return nil, err
		}
	}
	defer heartbeat(start, progress)()
	var trace *measure.Trace
	w := newWorld(run, rec, bed.Device(), bed.Platform())
	w.Outside = outsideAddr[run.Stack.IP]
	w.Program = func(cmd *exec.Cmd) error {
		if stdin != nil {
			cmd.Stdin = stdin
		}
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		return runProgram(bed, cmd, signals)
	}
	w.Faults = Faults{Outage: bed.Outage}
	w.Halt = func() {
		bed.Halt()
		trace = rec.Trace()
	}
	out := perform(ctx, run, w)
	return judge(run, trace, &out), nil
}

// tunHost is a host of both families, which the stack's comes first.
func tunHost(run *Run, addrs map[string]netip.Addr, t TCPHost) tun.HostConfig {
	other := map[string]string{"4": "6", "6": "4"}[run.Stack.IP]
	kernel := kernelHost(addrs[run.Stack.IP], t)
	return tun.HostConfig{
		Addrs: []netip.Addr{addrs[run.Stack.IP], addrs[other]}, Sysctls: kernel.Sysctls, KeepAlive: kernel.KeepAlive,
	}
}

// outside is what programs reach behind the platform: this machine's loopback
// and, if they may, everything else.
func outside(internet bool) func(netip.AddrPort) (netip.AddrPort, bool) {
	loopback := map[netip.Addr]netip.Addr{
		outsideAddr["4"]: netip.AddrFrom4([4]byte{127, 0, 0, 1}), outsideAddr["6"]: netip.IPv6Loopback(),
	}
	return func(to netip.AddrPort) (netip.AddrPort, bool) {
		if a, ok := loopback[to.Addr()]; ok {
			return netip.AddrPortFrom(a, to.Port()), true
		}
		own := to.Addr() == platformAddr["4"] || to.Addr() == platformAddr["6"]
		return to, internet && !own
	}
}

// names are what the name server knows.
func names(run *Run, upstream netip.AddrPort) *tun.Names {
	n := &tun.Names{Hosts: map[string][]netip.Addr{
		pki.ServerName:          {platformAddr["4"], platformAddr["6"]},
		"outside.thinlink.test": {outsideAddr["4"], outsideAddr["6"]},
	}}
	if run.Stack.Exec.Internet {
		n.Upstream = upstream
	}
	return n
}

// runProgram runs a program in the device's namespace and passes signals on to
// it.
func runProgram(bed *tun.Bed, cmd *exec.Cmd, signals <-chan os.Signal) error {
	return bed.InDevice(func() error {
		if err := cmd.Start(); err != nil {
			return err
		}
		done := make(chan struct{})
		defer close(done)
		go func() {
			for {
				select {
				case s := <-signals:
					_ = cmd.Process.Signal(s)
				case <-done:
					return
				}
			}
		}()
		return cmd.Wait()
	})
}
