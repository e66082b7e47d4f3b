package measure

import (
	"bytes"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/dtls/v3"

	"github.com/thinlink/thinlink/netem"
)

// packetConn is one end of a datagram link that records what is sent.
type packetConn struct {
	p     *tape
	dir   netem.Direction
	start time.Time
	in    chan []byte
	out   chan []byte
	drop  func(dir netem.Direction, n int) bool // the n-th datagram, from 1
	sent  *[2]int
	done  chan struct{}
}

// packetPipe joins device and platform; drop decides what is lost.
func (p *tape) packetPipe(drop func(dir netem.Direction, n int) bool) (device, platform *packetConn) {
	a, b, sent := make(chan []byte, 100), make(chan []byte, 100), new([2]int)
	start := time.Now()
	return &packetConn{p, up, start, b, a, drop, sent, make(chan struct{})}, &packetConn{p, down, start, a, b, drop, sent, make(chan struct{})}
}

func (c *packetConn) WriteTo(b []byte, _ net.Addr) (int, error) {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	if now := epoch.Add(time.Since(c.start)); now.After(c.p.now) {
		c.p.now = now
	}
	k := c.p.udp(c.dir, b)
	c.sent[c.dir]++
	if c.drop != nil && c.drop(c.dir, c.sent[c.dir]) {
		k.Lost = netem.DropLoss
		return len(b), nil
	}
	c.out <- bytes.Clone(b)
	return len(b), nil
}

func (c *packetConn) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case d := <-c.in:
		return copy(b, d), peerAddr, nil
	case <-c.done:
		return 0, nil, os.ErrDeadlineExceeded
	}
}

func (c *packetConn) Close() error {
	select {
	case <-c.done:
	default:
		close(c.done)
	}
	return nil
}

var peerAddr = &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}

func (c *packetConn) LocalAddr() net.Addr              { return peerAddr }
func (c *packetConn) SetDeadline(time.Time) error      { return nil }
func (c *packetConn) SetReadDeadline(time.Time) error  { return nil }
func (c *packetConn) SetWriteDeadline(time.Time) error { return nil }

// coapPost is a confirmable POST /rd with an 8-byte token and a payload; its
// first 16 bytes are protocol.
func coapPost(id uint16, payload string) []byte {
	b := []byte{0x48, 0x02, byte(id >> 8), byte(id), 1, 2, 3, 4, 5, 6, 7, 8, 0xb2, 'r', 'd', 0xff}
	return append(b, payload...)
}

// coapChanged is its piggy-backed answer, 12 bytes without payload.
func coapChanged(id uint16) []byte {
	return []byte{0x68, 0x44, byte(id >> 8), byte(id), 1, 2, 3, 4, 5, 6, 7, 8}
}

// converseDTLS runs a handshake, then two exchanges of CoAP, of which the
// second request is sent twice.
func converseDTLS(t testing.TB, p *tape, client, server []dtls.Option, drop func(netem.Direction, int) bool) {
	t.Helper()
	clientOptions := []dtls.ClientOption{dtls.WithKeyLogWriter(p), dtls.WithInsecureSkipVerify(true)}
	for _, o := range client {
		clientOptions = append(clientOptions, o)
	}
	var serverOptions []dtls.ServerOption
	for _, o := range server {
		serverOptions = append(serverOptions, o)
	}
	a, b := p.packetPipe(drop)
	done, read := make(chan error, 1), make(chan struct{})
	defer close(read)
	go func() {
		s, err := dtls.ServerWithOptions(b, peerAddr, serverOptions...)
		if err == nil {
			buf := make([]byte, 1500)
			for range 3 {
				if _, err = s.Read(buf); err != nil {
					break
				}
				if _, err = s.Write(coapChanged(uint16(buf[2])<<8 | uint16(buf[3]))); err != nil {
					break
				}
			}
		}
		done <- err
		<-read // an early close_notify would overtake the last answer
		if s != nil {
			s.Close()
		}
	}()
	c, err := dtls.ClientWithOptions(a, peerAddr, clientOptions...)
	if err != nil {
		t.Fatal(err)
	}
	for _, request := range [][]byte{coapPost(1, "hello"), coapPost(2, "good bye"), coapPost(2, "good bye")} {
		if _, err := c.Write(request); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1500)); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// pskOptions are both ends' options for a pre-shared key; cid adds a connection
