// Package pki makes the keys and certificates of a run: a root, a chain of
// intermediates, one server and one device credential. Keys are fresh in every
// process; sizes never vary, so that equal seeds give equal traces.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"time"
)

// KeyType names a key algorithm and its size.
type KeyType string

// The key types of devices and platforms.
const (
	P256    KeyType = "p256"    // ECDSA on NIST P-256
	RSA2048 KeyType = "rsa2048" // RSA with a 2048-bit modulus
)

// ServerName is the platform's name in its certificate and in SNI.
const ServerName = "platform.thinlink.test"

// DeviceName is the device's common name, MQTT client id and LwM2M endpoint.
const DeviceName = "thinlink-device-0001"

// Options say what certificates look like.
type Options struct {
	Key KeyType `conf:"key" doc:"key algorithm of all certificates" enum:"p256,rsa2048"`
	// Chain is the number of certificates the server sends, leaf first, 1 to
	// 6. It dominates the bytes of a first TLS connection.
	Chain int `conf:"chain" doc:"certificates the server sends" min:"1" max:"6"`
	// Padding is the size in bytes of an extension added to every certificate
	// of the server's chain, standing for the policies, revocation and
	// transparency data that public authorities add. 0 adds none.
	Padding int `conf:"padding" doc:"bytes added to each certificate of the server" min:"0" max:"8192"`
	// DevicePadding is the same for the device's certificate.
	DevicePadding int `conf:"device_padding" doc:"bytes added to the device's certificate" min:"0" max:"8192"`
}

// Credential is a certificate chain in DER, leaf first, and its PKCS #8 key.
type Credential struct {
	Chain [][]byte `json:"chain"`
	Key   []byte   `json:"key"`
}

// Material is all the certificates of a run. It marshals to JSON, so that one
// process can make it and another use it.
type Material struct {
	Root   []byte     `json:"root"` // in DER; several follow one another
	Server Credential `json:"server"`
	Device Credential `json:"device"`
	// Secret is known to both ends; passwords are derived from it. Material
	// that was not made here may have none.
	Secret []byte `json:"secret,omitempty"`
}

// The validity covers the virtual clocks, which start on 2009-11-10 and, in
// testing/synctest, on 2000-01-01, and today's; it ends before UTCTime does
// (RFC 5280 section 4.1.2.5).
var (
	notBefore = time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)
	notAfter  = time.Date(2049, 12, 31, 0, 0, 0, 0, time.UTC)
)

// paddingOID is an arbitrary private extension that carries Options.Padding.
var paddingOID = []int{1, 3, 6, 1, 4, 1, 32473, 1} // RFC 5612: enterprise number for examples

// New makes fresh keys and certificates.
func New(opt Options) (*Material, error) {
	a, err := NewAuthority(opt)
	if err != nil {
		return nil, err
	}
	m := &Material{Root: a.root.Raw, Secret: make([]byte, 32)}
	if _, err := rand.Read(m.Secret); err != nil {
		return nil, fmt.Errorf("pki: secret: %w", err)
	}
	if m.Server, err = a.Server(); err != nil {
		return nil, err
	}
	m.Device, err = a.Device(DeviceName)
	return m, err
}

// ErrNoSecret says that material which was not made here derives no keys.
var ErrNoSecret = errors.New("pki: no secret to derive keys from")

// DeviceKey is a key of 32 bytes that both ends derive for a device and a use.
func (m *Material) DeviceKey(use, device string) ([]byte, error) {
	if m == nil || len(m.Secret) == 0 {
		return nil, ErrNoSecret
	}
	h := hmac.New(sha256.New, m.Secret)
	fmt.Fprintf(h, "%s\x00%s", use, device)
	return h.Sum(nil), nil
}

// Authority issues certificates below one root.
type Authority struct {
	opt Options
	// One key signs on every level: sizes are what matters here, and RSA keys
	// are slow to make.
	key    crypto.Signer
	root   *x509.Certificate
	issuer *x509.Certificate // of servers
	chain  [][]byte          // from the issuer up, without the root
}

