package plan

import "math"

// A Probability is a simulated share with its 95 % confidence interval, by
// Wilson's score. Trials close in time are not quite independent: when a
// channel is overloaded the true interval is wider.
type Probability struct {
	P    float64 `json:"p"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
	N    int64   `json:"n"`
}

func probability(hits, n int64) Probability {
	if n == 0 {
		return Probability{High: 1}
	}
	const z = 1.959964
	f, p := float64(n), float64(hits)/float64(n)
	mid := (p + z*z/(2*f)) / (1 + z*z/f)
	half := z / (1 + z*z/f) * math.Sqrt(p*(1-p)/f+z*z/(4*f*f))
	return Probability{P: p, Low: min(p, max(0, mid-half)), High: max(p, min(1, mid+half)), N: n}
}

// A histogram counts times in bins of 3 %, from 1 ms to about 100 days.
type histogram struct {
	bins [binCount]int64
	n    int64
}

const (
	binCount  = 780
	binGrowth = 1.03
)

var binLog = math.Log(binGrowth)

func (h *histogram) add(us int64) {
	i := 0
	if us > 1000 {
		i = min(binCount-1, int(math.Log(float64(us)/1000)/binLog))
	}
	h.bins[i]++
	h.n++
}

func (h *histogram) merge(o *histogram) {
	for i, n := range o.bins {
		h.bins[i] += n
	}
	h.n += o.n
}

// quantile is the time in seconds that a share of the entries stays below.
func (h *histogram) quantile(q float64) float64 {
	if h.n == 0 {
		return 0
	}
	left := int64(math.Ceil(q * float64(h.n)))
	for i, n := range h.bins {
		if left -= n; left <= 0 {
			return 1e-3 * math.Pow(binGrowth, float64(i)+0.5)
		}
	}
	return math.Inf(1)
}
