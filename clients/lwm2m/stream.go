package lwm2m

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/clients/dgram"
)

// dialStream opens a session over TCP or TLS (RFC 8323). Since
// TCP repeats for many minutes what a peer does not hear that has lost the
// connection, the device waits for a response no longer than Options.Stall.
func (d *device) dialStream(ctx context.Context, r remote, h coap.Handler) (*link, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.opt.Stall, dgram.ErrHandshakeTimeout)
	defer cancel()
	tcp, err := d.env.Device.DialContext(ctx, "tcp", r.addr.String())
	if err != nil {
		return nil, err
	}
	conn := tcp
	if r.secure() {
		client := tls.Client(tcp, &tls.Config{
			Certificates: []tls.Certificate{r.cred.Cert}, RootCAs: r.cred.Pool, ServerName: d.env.ServerName(),
			NextProtos: []string{coap.ALPN}, MaxVersion: tlsVersions[d.opt.TLSVersion], KeyLogWriter: d.env.KeyLog,
		})
		if err := client.HandshakeContext(ctx); err != nil {
			_ = tcp.Close()
			return nil, fmt.Errorf("TLS handshake: %w", err)
		}
		conn = client
	}
	cfg := d.nextConfig()
	if cfg.ResponseTimeout == 0 {
		cfg.ResponseTimeout = d.opt.Stall
	}
	return d.converse(r, coap.NewStreamConn(conn, cfg, h), tcp), nil
}

// streamServer accepts sessions by CoAP over TCP or TLS.
type streamServer struct {
	ln  net.Listener
	tls *tls.Config // nil is without
	// answer answers a device whose certificate has a name.
	answer func(r *coap.Request, identity string) *coap.Response
	config func(n int) coap.Config
	// handshake limits the time of a TLS handshake.
	handshake func() (context.Context, context.CancelFunc)

	mu    sync.Mutex
	open  map[net.Conn]bool // nil when closed
	tasks sync.WaitGroup
}

// serveStreams starts the server over TCP, of registrations and packages.
func (p *Platform) serveStreams() (stop func() error, err error) {
	srv := &streamServer{answer: p.server.answer, open: make(map[net.Conn]bool)}
	port := portCoAP
	if p.opt.Security == Certificate {
		port = portCoAPS
		cred, err := dgram.NewCredentials(p.env.PKI, p.env.PKI.Server)
		if err != nil {
			return nil, err
		}
		srv.tls = &tls.Config{
			Certificates: []tls.Certificate{cred.Cert}, ClientCAs: cred.Pool, ClientAuth: tls.RequireAndVerifyClientCert,
			NextProtos: []string{coap.ALPN}, MaxVersion: tlsVersions[p.opt.TLSVersion],
		}
	}
	srv.config = func(n int) coap.Config {
		cfg := p.opt.CoAP.Platform
		cfg.Rand = generator(p.env.Seed, streamServerTCP, n)
		return cfg
	}
	srv.handshake = func() (context.Context, context.CancelFunc) {
		return context.WithTimeoutCause(context.Background(), p.opt.DTLS.Platform.HandshakeTimeout, dgram.ErrHandshakeTimeout)
	}
	if srv.ln, err = p.env.Platform.Listen("tcp", p.env.At(uint16(port)).String()); err != nil {
		return nil, err
	}
	srv.tasks.Go(srv.accept)
	return srv.close, nil
}

func (s *streamServer) accept() {
	for n := 1; ; n++ {
		tcp, err := s.ln.Accept()
		if err != nil {
			return // closed, or its socket has vanished
		}
		s.mu.Lock()
		if s.open == nil {
			s.mu.Unlock()
			_ = tcp.Close()
			return
		}
		s.open[tcp] = true
		s.tasks.Go(func() { s.serve(tcp, n) })
		s.mu.Unlock()
	}
}

// serve serves one device. What ends a connection is the device's to see.
func (s *streamServer) serve(tcp net.Conn, n int) {
	defer func() {
		_ = tcp.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.open, tcp)
	}()
	conn, identity := tcp, ""
	if s.tls != nil {
		secure := tls.Server(tcp, s.tls)
		ctx, cancel := s.handshake()
		defer cancel()
		if secure.HandshakeContext(ctx) != nil {
			return
		}
		conn, identity = secure, secure.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	_ = coap.NewStreamConn(conn, s.config(n), coap.HandlerFunc(func(_ context.Context, r *coap.Request) *coap.Response {
		return s.answer(r, identity)
	})).Serve()
}

// close ends the server and all connections.
func (s *streamServer) close() error {
	err := s.ln.Close()
	s.mu.Lock()
	open := s.open
	s.open = nil
	for conn := range open {
		err = errors.Join(err, conn.Close())
	}
	s.mu.Unlock()
	s.tasks.Wait()
	return err
}
