package coap_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/pion/dtls/v3"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/thinlink/thinlink/clients/coap"
)

// TestOverDTLS has both ends of a DTLS session on loopback download from each
// other at once: no write waits for a read of the other end.
func TestOverDTLS(t *testing.T) {
	a, b := dtlsPair(t)
	data := bytes.Repeat([]byte("0123456789abcdef"), 20_000)
	file := coap.HandlerFunc(func(context.Context, *coap.Request) *coap.Response {
		resp := coap.Status(codes.Content)
		resp.Body, resp.Size = bytes.NewReader(data), int64(len(data))
		return resp
	})
	ends := []*coap.Conn{coap.NewConn(a, coap.Config{}, file), coap.NewConn(b, coap.Config{}, file)}
	var serving, loading sync.WaitGroup
	for _, c := range ends {
		serving.Go(func() { _ = c.Serve() }) // the second to close sees the first one's alert
		loading.Go(func() {
			got, err := load(t.Context(), c)
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
	loading.Wait()
	for _, c := range ends {
		c.Close()
	}
	serving.Wait()
}

func load(ctx context.Context, c *coap.Conn) (got []byte, err error) {
	d, err := c.Download(coap.NewRequest(codes.GET, "/fw"), coap.DownloadOptions{})
	for err == nil {
		var block coap.Block
		block, err = d.Next(ctx)
		got = append(got, block.Data...)
	}
	if err == io.EOF {
		err = nil
	}
	return got, err
}

// dtlsPair is a DTLS session between two sockets on loopback.
func dtlsPair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	var sockets [2]net.PacketConn
	for i := range sockets {
		var err error
		if sockets[i], err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	psk := dtls.WithPSK(func([]byte) ([]byte, error) { return []byte("sixteen byte key"), nil })
	hint := dtls.WithPSKIdentityHint([]byte("test"))
	suite := dtls.WithCipherSuites(dtls.TLS_PSK_WITH_AES_128_CCM_8)
	accepted := make(chan error, 1)
	go func() {
		conn, err := dtls.ServerWithOptions(sockets[1], sockets[0].LocalAddr(), psk, hint, suite)
		if err == nil {
			err = conn.HandshakeContext(t.Context())
		}
		server = conn
		accepted <- err
	}()
	conn, err := dtls.ClientWithOptions(sockets[0], sockets[1].LocalAddr(), psk, hint, suite)
	if err == nil {
		err = conn.HandshakeContext(t.Context())
	}
	if err := <-accepted; err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return conn, server
}
