package netem

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/thinlink/thinlink/internal/units"
)

// FieldError says what is wrong with a Config.
type FieldError struct {
	Field string // the Go field, dotted: "Up.Rate"
	Value any
	Want  string // what is allowed
}

func (e *FieldError) Error() string {
	return fmt.Sprintf("%s: %v: want %s", e.Field, e.Value, e.Want)
}

// Validate reports every field that has no meaning, as joined FieldErrors.
func (c *Config) Validate() error {
	var ch checker
	ch.check("MTU", c.MTU, c.MTU >= 0, "0 (no limit) or more")
	ch.duration("TurnAround", c.TurnAround)
	ch.direction("Up.", c.Up)
	ch.direction("Down.", c.Down)
	for i, o := range c.Outages {
		ch.outage(fmt.Sprintf("Outages[%d].", i), o)
	}
	if c.SMS != nil {
		ch.sms(c.SMS)
	}
	if c.Radio != nil {
		ch.radio(c.Radio)
	}
	return errors.Join(ch.errs...)
}

// direction gives the configuration of one direction.
func (c *Config) direction(dir Direction) DirectionConfig {
	if dir == Up {
		return c.Up
	}
	return c.Down
}

// grants gives a direction's grants, nil if it has none or a rate replaces
// them.
func (c *Config) grants(dir Direction) *GrantConfig {
	switch {
	case c.Radio == nil || c.direction(dir).Rate > 0:
		return nil
	case dir == Up:
		return c.Radio.Up
	}
	return c.Radio.Down
}

// Rate is the sustained rate of a direction that has the link for itself:
// the configured one, or what its grants come to. 0 is infinite.
func (c *Config) Rate(dir Direction) units.BitRate {
	if g := c.grants(dir); g != nil {
		return g.Rate()
	}
	return c.direction(dir).Rate
}

type checker struct{ errs []error }

func (ch *checker) check(field string, value any, ok bool, want string) {
	if !ok {
		ch.errs = append(ch.errs, &FieldError{field, value, want})
	}
}

// longest keeps sums of times far from overflow.
const longest = 10 * 365 * 24 * time.Hour

func (ch *checker) duration(field string, d time.Duration) {
	ch.check(field, d, d >= 0 && d <= longest, "0s to ten years")
}

func (ch *checker) positive(field string, d time.Duration) {
	ch.check(field, d, d > 0 && d <= longest, "more than 0s, up to ten years")
}

func (ch *checker) fraction(field string, f units.Fraction) {
	ch.check(field, float64(f), f >= 0 && f <= 1, "0 to 1")
}

func (ch *checker) direction(at string, c DirectionConfig) {
	ch.check(at+"Queue.Bytes", c.Queue.Bytes, c.Queue.Bytes >= 0, "0 (no limit) or more")
	ch.check(at+"Queue.Packets", c.Queue.Packets, c.Queue.Packets >= 0, "0 (no limit) or more")
	ch.check(at+"Queue", c.Queue, c.Queue.Bytes == 0 || c.Queue.Packets == 0, "a limit in bytes or in packets, not both")
	ch.check(at+"Rate", int64(c.Rate), c.Rate >= 0, "0 (infinite) or more")
	ch.check(at+"Overhead", c.Overhead, c.Overhead >= 0 && c.Overhead <= 1<<16, "0 to 65536 bytes")
	ch.loss(at+"Loss.", c.Loss)
	ch.check(at+"LossPlace", c.LossPlace, c.LossPlace == "" || c.LossPlace == PlaceQueue || c.LossPlace == PlaceAir, "queue or air")
	ch.delay(at, c)
	ch.fraction(at+"Duplicate", c.Duplicate)
	ch.fraction(at+"Corrupt", c.Corrupt)
}

func (ch *checker) loss(at string, c LossConfig) {
	ch.fraction(at+"Rate", c.Rate)
	ch.fraction(at+"P", c.P)
	ch.fraction(at+"R", c.R)
	ch.fraction(at+"BadLoss", c.BadLoss)
	ch.fraction(at+"GoodLoss", c.GoodLoss)
	ch.check(at+"Rate", float64(c.Rate), c.Rate == 0 || !c.gilbertElliott(), "0 with the Gilbert-Elliott model")
}

func (ch *checker) delay(at string, c DirectionConfig) {
	ch.duration(at+"Delay", c.Delay)
	ch.duration(at+"Jitter", c.Jitter)
	switch c.Distribution {
	case "", Uniform, Normal, Pareto, ParetoNormal:
	case Constant:
		ch.check(at+"Jitter", c.Jitter, c.Jitter == 0, "0s with the constant distribution")
	case LogNormal:
		ch.check(at+"Delay", c.Delay, c.Delay > 0, "above 0s with the lognormal distribution")
	case Table:
		ch.check(at+"Table", c.Table, ascending(c.Table), "two or more finite values in ascending order")
	default:
		ch.check(at+"Distribution", c.Distribution, false,
			"constant, uniform, normal, lognormal, pareto, paretonormal or table")
	}
}

