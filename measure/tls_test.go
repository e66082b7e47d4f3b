package measure

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"strings"
	"testing"

	"github.com/thinlink/thinlink/internal/wire"
)

// certificate signs itself.
func certificate(t testing.TB, rsaKey bool) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: epoch.AddDate(-30, 0, 0), NotAfter: epoch.AddDate(30, 0, 0), DNSNames: []string{"x"}}
	if rsaKey {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// converse runs a TLS connection over the tape: the client sends request, the
// server answers. The client's configuration may be reused to resume.
func converse(t testing.TB, p *tape, client, server *tls.Config, request, answer []byte) {
	t.Helper()
	a, b := p.pipe()
	done := make(chan error, 1)
	go func() {
		s := tls.Server(b, server)
		if _, err := io.ReadFull(s, make([]byte, len(request))); err != nil {
			done <- err
			return
		}
		_, err := s.Write(answer)
		done <- err
	}()
	c := tls.Client(a, client)
	if _, err := c.Write(request); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, len(answer))); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// mqttConversation is CONNECT and a PUBLISH with QoS 1, answered by CONNACK
// and PUBACK: protocol and payload bytes are known.
func mqttConversation(payload int) (request, answer []byte, protocol int) {
	connect := append([]byte{0x10, 16, 0, 4}, "MQTT\x04\x02\x00\x3c\x00\x04dev1"...)
	topic := "sensors/1"
	body := append([]byte{0, byte(len(topic))}, topic...)
	body = append(body, 0, 7)
	head := len(body)
	body = append(body, bytes.Repeat([]byte{'x'}, payload)...)
	publish := []byte{0x32}
	for n := len(body); ; n >>= 7 {
		if n < 128 {
			publish = append(publish, byte(n))
			break
		}
		publish = append(publish, byte(n&0x7f)|0x80)
	}
	fixed := len(publish)
	publish = append(publish, body...)
	answer = []byte{0x20, 2, 0, 0, 0x40, 2, 0, 7}
	return append(connect, publish...), answer, len(connect) + fixed + head + len(answer)
}

// TestLayersTLS: bytes by layer of real connections are exactly those that
// went in.
func TestLayersTLS(t *testing.T) {
	rsaCert, ecCert := certificate(t, true), certificate(t, false)
	tests := []struct {
		name    string
		version uint16
		suite   uint16
		rsa     bool
	}{
		{"1.2 AES-128-GCM", tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, true},
		{"1.2 AES-256-GCM", tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, false},
		{"1.2 ChaCha20", tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, false},
		{"1.2 CBC-SHA", tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, true},
		{"1.2 CBC-SHA256", tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, false},
		{"1.2 static RSA", tls.VersionTLS12, tls.TLS_RSA_WITH_AES_256_CBC_SHA, true},
		{"1.3", tls.VersionTLS13, 0, false},
		{"1.3 large certificate", tls.VersionTLS13, 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cert := ecCert
			if tt.rsa {
				cert = rsaCert
			}
			p := newTape(8883)
			client := &tls.Config{InsecureSkipVerify: true, KeyLogWriter: p, MinVersion: tls.VersionTLS12, MaxVersion: tt.version}
			if tt.suite != 0 {
				client.CipherSuites = []uint16{tt.suite}
			}
			server := &tls.Config{Certificates: []tls.Certificate{cert}, CipherSuites: client.CipherSuites}
			request, answer, protocol := mqttConversation(40_000)
			converse(t, p, client, server, request, answer)
			trace := p.done()
			r := sum(t, trace)
			if len(r.Warnings) > 0 {
				t.Errorf("warnings: %q", r.Warnings)
			}
			if r.Layers.Protocol != int64(protocol) || r.Layers.Payload != 40_000 {
				t.Errorf("protocol %d, payload %d; want %d, 40000", r.Layers.Protocol, r.Layers.Payload, protocol)
			}
			if r.Retransmissions != (Retransmissions{TLSHandshakes: 1}) {
				t.Errorf("%+v", r.Retransmissions)
			}
			trace.KeyLog = nil
			r = sum(t, trace)
			if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "could not be decrypted") {
				t.Errorf("without keys: warnings %q", r.Warnings)
			}
			if r.Layers.Protocol != 0 || r.Layers.Payload < 40_000 {
				t.Errorf("without keys: %+v", r.Layers)
			}
		})
	}
}

// TestResumption: a resumed handshake is counted and decrypted too.
func TestResumption(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		p := newTape(8883)
		client := &tls.Config{
			InsecureSkipVerify: true, KeyLogWriter: p, MaxVersion: version, ServerName: "x",
			ClientSessionCache: tls.NewLRUClientSessionCache(1),
		}
		server := &tls.Config{Certificates: []tls.Certificate{certificate(t, false)}}
		request, answer, protocol := mqttConversation(100)
		converse(t, p, client, server, request, answer)
		p.devicePort++
		full := len(p.trace.Packets)
		converse(t, p, client, server, request, answer)
		trace := p.done()
		r := sum(t, trace)
		if r.Retransmissions.TLSHandshakes != 2 || len(r.Warnings) > 0 {
			t.Errorf("version %x: %d handshakes, warnings %q", version, r.Retransmissions.TLSHandshakes, r.Warnings)
		}
		if r.Layers.Protocol != int64(2*protocol) || r.Layers.Payload != 200 {
			t.Errorf("version %x: %+v", version, r.Layers)
		}
		trace.WindowStart = trace.Packets[full].Time
		r = sum(t, trace)
		if r.Retransmissions.TLSHandshakes != 1 || r.Layers.Payload != 100 {
			t.Errorf("version %x: second connection alone: %+v", version, r)
		}
	}
}

