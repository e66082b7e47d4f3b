package tc

import (
	"math"
	"slices"

	"github.com/thinlink/thinlink/netem"
)

// A kernel distribution table holds deviations from the delay in units of
// jitter/8192, from which netem draws evenly (NETEM_DIST_SCALE and tabledist
// in Linux's net/sched/sch_netem.c). An int16 spans four times the jitter.
const (
	tableScale = 8192
	tableSpan  = 4
	tableSize  = 4096 // as iproute2's; the kernel takes up to 16384
)

// table is the distribution table of a direction's jitter, nil for the uniform
// one that netem has itself, and the share of draws whose tail it cuts off.
func table(c netem.DirectionConfig) (entries []int16, tail float64) {
	if c.Distribution == "" || c.Distribution == netem.Uniform {
		if c.Jitter <= c.Delay {
			return nil, 0
		}
	}
	quantile := quantiles(c)
	least := -float64(c.Delay) / float64(c.Jitter) // a delay is never negative
	entries = make([]int16, tableSize)
	for i := range entries {
		x := max(quantile((float64(i)+0.5)/tableSize), least)
		scaled := math.Round(x * tableScale)
		if scaled > math.MaxInt16 || scaled < math.MinInt16 {
			tail += 1. / tableSize
			scaled = min(max(scaled, math.MinInt16), math.MaxInt16)
		}
		entries[i] = int16(scaled)
	}
	return entries, tail
}

// quantiles is the quantile function of a direction's jitter, in units of
// jitter from the delay, as netem.Distribution defines the forms.
func quantiles(c netem.DirectionConfig) func(u float64) float64 {
	switch c.Distribution {
	case netem.Normal:
		return normal
	case netem.LogNormal:
		return logNormal(float64(c.Delay) / float64(c.Jitter))
	case netem.Pareto:
		return pareto
	case netem.ParetoNormal:
		return paretoNormal()
	case netem.Table:
		return func(u float64) float64 { return interpolate(c.Table, u) }
	}
	return func(u float64) float64 { return 2*u - 1 }
}

func normal(u float64) float64 { return math.Sqrt2 * math.Erfinv(2*u-1) }

// logNormal has the given mean and standard deviation 1, less the mean.
func logNormal(mean float64) func(u float64) float64 {
	variance := math.Log1p(1 / (mean * mean))
	mu, sigma := math.Log(mean)-variance/2, math.Sqrt(variance)
	return func(u float64) float64 { return math.Exp(mu+sigma*normal(u)) - mean }
}

// pareto has shape 3, mean 0 and standard deviation 1.
func pareto(u float64) float64 {
	const mean, variance = 1.5, 0.75 // of shape 3, minimum 1
	return (math.Pow(1-u, -1./3) - mean) / math.Sqrt(variance)
}

// paretoNormal is 3/4 Pareto and 1/4 normal, scaled to standard deviation 1.
// The sum has no closed quantile function: it is read off the sums of all
// pairs on a grid.
func paretoNormal() func(u float64) float64 {
	const grid = 512
	sums := make([]float64, 0, grid*grid)
	for i := range grid {
		for j := range grid {
			x := 0.75*pareto((float64(i)+0.5)/grid) + 0.25*normal((float64(j)+0.5)/grid)
			sums = append(sums, x/math.Hypot(0.75, 0.25))
		}
	}
	slices.Sort(sums)
	return func(u float64) float64 { return interpolate(sums, u) }
}

// interpolate reads a value off quantiles at equal steps of probability.
func interpolate(table []float64, u float64) float64 {
	x := u * float64(len(table)-1)
	i := int(x)
	if i >= len(table)-1 {
		return table[len(table)-1]
	}
	return table[i] + (x-float64(i))*(table[i+1]-table[i])
}
