package dgram

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// Mux shares one packet socket among the peers of a server: by connection ID
// if a record carries one (RFC 9146 section 3), else by the sender's address.
type Mux struct {
	pc net.PacketConn
	// secure peers begin with a ClientHello; others with any datagram.
	secure bool
	// Accepted is told of each new peer by the receiving loop: it must not
	// block. Drop is told of datagrams that belong to nobody.
	Accepted func(*Peer)
	Drop     func(from net.Addr, datagram []byte)

	mu     sync.Mutex
	byAddr map[netip.AddrPort]*Peer
	byCID  map[string]*Peer
}

// NewMux shares a socket among peers that speak DTLS (secure) or plain datagrams.
func NewMux(pc net.PacketConn, secure bool) *Mux {
	return &Mux{
		pc: pc, secure: secure,
		byAddr: make(map[netip.AddrPort]*Peer),
		byCID:  make(map[string]*Peer),
	}
}

// Serve receives until the socket is closed.
func (m *Mux) Serve() error {
	buf := make([]byte, 64<<10)
	for {
		n, from, err := m.pc.ReadFrom(buf)
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case errors.Is(err, syscall.ECONNREFUSED):
			continue // an ICMP error about some peer
		case err != nil:
			return err
		}
		m.route(bytes.Clone(buf[:n]), from)
	}
}

// Layout of DTLS 1.2 records and of a ClientHello in them (RFC 6347 sections
// 4.1 and 4.2, RFC 9146 section 4).
const (
	recordHandshake = 22
	recordCID       = 25
	recordCIDOffset = 11 // type, version, epoch, sequence number
	recordHeader    = 13
	handshakeHeader = 12
	clientHello     = 1
	randomOffset    = recordHeader + handshakeHeader + 2
	randomLength    = 32
)

// connectionIDLength is that of the IDs the server gives out; one length for
// all makes records parseable (RFC 9146 section 3).
const connectionIDLength = 6

// clientRandom is the random value of a ClientHello in epoch 0 of DTLS 1.2,
// whose first records may also carry the version of DTLS 1.0 (RFC 6347 section
// 4.2.1).
func clientRandom(d []byte) (random [randomLength]byte, ok bool) {
	if len(d) < randomOffset+randomLength || d[0] != recordHandshake || d[3] != 0 || d[4] != 0 || d[recordHeader] != clientHello {
		return random, false
	}
	if d[1] != 0xfe || d[2] != 0xfd && d[2] != 0xff {
		return random, false
	}
	if fragment := d[recordHeader+6 : recordHeader+9]; fragment[0]|fragment[1]|fragment[2] != 0 {
		return random, false
	}
	return [randomLength]byte(d[randomOffset:]), true
}

func (m *Mux) route(d []byte, from net.Addr) {
	addr, ok := addrPort(from)
	if !ok || len(d) == 0 {
		return
	}
	p, fresh := m.find(d, addr)
	if p == nil {
		m.Drop(from, d)
		return
	}
	p.enqueue(datagram{d, from})
	if fresh {
		m.Accepted(p)
	}
}

// find returns the peer a datagram belongs to, perhaps a fresh one.
func (m *Mux) find(d []byte, addr netip.AddrPort) (p *Peer, fresh bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.secure && d[0] == recordCID && len(d) >= recordCIDOffset+connectionIDLength {
		return m.byCID[string(d[recordCIDOffset:recordCIDOffset+connectionIDLength])], false
	}
	random, hello := clientRandom(d)
	p = m.byAddr[addr]
	switch {
	case p == nil && m.secure && !hello:
		return nil, false
	case p != nil && !(m.secure && hello && random != p.random):
		return p, false
	}
	// Somebody new or, with another random value, a new association of a
	// device that has lost the old one (RFC 6347 section 4.2.8). We do not wait
	// for the cookie to return before the old one loses the address.
	p = newPeer(m, addr)
	p.random = random
	m.byAddr[addr] = p
	return p, true
}

// identify lets a connection ID lead to a peer. It reports whether it is free.
func (m *Mux) identify(p *Peer, id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byCID[id] != nil {
		return false
	}
	m.byCID[id] = p
	p.ids = append(p.ids, id)
	return true
}

func (m *Mux) forget(p *Peer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byAddr[p.Addr] == p {
		delete(m.byAddr, p.Addr)
	}
	for _, id := range p.ids {
		delete(m.byCID, id)
	}
}

// Close ends all peers.
func (m *Mux) Close() {
	m.mu.Lock()
	var peers []*Peer
	for _, p := range m.byAddr {
		peers = append(peers, p)
	}
	for _, p := range m.byCID {
		peers = append(peers, p)
	}
	m.mu.Unlock()
	for _, p := range peers {
		_ = p.Close()
	}
}

