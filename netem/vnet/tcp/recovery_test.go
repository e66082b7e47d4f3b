package tcp_test

import (
	"testing"
	"time"

	"github.com/thinlink/thinlink/netem/vnet/tcp"
)

// steady is a sender with a window of 10 and a round trip of 100 ms.
func steady(t *testing.T, cfg tcp.Config, segments int) *script {
	t.Helper()
	cfg.SendBuffer = 1 << 20
	s := dial(t, cfg, 100*time.Millisecond)
	s.write(segments * mss)
	return s
}

// One loss: the third SACKed segment proves it (RACK with its duplicate-ACK
// rule). Until then each lets a new one leave (RFC 3042). The window ends at
// ssthresh = 0.7 x 10.
func TestFastRetransmit(t *testing.T) {
	s := steady(t, tcp.Linux(), 30)
	s.want(fulls(0, 10)...)
	s.advance(100 * time.Millisecond)
	s.ack(seg(0), blk(seg(1), seg(2)))
	s.ack(seg(0), blk(seg(1), seg(3)))
	s.want(fulls(10, 12)...)
	s.ack(seg(0), blk(seg(1), seg(4)))
	s.want(full(0))
	st := s.c.Stats()
	if st.FastRecoveries != 1 || st.Retransmitted != 1 || st.Ssthresh != 7 || st.InFlight != 9 {
		t.Errorf("in recovery %+v", st)
	}
	for n := uint32(5); n <= 10; n++ {
		s.ack(seg(0), blk(seg(1), seg(n)))
	}
	s.want(fulls(12, 16)...) // ceil(0.7 x 7) = 5 for seven delivered
	s.advance(100 * time.Millisecond)
	s.ack(seg(12))
	if st := s.c.Stats(); st.Ssthresh != 7 || st.Cwnd != 7 || st.Undos != 0 || st.RTOs != 0 {
		t.Errorf("after recovery %+v", st)
	}
}

// PRR's known answer (RFC 6937 section 4): 20 in flight, one lost; ssthresh 14:
// seven segments leave for ten delivered.
func TestPRR(t *testing.T) {
	cfg := tcp.Linux()
	cfg.InitialWindow = 20
	s := steady(t, cfg, 60)
	s.want(fulls(0, 20)...)
	s.advance(100 * time.Millisecond)
	for n := uint32(2); n <= 4; n++ {
		s.ack(seg(0), blk(seg(1), seg(n)))
	}
	s.want(append(fulls(20, 22), full(0))...)
	sent := 1
	for n := uint32(5); n <= 17; n++ { // while more than ssthresh is in flight
		s.ack(seg(0), blk(seg(1), seg(n)))
		sent += len(s.got)
		s.clear()
		// Delivered since recovery began: n - 1 with the first three, which
		// count from the one that started it.
		if want := (14*(int(n)-3) + 19) / 20; sent != want {
			t.Fatalf("after %d SACKed: %d sent, want %d", n-1, sent, want)
		}
	}
	if st := s.c.Stats(); st.Ssthresh != 14 {
		t.Errorf("ssthresh %d", st.Ssthresh)
	}
}

// A lost retransmission is found by RACK when something sent after it arrives,
// without a time-out.
func TestLostRetransmission(t *testing.T) {
	s := steady(t, tcp.Linux(), 40)
	s.clear()
	s.advance(100 * time.Millisecond)
	s.ack(seg(0), blk(seg(1), seg(4)))
	s.want(full(0))
	s.advance(time.Millisecond)
	s.ack(seg(0), blk(seg(1), seg(7)))
	s.want(fulls(10, 13)...) // sent after the retransmission
	s.advance(100 * time.Millisecond)
	s.ack(seg(0), blk(seg(10), seg(11)), blk(seg(1), seg(10)))
	if len(s.got) == 0 || s.got[0] != full(0) {
		t.Fatalf("sent %v, want segment 0 again", s.got)
	}
	if st := s.c.Stats(); st.LostRetransmissions != 1 || st.RTOs != 0 || st.Retransmitted != 2 {
		t.Errorf("%+v", st)
	}
}

