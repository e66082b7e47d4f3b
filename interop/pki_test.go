//go:build interop

package interop

import (
	"crypto/tls"
	"testing"

	"github.com/thinlink/thinlink/clients/pki"
)

// credentials are a run's certificates, for our ends and in files for peers.
type credentials struct {
	*pki.Material
	ca                    string // PEM files
	deviceCert, deviceKey string
	serverCert, serverKey string
}

func newCredentials(t *testing.T, opt pki.Options) *credentials {
	t.Helper()
	m, err := pki.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	return filed(t, m)
}

// filed writes the certificates of a run into PEM files.
func filed(t *testing.T, m *pki.Material) *credentials {
	t.Helper()
	c := &credentials{Material: m, ca: file(t, "ca.pem", pki.CertificatePEM(m.Root))}
	c.deviceCert, c.deviceKey = credentialFiles(t, m.Device)
	c.serverCert, c.serverKey = credentialFiles(t, m.Server)
	return c
}

func credentialFiles(t *testing.T, c pki.Credential) (cert, key string) {
	t.Helper()
	return file(t, "cert.pem", pki.CertificatePEM(c.Chain...)), file(t, "key.pem", c.KeyPEM())
}

// serverTLS is our platform's end: it asks for the device's certificate.
func (c *credentials) serverTLS(t *testing.T, keys *keyLog) *tls.Config {
	t.Helper()
	cfg := c.tls(t, c.Server, keys)
	cfg.ClientAuth = tls.RequireAndVerifyClientCert
	return cfg
}

// clientTLS is our device's end.
func (c *credentials) clientTLS(t *testing.T, keys *keyLog) *tls.Config {
	t.Helper()
	cfg := c.tls(t, c.Device, keys)
	cfg.ServerName = pki.ServerName
	return cfg
}

func (c *credentials) tls(t *testing.T, own pki.Credential, keys *keyLog) *tls.Config {
	t.Helper()
	cert, err := own.TLS()
	if err != nil {
		t.Fatal(err)
	}
	pool, err := c.Pool()
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool, ClientCAs: pool, KeyLogWriter: keys}
}
