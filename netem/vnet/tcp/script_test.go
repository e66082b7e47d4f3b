package tcp_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/thinlink/thinlink/netem/vnet/tcp"
)

// script is the vocabulary of the timelines: one Conn, its peer played by the
// test. Sequence numbers are relative to the initial ones, so that the first
// data byte is 1. in, write, read, advance act; want compares what left since.
type script struct {
	t     *testing.T
	c     *tcp.Conn
	start time.Time
	now   time.Time
	got   []string
	segs  []tcp.Segment
	ecr   uint32 // the last timestamp seen
	ts    bool   // segments of the peer carry timestamps
	tsval uint32 // added to the peer's clock
}

const (
	ourISS   = 0xFFFFF000 // wraps soon
	theirISS = 0x7FFFFF00
	mss      = 1306 // of MTU 1358 with timestamps
)

func begin(t *testing.T) *script {
	at := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	return &script{t: t, start: at, now: at}
}

// dial is a client after the handshake with a peer that offers everything;
// the round trip took rtt.
func dial(t *testing.T, cfg tcp.Config, rtt time.Duration) *script {
	t.Helper()
	s := begin(t)
	s.c = tcp.Dial(cfg, s.now, 50000, 80, ourISS, 1358, false)
	s.collect()
	s.clear()
	s.advance(rtt)
	s.synAck(cfg)
	s.clear()
	if s.c.State() != tcp.Established {
		t.Fatalf("after the handshake: %v", s.c.State())
	}
	return s
}

func (s *script) synAck(cfg tcp.Config) {
	s.ts = cfg.Timestamps
	s.raw(tcp.Segment{Flags: tcp.SYN | tcp.ACK, Seq: 0, Ack: 1, Window: 65535, MSS: 1318,
		WindowScale: 7, SACKPermitted: true})
}

// accept is a server after the handshake.
func accept(t *testing.T, cfg tcp.Config, rtt time.Duration) *script {
	t.Helper()
	s := begin(t)
	s.ts = cfg.Timestamps
	syn := s.fill(tcp.Segment{Flags: tcp.SYN, Window: 65535, MSS: 1318, WindowScale: 7, SACKPermitted: true})
	s.c = tcp.Accept(cfg, s.now, &syn, ourISS, 1358, false)
	s.collect()
	s.clear()
	s.advance(rtt)
	s.in(tcp.ACK, 1, 1, 0)
	s.clear()
	if s.c.State() != tcp.Established {
		t.Fatalf("after the handshake: %v", s.c.State())
	}
	return s
}

// fill makes a relative segment absolute.
func (s *script) fill(g tcp.Segment) tcp.Segment {
	g.SrcPort, g.DstPort = 80, 50000
	g.Seq += theirISS
	if g.Flags&tcp.ACK != 0 {
		g.Ack += ourISS
	}
	for i := range g.SACK {
		g.SACK[i].Start += ourISS
		g.SACK[i].End += ourISS
	}
	if s.ts && !g.Timestamps {
		g.Timestamps, g.TSVal, g.TSEcr = true, s.clock(), s.ecr
	}
	return g
}

// clock is the peer's timestamp clock.
func (s *script) clock() uint32 {
	return uint32(s.now.Sub(s.start)/time.Millisecond) + 7_000_000 + s.tsval
}

func (s *script) raw(g tcp.Segment) {
	g = s.fill(g)
	s.c.Input(s.now, &g)
	s.collect()
}

// in delivers a segment of n bytes with a window of 64 KiB and SACK blocks.
func (s *script) in(f tcp.Flags, seq, ack uint32, n int, sack ...tcp.SACKBlock) {
	s.raw(tcp.Segment{Flags: f, Seq: seq, Ack: ack, Window: 512, WindowScale: -1,
		Payload: make([]byte, n), SACK: sack})
}

// ack delivers a pure ACK; data a full segment.
func (s *script) ack(ack uint32, sack ...tcp.SACKBlock) { s.in(tcp.ACK, 1, ack, 0, sack...) }
func (s *script) data(seq uint32, n int)                { s.in(tcp.ACK, seq, 1, n) }

func blk(start, end uint32) tcp.SACKBlock { return tcp.SACKBlock{Start: start, End: end} }

// seg is the sequence number of the n-th full segment, from 0.
func seg(n uint32) uint32 { return 1 + n*mss }

func (s *script) write(n int) {
	s.t.Helper()
	if k, err := s.c.Write(s.now, make([]byte, n)); k != n || err != nil {
		s.t.Fatalf("%v: Write(%d) = %d, %v", s.elapsed(), n, k, err)
	}
	s.collect()
}

// read takes everything and returns how much it was, and io.EOF or an error.
func (s *script) read() (int, error) {
	b := make([]byte, 1<<20)
	n, err := s.c.Read(s.now, b)
	s.collect()
	return n, err
}

func (s *script) do(f func(time.Time)) {
	f(s.now)
	s.collect()
}

// advance lets time pass, with every timer on the way.
func (s *script) advance(d time.Duration) {
	end := s.now.Add(d)
	for {
		at, ok := s.c.Next()
		if !ok || at.After(end) {
			break
		}
		if at.After(s.now) {
			s.now = at
		}
		s.c.Tick(s.now)
		s.collect()
	}
	s.now = end
}

func (s *script) elapsed() time.Duration { return s.now.Sub(s.start) }

func (s *script) collect() {
	s.c.Output(s.now, func(g *tcp.Segment) {
		if g.Timestamps {
			s.ecr = g.TSVal
		}
		s.segs = append(s.segs, *g)
		s.got = append(s.got, text(g))
	})
	if err := s.c.CheckInvariants(); err != nil {
		s.t.Fatalf("%v: %v", s.elapsed(), err)
	}
}

// text is a segment as tcpdump shows it, without options but SACK.
func text(g *tcp.Segment) string {
	var b strings.Builder
	seq := g.Seq - ourISS
	fmt.Fprintf(&b, "%v %d", g.Flags, int32(seq))
	if n := g.Len(); n > 0 {
		fmt.Fprintf(&b, ":%d", seq+n)
	}
	if g.Flags&tcp.ACK != 0 {
		fmt.Fprintf(&b, " ack %d", int32(g.Ack-theirISS))
	}
	for _, k := range g.SACK {
		fmt.Fprintf(&b, " <%d-%d>", k.Start-theirISS, k.End-theirISS)
	}
	return b.String()
}

// clear forgets what left.
func (s *script) clear() { s.got, s.segs = nil, nil }

// want compares everything that left since the last want.
func (s *script) want(lines ...string) {
	s.t.Helper()
	if strings.Join(s.got, "\n") != strings.Join(lines, "\n") {
		s.t.Fatalf("%v: sent\n\t%s\nwant\n\t%s", s.elapsed(), strings.Join(s.got, "\n\t"), strings.Join(lines, "\n\t"))
	}
	s.clear()
}

func (s *script) wantState(st tcp.State) {
	s.t.Helper()
	if s.c.State() != st {
		s.t.Fatalf("%v: state %v, want %v", s.elapsed(), s.c.State(), st)
	}
}

// full is the text of the n-th full segment of data.
func full(n uint32) string { return fmt.Sprintf(". %d:%d ack 1", seg(n), seg(n+1)) }

func fulls(from, to uint32) (out []string) {
	for n := from; n < to; n++ {
		out = append(out, full(n))
	}
	return out
}

func wantErr(t *testing.T, got, want error) {
	t.Helper()
	if got != want {
		t.Fatalf("error %v, want %v", got, want)
	}
}

var _ = io.EOF
