package tun

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/thinlink/thinlink/internal/netspace"
	"github.com/thinlink/thinlink/internal/sockets"
	"github.com/thinlink/thinlink/internal/wire"
)

// Gate lets the device reach services outside of the bed through the platform's
// end of the link: it opens a server there for whatever is called, if the
// service outside answers, and copies what both say. So the device's TCP
// connection ends where the link does, at the kernel's TCP, and a refusal
// outside is one inside.
type Gate struct {
	// Outside finds the address that stands for one that the device calls;
	// false is none, and the call is refused.
	Outside func(to netip.AddrPort) (netip.AddrPort, bool)

	host *sockets.Host // of the platform's namespace
	port port          // to which packets that waited go
	ctx  context.Context
	stop context.CancelFunc

	mu    sync.Mutex
	tcp   map[netip.AddrPort]*service
	udp   map[netip.AddrPort]*relay
	tasks sync.WaitGroup
}

// Limits of a gate, so that a program that calls everybody costs bounded memory.
const (
	maxServices = 1024
	maxWaiting  = 64 // packets of one service that is being tried
	dialTimeout = 10 * time.Second
	udpIdle     = 5 * time.Minute // RFC 4787 section 4.3 recommends this
)

func (g *Gate) open(platform *netspace.Namespace, port port) {
	g.host, g.port = &sockets.Host{Do: platform.Do}, port
	g.tcp, g.udp = map[netip.AddrPort]*service{}, map[netip.AddrPort]*relay{}
	g.ctx, g.stop = context.WithCancel(context.Background())
}

func (g *Gate) close() {
	if g.stop == nil {
		return
	}
	g.stop()
	g.mu.Lock()
	for _, s := range g.tcp {
		s.close()
	}
	for _, r := range g.udp {
		_ = r.conn.Close()
	}
	g.mu.Unlock()
	g.tasks.Wait()
}

// admit looks at a packet that has come up: what begins a conversation waits
// until its server is there.
func (g *Gate) admit(ip []byte) bool {
	p, err := wire.ParseIP(ip)
	if err != nil {
		return true
	}
	switch p.Protocol {
	case wire.ProtoTCP:
		t, err := wire.ParseTCP(p.Payload)
		if err != nil || t.Flags&(wire.SYN|wire.ACK) != wire.SYN {
			return true
		}
		return g.called(netip.AddrPortFrom(p.Dst, t.DstPort), ip)
	case wire.ProtoUDP:
		if u, err := wire.ParseUDP(p.Payload); err == nil {
			g.addressed(netip.AddrPortFrom(p.Dst, u.DstPort))
		}
	}
	return true
}

// A service is a TCP server in the platform's namespace that stands for one
// outside.
type service struct {
	listener net.Listener // nil while it is being tried
	waiting  [][]byte     // SYNs
	spare    net.Conn     // the connection with which it was tried
}

func (s *service) close() {
	if s.listener != nil {
		_ = s.listener.Close()
	}
	if s.spare != nil {
		_ = s.spare.Close()
	}
}

// called keeps a SYN for a service that is not there yet.
func (g *Gate) called(to netip.AddrPort, ip []byte) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.tcp[to]
	switch {
	case s != nil && s.listener != nil:
		return true
	case s != nil:
		if len(s.waiting) < maxWaiting {
			s.waiting = append(s.waiting, ip)
		}
		return false
	}
	target, ok := g.Outside(to)
	if !ok || len(g.tcp) >= maxServices || g.ctx.Err() != nil {
		return true
	}
	s = &service{waiting: [][]byte{ip}}
	g.tcp[to] = s
	g.tasks.Go(func() { g.serve(to, target, s) })
	return false
}

// serve tries the service outside and, if it answers, stands for it.
func (g *Gate) serve(to, target netip.AddrPort, s *service) {
	conn, err := g.dial("tcp", target)
	var l net.Listener
	if err == nil {
		l, err = g.host.Listen("tcp", to.String())
	}
	g.mu.Lock()
	if err != nil || g.ctx.Err() != nil {
		delete(g.tcp, to) // the kernel refuses the call
	} else {
		s.listener, s.spare = l, conn
	}
	waiting := s.waiting
	s.waiting = nil
	g.mu.Unlock()
	for _, ip := range waiting {
		_, _ = g.port.Write(ip)
	}
	if err != nil {
		if conn != nil {
			_ = conn.Close()
		}
		return
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		g.tasks.Go(func() { g.join(c.(*net.TCPConn), target, s) })
	}
}