// Losses of a whole tail but one: TLP makes the SACK that lets RACK find them.
func TestTailLossProbe(t *testing.T) {
	s := steady(t, tcp.Linux(), 10)
	s.want(append(fulls(0, 9), "P. 11755:13061 ack 1")...)
	s.advance(100 * time.Millisecond)
	s.ack(seg(5)) // the rest is lost
	s.advance(199 * time.Millisecond)
	s.want()
	s.advance(40 * time.Millisecond) // two round trips, on the timer wheel's grid
	s.want("P. 11755:13061 ack 1")
	if st := s.c.Stats(); st.TLPs != 1 || st.RTOs != 0 {
		t.Errorf("%+v", st)
	}
	s.advance(100 * time.Millisecond)
	s.ack(seg(5), blk(seg(9), seg(10)))
	s.advance(30 * time.Millisecond) // the reordering window, a quarter round trip
	if len(s.got) == 0 || s.got[0] != full(5) {
		t.Errorf("sent %v, want segment 5", s.got)
	}
	if st := s.c.Stats(); st.FastRecoveries != 1 {
		t.Errorf("%+v", st)
	}
}

// The probe is new data when there is some, and a single outstanding segment
// waits for the peer's delayed ACK, too.
func TestProbeWithNewData(t *testing.T) {
	s := steady(t, tcp.Linux(), 12)
	s.clear()
	s.advance(250 * time.Millisecond)
	s.want(full(10))
	s.ack(seg(10))
	s.clear()
	s.advance(time.Second)
	if st := s.c.Stats(); st.TLPs == 0 {
		t.Errorf("%+v", st)
	}

	s = steady(t, tcp.Linux(), 1)
	s.clear()
	s.advance(299 * time.Millisecond)
	s.want()
	s.advance(80 * time.Millisecond)
	s.want("P. 1:1307 ack 1")
}

// A probe that repaired the loss reduces the window once it is acknowledged
// without a D-SACK; with one it does not.
func TestProbeRepairsLoss(t *testing.T) {
	for _, lost := range []bool{true, false} {
		s := steady(t, tcp.Linux(), 4)
		s.clear()
		s.advance(100 * time.Millisecond)
		s.ack(seg(3))
		s.advance(500 * time.Millisecond)
		if len(s.got) == 0 || s.c.Stats().TLPs != 1 {
			t.Fatalf("no probe: %v", s.got)
		}
		s.clear()
		cwnd := s.c.Stats().Cwnd
		if lost {
			s.ack(seg(4))
			s.write(10)
			s.in(tcp.ACK, 1, seg(4)+10, 0)
			if st := s.c.Stats(); st.Ssthresh != cwnd*717/1024 {
				t.Errorf("lost: ssthresh %d of a window of %d", st.Ssthresh, cwnd)
			}
			continue
		}
		s.ack(seg(4))
		s.ack(seg(4), blk(seg(3), seg(4)))
		s.write(10)
		s.in(tcp.ACK, 1, seg(4)+10, 0)
		if st := s.c.Stats(); st.Ssthresh != 1<<31-1 || st.DSACKs != 1 {
			t.Errorf("not lost: %+v", st)
		}
	}
}

// Reordering by a fraction of the round trip causes no retransmission once it
// has been seen: the window of RACK.
func TestReordering(t *testing.T) {
	cfg := tcp.Linux()
	s := steady(t, cfg, 20)
	s.clear()
	s.advance(100 * time.Millisecond)
	s.ack(seg(0), blk(seg(1), seg(3)))
	s.ack(seg(3)) // segment 0 was only late
	if st := s.c.Stats(); st.Reorderings != 1 {
		t.Fatalf("%+v", st)
	}
	s.clear()
	s.ack(seg(3), blk(seg(4), seg(9))) // five above the hole
	for _, g := range s.got {
		if g == full(3) {
			t.Error("retransmitted at once")
		}
	}
	s.clear()
	s.advance(24 * time.Millisecond)
	s.want() // within a quarter of the round trip
	s.advance(10 * time.Millisecond)
	s.want(full(3))
}

