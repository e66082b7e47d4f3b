package report

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// Estimate is a median with its 95 % interval.
type Estimate struct {
	Median float64 `json:"median"`
	Lo     float64 `json:"lo"`
	Hi     float64 `json:"hi"`
	N      int     `json:"n"`
}

// resamples of a bootstrap or a permutation test: the error of an interval's
// ends and of a p-value near 0.05 is then below 0.005.
const resamples = 2000

// statsSeed makes every report of the same results the same.
const statsSeed = 0x7468696e6c696e6b

// EstimateMedian returns the median of values with its 95 % percentile
// bootstrap interval. The same values give the same interval. With fewer than
// three values the interval is their range; of none, all is NaN.
func EstimateMedian(values []float64) Estimate {
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	if n == 0 {
		return Estimate{math.NaN(), math.NaN(), math.NaN(), 0}
	}
	e := Estimate{median(v), v[0], v[n-1], n}
	if n < 3 || v[0] == v[n-1] {
		return e
	}
	// Resampling indices of sorted values and sorting those is the same as
	// resampling values.
	rng := rand.New(rand.NewPCG(statsSeed, uint64(n)))
	medians := make([]float64, resamples)
	idx := make([]int, n)
	for i := range medians {
		for j := range idx {
			idx[j] = rng.IntN(n)
		}
		slices.Sort(idx)
		medians[i] = (v[idx[(n-1)/2]] + v[idx[n/2]]) / 2
	}
	slices.Sort(medians)
	e.Lo, e.Hi = quantile(medians, .025), quantile(medians, .975)
	return e
}

// median of sorted values, at least one.
func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// quantile interpolates linearly between the closest ranks of sorted values.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	lo, hi := math.Floor(at), math.Ceil(at)
	return sorted[int(lo)] + (at-lo)*(sorted[int(hi)]-sorted[int(lo)])
}

// exactSplits is up to how many splits a permutation test tries all: enough
// for 8 and 8 runs.
const exactSplits = 12_870

// permutationP is the two-sided p-value of "a and b are of one population":
// the share of all ways to split the values into groups of these sizes whose
// medians differ at least as much. Equal differences of medians, common with
// few values, are ordered by the difference of means, which keeps the test
// exact and lets it reach the smallest p the sizes allow. More than exactSplits
// ways are sampled.
func permutationP(a, b []float64) float64 {
	all := slices.Concat(a, b)
	slices.Sort(all)
	seen := splitDifference(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
	extreme, total := 0, 0
	count := func(x, y []float64) {
		total++
		if !splitDifference(x, y).less(seen) {
			extreme++
		}
	}
	if n := binomial(len(all), len(a)); n <= exactSplits {
		eachSplit(all, len(a), count)
		return float64(extreme) / float64(total)
	}
	rng := rand.New(rand.NewPCG(statsSeed, uint64(len(all))))
	x, y := make([]float64, len(a)), make([]float64, len(b))
	for range resamples {
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		copy(x, all)
		copy(y, all[len(a):])
		slices.Sort(x)
		slices.Sort(y)
		count(x, y)
	}
	// What was seen is one of the possible splits (Davison and Hinkley 1997,
	// section 4.2): p is never 0.
	return float64(extreme+1) / float64(total+1)
}

// difference compares two groups: by medians, then by means.
type difference struct{ median, mean float64 }

func splitDifference(a, b []float64) difference {
	return difference{math.Abs(median(a) - median(b)), math.Abs(mean(a) - mean(b))}
}

// less tolerates the rounding of sums in different orders.
func (d difference) less(e difference) bool {
	if c := compareNearly(d.median, e.median); c != 0 {
		return c < 0
	}
	return compareNearly(d.mean, e.mean) < 0
}

func compareNearly(a, b float64) int {
	if math.Abs(a-b) <= 1e-9*max(math.Abs(a), math.Abs(b)) {
		return 0
	}
	return cmp.Compare(a, b)
}

func mean(v []float64) float64 {
	sum := 0.
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

// binomial is n over k, or more than exactSplits.
func binomial(n, k int) int {
	b := 1
	for i := 1; i <= min(k, n-k); i++ {
		b = b * (n - i + 1) / i
		if b > exactSplits {
			return b
		}
	}
	return b
}

// eachSplit calls f with every split of sorted values into k and the others,
// both sorted. f must not keep them.
func eachSplit(sorted []float64, k int, f func(a, b []float64)) {
	a, b := make([]float64, 0, k), make([]float64, 0, len(sorted)-k)
	var walk func(i int)
	walk = func(i int) {
		if i == len(sorted) {
			f(a, b)
			return
		}
		if len(a) < k {
			a = append(a, sorted[i])
			walk(i + 1)
			a = a[:len(a)-1]
		}
		if len(b) < len(sorted)-k {
			b = append(b, sorted[i])
			walk(i + 1)
			b = b[:len(b)-1]
		}
	}
	walk(0)
}

// adjustBH turns p-values into those of Benjamini and Hochberg (1995): calling
// significant what is below a level keeps the expected share of false calls
// below it.
func adjustBH(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(p[j], p[i]) }) // largest first
	q := make([]float64, len(p))
	lowest := 1.
	for k, i := range order {
		rank := len(p) - k
		lowest = min(lowest, p[i]*float64(len(p))/float64(rank))
		q[i] = lowest
	}
	return q
}
