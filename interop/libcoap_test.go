//go:build interop

package interop

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/clients/pki"
)

// libcoap is its client or server with one of its TLS libraries.
func libcoap(t *testing.T, name string) string {
	t.Helper()
	// Without an argument that it knows, it prints its version and ends.
	return program(t, "LIBCOAP", "libcoap3-bin", []string{"-?"}, name+"-openssl", name+"-gnutls")
}

// args are a libcoap program's arguments for a transport.
func (tr transport) args(creds *credentials, server bool) []string {
	switch {
	case tr == overUDP || tr == overTCP:
		return nil
	case tr.psk && server:
		return []string{"-k", pskKey, "-h", "libcoap"}
	case tr.psk:
		return []string{"-k", pskKey, "-u", pskIdentity}
	case server:
		return []string{"-c", creds.serverCert, "-j", creds.serverKey, "-C", creds.ca}
	}
	return []string{"-c", creds.deviceCert, "-j", creds.deviceKey, "-C", creds.ca}
}

// TestLibcoapClient has coap-client at our CoAP server.
func TestLibcoapClient(t *testing.T) {
	client := libcoap(t, "coap-client")
	creds := newCredentials(t, pki.Options{Key: pki.P256, Chain: 1})
	c := record(t, "libcoap's coap-client at our CoAP server")
	for _, tr := range []transport{overUDP, overPSK, overDTLS, overTCP, overTLS} {
		t.Run(tr.name, func(t *testing.T) {
			r := &resources{large: megabyte}
			serveCoAP(t, tr, creds, &c.keys, r)
			ask := func(t *testing.T, path string, args ...string) string {
				t.Helper()
				return strings.TrimSpace(run(t, 2*patience, client, append(append(tr.args(creds, false), args...), "-B", "60", tr.uri(path))...))
			}
			expect := func(t *testing.T, want, path string, args ...string) {
				t.Helper()
				if got := ask(t, path, args...); got != want {
					t.Errorf("coap-client printed %q, want %q", got, want)
				}
			}
			c.exchange(t, tr.name+": GET", func(t *testing.T) { expect(t, "hello", "/") })
			if !tr.stream {
				c.exchange(t, tr.name+": GET, non-confirmable", func(t *testing.T) { expect(t, "hello", "/", "-N") })
				c.exchange(t, tr.name+": separate response", func(t *testing.T) { expect(t, "at last", "/slow") })
			}
			c.exchange(t, tr.name+": 4.04", func(t *testing.T) { expect(t, "4.04", "/nothing") })
			c.exchange(t, tr.name+": observe, confirmable and not", func(t *testing.T) {
				got := ask(t, "/time", "-s", "2")
				for i := range 5 {
					if !strings.Contains(got, fmt.Sprint("tick ", i)) {
						t.Errorf("no tick %d in %q", i, got)
					}
				}
			})
			c.exchange(t, tr.name+": Block2, 1 MiB", func(t *testing.T) {
				out := filepath.Join(t.TempDir(), "out")
				ask(t, "/large", "-o", out, "-b", "1024")
				if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, megabyte) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			})
			c.exchange(t, tr.name+": Block1, 1 MiB, then DELETE", func(t *testing.T) {
				ask(t, "/store", "-m", "put", "-b", "1024", "-f", file(t, "in", megabyte))
				if got := r.holds(); !bytes.Equal(got, megabyte) {
					t.Errorf("stored %d bytes", len(got))
				}
				ask(t, "/store", "-m", "delete")
				if got := r.holds(); got != nil {
					t.Errorf("still %d bytes", len(got))
				}
			})
		})
	}
}

