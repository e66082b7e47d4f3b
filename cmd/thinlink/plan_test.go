package main

import (
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/thinlink/thinlink/lab"
	"github.com/thinlink/thinlink/plan"
)

// TestPlanExamples answers every plan of examples/, with fewer devices and for
// a shorter time.
func TestPlanExamples(t *testing.T) {
	files, err := filepath.Glob("../../examples/plan-*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d examples, %v", len(files), err)
	}
	meter := plan.NewMeter(&lab.Pool{Engines: map[string]lab.Engine{
		"sim": &lab.Workers{Command: []string{worker}, Hang: time.Minute},
	}})
	for _, file := range files {
		d, err := plan.Load(file, "count=1000", "duration=2h", "service.skip=true")
		if err != nil {
			t.Error(err)
			continue
		}
		a, err := plan.Solve(t.Context(), d, meter)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		for _, g := range a.Groups {
			if g.ReportUp == 0 || g.Reports == 0 || g.Delay.N == 0 || math.IsNaN(g.BytesMonth) {
				t.Errorf("%s: group %s: %+v", file, g.Name, g)
			}
			if o := g.OTA; o != nil && o.Updated == 0 {
				t.Errorf("%s: group %s: nothing was updated: %+v", file, g.Name, o)
			}
			if l := g.Battery; l != nil && (l.P5 <= 0 || l.P95 < l.P5) {
				t.Errorf("%s: group %s: battery %+v", file, g.Name, l)
			}
		}
	}
}

// TestPlanDelay holds the cell model against engine sim: on an empty cell a
// report takes as long as the real stack's over the same profile.
func TestPlanDelay(t *testing.T) {
	meter := plan.NewMeter(&lab.Pool{Engines: map[string]lab.Engine{
		"sim": &lab.Workers{Command: []string{worker}, Hang: time.Minute},
	}})
	// So few devices that none waits for another.
	d, err := plan.Load("../../examples/plan-smart-meters.yaml", "count=200", "service.skip=true")
	if err != nil {
		t.Fatal(err)
	}
	a, err := plan.Solve(t.Context(), d, meter)
	if err != nil {
		t.Fatal(err)
	}
	// Median round trips from idle, 20 B, are 2.48 s at CE1 and 6.37 s at CE2 in
	// a measurement study; a report goes one way but has 146 B, and CE0's first
	// ping of a train takes 0.5 to 0.6 s.
	for i, limit := range [][2]float64{{0.3, 0.8}, {1.2, 3.5}, {3.5, 8.5}} {
		if got := a.Delay[i+1].P50S; a.Delay[i+1].N > 0 && (got < limit[0] || got > limit[1]) {
			t.Errorf("%s: median %g s, want %v", a.Delay[i+1].Class, got, limit)
		}
	}
}
