package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/thinlink/thinlink/clients/pki"
	"github.com/thinlink/thinlink/measure"
)

// ErrNotEmpty says that a directory has files already.
var ErrNotEmpty = errors.New("not empty: continue it with --resume, or name another directory with -o")

// Remaining counts the runs that a directory has no result of. It changes
// nothing.
func (p *SweepPlan) Remaining(dir string) (int, error) {
	state, err := p.read(dir)
	return len(state.todo), err
}

// A sweepState is what the results in a directory mean for a plan.
type sweepState struct {
	todo []int         // runs that are left
	keep []SweepResult // results of the others
	mend bool          // the file holds more than those
}

// spoiled tells the result of a worker that the system did not start or
// somebody ended from that of a run that failed: the former runs again.
func spoiled(res SweepResult) bool {
	return strings.HasPrefix(res.Error, "worker: signal: ") || strings.HasPrefix(res.Error, "worker: fork/exec ")
}

// read compares results with the plan.
func (p *SweepPlan) read(dir string) (s sweepState, err error) {
	results, damaged, err := readResultsFile(filepath.Join(dir, ResultsFile))
	if err != nil {
		return s, err
	}
	s.mend = damaged > 0
	done := map[string]bool{}
	for _, res := range results {
		if spoiled(res) {
			s.mend = true
			continue
		}
		done[res.Key] = true
		s.keep = append(s.keep, res)
	}
	for i := range p.Len() {
		if key := p.key(i); !done[key] {
			s.todo = append(s.todo, i)
		} else {
			delete(done, key)
		}
	}
	if len(done) > 0 {
		return s, fmt.Errorf("%s has %d results that are not of this sweep: the sweep, a profile, a stack or thinlink has changed; name another directory with -o", dir, len(done))
	}
	return s, nil
}

// readResultsFile is ReadResults; no file is no results.
func readResultsFile(path string) ([]SweepResult, int, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, 0, nil
	} else if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	return ReadResults(f)
}

// SweepJob is a plan together with the directory of its results.
type SweepJob struct {
	plan *SweepPlan
	todo []int
	lock *os.File
	log  *resultLog
}

// Open prepares a directory for the plan's results. If it has files, resume
// must be true: their runs are not repeated. Close the job in the end.
func (p *SweepPlan) Open(dir string, resume bool) (*SweepJob, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	j := &SweepJob{plan: p, lock: lock}
	if err := j.open(dir, resume); err != nil {
		lock.Close()
		return nil, err
	}
	return j, nil
}

func (j *SweepJob) open(dir string, resume bool) error {
	if names, err := os.ReadDir(dir); err != nil {
		return err
	} else if len(names) > 0 && !resume {
		return fmt.Errorf("%s: %w", dir, ErrNotEmpty)
	}
	state, err := j.plan.read(dir)
	if err != nil {
		return err
	}
	j.todo = state.todo
	info, err := json.MarshalIndent(j.plan.Info, "", "  ")
	if err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	if err := replaceFile(filepath.Join(dir, SweepFile), append(info, '\n')); err != nil {
		return err
	}
	results := filepath.Join(dir, ResultsFile)
	if state.mend {
		data, err := encodeResults(state.keep)
		if err != nil {
			return err
		}
		if err := replaceFile(results, data); err != nil {
			return err
		}
	}
	j.log, err = openLog(results)
	return err
}

// Todo is the number of runs that Execute executes.
func (j *SweepJob) Todo() int { return len(j.todo) }

// Close makes the results durable and lets others into the directory.
func (j *SweepJob) Close() error { return errors.Join(j.log.close(), j.lock.Close()) }

// sweepChunk bounds the runs and results that are in memory at once.
const sweepChunk = 4096

// Execute runs what has no result yet. Each result is in the file as soon as
// its run has ended, then pool.Done is told; each gets them in the order of
// the runs. When ctx ends, what has not finished is left for another time.
func (j *SweepJob) Execute(ctx context.Context, pool *Pool, each func(SweepResult) error) error {
	certificates, err := j.certify()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	logging := *pool
	for chunk := range slices.Chunk(j.todo, sweepChunk) {
		runs := make([]*Run, len(chunk))
		index := make(map[*Run]int, len(chunk))
		for n, i := range chunk {
			runs[n] = j.plan.run(i)
			index[runs[n]] = i
			if opt, wanted := runs[n].pki(); wanted {
				runs[n].PKI = certificates[opt]
			}
		}
		logging.Done = func(run *Run, res *measure.Result) {
			if err := j.log.add(j.plan.result(index[run], res)); err != nil {
				cancel(err)
			}
			if pool.Done != nil {
				pool.Done(run, res)
			}
		}
		err := logging.Execute(ctx, runs, func(run *Run, res *measure.Result) error {
			return each(j.plan.result(index[run], res))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// certify makes the certificates that the runs need, one set of each kind.
func (j *SweepJob) certify() (map[pki.Options]*pki.Material, error) {
	kinds := map[pki.Options]*Run{}
	for _, i := range j.todo {
		cell, _ := j.plan.at(i)
		if opt, wanted := cell.run.pki(); wanted && kinds[opt] == nil {
			kinds[opt] = j.plan.run(i)
		}
	}
	runs := make([]*Run, 0, len(kinds))
	for _, run := range kinds {
		runs = append(runs, run)
	}
	if err := Certify(runs); err != nil {
		return nil, err
	}
	certificates := map[pki.Options]*pki.Material{}
	for opt, run := range kinds {
		certificates[opt] = run.PKI
	}
	return certificates, nil
}
