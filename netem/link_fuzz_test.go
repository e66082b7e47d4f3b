package netem

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/thinlink/thinlink/internal/units"
)

// dice turns fuzz bytes into choices.
type dice struct{ data []byte }

func (d *dice) more() bool { return len(d.data) > 0 }

func (d *dice) n(n int) int {
	if len(d.data) == 0 {
		return 0
	}
	b := int(d.data[0])
	d.data = d.data[1:]
	return b % n
}

func (d *dice) time(unit time.Duration) time.Duration { return time.Duration(d.n(256)) * unit }

func (d *dice) fraction() units.Fraction { return units.Fraction(max(0, d.n(512)-128)) / 256 }

func (d *dice) direction() DirectionConfig {
	forms := []Distribution{"", Uniform, Normal, Pareto, ParetoNormal, Table}
	c := DirectionConfig{
		Rate: units.BitRate(d.n(4) * 7777), Overhead: units.Bytes(d.n(20)), Delay: d.time(10 * ms), Jitter: d.time(ms),
		Distribution: forms[d.n(len(forms))], Table: []float64{-1, 0, 5}, Reorder: d.n(2) == 1,
		Duplicate: d.fraction(), Corrupt: d.fraction(), LossPlace: []LossPlace{PlaceQueue, PlaceAir}[d.n(2)],
	}
	if d.n(2) == 0 {
		c.Loss.Rate = d.fraction()
	} else {
		c.Loss = LossConfig{P: d.fraction(), R: d.fraction(), BadLoss: d.fraction(), GoodLoss: d.fraction()}
	}
	switch d.n(3) {
	case 1:
		c.Queue.Bytes = units.Bytes(d.n(256)) * 8
	case 2:
		c.Queue.Packets = d.n(8)
	}
	return c
}

func (d *dice) grant() *GrantConfig {
	if d.n(2) == 0 {
		return nil
	}
	return &GrantConfig{TBS: 1 + d.n(256)*8, Control: d.time(ms), Gap: d.time(ms), Data: 1 + d.time(ms), Unit: d.time(ms / 4),
		Repetitions: d.n(4), AckGap: d.time(ms), Ack: d.time(ms), Post: d.time(ms), BLER: d.fraction() / 2, Processes: d.n(3),
		Access: Latency{Fixed: d.time(ms)}}
}

func (d *dice) radio() *RadioConfig {
	c := &RadioConfig{Up: d.grant(), Down: d.grant()}
	if d.n(2) == 1 {
		c.CDRX = &CDRXConfig{Inactivity: d.time(10 * ms), Cycle: 10*ms + d.time(10*ms), OnDuration: 10 * ms}
	}
	if d.n(4) == 0 {
		return c
	}
	c.RRC = &RRCConfig{Setup: Latency{Fixed: d.time(10 * ms), Median: d.time(10 * ms), Sigma: 0.5}, Inactivity: d.time(100 * ms), RAI: d.time(10 * ms), RAIUplink: d.time(10 * ms)}
	if d.n(2) == 1 {
		c.Idle = &IdleConfig{Cycle: 1 + d.time(10*ms)}
		if d.n(2) == 1 {
			c.Idle.EDRXCycle, c.Idle.PTW = sec+d.time(100*ms), sec
		}
	}
	if d.n(2) == 1 {
		c.PSM = &PSMConfig{T3324: d.time(10 * ms), T3412: 3*sec + d.time(100*ms), Lose: d.n(2) == 1, Update: Latency{Fixed: d.time(10 * ms)}}
	}
	return c
}

func (d *dice) config() Config {
	c := Config{Up: d.direction(), Down: d.direction(), HalfDuplex: d.n(2) == 1, TurnAround: d.time(ms / 10), OutageLose: d.n(2) == 1}
	if d.n(4) == 1 {
		c.MTU = 200
	}
	for range d.n(3) {
		c.Outages = append(c.Outages, Outage{Start: d.time(100 * ms), Duration: 1 + d.time(10*ms), Every: 10 * sec})
	}
	if d.n(4) > 0 {
		c.Radio = d.radio()
	}
	return c
}

// A judge is a Tap that checks what must hold for every link.
type judge struct {
	t      *testing.T
	now    time.Time
	sent   map[uint64]time.Time
	fate   map[uint64]int
	up     map[uint64]bool
	lastID [2]uint64
	fifo   [2]bool
	states []stateAt
	trace  []byte
}

type stateAt struct {
	at    time.Time
	state RadioState
}

