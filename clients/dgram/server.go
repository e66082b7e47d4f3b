package dgram

import (
	"context"
	"fmt"
	"net"
	"sync"
)

// Server serves the peers of one socket, each in a goroutine of its own.
type Server struct {
	mux    *Mux
	pc     net.PacketConn
	cred   *Credentials
	cfg    Config
	handle func(conn net.Conn, name string) error
	warn   func(string)

	ctx    context.Context
	cancel context.CancelFunc
	tasks  sync.WaitGroup
	mu     sync.Mutex
	peers  int
	full   bool // told
	lost   bool // told of a datagram without a session
}

// maxPeers bounds the peers of a server at one time.
const maxPeers = 10_000

// NewServer serves until Close. With credentials peers speak DTLS and name is
// the common name in their certificate; without, it is empty. handle owns the
// connection until it returns. warn is told in one line of what is ignored.
func NewServer(pc net.PacketConn, cred *Credentials, cfg Config, handle func(conn net.Conn, name string) error, warn func(string)) *Server {
	s := &Server{mux: NewMux(pc, cred != nil), pc: pc, cred: cred, cfg: cfg, handle: handle, warn: warn}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.mux.Accepted, s.mux.Drop = s.accept, s.dropped
	s.tasks.Go(func() {
		if err := s.mux.Serve(); err != nil {
			s.warn(fmt.Sprintf("the server's socket failed: %v", err))
		}
	})
	return s
}

// dropped tells, once, of datagrams that belong to no session.
func (s *Server) dropped(from net.Addr, d []byte) {
	s.mu.Lock()
	first := !s.lost
	s.lost = true
	s.mu.Unlock()
	if first {
		s.warn(fmt.Sprintf("ignored a datagram of %d bytes from %v, which has no session and does not begin one", len(d), from))
	}
}

func (s *Server) accept(p *Peer) {
	s.mu.Lock()
	full, first := s.peers >= maxPeers, !s.full
	s.full = full
	if !full {
		s.peers++
	}
	s.mu.Unlock()
	if full {
		if first {
			s.warn(fmt.Sprintf("ignored %v: %d peers are the most", p.Addr, maxPeers))
		}
		p.Close()
		return
	}
	s.tasks.Go(func() {
		defer func() {
			p.Close()
			s.mu.Lock()
			s.peers--
			s.mu.Unlock()
		}()
		if err := s.serve(p); err != nil && s.ctx.Err() == nil {
			s.warn(fmt.Sprintf("session of %v ended: %v", p.Addr, err))
		}
	})
}

func (s *Server) serve(p *Peer) error {
	if s.cred == nil {
		return s.handle(p, "")
	}
	conn, err := Accept(s.ctx, p, *s.cred, s.cfg, nil)
	if err != nil {
		return nil // a handshake that the link or a newer one has cut short
	}
	name, err := PeerName(conn)
	if err != nil {
		return err
	}
	return s.handle(conn, name)
}

// Close ends all peers and waits for their handlers.
func (s *Server) Close() error {
	s.cancel()
	err := s.pc.Close()
	s.mux.Close()
	s.tasks.Wait()
	return err
}
