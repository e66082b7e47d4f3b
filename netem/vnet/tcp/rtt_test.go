package tcp_test

import (
	"testing"
	"time"

	"github.com/thinlink/thinlink/netem/vnet/tcp"
)

// The estimator's known answers: Linux's variance starts at twice the first
// round trip's half, is at least 200 ms, and a shrinking round trip hardly
// moves it.
func TestEstimator(t *testing.T) {
	s := dial(t, tcp.Linux(), 800*time.Millisecond)
	if st := s.c.Stats(); st.SRTT != 800*time.Millisecond || st.RTTVAR != 1600*time.Millisecond || st.RTO != 2400*time.Millisecond {
		t.Errorf("first: %+v", st)
	}
	sample := func(d time.Duration) tcp.Stats {
		s.write(mss)
		s.advance(d)
		una := s.segs[len(s.segs)-1]
		s.clear()
		s.ack(una.Seq + una.Len() - ourISS)
		return s.c.Stats()
	}
	if st := sample(1600 * time.Millisecond); st.SRTT != 900*time.Millisecond {
		t.Errorf("second: SRTT %v", st.SRTT)
	}
	var st tcp.Stats
	for range 200 {
		st = sample(800 * time.Millisecond)
	}
	if st.RTTVAR < 200*time.Millisecond || st.RTTVAR > 210*time.Millisecond || st.SRTT.Round(time.Millisecond) != 800*time.Millisecond {
		t.Errorf("settled: %v, %v", st.SRTT, st.RTTVAR)
	}
	if st.MinRTT != 800*time.Millisecond {
		t.Errorf("least %v", st.MinRTT)
	}
}

// The least round trip is forgotten after five minutes.
func TestMinRTTWindow(t *testing.T) {
	s := dial(t, tcp.Linux(), 50*time.Millisecond)
	for range 40 {
		s.write(mss)
		s.advance(150 * time.Millisecond)
		end := s.segs[len(s.segs)-1]
		s.clear()
		s.ack(end.Seq + end.Len() - ourISS)
		s.advance(10 * time.Second)
	}
	if got := s.c.Stats().MinRTT; got != 150*time.Millisecond {
		t.Errorf("least round trip %v after 400 s", got)
	}
}

// PAWS (RFC 7323 section 5.3): an old timestamp makes a segment unacceptable.
func TestPAWS(t *testing.T) {
	s := accept(t, tcp.Linux(), 100*time.Millisecond)
	s.data(1, 100)
	s.clear()
	old := tcp.Segment{Flags: tcp.ACK, Seq: 101, Ack: 1, Window: 512, WindowScale: -1, Payload: make([]byte, 100)}
	s.tsval = 0
	s.tsval -= 500
	s.raw(old)
	s.want(". 1 ack 101") // RFC 7323: answered, not taken
	if st := s.c.Stats(); st.PAWSRejected != 1 {
		t.Errorf("%+v", st)
	}
	s.tsval = 0
	s.raw(old)
	if n, _ := s.read(); n != 200 {
		t.Errorf("read %d bytes", n)
	}
	// After 24 days of silence any timestamp counts (section 5.5).
	s.advance(25 * 24 * time.Hour)
	s.clear()
	s.tsval -= 1 << 31
	s.data(201, 100)
	if n, _ := s.read(); n != 100 {
		t.Errorf("after 25 days: read %d bytes", n)
	}
}

// A reset is taken whatever its timestamp.
func TestPAWSLetsResetPass(t *testing.T) {
	s := accept(t, tcp.Linux(), 100*time.Millisecond)
	s.tsval -= 1 << 30
	s.in(tcp.RST, 1, 0, 0)
	s.wantState(tcp.Closed)
}

// The timestamp echoed is that of the segment at the left edge of what the
// ACK covers (RFC 7323 section 4.3).
func TestTimestampEcho(t *testing.T) {
	s := accept(t, tcp.Linux(), 100*time.Millisecond)
	first := s.clock()
	s.data(1, mss)
	s.advance(10 * time.Millisecond)
	s.data(seg(2), mss) // out of order: not its timestamp
	if g := s.segs[len(s.segs)-1]; g.TSEcr != first {
		t.Errorf("echo %d, want %d", g.TSEcr, first)
	}
}
