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
	spare   int // bits of the last block that carry the packets behind it
	ahead   int // bits of the next packet that have arrived so
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
func (g *grant) segment(bits int) {
	bits -= g.ahead
	g.ahead = 0
	g.full, g.partial = bits/g.cfg.TBS, bits%g.cfg.TBS
}

// carried says whether a packet of so many bits has arrived in the last block
// of the one before.
func (g *grant) carried(bits int) bool {
	if g.ahead < bits {
		return false
	}
	g.ahead -= bits
	return true
}

// cycle plans the next cycle and returns the number of its phases. The last
// block is filled from what waits behind the packet, as RLC concatenates (TS
// 36.322 section 4.2.1): behind are its bits.
func (g *grant) cycle(phases *[4]phase, behind int) int {
	blocks := g.cfg.Processes
	g.sendFull = min(blocks, g.full)
	g.sendPartial = g.partial > 0 && g.sendFull < blocks
	data := int64(g.sendFull) * g.cfg.dataTime(g.cfg.TBS)
	if g.sendPartial {
		g.spare = min(g.cfg.TBS-g.partial, behind)
		data += g.cfg.dataTime(g.partial + g.spare)
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
		g.partial, g.ahead = 0, g.spare
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
		t = min(t, (share+unit-1)/unit*unit)
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