// TestLibcoapServer has our CoAP client at coap-server.
func TestLibcoapServer(t *testing.T) {
	server := libcoap(t, "coap-server")
	creds := newCredentials(t, pki.Options{Key: pki.P256, Chain: 1})
	c := record(t, "our CoAP client at libcoap's coap-server")
	for _, tr := range []transport{overUDP, overPSK, overDTLS, overTCP, overTLS} {
		t.Run(tr.name, func(t *testing.T) {
			startC(t, server, append(tr.args(creds, true), "-A", platformAddr.String(), "-d", "10")...)
			waitFor(t, tr)
			none := func(*coap.Request) {}
			c.exchange(t, tr.name+": GET", func(t *testing.T) { get(t, dialCoAP(t, tr, creds, &c.keys), "/", nil, none) })
			if !tr.stream {
				c.exchange(t, tr.name+": GET, non-confirmable", func(t *testing.T) {
					get(t, dialCoAP(t, tr, creds, &c.keys), "/", nil, func(r *coap.Request) { r.NonConfirmable = true })
				})
				c.exchange(t, tr.name+": ping", func(t *testing.T) { must(t, dialCoAP(t, tr, creds, &c.keys).Ping(within(t, patience))) })
			}
			c.exchange(t, tr.name+": separate response", func(t *testing.T) {
				get(t, dialCoAP(t, tr, creds, &c.keys), "/async", nil, func(r *coap.Request) { r.AddQuery("1") })
			})
			c.exchange(t, tr.name+": observe, then cancel", func(t *testing.T) { observeTime(t, dialCoAP(t, tr, creds, &c.keys)) })
			for _, size := range []int{1024, 64} {
				body := megabyte
				if size < 1024 {
					body = megabyte[:16<<10]
				}
				c.exchange(t, fmt.Sprintf("%s: Block1 and Block2 of %d, %d KiB each way", tr.name, size, len(body)>>10), func(t *testing.T) {
					putAndGet(t, dialCoAP(t, tr, creds, &c.keys), body, size)
				})
			}
		})
	}
}

// waitFor waits until a server answers.
func waitFor(t *testing.T, tr transport) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		c, err := deviceHost.DialContext(t.Context(), "tcp", fmt.Sprintf("%s:%d", platformAddr, tr.port))
		if err == nil { // coap-server listens on TCP as well
			c.Close()
			return
		}
	}
	t.Fatal("the server does not listen")
}

func observeTime(t *testing.T, conn *coap.Conn) {
	ctx := within(t, patience)
	news := make(chan *coap.Response, 16)
	o, resp, err := conn.Observe(ctx, coap.NewRequest(codes.GET, "/time"), func(r *coap.Response) { news <- r })
	must(t, err)
	if o == nil || resp.Code != codes.Content {
		t.Fatalf("observe: %v, %v", o, resp)
	}
	for range 3 {
		select {
		case r := <-news:
			if r.Code != codes.Content || len(r.Payload) == 0 {
				t.Errorf("notification %s %q", coap.CodeString(r.Code), r.Payload)
			}
		case <-ctx.Done():
			t.Fatal("no notification")
		}
	}
	if resp, err := o.Cancel(ctx); err != nil || resp.Code != codes.Content {
		t.Errorf("cancel: %v, %v", resp, err)
	}
}

// putAndGet uploads a body, reads it back and deletes it.
func putAndGet(t *testing.T, conn *coap.Conn, body []byte, size int) {
	ctx := within(t, 2*patience)
	u, err := conn.Upload(coap.NewRequest(codes.PUT, "/mine").WithPayload(coap.Octets, body), coap.UploadOptions{BlockSize: size})
	must(t, err)
	for done := false; !done; {
		b, err := u.Next(ctx)
		must(t, err)
		done = b.Last
	}
	if u.Response().Code != codes.Created {
		t.Errorf("PUT: %s", coap.CodeString(u.Response().Code))
	}
	d, err := conn.Download(coap.NewRequest(codes.GET, "/mine"), coap.DownloadOptions{BlockSize: size})
	must(t, err)
	var got []byte
	for done := false; !done; {
		b, err := d.Next(ctx)
		must(t, err)
		got, done = append(got, b.Data...), b.Last
	}
	if !bytes.Equal(got, body) {
		t.Errorf("read %d bytes back, not those written", len(got))
	}
	resp, err := conn.Do(ctx, coap.NewRequest(codes.DELETE, "/mine"))
	if err != nil || resp.Code != codes.Deleted {
		t.Errorf("DELETE: %v, %v", resp, err)
	}
}
