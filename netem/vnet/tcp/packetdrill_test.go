package tcp_test

import (
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/thinlink/thinlink/netem/vnet/tcp"
)

// Linux's TCP is tested with scripts of packetdrill (gtests/net/tcp of
// github.com/google/packetdrill). These are timelines of our own in which the
// same cause must have the same effect, under the scripts' names. docs/tcp.md
// lists every script: which hold, which do not apply and which differ.

const ms = time.Millisecond

// What the peer offers: segments of 1000 bytes, no timestamps.
var (
	withSACK    = tcp.Segment{MSS: 1000, WindowScale: 7, SACKPermitted: true}
	withoutSACK = tcp.Segment{MSS: 1000, WindowScale: 7}
)

// serve is a server after the handshake with a peer that offered offer.
func serve(t *testing.T, cfg tcp.Config, rtt time.Duration, offer tcp.Segment) *script {
	t.Helper()
	s := begin(t)
	s.ts = offer.Timestamps
	offer.Flags, offer.Window = tcp.SYN, 65535
	syn := s.fill(offer)
	s.c = tcp.Accept(cfg, s.now, &syn, ourISS, 1500, false)
	s.collect()
	s.advance(rtt)
	s.in(tcp.ACK, 1, 1, 0)
	s.clear()
	s.wantState(tcp.Established)
	return s
}

// call is a client after the handshake with a peer that answered with answer.
func call(t *testing.T, cfg tcp.Config, rtt time.Duration, answer tcp.Segment) *script {
	t.Helper()
	s := begin(t)
	s.c = tcp.Dial(cfg, s.now, 50000, 80, ourISS, 1500, false)
	s.collect()
	s.advance(rtt)
	answer.Flags, answer.Ack = tcp.SYN|tcp.ACK, 1
	s.raw(answer)
	s.clear()
	s.wantState(tcp.Established)
	return s
}

// drilled is the kernel that the scripts are for, whose timers tick every
// millisecond.
func drilled() tcp.Config {
	cfg := tcp.Linux()
	cfg.Tick = ms
	return cfg
}

// roomy is the same with writers that never wait.
func roomy() tcp.Config {
	cfg := drilled()
	cfg.SendBuffer = 1 << 20
	return cfg
}

// wantData compares what left since, as ranges of sequence numbers: from, to,
// from, to, ...
func (s *script) wantData(ranges ...uint32) {
	s.t.Helper()
	var got []uint32
	for i := range s.segs {
		from := s.segs[i].Seq - ourISS
		to := from + s.segs[i].Len()
		switch n := len(got); {
		case from == to:
		case n > 0 && got[n-1] == from:
			got[n-1] = to
		default:
			got = append(got, from, to)
		}
	}
	if !slices.Equal(got, ranges) {
		s.t.Fatalf("%v: sent %v, want %v", s.elapsed(), got, ranges)
	}
	s.clear()
}

// wantWindow compares the congestion window and the slow start threshold, in
// segments; 0 is an infinite threshold.
func (s *script) wantWindow(cwnd, ssthresh uint32) {
	s.t.Helper()
	st := s.c.Stats()
	if ssthresh == 0 {
		ssthresh = 1<<31 - 1
	}
	if st.Cwnd != cwnd || st.Ssthresh != ssthresh {
		s.t.Fatalf("%v: window %d, threshold %d, want %d, %d", s.elapsed(), st.Cwnd, st.Ssthresh, cwnd, ssthresh)
	}
}

func (s *script) wantCwnd(cwnd uint32) {
	s.t.Helper()
	if st := s.c.Stats(); st.Cwnd != cwnd {
		s.t.Fatalf("%v: window %d, want %d", s.elapsed(), st.Cwnd, cwnd)
	}
}

// acks delivers a pure ACK after a pause.
func (s *script) acks(after time.Duration, ack uint32, sack ...tcp.SACKBlock) {
	s.advance(after)
	s.ack(ack, sack...)
}

// kib is the sequence number after n segments of 1000 bytes.
func kib(n uint32) uint32 { return 1 + 1000*n }

// sacked is a block of segments from to to, of 1000 bytes.
func sacked(from, to uint32) tcp.SACKBlock { return blk(kib(from), kib(to)) }

