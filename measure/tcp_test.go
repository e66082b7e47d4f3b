package measure

import (
	"bytes"
	"testing"

	"github.com/thinlink/thinlink/internal/wire"
	"github.com/thinlink/thinlink/netem"
)

var kilobyte = bytes.Repeat([]byte{1}, 1000)

// TestTCPClasses are timelines whose classes tshark 4.0 agrees with
// (TestTsharkClasses).
func TestTCPClasses(t *testing.T) {
	for name, tt := range tcpTimelines {
		t.Run(name, func(t *testing.T) {
			p := newTape(7)
			tt.play(p)
			trace := p.done()
			r := sum(t, trace)
			if got := Describe(trace, 100, second).TCP; got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
			all := tt.want.Spurious + tt.want.Fast + tt.want.OutOfOrder + tt.want.Retransmissions
			if r.Retransmissions.TCP != all || r.Retransmissions.TCPSpurious != tt.want.Needless {
				t.Errorf("%+v, want %d, of these %d spurious", r.Retransmissions, all, tt.want.Needless)
			}
			// In a foreign capture reordering cannot be told from
			// retransmission.
			trace.FatesKnown = false
			r = Judge(trace)
			if r.Retransmissions.TCP != all-tt.want.OutOfOrder || r.Retransmissions.TCPSpurious != tt.want.Spurious {
				t.Errorf("foreign: %+v", r.Retransmissions)
			}
		})
	}
}

// Timelines by name, also for tshark. The round trip is 400 ms.
var tcpTimelines = map[string]struct {
	play func(p *tape)
	want TCPClasses
}{
	"nothing lost": {func(p *tape) {
		open400(p)
		p.at(1).send(down, kilobyte)
		p.at(1.2).ack(up)
		p.at(2).tcp(down, wire.FIN|wire.ACK, p.next[down], p.next[up], 1000, nil)
		p.next[down]++
		p.at(2.2).tcp(up, wire.FIN|wire.ACK, p.next[up], p.next[down], 1000, nil)
		p.next[up]++
		p.at(2.4).ack(down)
	}, TCPClasses{}},
	"SYN lost": {func(p *tape) {
		p.at(0).tcp(up, wire.SYN, p.next[up], 0, 1000, nil).Lost = netem.DropLoss
		p.at(1).tcp(up, wire.SYN, p.next[up], 0, 1000, nil)
		p.next[up]++
	}, TCPClasses{Retransmissions: 1}},
	"SYN repeated for nothing": {func(p *tape) {
		p.at(0).tcp(up, wire.SYN, p.next[up], 0, 1000, nil)
		p.at(1).tcp(up, wire.SYN, p.next[up], 0, 1000, nil)
		p.next[up]++
	}, TCPClasses{Retransmissions: 1, Needless: 1}},
	"timeout": {func(p *tape) {
		open400(p)
		seq := p.next[down]
		p.at(1).send(down, kilobyte).Lost = netem.DropQueue
		p.at(3).tcp(down, wire.ACK, seq, p.next[up], 1000, kilobyte)
		p.at(3.2).ack(up)
	}, TCPClasses{Retransmissions: 1}},
	"timeout too early": {func(p *tape) {
		open400(p)
		seq := p.next[down]
		p.at(1).send(down, kilobyte)
		p.at(3).tcp(down, wire.ACK, seq, p.next[up], 1000, kilobyte)
		p.at(3.2).ack(up)
	}, TCPClasses{Retransmissions: 1, Needless: 1}},
	"already acknowledged": {func(p *tape) {
		open400(p)
		seq := p.next[down]
		p.at(1).send(down, kilobyte)
		p.at(1.2).ack(up)
		p.at(3).tcp(down, wire.ACK, seq, p.next[up], 1000, kilobyte)
	}, TCPClasses{Spurious: 1, Needless: 1}},
	"acknowledgement lost": {func(p *tape) {
		open400(p)
		seq := p.next[down]
		p.at(1).send(down, kilobyte)
		p.at(1.2).ack(up).Lost = netem.DropLoss
		p.at(3).tcp(down, wire.ACK, seq, p.next[up], 1000, kilobyte)
	}, TCPClasses{Spurious: 1, Needless: 1}},
	"fast retransmission": {func(p *tape) {
		open400(p)
		seq := p.next[down]
		p.at(1).send(down, kilobyte).Lost = netem.DropLoss
		p.send(down, kilobyte)
		p.send(down, kilobyte)
		p.send(down, kilobyte)
		for range 3 {
			p.at(2).tcp(up, wire.ACK, p.next[up], seq, 1000, nil)
		}
		p.tcp(down, wire.ACK, seq, p.next[up], 1000, kilobyte)
	}, TCPClasses{Fast: 1}},
	"within the initial round trip": {func(p *tape) {
		open400(p)
		seq := p.next[down]
		p.at(1).send(down, kilobyte).Lost = netem.DropLoss
		p.at(1.1).send(down, kilobyte)
		p.at(1.2).tcp(down, wire.ACK, seq, p.next[up], 1000, kilobyte)
	}, TCPClasses{OutOfOrder: 1}},
	"keep-alive": {func(p *tape) {
		open400(p)
		p.at(1).send(down, kilobyte)
		p.at(1.2).ack(up)
		p.at(60).tcp(down, wire.ACK, p.next[down]-1, p.next[up], 1000, nil)
		p.at(60.2).ack(up)
		p.at(120).tcp(down, wire.ACK, p.next[down]-1, p.next[up], 1000, []byte{0})
	}, TCPClasses{KeepAlives: 2}},
	"zero window probe": {func(p *tape) {
		open400(p)
		p.at(1).send(down, kilobyte)
		p.at(1.2).tcp(up, wire.ACK, p.next[up], p.next[down], 0, nil)
		p.at(2).tcp(down, wire.ACK, p.next[down], p.next[up], 1000, kilobyte[:1])
		p.at(2.2).tcp(up, wire.ACK, p.next[up], p.next[down], 1000, nil)
		p.at(3).send(down, kilobyte)
	}, TCPClasses{}},
	"cut into new segments": {func(p *tape) {
		open400(p)
		seq := p.next[down]
		p.at(1).send(down, kilobyte)
		p.at(1).send(down, kilobyte).Lost = netem.DropLoss
		// Half of it is on its way already.
		p.at(3).tcp(down, wire.ACK, seq+500, p.next[up], 1000, kilobyte)
		p.at(3).tcp(down, wire.ACK, seq+500, p.next[up], 1000, kilobyte[:500])
	}, TCPClasses{Retransmissions: 2, Needless: 1}},
	"FIN lost": {func(p *tape) {
		open400(p)
		p.at(1).tcp(down, wire.FIN|wire.ACK, p.next[down], p.next[up], 1000, nil).Lost = netem.DropLoss
		p.at(3).tcp(down, wire.FIN|wire.ACK, p.next[down], p.next[up], 1000, nil)
	}, TCPClasses{Retransmissions: 1}},
	"port used again": {func(p *tape) {
		open400(p)
		p.at(1).send(down, kilobyte)
		p.next = [2]uint32{70_000, 5_000_000}
		p.at(100)
		p.handshake()
		p.at(101).send(down, kilobyte)
	}, TCPClasses{}},
}

