package tcp_test

import (
	"testing"
	"time"

	"github.com/thinlink/thinlink/netem/vnet/tcp"
)

// A bulk transfer starts with 16 quick ACKs; then every second full segment is
// acknowledged, a single one after the delay (RFC 5681 section 4.2).
func TestQuickThenDelayedACK(t *testing.T) {
	cfg := tcp.Linux()
	s := accept(t, cfg, 100*time.Millisecond)
	for n := uint32(0); n < 16; n++ {
		s.data(seg(n), mss)
		s.read()
		if len(s.got) != 1 {
			t.Fatalf("segment %d: %v, want a quick ACK", n, s.got)
		}
		s.clear()
		s.advance(10 * time.Millisecond)
	}
	// Growing windows keep adding a quick ACK until the window is open.
	n := uint32(16)
	for ; n < 60; n++ {
		s.data(seg(n), mss)
		s.read()
	}
	s.clear()
	s.data(seg(n), mss)
	s.read()
	s.want()
	s.data(seg(n+1), mss)
	s.read()
	s.want(ackOf(n + 2))
	s.data(seg(n+2), mss)
	s.read()
	s.advance(39 * time.Millisecond)
	s.want()
	s.advance(5 * time.Millisecond) // 40 ms, on the timer's grid
	s.want(ackOf(n + 3))
}

func ackOf(n uint32) string {
	return text(&tcp.Segment{Flags: tcp.ACK, Seq: ourISS + 1, Ack: theirISS + seg(n)})
}

// An answer within the delay makes the session interactive: the ACK waits for
// the answer.
func TestPingpong(t *testing.T) {
	s := accept(t, tcp.Linux(), 100*time.Millisecond)
	s.data(1, 100)
	s.read()
	s.clear()
	s.write(50) // the answer
	s.clear()
	s.in(tcp.ACK, 101, 51, 100) // the next request
	s.read()
	s.want()
	s.write(50)
	s.want("P. 51:101 ack 201")
	s.in(tcp.ACK, 201, 101, 100)
	s.read()
	s.advance(30 * time.Millisecond)
	s.want()
	s.advance(20 * time.Millisecond)
	s.want(". 101 ack 301") // no answer came
	s.in(tcp.ACK, 301, 101, 100)
	s.read()
	s.want(". 101 ack 401") // not interactive any more
}

// Data out of order is acknowledged at once, and so is what fills the gap.
func TestImmediateACKs(t *testing.T) {
	s := accept(t, tcp.Linux(), 100*time.Millisecond)
	s.data(seg(1), mss)
	s.want(". 1 ack 1 <1307-2613>")
	s.data(seg(3), mss)
	s.want(". 1 ack 1 <3919-5225> <1307-2613>")
	s.data(seg(2), mss)
	s.want(". 1 ack 1 <1307-5225>")
	s.data(seg(0), mss)
	s.want(". 1 ack 5225")
	s.data(seg(0), mss) // again: D-SACK, RFC 2883
	s.want(". 1 ack 5225 <1-1307>")
	s.data(seg(5), mss)
	s.want(". 1 ack 5225 <6531-7837>")
	s.data(seg(5), mss) // again, out of order
	s.want(". 1 ack 5225 <6531-7837> <6531-7837>")
	if st := s.c.Stats(); st.DSACKsSent != 2 {
		t.Errorf("%d D-SACKs", st.DSACKsSent)
	}
}

// At most three blocks fit beside timestamps, the latest first (RFC 2018).
func TestSACKBlocks(t *testing.T) {
	s := accept(t, tcp.Linux(), 100*time.Millisecond)
	for _, n := range []uint32{1, 3, 5, 7, 9} {
		s.data(seg(n), mss)
	}
	s.clear()
	s.data(seg(3), 10) // a duplicate within a block
	s.want(". 1 ack 1 <3919-3929> <3919-5225> <11755-13061>")
	s.data(seg(0), mss)
	if got := s.segs[0].SACK; len(got) != 3 {
		t.Errorf("%d blocks", len(got))
	}
	s.clear()
	s.data(seg(2), mss) // swallows the block above
	s.want(". 1 ack 5225 <11755-13061> <9143-10449> <6531-7837>")
}

// The ACK's delay follows the interval of arrivals up to the maximum.
func TestACKDelayGrowsAndIsBounded(t *testing.T) {
	s := accept(t, tcp.Linux(), 2*time.Second)
	next := uint32(1)
	worst := time.Duration(0)
	for range 200 {
		s.data(next, 600)
		next += 600
		s.read()
		if len(s.got) == 0 {
			at := s.now
			for len(s.got) == 0 {
				s.advance(time.Millisecond)
			}
			worst = max(worst, s.now.Sub(at))
		}
		s.clear()
		s.advance(300 * time.Millisecond)
	}
	if worst <= 40*time.Millisecond || worst > 260*time.Millisecond {
		t.Errorf("longest delay %v", worst)
	}
}
