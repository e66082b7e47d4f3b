package remote

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"net/rpc/jsonrpc"
	"sync"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/pki"
)

// Opened is a platform that an Opener provides, and what a device needs to
// reach it.
type Opened struct {
	Platform clients.Platform
	Site     clients.Site // Addr zero: the address that the client dialled
	PKI      *pki.Material
	// Close ends what was opened.
	Close func() error
}

// Opener provides a platform. It interprets spec; record is told of the
// platform's events, and must be until Close returns.
type Opener func(spec json.RawMessage, record func(clients.Event)) (*Opened, error)

// Limits of those who have not shown the secret.
const (
	authTime = 10 * time.Second
	maxConns = 64
)

// Server lets those who hold its token control platforms.
type Server struct {
	open  Opener
	token Token
	tls   *tls.Config

	mu      sync.Mutex
	ln      net.Listener
	conns   map[net.Conn]bool
	closed  bool
	running sync.WaitGroup
}

// NewServer makes a server with a fresh token.
func NewServer(open Opener) (*Server, error) {
	token, cert, err := newToken()
	if err != nil {
		return nil, fmt.Errorf("remote: token: %w", err)
	}
	return &Server{
		open: open, token: token, conns: make(map[net.Conn]bool),
		tls: &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert}},
	}, nil
}

// Token is what clients need.
func (s *Server) Token() Token { return s.token }

// Serve accepts clients until Close.
func (s *Server) Serve(ln net.Listener) error {
	s.mu.Lock()
	s.ln = ln
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return ln.Close()
	}
	for {
		c, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		} else if err != nil {
			return fmt.Errorf("remote: accept: %w", err)
		}
		if !s.enter(c) {
			_ = c.Close()
		}
	}
}

// enter serves a connection if there is room for it.
func (s *Server) enter(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.conns) >= maxConns {
		return false
	}
	s.conns[c] = true
	s.running.Go(func() {
		defer func() {
			_ = c.Close()
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.conns, c)
		}()
		s.serve(c)
	})
	return true
}

// serve serves one client, who has to show the secret first.
func (s *Server) serve(raw net.Conn) {
	_ = raw.SetDeadline(time.Now().Add(authTime))
	c := tls.Server(raw, s.tls)
	secret := make([]byte, len(s.token.secret))
	if _, err := io.ReadFull(c, secret); err != nil {
		return
	}
	if !s.token.matches(secret) {
		_, _ = c.Write([]byte{0})
		return
	}
	if _, err := c.Write([]byte{1}); err != nil {
		return
	}
	_ = raw.SetDeadline(time.Time{})
	ctx, gone := context.WithCancelCause(context.Background())
	p := &peer{ctx: ctx, open: s.open, feed: feed{news: make(chan struct{}, 1)}}
	srv := rpc.NewServer()
	if err := srv.RegisterName("Platform", &methods{p}); err != nil {
		panic(err) // our own methods
	}
	srv.ServeCodec(jsonrpc.NewServerCodec(&watched{c, gone}))
	p.close()
}

// Close ends all connections, and with them the platforms they opened.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	var err error
	if s.ln != nil {
		err = s.ln.Close()
	}
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
	return err
}

// watched tells when a client is gone: calls that wait for something end then.
type watched struct {
	net.Conn
	gone context.CancelCauseFunc
}

// Read implements io.Reader.
func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	if err != nil {
		w.gone(errGone)
	}
	return n, err
}

var errGone = errors.New("remote: the client is gone")

// peer is one client.
type peer struct {
	ctx  context.Context
	open Opener
	feed feed

	mu      sync.Mutex
	opened  *Opened
	awaited []<-chan struct{}
}

func (p *peer) platform() (clients.Platform, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.opened == nil {
		return nil, errors.New("no platform is open")
	}
	return p.opened.Platform, nil
}

// close ends what the client has opened.
func (p *peer) close() error {
	p.mu.Lock()
	o := p.opened
	p.opened = nil
	p.mu.Unlock()
	if o == nil {
		return nil
	}
	return o.Close()
}

// feed has the events that a client has not fetched.
type feed struct {
	mu     sync.Mutex
	events []clients.Event
	news   chan struct{}
}

// maxEvents is how many events wait for a client; older ones are lost first.
const maxEvents = 10_000

func (f *feed) add(e clients.Event) {
	f.mu.Lock()
	f.events = append(f.events, e)
	if len(f.events) > maxEvents {
		f.events = f.events[1:]
	}
	f.mu.Unlock()
	select {
	case f.news <- struct{}{}:
	default: // awake already
	}
}

func (f *feed) take() []clients.Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := f.events
	f.events = nil
	return list
}
