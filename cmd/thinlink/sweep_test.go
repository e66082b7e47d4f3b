package main

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/thinlink/thinlink/report"
)

// TestSweepExamples runs the sweeps of examples/ that take seconds.
func TestSweepExamples(t *testing.T) {
	if f := sweepExample(t, "sweep-small"); len(f.Records) != 24 {
		t.Errorf("%d results: want 24", len(f.Records))
	}
}

// TestTimersFit holds what the README says of timers: with the standard's,
// CoAP repeats nearly every block at coverage level 2, with the profile's
// hardly any.
func TestTimersFit(t *testing.T) {
	spurious := map[string][]int64{}
	for _, r := range sweepExample(t, "sweep-timers").Records {
		if r.Profile == "nbiot-ce2" && r.Stack == "lwm2m-coap-pull" {
			timers := r.Set["stack.timers"]
			spurious[timers] = append(spurious[timers], int64(r.Retransmissions.CoAPSpurious))
		}
	}
	if slices.Min(spurious["standard"]) < 64 || slices.Max(spurious["profile"]) > 2 {
		t.Errorf("spurious retransmissions of 64 blocks: %v", spurious)
	}
}

// sweepExample runs a sweep of examples/, all of which completes.
func sweepExample(t *testing.T, name string) *report.Folder {
	t.Helper()
	t.Setenv("THINLINK_SIM", worker)
	dir := filepath.Join(t.TempDir(), "out")
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), []string{"sweep", "../../examples/" + name + ".yaml", "-o", dir}, strings.NewReader(""), &stdout, &stderr); status != exitOK {
		t.Fatalf("status %d: %s%s", status, stdout.String(), stderr.String())
	}
	f, err := report.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range f.Cells() {
		if c.Completed != 3 || c.Doubtful != "" {
			t.Errorf("%s over %s: %d completed, doubtful %q", c.Stack, c.Profile, c.Completed, c.Doubtful)
		}
	}
	return f
}
