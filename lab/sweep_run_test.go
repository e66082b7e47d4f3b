package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/measure"
)

// A countingEngine gives results that depend on the run alone, and notes what
// it executes.
type countingEngine struct {
	took  time.Duration
	mu    sync.Mutex
	log   io.Writer // nil: count only
	count int
	// before, if not nil, may stand in for the result or refuse it.
	before func(n int, run *Run) (*measure.Result, error)
}

func (e *countingEngine) Execute(ctx context.Context, run *Run, _ func(Progress)) (*measure.Result, error) {
	e.mu.Lock()
	e.count++
	n := e.count
	if e.log != nil {
		fmt.Fprintf(e.log, "%s\n", nameOf(run))
	}
	e.mu.Unlock()
	if e.before != nil {
		if res, err := e.before(n, run); res != nil || err != nil {
			return res, err
		}
	}
	if e.took > 0 {
		if err := clients.Sleep(ctx, e.took); err != nil {
			return nil, err
		}
	}
	h := fnv.New32()
	io.WriteString(h, nameOf(run))
	res := run.newResult()
	res.Completed = true
	res.CompletionS = float64(h.Sum32())
	return res, nil
}

func nameOf(run *Run) string {
	return fmt.Sprintf("%s %v %v %d", run.Base(), run.Link.Up.Loss.Rate, run.Interrupts, run.Stack.MQTT.KeepAlive)
}

// pingSweep needs no certificates.
const pingSweep = `version: 1
name: ping-test
scenario: ping
profiles: [nbiot, ltem, ethernet]
stacks: [udp, icmp]
seeds: 10
set:
  link.loss: [0%, 1%, 2%, 5%, 10%]
`

func execute(ctx context.Context, p *SweepPlan, dir string, resume bool, engine Engine) error {
	job, err := p.Open(dir, resume)
	if err != nil {
		return err
	}
	pool := &Pool{Engines: map[string]Engine{"sim": engine}, Workers: 2}
	return errors.Join(job.Execute(ctx, pool, func(SweepResult) error { return nil }), job.Close())
}

// lines are a results file's lines in alphabetical order.
func lines(t *testing.T, dir string) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, ResultsFile))
	if err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(strings.Lines(string(data)))
}

