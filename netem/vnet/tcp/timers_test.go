package tcp_test

import (
	"testing"
	"time"

	"github.com/thinlink/thinlink/netem/vnet/tcp"
)

// The RTO doubles up to 120 s; after 924.6 s without an ACK the connection is
// given up (tcp_retries2 = 15).
func TestRTOBackoff(t *testing.T) {
	cfg := tcp.Linux()
	cfg.TimerWheel, cfg.TLP = false, false
	s := dial(t, cfg, 100*time.Millisecond)
	s.write(mss)
	s.want("P. 1:1307 ack 1")
	rto := 300 * time.Millisecond
	for range 14 {
		s.advance(rto - 1)
		s.want()
		s.advance(1)
		s.want("P. 1:1307 ack 1")
		rto = min(2*rto, 120*time.Second)
		if got := s.c.Stats().RTO; got != rto {
			t.Fatalf("%v: RTO %v, want %v", s.elapsed(), got, rto)
		}
	}
	s.clear()
	s.advance(10 * time.Minute)
	s.wantState(tcp.Closed)
	wantErr(t, s.c.Err(), tcp.ErrTimeout)
	if st := s.c.Stats(); st.Cwnd != 1 || st.Ssthresh != 7 {
		t.Errorf("%+v", st)
	}
}

// An ACK of something new ends the back-off with the next measurement; the
// round trip of retransmitted data is measured by timestamps.
func TestBackoffEnds(t *testing.T) {
	s := dial(t, tcp.Linux(), 100*time.Millisecond)
	s.write(mss)
	s.advance(5 * time.Second)
	if st := s.c.Stats(); st.RTOs < 3 || st.RTO < 2*time.Second {
		t.Fatalf("%+v", st)
	}
	s.advance(100 * time.Millisecond)
	s.ack(seg(1))
	if st := s.c.Stats(); st.RTO > 2*time.Second || st.InFlight != 0 {
		t.Errorf("after the ACK %+v", st)
	}
	if _, ok := s.c.Next(); ok {
		t.Error("a timer runs though nothing is outstanding")
	}
}

func TestUserTimeout(t *testing.T) {
	cfg := tcp.Linux()
	cfg.UserTimeout = 5 * time.Second
	s := dial(t, cfg, 100*time.Millisecond)
	s.write(mss)
	s.advance(5 * time.Second)
	s.wantState(tcp.Established)
	s.advance(2 * time.Second)
	s.wantState(tcp.Closed)
	wantErr(t, s.c.Err(), tcp.ErrTimeout)
}

// An orphan gives up earlier: after 8 retransmissions' worth of time.
func TestOrphanGivesUpEarly(t *testing.T) {
	s := dial(t, tcp.Linux(), 100*time.Millisecond)
	s.write(mss)
	s.do(s.c.Close)
	s.advance(4 * time.Minute)
	s.wantState(tcp.Closed)
}

// A closed window is probed with an old sequence number after RTO, 2 RTO, ...
// (RFC 9293 section 3.8.6.1), for as long as the peer answers.
func TestZeroWindowProbe(t *testing.T) {
	cfg := tcp.Linux()
	cfg.TimerWheel = false
	s := dial(t, cfg, 100*time.Millisecond)
	closed := tcp.Segment{Flags: tcp.ACK, Seq: 1, Ack: 1, Window: 0, WindowScale: -1}
	s.raw(closed)
	s.write(100)
	s.want()
	wait := 300 * time.Millisecond
	for n := range 20 {
		s.advance(wait - 1)
		s.want()
		s.advance(1)
		s.want(". 0 ack 1")
		s.raw(closed)
		if wait = min(2*wait, 120*time.Second); n > 8 && wait != 120*time.Second {
			t.Fatal("the interval is not bounded by 120 s")
		}
		s.clear()
	}
	s.wantState(tcp.Established)
	s.in(tcp.ACK, 1, 1, 0) // opens
	s.want("P. 1:101 ack 1")
	if st := s.c.Stats(); st.ZeroWindowProbes != 20 {
		t.Errorf("%d probes", st.ZeroWindowProbes)
	}
}

// Without answers the probes end the connection.
func TestZeroWindowGivesUp(t *testing.T) {
	s := dial(t, tcp.Linux(), 100*time.Millisecond)
	s.raw(tcp.Segment{Flags: tcp.ACK, Seq: 1, Ack: 1, Window: 0, WindowScale: -1})
	s.write(100)
	s.advance(30 * time.Minute)
	s.wantState(tcp.Closed)
	wantErr(t, s.c.Err(), tcp.ErrTimeout)
}

