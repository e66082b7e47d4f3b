package report

import (
	"slices"
	"strings"
	"testing"
)

func TestSummary(t *testing.T) {
	var records []*Record
	records = append(records, runsOf("quick", "0%", 100)...)
	records = append(records, runsOf("slow", "0%", 200)...)
	records = append(records, runsOf("quick", "2%", 100)...)
	records = append(records, runsOf("slow", "2%", 102)...)
	got := newGrid(records).summary()
	if len(got) != 1 || got[0].Heading != "ota over nbiot" {
		t.Fatalf("verdicts: %+v", got)
	}
	// The medians are 103, 203 and 105: 49.3 % and 1.9 % less, 25.6 % in the
	// median. Only the first two intervals do not overlap.
	want := []string{
		"quick finishes first in all 2 cells, clearly in 1; 25.6\u00a0% sooner than the next.",
		"quick, slow send the fewest bytes, all alike.",
	}
	if !slices.Equal(got[0].Sentences, want) {
		t.Errorf("%q, want %q", got[0].Sentences, want)
	}
	if alone := newGrid(runsOf("quick", "0%", 1)).summary(); len(alone) != 0 {
		t.Errorf("of one stack: %+v", alone)
	}
}

func TestDoubt(t *testing.T) {
	for _, test := range []struct {
		completed, runs int
		want            string
	}{{5, 5, ""}, {3, 5, ""}, {3, 6, ""}, {3, 7, "3 of 7 runs completed"}, {2, 5, "2 of 5 runs completed"}, {1, 1, "only 1 run"}, {0, 1, "0 of 1 run completed"}} {
		c := &cell{}
		for i := range test.runs {
			r := &Record{}
			r.Completed = i < test.completed
			c.runs = append(c.runs, r)
		}
		if got := c.doubt(); got != test.want {
			t.Errorf("%d of %d: %q, want %q", test.completed, test.runs, got, test.want)
		}
	}
}

// TestDoubtfulShown: a cell of which no run completed is there, and so is the
// reason.
func TestDoubtfulShown(t *testing.T) {
	records := append(runsOf("good", "0%", 100), runsOf("bad", "0%", 100)...)
	for _, r := range records[5:] {
		r.Completed, r.Error = false, "no answer"
	}
	maps, _ := newGrid(records).heatMaps("ota", completionTime)
	if c := maps[0].Cells[0][0]; c.Text != "failed" || c.Doubt != "0 of 5 runs completed" || !strings.Contains(c.Tip, "no run completed") {
		t.Errorf("failed cell: %+v", c)
	}
	if c := maps[0].Cells[1][0]; c.Text != "103" || c.Doubt != "" {
		t.Errorf("sound cell: %+v", c)
	}
	f := &Folder{Dir: "x", Records: records}
	if n := notices(f); len(n) != 1 || !strings.Contains(n[0], "1 of 2 cells are doubtful") {
		t.Errorf("notices: %q", n)
	}
	errors := sources(f, newGrid(records))
	if !slices.ContainsFunc(errors, func(s source) bool { return s.Name == "errors" && s.Values[0].Text == "no answer (5 runs)" }) {
		t.Errorf("sources: %+v", errors)
	}
}

func TestSeedRanges(t *testing.T) {
	var records []*Record
	for _, seed := range []uint64{7, 1, 2, 3, 9, 10, 3} {
		r := &Record{}
		r.Seed = seed
		records = append(records, r)
	}
	if got := seedRanges(records); got != "1-3, 7, 9, 10" {
		t.Error(got)
	}
}

// TestViews: what varies names the view or the stack; what does not, neither.
func TestViews(t *testing.T) {
	a, b := runsOf("mqtt", "0%", 1), runsOf("lwm2m", "0%", 1)
	for i, r := range b {
		r.Set["stack.lwm2m.block"] = []string{"512", "1024"}[i%2]
		r.Set["stack.lwm2m.cid"] = "8"
	}
	for _, r := range slices.Concat(a[:2], b[:2]) {
		r.Interrupt = "outage"
	}
	g := newGrid(slices.Concat(a, b))
	if want := []string{"ota", "ota, outage"}; !slices.Equal(g.views, want) {
		t.Errorf("views %q, want %q", g.views, want)
	}
	if want := []string{"lwm2m block=1024", "lwm2m block=512", "mqtt"}; !slices.Equal(g.stacks, want) {
		t.Errorf("stacks %q, want %q", g.stacks, want)
	}
	if g.fixed["image"] != "256KiB" || g.fixed["stack.lwm2m.cid"] != "8" {
		t.Errorf("shared by all: %v", g.fixed)
	}
}
