package tlsdec

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"testing"

	"github.com/pion/dtls/v3/pkg/crypto/ccm"
	"golang.org/x/crypto/chacha20poly1305"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestPRF12 is the published test vector for the TLS 1.2 PRF with SHA-256
// (https://mailarchive.ietf.org/arch/msg/tls/fzVCzk-z3FShgGJ6DOXqM1ydxms).
func TestPRF12(t *testing.T) {
	got := prf12(gcm128.prf, unhex(t, "9bbe436ba940f017b17652849a71db35"), "test label", unhex(t, "a0ba9f936cda311827a6f796ffd5198c"), 100)
	want := "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14baf9af0fa022f7077def17abfd3797c0564bab4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff70187347b66"
	if hex.EncodeToString(got) != want {
		t.Errorf("got %x", got)
	}
}

// TestExpandLabel is the server's handshake key and IV of RFC 8448 section 3.
func TestExpandLabel(t *testing.T) {
	secret := unhex(t, "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38")
	if got := hex.EncodeToString(expandLabel(gcm128, secret, "key", 16)); got != "3fce516009c21727d0f2e4e86ee403bc" {
		t.Errorf("key %s", got)
	}
	if got := hex.EncodeToString(expandLabel(gcm128, secret, "iv", 12)); got != "5d313eb2671276ee13000b30" {
		t.Errorf("iv %s", got)
	}
}

// A sealer makes TLS 1.3 records, RFC 8446 section 5.2.
type sealer struct {
	aead cipher.AEAD
	iv   []byte
	seq  uint64
}

