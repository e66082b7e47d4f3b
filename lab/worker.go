package lab

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/thinlink/thinlink/measure"
	"github.com/thinlink/thinlink/netem/tun"
)

// WorkerName is the virtual-time worker's file name.
const WorkerName = "thinlink-sim"

// workerFD is the descriptor results leave a worker by: in a faketime binary
// what is written to 1 and 2 is framed with a playback header.
const workerFD = 3

// A message is one line from a worker: progress or, last, the result.
type message struct {
	Progress *Progress       `json:"progress,omitempty"`
	Result   *measure.Result `json:"result,omitempty"`
	// Missing is what the machine lacks for engine tun.
	Missing *tun.MissingError `json:"missing,omitempty"`
}

// ServeWorker is a worker's life: it reads one Run from in, executes it on
// engine sim and writes messages to out.
func ServeWorker(ctx context.Context, in io.Reader, out io.Writer) error {
	run := new(Run)
	if err := json.NewDecoder(in).Decode(run); err != nil {
		return fmt.Errorf("worker: run: %w", err)
	}
	enc := json.NewEncoder(out)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	res := runSim(ctx, run, func(p Progress) {
		if err := enc.Encode(message{Progress: &p}); err != nil {
			cancel(fmt.Errorf("worker: progress: %w", err)) // nobody listens any more
		}
	})
	if err := enc.Encode(message{Result: res}); err != nil {
		return fmt.Errorf("worker: result: %w", err)
	}
	return nil
}

// Workers executes runs of engines sim and tun, each in a process of its own:
// the runtime's fake clock serves one device best, and what a run breaks is its
// own.
type Workers struct {
	// Command starts a worker: the virtual-time worker's path or, for the
	// real clock, this program with a hidden argument.
	Command []string
	// Hang is the real time without a sign of life after which a worker is
	// ended; 0 is never.
	Hang time.Duration
	// Prepare, if not nil, changes a worker's command before it starts.
	Prepare func(*exec.Cmd)
	// Explain, if not nil, says what an error of starting a worker means.
	Explain func(error) error
	// Attached gives workers this process's standard files, and the run by
	// descriptor 4 instead.
	Attached bool
}

// ErrNoWorker says that the virtual-time worker is not to be found.
var ErrNoWorker = errors.New("the virtual-time worker " + WorkerName + " was found neither by $THINLINK_SIM, nor beside thinlink, nor on PATH; run 'make' and keep both binaries together")

// FindWorker looks for the worker: $THINLINK_SIM, beside this program, PATH.
func FindWorker() (string, error) {
	if path := os.Getenv("THINLINK_SIM"); path != "" {
		if _, err := exec.LookPath(path); err != nil {
			return "", fmt.Errorf("THINLINK_SIM: %w", err)
		}
		return path, nil
	}
	if self, err := os.Executable(); err == nil {
		if self, err = filepath.EvalSymlinks(self); err == nil {
			if path, err := exec.LookPath(filepath.Join(filepath.Dir(self), WorkerName)); err == nil {
				return path, nil
			}
		}
	}
	if path, err := exec.LookPath(WorkerName); err == nil {
		return path, nil
	}
	return "", ErrNoWorker
}

// Execute implements Engine.
func (w *Workers) Execute(ctx context.Context, run *Run, progress func(Progress)) (*measure.Result, error) {
	start := time.Now()
	res, err := w.execute(ctx, run, progress)
	var missing *tun.MissingError
	switch {
	case err == nil:
	case errors.As(err, &missing):
		return nil, err
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	default: // an error for this run only
		res = run.newResult()
		res.Error = err.Error()
	}
	res.WallS = time.Since(start).Seconds()
	return res, nil
}

func (w *Workers) execute(ctx context.Context, run *Run, progress func(Progress)) (res *measure.Result, err error) {
	spec, err := json.Marshal(run)
	if err != nil {
		return nil, fmt.Errorf("run: %w", err)
	}
	r, wr, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	defer r.Close()
	cmd := exec.CommandContext(ctx, w.Command[0], w.Command[1:]...)
	cmd.ExtraFiles = []*os.File{wr} // descriptor 3
	// One processor makes goroutines run in the same order every time.
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	var stderr tail
	if w.Attached {
		file, err := handOver(spec)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, file)
		cmd.Env = os.Environ()
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	} else {
		cmd.Stdin, cmd.Stderr = bytes.NewReader(spec), &stderr
	}
	if w.Prepare != nil {
		w.Prepare(cmd)
	}
	err = cmd.Start()
	wr.Close()
	if err != nil && w.Explain != nil {
		err = w.Explain(err)
	}
	if err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	var hung atomic.Bool
	hang := w.Hang
	if hang == 0 {
		hang = math.MaxInt64
	}
	watchdog := time.AfterFunc(hang, func() {
		hung.Store(true)
		cmd.Process.Kill()
	})
	defer watchdog.Stop()
	lines := bufio.NewReader(r)
	for res == nil {
		line, readErr := lines.ReadBytes('\n')
		if readErr != nil {
			break
		}
		watchdog.Reset(hang)
		var m message
		if err := json.Unmarshal(line, &m); err != nil {
			cmd.Process.Kill()
			cmd.Wait()
			return nil, fmt.Errorf("worker: message: %w", err)
		}
		if m.Progress != nil {
			progress(*m.Progress)
		}
		res = m.Result
		if m.Missing != nil {
			cmd.Wait()
			return nil, m.Missing
		}
	}
	waitErr := cmd.Wait()
	switch {
	case res != nil:
		return res, nil
	case hung.Load():
		return nil, fmt.Errorf("worker: no progress for %v of real time: ended", w.Hang)
	case waitErr != nil:
		return nil, fmt.Errorf("worker: %w%s", waitErr, stderr.String())
	}
	return nil, fmt.Errorf("worker: ended without a result%s", stderr.String())
}

// handOver puts a run into a file that has no name any more.
func handOver(spec []byte) (*os.File, error) {
	f, err := os.CreateTemp("", "thinlink-run-")
	if err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	_, err = f.Write(spec)
	if err = errors.Join(err, os.Remove(f.Name())); err != nil {
		f.Close()
		return nil, fmt.Errorf("worker: %w", err)
	}
	return f, nil
}

// tail keeps the last lines a dying worker wrote.
type tail struct{ b []byte }

func (t *tail) Write(b []byte) (int, error) {
	t.b = append(t.b, b...)
	if len(t.b) > 1<<14 {
		t.b = append(t.b[:0], t.b[len(t.b)-1<<13:]...)
	}
	return len(b), nil
}

// String is the first line that says what went wrong.
func (t *tail) String() string {
	for line := range strings.Lines(printable(t.b)) {
		if line = strings.TrimSpace(line); strings.Contains(line, "panic:") || strings.Contains(line, "fatal error:") || strings.Contains(line, "thinlink") {
			return ": " + line
		}
	}
	return ""
}

// printable drops the playback headers of a faketime binary.
func printable(b []byte) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r >= ' ' && r < 0x7f {
			return r
		}
		return -1
	}, string(b))
}