var packetdrill = map[string]func(*testing.T){
	"close/close-local-close-then-remote-fin": func(t *testing.T) {
		s := call(t, drilled(), 0, tcp.Segment{Window: 32768, MSS: 1000, WindowScale: 6, SACKPermitted: true})
		s.write(1000)
		s.want("P. 1:1001 ack 1")
		s.ack(1001)
		s.do(s.c.Close)
		s.want("F. 1001:1002 ack 1")
		s.ack(1002)
		s.in(tcp.FIN|tcp.ACK, 1, 1002, 0)
		s.want(". 1002 ack 2")
		s.wantState(tcp.TimeWait)
	},
	"close/close-on-syn-sent": func(t *testing.T) {
		s := begin(t)
		s.c = tcp.Dial(drilled(), s.now, 50000, 80, ourISS, 1500, false)
		s.collect()
		s.want("S 0:1")
		s.do(s.c.Close)
		s.want()
		s.advance(100 * ms)
		s.raw(tcp.Segment{Flags: tcp.SYN | tcp.ACK, Ack: 1, Window: 32000, MSS: 1460, WindowScale: 7})
		s.want("R 1")
	},
	"close/close-remote-fin-then-close": func(t *testing.T) {
		s := serve(t, drilled(), 0, withSACK)
		s.advance(10 * ms)
		s.in(tcp.FIN|tcp.ACK, 1, 1, 0)
		s.advance(5 * ms)
		s.want(". 1 ack 2")
		if _, err := s.read(); err != io.EOF {
			t.Fatalf("Read after FIN: %v", err)
		}
		s.advance(10 * ms)
		s.do(s.c.Close)
		s.want("F. 1:2 ack 2")
		s.advance(10 * ms)
		s.in(tcp.ACK, 2, 2, 0)
		s.wantState(tcp.Closed)
		s.advance(10 * ms)
		s.in(tcp.ACK, 2, 2, 0)
		s.want("R 2")
	},

	"cubic/cubic-hystart-delay-rtt-jumps-upward": func(t *testing.T) {
		s := serve(t, roomy(), 200*ms, withSACK)
		s.write(30000)
		s.acks(200*ms, kib(10))
		s.wantWindow(20, 0)
		s.advance(239 * ms)
		for n := uint32(12); n <= 26; n += 2 {
			s.acks(ms, kib(n))
			s.wantWindow(n+10, 0)
		}
		for n := uint32(28); n <= 30; n += 2 { // the ninth sample of the round, 20 % late
			s.acks(ms, kib(n))
			s.wantWindow(36, 36)
		}
	},
	"cubic/cubic-hystart-delay-min-rtt-jumps-downward": func(t *testing.T) {
		s := serve(t, roomy(), 200*ms, withSACK)
		s.write(28000)
		s.acks(200*ms, kib(10))
		s.wantData(1, kib(28))
		s.advance(180 * ms)
		s.write(2000)
		s.wantData(kib(28), kib(30))
		s.advance(19 * ms)
		for n := uint32(12); n <= 30; n += 2 { // the last one after 29 ms only
			s.acks(ms, kib(n))
			s.wantWindow(n+10, 0)
		}
	},
	"cubic/cubic-rto-ss-ca-cwnd-bump": func(t *testing.T) {
		s := serve(t, roomy(), 100*ms, withSACK)
		s.write(1000)
		s.acks(100*ms, kib(1))
		s.wantCwnd(10)
		s.clear()
		s.write(1000)
		s.wantData(kib(1), kib(2))
		s.advance(310 * ms) // the probe, as late as the time-out would be
		s.wantData(kib(1), kib(2))
		s.advance(310 * ms)
		s.wantData(kib(1), kib(2))
		s.acks(100*ms, kib(2))
		s.wantWindow(2, 7)
		s.write(200000)
		s.wantData(kib(2), kib(4))
		s.acks(100*ms, kib(3))
		s.acks(2*ms, kib(4))
		s.acks(98*ms, kib(5))
		for n := uint32(6); n <= 7; n++ {
			s.acks(2*ms, kib(n))
			s.wantCwnd(n)
		}
		s.wantData(kib(4), kib(14))
		for n := uint32(8); n <= 22; n++ {
			after := 2 * ms
			if n == 9 || n == 16 {
				after = 98 * ms
			}
			s.acks(after, kib(n))
			s.wantData(kib(n+6), kib(n+7))
			s.wantCwnd(7)
		}
		s.acks(98*ms, kib(23))
		s.wantData(kib(29), kib(31))
		s.wantCwnd(8)
	},

	"cwnd_moderation/cwnd-moderation-disorder-no-moderation": func(t *testing.T) {
		s := serve(t, drilled(), 100*ms, withSACK)
		s.write(4000)
		s.wantData(1, kib(4))
		s.acks(100*ms, 1, sacked(1, 2))
		s.wantCwnd(10)
	},

	"fast_recovery/prr-ss-10pkt-lost-1": func(t *testing.T) {
		s := serve(t, roomy(), 100*ms, withSACK)
		s.write(10000)
		s.wantData(1, kib(10))
		s.acks(110*ms, 1, sacked(1, 2))
		s.acks(10*ms, 1, sacked(1, 3))
		s.acks(10*ms, 1, sacked(1, 4))
		s.wantData(1, kib(1))
		s.wantWindow(7, 7)
		s.advance(20 * ms)
		s.write(7000)
		s.wantData()
		for n := uint32(5); n <= 10; n++ { // one for one
			s.acks(10*ms, 1, sacked(1, n))
			s.wantData(kib(n+5), kib(n+6))
		}
		s.acks(20*ms, kib(10))
		s.wantData(kib(16), kib(17))
		s.wantWindow(7, 7)
	},
	"fast_recovery/prr-ss-30pkt-lost-1_4-11_16": func(t *testing.T) {
		s := serve(t, roomy(), 10*ms, withSACK)
		s.write(20000)
		s.wantData(1, kib(10))
		s.acks(10*ms, 1, sacked(4, 5))
		s.wantData(kib(10), kib(11))
		s.acks(2*ms, 1, sacked(4, 6))
		s.wantData(kib(11), kib(12))
		for n := uint32(0); n < 4; n++ {
			s.acks(2*ms, 1, sacked(4, n+7))
			s.wantData(kib(n), kib(n+1))
		}
		for n := uint32(11); n <= 12; n++ {
			s.acks(2*ms, 1, sacked(4, n))
			s.wantData(kib(n+1), kib(n+2))
		}
		s.acks(10*ms, kib(1), sacked(4, 12))
		s.wantData(kib(14), kib(16))
		s.acks(2*ms, kib(1), sacked(2, 12))
		s.wantData(kib(1), kib(2), kib(16), kib(17))
		for n := uint32(13); n <= 14; n++ {
			s.acks(2*ms, kib(1), sacked(2, n))
			s.wantData(kib(n+4), kib(n+5))
		}
	},
	"fast_recovery/prr-ss-30pkt-lost1_4": func(t *testing.T) {
		s := serve(t, roomy(), 10*ms, withSACK)
		s.write(10000)
		s.wantData(1, kib(10))
		s.acks(10*ms, 1, sacked(4, 5))
		s.acks(2*ms, 1, sacked(4, 6))
		s.wantData()
		for n := uint32(0); n < 4; n++ {
			s.ack(1, sacked(4, n+7))
			s.wantData(kib(n), kib(n+1))
		}
		s.advance(10 * ms)
		for n := uint32(1); n <= 3; n++ {
			s.ack(kib(n), sacked(4, 10))
		}
		s.ack(kib(10))
		s.wantData()
		s.advance(10 * ms)
		s.write(10000)
		s.wantData(kib(10), kib(17)) // ssthresh
	},
	"fast_recovery/prr-ss-ack-below-snd_una-cubic": func(t *testing.T) {
		s := serve(t, roomy(), 10*ms, withSACK)
		s.write(10000)
		s.wantData(1, kib(10))
		s.advance(10 * ms)
		s.ack(1, sacked(1, 2))
		s.ack(1, sacked(1, 3))
		s.ack(1, sacked(1, 3), sacked(8, 9))
		s.wantData(1, kib(1))
		s.acks(12*ms, kib(4), sacked(8, 9))
		s.wantData(kib(4), kib(7))
		s.write(10000)
		s.wantData()
		s.acks(2*ms, kib(3), sacked(5, 7)) // overtaken; its SACK counts
		s.wantData(kib(7), kib(8), kib(10), kib(11))
	},

	"fast_retransmit/fr-4pkt": func(t *testing.T) {
		s := serve(t, drilled(), 100*ms, withoutSACK)
		s.write(4000)
		s.wantData(1, kib(4))
		s.advance(100 * ms)
		s.ack(1)
		s.ack(1)
		s.wantData()
		s.ack(1)
		s.wantData(1, kib(1))
		s.closesAfter(kib(4))
	},
	"fast_retransmit/fr-4pkt-sack": func(t *testing.T) {
		s := serve(t, drilled(), 100*ms, withSACK)
		s.write(4000)
		s.wantData(1, kib(4))
		s.advance(100 * ms)
		s.ack(1, sacked(1, 2))
		s.ack(1, sacked(1, 3))
		s.wantData()
		s.ack(1, sacked(1, 4))
		s.wantData(1, kib(1))
		s.closesAfter(kib(4))
	},
	"fast_retransmit/fr-4pkt-fack-last-mss": func(t *testing.T) {
		s := serve(t, drilled(), 100*ms, withSACK)
		s.write(4000)
		s.wantData(1, kib(4))
		s.acks(100*ms, 1, sacked(3, 4))
		s.advance(25 * ms)
		s.wantData()
		s.advance(15 * ms) // RACK's reordering timer
		s.wantData(1, kib(1))
	},
	"fast_retransmit/fr-4pkt-fack-last-byte": func(t *testing.T) {
		s := serve(t, drilled(), 100*ms, withSACK)
		last := blk(kib(4)-1, kib(4))
		s.write(4000)
		s.wantData(1, kib(4))
		s.acks(100*ms, 1, last)
		s.advance(99 * ms)
		s.wantData()
		s.advance(20 * ms) // the tail loss probe
		s.wantData(kib(3), kib(4))
		s.advance(320 * ms) // the time-out
		s.wantData(1, kib(1))
		s.acks(400*ms, kib(1), last)
		s.wantData(kib(1), kib(3))
		s.acks(100*ms, kib(3), last)
		s.wantData(kib(3), kib(4))
		s.closesAfter(kib(4))
	},

	"ioctl/ioctl-siocinq-fin": func(t *testing.T) {
		s := serve(t, drilled(), 100*ms, tcp.Segment{MSS: 1000, WindowScale: -1, SACKPermitted: true})
		s.in(tcp.PSH|tcp.ACK, 1, 1, 1000)
		s.want(". 1 ack 1001")
		s.wantRead(1000, nil)
		s.advance(90 * ms)
		s.in(tcp.FIN|tcp.PSH|tcp.ACK, 1001, 1, 1000)
		s.want(". 1 ack 2002")
		s.wantRead(1000, nil)
		s.wantRead(0, io.EOF)
	},

	"limited_transmit/limited-transmit-no-sack": func(t *testing.T) { limitedTransmit(t, withoutSACK) },
	"limited_transmit/limited-transmit-sack": func(t *testing.T) {
		limitedTransmit(t, withSACK, sacked(1, 2), sacked(1, 3))
	},

	"mss/mss-getsockopt-tcp_maxseg-server": func(t *testing.T) {
		s := serve(t, drilled(), 100*ms, tcp.Segment{MSS: 1100, WindowScale: 8})
		s.write(2000)
		s.want(". 1:1101 ack 1", "P. 1101:2001 ack 1")
	},
	"mss/mss-setsockopt-tcp_maxseg-client": func(t *testing.T) {
		cfg := roomy()
		cfg.MSS = 1100
		s := begin(t)
		s.c = tcp.Dial(cfg, s.now, 50000, 80, ourISS, 1500, false)
		s.collect()
		if got := s.segs[0].MSS; got != 1100 {
			t.Errorf("SYN offers segments of %d bytes", got)
		}
		s.advance(100 * ms)
		s.raw(tcp.Segment{Flags: tcp.SYN | tcp.ACK, Ack: 1, Window: 32792, MSS: 1460, WindowScale: 7})
		s.clear()
		s.write(12000)
		s.wantData(1, 11001)
	},
	"mss/mss-setsockopt-tcp_maxseg-server": func(t *testing.T) {
		cfg := roomy()
		cfg.MSS = 1100
		s := serve(t, cfg, 100*ms, tcp.Segment{MSS: 1300, WindowScale: 7})
		s.write(12000)
		s.wantData(1, 11001)
	},

	"nagle/https_client": func(t *testing.T) {
		cfg := drilled()
		cfg.Timestamps = false
		s := call(t, cfg, 100*ms, tcp.Segment{Window: 5792, MSS: 974, WindowScale: 7, SACKPermitted: true})
		s.write(517)
		s.want("P. 1:518 ack 1")
		s.acks(100*ms, 518)
		s.in(tcp.PSH|tcp.ACK, 1, 518, 143)
		s.want(". 518 ack 144")
		s.wantRead(143, nil)
		s.write(51)
		s.want("P. 518:569 ack 144")
		s.advance(30 * ms)
		s.write(2002)
		s.wantData(569, 2571) // the small end of it, too
	},

	"sack/sack-route-refresh-ip-tos": func(t *testing.T) {
		s := call(t, roomy(), 10*ms, tcp.Segment{Window: 65535, MSS: 1000, WindowScale: 7, SACKPermitted: true})
		for n := uint32(4); n <= 8; n += 4 {
			s.advance(10 * ms)
			s.write(4000)
			s.acks(10*ms, kib(n))
		}
		s.clear()
		s.write(10000)
		s.wantData(kib(8), kib(18))
		s.acks(10*ms, kib(9), sacked(11, 12), sacked(14, 18))
		s.wantData(kib(9), kib(11), kib(12), kib(14))
	},
	"sack/sack-shift-sacked-2-6-8-3-9-nofack": func(t *testing.T) {
		s := serve(t, roomy(), 100*ms, withSACK)
		s.write(10000)
		s.wantData(1, kib(10))
		s.acks(100*ms, 1, sacked(2, 3))
		s.acks(ms, 1, sacked(2, 3), sacked(6, 7))
		s.acks(ms, 1, sacked(2, 3), sacked(6, 7), sacked(8, 9))
		s.wantData(1, kib(1))
		s.wantInFlight(10 - 3 - 6 + 1) // six are lost
		s.acks(7*ms, 1, sacked(2, 4), sacked(6, 7), sacked(8, 9))
		s.wantData(kib(1), kib(2))
		s.wantInFlight(10 - 4 - 5 + 2)
		s.acks(10*ms, 1, sacked(2, 4), sacked(6, 7), sacked(8, 10))
		s.acks(83*ms, kib(1), sacked(2, 4), sacked(6, 7), sacked(8, 10))
		s.acks(17*ms, kib(4), sacked(6, 7), sacked(8, 10))
		s.acks(10*ms, kib(7), sacked(8, 10))
		s.acks(100*ms, kib(10))
		s.wantInFlight(0)
	},
	"sack/sack-shift-sacked-7-3-4-8-9-fack": func(t *testing.T) {
		s := serve(t, roomy(), 100*ms, withSACK)
		s.write(10000)
		s.wantData(1, kib(10))
		s.acks(100*ms, 1, sacked(7, 8))
		s.advance(25 * ms)
		s.wantData()
		s.advance(10 * ms) // RACK's reordering timer: all seven below are lost
		s.wantData(1, kib(1))
		s.wantInFlight(10 - 1 - 7 + 1)
		s.acks(2*ms, 1, sacked(3, 4), sacked(7, 8))
		s.wantData(kib(1), kib(2))
		s.wantInFlight(10 - 2 - 6 + 2)
		s.acks(2*ms, 1, sacked(3, 5), sacked(7, 8))
		s.wantData(kib(2), kib(3))
		s.wantInFlight(10 - 3 - 5 + 3)
		s.acks(2*ms, 1, sacked(3, 5), sacked(7, 9))
		s.wantData(kib(5), kib(6))
		s.acks(2*ms, 1, sacked(3, 5), sacked(7, 10))
		s.wantData(kib(6), kib(7))
		s.acks(100*ms, kib(10))
		s.wantInFlight(0)
	},
	"sack/sack-shift-sacked-7-5-6-8-9-fack": func(t *testing.T) {
		s := serve(t, roomy(), 100*ms, withSACK)
		s.write(10000)
		s.wantData(1, kib(10))
		s.acks(100*ms, 1, sacked(7, 8))
		s.advance(35 * ms)
		s.wantData(1, kib(1))
		for n, blocks := range [][]tcp.SACKBlock{
			{sacked(5, 6), sacked(7, 8)}, {sacked(5, 8)}, {sacked(5, 9)}, {sacked(5, 10)},
		} {
			s.ack(1, blocks...)
			s.wantData(kib(uint32(n)+1), kib(uint32(n)+2))
		}
		s.acks(100*ms, kib(10))
		s.wantInFlight(0)
	},

	"shutdown/shutdown-rdwr-close": func(t *testing.T) {
		s := serve(t, drilled(), 0, withSACK)
		s.halfCloses("F. 1:2 ack 1")
		s.ack(2)
		s.do(s.c.Close)
		s.advance(10 * ms)
		s.in(tcp.FIN|tcp.ACK, 1, 2, 0)
		s.want(". 2 ack 2")
	},
	"shutdown/shutdown-rdwr-send-queue-ack-close": func(t *testing.T) {
		s := serve(t, roomy(), ms, withSACK)
		s.advance(10 * ms)
		s.write(20000)
		s.wantData(1, kib(10))
		s.halfCloses() // the window leaves no room for the FIN
		s.acks(ms, kib(1))
		s.wantData(kib(10), kib(12))
		s.advance(9 * ms) // the tail loss probe is new data
		s.wantData(kib(12), kib(13))
		s.advance(10 * ms)
		s.do(s.c.Close)
		s.acks(10*ms, kib(13))
		s.wantData(kib(13), kib(20)+1)
		s.ack(kib(20) + 1)
		s.advance(10 * ms)
		s.in(tcp.FIN|tcp.ACK, 1, kib(20)+1, 0)
		s.want(". 20002 ack 2")
	},
	"shutdown/shutdown-rdwr-write-queue-close": func(t *testing.T) {
		s := serve(t, roomy(), 10*ms, withSACK)
		s.advance(10 * ms)
		s.write(10000)
		s.wantData(1, kib(10))
		s.advance(10 * ms)
		s.halfCloses("F. 10001:10002 ack 1") // it may exceed the window
		s.advance(10 * ms)
		s.do(s.c.Close)
		s.want()
		s.advance(20 * ms)
		s.want("F. 10001:10002 ack 1") // the tail loss probe
		s.ack(kib(10) + 1)
		s.in(tcp.FIN|tcp.ACK, 1, kib(10)+1, 0)
		s.want(". 10002 ack 2")
	},
	"shutdown/shutdown-wr-close": func(t *testing.T) {
		s := serve(t, drilled(), 0, withSACK)
		s.halfCloses("F. 1:2 ack 1")
		s.ack(2)
		s.advance(10 * ms)
		s.in(tcp.ACK, 1, 2, 1000)
		s.want(". 2 ack 1001")
		s.wantRead(1000, nil)
		s.advance(10 * ms)
		s.do(s.c.Close)
		s.in(tcp.FIN|tcp.ACK, 1001, 2, 0)
		s.want(". 2 ack 1002")
	},

	"slow_start/slow-start-ack-per-1pkt":              func(t *testing.T) { slowStart(t, 30, 1) },
	"slow_start/slow-start-ack-per-2pkt":              func(t *testing.T) { slowStart(t, 30, 2) },
	"slow_start/slow-start-ack-per-4pkt":              func(t *testing.T) { slowStart(t, 30, 4) },
	"slow_start/slow-start-ack-per-2pkt-send-5pkt":    func(t *testing.T) { appLimited(t, 5, 10, 10, 10) },
	"slow_start/slow-start-ack-per-2pkt-send-6pkt":    func(t *testing.T) { appLimited(t, 6, 12, 12, 12) },
	"slow_start/slow-start-app-limited":               func(t *testing.T) { appLimited(t, 10, 12, 14, 16, 18, 20) },
	"slow_start/slow-start-app-limited-9-packets-out": func(t *testing.T) { appLimited(t, 9, 12, 14, 16, 18, 18) },
	"slow_start/slow-start-after-idle": func(t *testing.T) {
		s := grown(t)
		s.acks(100*ms, kib(26))
		s.wantCwnd(36)
		s.advance(2 * time.Second)
		s.write(20000)
		s.wantCwnd(10)
		s.wantData(kib(26), kib(36))
	},
	"slow_start/slow-start-after-win-update": func(t *testing.T) {
		s := grown(t)
		s.advance(100 * ms)
		s.raw(tcp.Segment{Flags: tcp.ACK, Seq: 1, Ack: kib(26), WindowScale: -1})
		s.write(20000)
		for _, wait := range []time.Duration{320 * ms, 640 * ms, 1280 * ms} { // probes, further and further apart
			s.advance(wait)
			s.want(". 26000 ack 1")
			s.wantCwnd(36)
		}
		s.acks(900*ms, kib(26))
		s.wantCwnd(10)
		s.wantData(kib(26), kib(36))
	},

	"tcp_info/tcp-info-rwnd-limited": func(t *testing.T) {
		s := call(t, drilled(), 10*ms, tcp.Segment{MSS: 1000, WindowScale: -1, SACKPermitted: true})
		window := func(ack uint32, w uint16) {
			s.raw(tcp.Segment{Flags: tcp.ACK, Seq: 1, Ack: ack, Window: w, WindowScale: -1})
		}
		s.write(1000)
		s.advance(200 * ms)
		s.wantData()
		window(1, 2000)
		s.wantData(1, kib(1))
		s.advance(30 * ms)
		window(kib(1), 10)
		s.write(1000)
		s.advance(100 * ms)
		s.wantData()
		window(kib(1), 2000)
		s.wantData(kib(1), kib(2))
	},

	"ts_recent/fin_tsval": func(t *testing.T) {
		s := serve(t, drilled(), 100*ms, timestamped)
		answered := s.ecr
		s.advance(time.Second)
		s.do(s.c.Close)
		if g := s.segs[0]; g.TSVal-answered != 1100 || g.TSEcr != s.clock()-1000 {
			t.Errorf("FIN's timestamps: value %d after the SYN-ACK's, echo %d", g.TSVal-answered, g.TSEcr)
		}
		s.want("F. 1:2 ack 1")
	},
	"ts_recent/invalid_ack": func(t *testing.T) {
		s := serve(t, drilled(), 100*ms, timestamped)
		s.raw(tcp.Segment{Flags: tcp.FIN | tcp.ACK, Seq: 1, Ack: 9999, Window: 512, WindowScale: -1, Timestamps: true, TSVal: s.clock() + 200_000, TSEcr: s.ecr})
		s.want(". 1 ack 1") // RFC 9293 section 3.10.7.4, where Linux is silent
		s.data(1, 1000)
		if g := s.segs[0]; g.TSEcr != s.clock() {
			t.Errorf("echo is %d ms ahead", g.TSEcr-s.clock())
		}
		s.want(". 1 ack 1001")
	},
	"ts_recent/reset_tsval": func(t *testing.T) {
		s := serve(t, drilled(), 100*ms, timestamped)
		s.data(1, 1000)
		received := s.ecr
		s.clear()
		s.advance(time.Second)
		s.do(s.c.Close) // with unread data
		if g := s.segs[0]; g.TSVal-received != 1000 || g.TSEcr != s.clock()-1000 {
			t.Errorf("RST's timestamps: value %d after the last, echo %d", g.TSVal-received, g.TSEcr)
		}
		s.want("R. 1 ack 1001")
	},

	"user_timeout/user_timeout": func(t *testing.T) {
		cfg := drilled()
		cfg.UserTimeout = 3 * time.Second
		s := serve(t, cfg, 100*ms, withSACK)
		s.do(s.c.Close)
		s.want("F. 1:2 ack 1")
		for _, wait := range []time.Duration{350 * ms, 350 * ms, 700 * ms} { // a probe, time-outs
			s.advance(wait)
			s.want("F. 1:2 ack 1")
		}
		s.in(tcp.ACK, 1, 1, 1) // nobody will read it
		s.want("R 1")
		s.wantState(tcp.Closed)
	},

	"validate/validate-established-no-flags": func(t *testing.T) {
		s := serve(t, drilled(), 10*ms, withSACK)
		s.in(0, 1, 0, 1000)
		s.wantRead(0, nil)
		s.in(tcp.ACK, 1, 1, 1000)
		s.wantRead(1000, nil)
	},
}