func (g *Gate) dial(network string, to netip.AddrPort) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(g.ctx, dialTimeout)
	defer cancel()
	return new(net.Dialer).DialContext(ctx, network, to.String())
}

// join connects a caller with the service outside until both have ended.
func (g *Gate) join(inside *net.TCPConn, target netip.AddrPort, s *service) {
	defer inside.Close()
	g.mu.Lock()
	outside := s.spare
	s.spare = nil
	g.mu.Unlock()
	if outside == nil {
		var err error
		if outside, err = g.dial("tcp", target); err != nil {
			_ = inside.SetLinger(0) // a reset, as the service would have sent
			return
		}
	}
	defer outside.Close()
	defer context.AfterFunc(g.ctx, func() {
		_ = inside.Close()
		_ = outside.Close()
	})()
	var both sync.WaitGroup
	both.Go(func() { copyHalf(outside.(*net.TCPConn), inside) })
	both.Go(func() { copyHalf(inside, outside.(*net.TCPConn)) })
	both.Wait()
}

// copyHalf copies one direction to its end; an error ends the connection.
func copyHalf(to, from *net.TCPConn) {
	if _, err := io.Copy(to, from); err != nil {
		_ = to.SetLinger(0)
		_ = to.Close()
		_ = from.Close()
		return
	}
	_ = to.CloseWrite()
}

// A relay is a UDP socket in the platform's namespace that stands for one
// outside. Each of its callers has a flow.
type relay struct {
	conn  net.PacketConn
	mu    sync.Mutex
	flows map[netip.AddrPort]net.Conn
}

// addressed makes the socket for datagrams to an address, so that the one that
// is about to arrive finds it.
func (g *Gate) addressed(to netip.AddrPort) {
	g.mu.Lock()
	defer g.mu.Unlock()
	target, ok := g.Outside(to)
	if !ok || g.udp[to] != nil || len(g.udp) >= maxServices || g.ctx.Err() != nil {
		return
	}
	conn, err := g.host.ListenPacket("udp", to.String())
	if err != nil {
		return // the kernel says that nobody listens
	}
	r := &relay{conn: conn, flows: map[netip.AddrPort]net.Conn{}}
	g.udp[to] = r
	g.tasks.Go(func() { g.relay(r, target) })
}

// relay hands datagrams on until the socket is closed.
func (g *Gate) relay(r *relay, target netip.AddrPort) {
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, flow := range r.flows {
			_ = flow.Close()
		}
	}()
	buf := make([]byte, 1<<16)
	for {
		n, from, err := r.conn.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		} else if err != nil {
			continue // an ICMP error about an answer
		}
		if flow := g.flow(r, from.(*net.UDPAddr).AddrPort(), target); flow != nil {
			_ = flow.SetDeadline(time.Now().Add(udpIdle))
			_, _ = flow.Write(buf[:n])
		}
	}
}

// flow is the socket outside for one caller, nil if there can be none.
func (g *Gate) flow(r *relay, from, target netip.AddrPort) net.Conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	if flow := r.flows[from]; flow != nil || len(r.flows) >= maxServices {
		return flow
	}
	flow, err := g.dial("udp", target)
	if err != nil {
		return nil
	}
	r.flows[from] = flow
	g.tasks.Go(func() { r.answers(flow, from) })
	return flow
}

// answers hands back what comes from outside, until it has been quiet for long.
func (r *relay) answers(flow net.Conn, to netip.AddrPort) {
	buf := make([]byte, 1<<16)
	for {
		n, err := flow.Read(buf)
		var late net.Error
		if errors.Is(err, net.ErrClosed) || errors.As(err, &late) && late.Timeout() {
			break
		} else if err != nil {
			continue // nobody listens there: so say the silence, as UDP does
		}
		_, _ = r.conn.WriteTo(buf[:n], net.UDPAddrFromAddrPort(to))
	}
	r.mu.Lock()
	delete(r.flows, to)
	r.mu.Unlock()
	_ = flow.Close()
}
