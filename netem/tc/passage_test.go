package tc

import (
	"net/netip"
	"testing"
	"time"

	"github.com/thinlink/thinlink/internal/wire"
	"github.com/thinlink/thinlink/netem"
)

// A tape is what the tap saw, written by hand.
type tape struct {
	start  time.Time
	frames []frame
}

// packet is a datagram of the device (up) or the platform with a number in it.
func packet(dir netem.Direction, ttl, number byte) []byte {
	src, dst := netip.MustParseAddr("100.64.0.2"), netip.MustParseAddr("203.0.113.10")
	if dir == netem.Down {
		src, dst = dst, src
	}
	b := wire.AppendIP(nil, wire.IP{Src: src, Dst: dst, Protocol: wire.ProtoUDP, HopLimit: ttl})
	b = append(wire.AppendUDP(b, 1, 2), number)
	wire.Seal(b)
	return b
}

func (p *tape) came(at time.Duration, dir netem.Direction, number byte) {
	p.frames = append(p.frames, frame{at: p.start.Add(at), towardsDevice: dir == netem.Up, data: packet(dir, 64, number)})
}

func (p *tape) left(at time.Duration, dir netem.Direction, number byte) {
	p.frames = append(p.frames, frame{at: p.start.Add(at), towardsDevice: dir == netem.Down, out: true, data: packet(dir, 63, number)})
}

func TestPassages(t *testing.T) {
	p := tape{start: time.Unix(1000, 0)}
	p.came(0, netem.Up, 1)
	p.came(1*ms, netem.Down, 1)
	p.came(2*ms, netem.Up, 2) // lost
	p.came(3*ms, netem.Up, 3)
	p.came(4*ms, netem.Up, 4) // no room
	p.left(10*ms, netem.Up, 1)
	p.left(11*ms, netem.Down, 1)
	p.came(12*ms, netem.Up, 5)
	p.left(13*ms, netem.Up, 3)
	p.left(22*ms, netem.Up, 5)
	p.came(4000*ms, netem.Up, 6) // lost, and nothing after it
	p.came(5000*ms, netem.Up, 7) // still inside
	plan := Plan{Up: Netem{Limit: 2, Delay: 10 * ms}, Down: Netem{Limit: 2, Delay: 10 * ms}}
	list := passages(p.frames, &plan, p.start.Add(5001*ms))
	want := []struct {
		dir  netem.Direction
		done time.Duration // -1: still inside
		lost netem.Drop
	}{
		{netem.Up, 10 * ms, ""}, {netem.Down, 11 * ms, ""}, {netem.Up, 2 * ms, netem.DropLoss}, {netem.Up, 13 * ms, ""},
		{netem.Up, 4 * ms, netem.DropQueue}, {netem.Up, 22 * ms, ""}, {netem.Up, 4000 * ms, netem.DropLoss}, {netem.Up, -1, ""},
	}
	if len(list) != len(want) {
		t.Fatalf("%d passages, want %d", len(list), len(want))
	}
	for i, w := range want {
		got := list[i]
		done := time.Duration(-1)
		if !got.Done.IsZero() {
			done = got.Done.Sub(p.start)
		}
		if got.Dir != w.dir || done != w.done || got.Lost != w.lost {
			t.Errorf("%d: %v, done %v, lost %q; want %+v", i, got.Dir, done, got.Lost, w)
		}
	}
}

// A damaged packet leaves as another one; a duplicated one leaves twice.
func TestPassagesDamage(t *testing.T) {
	p := tape{start: time.Unix(1000, 0)}
	p.came(0, netem.Up, 1)
	p.left(1*ms, netem.Up, 99)
	p.came(2*ms, netem.Down, 1)
	p.left(3*ms, netem.Down, 1)
	p.left(4*ms, netem.Down, 1)
	plan := Plan{Up: Netem{Limit: 9, Corrupt: 1}, Down: Netem{Limit: 9, Duplicate: 1}}
	list := passages(p.frames, &plan, p.start.Add(time.Minute))
	if len(list) != 2 || list[0].Lost != netem.DropCorrupt || list[1].Lost != "" || !list[1].Done.Equal(p.start.Add(3*ms)) {
		t.Errorf("got %+v", list)
	}
}

// A bit that flips in the Ethernet header or in the time to live damages, too.
func TestPassagesDamagedHeader(t *testing.T) {
	for _, damage := range []func(*frame){
		func(f *frame) { f.damaged = true },
		func(f *frame) { f.data[8] ^= 4 },
		func(f *frame) { f.data[10] ^= 1 },
	} {
		p := tape{start: time.Unix(1000, 0)}
		p.came(0, netem.Up, 1)
		p.left(1*ms, netem.Up, 1)
		damage(&p.frames[1])
		plan := Plan{Up: Netem{Limit: 9, Corrupt: 1}, Down: Netem{Limit: 9}}
		if list := passages(p.frames, &plan, p.start.Add(time.Minute)); len(list) != 1 || list[0].Lost != netem.DropCorrupt {
			t.Errorf("got %+v", list)
		}
	}
}
