package tcp_test

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/thinlink/thinlink/netem/vnet/tcp"
)

// Segments in any order, cut and doubled at random, make the same stream.
func TestReassembly(t *testing.T) {
	for seed := uint64(1); seed <= 50; seed++ {
		rng := rand.New(rand.NewPCG(seed, 1))
		s := accept(t, tcp.Linux(), 100*time.Millisecond)
		stream := make([]byte, 20000)
		for i := range stream {
			stream[i] = byte(rng.Uint32())
		}
		var got []byte
		b := make([]byte, 4096)
		for tries := 0; len(got) < len(stream); tries++ {
			if tries > 10000 {
				t.Fatalf("seed %d: only %d bytes arrive", seed, len(got))
			}
			lo := max(0, min(len(got)+rng.IntN(12000)-3000, len(stream)-1))
			hi := min(lo+1+rng.IntN(1400), len(stream))
			s.raw(tcp.Segment{Flags: tcp.ACK, Seq: 1 + uint32(lo), Ack: 1, Window: 512, WindowScale: -1, Payload: stream[lo:hi]})
			if rng.IntN(3) == 0 {
				n, err := s.c.Read(s.now, b[:1+rng.IntN(len(b))])
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, b[:n]...)
			}
			s.clear()
		}
		if !bytes.Equal(got, stream) {
			t.Fatalf("seed %d: the stream is damaged", seed)
		}
	}
}

// A reader that does not read closes the window; reading opens it again, with
// an update to the peer.
func TestWindowClosesAndOpens(t *testing.T) {
	s := accept(t, tcp.Linux(), 100*time.Millisecond)
	next := uint32(1)
	window := uint32(65536)
	for range 400 {
		n := min(uint32(mss), window)
		if n == 0 {
			break
		}
		s.data(next, int(n))
		next += n
		s.advance(300 * time.Millisecond)
		if len(s.segs) > 0 {
			g := s.segs[len(s.segs)-1]
			window = uint32(g.Window)<<7 - (next - (g.Ack - theirISS))
		}
		s.clear()
	}
	if window >= mss {
		t.Fatalf("the window is still %d after %d bytes", window, next-1)
	}
	if next < 50000 {
		t.Errorf("only %d bytes fit", next-1)
	}
	s.data(next, 1) // a probe
	if len(s.got) != 1 {
		t.Fatalf("a probe is answered with %v", s.got)
	}
	s.clear()
	n, _ := s.read()
	if uint32(n) < next-1 {
		t.Errorf("read %d of %d bytes", n, next-1)
	}
	if len(s.segs) == 0 || s.segs[0].Window == 0 {
		t.Errorf("reading sent %v, want a window update", s.got)
	}
}

// The right edge of the window never moves back (RFC 9293 section 3.8.6).
func TestWindowNeverShrinks(t *testing.T) {
	s := accept(t, tcp.Linux(), 100*time.Millisecond)
	edge := uint32(0)
	next := uint32(1)
	for n := range uint32(300) {
		s.data(next, mss)
		next += mss
		s.advance(time.Duration(n%7) * 10 * time.Millisecond)
		if n%50 == 49 {
			s.read()
		}
		for _, g := range s.segs {
			if e := g.Ack - theirISS + uint32(g.Window)<<7; int32(e-edge) < 0 {
				t.Fatalf("segment %d: right edge %d after %d", n, e, edge)
			} else {
				edge = e
			}
		}
		s.clear()
	}
}

// The window grows with what the application reads per round trip.
func TestReceiveBufferIsTuned(t *testing.T) {
	s := accept(t, tcp.Linux(), 100*time.Millisecond)
	next := uint32(1)
	var window uint32
	for range 30 { // round trips of 100 ms with ever more data
		for range 40 {
			s.data(next, mss)
			next += mss
			s.read()
		}
		s.advance(100 * time.Millisecond)
		if len(s.segs) > 0 {
			window = uint32(s.segs[len(s.segs)-1].Window) << 7
		}
		s.clear()
	}
	if window < 100_000 {
		t.Errorf("window %d after 30 round trips of 52 kB", window)
	}
}

// Data beyond the window is not stored.
func TestBeyondWindow(t *testing.T) {
	s := accept(t, tcp.Linux(), 100*time.Millisecond)
	s.data(1<<20, 100)
	s.want(". 1 ack 1")
	s.data(1, 10)
	if n, _ := s.read(); n != 10 {
		t.Errorf("read %d", n)
	}
}
