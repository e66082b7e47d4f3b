package tcp_test

import (
	"testing"
	"time"

	"github.com/thinlink/thinlink/netem/vnet/tcp"
)

// plain is Linux without the tail loss probe and the timer wheel, so that the
// RTO's time is simple.
func plain() tcp.Config {
	cfg := tcp.Linux()
	cfg.TLP, cfg.TimerWheel = false, false
	return cfg
}

// After a time-out everything counts as lost and is sent again in slow start.
func TestTimeout(t *testing.T) {
	s := steady(t, plain(), 10)
	s.clear()
	s.advance(300 * time.Millisecond)
	s.want(full(0))
	if st := s.c.Stats(); st.Cwnd != 1 || st.Ssthresh != 7 || st.RTOs != 1 || st.InFlight != 1 {
		t.Errorf("%+v", st)
	}
	s.advance(100 * time.Millisecond)
	s.ack(seg(1)) // of the retransmission: nothing new to send, so it goes on
	s.want(fulls(1, 3)...)
	s.advance(100 * time.Millisecond)
	s.ack(seg(2))
	s.ack(seg(3))
	s.want(fulls(3, 7)...)
	s.advance(100 * time.Millisecond)
	s.ack(seg(7))
	s.advance(100 * time.Millisecond)
	s.ack(seg(10))
	if st := s.c.Stats(); st.InFlight != 0 || st.RTOs != 1 || st.SpuriousRTOs != 0 || st.Retransmitted != 10 {
		t.Errorf("%+v", st)
	}
}

// F-RTO (RFC 5682): the ACK of the retransmission is followed by new data; its
// SACKs tell whether the rest had been lost.
func TestFRTOSpurious(t *testing.T) {
	cfg := plain()
	cfg.Timestamps, cfg.WindowScaling = false, true // or Eifel would be faster
	const mss = 1318
	at := func(n uint32) uint32 { return 1 + n*mss }
	s := steady(t, cfg, 20)
	s.clear()
	s.advance(300 * time.Millisecond)
	if st := s.c.Stats(); st.RTOs != 1 || st.Cwnd != 1 {
		t.Fatalf("%+v", st)
	}
	s.clear()
	s.ack(at(1)) // the original's, late; two new segments leave
	if len(s.segs) != 2 || s.segs[0].Seq-ourISS != at(10) {
		t.Fatalf("sent %v, want new data", s.got)
	}
	s.ack(at(2)) // never retransmitted: the time-out was spurious
	if st := s.c.Stats(); st.SpuriousRTOs != 1 || st.Ssthresh < 1<<20 || st.Cwnd < 10 {
		t.Errorf("%+v", st)
	}
	if st := s.c.Stats(); st.Retransmitted != 1 {
		t.Errorf("%d retransmitted", st.Retransmitted)
	}
}

func TestFRTOReal(t *testing.T) {
	cfg := plain()
	cfg.Timestamps = false
	const mss = 1318
	at := func(n uint32) uint32 { return 1 + n*mss }
	s := steady(t, cfg, 20)
	s.advance(300 * time.Millisecond)
	s.clear()
	s.ack(at(1))
	s.clear()
	s.ack(at(1), blk(at(10), at(11))) // the new data arrived, the old did not
	if len(s.segs) == 0 || s.segs[0].Seq-ourISS != at(1) {
		t.Fatalf("sent %v, want segment 1", s.got)
	}
	if st := s.c.Stats(); st.SpuriousRTOs != 0 || st.Ssthresh != 7 {
		t.Errorf("%+v", st)
	}
}

// A time-out whose retransmission was not needed is found by timestamps.
func TestTimeoutUndoneByTimestamp(t *testing.T) {
	s := steady(t, plain(), 10)
	original := s.ecr
	s.clear()
	s.advance(350 * time.Millisecond)
	s.want(full(0))
	s.ecr = original
	s.ack(seg(3))
	if st := s.c.Stats(); st.Undos != 1 || st.Ssthresh < 1<<20 || st.Cwnd < 10 {
		t.Errorf("%+v", st)
	}
	s.want() // nothing more is taken for lost
}

// Small segments that are sent again travel together.
func TestRetransmissionsCollapse(t *testing.T) {
	s := dial(t, plain(), 100*time.Millisecond)
	for range 5 {
		s.write(100)
	}
	s.clear()
	s.advance(300 * time.Millisecond)
	s.want("P. 1:501 ack 1")
	s.ack(501)
	if st := s.c.Stats(); st.InFlight != 0 || st.Retransmitted != 1 {
		t.Errorf("%+v", st)
	}
}

// A full segment that is sent again together with SACK blocks is cut, so that
// the packet fits the MTU.
func TestRetransmissionIsCut(t *testing.T) {
	s := steady(t, plain(), 2)
	s.clear()
	s.in(tcp.ACK, 101, 1, 100) // a gap in the other direction: we send SACKs now
	s.clear()
	s.advance(300 * time.Millisecond)
	s.want(". 1:1295 ack 1 <101-201>")
	s.ack(seg(1) - 12)
	s.want(". 1295:1307 ack 1 <101-201>", ". 1307:2601 ack 1 <101-201>")
}

// Fuzz seeds aside: a sender survives any number of duplicate and stale ACKs.
func TestDuplicateACKsWithoutSACKInformation(t *testing.T) {
	s := steady(t, tcp.Linux(), 10)
	s.clear()
	for range 50 {
		s.ack(1)
	}
	s.want() // duplicate ACKs without SACK blocks prove nothing
	s.ack(seg(10))
	s.ack(seg(4), blk(seg(5), seg(6))) // stale
	if st := s.c.Stats(); st.Retransmitted != 0 || st.InFlight != 0 {
		t.Errorf("%+v", st)
	}
}
