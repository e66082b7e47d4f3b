//go:build interop

package interop

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/clients/pki"
)

// transport is a way of carrying CoAP.
type transport struct {
	name, scheme string
	port         uint16
	psk, stream  bool
}

var (
	overUDP  = transport{name: "UDP", scheme: "coap", port: 5683}
	overPSK  = transport{name: "DTLS with PSK", scheme: "coaps", port: 5684, psk: true}
	overDTLS = transport{name: "DTLS with certificates", scheme: "coaps", port: 5684}
	overTCP  = transport{name: "TCP", scheme: "coap+tcp", port: 5683, stream: true}
	overTLS  = transport{name: "TLS with certificates", scheme: "coaps+tcp", port: 5684, stream: true}
)

// uri is that of a path at the platform.
func (tr transport) uri(path string) string {
	return fmt.Sprintf("%s://%s:%d%s", tr.scheme, pki.ServerName, tr.port, path)
}

// The pre-shared key of the DTLS sessions.
const (
	pskIdentity = "device-0001"
	pskKey      = "sixteen byte key"
)

// resources is what our server offers: a greeting, a clock that can be observed,
// a large representation, one that can be replaced, and one that takes its time.
type resources struct {
	large []byte

	mu     sync.Mutex
	stored []byte
}

func (r *resources) ServeCoAP(ctx context.Context, req *coap.Request) *coap.Response {
	switch req.Path() {
	case "/":
		return coap.NewResponse(codes.Content, coap.TextPlain, []byte("hello"))
	case "/time":
		if o := req.AcceptObserve(nil); o != nil {
			go tick(ctx, o)
		}
		return coap.NewResponse(codes.Content, coap.TextPlain, []byte("tick 0"))
	case "/large":
		return coap.NewResponse(codes.Content, coap.Octets, r.large)
	case "/slow":
		time.Sleep(time.Second) // beyond AckDelay: a separate response
		return coap.NewResponse(codes.Content, coap.TextPlain, []byte("at last"))
	case "/store":
		return r.store(req)
	}
	return coap.Status(codes.NotFound)
}

func (r *resources) store(req *coap.Request) *coap.Response {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch req.Code {
	case codes.PUT:
		r.stored = req.Payload
		return coap.Status(codes.Changed)
	case codes.DELETE:
		r.stored = nil
		return coap.Status(codes.Deleted)
	case codes.GET:
		return coap.NewResponse(codes.Content, coap.Octets, r.stored)
	}
	return coap.Status(codes.MethodNotAllowed)
}

func (r *resources) holds() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stored
}

// tick notifies an observer, in turn confirmably and not.
func tick(ctx context.Context, o *coap.Observer) {
	for i := 1; i < 50; i++ {
		select {
		case <-ctx.Done():
			return
		case <-time.After(200 * time.Millisecond):
		}
		if o.Notify(coap.NewResponse(codes.Content, coap.TextPlain, fmt.Appendf(nil, "tick %d", i)), i%2 == 0) != nil {
			return
		}
	}
}

// serveCoAP offers the resources at the platform's end until the test ends.
func serveCoAP(t *testing.T, tr transport, creds *credentials, keys *keyLog, handler coap.Handler) {
	t.Helper()
	ln := listenCoAP(t, tr, creds, keys)
	var serving sync.WaitGroup
	serving.Go(func() {
		for seed := uint64(1); ; seed++ {
			conn, err := ln.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			} else if err != nil {
				continue // a handshake that failed
			}
			c := newCoAP(conn, tr, seed, handler)
			serving.Go(func() { c.Serve() })
			context.AfterFunc(t.Context(), func() { c.Close() })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		serving.Wait()
	})
}

func newCoAP(conn net.Conn, tr transport, seed uint64, handler coap.Handler) *coap.Conn {
	cfg := coap.Config{Rand: rand.New(rand.NewPCG(seed, 1))}
	if tr.stream {
		return coap.NewStreamConn(conn, cfg, handler)
	}
	return coap.NewConn(conn, cfg, handler)
}