func (j *judge) tick(now time.Time, kind byte, id uint64) {
	if now.Before(j.now) {
		j.t.Fatalf("the tap was called for %v after %v", now, j.now)
	}
	j.now = now
	j.trace = append(j.trace, kind)
	j.trace = binary.AppendVarint(j.trace, int64(now.Sub(start)))
	j.trace = binary.AppendUvarint(j.trace, id)
}

func (j *judge) Sent(now time.Time, id uint64, dir Direction, _ []byte) {
	j.tick(now, 's', id)
	j.sent[id], j.up[id] = now, dir == Up
}

func (j *judge) Delivered(now time.Time, id uint64) {
	j.tick(now, 'd', id)
	if at, ok := j.sent[id]; !ok || now.Before(at) {
		j.t.Fatalf("packet %d delivered before it was sent", id)
	}
	dir := Down
	if j.up[id] {
		dir = Up
	}
	if j.fifo[dir] && id < j.lastID[dir] {
		j.t.Fatalf("packet %d overtook %d", j.lastID[dir], id)
	}
	j.lastID[dir] = id
	j.fate[id]++
}

func (j *judge) Dropped(now time.Time, id uint64, why Drop) {
	j.tick(now, 'x', id)
	if j.fate[id] > 0 || why == "" {
		j.t.Fatalf("packet %d dropped (%q) after its fate was known", id, why)
	}
	j.fate[id] = 3
}

func (j *judge) Radio(now time.Time, s RadioState) {
	j.tick(now, 'r', uint64(s[0])<<8|uint64(s[1]))
	j.states = append(j.states, stateAt{now, s})
	if n := len(j.states); n > 1 && j.states[n-2].state == s {
		j.t.Fatalf("state %s reported twice", s)
	}
}

// drive plays a fuzzed configuration and a fuzzed sequence of packets.
// An eager drive calls Advance far more often than Next asks for.
func drive(t *testing.T, data []byte, eager bool) *judge {
	d := &dice{data}
	cfg := d.config()
	j := &judge{t: t, sent: map[uint64]time.Time{}, fate: map[uint64]int{}, up: map[uint64]bool{},
		fifo: [2]bool{!cfg.Up.Reorder, !cfg.Down.Reorder}}
	l, err := NewLink(cfg, uint64(d.n(256)), start, j)
	if err != nil {
		t.Fatalf("%+v: %v", cfg, err)
	}
	now := start
	advance := func(to time.Time) {
		for steps := 0; ; steps++ {
			next, ok := l.Next()
			if !ok || next.After(to) {
				break
			}
			if pause := next.Sub(now); eager && pause > 1 {
				l.Advance(now.Add(pause/2), func(Direction, []byte) { t.Fatal("a packet arrived before Next") })
				l.Advance(next.Add(-1), func(Direction, []byte) { t.Fatal("a packet arrived before Next") })
			}
			if steps > 1_000_000 {
				t.Fatalf("the link does not come to rest: %+v", cfg)
			}
			l.Advance(next, func(Direction, []byte) {})
			if again, ok := l.Next(); ok && !again.After(next) {
				t.Fatalf("after Advance(%v) Next is %v", next, again)
			}
			now = next
		}
		l.Advance(to, func(Direction, []byte) {})
		now = to
	}
	for packets := 0; d.more() && packets < 200; packets++ {
		switch d.n(8) {
		case 0:
			l.Outage(now, d.time(10*ms))
		case 1:
			advance(now.Add(d.time(sec)))
		case 2:
			now = now.Add(d.time(ms)) // and be late with Advance
		}
		l.Send(now, Direction(d.n(2)), make([]byte, d.n(256)))
	}
	advance(now.Add(10 * time.Minute))
	for _, dir := range []Direction{Up, Down} {
		s := l.Stats(dir)
		out := s.Out + uint64(s.Held)
		for _, n := range s.Dropped {
			out += n
		}
		if s.In+s.Duplicated != out || s.Waiting > s.Held || s.Waiting == 0 && s.WaitingBytes != 0 {
			t.Fatalf("%v: packets do not add up: %+v", dir, s)
		}
	}
	return j
}

func FuzzLink(f *testing.F) {
	for seed := range 40 {
		rng := generator(uint64(seed), Up, 99)
		data := make([]byte, 400)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		once := drive(t, data, false).trace
		if again := drive(t, data, false).trace; !bytes.Equal(once, again) {
			t.Fatal("the same seed gave two traces")
		}
		if eager := drive(t, data, true).trace; !bytes.Equal(once, eager) {
			t.Fatal("the trace depends on when Advance is called")
		}
	})
}
