package tc

import (
	"github.com/thinlink/thinlink/internal/units"
	"github.com/thinlink/thinlink/netem"
)

// Reduce leaves of a link what netem can do, so that another engine runs the
// same: no radio, both directions at once, losses before the queue, a queue in
// packets. A direction that grants time gets their sustained rate.
func Reduce(cfg netem.Config) netem.Config {
	mtu := int(cfg.MTU)
	if mtu == 0 {
		mtu = defaultMTU
	}
	out := cfg
	out.Up.Rate, out.Down.Rate = cfg.Rate(netem.Up), cfg.Rate(netem.Down)
	out.Radio, out.HalfDuplex, out.TurnAround = nil, false, 0
	for _, d := range []*netem.DirectionConfig{&out.Up, &out.Down} {
		d.LossPlace = netem.PlaceQueue
		d.Rate = (d.Rate + 4) / 8 * 8
		if n := queuePackets(*d, mtu); n > 0 {
			d.Queue = units.Queue{Packets: n}
		}
		if d.Rate > 0 {
			d.Reorder = false
		}
	}
	return out
}

// queuePackets is a queue's limit in packets of full size; 0 is none.
func queuePackets(c netem.DirectionConfig, mtu int) int {
	if c.Queue.Bytes > 0 {
		return max(1, int(c.Queue.Bytes)/mtu)
	}
	return c.Queue.Packets
}