func TestSweepExecute(t *testing.T) {
	p, dir := plan(t, pingSweep), filepath.Join(t.TempDir(), "new", "out")
	engine := new(countingEngine)
	if err := execute(t.Context(), p, dir, false, engine); err != nil {
		t.Fatal(err)
	}
	if engine.count != 300 || len(lines(t, dir)) != 300 {
		t.Errorf("%d runs, %d lines: want 300", engine.count, len(lines(t, dir)))
	}
	err := execute(t.Context(), p, dir, false, engine)
	if !errors.Is(err, ErrNotEmpty) {
		t.Errorf("again without resume: %v", err)
	}
	if err := execute(t.Context(), p, dir, true, engine); err != nil || engine.count != 300 {
		t.Errorf("again with resume: %v, %d runs", err, engine.count)
	}
	var res SweepResult
	if err := json.Unmarshal([]byte(lines(t, dir)[0]), &res); err != nil || res.Key == "" || res.Version != "v1" || res.Command != "thinlink sweep" || res.Set["link.loss"] == "" {
		t.Errorf("%v in %+v", err, res)
	}
	var info SweepInfo
	data, err := os.ReadFile(filepath.Join(dir, SweepFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &info); err != nil || info.Runs != 300 || len(info.Axes) != 1 {
		t.Errorf("%v in %+v", err, info)
	}
}

// A sweep that grows keeps its results; one that changes is refused and its
// directory left alone.
func TestSweepChanged(t *testing.T) {
	dir := t.TempDir()
	small := strings.Replace(pingSweep, "seeds: 10", "seeds: 2", 1)
	if err := execute(t.Context(), plan(t, small), dir, false, new(countingEngine)); err != nil {
		t.Fatal(err)
	}
	engine := new(countingEngine)
	if err := execute(t.Context(), plan(t, pingSweep), dir, true, engine); err != nil || engine.count != 240 {
		t.Errorf("after growing: %v, %d runs: want 240", err, engine.count)
	}
	before := lines(t, dir)
	err := execute(t.Context(), plan(t, strings.Replace(pingSweep, "10%]", "11%]", 1)), dir, true, engine)
	if err == nil || !strings.Contains(err.Error(), "60 results that are not of this sweep") {
		t.Errorf("after changing: %v", err)
	}
	if !slices.Equal(before, lines(t, dir)) {
		t.Error("the results have changed")
	}
}

func TestSweepLocked(t *testing.T) {
	p, dir := plan(t, pingSweep), t.TempDir()
	job, err := p.Open(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Open(dir, true); err == nil || !strings.Contains(err.Error(), "another sweep writes to") {
		t.Errorf("at once: %v", err)
	}
	if err := job.Close(); err != nil {
		t.Fatal(err)
	}
	job, err = p.Open(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := job.Close(); err != nil {
		t.Fatal(err)
	}
}

// What somebody killed runs again; a run that failed does not.
func TestSweepSpoiled(t *testing.T) {
	p, dir := plan(t, pingSweep), t.TempDir()
	engine := &countingEngine{before: func(n int, run *Run) (*measure.Result, error) {
		switch {
		case n%10 == 0:
			return run.failed(errors.New("worker: signal: killed")), nil
		case n%10 == 5:
			return run.failed(errors.New("not completed within the limit")), nil
		}
		return nil, nil
	}}
	if err := execute(t.Context(), p, dir, false, engine); err != nil {
		t.Fatal(err)
	}
	left, err := p.Remaining(dir)
	if err != nil || left != 30 {
		t.Errorf("%d left, %v: want 30", left, err)
	}
	again := new(countingEngine)
	if err := execute(t.Context(), p, dir, true, again); err != nil || again.count != 30 {
		t.Errorf("%d runs, %v: want 30", again.count, err)
	}
	if n := len(lines(t, dir)); n != 300 {
		t.Errorf("%d lines: want 300", n)
	}
}

// Ctrl-C loses nothing that had finished, in whatever order.
func TestSweepInterrupted(t *testing.T) {
	p, dir := plan(t, pingSweep), t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	var finished int
	engine := &countingEngine{before: func(n int, run *Run) (*measure.Result, error) {
		switch {
		case n == 1: // the first run never ends
			<-ctx.Done()
			return nil, ctx.Err()
		case n == 40:
			cancel()
			return nil, ctx.Err()
		}
		finished++ // by the one other worker
		return nil, nil
	}}
	if err := execute(ctx, p, dir, false, engine); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if n := len(lines(t, dir)); n != finished || n < 38 {
		t.Errorf("%d lines of %d finished runs", n, finished)
	}
	again := new(countingEngine)
	if err := execute(t.Context(), p, dir, true, again); err != nil || again.count != 300-finished {
		t.Errorf("%d runs, %v: want %d", again.count, err, 300-finished)
	}
}

// A power failure may take the end of the file, or leave garbage in it.
func TestSweepPowerCut(t *testing.T) {
	p, dir := plan(t, pingSweep), t.TempDir()
	if err := execute(t.Context(), p, dir, false, new(countingEngine)); err != nil {
		t.Fatal(err)
	}
	want, path := lines(t, dir), filepath.Join(dir, ResultsFile)
	rng := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data = data[:rng.IntN(len(data))]
		if n := len(data) / 2; n > 100 {
			copy(data[n:n+100], make([]byte, 100))
		}
		whole := bytes.Count(data, []byte("\n"))
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		engine := new(countingEngine)
		if err := execute(t.Context(), p, dir, true, engine); err != nil {
			t.Fatal(err)
		}
		if engine.count > 300-whole+2 { // the hole spoils at most two lines
			t.Errorf("%d runs with %d whole lines", engine.count, whole)
		}
		if got := lines(t, dir); !slices.Equal(got, want) {
			t.Fatalf("%d lines, not those of an uninterrupted sweep", len(got))
		}
	}
}

// A full disk ends the sweep, and the file ends with a whole line.
func TestSweepLogFails(t *testing.T) {
	dir := t.TempDir()
	job, err := plan(t, pingSweep).Open(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	pool := &Pool{Workers: 1, Engines: map[string]Engine{"sim": &countingEngine{before: func(n int, _ *Run) (*measure.Result, error) {
		if n == 10 {
			job.log.file.Close()
		}
		return nil, nil
	}}}}
	if err := job.Execute(t.Context(), pool, func(SweepResult) error { return nil }); !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if n := len(lines(t, dir)); n != 9 {
		t.Errorf("%d lines: want 9", n)
	}
	if err := job.Close(); err == nil {
		t.Error("closing is silent about it")
	}
}

// init plays a sweep in a process of its own, for tests that kill it.
func init() {
	file, ok := os.LookupEnv("THINLINK_TEST_SWEEP")
	if !ok {
		return
	}
	if err := sweepProcess(file, os.Getenv("THINLINK_TEST_SWEEP_DIR")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func sweepProcess(file, dir string) error {
	sweep, err := LoadSweep(file)
	if err != nil {
		return err
	}
	p, err := sweep.Plan("v1", "thinlink sweep")
	if err != nil {
		return err
	}
	executed, err := os.OpenFile(dir+".executed", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o666)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	return execute(context.Background(), p, dir, true, &countingEngine{took: 2 * time.Millisecond, log: executed})
}

// TestSweepKilled ends a sweep by SIGKILL at random moments: the results in
// the end are those of one that was left alone, and only what was under way
// has run twice.
func TestSweepKilled(t *testing.T) {
	const kills, workers = 20, 2
	file := sweepFile(t, pingSweep)
	untouched := t.TempDir()
	if err := execute(t.Context(), plan(t, pingSweep), untouched, false, new(countingEngine)); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "out")
	start := func() (*exec.Cmd, io.Reader) {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), "THINLINK_TEST_SWEEP="+file, "THINLINK_TEST_SWEEP_DIR="+dir)
		cmd.Stderr = os.Stderr
		ready, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd, ready
	}
	rng := rand.New(rand.NewPCG(uint64(os.Getpid()), 1)) // moments differ from test to test
	for range kills {
		cmd, ready := start()
		io.ReadAtLeast(ready, make([]byte, 8), 1) // error: it has ended, which is a moment, too
		time.Sleep(time.Duration(rng.IntN(30_000)) * time.Microsecond)
		cmd.Process.Kill() // error: it has ended
		cmd.Wait()         // error: it was killed
	}
	cmd, ready := start()
	io.Copy(io.Discard, ready)
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if got, want := lines(t, dir), lines(t, untouched); !slices.Equal(got, want) {
		t.Errorf("%d lines, not the %d of an uninterrupted sweep", len(got), len(want))
	}
	executed, err := os.ReadFile(dir + ".executed")
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(executed, []byte("\n")); n < 300 || n > 300+kills*workers {
		t.Errorf("%d runs for 300 results and %d kills", n, kills)
	}
}

// FuzzReadResults: whatever a file holds, what is read can be written and read
// again.
func FuzzReadResults(f *testing.F) {
	f.Add([]byte("{\"profile\":\"nbiot\",\"key\":\"a\"}\n{\"profile\":\"nbiot\",\"key\":\"a\"}\n{\"torn"))
	f.Add([]byte("\x00\x00\n{}\n{\"profile\":\"x\",\"set\":{\"link.loss\":\"1%\"}}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		results, _, err := ReadResults(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		written, err := encodeResults(results)
		if err != nil {
			t.Fatal(err)
		}
		again, damaged, err := ReadResults(bytes.NewReader(written))
		if err != nil || damaged != 0 || len(again) != len(results) {
			t.Errorf("again: %d of %d results, %d damaged, %v", len(again), len(results), damaged, err)
		}
	})
}
