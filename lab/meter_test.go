package lab

import (
	"bytes"
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/thinlink/thinlink/measure"
	"github.com/thinlink/thinlink/power/meter"
)

// steady is a machine that draws 2.5 W.
func steady(t *testing.T) *meter.Sensor {
	t.Helper()
	all, err := meter.Sensors(fstest.MapFS{
		"class/hwmon/hwmon0/name":         {Data: []byte("ina219\n")},
		"class/hwmon/hwmon0/power1_input": {Data: []byte("2500000\n")},
	})
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	return &all[0]
}

// windowed opens its window for a while, as an engine does.
type windowed struct{ length time.Duration }

func (w windowed) Execute(_ context.Context, run *Run, _ func(Progress)) (*measure.Result, error) {
	run.window(true)
	time.Sleep(w.length)
	run.window(false)
	return run.newResult(), nil
}

// TestMetered integrates a known power over a window. The energy follows from
// the samples' own times, whatever the machine's load.
func TestMetered(t *testing.T) {
	run := &Run{Profile: "ethernet", Engine: "tc", Seed: 1, Out: t.TempDir()}
	run.Scenario.Name, run.Stack.Name = "power-idle", "mqtt"
	m := Metered{Engine: windowed{100 * time.Millisecond}, Sensor: steady(t), Every: time.Millisecond, BaselineW: 2}
	res, err := m.Execute(t.Context(), run, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := res.Measured
	if got == nil || got.Samples < 2 || got.MeanW != 2.5 || got.PeakW != 2.5 {
		t.Fatalf("measured %+v, warnings %q", got, res.Warnings)
	}
	if want := got.EnergyJ / 5; math.Abs(res.EnergyJ-want) > 0.01*want {
		t.Errorf("%v J above 2 W of %v J at 2.5 W", res.EnergyJ, got.EnergyJ)
	}
	csv, err := os.ReadFile(filepath.Join(run.Out, res.Files.Power))
	if err != nil || bytes.Count(csv, []byte("\n")) != got.Samples+1 {
		t.Errorf("%d samples, %v:\n%s", got.Samples, err, csv)
	}
}

// TestMeteredFails is a run that never opened its window: there is nothing to
// measure, which is said, and no energy.
func TestMeteredFails(t *testing.T) {
	run := &Run{Profile: "ethernet", Engine: "tc"}
	m := Metered{Engine: failing{}, Sensor: steady(t), Every: time.Millisecond}
	res, err := m.Execute(t.Context(), run, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.Measured != nil || res.EnergyJ != 0 || !strings.Contains(strings.Join(res.Warnings, "\n"), "meter: no energy") {
		t.Errorf("measured %v, %v J, warnings %q", res.Measured, res.EnergyJ, res.Warnings)
	}
}

type failing struct{}

func (failing) Execute(_ context.Context, run *Run, _ func(Progress)) (*measure.Result, error) {
	return run.newResult(), nil
}
