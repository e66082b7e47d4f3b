package plan

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/thinlink/thinlink/internal/units"
	"github.com/thinlink/thinlink/netem"
)

// Microseconds are the cell model's unit of time.
const (
	millisecond int64 = 1000
	second            = 1000 * millisecond
)

func us(d time.Duration) int64 { return int64(d / time.Microsecond) }

// A carriage is one direction of a coverage class: what a transport block
// costs the device in time, and the carrier in airtime.
type carriage struct {
	tbs                      float64 // bit
	control, gap, data, unit int64   // us; data without repetitions
	ackGap, ack, post        int64
	repetitions              int64
	bler                     float64
	share                    float64 // of the carrier's frequencies that data takes
	ackShare                 float64 // of the other direction's that the acknowledgement takes
}

// tones is the share of a carrier's twelve tones that a resource unit of a
// length takes, TS 36.211 section 10.1.2.3.
func tones(unit time.Duration) float64 {
	switch {
	case unit >= 32*time.Millisecond:
		return 0.25 / 12
	case unit >= 8*time.Millisecond:
		return 1. / 12
	case unit >= 4*time.Millisecond:
		return 3. / 12
	case unit >= 2*time.Millisecond:
		return 6. / 12
	}
	return 1
}

func carriageOf(g *netem.GrantConfig) carriage {
	return carriage{
		tbs: float64(g.TBS), control: us(g.Control), gap: us(g.Gap), data: us(g.Data), unit: us(g.Unit),
		ackGap: us(g.AckGap), ack: us(g.Ack), post: us(g.Post),
		repetitions: int64(max(g.Repetitions, 1)), bler: float64(g.BLER), share: 1, ackShare: 1. / 12,
	}
}

// halfDuplexDuty is the share of time that a half-duplex Cat-M1 device's data
// are on the air at its highest rate: 300 kbit/s of a narrowband's 1 Mbit/s.
const halfDuplexDuty = 0.3

// ofRate makes grants of a sustained rate: LTE-M blocks of 1000 bit, whose
// data take halfDuplexDuty of their cycle.
func ofRate(rate float64, duty float64) carriage {
	cycle := 1000 / rate * float64(second)
	c := carriage{tbs: 1000, control: millisecond, gap: 3 * millisecond, data: max(1, int64(duty*cycle)), repetitions: 1, share: 1}
	c.post = max(0, int64(cycle)-c.control-c.gap-c.data)
	return c
}

// airtime is the data's time on the air for n bytes sent once, and the number
// of blocks.
func (c *carriage) airtime(bytes float64) (data int64, blocks int) {
	bits := 8 * bytes
	blocks = max(1, int(math.Ceil(bits/c.tbs)))
	last := bits - float64(blocks-1)*c.tbs
	part := c.data
	if c.unit > 0 {
		part = min(c.data, int64(math.Ceil(last/c.tbs*float64(c.data)/float64(c.unit)))*c.unit)
	}
	return (int64(blocks-1)*c.data + part) * c.repetitions, blocks
}

// transmissions draws how many transmissions n blocks take until all are
// received.
func (c *carriage) transmissions(n int, rng *rand.Rand) int {
	if c.bler == 0 {
		return n
	}
	if n > 32 { // the mean will do
		return int(float64(n)/(1-c.bler) + rng.Float64())
	}
	sum := n
	for range n {
		for rng.Float64() < c.bler {
			sum++
		}
	}
	return sum
}

// The RRC's messages.
const (
	msgResponse = iota
	msgRequest
	msgSetup
	msgComplete
	msgRelease
	messages
)

// A transport is a message's airtime and number of blocks.
type transport struct {
	data   int64
	blocks int
}

// A radio is everything the cell model needs of a coverage class.
type radio struct {
	up, down         carriage
	delay            int64 // one way, beside the air
	lossUp, lossDown float64
	inactivity, rai  int64
	idleCycle        int64
	setup            netem.Latency
	setupModelled    int64 // of the set-up, what the model's own messages take in an empty cell
	outages          []netem.Outage
	messages         [messages]transport

	period    int64
	preambles int
	preamble  int64 // a preamble's length with its repetitions
	attempts  int
}

// preambleLength is one repetition, TS 36.211 section 10.1.6: 5.6 ms for
// NPRACH format 0; 1 ms for LTE-M.
func (d *Deployment) preambleLength() int64 {
	if d.Technology == "nbiot" {
		return 5600
	}
	return millisecond
}

// resourceElements is what a subframe of the carrier offers NPDSCH against
// what it has in band: 152 and 100 of them, TS 36.211 section 10.2.3 with three
// symbols of LTE control and four antenna ports.
func (m Mode) resourceElements() float64 {
	if m == InBand {
		return 1
	}
	return 152. / 100
}

