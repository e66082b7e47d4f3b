package netem

import (
	"fmt"
	"testing"
	"time"

	"github.com/thinlink/thinlink/internal/units"
)

const ms = time.Millisecond

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// A rig drives a link and writes down what happens, as "at what" with times
// in milliseconds after the start.
type rig struct {
	t *testing.T
	*Link
	log []string
}

func newRig(t *testing.T, cfg Config) *rig {
	t.Helper()
	r := &rig{t: t}
	l, err := NewLink(cfg, 1, start, r)
	if err != nil {
		t.Fatal(err)
	}
	r.Link = l
	return r
}

func (r *rig) note(now time.Time, format string, args ...any) {
	at := float64(now.Sub(start)) / 1e6
	r.log = append(r.log, fmt.Sprintf("%g ", at)+fmt.Sprintf(format, args...))
}

func (r *rig) Sent(time.Time, uint64, Direction, []byte)  {}
func (r *rig) Delivered(now time.Time, id uint64)         { r.note(now, "got %d", id) }
func (r *rig) Dropped(now time.Time, id uint64, why Drop) { r.note(now, "lost %d %s", id, why) }
func (r *rig) Radio(now time.Time, s RadioState)          { r.note(now, "%s", s) }
func (r *rig) send(at time.Duration, dir Direction, sizes ...int) {
	r.until(at)
	for _, n := range sizes {
		r.Send(start.Add(at), dir, make([]byte, n))
	}
}

// until drives the link as an engine does, event by event.
func (r *rig) until(at time.Duration) {
	r.t.Helper()
	for {
		next, ok := r.Next()
		if !ok || next.After(start.Add(at)) {
			break
		}
		r.Advance(next, func(Direction, []byte) {})
		if again, ok := r.Next(); ok && again.Before(next) {
			r.t.Fatalf("Next is %v after Advance(%v)", again, next)
		}
	}
	r.Advance(start.Add(at), func(Direction, []byte) {})
}

// want runs on to time at and compares what happened since the last want.
func (r *rig) want(at time.Duration, want ...string) {
	r.t.Helper()
	r.until(at)
	if fmt.Sprint(r.log) != fmt.Sprint(want) {
		r.t.Errorf("until %v:\n got %q\nwant %q", at, r.log, want)
	}
	r.log = nil
}

func both(c DirectionConfig) Config { return Config{Up: c, Down: c} }

func TestRateAndDelay(t *testing.T) {
	// 250 B at 20 kbit/s take 100 ms, and then 500 ms of delay.
	r := newRig(t, both(DirectionConfig{Rate: 20_000, Delay: 500 * ms}))
	r.send(0, Up, 250, 250)
	r.send(50*ms, Down, 250)
	r.want(time.Second, "600 got 1", "650 got 3", "700 got 2")
}

func TestPerfectLink(t *testing.T) {
	r := newRig(t, both(DirectionConfig{Queue: QueueConfig{Packets: 1}}))
	r.send(7*ms, Up, 1500, 1500, 1500)
	r.want(7*ms, "7 got 1", "7 got 2", "7 got 3")
	if _, ok := r.Next(); ok {
		t.Error("a link at rest wants to be called")
	}
}

func TestOverheadAndMTU(t *testing.T) {
	cfg := both(DirectionConfig{Rate: 8_000, Overhead: 14})
	cfg.MTU = 1280
	r := newRig(t, cfg)
	r.send(0, Up, 86, 1281)
	r.want(time.Second, "0 lost 2 mtu", "100 got 1")
}

func TestNoDrift(t *testing.T) {
	// 1 B at 3 Gbit/s is 2 2/3 ns: all of them together end on the dot.
	const n = 30_000
	r := newRig(t, both(DirectionConfig{Rate: 3_000_000_000}))
	for range n {
		r.Send(start, Up, make([]byte, 1))
	}
	r.until(n * 8 * time.Second / 3_000_000_000)
	if s := r.Stats(Up); s.Out != n {
		t.Errorf("%d of %d bytes took their exact time", s.Out, n)
	}
}

func TestQueueCountsWhatIsNotSent(t *testing.T) {
	// One in service, two waiting; those in flight do not count.
	slow := DirectionConfig{Rate: 8_000, Delay: time.Second, Queue: QueueConfig{Packets: 3}}
	r := newRig(t, both(slow))
	r.send(0, Up, 100, 100, 100, 100)
	r.send(100*ms, Up, 100, 100)
	r.want(100*ms, "0 lost 4 queue", "100 lost 6 queue")
	if s := r.Stats(Up); s.Waiting != 2 || s.Held != 4 {
		t.Errorf("%d waiting, %d held", s.Waiting, s.Held)
	}
	slow.Queue = QueueConfig{Bytes: 550}
	r = newRig(t, both(slow))
	r.send(0, Up, 300, 200, 51, 50)
	r.want(0, "0 lost 3 queue")
	if s := r.Stats(Up); s.WaitingBytes != 250 {
		t.Errorf("%d bytes waiting", s.WaitingBytes)
	}
}

