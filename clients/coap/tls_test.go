package coap_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"sync"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/clients/pki"
)

// TestOverTLS has both ends of a TLS session on loopback download from and
// upload to each other at once.
func TestOverTLS(t *testing.T) {
	a, b := tlsPair(t)
	data := bytes.Repeat([]byte("0123456789abcdef"), 20_000)
	handler := coap.HandlerFunc(func(_ context.Context, r *coap.Request) *coap.Response {
		if r.Code == codes.PUT && bytes.Equal(r.Payload, data) {
			return coap.Status(codes.Changed)
		}
		resp := coap.Status(codes.Content)
		resp.Body, resp.Size = bytes.NewReader(data), int64(len(data))
		return resp
	})
	ends := []*coap.Conn{coap.NewStreamConn(a, coap.Config{}, handler), coap.NewStreamConn(b, coap.Config{}, handler)}
	var serving, loading sync.WaitGroup
	for _, c := range ends {
		serving.Go(func() { _ = c.Serve() }) // which ends with the other one's close
		loading.Go(func() {
			got, err := load(t.Context(), c)
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes down, %v", len(got), err)
			}
		})
		loading.Go(func() {
			resp, err := c.Do(t.Context(), coap.NewRequest(codes.PUT, "/fw").WithPayload(coap.Octets, data))
			if err != nil || resp.Code != codes.Changed {
				t.Errorf("up: %v, %v", resp, err)
			}
		})
	}
	loading.Wait()
	if err := ends[0].Release(t.Context()); err != nil {
		t.Errorf("release: %v", err)
	}
	serving.Wait()
}

// tlsPair is a TLS session on loopback.
func tlsPair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	material, err := pki.New(pki.Options{Key: pki.P256, Chain: 1})
	if err != nil {
		t.Fatal(err)
	}
	credential, err := material.Server.TLS()
	if err != nil {
		t.Fatal(err)
	}
	pool, err := material.Pool()
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{credential}, NextProtos: []string{coap.ALPN}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan error, 1)
	go func() {
		var err error
		if server, err = l.Accept(); err == nil {
			err = server.(*tls.Conn).Handshake()
		}
		accepted <- err
	}()
	dialled, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: pool, ServerName: pki.ServerName, NextProtos: []string{coap.ALPN}})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-accepted; err != nil {
		t.Fatal(err)
	}
	if got := dialled.ConnectionState().NegotiatedProtocol; got != coap.ALPN {
		t.Fatalf("ALPN %q", got)
	}
	return dialled, server
}
