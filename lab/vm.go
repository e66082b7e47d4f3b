package lab

import (
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/thinlink/thinlink/internal/vm"
	"github.com/thinlink/thinlink/measure"
)

// VM executes runs on engine vm: engine tc under a stock kernel in a virtual
// machine, whose clock counts instructions. One machine boots per run.
type VM struct {
	Kernel *vm.Kernel
	// Guest is a static thinlink of the machine's architecture; it is the
	// machine's /init and, with KernelWorker as its argument, the worker.
	Guest string
	// Hang is the real time without a sign of life after which a machine is
	// stopped.
	Hang time.Duration
}

// KernelWorker is the hidden command that calls ServeKernelWorker.
const KernelWorker = "worker-kernel"

// The worker's files in the machine.
const (
	guestRun = "run.json"
	guestOut = "/tmp/out"
)

// A guestMessage is one line from the machine: progress, a file, or the
// result, in this order.
type guestMessage struct {
	message
	File *guestFile `json:"file,omitempty"`
}

type guestFile struct {
	Name string `json:"name"`
	Data []byte `json:"data"`
}

// NewVM finds what engine vm needs. The error is a *vm.MissingError that names
// the command to run.
func NewVM(ctx context.Context, hang time.Duration) (*VM, error) {
	arch, err := vm.Native()
	if err != nil {
		return nil, err
	}
	if err := arch.Check(); err != nil {
		return nil, err
	}
	kernel, err := vm.FindKernel(ctx, arch, false)
	if err != nil {
		return nil, err
	}
	guest := os.Getenv("THINLINK_GUEST")
	if guest == "" {
		if guest, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("vm: %w", err)
		}
	}
	if err := static(guest); err != nil {
		return nil, &vm.MissingError{
			What: fmt.Sprintf("engine vm runs a static thinlink for Linux in its machine, which %s is not (%v)", guest, err),
			Fix:  "build one with CGO_ENABLED=0 GOOS=linux (make does) and name it in $THINLINK_GUEST",
		}
	}
	return &VM{Kernel: kernel, Guest: guest, Hang: hang}, nil
}

// static reports why a file is no static Linux program.
func static(path string) error {
	f, err := elf.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("it is linked dynamically")
		}
	}
	return nil
}

// Execute implements Engine.
func (v *VM) Execute(ctx context.Context, run *Run, progress func(Progress)) (*measure.Result, error) {
	start := time.Now()
	res, err := v.execute(ctx, run, progress)
	var missing *vm.MissingError
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.As(err, &missing):
		return nil, err
	default: // an error for this run only
		res = run.newResult()
		res.Error = err.Error()
	}
	res.WallS = time.Since(start).Seconds()
	return res, nil
}

func (v *VM) execute(ctx context.Context, run *Run, progress func(Progress)) (*measure.Result, error) {
	inside := *run
	if inside.Out != "" {
		inside.Out = guestOut
	}
	spec, err := json.Marshal(&inside)
	if err != nil {
		return nil, fmt.Errorf("run: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(v.Hang, func() {
		cancel(fmt.Errorf("no progress for %v of real time: ended", v.Hang))
	})
	defer watchdog.Stop()
	var res *measure.Result
	var said tail
	machine := &vm.Machine{
		Kernel: v.Kernel, Init: v.Guest, Console: &said, Seed: run.Seed,
		Files:    []vm.File{{Name: guestRun, Mode: 0o644, Data: spec}},
		Commands: [][]string{{"/init", KernelWorker, "/" + guestRun}},
		Line: func(line []byte) error {
			watchdog.Reset(v.Hang)
			var m guestMessage
			if err := json.Unmarshal(line, &m); err != nil {
				return fmt.Errorf("message: %w", err)
			}
			switch {
			case m.Progress != nil:
				progress(*m.Progress)
			case m.File != nil:
				return os.WriteFile(filepath.Join(run.Out, filepath.Base(m.File.Name)), m.File.Data, 0o666)
			case m.Result != nil:
				res = m.Result
			}
			return nil
		},
	}
	if _, err := machine.Run(ctx); err != nil {
		return nil, err
	}
	if res == nil {
		return nil, fmt.Errorf("vm: the worker ended without a result: %s", strings.TrimSpace(printable(said.b)))
	}
	return res, nil
}

// ServeKernelWorker is the worker's life in the machine: it reads one Run,
// executes it on the kernel and writes messages to out, the run's files among
// them.
func ServeKernelWorker(ctx context.Context, in io.Reader, out io.Writer) error {
	run := new(Run)
	if err := json.NewDecoder(in).Decode(run); err != nil {
		return fmt.Errorf("worker: run: %w", err)
	}
	if run.Out != "" {
		if err := os.MkdirAll(run.Out, 0o755); err != nil {
			return fmt.Errorf("worker: %w", err)
		}
	}
	lines := make(chan guestMessage)
	written := make(chan error, 1)
	go func() { // the only writer
		enc := json.NewEncoder(out)
		var err error
		for m := range lines {
			if err == nil {
				err = enc.Encode(m)
			}
		}
		written <- err
	}()
	res, err := runKernel(ctx, run, func(p Progress) { lines <- guestMessage{message: message{Progress: &p}} })
	if err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	for _, name := range []string{res.Files.PCAPNG, res.Files.KeyLog, res.Files.Events} {
		if name == "" {
			continue
		}
		data, err := os.ReadFile(filepath.Join(run.Out, name))
		if err != nil {
			return fmt.Errorf("worker: %w", err)
		}
		lines <- guestMessage{File: &guestFile{name, data}}
	}
	lines <- guestMessage{message: message{Result: res}}
	close(lines)
	return <-written
}
