package report

import (
	"bytes"
	"encoding/xml"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// smallSweep is one profile of the sample.
func smallSweep() []*Record {
	var records []*Record
	for _, r := range sampleSweep(3) {
		if r.Profile == "nbiot" && (r.Interrupt == "" || r.Interrupt == "outage") {
			records = append(records, r)
		}
	}
	return records
}

func TestPlots(t *testing.T) {
	dir := t.TempDir()
	records := smallSweep()
	writeCapture(t, dir, records[0])
	f := writeFolder(t, dir, records)
	for _, format := range []string{"svg", "png"} {
		out := os.Getenv("THINLINK_SAMPLES")
		if out == "" {
			out = t.TempDir()
		}
		out = filepath.Join(out, format)
		names, err := Plots(out, format, f)
		if err != nil {
			t.Fatal(err)
		}
		// Two views: 6 heat maps, one chart of curves, and 2 bar charts for
		// each of 5 losses; one of waste; 3 of the capture.
		if want := 2*(6+1+10) + 1 + 3; len(names) != want {
			t.Errorf("%d files, want %d: %q", len(names), want, names)
		}
		for _, name := range names {
			b, err := os.ReadFile(filepath.Join(out, name))
			if err != nil {
				t.Fatal(err)
			}
			if format == "png" {
				if _, err := png.Decode(bytes.NewReader(b)); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				continue
			}
			checkSVG(t, name, b)
		}
	}
}

func checkSVG(t *testing.T, name string, b []byte) {
	t.Helper()
	dec := xml.NewDecoder(bytes.NewReader(b))
	var text strings.Builder
	for {
		tok, err := dec.Token()
		if err == io.EOF {
			break
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		if c, ok := tok.(xml.CharData); ok {
			text.Write(c)
		}
	}
	want := "nbiot"
	switch {
	case strings.HasPrefix(name, "matrix-completion"):
		want = "lwm2m-coap-pull"
	case strings.HasPrefix(name, "curves"):
		want = "completion time, s"
	case strings.Contains(name, "packet-lengths"):
		want = "IP packet length, B"
	}
	if !strings.Contains(text.String(), want) {
		t.Errorf("%s does not say %q", name, want)
	}
}

func TestFileName(t *testing.T) {
	for in, want := range map[string]string{
		"matrix-bytes-ota, outage@50%:90s": "matrix-bytes-ota-outage-50-90s",
		"../../etc/passwd":                 "etc-passwd",
		"A=1":                              "a=1",
	} {
		if got := fileName(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
