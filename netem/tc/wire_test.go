package tc

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var netems = []Netem{
	{},
	{Limit: 1000},
	{Limit: 14, Delay: 800 * ms, Jitter: 10 * ms, Rate: 3250, Overhead: -14, Loss: 85899346},
	{Limit: math.MaxUint32, Rate: 1 << 40, Gemodel: &Gemodel{1, 2, 3, 4}, Duplicate: 5, Corrupt: 6},
}

// What is encoded is decoded again, as the kernel does it.
func TestOptionsRoundTrip(t *testing.T) {
	for _, n := range netems {
		got, err := parseNetem(n.options())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&n, got, cmp.AllowUnexported(Netem{})); diff != "" {
			t.Errorf("%v: %s", &n, diff)
		}
		if list := n.differences(got); len(list) > 0 {
			t.Errorf("differences: %v", list)
		}
	}
}

func TestDifferences(t *testing.T) {
	a, b := netems[2], netems[3]
	if list := a.differences(&b); len(list) != 9 {
		t.Errorf("got %q", list)
	}
}

// TestOptionsBytes pins the layout: struct tc_netem_qopt, then attributes.
func TestOptionsBytes(t *testing.T) {
	n := Netem{Limit: 3, Delay: 64 * 5, Loss: 7, Duplicate: 9, Jitter: 64 * 11, Rate: 13, Overhead: -14, Table: []int16{-1}}
	b := n.options()
	var words []uint32
	for ; len(b) >= 4; b = b[4:] {
		words = append(words, native.Uint32(b))
	}
	header := func(length, kind uint16) uint32 { // two 16-bit fields
		return native.Uint32(native.AppendUint16(native.AppendUint16(nil, length), kind))
	}
	want := []uint32{5, 3, 7, 0, 9, 11, // latency, limit, loss, gap, duplicate, jitter
		header(16, attrCorr), 0, 0, 0,
		header(12, attrReorder), 0, 0,
		header(12, attrCorrupt), 0, 0,
		header(20, attrRate), 13, math.MaxUint32 - 13, 0, 0,
		header(12, attrLatency64), 320, 0,
		header(12, attrJitter64), 704, 0,
		header(6, attrDelayDist), header(0xffff, 0),
	}
	if diff := cmp.Diff(want, words); diff != "" {
		t.Error(diff)
	}
}

func FuzzParseNetem(f *testing.F) {
	for _, n := range netems {
		f.Add(n.options())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := parseNetem(b)
		if err != nil {
			return
		}
		if n.Delay < 0 || n.Jitter < 0 {
			return // no discipline of ours
		}
		again, err := parseNetem(n.options())
		if err != nil {
			t.Fatal(err)
		}
		if list := n.differences(again); len(list) > 0 {
			t.Errorf("differences: %v", list)
		}
	})
}
