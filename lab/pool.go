package lab

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/thinlink/thinlink/measure"
)

// Engine executes runs. Execute returns a result for every run: one that
// failed says why in Error. It returns an error only if the run was not
// executed at all, because ctx ended or the machine lacks something.
type Engine interface {
	Execute(ctx context.Context, run *Run, progress func(Progress)) (*measure.Result, error)
}

// Progress is how far a run has come, in its own clock.
type Progress struct {
	Seconds float64 `json:"t"` // since the device was switched on, s
}

// Pool executes runs in parallel and hands each result over, in the order of
// the runs, as soon as all before it are there.
type Pool struct {
	// Engines by name, as in Run.Engine.
	Engines map[string]Engine
	// Workers is the number of runs at once; 0 is one per core.
	Workers int
	// Started, Progress and Done are told of each run, from any goroutine;
	// nil is silence.
	Started  func(run *Run)
	Progress func(run *Run, p Progress)
	Done     func(run *Run, res *measure.Result)
}

// Execute runs them all. On an error, or when ctx ends, it starts no further
// run, waits for those under way to stop, and hands over what was finished.
func (p *Pool) Execute(ctx context.Context, runs []*Run, each func(*Run, *measure.Result) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	results := make([]*measure.Result, len(runs))
	next := make(chan int)
	var mu sync.Mutex // guards results, handed, each
	handed := 0
	finish := func(i int, res *measure.Result) {
		mu.Lock()
		defer mu.Unlock()
		results[i] = res
		for handed < len(runs) && results[handed] != nil {
			if err := each(runs[handed], results[handed]); err != nil {
				cancel(err)
			}
			handed++
		}
	}
	var wg sync.WaitGroup
	for range min(p.workers(), len(runs)) {
		wg.Go(func() {
			for i := range next {
				res, err := p.one(ctx, runs[i])
				if err != nil {
					cancel(err)
					continue
				}
				finish(i, res)
			}
		})
	}
feed:
	for i := range runs {
		select {
		case next <- i:
		case <-ctx.Done():
			break feed
		}
	}
	close(next)
	wg.Wait()
	err := context.Cause(ctx)
	for ; handed < len(runs); handed++ { // finished behind one that was not
		if res := results[handed]; res != nil {
			err = errors.Join(err, each(runs[handed], res))
		}
	}
	return err
}

func (p *Pool) one(ctx context.Context, run *Run) (*measure.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	engine, ok := p.Engines[run.Engine]
	if !ok {
		return nil, fmt.Errorf("engine %q is not available here", run.Engine)
	}
	if p.Started != nil {
		p.Started(run)
	}
	res, err := engine.Execute(ctx, run, func(pr Progress) {
		if p.Progress != nil {
			p.Progress(run, pr)
		}
	})
	if err == nil && p.Done != nil {
		p.Done(run, res)
	}
	return res, err
}

func (p *Pool) workers() int {
	if p.Workers > 0 {
		return p.Workers
	}
	return runtime.NumCPU() // respects the affinity mask
}
