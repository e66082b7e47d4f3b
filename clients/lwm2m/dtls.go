package lwm2m

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"

	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/crypto/elliptic"
	"github.com/pion/logging"
	"github.com/thinlink/thinlink/clients/pki"
)

// cipherSuite is that of the reference experiment. RFC 7925 section 4.4
// mandates its sibling with CCM_8, whose records are 8 bytes shorter.
const cipherSuite = dtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256

// credentials are what one end needs for DTLS.
type credentials struct {
	cert tls.Certificate
	pool *x509.CertPool
}

func newCredentials(m *pki.Material, c pki.Credential) (credentials, error) {
	cert, err := c.TLS()
	if err != nil {
		return credentials{}, err
	}
	pool, err := m.Pool()
	return credentials{cert, pool}, err
}

// silent keeps pion from writing to standard output.
var silent = &logging.DefaultLoggerFactory{Writer: io.Discard, DefaultLogLevel: logging.LogLevelDisabled}

// options are common to client and server.
func (c credentials) options(cfg DTLSConfig) []dtls.Option {
	return []dtls.Option{
		dtls.WithCertificates(c.cert),
		dtls.WithCipherSuites(cipherSuite),
		// RFC 7925 section 4.4 mandates this one; X25519 would be smaller.
		dtls.WithEllipticCurves(elliptic.P256),
		dtls.WithSignatureSchemes(tls.ECDSAWithP256AndSHA256),
		dtls.WithRootCAs(c.pool),
		dtls.WithFlightInterval(cfg.FlightInterval),
		dtls.WithMTU(cfg.MTU),
		dtls.WithLoggerFactory(silent),
	}
}

// dialDTLS performs the handshake with a server of that name over pc, which the
// connection then owns.
func dialDTLS(ctx context.Context, pc net.PacketConn, to net.Addr, name string, cred credentials, cfg DTLSConfig, connectionID bool, keyLog io.Writer) (*dtls.Conn, error) {
	var opts []dtls.ClientOption
	for _, o := range cred.options(cfg) {
		opts = append(opts, o)
	}
	opts = append(opts, dtls.WithServerName(name), dtls.WithKeyLogWriter(keyLog))
	if connectionID {
		opts = append(opts, dtls.WithConnectionIDGenerator(dtls.OnlySendCIDGenerator()))
	}
	conn, err := dtls.ClientWithOptions(pc, to, opts...)
	if err != nil {
		return nil, err
	}
	return conn, handshake(ctx, conn, pc, cfg)
}

// acceptDTLS performs the handshake with a peer of the server.
func acceptDTLS(ctx context.Context, p *peer, cred credentials, cfg DTLSConfig, newID func(*peer) []byte) (*dtls.Conn, error) {
	var opts []dtls.ServerOption
	for _, o := range cred.options(cfg) {
		opts = append(opts, o)
	}
	opts = append(opts, dtls.WithClientAuth(dtls.RequireAndVerifyClientCert), dtls.WithClientCAs(cred.pool))
	if newID != nil {
		opts = append(opts, dtls.WithConnectionIDGenerator(func() []byte { return newID(p) }))
	}
	conn, err := dtls.ServerWithOptions(p, p.RemoteAddr(), opts...)
	if err != nil {
		return nil, err
	}
	return conn, handshake(ctx, conn, p, cfg)
}

var errHandshakeTimeout = errors.New("the handshake took too long")

// handshake runs a handshake within its time and closes what failed, without
// a word to the peer.
func handshake(ctx context.Context, conn *dtls.Conn, pc io.Closer, cfg DTLSConfig) error {
	ctx, cancel := context.WithTimeoutCause(ctx, cfg.HandshakeTimeout, errHandshakeTimeout)
	defer cancel()
	err := conn.HandshakeContext(ctx)
	if err == nil {
		return nil
	}
	_ = pc.Close()
	_ = conn.Close()
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return fmt.Errorf("DTLS handshake: %w", err)
}

// peerName is the common name in the certificate of a peer.
func peerName(conn *dtls.Conn) (string, error) {
	state, ok := conn.ConnectionState()
	if !ok || len(state.PeerCertificates) == 0 {
		return "", errors.New("DTLS: no peer certificate")
	}
	cert, err := x509.ParseCertificate(state.PeerCertificates[0])
	if err != nil {
		return "", fmt.Errorf("DTLS: peer certificate: %w", err)
	}
	return cert.Subject.CommonName, nil
}

// idSource draws connection IDs from a seeded generator.
type idSource struct {
	mu  sync.Mutex
	rng *rand.Rand
	mux *mux
}

// next is a fresh connection ID that leads to p.
func (s *idSource) next(p *peer) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := make([]byte, connectionIDLength)
	for {
		r := s.rng.Uint64()
		for i := range id {
			id[i] = byte(r >> (8 * i))
		}
		if s.mux.identify(p, string(id)) {
			return id
		}
	}
}
