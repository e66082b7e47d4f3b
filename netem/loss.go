package netem

import "math/rand/v2"

// loss decides which packets are lost.
type loss struct {
	cfg LossConfig
	rng *rand.Rand
	bad bool // the Gilbert-Elliott model's state
}

func newLoss(cfg LossConfig, rng *rand.Rand) *loss { return &loss{cfg: cfg, rng: rng} }

func (l *loss) lost() bool {
	switch {
	case l.cfg.gilbertElliott():
		return l.gilbertElliott()
	case l.cfg.Rate > 0:
		return l.rng.Float64() < float64(l.cfg.Rate)
	}
	return false
}

// gilbertElliott follows Linux's loss_gilb_ell (net/sched/sch_netem.c): first
// the transition, then the loss with the probability of the state before it.
func (l *loss) gilbertElliott() bool {
	leave, lose := l.cfg.P, l.cfg.GoodLoss
	if l.bad {
		leave, lose = l.cfg.R, l.cfg.BadLoss
	}
	if l.rng.Float64() < float64(leave) {
		l.bad = !l.bad
	}
	return l.rng.Float64() < float64(lose)
}

func (c LossConfig) gilbertElliott() bool {
	return c.P > 0 || c.R > 0 || c.BadLoss > 0 || c.GoodLoss > 0
}

// Mean is the long-run share of packets lost.
func (c LossConfig) Mean() float64 {
	if !c.gilbertElliott() {
		return float64(c.Rate)
	}
	if c.P == 0 {
		return float64(c.GoodLoss)
	}
	bad := float64(c.P / (c.P + c.R))
	return bad*float64(c.BadLoss) + (1-bad)*float64(c.GoodLoss)
}