func TestHalfDuplexTakesTurns(t *testing.T) {
	cfg := Config{HalfDuplex: true, TurnAround: 10 * ms,
		Up: DirectionConfig{Rate: 8_000}, Down: DirectionConfig{Rate: 8_000}}
	r := newRig(t, cfg)
	r.send(0, Down, 100, 100, 100)
	r.send(50*ms, Up, 20)
	// 100 ms down, 10 turn, 20 up, 10 turn, 200 down.
	r.want(time.Second, "100 got 1", "130 got 4", "240 got 2", "340 got 3")
}

func TestLossPlace(t *testing.T) {
	lossy := DirectionConfig{Rate: 8_000, Loss: LossConfig{Rate: 1}}
	r := newRig(t, both(lossy))
	r.send(0, Up, 100)
	r.want(0, "0 lost 1 loss")
	lossy.LossPlace = PlaceAir
	r = newRig(t, both(lossy))
	r.send(0, Up, 100, 100)
	r.want(time.Second, "100 lost 1 loss", "200 lost 2 loss")
}

func TestDuplicateAndCorrupt(t *testing.T) {
	r := newRig(t, Config{Up: DirectionConfig{Duplicate: 1}, Down: DirectionConfig{Delay: ms, Corrupt: 1}})
	r.send(0, Up, 10)
	r.send(0, Down, 10)
	r.want(time.Second, "0 got 1", "0 got 1", "1 lost 2 corrupt")
	if s := r.Stats(Up); s.Out != 2 || s.Duplicated != 1 || s.OutBytes != 20 {
		t.Errorf("%+v", s)
	}
}

func TestReorder(t *testing.T) {
	cfg := DirectionConfig{Delay: 100 * ms, Jitter: 100 * ms}
	order := func(cfg DirectionConfig) (overtakes int) {
		l, _ := NewLink(both(cfg), 1, start, nil)
		for i := range 200 {
			l.Send(start.Add(time.Duration(i)*ms), Up, []byte{byte(i)})
		}
		last := -1
		l.Advance(start.Add(time.Minute), func(_ Direction, ip []byte) {
			if int(ip[0]) < last {
				overtakes++
			}
			last = int(ip[0])
		})
		return overtakes
	}
	if n := order(cfg); n != 0 {
		t.Errorf("%d packets overtaken on a FIFO link", n)
	}
	cfg.Reorder = true
	if n := order(cfg); n < 50 {
		t.Errorf("only %d packets overtaken with reordering", n)
	}
}

// TestSendFromDeliver answers from within deliver: the answer leaves at the
// time of the delivery, although Advance went further.
func TestSendFromDeliver(t *testing.T) {
	l, _ := NewLink(both(DirectionConfig{Delay: 100 * ms}), 1, start, nil)
	l.Send(start, Up, []byte{1})
	var answered bool
	l.Advance(start.Add(time.Second), func(dir Direction, ip []byte) {
		if dir == Up {
			l.Send(start.Add(time.Second), Down, ip)
		} else {
			answered = true
		}
	})
	if !answered {
		t.Error("the answer to a packet of 0 ms is not there after 1 s")
	}
}

// TestLateAdvance: on a real clock the caller can be late. Sending then still
// happens in time order, and nothing is lost.
func TestLateAdvance(t *testing.T) {
	r := newRig(t, both(DirectionConfig{Rate: 8_000, Queue: QueueConfig{Packets: 2}}))
	r.Send(start, Up, make([]byte, 100))
	r.Send(start, Up, make([]byte, 100))
	r.Send(start.Add(150*ms), Up, make([]byte, 100)) // the first is through by now
	r.want(time.Second, "150 got 1", "200 got 2", "300 got 3")
}

func BenchmarkLink(b *testing.B) {
	cfg := both(DirectionConfig{Rate: 1_000_000, Delay: 50 * ms, Jitter: 10 * ms, Distribution: Normal,
		Loss: LossConfig{Rate: 0.01}, Queue: QueueConfig{Bytes: units.Bytes(16384)}})
	l, err := NewLink(cfg, 1, start, nil)
	if err != nil {
		b.Fatal(err)
	}
	ip := make([]byte, 1000)
	now := start
	deliver := func(Direction, []byte) {}
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(8 * ms)
		l.Send(now, Up, ip)
		for {
			next, ok := l.Next()
			if !ok || next.After(now) {
				break
			}
			l.Advance(next, deliver)
		}
	}
}

// BenchmarkGrants sends full packets over NB1 grants, sixteen blocks each.
func BenchmarkGrants(b *testing.B) {
	down := nb1Down
	down.BLER = 0.1
	cfg := granted(nb1Up, down)
	cfg.Radio.RRC = &RRCConfig{Inactivity: 20 * sec}
	l, err := NewLink(cfg, 1, start, nil)
	if err != nil {
		b.Fatal(err)
	}
	ip := make([]byte, 1358)
	deliver := func(Direction, []byte) {}
	b.ReportAllocs()
	calls := 0
	for now := start; b.Loop(); {
		l.Send(now, Down, ip)
		for l.Stats(Down).Held > 0 {
			now, _ = l.Next()
			l.Advance(now, deliver)
			calls++
		}
	}
	b.ReportMetric(float64(calls)/float64(b.N), "calls/op")
}