func listenCoAP(t *testing.T, tr transport, creds *credentials, keys *keyLog) net.Listener {
	t.Helper()
	at := netip.AddrPortFrom(platformAddr, tr.port)
	var ln net.Listener
	var err error
	switch {
	case tr == overTCP:
		return listen(t, tr.port)
	case tr == overTLS:
		cfg := creds.serverTLS(t, keys)
		cfg.NextProtos = []string{coap.ALPN}
		return tls.NewListener(listen(t, tr.port), cfg)
	case tr == overUDP:
		ln, err = listenUDP(at)
	case tr.psk:
		ln, err = dtls.ListenWithOptions("udp", net.UDPAddrFromAddrPort(at), withPSK(), dtls.WithPSKIdentityHint([]byte("thinlink")),
			dtls.WithCipherSuites(dtls.TLS_PSK_WITH_AES_128_CCM_8), dtls.WithKeyLogWriter(keys))
	default:
		cfg := creds.serverTLS(t, keys)
		ln, err = dtls.ListenWithOptions("udp", net.UDPAddrFromAddrPort(at), dtls.WithCertificates(cfg.Certificates...),
			dtls.WithClientAuth(dtls.RequireAndVerifyClientCert), dtls.WithClientCAs(cfg.ClientCAs),
			dtls.WithCipherSuites(dtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256), dtls.WithKeyLogWriter(keys))
	}
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func withPSK() dtls.Option {
	return dtls.WithPSK(func([]byte) ([]byte, error) { return []byte(pskKey), nil })
}

// dialCoAP is our client's session with a peer's server.
func dialCoAP(t *testing.T, tr transport, creds *credentials, keys *keyLog) *coap.Conn {
	t.Helper()
	conn := dial(t, tr, creds, keys)
	c := newCoAP(conn, tr, 7, nil)
	served := make(chan struct{})
	go func() {
		defer close(served)
		c.Serve()
	}()
	t.Cleanup(func() {
		c.Close()
		conn.Close()
		<-served
	})
	return c
}

func dial(t *testing.T, tr transport, creds *credentials, keys *keyLog) net.Conn {
	t.Helper()
	ctx := within(t, patience)
	network := "udp"
	if tr.stream {
		network = "tcp"
	}
	conn, err := deviceHost.DialContext(ctx, network, netip.AddrPortFrom(platformAddr, tr.port).String())
	if err != nil {
		t.Fatal(err)
	}
	if tr == overUDP || tr == overTCP {
		return conn
	}
	cfg := creds.clientTLS(t, keys)
	if tr == overTLS {
		cfg.NextProtos = []string{coap.ALPN}
		secure := tls.Client(conn, cfg)
		must(t, secure.HandshakeContext(ctx))
		return secure
	}
	opts := []dtls.ClientOption{dtls.WithKeyLogWriter(keys), withPSK(), dtls.WithPSKIdentityHint([]byte(pskIdentity)),
		dtls.WithCipherSuites(dtls.TLS_PSK_WITH_AES_128_CCM_8)}
	if !tr.psk {
		opts = []dtls.ClientOption{dtls.WithKeyLogWriter(keys), dtls.WithCertificates(cfg.Certificates...), dtls.WithRootCAs(cfg.RootCAs),
			dtls.WithServerName(pki.ServerName), dtls.WithCipherSuites(dtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256)}
	}
	secure, err := dtls.ClientWithOptions(connected{conn}, conn.RemoteAddr(), opts...)
	must(t, err)
	must(t, secure.HandshakeContext(ctx))
	return secure
}

// connected is a connected socket as a packet connection.
type connected struct{ net.Conn }

func (c connected) ReadFrom(b []byte) (int, net.Addr, error) {
	n, err := c.Read(b)
	return n, c.RemoteAddr(), err
}
func (c connected) WriteTo(b []byte, _ net.Addr) (int, error) { return c.Write(b) }

// udpListener makes a connection of every sender's datagrams.
type udpListener struct {
	pc    net.PacketConn
	fresh chan net.Conn

	mu    sync.Mutex
	peers map[string]net.Conn // the end that the receiving loop writes to
}

func listenUDP(at netip.AddrPort) (net.Listener, error) {
	pc, err := platformHost.ListenPacket("udp", at.String())
	if err != nil {
		return nil, err
	}
	l := &udpListener{pc: pc, fresh: make(chan net.Conn), peers: make(map[string]net.Conn)}
	go l.receive()
	return l, nil
}

func (l *udpListener) receive() {
	defer close(l.fresh)
	buf := make([]byte, 1<<16)
	for {
		n, from, err := l.pc.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			for _, in := range l.peers {
				in.Close()
			}
			return
		} else if err != nil {
			continue
		}
		in := l.peers[from.String()]
		if in == nil {
			out, near := net.Pipe() // keeps the bounds of what is read whole
			l.peers[from.String()], in = near, near
			l.fresh <- &udpPeer{out, l.pc, from}
		}
		in.Write(buf[:n])
	}
}

func (l *udpListener) Accept() (net.Conn, error) {
	c, ok := <-l.fresh
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (l *udpListener) Close() error   { return l.pc.Close() }
func (l *udpListener) Addr() net.Addr { return l.pc.LocalAddr() }

// udpPeer is one sender.
type udpPeer struct {
	net.Conn
	pc net.PacketConn
	to net.Addr
}

func (p *udpPeer) Write(b []byte) (int, error) { return p.pc.WriteTo(b, p.to) }

// megabyte is what goes through Block1 and Block2.
var megabyte = newImage(1 << 20).Data

// get expects a representation.
func get(t *testing.T, c *coap.Conn, path string, want []byte, edit func(*coap.Request)) {
	t.Helper()
	req := coap.NewRequest(codes.GET, path)
	edit(req)
	resp, err := c.Do(within(t, 2*patience), req)
	must(t, err)
	if resp.Code != codes.Content || want != nil && !bytes.Equal(resp.Payload, want) {
		t.Errorf("GET %s: %s, %d bytes", path, coap.CodeString(resp.Code), len(resp.Payload))
	}
}