// identifier of 8 bytes.
func pskOptions(suite dtls.CipherSuiteID, cid bool) []dtls.Option {
	options := []dtls.Option{
		dtls.WithCipherSuites(suite), dtls.WithPSKIdentityHint([]byte("id")),
		dtls.WithPSK(func([]byte) ([]byte, error) { return []byte("secret key of 16"), nil }),
	}
	if cid {
		options = append(options, dtls.WithConnectionIDGenerator(dtls.RandomCIDGenerator(8)))
	}
	return options
}

// TestLayersDTLS: what real connections carry is found again.
func TestLayersDTLS(t *testing.T) {
	cert := certificate(t, false)
	tests := []struct {
		name      string
		suite     dtls.CipherSuiteID
		psk       bool
		up, down  func() []byte // connection identifiers
		mtu       int
		perRecord [2]int64 // security bytes of an application record
	}{
		{name: "PSK CCM-8", suite: dtls.TLS_PSK_WITH_AES_128_CCM_8, psk: true, perRecord: [2]int64{29, 29}},
		{name: "PSK CCM", suite: dtls.TLS_PSK_WITH_AES_128_CCM, psk: true, perRecord: [2]int64{37, 37}},
		{name: "PSK GCM", suite: dtls.TLS_PSK_WITH_AES_128_GCM_SHA256, psk: true, perRecord: [2]int64{37, 37}},
		{name: "PSK CBC", suite: dtls.TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA256, psk: true},
		{name: "certificate GCM", suite: dtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, perRecord: [2]int64{37, 37}},
		{name: "certificate CCM-8", suite: dtls.TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8, perRecord: [2]int64{29, 29}},
		{name: "certificate CCM", suite: dtls.TLS_ECDHE_ECDSA_WITH_AES_128_CCM, perRecord: [2]int64{37, 37}},
		{name: "fragments", suite: dtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, mtu: 200, perRecord: [2]int64{37, 37}},
		// The client sends the server's identifier and the other way round; a
		// record with one has it and an inner content type more.
		{name: "CID", suite: dtls.TLS_PSK_WITH_AES_128_CCM_8, psk: true, up: dtls.RandomCIDGenerator(6), down: dtls.RandomCIDGenerator(3), perRecord: [2]int64{29 + 4, 29 + 7}},
		{name: "CID GCM", suite: dtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, up: dtls.RandomCIDGenerator(8), down: dtls.RandomCIDGenerator(8), perRecord: [2]int64{37 + 9, 37 + 9}},
		{name: "CID one way", suite: dtls.TLS_PSK_WITH_AES_128_CCM_8, psk: true, up: dtls.OnlySendCIDGenerator(), down: dtls.RandomCIDGenerator(6), perRecord: [2]int64{29 + 7, 29}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, server := []dtls.Option{dtls.WithCipherSuites(tt.suite)}, []dtls.Option{dtls.WithCipherSuites(tt.suite)}
				if tt.psk {
					client, server = pskOptions(tt.suite, false), pskOptions(tt.suite, false)
				} else {
					server = append(server, dtls.WithCertificates(cert))
				}
				if tt.up != nil {
					client = append(client, dtls.WithConnectionIDGenerator(tt.up))
					server = append(server, dtls.WithConnectionIDGenerator(tt.down))
				}
				if tt.mtu > 0 {
					client, server = append(client, dtls.WithMTU(tt.mtu)), append(server, dtls.WithMTU(tt.mtu))
				}
				p := newTape(5684)
				converseDTLS(t, p, client, server, nil)
				trace := p.done()
				r := sum(t, trace)
				if len(r.Warnings) > 0 {
					t.Errorf("warnings %q", r.Warnings)
				}
				if want := int64(3*16 + 3*12); r.Layers.Protocol != want {
					t.Errorf("protocol %d, want %d", r.Layers.Protocol, want)
				}
				if want := int64(5 + 2*8); r.Layers.Payload != want {
					t.Errorf("payload %d, want %d", r.Layers.Payload, want)
				}
				// The repeated request; the answer to it is none.
				if want := (Retransmissions{CoAP: 1, CoAPSpurious: 1, TLSHandshakes: 1}); r.Retransmissions != want {
					t.Errorf("%+v, want %+v", r.Retransmissions, want)
				}
				// From the first exchange on, only application records.
				for _, k := range trace.Packets {
					if n := len(k.Data) - 28; k.Dir == up && tt.perRecord[up] > 0 && n == 16+5+int(tt.perRecord[up]) {
						trace.WindowStart = k.Time
					}
				}
				if tt.perRecord[up] > 0 {
					trace.WindowEnd = trace.WindowStart.Add(trace.Packets[1].Time.Sub(trace.Packets[0].Time) * 2)
					r = sum(t, trace)
					if want := tt.perRecord[up] + tt.perRecord[down]; r.Layers.Security != want || r.Up.Packets+r.Down.Packets != 2 {
						t.Errorf("an exchange: %d security bytes in %d packets, want %d in 2", r.Layers.Security, r.Up.Packets+r.Down.Packets, want)
					}
				}
			})
		})
	}
}

