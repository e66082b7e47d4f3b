package report

import (
	"math"
	"math/rand/v2"
	"testing"
)

func near(t *testing.T, name string, got, want, tolerance float64) {
	t.Helper()
	if math.IsNaN(got) || math.Abs(got-want) > tolerance {
		t.Errorf("%s is %v, want %v within %v", name, got, want, tolerance)
	}
}

func TestEstimateMedian(t *testing.T) {
	if e := EstimateMedian(nil); e.N != 0 || !math.IsNaN(e.Median) {
		t.Errorf("of nothing: %+v", e)
	}
	if e := EstimateMedian([]float64{3, 1}); e != (Estimate{2, 1, 3, 2}) {
		t.Errorf("of two: %+v", e)
	}
	if e := EstimateMedian([]float64{5, 5, 5, 5}); e != (Estimate{5, 5, 5, 4}) {
		t.Errorf("of equals: %+v", e)
	}
	v := []float64{5, 1, 4, 2, 3}
	e := EstimateMedian(v)
	// The median of a resample of five is 1 if three or more of it are: 0.058.
	// So the interval is the range.
	if e != (Estimate{3, 1, 5, 5}) || v[0] != 5 {
		t.Errorf("of 1..5: %+v, input %v", e, v)
	}
	if again := EstimateMedian(v); again != e {
		t.Errorf("again: %+v, then %+v", e, again)
	}
}

// TestIntervalCovers counts how often the interval holds the true median.
func TestIntervalCovers(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const trials = 300
	covered := 0
	for range trials {
		v := make([]float64, 25)
		for i := range v {
			v[i] = rng.ExpFloat64()
		}
		if e := EstimateMedian(v); e.Lo <= math.Ln2 && math.Ln2 <= e.Hi {
			covered++
		}
	}
	near(t, "coverage", float64(covered)/trials, .95, .04)
}

func TestPermutationP(t *testing.T) {
	// Complete separation is the most extreme of 252 splits, either way round.
	near(t, "5 against 5", permutationP([]float64{1, 2, 3, 4, 5}, []float64{6, 7, 8, 9, 10}), 2./252, 1e-12)
	near(t, "3 against 3", permutationP([]float64{1, 2, 3}, []float64{4, 5, 6}), 2./20, 1e-12)
	near(t, "the same", permutationP([]float64{7, 7, 7}, []float64{7, 7, 7}), 1, 0)
	near(t, "one each", permutationP([]float64{1}, []float64{2}), 1, 0)
	a, b := []float64{1, 4, 6, 2.5, 7}, []float64{3, 4.5, 9, 8}
	near(t, "symmetry", permutationP(a, b)-permutationP(b, a), 0, 1e-12)
	// 20 and 20 are sampled.
	var lo, hi []float64
	for i := range 20 {
		lo, hi = append(lo, float64(i)), append(hi, float64(i+100))
	}
	near(t, "20 against 20", permutationP(lo, hi), 1./(resamples+1), 1e-12)
}

// TestPermutationLevel: of one population, at most 5 % come out below 5 %.
func TestPermutationLevel(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	const trials = 400
	below := 0
	for range trials {
		a, b := make([]float64, 5), make([]float64, 5)
		for i := range a {
			a[i], b[i] = rng.NormFloat64(), rng.NormFloat64()
		}
		if permutationP(a, b) <= .05 {
			below++
		}
	}
	near(t, "share below 5 %", float64(below)/trials, .048, .03)
}

func TestAdjustBH(t *testing.T) {
	// Benjamini and Hochberg's procedure by hand: p*m/rank, running minimum
	// from the largest.
	got := adjustBH([]float64{.01, .04, .03, .005})
	for i, want := range []float64{.02, .04, .04, .02} {
		near(t, "q", got[i], want, 1e-12)
	}
	if len(adjustBH(nil)) != 0 {
		t.Error("of nothing")
	}
}

func TestEachSplit(t *testing.T) {
	n := 0
	eachSplit([]float64{1, 2, 3, 4, 5, 6}, 2, func(a, b []float64) {
		n++
		if len(a) != 2 || len(b) != 4 || a[0] >= a[1] {
			t.Errorf("split %v %v", a, b)
		}
	})
	if n != 15 || binomial(6, 2) != 15 || binomial(16, 8) != 12870 || binomial(40, 20) <= exactSplits {
		t.Errorf("%d splits of 6 into 2 and 4", n)
	}
}