func newSealer(t testing.TB, s *suite, secret []byte) *sealer {
	t.Helper()
	key := expandLabel(s, secret, "key", s.keyLen)
	var aead cipher.AEAD
	var err error
	switch s.mode {
	case modeChaCha:
		aead, err = chacha20poly1305.New(key)
	default:
		block, blockErr := aes.NewCipher(key)
		if blockErr != nil {
			t.Fatal(blockErr)
		}
		if s.mode == modeCCM {
			aead, err = ccm.NewCCM(block, s.tagLen, 12)
		} else {
			aead, err = cipher.NewGCM(block)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return &sealer{aead: aead, iv: expandLabel(s, secret, "iv", 12)}
}

func (s *sealer) record(typ byte, content string, padding int) []byte {
	plain := append([]byte(content), typ)
	plain = append(plain, make([]byte, padding)...)
	n := len(plain) + s.aead.Overhead()
	header := []byte{typeData, 3, 3, byte(n >> 8), byte(n)}
	nonce := slices.Clone(s.iv)
	binary.BigEndian.PutUint64(nonce[4:], binary.BigEndian.Uint64(nonce[4:])^s.seq)
	s.seq++
	return s.aead.Seal(header, nonce, plain, header)
}

func hello13(typ byte, suite uint16) []byte {
	body := binary.BigEndian.AppendUint16(nil, versionTLS12)
	body = append(body, bytes.Repeat([]byte{typ}, randomLen)...)
	body = append(body, 0) // session id
	if typ == msgServerHello {
		body = binary.BigEndian.AppendUint16(body, suite)
		body = append(body, 0)
		body = append(body, 0, 6, 0, extSupportedVersions, 0, 2, 3, 4)
	} else {
		body = append(body, 0, 2, 0x13, 1, 1, 0, 0, 0)
	}
	n := len(body)
	return append([]byte{typeHandshake, 3, 3, byte((n + 4) >> 8), byte(n + 4), typ, 0, byte(n >> 8), byte(n)}, body...)
}

// TestTLS13Suites: suites that crypto/tls does not offer at will, with early
// data, padding and key updates.
func TestTLS13Suites(t *testing.T) {
	for _, id := range []uint16{0x1301, 0x1302, 0x1303, 0x1304, 0x1305} {
		t.Run(fmt.Sprintf("%04x", id), func(t *testing.T) {
			s := lookupSuite(id)
			size := s.prf().Size()
			secret := func(i byte) []byte { return bytes.Repeat([]byte{i}, size) }
			random := bytes.Repeat([]byte{msgClientHello}, randomLen)
			log := ""
			for i, label := range []string{labelEarly, labelClientHandshake, labelClientTraffic, labelServerHandshake, labelServerTraffic} {
				log += fmt.Sprintf("%s %x %x\n", label, random, secret(byte(i)))
			}
			client := hello13(msgClientHello, 0)
			early := newSealer(t, s, secret(0))
			client = append(client, early.record(typeData, "early", 0)...)
			client = append(client, early.record(typeHandshake, "\x05\x00\x00\x00", 0)...)
			client = append(client, newSealer(t, s, secret(1)).record(typeHandshake, "finished", 0)...)
			app := newSealer(t, s, secret(2))
			client = append(client, app.record(typeData, "hello", 7)...)
			client = append(client, app.record(typeHandshake, "\x18\x00\x00\x01\x00", 0)...)
			updated := newSealer(t, s, expandLabel(s, secret(2), "traffic upd", size))
			client = append(client, updated.record(typeData, "again", 0)...)
			client = append(client, updated.record(typeAlert, "\x01\x00", 0)...)
			server := append(hello13(msgServerHello, id), typeChangeCipherSpec, 3, 3, 0, 1, 1)
			server = append(server, newSealer(t, s, secret(3)).record(typeHandshake, "many messages", 0)...)
			server = append(server, newSealer(t, s, secret(4)).record(typeData, "answer", 0)...)
			c := Dissect(Stream{Data: client}, Stream{Data: server}, ParseKeyLog([]byte(log)))
			if got := string(c.Sides[Client].Plain); got != "earlyhelloagain" {
				t.Errorf("client %q", got)
			}
			if got := string(c.Sides[Server].Plain); got != "answer" {
				t.Errorf("server %q", got)
			}
			if c.Undecrypted != 0 || c.ServerHelloAt != 0 || c.Version != versionTLS13 || c.Suite != id {
				t.Errorf("%+v", c)
			}
			checkSpans(t, c.Sides[Client], client)
			checkSpans(t, c.Sides[Server], server)
			// A wrong secret opens nothing.
			c = Dissect(Stream{Data: client}, Stream{Data: server}, ParseKeyLog([]byte(fmt.Sprintf("%s %x %x\n", labelClientTraffic, random, secret(9)))))
			if len(c.Sides[Client].Plain)+len(c.Sides[Server].Plain) != 0 || c.Undecrypted == 0 {
				t.Errorf("with a wrong secret: %+v", c)
			}
		})
	}
}

// checkSpans: spans cover the stream, content spans the plain text.
func checkSpans(t *testing.T, tr Transcript, data []byte) {
	t.Helper()
	sum, content := 0, 0
	for _, s := range tr.Spans {
		if s.Len <= 0 {
			t.Errorf("span %+v", s)
		}
		sum += s.Len
		if s.Kind == Content {
			content += s.Len
		}
	}
	if sum != len(data) || content != len(tr.Plain) {
		t.Errorf("spans cover %d of %d bytes, content %d of %d", sum, len(data), content, len(tr.Plain))
	}
}

func TestParseKeyLog(t *testing.T) {
	random := bytes.Repeat([]byte("ab"), 32)
	k := ParseKeyLog([]byte(fmt.Sprintf("# comment\n\nCLIENT_RANDOM %s 0102\r\nCLIENT_RANDOM abcd 0102\nCLIENT_RANDOM %s zz\nCLIENT_RANDOM %sXX 01\nhello\nOTHER %s 03", random, random, random[2:], random)))
	if k.Malformed != 4 || k.Len() != 2 {
		t.Errorf("%d malformed, %d secrets", k.Malformed, k.Len())
	}
	if got := k.find(labelTLS12, [randomLen]byte(bytes.Repeat([]byte{0xab}, 32))); !bytes.Equal(got, []byte{1, 2}) {
		t.Errorf("secret %x", got)
	}
}

// TestSuites: every suite makes keys that open what they sealed, so that no
// constructor can fail at run time.
func TestSuites(t *testing.T) {
	seen := map[*suite]bool{}
	for id := range 0x10000 {
		s := lookupSuite(uint16(id))
		if s == nil || seen[s] {
			continue
		}
		seen[s] = true
		for side, p := range protections12(s, make([]byte, 48), [randomLen]byte{}, [randomLen]byte{1}, false) {
			if p == nil || p.aead == nil && (p.block == nil || p.mac == nil) {
				t.Errorf("suite %04x side %d: no protection", id, side)
			}
		}
	}
	if len(seen) != 12 {
		t.Errorf("%d kinds of suites", len(seen))
	}
}

// TestEncryptThenMAC: RFC 7366 puts the MAC behind the ciphertext.
func TestEncryptThenMAC(t *testing.T) {
	h := recordHeader{typ: typeData, version: versionTLS12, seq: 5}
	for _, etm := range []bool{false, true} {
		p := protections12(cbc128, make([]byte, 48), [randomLen]byte{}, [randomLen]byte{1}, etm)[Client]
		content := []byte("hello")
		plain := slices.Clone(content)
		if !etm {
			plain = append(plain, tag(p, h, content)...)
		}
		pad := 15 - len(plain)%16
		plain = append(plain, bytes.Repeat([]byte{byte(pad)}, pad+1)...)
		fragment := make([]byte, 16+len(plain))
		cipher.NewCBCEncrypter(p.block, fragment[:16]).CryptBlocks(fragment[16:], plain)
		if etm {
			fragment = append(fragment, tag(p, h, fragment)...)
		}
		got, ok := p.open([]byte("x"), h, fragment)
		if !ok || string(got) != "xhello" {
			t.Errorf("encrypt-then-MAC %v: %q, %v", etm, got, ok)
		}
		fragment[20] ^= 1
		if _, ok := p.open(nil, h, fragment); ok {
			t.Errorf("encrypt-then-MAC %v: opens what was changed", etm)
		}
	}
}

func tag(p *protection, h recordHeader, data []byte) []byte {
	p.associate(h, len(data))
	p.mac.Reset()
	p.mac.Write(p.aad)
	p.mac.Write(data)
	return p.mac.Sum(nil)
}

// FuzzDissect: spans always cover the streams.
func FuzzDissect(f *testing.F) {
	s := lookupSuite(0x1301)
	log := []byte(fmt.Sprintf("%s %x %x\nCLIENT_RANDOM %x %x\n", labelClientTraffic, bytes.Repeat([]byte{1}, 32), make([]byte, 32), bytes.Repeat([]byte{1}, 32), make([]byte, 48)))
	client := append(hello13(msgClientHello, 0), newSealer(f, s, make([]byte, 32)).record(typeData, "hello", 1)...)
	f.Add(client, hello13(msgServerHello, 0x1301), 3, 9)
	f.Add([]byte{22, 3, 1, 0}, []byte{23, 3, 3, 0, 1}, 0, 0)
	f.Fuzz(func(t *testing.T, client, server []byte, from, n int) {
		stream := Stream{Data: client}
		if from >= 0 && n > 0 && from < len(client) && n < len(client) {
			stream.Holes = []Hole{{from, min(from+n, len(client))}}
		}
		c := Dissect(stream, Stream{Data: server}, ParseKeyLog(log))
		checkSpans(t, c.Sides[Client], client)
		checkSpans(t, c.Sides[Server], server)
	})
}

// FuzzDatagram: records always cover the datagrams.
func FuzzDatagram(f *testing.F) {
	hello := unhex(f, "16fefd0000000000000000003e010000320000000000000032fefd"+
		"0101010101010101010101010101010101010101010101010101010101010101"+"0000"+"0002c0a8"+"0100"+"0006"+"003600020100")
	f.Add(hello, []byte{22, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{25, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 0, 7, 0, 0}, hello)
	f.Fuzz(func(t *testing.T, a, b []byte) {
		s := NewSession(ParseKeyLog([]byte(fmt.Sprintf("CLIENT_RANDOM %x %x\n", bytes.Repeat([]byte{1}, 32), make([]byte, 48)))))
		for i, d := range [][]byte{a, b, a, b} {
			sum := 0
			for _, r := range s.Datagram(i%2, d) {
				if r.Front < 0 || r.Back < 0 || r.Front+r.Back > r.Len || r.Kind == Content && r.Front+len(r.Plain)+r.Back != r.Len {
					t.Errorf("%+v", r)
				}
				sum += r.Len
			}
			if sum != len(d) {
				t.Errorf("records cover %d of %d bytes", sum, len(d))
			}
			s.OwnsCID(i%2, d)
		}
	})
}

func FuzzParseKeyLog(f *testing.F) {
	f.Add([]byte("CLIENT_RANDOM " + string(bytes.Repeat([]byte("ab"), 32)) + " 0102\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if k := ParseKeyLog(b); k.Len()+k.Malformed > bytes.Count(b, []byte("\n"))+1 {
			t.Errorf("%d secrets, %d malformed lines", k.Len(), k.Malformed)
		}
	})
}
