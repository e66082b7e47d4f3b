package netem

import (
	"math"
	"testing"

	"github.com/thinlink/thinlink/internal/units"
)

// bursts runs a loss model and returns the share lost and the mean length of
// a run of losses.
func bursts(cfg LossConfig, n int) (share, length float64) {
	l := newLoss(cfg, generator(1, Up, stageLoss))
	var lost, runs int
	before := false
	for range n {
		now := l.lost()
		if now {
			lost++
			if !before {
				runs++
			}
		}
		before = now
	}
	return float64(lost) / float64(n), float64(lost) / float64(max(1, runs))
}

func TestIndependentLoss(t *testing.T) {
	const n = 1_000_000
	for _, p := range []float64{0.0005, 0.02, 0.1, 0.5} {
		share, length := bursts(LossConfig{Rate: units.Fraction(p)}, n)
		if limit := 2.576 * math.Sqrt(p*(1-p)/n); math.Abs(share-p) > limit { // 99 %
			t.Errorf("lost %.5f of the packets, want %.5f +- %.5f", share, p, limit)
		}
		if want := 1 / (1 - p); math.Abs(length/want-1) > 0.02 {
			t.Errorf("%.3f losses in a row, want %.3f", length, want)
		}
	}
}

// TestGilbertElliott compares with the model's stationary distribution: the
// bad state holds p/(p+r) of the time and, if it loses all and the good state
// nothing, runs of losses last 1/r.
func TestGilbertElliott(t *testing.T) {
	for _, test := range []struct {
		name          string
		cfg           LossConfig
		share, length float64
	}{
		{"Gilbert: 1 in 100 with runs of 4", LossConfig{P: 0.0025, R: 0.2475, BadLoss: 1}, 0.01, 1 / 0.2475},
		{"Bernoulli in disguise", LossConfig{P: 0.02, R: 0.98, BadLoss: 1}, 0.02, 1 / 0.98},
		{"Gilbert-Elliott", LossConfig{P: 0.01, R: 0.1, BadLoss: 0.5, GoodLoss: 0.001}, 0.01/0.11*0.5 + 0.1/0.11*0.001, 0},
		{"good state only", LossConfig{R: 0.5, BadLoss: 1, GoodLoss: 0.03}, 0.03, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			share, length := bursts(test.cfg, 4_000_000)
			if math.Abs(share/test.share-1) > 0.02 {
				t.Errorf("lost %.5f, want %.5f", share, test.share)
			}
			if got := test.cfg.Mean(); math.Abs(got/test.share-1) > 1e-9 {
				t.Errorf("Mean is %.5f, want %.5f", got, test.share)
			}
			if test.length > 0 && math.Abs(length/test.length-1) > 0.02 {
				t.Errorf("%.3f losses in a row, want %.3f", length, test.length)
			}
		})
	}
}

// TestGilbertElliottOrder: the loss follows the state before the transition,
// as in the kernel.
func TestGilbertElliottOrder(t *testing.T) {
	l := newLoss(LossConfig{P: 1, R: 1, BadLoss: 1}, generator(1, Up, stageLoss))
	for i := range 6 {
		if got, want := l.lost(), i%2 == 1; got != want {
			t.Errorf("packet %d lost: %v, want %v", i, got, want)
		}
	}
}