// open400 opens a connection with a round trip of 400 ms, seen at the device.
func open400(p *tape) {
	p.at(0).tcp(up, wire.SYN, p.next[up], 0, 1000, nil)
	p.next[up]++
	p.at(0.4).tcp(down, wire.SYN|wire.ACK, p.next[down], p.next[up], 1000, nil)
	p.next[down]++
	p.ack(up)
}

// TestTCPWindowEdges: what happened before the window is known inside it.
func TestTCPWindowEdges(t *testing.T) {
	p := newTape(7)
	open400(p)
	seq := p.next[down]
	p.at(1).send(down, kilobyte)
	p.at(3).tcp(down, wire.ACK, seq, p.next[up], 1000, kilobyte)
	trace := p.done()
	trace.WindowStart = trace.Packets[len(trace.Packets)-1].Time
	r := sum(t, trace)
	if r.Down.Packets != 1 || r.Up.Packets != 0 || r.Retransmissions.TCP != 1 || r.Layers.Payload != 1000 {
		t.Errorf("%+v", r)
	}
	trace.WindowEnd, trace.WindowStart = trace.WindowStart, trace.Start
	if r = sum(t, trace); r.Retransmissions.TCP != 0 || r.Layers.Payload != 1000 {
		t.Errorf("%+v", r)
	}
}

// TestTCPMidway: a capture may begin after the connection.
func TestTCPMidway(t *testing.T) {
	p := newTape(1883)
	p.send(up, []byte{0xc0, 0}) // PINGREQ
	p.send(down, []byte{0xd0, 0})
	p.ack(up)
	p.tcp(up, wire.ACK, p.next[up]-2, p.next[down], 1000, []byte{0xc0, 0})
	p.tcp(up, wire.ACK, p.next[up]-9, p.next[down], 1000, kilobyte[:7]) // before the first
	r := sum(t, p.done())
	if r.Retransmissions.TCP != 2 || r.Layers.Protocol != 6 || r.Layers.Payload != 7 {
		t.Errorf("%+v", r)
	}
}

func TestIntervals(t *testing.T) {
	var s intervals
	for _, tt := range []struct{ from, to, fresh int64 }{
		{10, 20, 10}, {10, 20, 0}, {30, 40, 10}, {15, 35, 10}, {0, 5, 5}, {5, 10, 5}, {50, 60, 10}, {45, 47, 2}, {-5, 100, 53}, {3, 3, 0},
	} {
		if got := s.add(tt.from, tt.to); got != tt.fresh {
			t.Errorf("add [%d, %d): %d new, want %d; set %v", tt.from, tt.to, got, tt.fresh, s)
		}
	}
	if len(s) != 1 || !s.contains(-5, 100) || s.contains(-6, 0) || s.contains(99, 101) {
		t.Errorf("set %v", s)
	}
}
