package tlsdec

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
)

type mode uint8

const (
	modeGCM mode = iota
	modeCCM
	modeChaCha
	modeCBC
)

// A suite is what a cipher suite says about record protection.
type suite struct {
	mode   mode
	keyLen int
	tagLen int // AEAD tag
	macLen int // HMAC of CBC suites
	mac    func() hash.Hash
	prf    func() hash.Hash // of the key derivation
}

var (
	gcm128  = &suite{mode: modeGCM, keyLen: 16, tagLen: 16, prf: sha256.New}
	gcm256  = &suite{mode: modeGCM, keyLen: 32, tagLen: 16, prf: sha512.New384}
	ccm128  = &suite{mode: modeCCM, keyLen: 16, tagLen: 16, prf: sha256.New}
	ccm256  = &suite{mode: modeCCM, keyLen: 32, tagLen: 16, prf: sha256.New}
	ccm128s = &suite{mode: modeCCM, keyLen: 16, tagLen: 8, prf: sha256.New}
	ccm256s = &suite{mode: modeCCM, keyLen: 32, tagLen: 8, prf: sha256.New}
	chacha  = &suite{mode: modeChaCha, keyLen: 32, tagLen: 16, prf: sha256.New}
	cbc128  = &suite{mode: modeCBC, keyLen: 16, macLen: 20, mac: sha1.New, prf: sha256.New}
	cbc256  = &suite{mode: modeCBC, keyLen: 32, macLen: 20, mac: sha1.New, prf: sha256.New}
	cbc128b = &suite{mode: modeCBC, keyLen: 16, macLen: 32, mac: sha256.New, prf: sha256.New}
	cbc256b = &suite{mode: modeCBC, keyLen: 32, macLen: 32, mac: sha256.New, prf: sha256.New}
	cbc256c = &suite{mode: modeCBC, keyLen: 32, macLen: 48, mac: sha512.New384, prf: sha512.New384}
)

// lookupSuite knows the IANA "TLS Cipher Suites" that the modes above cover;
// nil is an unknown one.
func lookupSuite(id uint16) *suite {
	switch id {
	case 0x1301, 0x009c, 0x009e, 0x00a8, 0x00aa, 0xc02b, 0xc02d, 0xc02f, 0xc031, 0xd001:
		return gcm128
	case 0x1302, 0x009d, 0x009f, 0x00a9, 0x00ab, 0xc02c, 0xc02e, 0xc030, 0xc032, 0xd002:
		return gcm256
	case 0x1303, 0xcca8, 0xcca9, 0xccaa, 0xccab, 0xccac, 0xccad, 0xccae:
		return chacha
	case 0x1304, 0xc09c, 0xc09e, 0xc0a4, 0xc0a6, 0xc0ac, 0xd005:
		return ccm128
	case 0xc09d, 0xc09f, 0xc0a5, 0xc0a7, 0xc0ad:
		return ccm256
	case 0x1305, 0xc0a0, 0xc0a2, 0xc0a8, 0xc0aa, 0xc0ae, 0xd003:
		return ccm128s
	case 0xc0a1, 0xc0a3, 0xc0a9, 0xc0ab, 0xc0af:
		return ccm256s
	case 0x002f, 0x0033, 0x008c, 0x0090, 0xc009, 0xc013, 0xc035:
		return cbc128
	case 0x0035, 0x0039, 0x008d, 0x0091, 0xc00a, 0xc014, 0xc036:
		return cbc256
	case 0x003c, 0x0067, 0x00ae, 0x00b2, 0xc023, 0xc027, 0xc037:
		return cbc128b
	case 0x003d, 0x006b:
		return cbc256b
	case 0x00af, 0x00b3, 0xc024, 0xc028, 0xc038:
		return cbc256c
	}
	return nil
}

// overhead is how many bytes a TLS 1.2 or DTLS 1.2 record's fragment has
// before and, at least, behind the plaintext.
func (s *suite) overhead() (front, back int) {
	switch s.mode {
	case modeChaCha: // RFC 7905 section 2: no explicit nonce
		return 0, s.tagLen
	case modeCBC: // RFC 5246 section 6.2.3.2: IV; MAC and at least one byte of padding
		return 16, s.macLen + 1
	}
	return 8, s.tagLen // RFC 5288 section 3, RFC 6655 section 3
}

// ivLen is the length of the IV in the key block.
func (s *suite) ivLen() int {
	switch s.mode {
	case modeChaCha:
		return 12
	case modeCBC:
		return 0
	}
	return 4
}

// prf12 is the PRF of RFC 5246 section 5.
func prf12(h func() hash.Hash, secret []byte, label string, seed []byte, n int) []byte {
	labelSeed := append([]byte(label), seed...)
	mac := hmac.New(h, secret)
	a, out := labelSeed, []byte(nil)
	for len(out) < n {
		mac.Reset()
		mac.Write(a)
		a = mac.Sum(nil)
		mac.Reset()
		mac.Write(a)
		mac.Write(labelSeed)
		out = mac.Sum(out)
	}
	return out[:n]
}
