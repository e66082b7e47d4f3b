package remote

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"math/big"
	"time"
)

// Token is what a client needs to control a platform: it proves both ends to
// each other.
type Token struct {
	secret [16]byte
	server [16]byte // first bytes of the SHA-256 of its certificate
}

// String is the token as people copy it: 43 characters of base64url.
func (t Token) String() string {
	return base64.RawURLEncoding.EncodeToString(append(t.secret[:], t.server[:]...))
}

// ParseToken reads what String wrote.
func ParseToken(s string) (t Token, err error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != len(t.secret)+len(t.server) {
		return Token{}, errors.New("want the 43 characters that thinlink platform printed")
	}
	copy(t.secret[:], b)
	copy(t.server[:], b[len(t.secret):])
	return t, nil
}

// matches compares a secret in constant time.
func (t Token) matches(secret []byte) bool {
	return subtle.ConstantTimeCompare(t.secret[:], secret) == 1
}

// newToken makes a token, and the certificate that it names.
func newToken() (t Token, cert tls.Certificate, err error) {
	rand.Read(t.secret[:])
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return t, cert, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().AddDate(10, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return t, cert, err
	}
	t.server = fingerprint(der)
	return t, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

func fingerprint(der []byte) (f [16]byte) {
	sum := sha256.Sum256(der)
	copy(f[:], sum[:])
	return f
}

// clientTLS accepts the server of the token and nobody else.
func (t Token) clientTLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		// In place of names and authorities: the certificate is known.
		InsecureSkipVerify: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 || fingerprint(s.PeerCertificates[0].Raw) != t.server {
				return errWrongServer
			}
			return nil
		},
	}
}

var errWrongServer = errors.New("remote: the token is of another platform, or of an earlier start of this one")
