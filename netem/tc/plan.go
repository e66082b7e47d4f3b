package tc

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/thinlink/thinlink/netem"
)

// Plan is what the kernel gets for a link.
type Plan struct {
	// MTU of every device, bytes.
	MTU int
	// Up and Down are the disciplines on the router's devices towards the
	// platform and towards the device.
	Up, Down Netem
}

// Direction gives one direction's discipline.
func (p *Plan) Direction(dir netem.Direction) *Netem {
	if dir == netem.Up {
		return &p.Up
	}
	return &p.Down
}

// Unsupported is a part of a link that netem cannot do.
type Unsupported struct {
	Field string // the profile's field, dotted: "radio.rrc"
	What  string // what the field asks for
	// Instead is what the kernel does in its place.
	Instead string
}

func (u Unsupported) String() string {
	return fmt.Sprintf("%s: netem has no %s; instead: %s", u.Field, u.What, u.Instead)
}

// NoRateError says that a direction's timing cannot be had at all.
type NoRateError struct {
	Field string // what gives the timing: "radio.down"
	Rate  string // the path of the value that would do: "link.down.rate"
	Human string // the sustained rate of the grants: "24 kbit/s"
}

func (e *NoRateError) Error() string {
	return fmt.Sprintf("%s: netem has no grants per transport block: give a rate with --set %s=..., or the profile a part tc; the grants' sustained rate is %s",
		e.Field, e.Rate, e.Human)
}

const (
	defaultMTU = 1500
	// ethernetHeader is what netem counts beside the IP packet, bytes.
	ethernetHeader = 14
	// unlimited is the limit of a queue without one, packets.
	unlimited = math.MaxInt32
	// inOrder is a rate of 100 Gbit/s, bytes/s. Without a rate netem lets a
	// packet overtake another whose jitter was larger, with one it does not.
	inOrder = 100e9 / 8

	maxJitter time.Duration = math.MaxInt32
)

// NewPlan maps a link to disciplines. seed is for netem's own generator, on
// kernels that have one per discipline (6.7 and later). driven says that a
// testbed imitates the radio (Drive). The list says what the kernel will not do
// as the link says. The error is a *NoRateError or that of cfg.Validate.
func NewPlan(cfg netem.Config, seed uint64, driven bool) (Plan, []Unsupported, error) {
	if err := cfg.Validate(); err != nil {
		return Plan{}, nil, fmt.Errorf("tc: %w", err)
	}
	p := Plan{MTU: int(cfg.MTU)}
	if p.MTU == 0 {
		p.MTU = defaultMTU
	}
	m := mapper{mtu: p.MTU}
	for _, dir := range []netem.Direction{netem.Up, netem.Down} {
		c := cfg.Up
		if dir == netem.Down {
			c = cfg.Down
		}
		if c.Rate == 0 && cfg.Rate(dir) > 0 {
			return Plan{}, nil, fmt.Errorf("tc: %w", &NoRateError{"radio." + dir.String(), "link." + dir.String() + ".rate", cfg.Rate(dir).Human()})
		}
		n := m.direction("link."+dir.String()+".", c)
		n.Seed = seed<<1 | uint64(dir)
		*p.Direction(dir) = n
	}
	m.link(cfg)
	m.radio(cfg.Radio, driven)
	return p, m.missing, nil
}

// A mapper maps and notes what it cannot.
type mapper struct {
	mtu     int
	missing []Unsupported
}

func (m *mapper) lacks(ok bool, field, what, instead string) {
	u := Unsupported{field, what, instead}
	if !ok && !slices.Contains(m.missing, u) {
		m.missing = append(m.missing, u)
	}
}

func (m *mapper) direction(at string, c netem.DirectionConfig) Netem {
	n := Netem{
		Limit: m.limit(c), Delay: c.Delay, Jitter: c.Jitter,
		Duplicate: probability(float64(c.Duplicate)), Corrupt: probability(float64(c.Corrupt)),
	}
	lossless := c.Loss == netem.LossConfig{}
	if gilbertElliott(c.Loss) {
		n.Gemodel = &Gemodel{
			P: probability(float64(c.Loss.P)), R: probability(float64(c.Loss.R)),
			H: probability(1 - float64(c.Loss.BadLoss)), K1: probability(float64(c.Loss.GoodLoss)),
		}
	} else {
		n.Loss = probability(float64(c.Loss.Rate))
	}
	m.lacks(lossless || c.LossPlace != netem.PlaceAir, at+"loss_place", "loss after the rate",
		"packets are lost before the queue and cost no airtime")
	m.lacks(c.Duplicate == 0, at+"duplicate", "duplication after the rate", "the second packet takes its own time on the link")
	m.rate(at, c, &n)
	m.jitter(at, c, &n)
	m.lacks(c.Queue.Bytes == 0, at+"queue", "queue in bytes",
		fmt.Sprintf("a limit of %d packets, those in service and in flight included", n.Limit))
	return n
}

