package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/thinlink/thinlink/measure"
)

// TestMain plays a worker when a test asks for one: "good" answers, the others
// fail in the ways a worker can.
func TestMain(m *testing.M) {
	role, ok := strings.CutPrefix(strings.Join(os.Args[1:], " "), "worker ")
	if !ok {
		os.Exit(m.Run())
	}
	out := os.NewFile(workerFD, "results")
	switch role {
	case "good":
		run := new(Run)
		if err := json.NewDecoder(os.Stdin).Decode(run); err != nil {
			os.Exit(1)
		}
		res := run.newResult()
		res.Completed = true
		fmt.Fprintln(out, `{"progress":{"t":1.5}}`)
		json.NewEncoder(out).Encode(message{Result: res})
	case "panic":
		panic("thinlink worker test")
	case "silent":
	case "garbage":
		fmt.Fprintln(out, "this is not JSON")
	case "hang":
		time.Sleep(time.Hour)
	}
	os.Exit(0)
}

func worker(t *testing.T, role string, hang time.Duration) *Workers {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &Workers{Command: []string{self, "worker", role}, Hang: hang}
}

func TestWorkerAnswers(t *testing.T) {
	run := &Run{Profile: "nbiot", Engine: "sim", Seed: 7}
	var progress []Progress
	res, err := worker(t, "good", time.Minute).Execute(t.Context(), run, func(p Progress) { progress = append(progress, p) })
	if err != nil || !res.Completed || res.Profile != "nbiot" || res.Seed != 7 {
		t.Fatalf("got %+v, %v", res, err)
	}
	if len(progress) != 1 || progress[0].Seconds != 1.5 {
		t.Errorf("progress %v", progress)
	}
	if res.WallS <= 0 {
		t.Errorf("wall %v s", res.WallS)
	}
}

// A worker that fails spoils its own run and says why.
func TestWorkerFailures(t *testing.T) {
	for role, want := range map[string]string{
		"panic":   "panic: thinlink worker test",
		"silent":  "ended without a result",
		"garbage": "worker: message",
		"hang":    "no progress for 300ms of real time",
	} {
		hang := time.Minute
		if role == "hang" {
			hang = 300 * time.Millisecond
		}
		res, err := worker(t, role, hang).Execute(t.Context(), &Run{Profile: "nbiot", Engine: "sim"}, func(Progress) {})
		if err != nil {
			t.Errorf("%s: %v", role, err)
			continue
		}
		if res.Completed || !strings.Contains(res.Error, want) {
			t.Errorf("%s: error %q: want %q", role, res.Error, want)
		}
	}
}

func TestWorkerMissing(t *testing.T) {
	t.Setenv("THINLINK_SIM", "/does/not/exist")
	if _, err := FindWorker(); err == nil || !strings.Contains(err.Error(), "THINLINK_SIM") {
		t.Errorf("got %v", err)
	}
	t.Setenv("THINLINK_SIM", "")
	t.Setenv("PATH", t.TempDir())
	if _, err := FindWorker(); !errors.Is(err, ErrNoWorker) {
		t.Errorf("got %v", err)
	}
}

// instant is an engine whose runs finish in the order that gates allow.
type instant struct{ gates map[uint64]chan struct{} }

func (e instant) Execute(ctx context.Context, run *Run, _ func(Progress)) (*measure.Result, error) {
	if g := e.gates[run.Seed]; g != nil {
		select {
		case <-g:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return run.newResult(), nil
}

func seeds(n uint64) (runs []*Run) {
	for s := range n {
		runs = append(runs, &Run{Engine: "sim", Seed: s})
	}
	return runs
}

func TestPoolKeepsOrder(t *testing.T) {
	first := make(chan struct{})
	pool := &Pool{Engines: map[string]Engine{"sim": instant{map[uint64]chan struct{}{0: first}}}, Workers: 2}
	pool.Done = func(run *Run, _ *measure.Result) {
		if run.Seed == 4 {
			close(first) // run 0 ends last
		}
	}
	var order []uint64
	err := pool.Execute(t.Context(), seeds(5), func(run *Run, _ *measure.Result) error {
		order = append(order, run.Seed)
		return nil
	})
	if err != nil || fmt.Sprint(order) != "[0 1 2 3 4]" {
		t.Errorf("order %v, %v", order, err)
	}
}

// An interruption loses nothing that was finished, in whatever order.
func TestPoolInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	never := make(chan struct{})
	pool := &Pool{Engines: map[string]Engine{"sim": instant{map[uint64]chan struct{}{0: never}}}, Workers: 2}
	pool.Done = func(run *Run, _ *measure.Result) {
		if run.Seed == 2 {
			cancel()
		}
	}
	var got []uint64
	err := pool.Execute(ctx, seeds(50), func(run *Run, _ *measure.Result) error {
		got = append(got, run.Seed)
		return nil
	})
	if !errors.Is(err, context.Canceled) || len(got) < 2 || got[0] != 1 || got[1] != 2 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestPoolUnknownEngine(t *testing.T) {
	err := (&Pool{}).Execute(t.Context(), []*Run{{Engine: "warp"}}, func(*Run, *measure.Result) error { return nil })
	if err == nil || !strings.Contains(err.Error(), `"warp"`) {
		t.Errorf("got %v", err)
	}
}
