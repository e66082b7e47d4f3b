package dgram

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
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/crypto/elliptic"
	"github.com/pion/logging"
	"github.com/thinlink/thinlink/clients/pki"
)

// Config are the DTLS parameters of one end.
type Config struct {
	// FlightInterval is the time before a flight of the handshake is sent
	// again; it doubles up to 60 s (RFC 6347 section 4.2.4.1).
	FlightInterval time.Duration `conf:"flight_interval" doc:"time before a handshake flight is sent again, doubling" min:"10ms"`
	// HandshakeTimeout ends a handshake that does not come to its end.
	HandshakeTimeout time.Duration `conf:"handshake_timeout" doc:"time after which a handshake fails" min:"1s"`
	// MTU is the largest UDP payload of a handshake message's fragment.
	MTU int `conf:"mtu" doc:"size above which handshake messages are fragmented, in bytes" min:"256" max:"8192"`
}

// DefaultConfig has the timers that RFC 7925 section 11 recommends for slow
// links.
func DefaultConfig() Config {
	return Config{FlightInterval: 9 * time.Second, HandshakeTimeout: 10 * time.Minute, MTU: 1200}
}

// Validate reports the first parameter that is out of range, by its name.
func (c Config) Validate() error {
	switch {
	case c.FlightInterval < 10*time.Millisecond:
		return fmt.Errorf("flight_interval %v: want at least 10ms", c.FlightInterval)
	case c.HandshakeTimeout < time.Second:
		return fmt.Errorf("handshake_timeout %v: want at least 1s", c.HandshakeTimeout)
	case c.MTU < 256 || c.MTU > 8192:
		return fmt.Errorf("mtu %d: want 256 to 8192", c.MTU)
	}
	return nil
}

// Cipher suites. That with certificates is the reference experiment's; RFC 7925
// section 4.4 mandates its sibling with CCM_8, whose records are 8 bytes shorter.
// With pre-shared keys a device offers the mandatory one (section 4.2), and a
// server takes what other clients may prefer, too.
const (
	certificateSuite = dtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
	pskSuite         = dtls.TLS_PSK_WITH_AES_128_CCM_8
)

// Credentials are what one end needs for DTLS: a certificate and the root that
// it trusts, or pre-shared keys.
type Credentials struct {
	Cert tls.Certificate
	Pool *x509.CertPool
	// Key finds the key of an identity, which a client also presents; nil is
	// for certificates.
	Key      func(identity string) ([]byte, error)
	Identity string
	// Sessions, if not nil, resumes sessions (RFC 5246 section 7.3). pion/dtls
	// does not resume one in which the client has shown a certificate.
	Sessions dtls.SessionStore
	// KeyLog receives the secrets of a server's sessions in NSS key log format;
	// nil is nobody.
	KeyLog io.Writer
}

// NewCredentials parses an end's certificate and the root it trusts.
func NewCredentials(m *pki.Material, c pki.Credential) (Credentials, error) {
	cert, err := c.TLS()
	if err != nil {
		return Credentials{}, err
	}
	pool, err := m.Pool()
	return Credentials{Cert: cert, Pool: pool}, err
}

// silent keeps pion from writing to standard output.
var silent = &logging.DefaultLoggerFactory{Writer: io.Discard, DefaultLogLevel: logging.LogLevelDisabled}

// options are common to client and server.
func (c Credentials) options(cfg Config) []dtls.Option {
	list := []dtls.Option{
		dtls.WithFlightInterval(cfg.FlightInterval),
		dtls.WithMTU(cfg.MTU),
		dtls.WithLoggerFactory(silent),
	}
	if c.Sessions != nil {
		list = append(list, dtls.WithSessionStore(c.Sessions))
	}
	if c.KeyLog != nil {
		list = append(list, dtls.WithKeyLogWriter(c.KeyLog))
	}
	if c.Key != nil {
		return append(list, dtls.WithPSK(func(identity []byte) ([]byte, error) {
			if c.Identity != "" { // a client: what the server hints at does not matter
				return c.Key(c.Identity)
			}
			return c.Key(string(identity))
		}))
	}
	return append(list,
		dtls.WithCertificates(c.Cert),
		dtls.WithCipherSuites(certificateSuite),
		// RFC 7925 section 4.4 mandates this one; X25519 would be smaller.
		dtls.WithEllipticCurves(elliptic.P256),
		dtls.WithSignatureSchemes(tls.ECDSAWithP256AndSHA256),
		dtls.WithRootCAs(c.Pool),
	)
}

