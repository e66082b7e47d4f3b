package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/thinlink/thinlink/report"
)

// TestSweepExamples runs the sweeps of examples/ that take seconds.
func TestSweepExamples(t *testing.T) {
	t.Setenv("THINLINK_SIM", worker)
	dir := filepath.Join(t.TempDir(), "out")
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), []string{"sweep", "../../examples/sweep-small.yaml", "-o", dir}, strings.NewReader(""), &stdout, &stderr); status != exitOK {
		t.Fatalf("status %d: %s%s", status, stdout.String(), stderr.String())
	}
	f, err := report.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Records) != 24 {
		t.Errorf("%d results: want 24", len(f.Records))
	}
	for _, c := range f.Cells() {
		if c.Completed != 3 || c.Doubtful != "" {
			t.Errorf("%s over %s: %d completed, doubtful %q", c.Stack, c.Profile, c.Completed, c.Doubtful)
		}
	}
}
