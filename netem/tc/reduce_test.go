package tc

import (
	"testing"

	"github.com/thinlink/thinlink/netem"
)

// What is left of a link can be had without any reservation but for outages.
func TestReduce(t *testing.T) {
	grants := &netem.GrantConfig{TBS: 1000, Data: ms}
	cfg := netem.Config{
		HalfDuplex: true, TurnAround: ms, Outages: []netem.Outage{{Duration: ms}},
		Radio: &netem.RadioConfig{RRC: &netem.RRCConfig{}, Up: grants, Down: grants},
		Up:    netem.DirectionConfig{Loss: netem.LossConfig{Rate: 0.5}, LossPlace: netem.PlaceAir, Queue: netem.QueueConfig{Bytes: 16 << 10}},
		Down:  netem.DirectionConfig{Rate: 1003, Reorder: true, Delay: ms, Jitter: ms},
	}
	got := Reduce(cfg)
	plan, missing, err := NewPlan(got, 1, false)
	if err != nil || len(missing) != 1 || missing[0].Field != "link.outages" {
		t.Errorf("unsupported: %v, %v", missing, err)
	}
	if got.Up.Rate != 1_000_000 || got.Down.Rate != 1000 || got.Up.Queue.Packets != 10 || plan.Up.Limit != 10 {
		t.Errorf("got %+v", got)
	}
}
