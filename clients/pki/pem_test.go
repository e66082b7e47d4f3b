package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is written in PEM is read again, in all forms that others write.
func TestPEM(t *testing.T) {
	a, err := NewAuthority(Options{Key: P256, Chain: 2})
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.Server("localhost", "192.0.2.7")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(c.Chain[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{ServerName, "localhost", "192.0.2.7"} {
		if err := leaf.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	key, err := x509.ParsePKCS8PrivateKey(c.Key)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(key.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	chain := write("chain.pem", CertificatePEM(c.Chain...))
	for name, data := range map[string][]byte{
		"pkcs8.pem": c.KeyPEM(), "pkcs8.der": c.Key, "sec1.der": sec1,
		"sec1.pem": append([]byte("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"),
			pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1})...),
	} {
		got, err := ReadCredential(chain, write(name, data))
		if err != nil || len(got.Chain) != 2 || !bytes.Equal(got.Key, c.Key) {
			t.Errorf("%s: %d certificates, %v", name, len(got.Chain), err)
		}
	}
	if got, err := ReadCertificates(write("one.der", c.Chain[0])); err != nil || !bytes.Equal(got[0], c.Chain[0]) {
		t.Error(err)
	}
	other, err := a.Device("other")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ cert, key, want string }{
		{chain, write("other.pem", other.KeyPEM()), "is not that of the certificate"},
		{chain, write("no.pem", []byte("-----")), "want a private key"},
		{chain, write("locked.pem", pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")})), "encrypted"},
		{write("no.crt", []byte("-----")), chain, "want certificates"},
		{filepath.Join(dir, "none"), chain, "no such file"},
	} {
		if _, err := ReadCredential(test.cert, test.key); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s, %s: %v, want %q", test.cert, test.key, err, test.want)
		}
	}
}

// Devices of one authority are trusted alike, and a pool may have many roots.
func TestAuthority(t *testing.T) {
	var all []byte
	var devices []Credential
	for _, name := range []string{"one", "two"} {
		a, err := NewAuthority(Options{Key: P256, Chain: 3})
		if err != nil {
			t.Fatal(err)
		}
		c, err := a.Device(name)
		if err != nil {
			t.Fatal(err)
		}
		devices = append(devices, c)
		all = append(all, a.Root()...)
	}
	pool, err := (&Material{Root: all}).Pool()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range devices {
		leaf, err := x509.ParseCertificate(c.Chain[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
			t.Error(err)
		}
	}
}