// len counts the peers that are reachable by address.
func (m *Mux) len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.byAddr)
}

const (
	// maxQueued bounds what a peer may have waiting, in datagrams.
	maxQueued = 256
	// maxIdle is how long a silent peer is remembered: longer than the usual
	// longest registration lifetime, a day.
	maxIdle = 25 * time.Hour
)

// Peer is one sender's view of the server's socket: a net.PacketConn for DTLS
// and a net.Conn for plain CoAP.
type Peer struct {
	mux    *Mux
	Addr   netip.AddrPort // that it began with
	random [randomLength]byte
	ids    []string // connection IDs, guarded by mux.mu

	mu       sync.Mutex
	arrived  *sync.Cond
	queue    []datagram
	closed   bool
	deadline time.Time
	wake     *time.Timer
	heard    time.Time // last
	idle     *time.Timer
}

type datagram struct {
	data []byte
	from net.Addr
}

func newPeer(m *Mux, addr netip.AddrPort) *Peer {
	p := &Peer{mux: m, Addr: addr, heard: time.Now()}
	p.arrived = sync.NewCond(&p.mu)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = time.AfterFunc(maxIdle, p.expire)
	return p
}

// expire closes a peer that has been silent for maxIdle; the timer is set
// again, and not for every datagram, if it has not.
func (p *Peer) expire() {
	p.mu.Lock()
	rest := maxIdle - time.Since(p.heard)
	if rest > 0 && !p.closed {
		p.idle.Reset(rest)
	}
	p.mu.Unlock()
	if rest <= 0 {
		_ = p.Close()
	}
}

func (p *Peer) enqueue(d datagram) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard = time.Now()
	if !p.closed && len(p.queue) < maxQueued {
		p.queue = append(p.queue, d)
		p.arrived.Signal()
	}
}

// ReadFrom implements net.PacketConn.
func (p *Peer) ReadFrom(b []byte) (int, net.Addr, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.closed:
			return 0, nil, net.ErrClosed
		case !p.deadline.IsZero() && !time.Now().Before(p.deadline):
			return 0, nil, os.ErrDeadlineExceeded
		case len(p.queue) > 0:
			d := p.queue[0]
			p.queue = p.queue[1:]
			return copy(b, d.data), d.from, nil
		}
		p.arrived.Wait()
	}
}

// WriteTo implements net.PacketConn.
func (p *Peer) WriteTo(b []byte, to net.Addr) (int, error) {
	p.mu.Lock()
	closed := p.closed
	p.mu.Unlock()
	if closed {
		return 0, net.ErrClosed
	}
	return p.mux.pc.WriteTo(b, to)
}

// Read implements net.Conn.
func (p *Peer) Read(b []byte) (int, error) {
	n, _, err := p.ReadFrom(b)
	return n, err
}

// Write implements net.Conn.
func (p *Peer) Write(b []byte) (int, error) { return p.WriteTo(b, p.RemoteAddr()) }

// Close implements net.Conn; the server's socket stays open.
func (p *Peer) Close() error {
	p.mux.forget(p)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed, p.queue = true, nil
	p.idle.Stop()
	if p.wake != nil {
		p.wake.Stop()
	}
	p.arrived.Broadcast()
	return nil
}

// LocalAddr implements net.Conn.
func (p *Peer) LocalAddr() net.Addr { return p.mux.pc.LocalAddr() }

// RemoteAddr implements net.Conn: where the peer began.
func (p *Peer) RemoteAddr() net.Addr { return net.UDPAddrFromAddrPort(p.Addr) }

// SetDeadline implements net.Conn.
func (p *Peer) SetDeadline(t time.Time) error { return p.SetReadDeadline(t) }

// SetWriteDeadline has nothing to do: writes do not block.
func (p *Peer) SetWriteDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (p *Peer) SetReadDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wake != nil {
		p.wake.Stop()
		p.wake = nil
	}
	p.deadline = t
	if d := time.Until(t); !t.IsZero() && d > 0 && !p.closed {
		p.wake = time.AfterFunc(d, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.arrived.Broadcast()
		})
	}
	p.arrived.Broadcast()
	return nil
}

// addrPort is the address of a datagram's sender, whatever net.Addr it is.
func addrPort(a net.Addr) (netip.AddrPort, bool) {
	if u, ok := a.(*net.UDPAddr); ok {
		ap := u.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), true
	}
	ap, err := netip.ParseAddrPort(a.String())
	return ap, err == nil
}
