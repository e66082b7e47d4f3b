package pki

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
)

// CertificatePEM is certificates in PEM, in their order.
func CertificatePEM(chain ...[]byte) []byte {
	var b bytes.Buffer
	for _, der := range chain {
		pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	return b.Bytes()
}

// KeyPEM is a credential's private key in PEM (PKCS #8).
func (c Credential) KeyPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: c.Key})
}

// ReadCertificates reads all certificates of a PEM file, or one in DER.
func ReadCertificates(file string) ([][]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("pki: %w", err)
	}
	var chain [][]byte
	for rest := data; ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		if b.Type == "CERTIFICATE" {
			chain = append(chain, b.Bytes)
		}
	}
	if chain == nil {
		chain = [][]byte{data}
	}
	for _, der := range chain {
		if _, err := x509.ParseCertificate(der); err != nil {
			return nil, fmt.Errorf("pki: %s: want certificates in PEM, or one in DER: %w", file, err)
		}
	}
	return chain, nil
}

// ReadKey reads a private key without password in PEM or DER: PKCS #8, SEC 1 or
// PKCS #1. It returns it in PKCS #8.
func ReadKey(file string) ([]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("pki: %w", err)
	}
	for rest := data; ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		if b.Type == "ENCRYPTED PRIVATE KEY" || b.Headers["DEK-Info"] != "" {
			return nil, fmt.Errorf("pki: %s: the key is encrypted: want one without a password", file)
		}
		if key, err := parseKey(b.Bytes); err == nil { // there may be parameters before it
			return key, nil
		}
	}
	key, err := parseKey(data)
	if err != nil {
		return nil, fmt.Errorf("pki: %s: %w", file, err)
	}
	return key, nil
}

func parseKey(der []byte) (pkcs8 []byte, err error) {
	if _, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return der, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return x509.MarshalPKCS8PrivateKey(key)
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return x509.MarshalPKCS8PrivateKey(key)
	}
	return nil, errors.New("want a private key in PEM or DER (PKCS #8, SEC 1 or PKCS #1)")
}

// ReadCredential reads a chain, leaf first, and the leaf's private key, which
// must belong together.
func ReadCredential(certFile, keyFile string) (c Credential, err error) {
	if c.Chain, err = ReadCertificates(certFile); err != nil {
		return Credential{}, err
	}
	if c.Key, err = ReadKey(keyFile); err != nil {
		return Credential{}, err
	}
	cert, err := c.TLS()
	if err != nil {
		return Credential{}, err
	}
	leaf, err := x509.ParseCertificate(c.Chain[0])
	if err != nil {
		return Credential{}, fmt.Errorf("pki: %s: %w", certFile, err)
	}
	public, ok := leaf.PublicKey.(interface{ Equal(x crypto.PublicKey) bool })
	if !ok || !public.Equal(cert.PrivateKey.(crypto.Signer).Public()) {
		return Credential{}, fmt.Errorf("pki: the key in %s is not that of the certificate in %s", keyFile, certFile)
	}
	return c, nil
}