// D-SACK undo (RFC 3708): all retransmissions were duplicates.
func TestUndoByDSACK(t *testing.T) {
	cfg := tcp.Linux()
	cfg.Timestamps = false // or Eifel would find it first
	s := steady(t, cfg, 20)
	s.clear()
	s.advance(100 * time.Millisecond)
	const mss = 1318 // without timestamps
	at := func(n uint32) uint32 { return 1 + n*mss }
	s.ack(at(0), blk(at(1), at(4)))
	if st := s.c.Stats(); st.Ssthresh != 7 || st.Retransmitted != 1 {
		t.Fatalf("%+v", st)
	}
	s.ack(at(4)) // the original arrived late
	s.ack(at(4), blk(at(0), at(1)))
	if st := s.c.Stats(); st.Undos != 1 || st.Ssthresh < 1<<20 || st.Cwnd < 10 {
		t.Errorf("after the D-SACK %+v", st)
	}
}

// Eifel (RFC 3522): the echo of a timestamp before the retransmission.
func TestUndoByTimestamp(t *testing.T) {
	s := steady(t, tcp.Linux(), 20)
	original := s.ecr
	s.clear()
	s.advance(100 * time.Millisecond)
	s.ack(seg(0), blk(seg(1), seg(4)))
	s.want(full(0))
	s.advance(10 * time.Millisecond)
	s.ecr = original
	s.ack(seg(10))
	if st := s.c.Stats(); st.Undos != 1 || st.Ssthresh < 1<<20 || st.Cwnd < 10 {
		t.Errorf("after the late ACK %+v", st)
	}
}

// Without Undo the reduction stays.
func TestNoUndo(t *testing.T) {
	cfg := tcp.Linux()
	cfg.Undo = false
	s := steady(t, cfg, 20)
	original := s.ecr
	s.clear()
	s.advance(100 * time.Millisecond)
	s.ack(seg(0), blk(seg(1), seg(4)))
	s.advance(10 * time.Millisecond)
	s.ecr = original
	s.ack(seg(10))
	if st := s.c.Stats(); st.Undos != 0 || st.Ssthresh != 7 || st.Cwnd > 8 {
		t.Errorf("%+v", st)
	}
}

// RFC 6675 in place of RACK: three SACKed segments above make a loss.
func TestLossByCount(t *testing.T) {
	cfg := tcp.Linux()
	cfg.RACK, cfg.TLP = false, false
	s := steady(t, cfg, 20)
	s.clear()
	s.advance(100 * time.Millisecond)
	s.ack(seg(0), blk(seg(2), seg(4)))
	s.want(fulls(10, 12)...)
	s.ack(seg(0), blk(seg(2), seg(5)))
	s.want(full(0)) // and segment 1 as the window allows
	s.ack(seg(0), blk(seg(2), seg(7)))
	if len(s.got) == 0 || s.got[0] != full(1) {
		t.Errorf("sent %v, want segment 1", s.got)
	}
}

// A SACK scoreboard the receiver went back on (RFC 2018 section 8) is
// forgotten with the time-out.
func TestReneging(t *testing.T) {
	s := steady(t, tcp.Linux(), 20)
	s.clear()
	s.advance(100 * time.Millisecond)
	s.ack(seg(0), blk(seg(1), seg(4)))
	s.ack(seg(1)) // but 1 to 3 had been SACKed
	s.clear()
	s.advance(150 * time.Millisecond)
	if len(s.got) == 0 || s.got[0] != full(1) {
		t.Errorf("sent %v, want segment 1", s.got)
	}
}
