package netem

import "math/rand/v2"

// paging knows the device's paging occasions, TS 36.304 section 7. Their
// phase follows from the device's identity; here from the seed.
type paging struct {
	cfg           *IdleConfig // nil: the device hears a page at once
	phase, ephase int64
}

func newPaging(cfg *IdleConfig, rng *rand.Rand) paging {
	p := paging{cfg: cfg}
	if cfg == nil {
		return p
	}
	p.phase = rng.Int64N(int64(cfg.Cycle))
	if cfg.EDRXCycle > 0 {
		p.ephase = rng.Int64N(int64(cfg.EDRXCycle))
	}
	return p
}

// next is the first paging occasion from now on.
func (p paging) next(now int64) int64 {
	if p.cfg == nil {
		return now
	}
	cycle := int64(p.cfg.Cycle)
	if p.cfg.EDRXCycle == 0 {
		return ceil(now-p.phase, cycle) + p.phase
	}
	extended := int64(p.cfg.EDRXCycle)
	window := ceil(now-p.ephase-extended+1, extended) + p.ephase // start of the last one
	if t := window + ceil(now-window, cycle); t-window < int64(p.cfg.PTW) {
		return t
	}
	return window + extended
}

// ceil rounds up to a multiple of m.
func ceil(t, m int64) int64 {
	r := t % m
	if r <= 0 {
		return t - r
	}
	return t - r + m
}