var timestamped = tcp.Segment{MSS: 1000, WindowScale: -1, SACKPermitted: true, Timestamps: true, TSVal: 7_000_000}

func (s *script) wantInFlight(n uint32) {
	s.t.Helper()
	if got := s.c.Stats().InFlight; got != n {
		s.t.Fatalf("%v: %d segments in flight, want %d", s.elapsed(), got, n)
	}
}

func (s *script) wantRead(n int, err error) {
	s.t.Helper()
	if got, e := s.read(); got != n || e != err {
		s.t.Fatalf("%v: Read = %d, %v, want %d, %v", s.elapsed(), got, e, n, err)
	}
}

// halfCloses closes the writing half, and finds nothing to read or write after.
func (s *script) halfCloses(want ...string) {
	s.t.Helper()
	s.do(s.c.CloseWrite)
	s.want(want...)
	if _, err := s.c.Write(s.now, make([]byte, 1000)); err != tcp.ErrClosed {
		s.t.Fatalf("Write after CloseWrite: %v", err)
	}
}

// closesAfter acknowledges everything and closes both directions.
func (s *script) closesAfter(ack uint32) {
	s.t.Helper()
	s.acks(100*ms, ack)
	s.advance(100 * ms)
	s.clear()
	s.do(s.c.Close)
	s.want(fmt.Sprintf("F. %d:%d ack 1", ack, ack+1))
	s.advance(100 * ms)
	s.in(tcp.FIN|tcp.ACK, 1, ack+1, 0)
	s.want(fmt.Sprintf(". %d ack 2", ack+1))
}

