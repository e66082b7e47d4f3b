package tc

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/thinlink/thinlink/netem"
)

// Each fault is told by its likely cause.
func TestJudge(t *testing.T) {
	up, down := Netem{Limit: 99, Delay: 50 * ms, Rate: 2500}, Netem{Limit: 99, Delay: 20 * ms, Rate: 12500}
	const bytes = 78
	// train is what a link makes of probes: the burst's packets follow each other
	// at the given gaps.
	train := func(delay time.Duration, gap func(i int) time.Duration) (list []Passage) {
		at := time.Unix(1000, 0)
		done := at
		for i := range probeSingles + probeBurst {
			p := Passage{Sent: at, Dir: netem.Up, Data: make([]byte, bytes)}
			if i < probeSingles {
				at = at.Add(time.Second)
				done = p.Sent.Add(delay)
			} else {
				done = done.Add(gap(i - probeSingles))
			}
			p.Done = done
			list = append(list, p)
		}
		return list
	}
	air := up.airtime(bytes)
	steady := func(d time.Duration) func(int) time.Duration { return func(int) time.Duration { return d } }
	lose := func(n int, list []Passage) []Passage {
		for i := range n {
			list[i].Lost = netem.DropLoss
		}
		return list
	}
	for _, test := range []struct {
		name string
		list []Passage
		loss float64
		want string
	}{
		{"as planned", train(50*ms+air, steady(air)), 0, ""},
		{"late", train(70*ms+air, steady(air)), 0, "a probe took 106.8ms, want 86.8ms: is another program"},
		{"exchanged", train(20*ms+down.airtime(bytes), steady(down.airtime(bytes))), 0, "are the directions exchanged?"},
		{"twice as fast", train(50*ms+air, steady(air/2)), 0, "is the rate another"},
		{"joined", train(50*ms+air, steady(0)), 0, "is an offload on"},
		{"credit", train(50*ms+air, func(i int) time.Duration {
			if i < 4 {
				return 0
			}
			return air
		}), 0, "credit for bursts"},
		{"another way", train(50*ms+air, steady(air))[1:], 0, "do they take another way?"},
		{"one loss", lose(1, train(50*ms+air, steady(air))), 0, "1 probes of 13 were lost, want 0%"},
		{"few losses", lose(2, train(50*ms+air, steady(air))), 0.1, ""},
		{"many losses", lose(10, train(50*ms+air, steady(air))), 0.1, "10 probes of 13 were lost, want 10%"},
		{"too few losses", train(50*ms+air, steady(air)), 0.9, "0 probes of 13 were lost, want 90%"},
	} {
		n := up
		n.Loss = probability(test.loss)
		p := newProbe(netem.Up, &n)
		got := strings.Join(p.judge(test.list, &down), "; ")
		if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestBinomial(t *testing.T) {
	if got := binomial(4, 2, 0.5); math.Abs(got-0.375) > 1e-12 {
		t.Errorf("two of four coins: %g", got)
	}
	if got := binomial(13, 0, 0); got != 1 {
		t.Errorf("none of 13: %g", got)
	}
}
