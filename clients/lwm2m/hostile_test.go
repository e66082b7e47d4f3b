package lwm2m

import (
	"bytes"
	"net"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
)

// hello is a ClientHello of DTLS 1.2 as far as a server looks at it before the
// cookie, with a random value.
func hello(random byte) []byte {
	body := append([]byte{0xfe, 0xfd}, bytes.Repeat([]byte{random}, 32)...)
	body = append(body, 0, 0, 0, 2, 0xc0, 0xa8, 1, 0) // no session, no cookie, one suite, no compression
	n := byte(len(body))
	message := append([]byte{1, 0, 0, n, 0, 0, 0, 0, 0, 0, 0, n}, body...)
	return append([]byte{22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, byte(len(message))}, message...)
}

// warnings counts those that contain a text.
func (w *world) warnings(text string) (n int) {
	for _, e := range w.recorded(clients.EventWarning) {
		if strings.Contains(e.Detail, text) {
			n++
		}
	}
	return n
}

// A flood of ClientHellos takes bounded memory and one line in the log, and the
// server answers none of them with more than it got. A device is served again
// when the handshakes have timed out.
func TestHelloFlood(t *testing.T) {
	opt := DefaultOptions()
	opt.Security = PSK
	opt.DTLS.Platform.HandshakeTimeout = time.Minute
	inWorld(t, lan(), opt, func(w *world) {
		sent := w.cost(func() {
			for range 2 * maxGreeting {
				c := must(w.net.Device().DialContext(t.Context(), "udp", "203.0.113.10:5684"))
				defer c.Close()
				must(c.Write(hello(1)))
				time.Sleep(time.Millisecond)
			}
			pass(time.Second)
		})
		if sent.down > sent.up {
			t.Errorf("%d bytes were answered with %d", sent.up, sent.down)
		}
		if n := w.warnings("no place for"); n != 1 {
			t.Errorf("%d lines in the log", n)
		}
		if n := runtime.NumGoroutine(); n > 20*maxGreeting {
			t.Errorf("%d goroutines", n)
		}
		pass(2 * time.Minute)
		w.connect()
	})
}

// Garbage, and records of a version that no DTLS has, are ignored in one line; a
// replayed record changes nothing.
func TestGarbage(t *testing.T) {
	opt := DefaultOptions()
	opt.Security = PSK
	inWorld(t, lan(), opt, func(w *world) {
		w.connect()
		from := w.tap.mark()
		c := must(w.net.Device().DialContext(t.Context(), "udp", "203.0.113.10:5684"))
		defer c.Close()
		for _, d := range [][]byte{{0}, []byte("GET / HTTP/1.1\r\n\r\n"), bytes.Repeat([]byte{0xff}, 1200), {22, 0xfe, 0}} {
			must(c.Write(d))
		}
		pass(time.Second)
		if sent := w.tap.since(from); sent.packetsDown != 0 {
			t.Errorf("%d answers to garbage", sent.packetsDown)
		}
		if n := w.warnings("ignored a datagram"); n != 1 {
			t.Errorf("%d lines in the log", n)
		}
		w.check("report", w.session.Report(w.t.Context(), reading(1)))
	})
}

// A device's record that somebody sends again, from anywhere, is not taken for a
// new one (RFC 6347 section 4.1.2.6).
func TestReplay(t *testing.T) {
	opt := DefaultOptions()
	opt.Security = PSK
	inWorld(t, lan(), opt, func(w *world) {
		w.connect()
		from := w.tap.mark()
		w.check("report", w.session.Report(w.t.Context(), reading(1)))
		const headers = 20 + 8
		record := w.tap.log[from].ip[headers:]
		before := len(w.recorded(clients.EventReport))
		pc := must(w.net.Device().ListenPacket("udp", ":0"))
		defer pc.Close()
		for range 5 {
			must(pc.WriteTo(record, &net.UDPAddr{IP: net.IPv4(203, 0, 113, 10), Port: 5684}))
		}
		pass(time.Second)
		if n := len(w.recorded(clients.EventReport)); n != before {
			t.Errorf("%d reports, then %d", before, n)
		}
	})
}

// A peer that registers under ever more names takes bounded memory and one line
// in the log; who was registered before stays so.
func TestManyNames(t *testing.T) {
	opt := DefaultOptions()
	opt.Security = NoSec
	inWorld(t, lan(), opt, func(w *world) {
		w.connect()
		p := w.platform()
		for i := 1; i < maxPresent; i++ {
			if !p.registry.insert(&registration{endpoint: strconv.Itoa(i), lifetime: time.Hour}) {
				t.Fatalf("registration %d was refused", i)
			}
		}
		for i := range 3 {
			req := coap.NewRequest(codes.POST, "/rd", "lwm2m=1.1", "ep=more"+strconv.Itoa(i)).WithPayload(coap.LinkFormat, []byte(testLinks))
			if resp := p.server.answer(req, ""); resp.Code != codes.ServiceUnavailable {
				t.Errorf("answered %s", coap.CodeString(resp.Code))
			}
		}
		if n := w.warnings("no place for a registration"); n != 1 {
			t.Errorf("%d lines in the log", n)
		}
		w.check("report", w.session.Report(w.t.Context(), reading(1)))
		for i := range maxPresent {
			p.client(strconv.Itoa(i))
		}
		if p.client("one more") != nil || p.client(w.env.DeviceName()) == nil {
			t.Error("the application keeps more endpoints than the server")
		}
	})
}

// FuzzRegister sends arbitrary registrations and updates: answered with a code of
// class 2 or 4, and only what names an endpoint registers.
func FuzzRegister(f *testing.F) {
	f.Add("lwm2m=1.1", "ep=a", "lt=60", testLinks)
	f.Add("lwm2m=1.0", "ep=a", "b=UQ", "</>;rt=\"oma.lwm2m\";ct=11543,</1/0>")
	f.Add("lwm2m=1.2", "ep=", "Q", "</3/0/7>;dim=8")
	f.Fuzz(func(t *testing.T, q1, q2, q3, links string) {
		registered := 0
		g := newRegistry(0, content.V12, time.Minute, func(*registration) { registered++ }, func(*registration) {})
		defer g.close()
		resp := g.register(coap.NewRequest(codes.POST, "/rd", q1, q2, q3).WithPayload(coap.LinkFormat, []byte(links)), "")
		if class := resp.Code >> 5; class != 2 && class != 4 || (class == 2) != (registered == 1) || registered != len(g.byEndpoint) || g.byEndpoint[""] != nil {
			t.Fatalf("%s, %d registered", coap.CodeString(resp.Code), registered)
		}
		if class := g.update(coap.NewRequest(codes.POST, "/rd/0001", q1, q2, q3).WithPayload(coap.LinkFormat, []byte(links)), "").Code >> 5; class != 2 && class != 4 {
			t.Fatalf("update: class %d", class)
		}
	})
}

// FuzzSource reads arbitrary URIs of packages and accounts: what is read has an
// address and a port.
func FuzzSource(f *testing.F) {
	for _, uri := range []string{"coaps://203.0.113.10:5684/fw/00", "https://[2001:db8::1]/x?y", "coap+tcp://10.0.0.1", "ftp://10.0.0.1/"} {
		f.Add(uri)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		if src, err := parseSource(uri); err == nil && (!src.addr.IsValid() || src.addr.Port() == 0) {
			t.Fatalf("%q is at %v", uri, src.addr)
		}
	})
}