// Dial performs the handshake with a server of that name over pc, which the
// connection then owns.
func Dial(ctx context.Context, pc net.PacketConn, to net.Addr, name string, cred Credentials, cfg Config, connectionID bool, keyLog io.Writer) (*dtls.Conn, error) {
	var opts []dtls.ClientOption
	for _, o := range cred.options(cfg) {
		opts = append(opts, o)
	}
	opts = append(opts, dtls.WithServerName(name), dtls.WithKeyLogWriter(keyLog))
	if cred.Key != nil {
		opts = append(opts, dtls.WithPSKIdentityHint([]byte(cred.Identity)), dtls.WithCipherSuites(pskSuite))
	}
	if connectionID {
		opts = append(opts, dtls.WithConnectionIDGenerator(dtls.OnlySendCIDGenerator()))
	}
	conn, err := dtls.ClientWithOptions(pc, to, opts...)
	if err != nil {
		return nil, err
	}
	return conn, handshake(ctx, conn, pc, cfg)
}

// Accept performs the handshake with a peer of the server, which gets connection
// IDs from newID if that is not nil.
func Accept(ctx context.Context, p *Peer, cred Credentials, cfg Config, newID func(*Peer) []byte) (*dtls.Conn, error) {
	var opts []dtls.ServerOption
	for _, o := range cred.options(cfg) {
		opts = append(opts, o)
	}
	if cred.Key != nil {
		opts = append(opts, dtls.WithCipherSuites(pskSuite, dtls.TLS_PSK_WITH_AES_128_GCM_SHA256, dtls.TLS_PSK_WITH_AES_128_CCM))
	} else {
		opts = append(opts, dtls.WithClientAuth(dtls.RequireAndVerifyClientCert), dtls.WithClientCAs(cred.Pool))
	}
	if newID != nil {
		opts = append(opts, dtls.WithConnectionIDGenerator(func() []byte { return newID(p) }))
	}
	conn, err := dtls.ServerWithOptions(p, p.RemoteAddr(), opts...)
	if err != nil {
		return nil, err
	}
	return conn, handshake(ctx, conn, p, cfg)
}

// ErrHandshakeTimeout ends a handshake after Config.HandshakeTimeout.
var ErrHandshakeTimeout = errors.New("the handshake took too long")

// handshake runs a handshake within its time and closes what failed, without
// a word to the peer.
func handshake(ctx context.Context, conn *dtls.Conn, pc io.Closer, cfg Config) error {
	ctx, cancel := context.WithTimeoutCause(ctx, cfg.HandshakeTimeout, ErrHandshakeTimeout)
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

// PeerName is the common name in the certificate of a peer, or the identity of
// its pre-shared key.
func PeerName(conn *dtls.Conn) (string, error) {
	state, ok := conn.ConnectionState()
	if ok && len(state.IdentityHint) > 0 {
		return string(state.IdentityHint), nil
	}
	if !ok || len(state.PeerCertificates) == 0 {
		return "", errors.New("DTLS: no peer certificate")
	}
	cert, err := x509.ParseCertificate(state.PeerCertificates[0])
	if err != nil {
		return "", fmt.Errorf("DTLS: peer certificate: %w", err)
	}
	return cert.Subject.CommonName, nil
}

// IDs draws connection IDs from a seeded generator.
type IDs struct {
	mu   sync.Mutex
	Rand *rand.Rand
	Mux  *Mux
}

// Next is a fresh connection ID that leads to p.
func (s *IDs) Next(p *Peer) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := make([]byte, connectionIDLength)
	for {
		r := s.Rand.Uint64()
		for i := range id {
			id[i] = byte(r >> (8 * i))
		}
		if s.Mux.identify(p, string(id)) {
			return id
		}
	}
}
