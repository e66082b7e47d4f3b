//go:build interop

package interop

import (
	"bytes"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/clients/pki"
)

// TestOwnCoAP has our CoAP client at our CoAP server, exchange by exchange what
// libcoap's does there.
func TestOwnCoAP(t *testing.T) {
	creds := newCredentials(t, pki.Options{Key: pki.P256, Chain: 1})
	c := record(t, "our CoAP client at our CoAP server")
	for _, tr := range []transport{overUDP, overPSK, overDTLS, overTCP, overTLS} {
		t.Run(tr.name, func(t *testing.T) { ownCoAP(t, c, creds, tr) })
	}
}

func ownCoAP(t *testing.T, c *capture, creds *credentials, tr transport) {
	r := &resources{large: megabyte}
	serveCoAP(t, tr, creds, &c.keys, r)
	// exchange has a session of its own, which ends with it.
	exchange := func(name string, f func(*testing.T, *coap.Conn)) {
		c.exchange(t, tr.name+": "+name, func(t *testing.T) {
			t.Run("session", func(t *testing.T) { f(t, dialCoAP(t, tr, creds, &c.keys)) })
		})
	}
	confirmable := func(*coap.Request) {}
	exchange("GET", func(t *testing.T, conn *coap.Conn) { get(t, conn, "/", []byte("hello"), confirmable) })
	if !tr.stream {
		exchange("GET, non-confirmable", func(t *testing.T, conn *coap.Conn) {
			get(t, conn, "/", []byte("hello"), func(r *coap.Request) { r.NonConfirmable = true })
		})
		exchange("separate response", func(t *testing.T, conn *coap.Conn) { get(t, conn, "/slow", []byte("at last"), confirmable) })
	}
	exchange("4.04", func(t *testing.T, conn *coap.Conn) {
		resp, err := conn.Do(within(t, patience), coap.NewRequest(codes.GET, "/nothing"))
		must(t, err)
		if resp.Code != codes.NotFound {
			t.Errorf("%s", coap.CodeString(resp.Code))
		}
	})
	exchange("observe, confirmable and not", watchTime)
	exchange("Block2, 1 MiB", func(t *testing.T, conn *coap.Conn) { get(t, conn, "/large", megabyte, confirmable) })
	exchange("Block1, 1 MiB, then DELETE", func(t *testing.T, conn *coap.Conn) {
		for _, step := range []struct {
			req  *coap.Request
			want codes.Code
			body []byte
		}{
			{coap.NewRequest(codes.PUT, "/store").WithPayload(coap.Octets, megabyte), codes.Changed, megabyte},
			{coap.NewRequest(codes.DELETE, "/store"), codes.Deleted, nil},
		} {
			resp, err := conn.Do(within(t, 2*patience), step.req)
			must(t, err)
			if got := r.holds(); resp.Code != step.want || !bytes.Equal(got, step.body) {
				t.Errorf("%s, stored %d bytes", coap.CodeString(resp.Code), len(got))
			}
		}
	})
}

// watchTime observes for two seconds, then cancels.
func watchTime(t *testing.T, conn *coap.Conn) {
	var ticks atomic.Int64
	o, _, err := conn.Observe(within(t, patience), coap.NewRequest(codes.GET, "/time"), func(r *coap.Response) {
		if strings.HasPrefix(string(r.Payload), "tick ") {
			ticks.Add(1)
		}
	})
	must(t, err)
	if o == nil {
		t.Fatal("not observed")
	}
	time.Sleep(2 * time.Second)
	if n := ticks.Load(); n < 5 {
		t.Errorf("%d notifications", n)
	}
	_, err = o.Cancel(within(t, patience))
	must(t, err)
}
