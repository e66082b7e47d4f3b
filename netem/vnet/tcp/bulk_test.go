package tcp_test

import (
	"encoding/binary"
	"io"
	"testing"
	"time"

	"github.com/thinlink/thinlink/netem"
	"github.com/thinlink/thinlink/netem/vnet/tcp"
)

// bulk is a download: the platform sends size bytes to the device.
type bulk struct {
	link             *netem.Link
	device, platform *tcp.Conn
	now              time.Time
	size, written    int
	received         int
	accepted         time.Time
	down, up         int // packets offered to the link
	buf              []byte
	chunk            int // what remains of the write under way
	cfg              tcp.Config
	seed             uint64
	failed           error
}

const (
	ipHeader = 20
	bulkMTU  = 1358
)

func newBulk(tb testing.TB, cfg netem.Config, size int, seed uint64) *bulk {
	now := time.Date(2030, 1, 1, 0, 0, 0, int(seed*1_700_003), time.UTC)
	b := &bulk{now: now, size: size, buf: make([]byte, 32768), cfg: goSocket(), seed: seed}
	l, err := netem.NewLink(cfg, seed, now, nil)
	if err != nil {
		tb.Fatal(err)
	}
	b.link = l
	return b
}

// goSocket is a socket of Go's net package, as the programs had that measured
// the kernel: it keeps connections alive with a probe every 15 s.
func goSocket() tcp.Config {
	cfg := tcp.Linux()
	cfg.KeepAlive, cfg.KeepAliveInterval = 15*time.Second, 15*time.Second
	return cfg
}

func (b *bulk) send(dir netem.Direction) func(*tcp.Segment) {
	return func(s *tcp.Segment) {
		if dir == netem.Down {
			b.down++
		} else {
			b.up++
		}
		ip := s.AppendTo(make([]byte, ipHeader, ipHeader+len(s.Payload)+60))
		ip[0] = 0x45
		binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
		b.link.Send(b.now, dir, ip)
	}
}

func (b *bulk) deliver(dir netem.Direction, ip []byte) {
	s, err := tcp.Parse(ip[ipHeader:])
	if err != nil {
		b.failed = err
		return
	}
	if dir == netem.Up && b.platform == nil {
		if s.Flags&tcp.SYN != 0 {
			b.platform = tcp.Accept(b.cfg, b.now, &s, uint32(b.seed)*7919+1, bulkMTU, false)
		}
	} else if dir == netem.Up {
		b.platform.Input(b.now, &s)
	} else {
		b.device.Input(b.now, &s)
	}
}

// apps lets both programs do what they can, and sends what that causes.
func (b *bulk) apps() {
	if p := b.platform; p != nil {
		p.Output(b.now, b.send(netem.Down))
		if p.State() == tcp.Established && b.accepted.IsZero() {
			b.accepted = b.now
		}
		for !b.accepted.IsZero() && b.written < b.size && (b.chunk == 0 || p.Writable()) {
			if b.chunk == 0 {
				b.chunk = min(len(b.buf), b.size-b.written)
			}
			n, err := p.Write(b.now, b.buf[:b.chunk])
			if err != nil {
				b.failed = err
			}
			b.written += n
			b.chunk -= n
			p.Output(b.now, b.send(netem.Down))
		}
		if b.written == b.size {
			p.CloseWrite(b.now)
			b.written++
		}
		p.Output(b.now, b.send(netem.Down))
	}
	b.device.Output(b.now, b.send(netem.Up))
	for {
		n, err := b.device.Read(b.now, b.buf)
		b.received += n
		b.device.Output(b.now, b.send(netem.Up))
		if err != nil && err != io.EOF {
			b.failed = err
		}
		if n == 0 {
			break
		}
	}
}

// run transfers and returns the time from accept to the end of the stream.
func (b *bulk) run(tb testing.TB) time.Duration {
	b.device = tcp.Dial(b.cfg, b.now, 50000, 80, uint32(b.seed)*104729+1, bulkMTU, false)
	b.apps()
	for b.device.State() < tcp.CloseWait || b.device.State() == tcp.FinWait1 {
		if b.failed != nil {
			tb.Fatalf("seed %d after %v: %v", b.seed, b.now.Sub(b.accepted), b.failed)
		}
		next := b.now.Add(time.Hour)
		for _, t := range []func() (time.Time, bool){b.link.Next, b.device.Next, b.platformNext} {
			if at, ok := t(); ok && at.Before(next) {
				next = at
			}
		}
		if next.After(b.now) {
			b.now = next
		}
		b.link.Advance(b.now, func(dir netem.Direction, ip []byte) { b.deliver(dir, ip); b.apps() })
		b.device.Tick(b.now)
		if b.platform != nil {
			b.platform.Tick(b.now)
		}
		b.apps()
		if b.now.Sub(b.accepted) > 2*time.Hour && !b.accepted.IsZero() {
			tb.Fatalf("seed %d: no end after two hours, %d of %d bytes", b.seed, b.received, b.size)
		}
	}
	if b.received != b.size {
		tb.Fatalf("seed %d: received %d of %d bytes", b.seed, b.received, b.size)
	}
	return b.now.Sub(b.accepted)
}

func (b *bulk) platformNext() (time.Time, bool) {
	if b.platform == nil {
		return time.Time{}, false
	}
	return b.platform.Next()
}

// A megabyte through both ends and the link, for the cost of it.
func BenchmarkMegabyte(b *testing.B) {
	cfg, size := yardstickConfig("nb26", 2)
	b.ReportAllocs()
	for b.Loop() {
		newBulk(b, cfg, size, 1).run(b)
	}
}
