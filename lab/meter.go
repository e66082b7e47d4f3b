package lab

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/thinlink/thinlink/measure"
	"github.com/thinlink/thinlink/power"
	"github.com/thinlink/thinlink/power/meter"
)

// RecordPower samples a sensor until ctx ends or, with a duration, that time is
// over, and writes lines that meter.Read reads, with Unix times. saturated is
// how many samples were out of the sensor's range.
func RecordPower(ctx context.Context, sensor *meter.Sensor, every, duration time.Duration, out io.Writer) (saturated int, err error) {
	b := bufio.NewWriter(out)
	defer func() { err = errors.Join(err, b.Flush()) }()
	fmt.Fprintln(b, "Time (s),Power (W)")
	tick := time.NewTicker(every)
	defer tick.Stop()
	for start := time.Now(); ; {
		w, err := sensor.Power()
		if errors.Is(err, meter.ErrSaturated) {
			saturated++
		} else if err != nil {
			return saturated, err
		}
		at := time.Since(start)
		if _, err := fmt.Fprintf(b, "%.6f,%.6f\n", float64(start.Add(at).UnixMicro())/1e6, w); err != nil {
			return saturated, err
		}
		if duration > 0 && at >= duration {
			return saturated, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return saturated, nil
		}
	}
}

// Metered is an engine that runs in real time, with a sensor that measures the
// power of the device, or of the whole machine, during each run's window.
type Metered struct {
	Engine
	Sensor *meter.Sensor
	Every  time.Duration // between samples
	// BaselineW is drawn without any run, W; the result's energy is what is
	// above it.
	BaselineW float64
}

// Execute implements Engine. Runs must not overlap.
func (m Metered) Execute(ctx context.Context, run *Run, progress func(Progress)) (*measure.Result, error) {
	rec := &recording{metered: &m, ctx: ctx}
	metered := *run
	metered.OnWindow = rec.window
	res, err := m.Engine.Execute(ctx, &metered, progress)
	rec.window(false)
	if err != nil {
		return nil, err
	}
	return res, rec.report(run, res)
}

// recording is the power of one run's window.
type recording struct {
	metered   *Metered
	ctx       context.Context
	stop      context.CancelFunc // nil if nothing is under way
	done      chan struct{}
	csv       bytes.Buffer
	saturated int
	err       error
}

// window starts and ends the sampling.
func (r *recording) window(open bool) {
	switch {
	case open && r.stop == nil:
		ctx, stop := context.WithCancel(r.ctx)
		r.stop, r.done = stop, make(chan struct{})
		go func() {
			defer close(r.done)
			r.saturated, r.err = RecordPower(ctx, r.metered.Sensor, r.metered.Every, 0, &r.csv)
		}()
	case !open && r.stop != nil:
		r.stop()
		<-r.done
		r.stop = nil
	}
}

// report puts what was measured in place of what a model would say, and keeps
// the samples beside the run's capture.
func (r *recording) report(run *Run, res *measure.Result) error {
	doubt := func(format string, args ...any) {
		res.Warnings = append(res.Warnings, "meter: "+fmt.Sprintf(format, args...))
	}
	if r.saturated > 0 {
		doubt("%d samples were out of the sensor's range: the energy is more than it says", r.saturated)
	}
	if r.err != nil {
		doubt("the samples end early: %v", r.err)
	}
	if run.Out != "" {
		res.Files.Power = run.Base() + ".power.csv"
		if err := os.WriteFile(filepath.Join(run.Out, res.Files.Power), r.csv.Bytes(), 0o666); err != nil {
			return err
		}
	}
	c, err := meter.Read(&r.csv, meter.Options{})
	if err != nil {
		doubt("no energy: %v", err)
		return nil
	}
	for _, w := range c.Warnings {
		doubt("%s", w)
	}
	res.Measured = &power.Measured{
		Sensor: r.metered.Sensor.Path, Samples: c.Samples, EnergyJ: c.EnergyJ, BaselineW: r.metered.BaselineW,
		MeanW: c.MeanW, PeakW: c.PeakW,
	}
	res.EnergyJ = c.AboveFloorJ(r.metered.BaselineW)
	return nil
}
