package report

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestPageSize holds the page of a sweep of 3,200 runs to what a phone opens
// with ease. The pages go where THINLINK_SAMPLES says, for people to look at.
func TestPageSize(t *testing.T) {
	out := os.Getenv("THINLINK_SAMPLES")
	if out == "" {
		out = t.TempDir()
	}
	for name, records := range map[string][]*Record{"sweep": sampleSweep(5), "paper": samplePaper()} {
		dir := filepath.Join(t.TempDir(), name)
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		writeCapture(t, dir, records[0])
		writeCapture(t, dir, records[1])
		f := writeFolder(t, dir, records)
		var b bytes.Buffer
		if err := HTML(&b, f); err != nil {
			t.Fatal(err)
		}
		if n := b.Len(); n < 100<<10 || n > 3<<20 {
			t.Errorf("%s has %d bytes, want 100 KiB to 3 MiB", name, n)
		}
		if err := os.WriteFile(filepath.Join(out, name+".html"), b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}
