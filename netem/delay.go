package netem

import (
	"math"
	"math/rand/v2"
)

// delay draws the time between serialisation and delivery.
type delay struct {
	cfg  DirectionConfig
	rng  *rand.Rand
	last int64 // latest delivery so far

	logMean, logSigma float64 // of the lognormal distribution
}

func newDelay(cfg DirectionConfig, rng *rand.Rand) *delay {
	d := &delay{cfg: cfg, rng: rng}
	if cfg.Distribution == LogNormal && cfg.Delay > 0 {
		// mean m and standard deviation s of exp(N(mu, sigma)):
		// sigma^2 = ln(1 + s^2/m^2), mu = ln m - sigma^2/2
		ratio := float64(cfg.Jitter) / float64(cfg.Delay)
		variance := math.Log1p(ratio * ratio)
		d.logMean = math.Log(float64(cfg.Delay)) - variance/2
		d.logSigma = math.Sqrt(variance)
	}
	return d
}

// due is when a packet is delivered that leaves the air now.
func (d *delay) due(now int64) int64 {
	due := now + int64(d.cfg.Delay)
	if d.cfg.Jitter > 0 {
		due = now + max(0, d.draw())
	}
	if d.cfg.Reorder {
		return due
	}
	d.last = max(d.last, due)
	return d.last
}

func (d *delay) draw() int64 {
	mean, jitter := float64(d.cfg.Delay), float64(d.cfg.Jitter)
	switch d.cfg.Distribution {
	case Normal:
		mean += jitter * d.rng.NormFloat64()
	case LogNormal:
		mean = math.Exp(d.logMean + d.logSigma*d.rng.NormFloat64())
	case Pareto:
		mean += jitter * pareto(d.rng)
	case ParetoNormal:
		// Variances add: scaled so that the standard deviation is 1.
		x := (0.75*pareto(d.rng) + 0.25*d.rng.NormFloat64()) / math.Sqrt(0.75*0.75+0.25*0.25)
		mean += jitter * x
	case Table:
		mean += jitter * quantile(d.cfg.Table, d.rng.Float64())
	default: // Uniform
		mean += jitter * (2*d.rng.Float64() - 1)
	}
	return int64(math.Round(mean))
}

// pareto draws from a Pareto distribution of shape 3, shifted and scaled to
// mean 0 and standard deviation 1, as iproute2's pareto table is. Its minimum
// is -0.577.
func pareto(rng *rand.Rand) float64 {
	const mean, variance = 1.5, 0.75 // of shape 3, minimum 1
	u := 1 - rng.Float64()           // in (0, 1]
	return (math.Pow(u, -1.0/3) - mean) / math.Sqrt(variance)
}

// quantile interpolates between quantiles at equal steps of probability.
func quantile(table []float64, u float64) float64 {
	x := u * float64(len(table)-1)
	i := int(x)
	if i >= len(table)-1 {
		return table[len(table)-1]
	}
	return table[i] + (x-float64(i))*(table[i+1]-table[i])
}

// sampler draws a Latency.
type sampler struct {
	cfg Latency
	rng *rand.Rand
}

// draw takes the same number of random numbers every time, so that two
// configurations differ only where they differ.
func (s sampler) draw() int64 {
	c := s.cfg
	body, stalled, stall := s.rng.NormFloat64(), s.rng.Float64(), s.rng.NormFloat64()
	t := float64(c.Fixed) + float64(c.Median)*math.Exp(c.Sigma*body)
	if stalled < float64(c.StallProbability) {
		t += float64(c.StallMedian) * math.Exp(c.StallSigma*stall)
	}
	return int64(math.Round(t))
}

// foreseen draws one time ahead, so that it can be told before it passes.
type foreseen struct {
	sampler
	next int64
}

func foresee(s sampler) foreseen { return foreseen{s, s.draw()} }

func (f *foreseen) draw() int64 {
	t := f.next
	f.next = f.sampler.draw()
	return t
}