// A window smaller than a segment is not used at once (RFC 9293 section
// 3.8.6.2.1) but by the probe.
func TestSillyWindow(t *testing.T) {
	cfg := tcp.Linux()
	cfg.TimerWheel = false
	s := dial(t, cfg, 100*time.Millisecond)
	s.raw(tcp.Segment{Flags: tcp.ACK, Seq: 1, Ack: 1, Window: 4, WindowScale: -1}) // 512 bytes
	s.write(5000)
	s.want()
	s.advance(300 * time.Millisecond)
	s.want(". 1:513 ack 1")
}

// A peer that takes its window back is probed by retransmissions, and may
// reopen it.
func TestShrunkWindow(t *testing.T) {
	s := dial(t, tcp.Linux(), 100*time.Millisecond)
	s.write(2 * mss)
	s.clear()
	closed := tcp.Segment{Flags: tcp.ACK, Seq: 1, Ack: 1, Window: 0, WindowScale: -1}
	s.raw(closed)
	for range 30 {
		s.advance(time.Minute)
		s.raw(closed)
	}
	s.wantState(tcp.Established)
	s.clear()
	s.in(tcp.ACK, 1, seg(2), 0)
	s.write(10)
	if len(s.got) != 1 {
		t.Errorf("sent %v", s.got)
	}
}

func TestKeepAlive(t *testing.T) {
	cfg := tcp.Linux()
	cfg.TimerWheel = false
	cfg.KeepAlive, cfg.KeepAliveInterval, cfg.KeepAliveProbes = 60*time.Second, 10*time.Second, 3
	s := dial(t, cfg, 100*time.Millisecond)
	s.advance(60 * time.Second)
	s.want(". 0 ack 1")
	s.ack(1) // alive
	s.advance(59 * time.Second)
	s.want()
	s.advance(2 * time.Second)
	s.want(". 0 ack 1")
	s.advance(20 * time.Second)
	s.want(". 0 ack 1", ". 0 ack 1")
	s.advance(10 * time.Second)
	s.want("R. 1 ack 1")
	s.wantState(tcp.Closed)
	wantErr(t, s.c.Err(), tcp.ErrTimeout)
}

func TestNoKeepAliveByDefault(t *testing.T) {
	s := dial(t, tcp.Linux(), 100*time.Millisecond)
	s.advance(time.Hour)
	s.want()
	if at, ok := s.c.Next(); ok {
		t.Errorf("an idle connection has a timer at %v", at)
	}
}

// Timers lie on the grid of ticks, and on the wheel's grid above 63 of them.
func TestTimerGrid(t *testing.T) {
	cfg := tcp.Linux()
	s := begin(t)
	s.now = s.now.Add(1234567)
	s.c = tcp.Dial(cfg, s.now, 1, 2, 0, 1358, false)
	s.collect()
	at, ok := s.c.Next()
	late := at.Sub(s.now) - time.Second
	if !ok || at.UnixNano()%int64(32*time.Millisecond) != 0 && late < 0 || late > 64*time.Millisecond {
		t.Errorf("the SYN's time-out is %v after one second", late)
	}
	cfg.TimerWheel = false
	c := tcp.Dial(cfg, s.now, 1, 2, 0, 1358, false)
	at, _ = c.Next()
	if late := at.Sub(s.now) - time.Second; late > 0 || late <= -4*time.Millisecond || at.UnixNano()%4_000_000 != 0 {
		t.Errorf("without a wheel: %v", late)
	}
}

// Above 63 ticks a time-out lies on a grid of eight: the phase decides by how
// much it is late, never that it is early.
func TestTimerPhase(t *testing.T) {
	cfg := tcp.Linux()
	seen := map[time.Duration]bool{}
	for cfg.TimerPhase = 0; cfg.TimerPhase < 32*time.Millisecond; cfg.TimerPhase += cfg.Tick {
		s := begin(t)
		s.c = tcp.Dial(cfg, s.now, 1, 2, 0, 1358, false)
		s.collect()
		at, _ := s.c.Next()
		late := at.Sub(s.now) - time.Second
		if late <= 0 || late > 32*time.Millisecond {
			t.Errorf("phase %v: the SYN's time-out is late by %v", cfg.TimerPhase, late)
		}
		seen[late] = true
	}
	if len(seen) != 8 {
		t.Errorf("eight phases, delays %v", seen)
	}
}
