package report

import (
	"bytes"
	"encoding/xml"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestScale(t *testing.T) {
	s := newScale([]float64{1, 1000, math.NaN()})
	if !s.Log || s.Min != 1 || s.Max != 1000 {
		t.Errorf("scale %+v", s)
	}
	near(t, "middle of a logarithmic scale", s.at(math.Sqrt(1000)), .5, 1e-12)
	near(t, "below", s.at(.1), 0, 0)
	if got, want := s.ticks(5), []float64{1, 3, 10, 30, 100, 300, 1000}; !slices.EqualFunc(got, want, func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }) {
		t.Errorf("ticks %v, want %v", got, want)
	}
	if s := newScale([]float64{0, 1000}); s.Log {
		t.Error("logarithmic with a zero")
	}
	near(t, "of equals", newScale([]float64{3, 3}).at(3), 0, 0)
	if got, want := (scale{Max: 100}).ticks(5), []float64{0, 20, 40, 60, 80, 100}; !slices.Equal(got, want) {
		t.Errorf("ticks %v, want %v", got, want)
	}
	if got, want := (scale{Max: 1, Whole: true}).ticks(5), []float64{0, 1}; !slices.Equal(got, want) {
		t.Errorf("whole ticks %v, want %v", got, want)
	}
	near(t, "up to whole steps", ceilTo(147, 5), 150, 0)
}

// TestTicksInside: ticks lie inside their scale, in order and not too many.
func TestTicksInside(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 2000 {
		lo := math.Pow(10, rng.Float64()*12-6)
		s := scale{Min: lo, Max: lo * (1 + math.Pow(10, rng.Float64()*6-2)), Log: rng.IntN(2) == 0}
		ticks := s.ticks(5)
		if len(ticks) > 20 || !slices.IsSorted(ticks) {
			t.Fatalf("%+v: ticks %v", s, ticks)
		}
		for _, v := range ticks {
			if v < s.Min*(1-1e-6) || v > s.Max*(1+1e-6) {
				t.Fatalf("%+v: tick %v is outside", s, v)
			}
		}
	}
}

// TestSVGEscapes: names from files do not become markup, in charts or pages.
func TestSVGEscapes(t *testing.T) {
	evil := `<script>alert("x")</script>&'`
	records := append(runsOf(evil, "0%", 100), runsOf(evil, "2%", 100)...)
	for _, r := range records {
		r.Profile, r.Interrupt, r.Error, r.Command = evil, evil, evil, evil
		r.Warnings = []string{evil}
	}
	f := &Folder{Dir: "x", Records: records}
	g := newGrid(records)
	dec := xml.NewDecoder(strings.NewReader(string(g.curves(g.views[0], completionTime)[0].SVG())))
	for {
		tok, err := dec.Token()
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if e, ok := tok.(xml.StartElement); ok && e.Name.Local == "script" {
			t.Error("a name became an element")
		}
	}
	var b bytes.Buffer
	if err := HTML(&b, f); err != nil {
		t.Fatal(err)
	}
	if s := b.String(); strings.Contains(s, "<script>alert") || strings.Contains(s, "ZgotmplZ") || strings.Count(s, "<script>") != 1 {
		t.Error("a name became markup, or a template refused a value")
	}
}

// TestSame: the same folder gives the same page, byte for byte, and nothing in
// it loads anything.
func TestSame(t *testing.T) {
	records := smallSweep()
	var pages [2]bytes.Buffer
	for i := range pages {
		f := writeFolder(t, t.TempDir(), records)
		f.Dir = "results"
		slices.Reverse(records) // runs end in another order
		if err := HTML(&pages[i], f); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(pages[0].Bytes(), pages[1].Bytes()) {
		t.Error("two pages of the same results differ")
	}
	for _, load := range []string{"http://", "https://", "src=", "@import", "url("} {
		if bytes.Contains(pages[0].Bytes(), []byte(load)) {
			t.Errorf("the page has %q", load)
		}
	}
}