func (m *mapper) rate(at string, c netem.DirectionConfig, n *Netem) {
	if c.Rate > 0 {
		n.Rate = max(1, uint64(c.Rate+4)/8)
		n.Overhead = int32(c.Overhead) - ethernetHeader
		off := float64(n.Rate)*8/float64(c.Rate) - 1
		m.lacks(math.Abs(off) < 0.001, at+"rate", "fractions of a byte per second",
			fmt.Sprintf("%d bit/s, %+.2f %%", n.Rate*8, 100*off))
	}
	switch {
	case c.Jitter == 0:
	case c.Reorder:
		m.lacks(c.Rate == 0, at+"reorder", "reordering with a rate", "packets stay in order")
	case c.Rate == 0:
		n.Rate = inOrder
	}
}

func (m *mapper) jitter(at string, c netem.DirectionConfig, n *Netem) {
	if c.Jitter == 0 {
		return
	}
	// The kernel keeps the jitter in 32 bits of nanoseconds.
	if c.Jitter > maxJitter {
		m.lacks(false, at+"jitter", "jitter above "+maxJitter.String(), maxJitter.String())
		c.Jitter, n.Jitter = maxJitter, maxJitter
	}
	n.Distribution = c.Distribution
	var tail float64
	n.Table, tail = table(c)
	m.lacks(tail < 0.001, at+"distribution", fmt.Sprintf("jitter beyond %d times its size", tableSpan),
		fmt.Sprintf("the largest %.2g %% of the delays are cut short", 100*tail))
}

// limit is netem's: the packets that the queue takes, the one in service among
// them, and those in flight, which netem holds too.
func (m *mapper) limit(c netem.DirectionConfig) uint32 {
	queue := queuePackets(c, m.mtu)
	if queue == 0 {
		return unlimited
	}
	bits := 8 * float64(m.mtu+int(c.Overhead))
	flight := math.Round(float64(c.Rate) * c.Delay.Seconds() / bits)
	return uint32(min(float64(queue)+flight, unlimited))
}

func (m *mapper) link(cfg netem.Config) {
	m.lacks(!cfg.HalfDuplex, "link.half_duplex", "half duplex", "both directions at once")
	m.lacks(cfg.TurnAround == 0, "link.turn_around", "turn-around of a half-duplex link", "none")
	m.lacks(len(cfg.Outages) == 0, "link.outages", "outages", "the delay or the loss changes as the run goes on; what is inside when one begins still leaves")
}

func (m *mapper) radio(r *netem.RadioConfig, driven bool) {
	if r == nil {
		return
	}
	const changes = ", changed as packets pass"
	rrc, cdrx, idle, psm := "always connected, no set-up time, no energy", "always listening", "always listening", "always reachable"
	if driven {
		rrc = "while idle the delay is longer by the set-up" + changes + "; the energy is the model's for these packets"
		cdrx = "the delay is longer until the device listens" + changes
		idle = "while idle the delay is longer until the next page" + changes
		psm = "downlink in it is lost"
	}
	m.lacks(r.RRC == nil, "radio.rrc", "radio states", rrc)
	m.lacks(r.CDRX == nil, "radio.cdrx", "discontinuous reception", cdrx)
	m.lacks(r.Idle == nil, "radio.idle", "paging", idle)
	m.lacks(r.PSM == nil, "radio.psm", "power saving mode", psm)
	m.lacks(r.Up == nil, "radio.up", "grants per transport block", "link.up.rate")
	m.lacks(r.Down == nil, "radio.down", "grants per transport block", "link.down.rate")
}

// probability scales to the kernel's 32 bits.
func probability(p float64) uint32 { return uint32(math.Round(p * math.MaxUint32)) }

// share is probability's inverse.
func share(p uint32) float64 { return float64(p) / math.MaxUint32 }

func gilbertElliott(l netem.LossConfig) bool {
	return l.P > 0 || l.R > 0 || l.BadLoss > 0 || l.GoodLoss > 0
}
