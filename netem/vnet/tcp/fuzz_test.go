package tcp_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/thinlink/thinlink/netem/vnet/tcp"
)

// world joins two Conns by a channel whose behaviour the fuzzer's bytes
// decide: each packet's byte says whether it is lost, doubled, or how long it
// takes, so that packets overtake each other.
type world struct {
	t     *testing.T
	now   time.Time
	fate  []byte
	wires []wire
	order int
	conn  [2]*tcp.Conn
	cfg   [2]tcp.Config

	sent, got, want [2][]byte // got[i] arrived at i, want[i] is what i will write
	closed          [2]bool
	eof             [2]bool
	err             [2]error
	packets         int
}

type wire struct {
	at    time.Time
	order int
	to    int
	b     []byte
}

func (w *world) emit(from int) func(*tcp.Segment) {
	return func(s *tcp.Segment) {
		w.packets++
		fate := byte(1)
		if len(w.fate) > 0 { // when the bytes are used up the channel is perfect
			fate, w.fate = w.fate[0], w.fate[1:]
		}
		b := s.AppendTo(nil)
		switch {
		case fate >= 0xE0:
			return // lost
		case fate >= 0xC0:
			w.put(1-from, b, 5)
		}
		w.put(1-from, b, fate&0x1F)
	}
}

func (w *world) put(to int, b []byte, delay byte) {
	w.order++
	w.wires = append(w.wires, wire{w.now.Add(time.Duration(delay)*8*time.Millisecond + time.Millisecond), w.order, to, b})
}

// next takes the earliest packet out.
func (w *world) next() (wire, bool) {
	best := -1
	for i, x := range w.wires {
		if best < 0 || x.at.Before(w.wires[best].at) {
			best = i
		}
	}
	if best < 0 {
		return wire{}, false
	}
	x := w.wires[best]
	w.wires = append(w.wires[:best], w.wires[best+1:]...)
	return x, true
}

// apps writes, reads and closes what is possible on side i.
func (w *world) apps(i int) {
	c := w.conn[i]
	if c == nil {
		return
	}
	for len(w.sent[i]) < len(w.want[i]) && c.State() != tcp.Closed {
		n, err := c.Write(w.now, w.want[i][len(w.sent[i]):])
		if err != nil || n == 0 {
			break
		}
		w.sent[i] = w.want[i][:len(w.sent[i])+n]
	}
	if len(w.sent[i]) == len(w.want[i]) && !w.closed[i] && c.State() >= tcp.Established {
		w.closed[i] = true
		c.CloseWrite(w.now)
	}
	var b [3000]byte
	for !w.eof[i] && w.err[i] == nil {
		n, err := c.Read(w.now, b[:])
		w.got[i] = append(w.got[i], b[:n]...)
		if err == io.EOF {
			w.eof[i] = true
		} else if err != nil {
			w.err[i] = err
		}
		if n == 0 {
			break
		}
	}
	c.Output(w.now, w.emit(i))
	if err := c.CheckInvariants(); err != nil {
		w.t.Fatalf("side %d at %v: %v", i, w.now, err)
	}
}

func (w *world) deliver(x wire) {
	s, err := tcp.Parse(x.b)
	if err != nil {
		w.t.Fatal(err)
	}
	c := w.conn[x.to]
	if c == nil {
		if s.Flags&(tcp.SYN|tcp.ACK) == tcp.SYN {
			w.conn[x.to] = tcp.Accept(w.cfg[x.to], w.now, &s, 0x7FFFF000, 1358, false)
		}
	} else {
		c.Input(w.now, &s)
	}
	w.apps(x.to)
}

func (w *world) over() bool {
	for i, c := range w.conn {
		if c == nil || !(c.State() == tcp.Closed || c.State() == tcp.TimeWait || w.eof[i] && w.closed[i] && c.State() == tcp.FinWait2) {
			return false
		}
	}
	return true
}

func (w *world) run() {
	w.conn[0] = tcp.Dial(w.cfg[0], w.now, 50000, 80, 0xFFFFFE00, 1358, false)
	w.apps(0)
	deadline := w.now.Add(72 * time.Hour) // without timestamps an RTO of 120 s may persist
	for !w.over() && w.now.Before(deadline) && w.packets < 50000 {
		soonest, who := deadline, -1
		for i, c := range w.conn {
			if c == nil {
				continue
			}
			if at, ok := c.Next(); ok && at.Before(soonest) {
				soonest, who = at, i
			}
		}
		arrival := deadline
		for _, x := range w.wires {
			if x.at.Before(arrival) {
				arrival = x.at
			}
		}
		switch {
		case arrival.Before(deadline) && !arrival.After(soonest):
			x, _ := w.next()
			w.now = x.at
			w.deliver(x)
		case who >= 0:
			if soonest.After(w.now) {
				w.now = soonest
			}
			w.conn[who].Tick(w.now)
			w.apps(who)
		default:
			w.now = deadline
		}
	}
}