// limitedTransmit is RFC 3042, with duplicate ACKs that were reordering.
func limitedTransmit(t *testing.T, offer tcp.Segment, blocks ...tcp.SACKBlock) {
	s := serve(t, roomy(), 100*ms, offer)
	s.write(15000)
	s.wantData(1, kib(10))
	s.advance(100 * ms)
	for n := range uint32(2) {
		var sack []tcp.SACKBlock
		if blocks != nil {
			sack = blocks[n : n+1]
		}
		s.acks(10*ms, 1, sack...)
		s.wantData(kib(10+n), kib(11+n))
	}
	s.acks(10*ms, kib(3))
	s.wantData(kib(12), kib(14))
	s.acks(20*ms, kib(5))
	s.wantData(kib(14), kib(15))
	for n := uint32(7); n <= 13; n += 2 {
		s.acks(20*ms, kib(n))
	}
	s.closesAfter(kib(15))
}

// slowStart sends segments while ACKs of per segments arrive.
func slowStart(t *testing.T, segments, per uint32) {
	s := serve(t, roomy(), 100*ms, withSACK)
	s.write(int(segments) * 1000)
	s.wantData(1, kib(10))
	s.advance(100 * ms)
	for acked, next := uint32(0), uint32(10); acked < 10; {
		n := min(per, 10-acked)
		acked += n
		s.acks(5*ms, kib(acked))
		s.wantData(kib(next), kib(next+2*n))
		next += 2 * n
	}
	s.wantCwnd(20)
}