// TestHelloRetry: the ServerHello that counts is the second one.
func TestHelloRetry(t *testing.T) {
	p := newTape(8883)
	client := &tls.Config{InsecureSkipVerify: true, KeyLogWriter: p, CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP384}}
	server := &tls.Config{Certificates: []tls.Certificate{certificate(t, false)}, CurvePreferences: []tls.CurveID{tls.CurveP384}}
	request, answer, protocol := mqttConversation(100)
	converse(t, p, client, server, request, answer)
	r := sum(t, p.done())
	if r.Retransmissions.TLSHandshakes != 1 || r.Layers.Protocol != int64(protocol) || r.Layers.Payload != 100 || len(r.Warnings) > 0 {
		t.Errorf("%+v", r)
	}
}

// TestRetransmittedLayers: what is sent twice counts twice, each byte in its
// own layer.
func TestRetransmittedLayers(t *testing.T) {
	p := newTape(1883)
	p.handshake()
	request, answer, protocol := mqttConversation(1000)
	first := p.next[up]
	p.send(up, request)
	cut := 600 // in the middle of the PUBLISH
	p.tcp(up, wire.ACK, first, p.next[down], 1000, request[:cut])
	p.ack(down)
	p.stream(down, answer)
	r := sum(t, p.done())
	header := protocol - len(answer)
	if want := int64(protocol + header); r.Layers.Protocol != want {
		t.Errorf("protocol %d, want %d", r.Layers.Protocol, want)
	}
	if want := int64(1000 + cut - header); r.Layers.Payload != want {
		t.Errorf("payload %d, want %d", r.Layers.Payload, want)
	}
	if r.Retransmissions.TCP != 1 || r.Retransmissions.TCPSpurious != 1 {
		t.Errorf("%+v", r.Retransmissions)
	}
}

// TestHoles: a record that was not captured is opaque; those behind it are
// decrypted.
func TestHoles(t *testing.T) {
	p := newTape(8883)
	client := &tls.Config{InsecureSkipVerify: true, KeyLogWriter: p, MaxVersion: tls.VersionTLS12}
	server := &tls.Config{Certificates: []tls.Certificate{certificate(t, false)}}
	request, answer, protocol := mqttConversation(40_000)
	converse(t, p, client, server, request, answer)
	trace := p.done()
	whole := Judge(trace)
	// The request's last full segments, those of the PUBLISH: lose one of them.
	lost := -1
	for i, k := range trace.Packets {
		if k.Dir == up && len(k.Data) == 1300+52 {
			lost = i
		}
	}
	n := int64(len(trace.Packets[lost].Data))
	trace.Packets = append(trace.Packets[:lost:lost], trace.Packets[lost+1:]...)
	r := sum(t, trace)
	if r.Up.Bytes != whole.Up.Bytes-n {
		t.Errorf("up %d of %d bytes", r.Up.Bytes, whole.Up.Bytes)
	}
	if r.Layers.Protocol != int64(protocol) {
		t.Errorf("protocol %d, want %d: the answers can still be read", r.Layers.Protocol, protocol)
	}
	text := fmt.Sprint(r.Warnings)
	if !strings.Contains(text, "not captured") || !strings.Contains(text, "not be decrypted") {
		t.Errorf("warnings %q", r.Warnings)
	}
}

// TestBrokenOff: the beginning of a record is payload, and no reason to warn.
func TestBrokenOff(t *testing.T) {
	trace := download(t, 100_000)
	whole := Judge(trace).Layers
	last := len(trace.Packets)
	for size := 0; size < 50_000; last-- {
		if p := trace.Packets[last-1]; p.Dir == down {
			size += len(p.Data) - 52
		}
	}
	trace.Packets = trace.Packets[:last]
	r := sum(t, trace)
	if len(r.Warnings) > 0 || r.Layers.Protocol != whole.Protocol || r.Layers.Payload < 45_000 || r.Layers.Payload > 55_000 {
		t.Errorf("%+v of %+v, warnings %q", r.Layers, whole, r.Warnings)
	}
}

// download is an HTTPS download of n bytes.
func download(tb testing.TB, n int) *Trace {
	p := newTape(443)
	client := &tls.Config{InsecureSkipVerify: true, KeyLogWriter: p, MaxVersion: tls.VersionTLS12}
	server := &tls.Config{Certificates: []tls.Certificate{certificate(tb, false)}}
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", n)
	converse(tb, p, client, server, []byte("GET /image HTTP/1.1\r\nHost: x\r\n\r\n"), append([]byte(head), make([]byte, n)...))
	return p.done()
}

func TestDownload(t *testing.T) {
	r := sum(t, download(t, 1<<20))
	if want := int64(len("GET /image HTTP/1.1\r\nHost: x\r\n\r\n") + len("HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n")); r.Layers.Payload != 1<<20 || r.Layers.Protocol != want {
		t.Errorf("%+v, want protocol %d", r.Layers, want)
	}
}

func BenchmarkJudge(b *testing.B) {
	trace := download(b, 1<<20)
	b.ReportAllocs()
	for b.Loop() {
		Judge(trace)
	}
	b.ReportMetric(float64(len(trace.Packets)), "packets")
}
