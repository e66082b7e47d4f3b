//go:build interop

package interop

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/thinlink/thinlink/clients/coap"
)

// TestAiocoapClient has aiocoap's client at our CoAP server.
func TestAiocoapClient(t *testing.T) {
	python := python(t, "AIOCOAP", "aiocoap")
	c := record(t, "aiocoap's client at our CoAP server")
	body := file(t, "body", megabyte[:64<<10])
	for _, tr := range []transport{overUDP, overTCP} {
		c.exchange(t, tr.name+": GET, 4.04, Block2 of 1 MiB, Block1 of 64 KiB, observe", func(t *testing.T) {
			r := &resources{large: megabyte}
			serveCoAP(t, tr, nil, &c.keys, r)
			out := run(t, 2*patience, python, "python/aiocoap_peer.py", "ask", tr.uri(""), body)
			for _, want := range []string{"hello hello", "missing 4.04", fmt.Sprintf("large %x", sha256.Sum256(megabyte)), "stored 2.04", "observed tick 0", "observed tick 4"} {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in what aiocoap printed:\n%s", want, out)
				}
			}
			if len(r.holds()) != 64<<10 {
				t.Errorf("stored %d bytes", len(r.holds()))
			}
		})
	}
}

// TestAiocoapServer has our CoAP client at aiocoap's server.
func TestAiocoapServer(t *testing.T) {
	python := python(t, "AIOCOAP", "aiocoap")
	c := record(t, "our CoAP client at aiocoap's server")
	p := start(t, python, "python/aiocoap_peer.py", "serve", platformAddr.String(), file(t, "large", megabyte))
	p.expect(t, "(?m)^ready$", patience)
	none := func(*coap.Request) {}
	for _, tr := range []transport{overUDP, overTCP} {
		c.exchange(t, tr.name+": Block2, 1 MiB", func(t *testing.T) { get(t, dialCoAP(t, tr, nil, &c.keys), "/large", megabyte, none) })
		c.exchange(t, tr.name+": Block1, 1 MiB", func(t *testing.T) {
			conn := dialCoAP(t, tr, nil, &c.keys)
			resp, err := conn.Do(within(t, patience), coap.NewRequest(codes.PUT, "/store").WithPayload(coap.Octets, megabyte))
			must(t, err)
			if resp.Code != codes.Changed {
				t.Errorf("PUT: %s", coap.CodeString(resp.Code))
			}
			p.expect(t, fmt.Sprintf("stored %x", sha256.Sum256(megabyte)), patience)
		})
		c.exchange(t, tr.name+": separate response", func(t *testing.T) {
			get(t, dialCoAP(t, tr, nil, &c.keys), "/slow", []byte("at last"), none)
		})
		c.exchange(t, tr.name+": observe, then cancel", func(t *testing.T) { observeTime(t, dialCoAP(t, tr, nil, &c.keys)) })
	}
}
