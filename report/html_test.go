package report

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestSample writes the sample pages where THINLINK_SAMPLES says, for people
// to look at.
func TestSample(t *testing.T) {
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
		t.Logf("%s: %d bytes", name, b.Len())
		if err := os.WriteFile(filepath.Join(out, name+".html"), b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}
