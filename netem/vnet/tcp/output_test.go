package tcp_test

import (
	"testing"
	"time"

	"github.com/thinlink/thinlink/netem/vnet/tcp"
)

// Nagle's algorithm in Minshall's variant: a small segment waits while another
// small one is unacknowledged.
func TestNagle(t *testing.T) {
	cfg := tcp.Linux()
	cfg.NoDelay = false
	s := dial(t, cfg, 100*time.Millisecond)
	s.write(10)
	s.want("P. 1:11 ack 1")
	s.write(10)
	s.write(10)
	s.want()
	s.ack(11)
	s.want("P. 11:31 ack 1")

	s = dial(t, tcp.Linux(), 100*time.Millisecond) // TCP_NODELAY
	s.write(10)
	s.write(10)
	s.want("P. 1:11 ack 1", "P. 11:21 ack 1")
}

// The MSS follows from the MTU: 1306 bytes of IPv4 with timestamps at 1358,
// 20 less with IPv6; a configured one bounds it.
func TestMSS(t *testing.T) {
	for _, c := range []struct {
		ipv6 bool
		mss  int
		want uint16
	}{{false, 0, 1318}, {true, 0, 1298}, {false, 536, 536}} {
		cfg := tcp.Linux()
		cfg.MSS = c.mss
		s := begin(t)
		s.c = tcp.Dial(cfg, s.now, 50000, 80, ourISS, 1358, c.ipv6)
		s.collect()
		if got := s.segs[0].MSS; got != c.want {
			t.Errorf("ipv6 %v, MSS %d: offers %d, want %d", c.ipv6, c.mss, got, c.want)
		}
		s.clear()
		s.synAck(cfg)
		s.clear()
		s.write(3000)
		if got := len(s.segs[0].Payload); got != int(c.want)-12 {
			t.Errorf("ipv6 %v, MSS %d: segments of %d bytes", c.ipv6, c.mss, got)
		}
	}
}

// A segment never exceeds half of the peer's greatest window.
func TestSmallPeerWindow(t *testing.T) {
	s := begin(t)
	s.c = tcp.Dial(tcp.Linux(), s.now, 50000, 80, ourISS, 1358, false)
	s.collect()
	s.clear()
	s.raw(tcp.Segment{Flags: tcp.SYN | tcp.ACK, Ack: 1, Window: 1200, MSS: 1318, WindowScale: -1})
	s.clear()
	s.write(2000)
	s.want(". 1:601 ack 1", "P. 601:1201 ack 1")
}

// The send buffer: what fits is taken, room reappears with ACKs.
func TestSendBuffer(t *testing.T) {
	cfg := tcp.Linux()
	cfg.SendBuffer = 10000
	s := dial(t, cfg, 100*time.Millisecond)
	n, err := s.c.Write(s.now, make([]byte, 15000))
	if n != 10000 || err != nil {
		t.Fatalf("Write = %d, %v", n, err)
	}
	if s.c.Writable() {
		t.Error("writable with a full buffer")
	}
	if n, err := s.c.Write(s.now, make([]byte, 1)); n != 0 || err != nil {
		t.Errorf("Write = %d, %v", n, err)
	}
	s.collect()
	s.clear()
	s.ack(seg(4))
	if !s.c.Writable() {
		t.Error("not writable with half of the buffer free")
	}
	s.write(5000)
}

// PSH ends a write, and marks every half window of a long one.
func TestPush(t *testing.T) {
	s := steady(t, tcp.Linux(), 10)
	pushed := 0
	for _, g := range s.segs {
		if g.Flags&tcp.PSH != 0 {
			pushed++
		}
	}
	if pushed != 1 || s.segs[9].Flags&tcp.PSH == 0 {
		t.Errorf("PSH: %v", s.got)
	}
}

// What was acknowledged between two calls of Output needs no copy any more.
func TestOutputAfterACK(t *testing.T) {
	s := dial(t, tcp.Linux(), 100*time.Millisecond)
	if n, err := s.c.Write(s.now, []byte("hello")); n != 5 || err != nil {
		t.Fatal(n, err)
	}
	g := s.fill(tcp.Segment{Flags: tcp.ACK, Seq: 1, Ack: 6, Window: 512, WindowScale: -1})
	s.c.Input(s.now, &g) // the owner was slow
	s.collect()
	s.want()
}

// Nothing is accepted before the handshake is over.
func TestWriteBeforeHandshake(t *testing.T) {
	s := begin(t)
	s.c = tcp.Dial(tcp.Linux(), s.now, 50000, 80, ourISS, 1358, false)
	if n, err := s.c.Write(s.now, []byte("x")); n != 0 || err != nil {
		t.Errorf("Write = %d, %v", n, err)
	}
	if s.c.Writable() || s.c.Readable() {
		t.Error("ready before the handshake")
	}
	s.do(s.c.Close)
	s.wantState(tcp.Closed)
}
