package plan

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/thinlink/thinlink/internal/units"
	"github.com/thinlink/thinlink/lab"
	"github.com/thinlink/thinlink/measure"
)

// A Meter measures signatures by running real stacks, each input once.
type Meter struct {
	pool  *lab.Pool
	cache map[string]measured
	// Runs counts what was run.
	Runs int
}

// measured is what one run came to.
type measured struct {
	sig        Signature
	completed  bool
	completion time.Duration
	resumed    bool // after the interruptions of an update
	why        string
}

// NewMeter measures with a pool that has engine sim.
func NewMeter(pool *lab.Pool) *Meter { return &Meter{pool: pool, cache: map[string]measured{}} }

// A job is one run to make.
type job struct {
	profile, stack string
	scenario       string // power-60s or ota
	interval       time.Duration
	payload        units.Bytes
	image          units.Bytes
	interrupt      string // of an update, as thinlink run --interrupt takes it
	sets           map[string]string
	module         string
}

func (j *job) key() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s|%s|%s|%v|%v|%v|%s|%s", j.profile, j.stack, j.scenario, j.interval, j.payload, j.image, j.interrupt, j.module)
	for _, path := range slices.Sorted(maps.Keys(j.sets)) {
		fmt.Fprintf(&b, "|%s=%s", path, j.sets[path])
	}
	return b.String()
}

// window is long enough for a day's rhythm, and short enough for 48 reports.
func (j *job) window() time.Duration {
	return max(time.Hour, min(48*j.interval, 24*time.Hour), min(j.interval, 7*24*time.Hour))
}

// maxUpdate is how long a measured update may take.
const maxUpdate = 30 * 24 * time.Hour

func (j *job) run(dir string) (*lab.Run, error) {
	// What the link loses is the cell model's business for reports; visibility
	// is so always. An update's retransmissions are measured with it.
	sets := []lab.Setting{{Path: "link.outages", Value: "[]"}}
	if j.scenario == "ota" {
		sets = append(sets, lab.Setting{Path: "image", Value: j.image.String()},
			lab.Setting{Path: "limit", Value: units.FormatDuration(maxUpdate)})
	} else {
		sets = append(sets, lab.Setting{Path: "link.loss", Value: "0%"},
			lab.Setting{Path: "interval", Value: units.FormatDuration(j.interval)},
			lab.Setting{Path: "window", Value: units.FormatDuration(j.window())},
			lab.Setting{Path: "limit", Value: units.FormatDuration(2*j.window() + 48*time.Hour)},
			lab.Setting{Path: "payload", Value: j.payload.String()})
	}
	if j.module != "" {
		sets = append(sets, lab.Setting{Path: "power.module", Value: j.module})
	}
	for _, path := range slices.Sorted(maps.Keys(j.sets)) {
		sets = append(sets, lab.Setting{Path: path, Value: j.sets[path]})
	}
	var interrupts []lab.Interruption
	if j.interrupt != "" {
		var err error
		if interrupts, err = lab.ParseInterruptions(j.interrupt); err != nil {
			return nil, err
		}
	}
	runs, err := lab.Expand(lab.Matrix{
		Scenarios: []string{j.scenario}, Profiles: []string{j.profile}, Stacks: []string{j.stack},
		Engines: []string{"sim"}, Seeds: []uint64{1}, Sets: sets, Interrupts: interrupts, Out: dir,
	})
	if err != nil {
		return nil, err
	}
	return runs[0], nil
}

// measure runs what is not known yet, in parallel.
func (m *Meter) measure(ctx context.Context, jobs []job) error {
	tmp, err := os.MkdirTemp("", "thinlink-plan")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	var runs []*lab.Run
	of := map[*lab.Run]job{}
	seen := map[string]bool{}
	for _, j := range jobs {
		key := j.key()
		if _, known := m.cache[key]; known || seen[key] {
			continue
		}
		seen[key] = true
		dir := filepath.Join(tmp, fmt.Sprint(len(runs)))
		if err := os.Mkdir(dir, 0o777); err != nil {
			return err
		}
		run, err := j.run(dir)
		if err != nil {
			return fmt.Errorf("stack %s over %s: %w", j.stack, j.profile, err)
		}
		runs = append(runs, run)
		of[run] = j
	}
	if len(runs) == 0 {
		return nil
	}
	if err := lab.Certify(runs); err != nil {
		return err
	}
	m.Runs += len(runs)
	return m.pool.Execute(ctx, runs, func(run *lab.Run, res *measure.Result) error {
		j := of[run]
		got, err := j.read(run.Out, res)
		if err != nil {
			return fmt.Errorf("stack %s over %s: %w", j.stack, j.profile, err)
		}
		m.cache[j.key()] = got
		return os.RemoveAll(run.Out)
	})
}

// read takes the signature from a run's files.
func (j *job) read(dir string, res *measure.Result) (measured, error) {
	m := measured{completed: res.Completed, why: res.Error, completion: time.Duration(res.CompletionS * float64(time.Second))}
	if !res.Completed && j.scenario != "ota" {
		return m, fmt.Errorf("signature: %s", res.Error)
	}
	if res.Files.PCAPNG == "" {
		return m, fmt.Errorf("signature: no capture: %s", strings.Join(append(res.Warnings, res.Error), "; "))
	}
	trace, err := measure.ReadTrace(filepath.Join(dir, res.Files.PCAPNG), filepath.Join(dir, res.Files.Events))
	if err != nil {
		return m, fmt.Errorf("signature: %w", err)
	}
	if j.scenario == "ota" {
		m.resumed = res.OTA != nil && res.OTA.Resumed
		m.sig.Update = steps(trace, m.completion, 200)
		m.sig.UpdateUp, m.sig.UpdateDown = float64(res.Up.Bytes), float64(res.Down.Bytes)
		m.sig.UpdateTook = m.completion
		return m, nil
	}
	m.sig = signatureOf(trace, j.interval)
	m.sig.Warnings = res.Warnings
	if res.WindowS > 0 {
		m.sig.MeanW = res.EnergyJ / res.WindowS
	}
	return m, nil
}
