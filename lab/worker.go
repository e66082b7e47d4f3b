package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/thinlink/thinlink/measure"
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

// Workers executes runs of engine sim, each in a process of its own: the
// runtime's fake clock serves one device best, and what a run breaks is its
// own.
type Workers struct {
	// Command starts a worker: the virtual-time worker's path or, for the
	// real clock, this program with a hidden argument.
	Command []string
	// Hang is the real time without a sign of life after which a worker is
	// ended.
	Hang time.Duration
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
	switch {
	case err == nil:
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
	cmd.Stdin = strings.NewReader(string(spec))
	cmd.ExtraFiles = []*os.File{wr} // descriptor 3
	// One processor makes goroutines run in the same order every time.
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	var stderr tail
	cmd.Stderr = &stderr
	err = cmd.Start()
	wr.Close()
	if err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	var hung atomic.Bool
	watchdog := time.AfterFunc(w.Hang, func() {
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
		watchdog.Reset(w.Hang)
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
