package tlsdec

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"encoding/binary"
	"hash"

	"github.com/pion/dtls/v3/pkg/crypto/ccm"
	"golang.org/x/crypto/chacha20poly1305"
)

// A protection removes the record protection of one direction under one key.
type protection struct {
	suite *suite
	aead  cipher.AEAD  // nil for CBC
	block cipher.Block // CBC
	mac   hash.Hash    // CBC
	iv    [12]byte     // fixed part of the nonce
	// encryptThenMAC: RFC 7366, CBC only.
	encryptThenMAC bool
	tls13          bool

	nonce [12]byte
	aad   []byte
}

// A record is what protection depends on besides the fragment.
type recordHeader struct {
	typ     byte
	version uint16
	seq     uint64 // DTLS: epoch and sequence number
	cid     []byte // tls12_cid records only
}

func newProtection(s *suite, key, iv, mac []byte) (*protection, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	p := &protection{suite: s}
	copy(p.iv[:], iv)
	switch s.mode {
	case modeGCM:
		p.aead, err = cipher.NewGCM(block)
	case modeCCM:
		p.aead, err = ccm.NewCCM(block, s.tagLen, 12)
	case modeChaCha:
		p.aead, err = chacha20poly1305.New(key)
	case modeCBC:
		p.block, p.mac = block, hmac.New(s.mac, mac)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// protections12 derives both directions' keys from a master secret, RFC 5246
// section 6.3.
func protections12(s *suite, master []byte, client, server [randomLen]byte, encryptThenMAC bool) (p [2]*protection) {
	seed := append(server[:], client[:]...)
	b := prf12(s.prf, master, "key expansion", seed, 2*(s.macLen+s.keyLen+s.ivLen()))
	next := func(n int) []byte {
		v := b[:n]
		b = b[n:]
		return v
	}
	var mac, key, iv [2][]byte
	for side := range 2 {
		mac[side] = next(s.macLen)
	}
	for side := range 2 {
		key[side] = next(s.keyLen)
	}
	for side := range 2 {
		iv[side] = next(s.ivLen())
	}
	for side := range 2 {
		// Lengths come from the suite, so that no constructor can fail.
		p[side], _ = newProtection(s, key[side], iv[side], mac[side])
		p[side].encryptThenMAC = encryptThenMAC
	}
	return p
}

// protection13 derives one direction's keys from a traffic secret, RFC 8446
// section 7.3.
func protection13(s *suite, secret []byte) *protection {
	key, iv := expandLabel(s, secret, "key", s.keyLen), expandLabel(s, secret, "iv", 12)
	if key == nil || iv == nil {
		return nil
	}
	p, err := newProtection(s, key, iv, nil)
	if err != nil {
		return nil
	}
	p.tls13 = true
	return p
}

// expandLabel is HKDF-Expand-Label with an empty context, RFC 8446 section
// 7.1.
func expandLabel(s *suite, secret []byte, label string, n int) []byte {
	full := "tls13 " + label
	info := binary.BigEndian.AppendUint16(nil, uint16(n))
	info = append(append(append(info, byte(len(full))), full...), 0)
	out, err := hkdf.Expand(s.prf, secret, string(info), n)
	if err != nil {
		return nil
	}
	return out
}

// open appends a fragment's plaintext to dst, or reports that it is not
// authentic under this key.
func (p *protection) open(dst []byte, h recordHeader, fragment []byte) ([]byte, bool) {
	if p.aead == nil {
		return p.openCBC(dst, h, fragment)
	}
	p.nonce = p.iv
	sealed := fragment
	if p.tls13 || p.suite.mode == modeChaCha {
		binary.BigEndian.PutUint64(p.nonce[4:], binary.BigEndian.Uint64(p.iv[4:])^h.seq)
	} else {
		if len(fragment) < 8 {
			return dst, false
		}
		copy(p.nonce[4:], fragment[:8])
		sealed = fragment[8:]
	}
	n := len(sealed) - p.suite.tagLen
	if n < 0 {
		return dst, false
	}
	if p.tls13 { // RFC 8446 section 5.2
		p.aad = append(p.aad[:0], h.typ, byte(h.version>>8), byte(h.version))
		p.aad = binary.BigEndian.AppendUint16(p.aad, uint16(len(fragment)))
	} else {
		p.associate(h, n)
	}
	out, err := p.aead.Open(dst, p.nonce[:], sealed, p.aad)
	if err != nil {
		return dst, false
	}
	return out, true
}

// associate makes the additional data of RFC 5246 section 6.2.3.3, or of
// RFC 9146 section 5.3 for records with a connection identifier. n is the
// plaintext's length.
func (p *protection) associate(h recordHeader, n int) {
	b := p.aad[:0]
	if h.typ == typeCID {
		b = append(b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, typeCID, byte(len(h.cid)))
		b = append(b, typeCID, byte(h.version>>8), byte(h.version))
		b = binary.BigEndian.AppendUint64(b, h.seq)
		b = append(b, h.cid...)
	} else {
		b = binary.BigEndian.AppendUint64(b, h.seq)
		b = append(b, h.typ, byte(h.version>>8), byte(h.version))
	}
	p.aad = binary.BigEndian.AppendUint16(b, uint16(n))
}

// openCBC follows RFC 5246 section 6.2.3.2 and RFC 7366. It need not run in
// constant time: whoever reads the capture has the key.
func (p *protection) openCBC(dst []byte, h recordHeader, fragment []byte) ([]byte, bool) {
	const bs = aes.BlockSize
	if p.encryptThenMAC {
		n := len(fragment) - p.suite.macLen
		if n < 0 || !p.authentic(h, fragment[:n], fragment[n:]) {
			return dst, false
		}
		fragment = fragment[:n]
	}
	if len(fragment) < 2*bs || len(fragment)%bs != 0 || h.typ == typeCID {
		return dst, false
	}
	plain := make([]byte, len(fragment)-bs)
	cipher.NewCBCDecrypter(p.block, fragment[:bs]).CryptBlocks(plain, fragment[bs:])
	end := len(plain) - 1 - int(plain[len(plain)-1])
	if p.encryptThenMAC {
		if end < 0 {
			return dst, false
		}
		return append(dst, plain[:end]...), true
	}
	n := end - p.suite.macLen
	if n < 0 || !p.authentic(h, plain[:n], plain[n:end]) {
		return dst, false
	}
	return append(dst, plain[:n]...), true
}

func (p *protection) authentic(h recordHeader, data, tag []byte) bool {
	p.associate(h, len(data))
	p.mac.Reset()
	p.mac.Write(p.aad)
	p.mac.Write(data)
	return hmac.Equal(p.mac.Sum(nil), tag)
}
