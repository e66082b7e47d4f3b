package tcp_test

import (
	"testing"
	"time"

	"github.com/thinlink/thinlink/netem/vnet/tcp"
)

// Slow start grows by what is acknowledged, however many ACKs say it.
func TestSlowStartCountsSegments(t *testing.T) {
	s := steady(t, tcp.Linux(), 100)
	s.ack(seg(4))
	if got := s.c.Stats().Cwnd; got != 14 {
		t.Errorf("window %d after one ACK of four segments", got)
	}
	s.ack(seg(4) + 10) // splitting ACKs gains nothing
	s.ack(seg(4) + 20)
	if got := s.c.Stats().Cwnd; got != 14 {
		t.Errorf("window %d after ACKs of bytes", got)
	}
}

// A window that is not used does not grow (RFC 7661).
func TestUnusedWindow(t *testing.T) {
	s := dial(t, tcp.Linux(), 100*time.Millisecond)
	end := uint32(1)
	for range 100 {
		s.write(100)
		end += 100
		s.advance(100 * time.Millisecond)
		s.ack(end)
	}
	if got := s.c.Stats().Cwnd; got != 10 {
		t.Errorf("window %d after 100 lone segments", got)
	}
}

// After idleness the window is halved for every RTO, down to the initial one
// (RFC 2861), and ssthresh remembers it.
func TestSlowStartAfterIdle(t *testing.T) {
	for _, on := range []bool{true, false} {
		cfg := tcp.Linux()
		cfg.SlowStartAfterIdle = on
		s := steady(t, cfg, 160)
		for n := uint32(10); n <= 160; n += 10 {
			s.advance(100 * time.Millisecond)
			s.ack(seg(n))
		}
		before := s.c.Stats().Cwnd
		s.advance(time.Minute)
		s.write(mss)
		st := s.c.Stats()
		if on && (st.Cwnd != 10 || st.Ssthresh < before*3/4) || !on && st.Cwnd != before {
			t.Errorf("restart %v: window %d, before %d, ssthresh %d", on, st.Cwnd, before, st.Ssthresh)
		}
	}
}
