package tcp_test

import (
	"testing"
	"time"

	"github.com/thinlink/thinlink/netem/vnet/tcp"
)

const lwMSS = 1318 // no timestamps

func at(n uint32) uint32 { return 1 + n*lwMSS }

// lwip is an LwIP sender after the handshake with a peer that offers
// everything.
func lwip(t *testing.T, window int) *script {
	cfg := tcp.LwIP()
	cfg.InitialWindow = window
	cfg.SendBuffer = 1 << 20
	s := begin(t)
	s.c = tcp.Dial(cfg, s.now, 50000, 80, ourISS, 1358, false)
	s.collect()
	syn := s.segs[0]
	if syn.SACKPermitted || syn.Timestamps || syn.WindowScale != -1 || syn.MSS != lwMSS || syn.Window != 4*lwMSS {
		t.Fatalf("SYN %+v", syn)
	}
	s.advance(500 * time.Millisecond)
	s.raw(tcp.Segment{Flags: tcp.SYN | tcp.ACK, Ack: 1, Window: 60000, MSS: 1460, WindowScale: -1})
	s.plainACK(1) // a window update, no duplicate
	s.clear()
	return s
}

func (s *script) plainACK(ack uint32) {
	s.raw(tcp.Segment{Flags: tcp.ACK, Seq: 1, Ack: ack, Window: 60000, WindowScale: -1})
}

func (s *script) seqs() (out []uint32) {
	for _, g := range s.segs {
		out = append(out, g.Seq-ourISS)
	}
	s.clear()
	return out
}

// Reno (RFC 5681): three duplicate ACKs, half the window, inflation by one
// segment for each further duplicate, and the end with the first new ACK.
func TestReno(t *testing.T) {
	s := lwip(t, 8)
	s.write(40 * lwMSS)
	s.clear()
	s.advance(500 * time.Millisecond)
	s.plainACK(1)
	s.plainACK(1)
	if got := s.seqs(); len(got) != 2 || got[0] != at(8) || got[1] != at(9) {
		t.Fatalf("limited transmit: %v", got)
	}
	s.plainACK(1)
	if got := s.seqs(); len(got) != 1 || got[0] != at(0) {
		t.Fatalf("third duplicate: %v", got)
	}
	if st := s.c.Stats(); st.Ssthresh != 4 || st.Cwnd != 4 || st.FastRecoveries != 1 {
		t.Errorf("%+v", st)
	}
	sent := 0
	for range 5 {
		s.plainACK(1)
		sent += len(s.seqs())
	}
	if sent != 2 { // 10 - 3 - 1 + 1 = 7 in flight, minus 5 duplicates, window 4
		t.Errorf("%d sent for five more duplicates", sent)
	}
	s.plainACK(at(8)) // a partial ACK ends it all the same
	if st := s.c.Stats(); st.Cwnd != 4 {
		t.Errorf("after recovery %+v", st)
	}
}

// NewReno (RFC 6582): a partial ACK retransmits the next hole.
func TestNewReno(t *testing.T) {
	cfg := tcp.LwIP()
	cfg.NewReno, cfg.InitialWindow, cfg.SendBuffer = true, 10, 1<<20
	s := begin(t)
	s.c = tcp.Dial(cfg, s.now, 50000, 80, ourISS, 1358, false)
	s.collect()
	s.raw(tcp.Segment{Flags: tcp.SYN | tcp.ACK, Ack: 1, Window: 60000, MSS: 1460, WindowScale: -1})
	s.plainACK(1)
	s.write(40 * lwMSS)
	s.clear()
	for range 3 {
		s.plainACK(1)
	}
	s.clear()
	s.plainACK(at(4)) // segment 4 was lost, too
	if got := s.seqs(); len(got) == 0 || got[0] != at(4) {
		t.Errorf("partial ACK: %v", got)
	}
	if st := s.c.Stats(); st.FastRecoveries != 1 || st.Retransmitted != 2 {
		t.Errorf("%+v", st)
	}
}

// Congestion avoidance: one segment per window.
func TestRenoGrowth(t *testing.T) {
	s := lwip(t, 8)
	s.write(300 * lwMSS)
	for range 3 {
		s.plainACK(1)
	}
	for range 5 {
		s.plainACK(1)
	}
	next := uint32(10)
	s.plainACK(at(next))
	base := s.c.Stats().Cwnd
	for range base + 1 { // one for the ACK above, which found the window in use
		next++
		s.plainACK(at(next))
	}
	if got := s.c.Stats().Cwnd; got != base+1 {
		t.Errorf("window %d after %d segments from %d on", got, base+1, base)
	}
}

// The first retransmission comes after 3 s without a measurement; the grid is
// 250 ms; a delayed ACK leaves within 250 ms.
func TestLwIPTimers(t *testing.T) {
	s := begin(t)
	s.now = s.now.Add(100 * time.Millisecond)
	s.start = s.now
	s.c = tcp.Dial(tcp.LwIP(), s.now, 50000, 80, ourISS, 1358, false)
	s.collect()
	s.clear()
	s.advance(2899 * time.Millisecond)
	s.want()
	s.advance(time.Millisecond) // 2.9 s later the clock shows a multiple of 250 ms
	s.want("S 0:1")

	s = lwip(t, 4)
	s.in(tcp.ACK, 1, 1, 100)
	s.read()
	s.want()
	s.advance(250 * time.Millisecond)
	s.want(". 1 ack 101")
	s.in(tcp.ACK, 101, 1, lwMSS)
	s.read()
	s.in(tcp.ACK, 101+lwMSS, 1, lwMSS)
	s.read()
	if len(s.got) != 1 {
		t.Errorf("two segments are acknowledged by %v", s.got)
	}
}

// The RTO is in units of half a second and at least one of them.
func TestLwIPRTO(t *testing.T) {
	s := lwip(t, 4)
	if st := s.c.Stats(); st.RTO != 1500*time.Millisecond || st.SRTT != 500*time.Millisecond {
		t.Errorf("%v, %v", st.RTO, st.SRTT)
	}
	for n := uint32(1); n < 60; n++ {
		s.write(lwMSS)
		s.advance(100 * time.Millisecond)
		s.plainACK(at(n))
	}
	if st := s.c.Stats(); st.RTO < 500*time.Millisecond || st.RTO > 750*time.Millisecond {
		t.Errorf("settled at %v", st.RTO)
	}
}

// The window is four segments, and updates come in steps worth sending.
func TestLwIPWindow(t *testing.T) {
	s := lwip(t, 4)
	for n := range uint32(4) {
		s.in(tcp.ACK, at(n), 1, lwMSS)
	}
	if len(s.segs) != 2 {
		t.Fatalf("sent %v", s.got)
	}
	if g := s.segs[len(s.segs)-1]; g.Window != 0 {
		t.Errorf("window %d with a full buffer", g.Window)
	}
	s.clear()
	if n, _ := s.read(); n != 4*lwMSS {
		t.Errorf("read %d", n)
	}
	if len(s.segs) != 1 || s.segs[0].Window != 4*lwMSS {
		t.Errorf("reading sent %v", s.got)
	}
}
