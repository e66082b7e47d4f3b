package main

import (
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/thinlink/thinlink/measure"
	"github.com/thinlink/thinlink/netem"
)

// TestImportAligned lays a capture beside a run of 100 s with a packet at every
// tenth second: 0.1 W, and 1 W for a second around each packet.
func TestImportAligned(t *testing.T) {
	dir := t.TempDir()
	start := time.Unix(1_700_000_000, 0)
	rec := measure.NewRecorder(start, netip.MustParseAddr("100.64.0.2"))
	rec.OpenWindow(start.Add(5 * time.Second))
	ip := append([]byte{0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 100, 64, 0, 2, 203, 0, 113, 10}, 0x9c, 0x40, 0x16, 0x33, 0, 8, 0, 0)
	for i := range 10 {
		id := uint64(i + 1)
		at := start.Add(time.Duration(10*i) * time.Second).Add(10 * time.Second)
		rec.Sent(at, id, netem.Up, ip)
		rec.Delivered(at, id)
	}
	rec.CloseWindow(start.Add(105 * time.Second))
	if _, err := measure.WriteFiles(dir, "run", rec.Trace(), measure.About{Profile: "test"}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		offset  float64 // of the meter's clock, s
		warning string
	}{{0, ""}, {5, "not aligned: the power does not rise when packets pass"}} {
		var csv strings.Builder
		csv.WriteString("Time (s),Power (W)\n")
		for i := range 1200 {
			at, w := float64(i)/10, 0.1
			if phase := math.Mod(at+10-c.offset, 10); at > 7 && (phase < 0.5 || phase > 9.45) {
				w = 1 + float64(i%3)/1000
			}
			fmt.Fprintf(&csv, "%.3f,%g\n", 1_700_000_000+at, w)
		}
		file := filepath.Join(dir, "meter.csv")
		if err := os.WriteFile(file, []byte(csv.String()), 0o666); err != nil {
			t.Fatal(err)
		}
		var stdout, stderr strings.Builder
		if status := run(t.Context(), []string{"power", "import", file, "--run", filepath.Join(dir, "run"), "--baseline", "100mW", "--json"}, nil, &stdout, &stderr); status != exitOK {
			t.Fatalf("status %d: %s", status, stderr.String())
		}
		var got imported
		if err := json.Unmarshal([]byte(stdout.String()), &got); err != nil {
			t.Fatal(err)
		}
		if math.Abs(got.DurationS-100) > 0.2 || math.Abs(got.EnergyJ-19) > 0.5 || math.Abs(got.AboveFloorJ-9) > 0.5 {
			t.Errorf("offset %v: %v s, %v J, %v J above the baseline; want 100, 19 and 9", c.offset, got.DurationS, got.EnergyJ, got.AboveFloorJ)
		}
		if a := got.Aligned; a == nil || a.Packets != 10 || a.Bytes != 280 {
			t.Errorf("aligned %+v", a)
		}
		if all := strings.Join(got.Warnings, "\n"); c.warning == "" && all != "" || !strings.Contains(all, c.warning) {
			t.Errorf("offset %v: warnings %q, want %q", c.offset, all, c.warning)
		}
	}
}
