package tcp_test

import (
	"testing"
	"time"

	"github.com/thinlink/thinlink/netem/vnet/tcp"
)

// narrow is a client whose peer offers a window of n bytes.
func narrow(t *testing.T, n uint16) *script {
	t.Helper()
	s := begin(t)
	s.c = tcp.Dial(tcp.Linux(), s.now, 50000, 80, ourISS, 1358, false)
	s.collect()
	s.advance(100 * time.Millisecond)
	s.ts = true
	s.raw(tcp.Segment{Flags: tcp.SYN | tcp.ACK, Ack: 1, Window: n, MSS: 1318, WindowScale: 0, SACKPermitted: true})
	s.clear()
	return s
}

// grant delivers an ACK with a window of n bytes.
func (s *script) grant(ack uint32, n uint16) {
	s.raw(tcp.Segment{Flags: tcp.ACK, Seq: 1, Ack: ack, Window: n, WindowScale: -1})
}

// PSH falls on the first segment that ends half of the greatest window behind
// the last one, and on the end of a write.
func TestPushInNarrowWindow(t *testing.T) {
	s := narrow(t, 3954)
	s.write(5 * mss)
	s.grant(seg(2), 3954)
	s.want(full(0), "P. 1307:2613 ack 1", full(2), "P. 3919:5225 ack 1", "P. 5225:6531 ack 1")
}

// What is written behind an unsent end that has room takes its PSH away; an
// end that is full keeps it, and so does a segment that is sent again.
func TestPushMovesWithTheEnd(t *testing.T) {
	s := narrow(t, 2*mss)
	s.write(2*mss + 100)
	s.want(full(0), "P. 1307:2613 ack 1")
	s.write(mss - 100)
	s.write(mss)
	s.grant(seg(2), 2*mss)
	s.want("P. 2613:3919 ack 1", "P. 3919:5225 ack 1")
	s.grant(seg(2), 2*mss)
	s.advance(2 * time.Second)
	for _, got := range s.got {
		if got != "P. 3919:5225 ack 1" && got != "P. 2613:3919 ack 1" {
			t.Errorf("sent again: %s", got)
		}
	}
	if len(s.got) == 0 {
		t.Error("nothing was sent again")
	}
}
