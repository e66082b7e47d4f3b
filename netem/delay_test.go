package netem

import (
	"math"
	"slices"
	"testing"
	"time"
)

// TestDistributions checks mean, standard deviation and one more value that
// tells the forms apart.
func TestDistributions(t *testing.T) {
	const n = 400_000
	const mean, jitter = 500.0, 50.0 // ms
	for _, test := range []struct {
		form Distribution
		dev  float64
		q    float64 // a probability and the quantile there, in ms
		at   float64
	}{
		{Uniform, jitter / math.Sqrt(3), 1, 550},
		{Normal, jitter, 0.9772, 600},
		{LogNormal, jitter, 0.5, 500 / math.Sqrt(1.01)},
		{Pareto, jitter, 0, 500 - 50*0.57735},
		{ParetoNormal, jitter, 0.5, 490.8}, // by numerical integration
		{Table, 0, 0.75, 550},
	} {
		t.Run(string(test.form), func(t *testing.T) {
			cfg := DirectionConfig{Delay: mean * ms, Jitter: jitter * ms, Distribution: test.form, Table: []float64{-2, -1, 0, 1, 2}}
			d := newDelay(cfg, generator(1, Up, stageDelay))
			var xs []float64
			var sum, squares float64
			for range n {
				x := float64(d.draw()) / float64(ms)
				xs = append(xs, x)
				sum += x
				squares += x * x
			}
			slices.Sort(xs)
			m := sum / n
			dev := math.Sqrt(squares/n - m*m)
			if math.Abs(m/mean-1) > 0.001 {
				t.Errorf("mean %.2f ms, want %.2f", m, mean)
			}
			// A Pareto sample's deviation converges slowly: its fourth
			// moment does not exist.
			if test.dev > 0 && math.Abs(dev/test.dev-1) > 0.05 {
				t.Errorf("standard deviation %.2f ms, want %.2f", dev, test.dev)
			}
			if got := xs[int(test.q*(n-1))]; math.Abs(got-test.at) > 0.5 {
				t.Errorf("quantile %g is %.2f ms, want %.2f", test.q, got, test.at)
			}
		})
	}
}

func TestDelayNeverNegative(t *testing.T) {
	for _, form := range []Distribution{Uniform, Normal, Pareto, ParetoNormal} {
		d := newDelay(DirectionConfig{Delay: ms, Jitter: time.Second, Distribution: form, Reorder: true}, generator(1, Up, stageDelay))
		for range 1000 {
			if due := d.due(7); due < 7 {
				t.Fatalf("%s: delivered %d ns before it was sent", form, 7-due)
			}
		}
	}
}

// TestLatencyTail: the stalls of a Latency make its tail.
func TestLatencyTail(t *testing.T) {
	s := sampler{Latency{Fixed: sec, Median: sec, Sigma: 0.3, StallProbability: 0.005, StallMedian: 30 * sec, StallSigma: 0.5}, generator(1, Up, stageRRC)}
	var xs []int64
	for range 100_000 {
		xs = append(xs, s.draw())
	}
	slices.Sort(xs)
	for _, want := range []struct{ q, s float64 }{{0.5, 2.0}, {0.95, 1 + math.Exp(0.3*1.66)}, {0.9975, 32}} {
		if got := float64(xs[int(want.q*1e5)]) / 1e9; math.Abs(got/want.s-1) > 0.1 {
			t.Errorf("quantile %g is %.2f s, want %.2f", want.q, got, want.s)
		}
	}
	if xs[0] < int64(sec) {
		t.Errorf("%v is less than the fixed part", time.Duration(xs[0]))
	}
}
