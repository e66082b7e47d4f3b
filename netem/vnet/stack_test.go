package vnet_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/dtls/v3"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/pki"
	"github.com/thinlink/thinlink/internal/units"
	"github.com/thinlink/thinlink/netem"
	"github.com/thinlink/thinlink/netem/vnet"
)

// Stacks take a vnet host as they take a kernel's.
var _ clients.Host = (*vnet.Host)(nil)

// inNet runs f in virtual time with hosts joined at 26 kbit/s and 800 ms of
// round trip, over IPv4 and IPv6.
func inNet(t *testing.T, f func(t *testing.T, device, platform clients.Host)) {
	for _, addr := range [][2]string{{"10.0.0.2", "10.0.1.1"}, {"2001:db8::2", "2001:db8:1::1"}} {
		t.Run(addr[0], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := netem.DirectionConfig{Rate: units.BitRate(26_000), Delay: 400 * time.Millisecond}
				n, err := vnet.New(vnet.Config{
					Device:   vnet.HostConfig{Addr: netip.MustParseAddr(addr[0])},
					Platform: vnet.HostConfig{Addr: netip.MustParseAddr(addr[1])},
					Link:     netem.Config{MTU: 1358, Up: d, Down: d},
				})
				if err != nil {
					t.Fatal(err)
				}
				defer n.Close()
				f(t, n.Device(), n.Platform())
			})
		})
	}
}

func credentials(t *testing.T) (*pki.Material, tls.Certificate) {
	t.Helper()
	m, err := pki.New(pki.Options{Key: pki.P256, Chain: 2})
	if err != nil {
		t.Fatal(err)
	}
	cert, err := m.Server.TLS()
	if err != nil {
		t.Fatal(err)
	}
	return m, cert
}

// TestHTTPS: net/http and crypto/tls as they are, 100 kB there and back.
func TestHTTPS(t *testing.T) {
	m, cert := credentials(t)
	pool, err := m.Pool()
	if err != nil {
		t.Fatal(err)
	}
	body := bytes.Repeat([]byte("thinlink"), 12_500)
	inNet(t, func(t *testing.T, device, platform clients.Host) {
		l, err := platform.Listen("tcp", ":443")
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body) // HTTP/1 servers answer when they have read all
			w.Write(b)
		})}
		served := make(chan error, 1)
		go func() {
			served <- server.Serve(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}}))
		}()
		transport := &http.Transport{
			DialContext:     device.DialContext,
			TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: pki.ServerName},
		}
		client := &http.Client{Transport: transport}
		start := time.Now()
		url := "https://" + net.JoinHostPort(platform.Addr().String(), "443") + "/"
		for range 2 { // the second over the same connection
			r, err := client.Post(url, "application/octet-stream", bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r.Body)
			r.Body.Close()
			if err != nil || !bytes.Equal(got, body) {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
		}
		least := 4 * 8 * time.Duration(len(body)) * time.Second / 26_000
		if took := time.Since(start); took < least || took > least+least/5 {
			t.Errorf("took %v, the data alone take %v", took, least)
		}
		transport.CloseIdleConnections()
		if err := server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != http.ErrServerClosed {
			t.Error(err)
		}
	})
}

// TestDTLS: pion/dtls as it is, over a packet socket on either side.
func TestDTLS(t *testing.T) {
	m, cert := credentials(t)
	pool, err := m.Pool()
	if err != nil {
		t.Fatal(err)
	}
	inNet(t, func(t *testing.T, device, platform clients.Host) {
		ps, err := platform.ListenPacket("udp", ":5684")
		if err != nil {
			t.Fatal(err)
		}
		pc, err := device.ListenPacket("udp", ":0")
		if err != nil {
			t.Fatal(err)
		}
		server, err := dtls.ServerWithOptions(ps, pc.LocalAddr(), dtls.WithCertificates(cert))
		if err != nil {
			t.Fatal(err)
		}
		client, err := dtls.ClientWithOptions(pc, ps.LocalAddr(), dtls.WithRootCAs(pool), dtls.WithServerName(pki.ServerName))
		if err != nil {
			t.Fatal(err)
		}
		echoed := make(chan error, 1)
		go func() {
			b := make([]byte, 2000)
			n, err := server.Read(b)
			if err == nil {
				_, err = server.Write(b[:n])
			}
			echoed <- err
		}()
		message := bytes.Repeat([]byte{1}, 1024)
		if _, err := client.Write(message); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 2000)
		n, err := client.Read(b)
		if err != nil || !bytes.Equal(b[:n], message) {
			t.Fatalf("%d bytes, %v", n, err)
		}
		if err := <-echoed; err != nil {
			t.Error(err)
		}
		client.Close()
		server.Close()
	})
}