func ascending(table []float64) bool {
	for i, x := range table {
		if math.IsNaN(x) || math.Abs(x) > 1e6 || i > 0 && x < table[i-1] {
			return false
		}
	}
	return len(table) >= 2
}

func (ch *checker) outage(at string, o Outage) {
	ch.duration(at+"Start", o.Start)
	ch.positive(at+"Duration", o.Duration)
	ch.check(at+"Every", o.Every, o.Every == 0 || o.Every > o.Duration && o.Every <= longest,
		"0s (once) or more than the duration")
}

func (ch *checker) radio(c *RadioConfig) {
	ch.check("Radio.RRC", c.RRC, c.RRC != nil || c.Idle == nil && c.PSM == nil, "to be set with Idle or PSM")
	if r := c.RRC; r != nil {
		ch.latency("Radio.RRC.Setup.", r.Setup)
		ch.duration("Radio.RRC.Inactivity", r.Inactivity)
		ch.duration("Radio.RRC.RAI", r.RAI)
		ch.duration("Radio.RRC.RAIUplink", r.RAIUplink)
	}
	if x := c.CDRX; x != nil {
		ch.duration("Radio.CDRX.Inactivity", x.Inactivity)
		ch.positive("Radio.CDRX.Cycle", x.Cycle)
		ch.check("Radio.CDRX.OnDuration", x.OnDuration, x.OnDuration > 0 && x.OnDuration <= x.Cycle, "more than 0s, up to the cycle")
	}
	if i := c.Idle; i != nil {
		ch.idle(i)
	}
	if p := c.PSM; p != nil {
		ch.duration("Radio.PSM.T3324", p.T3324)
		ch.duration("Radio.PSM.T3412", p.T3412)
		ch.check("Radio.PSM.T3412", p.T3412, p.T3412 == 0 || p.T3412 > p.T3324, "0s (no update) or more than T3324")
		ch.latency("Radio.PSM.Wake.", p.Wake)
		ch.latency("Radio.PSM.Update.", p.Update)
	}
	if c.Up != nil {
		ch.grant("Radio.Up.", *c.Up)
	}
	if c.Down != nil {
		ch.grant("Radio.Down.", *c.Down)
	}
}

func (ch *checker) idle(c *IdleConfig) {
	ch.positive("Radio.Idle.Cycle", c.Cycle)
	ch.duration("Radio.Idle.EDRXCycle", c.EDRXCycle)
	if c.EDRXCycle > 0 {
		ch.check("Radio.Idle.PTW", c.PTW, c.PTW > 0 && c.PTW <= c.EDRXCycle, "more than 0s, up to the eDRX cycle")
		return
	}
	ch.check("Radio.Idle.PTW", c.PTW, c.PTW == 0, "0s without an eDRX cycle")
}

func (ch *checker) latency(at string, c Latency) {
	ch.duration(at+"Fixed", c.Fixed)
	ch.duration(at+"Median", c.Median)
	ch.check(at+"Sigma", c.Sigma, c.Sigma >= 0 && c.Sigma <= 3, "0 to 3")
	ch.fraction(at+"StallProbability", c.StallProbability)
	ch.duration(at+"StallMedian", c.StallMedian)
	ch.check(at+"StallSigma", c.StallSigma, c.StallSigma >= 0 && c.StallSigma <= 3, "0 to 3")
}

func (ch *checker) sms(c *SMSConfig) {
	ch.latency("SMS.Delay.", c.Delay)
	ch.fraction("SMS.Loss", c.Loss)
	ch.check("SMS.CostUp", c.CostUp, c.CostUp >= 0, "0 or more")
	ch.check("SMS.CostDown", c.CostDown, c.CostDown >= 0, "0 or more")
}

func (ch *checker) grant(at string, c GrantConfig) {
	ch.check(at+"TBS", c.TBS, c.TBS >= 1 && c.TBS <= 1<<20, "1 to 1048576 bits")
	ch.duration(at+"Control", c.Control)
	ch.duration(at+"Gap", c.Gap)
	ch.positive(at+"Data", c.Data)
	ch.duration(at+"Unit", c.Unit)
	ch.check(at+"Repetitions", c.Repetitions, c.Repetitions >= 0 && c.Repetitions <= 2048, "0 to 2048")
	ch.duration(at+"AckGap", c.AckGap)
	ch.duration(at+"Ack", c.Ack)
	ch.duration(at+"Post", c.Post)
	ch.check(at+"BLER", float64(c.BLER), c.BLER >= 0 && c.BLER < 1, "0 up to, not including, 1")
	ch.check(at+"Processes", c.Processes, c.Processes >= 0 && c.Processes <= 16, "0 to 16")
	ch.latency(at+"Access.", c.Access)
}