// NewAuthority makes a root, and the intermediates below it.
func NewAuthority(opt Options) (*Authority, error) {
	if opt.Chain < 1 || opt.Chain > 6 {
		return nil, fmt.Errorf("pki: chain of %d certificates: want 1 to 6", opt.Chain)
	}
	key, err := newKey(opt.Key)
	if err != nil {
		return nil, err
	}
	a := &Authority{opt: opt, key: key}
	for level := range opt.Chain {
		padding := opt.Padding
		if level == 0 {
			padding = 0
		}
		if err := a.descend(caTemplate(level, padding)); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// descend makes the next authority below the issuer, the first one the root.
func (a *Authority) descend(ca *x509.Certificate) error {
	parent := a.issuer
	if parent == nil {
		parent = ca
	}
	der, err := sign(ca, parent, a.key.Public(), a.key)
	if err != nil {
		return err
	}
	if a.root == nil {
		ca.Raw, a.root = der, ca
	} else {
		a.chain = append([][]byte{der}, a.chain...)
	}
	a.issuer = ca
	return nil
}

// Root is the root's certificate in DER.
func (a *Authority) Root() []byte { return a.root.Raw }

// Server issues a platform's credential: for ServerName and, with names, for
// these DNS names and IP addresses, too.
func (a *Authority) Server(names ...string) (Credential, error) {
	c := template(ServerName, a.opt.Padding)
	c.DNSNames = []string{ServerName}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, name)
		}
	}
	return a.leaf(c, a.issuer, a.chain)
}

// Device issues the credential of the device of that name.
func (a *Authority) Device(name string) (Credential, error) {
	c := template(name, a.opt.DevicePadding)
	c.DNSNames = []string{name}
	return a.leaf(c, a.root, nil)
}

// Pool is the trust store of both ends.
func (m *Material) Pool() (*x509.CertPool, error) {
	roots, err := x509.ParseCertificates(m.Root)
	if err != nil {
		return nil, fmt.Errorf("pki: root: %w", err)
	}
	pool := x509.NewCertPool()
	for _, root := range roots {
		pool.AddCert(root)
	}
	return pool, nil
}

// TLS is the credential for crypto/tls and pion/dtls.
func (c Credential) TLS() (tls.Certificate, error) {
	key, err := x509.ParsePKCS8PrivateKey(c.Key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("pki: key: %w", err)
	}
	return tls.Certificate{Certificate: c.Chain, PrivateKey: steady(key)}, nil
}

func newKey(t KeyType) (crypto.Signer, error) {
	switch t {
	case P256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	}
	return nil, fmt.Errorf("pki: key type %q: want %q or %q", t, P256, RSA2048)
}

func caTemplate(level, padding int) *x509.Certificate {
	name := "thinlink root CA"
	if level > 0 {
		name = fmt.Sprintf("thinlink intermediate CA %d", level)
	}
	c := template(name, padding)
	c.SerialNumber = big.NewInt(1 + int64(level))
	c.IsCA, c.BasicConstraintsValid = true, true
	c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	c.SubjectKeyId = []byte{0x10, byte(level), 0x10, 0x10}
	return c
}

func template(name string, padding int) *x509.Certificate {
	c := &x509.Certificate{
		SerialNumber: big.NewInt(100),
		Subject:      pkix.Name{CommonName: name, Organization: []string{"thinlink"}},
		NotBefore:    notBefore,
		NotAfter:     notAfter,
	}
	if padding > 0 {
		c.ExtraExtensions = []pkix.Extension{{Id: paddingOID, Value: make([]byte, padding)}}
	}
	return c
}

func (a *Authority) leaf(c, issuer *x509.Certificate, chain [][]byte) (Credential, error) {
	key, err := newKey(a.opt.Key)
	if err != nil {
		return Credential{}, err
	}
	c.KeyUsage = x509.KeyUsageDigitalSignature
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	der, err := sign(c, issuer, key.Public(), a.key)
	if err != nil {
		return Credential{}, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Credential{}, fmt.Errorf("pki: key: %w", err)
	}
	return Credential{Chain: append([][]byte{der}, chain...), Key: pkcs8}, nil
}

func sign(c, issuer *x509.Certificate, pub crypto.PublicKey, caKey crypto.Signer) ([]byte, error) {
	der, err := x509.CreateCertificate(rand.Reader, c, issuer, pub, steady(caKey))
	if err != nil {
		return nil, fmt.Errorf("pki: certificate for %s: %w", c.Subject.CommonName, err)
	}
	return der, nil
}

// steadyLen is the commonest DER length of an ECDSA P-256 signature: two
// INTEGERs of 32 bytes, one of which needs a leading zero.
const steadyLen = 71

// steadySigner signs again until the signature has its usual length, so that
// equal runs have equal packet sizes.
type steadySigner struct{ *ecdsa.PrivateKey }

func (s steadySigner) Sign(rnd io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	for range 1000 { // each try succeeds with probability 1/2
		sig, err := s.PrivateKey.Sign(rnd, digest, opts)
		if err != nil || len(sig) == steadyLen {
			return sig, err
		}
	}
	return nil, errors.New("pki: no signature of the usual length in 1000 tries")
}

func steady(key any) crypto.Signer {
	if k, ok := key.(*ecdsa.PrivateKey); ok && k.Curve == elliptic.P256() {
		return steadySigner{k}
	}
	return key.(crypto.Signer)
}