// radio resolves a coverage class.
func (d *Deployment) radio(c *Class) (*radio, error) {
	p, err := d.profile(c.Profile)
	if err != nil {
		return nil, err
	}
	cfg := p.Netem()
	r := &radio{
		delay: us(cfg.Up.Delay+cfg.Down.Delay) / 2, lossUp: meanLoss(&cfg.Up.Loss), lossDown: meanLoss(&cfg.Down.Loss),
		outages: cfg.Outages, period: us(c.Period), preambles: c.Preambles,
		preamble: d.preambleLength() * int64(c.Repetitions), attempts: c.Attempts,
	}
	if c.Delay != nil {
		r.delay = us(*c.Delay)
	}
	var up, down *netem.GrantConfig
	if cfg.Radio != nil {
		up, down = cfg.Radio.Up, cfg.Radio.Down
		if cfg.Radio.RRC != nil {
			r.setup, r.inactivity, r.rai = cfg.Radio.RRC.Setup, us(cfg.Radio.RRC.Inactivity), us(cfg.Radio.RRC.RAI)
		}
		if cfg.Radio.Idle != nil {
			r.idleCycle = us(max(cfg.Radio.Idle.Cycle, cfg.Radio.Idle.EDRXCycle))
		}
	}
	if r.up, err = d.carriage(c, c.Up, up, float64(cfg.Up.Rate)); err != nil {
		return nil, err
	}
	if r.down, err = d.carriage(c, c.Down, down, float64(cfg.Down.Rate)); err != nil {
		return nil, err
	}
	if d.Technology == "nbiot" {
		grants := c.Up
		if grants == nil {
			grants = up
		}
		r.up.share = 1. / 12
		if grants != nil {
			r.up.share = tones(grants.Unit)
		}
		f := d.Mode.resourceElements()
		r.down.data, r.down.unit = int64(float64(r.down.data)/f), int64(float64(r.down.unit)/f)
	}
	r.prepare(&d.RRC)
	r.setupModelled = r.emptySetup()
	return r, nil
}

func (d *Deployment) carriage(c *Class, own, grants *netem.GrantConfig, rate float64) (carriage, error) {
	switch {
	case own != nil:
		return carriageOf(own), nil
	case rate > 0 && d.Technology == "ltem":
		return ofRate(rate, halfDuplexDuty), nil
	case rate > 0:
		return ofRate(rate, 1), nil
	case grants != nil:
		return carriageOf(grants), nil
	}
	return carriage{}, fmt.Errorf("profile %s has neither a rate nor grants: give the class up and down", c.Profile)
}

// meanLoss is a loss model's long-term mean.
func meanLoss(l *netem.LossConfig) float64 {
	if l.P > 0 {
		bad := float64(l.P) / float64(l.P+l.R)
		return bad*float64(l.BadLoss) + (1-bad)*float64(l.GoodLoss)
	}
	return float64(l.Rate)
}

// emptySetup is how long random access and the RRC's messages take without
// waiting, half an access period included.
func (r *radio) emptySetup() int64 {
	t := r.period/2 + r.preamble + responseGap
	for m := msgResponse; m <= msgComplete; m++ {
		c := &r.down
		if m == msgRequest || m == msgComplete {
			c = &r.up
		}
		t += c.control + c.gap + r.messages[m].data
	}
	return t
}

// prepare computes the RRC's messages once.
func (r *radio) prepare(rrc *RRC) {
	set := func(m int, c *carriage, size units.Bytes) {
		r.messages[m].data, r.messages[m].blocks = c.airtime(float64(size))
	}
	set(msgResponse, &r.down, rrc.Response)
	set(msgRequest, &r.up, rrc.Request)
	set(msgSetup, &r.down, rrc.Setup)
	set(msgComplete, &r.up, rrc.Complete)
	set(msgRelease, &r.down, rrc.Release)
}

// draw is a latency of the profile, us.
func draw(l *netem.Latency, rng *rand.Rand) int64 {
	t := float64(us(l.Fixed))
	if l.Median > 0 {
		t += float64(us(l.Median)) * math.Exp(l.Sigma*rng.NormFloat64())
	}
	if l.StallProbability > 0 && rng.Float64() < float64(l.StallProbability) {
		t += float64(us(l.StallMedian)) * math.Exp(l.StallSigma*rng.NormFloat64())
	}
	return int64(t)
}

// visible is the first time from t on outside an outage.
func (r *radio) visible(t int64) int64 {
	for again := true; again; {
		again = false
		for _, o := range r.outages {
			start, length, every := us(o.Start), us(o.Duration), us(o.Every)
			into := t - start
			if into >= 0 && every > 0 {
				into %= every
			}
			if into >= 0 && into < length {
				t += length - into
				again = length < every || every == 0
			}
		}
	}
	return t
}
