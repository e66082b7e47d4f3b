package measure

import (
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/thinlink/thinlink/internal/wire"
	"github.com/thinlink/thinlink/netem"
)

var (
	deviceIP   = netip.MustParseAddr("100.64.0.2")
	platformIP = netip.MustParseAddr("203.0.113.10")
	device6    = netip.MustParseAddr("fd00:6c::2")
	platform6  = netip.MustParseAddr("2001:db8::10")
	epoch      = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
)

const (
	up   = netem.Up
	down = netem.Down
)

// A tape makes a trace: a vocabulary of packets for tests.
type tape struct {
	mu               sync.Mutex
	device, platform netip.Addr
	devicePort, port uint16
	now              time.Time
	step             time.Duration // passes before each packet
	next             [2]uint32     // TCP: the next sequence number
	trace            Trace
	keys             []byte
}

func newTape(port uint16) *tape {
	return &tape{
		device: deviceIP, platform: platformIP, devicePort: 49152, port: port,
		now: epoch, step: time.Millisecond, next: [2]uint32{1000, 0xfffffff0},
	}
}

// at moves the clock to s seconds after the start.
func (p *tape) at(s float64) *tape {
	p.now = epoch.Add(time.Duration(s * float64(time.Second)))
	return p
}

func (p *tape) ip(dir netem.Direction, proto uint8, transport func(b []byte) []byte) *Packet {
	src, dst := p.device, p.platform
	if dir == down {
		src, dst = dst, src
	}
	b := transport(wire.AppendIP(nil, wire.IP{Src: src, Dst: dst, Protocol: proto, HopLimit: 64}))
	wire.Seal(b)
	p.now = p.now.Add(p.step)
	p.trace.Packets = append(p.trace.Packets, Packet{Time: p.now, Dir: dir, Data: b, Done: p.now.Add(time.Second)})
	return &p.trace.Packets[len(p.trace.Packets)-1]
}

func (p *tape) ports(dir netem.Direction) (src, dst uint16) {
	if dir == up {
		return p.devicePort, p.port
	}
	return p.port, p.devicePort
}

func (p *tape) udp(dir netem.Direction, data []byte) *Packet {
	return p.ip(dir, wire.ProtoUDP, func(b []byte) []byte {
		src, dst := p.ports(dir)
		return append(wire.AppendUDP(b, src, dst), data...)
	})
}

// tcp sends a segment with a given sequence number and acknowledgement.
func (p *tape) tcp(dir netem.Direction, flags wire.TCPFlags, seq, ack uint32, window uint16, data []byte) *Packet {
	return p.ip(dir, wire.ProtoTCP, func(b []byte) []byte {
		src, dst := p.ports(dir)
		h := []byte{
			byte(src >> 8), byte(src), byte(dst >> 8), byte(dst),
			byte(seq >> 24), byte(seq >> 16), byte(seq >> 8), byte(seq),
			byte(ack >> 24), byte(ack >> 16), byte(ack >> 8), byte(ack),
			8 << 4, byte(flags), byte(window >> 8), byte(window), 0, 0, 0, 0,
			1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, // timestamps, as Linux sends them
		}
		return append(append(b, h...), data...)
	})
}

// send sends new data in order and acknowledges all that was received.
func (p *tape) send(dir netem.Direction, data []byte) *Packet {
	k := p.tcp(dir, wire.ACK|wire.PSH, p.next[dir], p.next[1-dir], 1000, data)
	p.next[dir] += uint32(len(data))
	return k
}

// ack acknowledges everything.
func (p *tape) ack(dir netem.Direction) *Packet {
	return p.tcp(dir, wire.ACK, p.next[dir], p.next[1-dir], 1000, nil)
}

// handshake opens a TCP connection, from the device.
func (p *tape) handshake() {
	p.tcp(up, wire.SYN, p.next[up], 0, 1000, nil)
	p.next[up]++
	p.tcp(down, wire.SYN|wire.ACK, p.next[down], p.next[up], 1000, nil)
	p.next[down]++
	p.ack(up)
}

// stream sends data in segments of at most 1300 bytes, each acknowledged.
func (p *tape) stream(dir netem.Direction, data []byte) {
	for len(data) > 0 {
		n := min(len(data), 1300)
		p.send(dir, data[:n])
		p.ack(1 - dir)
		data = data[n:]
	}
}

// done returns the trace, all of it inside the window.
func (p *tape) done() *Trace {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.trace
	t.Device, t.Start, t.KeyLog, t.FatesKnown = p.device, epoch, p.keys, true
	t.WindowStart, t.WindowEnd = epoch, p.now.Add(time.Nanosecond)
	return &t
}

// Write takes a key log.
func (p *tape) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = append(p.keys, b...)
	return len(b), nil
}

// pipe is a connection whose two ends record what they send.
func (p *tape) pipe() (device, platform net.Conn) {
	p.handshake()
	a, b := newBuffer(), newBuffer()
	return &tapeConn{p: p, dir: up, in: b, out: a}, &tapeConn{p: p, dir: down, in: a, out: b}
}

type tapeConn struct {
	p       *tape
	dir     netem.Direction
	in, out *buffer
}

func (c *tapeConn) Read(b []byte) (int, error) { return c.in.read(b) }

func (c *tapeConn) Write(b []byte) (int, error) {
	c.p.mu.Lock()
	c.p.stream(c.dir, append([]byte(nil), b...))
	c.p.mu.Unlock()
	c.out.write(b)
	return len(b), nil
}

func (c *tapeConn) Close() error {
	c.out.close()
	return nil
}
func (c *tapeConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *tapeConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *tapeConn) SetDeadline(time.Time) error      { return nil }
func (c *tapeConn) SetReadDeadline(time.Time) error  { return nil }
func (c *tapeConn) SetWriteDeadline(time.Time) error { return nil }

// buffer is an unbounded pipe.
type buffer struct {
	mu     sync.Mutex
	ready  *sync.Cond
	b      []byte
	closed bool
}

func newBuffer() *buffer {
	b := new(buffer)
	b.ready = sync.NewCond(&b.mu)
	return b
}

func (b *buffer) write(p []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.b = append(b.b, p...)
	b.ready.Broadcast()
}

func (b *buffer) read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.b) == 0 && !b.closed {
		b.ready.Wait()
	}
	if len(b.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.b)
	b.b = b.b[n:]
	return n, nil
}

func (b *buffer) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.ready.Broadcast()
}

// sum checks that the layers add up to the bytes, and returns the result.
func sum(t *testing.T, trace *Trace) Result {
	t.Helper()
	r := Judge(trace)
	l := r.Layers
	if got, want := l.IP+l.Transport+l.Security+l.Protocol+l.Payload, r.Up.Bytes+r.Down.Bytes; got != want {
		t.Errorf("layers %+v add up to %d, want %d", l, got, want)
	}
	return r
}