// appLimited sends fewer segments than the window allows; each ACK of two
// leaves the window given.
func appLimited(t *testing.T, segments uint32, windows ...uint32) {
	s := serve(t, roomy(), 100*ms, withSACK)
	s.write(int(segments) * 1000)
	s.wantCwnd(10)
	s.advance(100 * ms)
	for n, w := range windows {
		s.acks(5*ms, kib(min(2*uint32(n)+2, segments)))
		s.wantCwnd(w)
	}
}

// grown is a sender whose window has doubled, with 16 segments outstanding.
func grown(t *testing.T) *script {
	s := serve(t, roomy(), 100*ms, withSACK)
	s.write(26000)
	s.wantData(1, kib(10))
	s.acks(100*ms, kib(10))
	s.wantCwnd(20)
	s.wantData(kib(10), kib(26))
	return s
}

func TestPacketdrill(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(packetdrill)) {
		t.Run(name, packetdrill[name])
	}
}

// The table of docs/tcp.md and the timelines name the same scripts.
func TestPacketdrillIsDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/tcp.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)/` \\| (.*) \\| holds").FindAllStringSubmatch(string(doc), -1) {
		for name := range strings.SplitSeq(row[2], ", ") {
			documented[row[1]+"/"+strings.Trim(name, "`")] = true
		}
	}
	for name := range packetdrill {
		if !documented[name] {
			t.Errorf("%s has a timeline and is not in docs/tcp.md", name)
		}
	}
	for name := range documented {
		if packetdrill[name] == nil {
			t.Errorf("%s holds by docs/tcp.md and has no timeline", name)
		}
	}
}