// check: both directions arrived whole, or an end knows that it failed; what
// arrived is a prefix of what was sent in any case.
func (w *world) check() {
	for i := range w.conn {
		if !bytes.HasPrefix(w.want[1-i], w.got[i]) {
			w.t.Fatalf("side %d received something else than was sent", i)
		}
		if w.eof[i] && len(w.got[i]) != len(w.want[1-i]) {
			w.t.Fatalf("side %d: end of stream after %d of %d bytes", i, len(w.got[i]), len(w.want[1-i]))
		}
	}
	for i, c := range w.conn {
		if c == nil {
			if w.conn[0].Err() == nil {
				w.t.Fatalf("no connection, and no error: %v", w.conn[0].State())
			}
			return
		}
		if !w.eof[i] && c.Err() == nil && w.conn[1-i].Err() == nil {
			w.t.Fatalf("after %v and %d packets: side %d in %v has %d of %d bytes, the other is in %v", w.now, w.packets, i, c.State(), len(w.got[i]), len(w.want[1-i]), w.conn[1-i].State())
		}
	}
}

func pattern(n int, salt byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7)>>1 ^ byte(i>>8) ^ salt
	}
	return b
}

func simulate(t *testing.T, fate []byte, kinds byte, up, down uint16) *world {
	w := &world{t: t, now: time.Date(2030, 1, 1, 0, 0, 0, int(up)*1000, time.UTC), fate: fate}
	for i := range w.cfg {
		switch kinds >> (4 * i) & 7 {
		case 0, 1, 2:
			w.cfg[i] = tcp.Linux()
		case 3:
			w.cfg[i] = tcp.LwIP()
		case 4:
			w.cfg[i] = tcp.Linux()
			w.cfg[i].RACK, w.cfg[i].TLP = false, false
		case 5:
			w.cfg[i] = tcp.Linux()
			w.cfg[i].SACK, w.cfg[i].NoDelay = false, false
		case 6:
			w.cfg[i] = tcp.Linux()
			w.cfg[i].Timestamps, w.cfg[i].Congestion, w.cfg[i].PRR = false, "reno", false
		case 7:
			w.cfg[i] = tcp.LwIP()
			w.cfg[i].NewReno, w.cfg[i].WindowScaling = true, true
		}
	}
	w.want[0], w.want[1] = pattern(int(up), 1), pattern(int(down)*2, 2)
	w.run()
	w.check()
	return w
}

// Whatever the channel does, both ends get the same bytes or an error, and the
// accounts stay right.
func FuzzConns(f *testing.F) {
	f.Add([]byte{}, byte(0), uint16(1000), uint16(30000))
	f.Add([]byte{1, 1, 1, 0xFF, 1, 0xC1, 20, 1, 0xF0, 3, 9, 31, 1}, byte(0), uint16(60000), uint16(60000))
	f.Add(bytes.Repeat([]byte{1, 0xFF, 30, 0xC7, 2, 2, 0xE0, 17}, 100), byte(0x35), uint16(20000), uint16(50000))
	f.Add(bytes.Repeat([]byte{0xE1, 2, 2}, 300), byte(0x64), uint16(5000), uint16(65535))
	f.Add(bytes.Repeat([]byte{31, 0, 15, 0xDF}, 300), byte(0x73), uint16(65535), uint16(100))
	f.Fuzz(func(t *testing.T, fate []byte, kinds byte, up, down uint16) {
		if len(fate) > 5000 {
			t.Skip()
		}
		simulate(t, fate, kinds, up, down)
	})
}

// The same bytes give the same packets.
func TestDeterminism(t *testing.T) {
	fate := bytes.Repeat([]byte{1, 0xFF, 30, 0xC7, 2, 2, 0xE0, 17}, 50)
	a, b := simulate(t, fate, 0, 50000, 50000), simulate(t, fate, 0, 50000, 50000)
	if a.packets != b.packets || !a.now.Equal(b.now) || a.conn[0].Stats() != b.conn[0].Stats() {
		t.Errorf("%d packets until %v, then %d until %v", a.packets, a.now, b.packets, b.now)
	}
}

// The same with random channels, so that every test run tries some hundred.
func TestRandomChannels(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 2))
		fate := make([]byte, rng.IntN(2000))
		bad := rng.IntN(256)
		for i := range fate {
			fate[i] = byte(rng.IntN(256))
			if rng.IntN(256) > bad {
				fate[i] = byte(rng.IntN(4))
			}
		}
		simulate(t, fate, byte(rng.Uint32()), uint16(rng.Uint32()), uint16(rng.Uint32()))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