// TestDTLSRetransmissions: a lost flight is sent again, message by message.
func TestDTLSRetransmissions(t *testing.T) {
	for _, tt := range []struct {
		name string
		drop func(dir netem.Direction, n int) bool
		want int64
	}{
		{"none", func(netem.Direction, int) bool { return false }, 0},
		{"first ClientHello", func(dir netem.Direction, n int) bool { return dir == up && n == 1 }, 1},
		// ServerHello, ServerKeyExchange and ServerHelloDone are repeated when
		// the client repeats its ClientHello.
		{"server's flight", func(dir netem.Direction, n int) bool { return dir == down && n == 2 }, 1 + 3},
		// ClientKeyExchange and Finished of the client are repeated; the
		// server, which has waited as long, repeats its flight too.
		{"client's last flight", func(dir netem.Direction, n int) bool { return dir == up && n == 3 }, 2 + 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newTape(5684)
				options := pskOptions(dtls.TLS_PSK_WITH_AES_128_CCM_8, false)
				converseDTLS(t, p, options, options, tt.drop)
				trace := p.done()
				for _, keys := range []bool{true, false} {
					if !keys {
						trace.KeyLog = nil
					}
					r := sum(t, trace)
					if r.Retransmissions.DTLS != tt.want || r.Retransmissions.TLSHandshakes != 1 {
						t.Errorf("keys %v: %+v, want %d DTLS retransmissions in 1 handshake", keys, r.Retransmissions, tt.want)
					}
				}
			})
		})
	}
}

// TestDTLSRebinding: with a connection identifier, records from a new port
// belong to the old session.
func TestDTLSRebinding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		options := pskOptions(dtls.TLS_PSK_WITH_AES_128_CCM_8, true)
		p := newTape(5684)
		drop := func(dir netem.Direction, n int) bool {
			if dir == up && n == 4 { // the first request
				p.devicePort = 50000
			}
			return false
		}
		converseDTLS(t, p, options, options, drop)
		r := sum(t, p.done())
		if r.Layers.Protocol != 3*16+3*12 || r.Retransmissions.CoAP != 1 || len(r.Warnings) > 0 {
			t.Errorf("%+v", r)
		}
	})
}

// TestDTLSReboot: a new session between the same ports may use the old
// session's message IDs.
func TestDTLSReboot(t *testing.T) {
	p := newTape(5684)
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			options := pskOptions(dtls.TLS_PSK_WITH_AES_128_CCM_8, false)
			converseDTLS(t, p, options, options, nil)
		})
	}
	r := sum(t, p.done())
	if want := (Retransmissions{CoAP: 2, CoAPSpurious: 2, TLSHandshakes: 2}); r.Retransmissions != want || len(r.Warnings) > 0 {
		t.Errorf("%+v, want %+v; warnings %q", r.Retransmissions, want, r.Warnings)
	}
}

// TestDTLSWithoutKeys: the layers below are still known.
func TestDTLSWithoutKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTape(5684)
		options := pskOptions(dtls.TLS_PSK_WITH_AES_128_CCM_8, false)
		converseDTLS(t, p, options, options, nil)
		trace := p.done()
		trace.KeyLog = nil
		r := sum(t, trace)
		if want := int64(3*16 + 3*12 + 5 + 2*8); r.Layers.Payload != want || r.Layers.Protocol != 0 {
			t.Errorf("%+v, want payload %d", r.Layers, want)
		}
		if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "105 bytes could not be decrypted") {
			t.Errorf("warnings %q", r.Warnings)
		}
	})
}
