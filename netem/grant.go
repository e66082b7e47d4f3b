package netem

import (
	"math/rand/v2"

	"github.com/thinlink/thinlink/internal/units"
)

// grant serves a packet in cycles of transport blocks, as GrantConfig
// describes.
type grant struct {
	cfg    GrantConfig
	uplink bool
	harq   *rand.Rand
	access sampler

	full    int // full blocks of the packet in service that are outstanding
	partial int // bits of the last block, 0 if it is full or has arrived
	// in the present cycle
	sendFull    int
	sendPartial bool
}

func newGrant(cfg GrantConfig, seed uint64, dir Direction) *grant {
	cfg.Repetitions = max(1, cfg.Repetitions)
	cfg.Processes = max(1, cfg.Processes)
	return &grant{
		cfg: cfg, uplink: dir == Up,
		harq:   generator(seed, dir, stageHARQ),
		access: sampler{cfg.Access, generator(seed, dir, stageAccess)},
	}
}

// segment cuts a packet into transport blocks.
func (g *grant) segment(bits int64) {
	g.full = int(bits / int64(g.cfg.TBS))
	g.partial = int(bits % int64(g.cfg.TBS))
}

// cycle plans the next cycle and returns the number of its phases.
func (g *grant) cycle(phases *[4]phase) int {
	blocks := g.cfg.Processes
	g.sendFull = min(blocks, g.full)
	g.sendPartial = g.partial > 0 && g.sendFull < blocks
	data := int64(g.sendFull) * g.cfg.dataTime(g.cfg.TBS)
	if g.sendPartial {
		data += g.cfg.dataTime(g.partial)
	}
	lead := int64(g.cfg.Control + g.cfg.Gap)
	if g.uplink {
		phases[0] = phase{lead, RadioRx, false}
		phases[1] = phase{data, RadioTx, true}
		phases[2] = phase{int64(g.cfg.AckGap + g.cfg.Ack + g.cfg.Post), RadioRx, false}
		return 3
	}
	phases[0] = phase{lead + data, RadioRx, true}
	phases[1] = phase{int64(g.cfg.AckGap), RadioRx, false}
	phases[2] = phase{int64(g.cfg.Ack), RadioTx, false}
	phases[3] = phase{int64(g.cfg.Post), RadioRx, false}
	return 4
}

// mayComplete says whether the present cycle carries all that is outstanding.
func (g *grant) mayComplete() bool {
	return g.sendFull == g.full && g.sendPartial == (g.partial > 0)
}

// shortest is the time to the end of the packet in service if no block fails
// any more, from the start of a cycle on; ahead says that the blocks of the
// present cycle arrive before.
func (g *grant) shortest(ahead bool) int64 {
	full, partial := g.full, g.partial
	if ahead {
		full -= g.sendFull
		if g.sendPartial {
			partial = 0
		}
	}
	blocks := full
	if partial > 0 {
		blocks++
	}
	if blocks == 0 {
		return 0
	}
	cycles := (blocks + g.cfg.Processes - 1) / g.cfg.Processes
	t := int64(cycles)*int64(g.cfg.Control+g.cfg.Gap) + int64(cycles-1)*int64(g.cfg.AckGap+g.cfg.Ack+g.cfg.Post)
	t += int64(full) * g.cfg.dataTime(g.cfg.TBS)
	if partial > 0 {
		t += g.cfg.dataTime(partial)
	}
	return t
}

// received decides which of the cycle's blocks arrived and says whether the
// packet is complete. HARQ repairs each failed block (TS 36.321 section 5.3.2
// and 5.4.2); what would exceed its limit RLC repairs, so that none is lost.
func (g *grant) received() bool {
	for range g.sendFull {
		if !g.failed() {
			g.full--
		}
	}
	if g.sendPartial && !g.failed() {
		g.partial = 0
	}
	return g.full == 0 && g.partial == 0
}

func (g *grant) failed() bool {
	return g.cfg.BLER > 0 && g.harq.Float64() < float64(g.cfg.BLER)
}

// dataTime is the time on the air of a block of so many bits.
func (c GrantConfig) dataTime(bits int) int64 {
	t := int64(c.Data)
	if unit := int64(c.Unit); unit > 0 && bits < c.TBS {
		share := (t*int64(bits) + int64(c.TBS) - 1) / int64(c.TBS)
		t = (share + unit - 1) / unit * unit
	}
	return t * int64(max(1, c.Repetitions))
}

// Rate is the sustained rate of the grants with a full queue, retransmissions
// included.
func (c GrantConfig) Rate() units.BitRate {
	n := float64(max(1, c.Processes))
	cycle := float64(c.Control+c.Gap+c.AckGap+c.Ack+c.Post) + n*float64(c.dataTime(c.TBS))
	return units.BitRate(n * float64(c.TBS) * 1e9 / cycle * (1 - float64(c.BLER)))
}
