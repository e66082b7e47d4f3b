package dgram

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// hello is a ClientHello as far as the mux looks at it.
func hello(random byte) []byte {
	d := make([]byte, randomOffset+randomLength)
	d[0], d[1], d[2], d[recordHeader] = recordHandshake, 0xfe, 0xfd, clientHello
	d[randomOffset] = random
	return d
}

// application is a record of application data, with a connection ID if there
// is one.
func application(id string) []byte {
	d := make([]byte, recordCIDOffset, 64)
	d[0] = 23
	if id != "" {
		d[0] = recordCID
	}
	return append(append(d, id...), make([]byte, 10)...)
}

type muxWorld struct {
	*Mux
	accepted []*Peer
	dropped  int
}

func newMuxWorld(secure bool) *muxWorld {
	w := &muxWorld{Mux: NewMux(nil, secure)}
	w.Accepted = func(p *Peer) { w.accepted = append(w.accepted, p) }
	w.Drop = func(net.Addr, []byte) { w.dropped++ }
	return w
}

func from(s string) net.Addr { return net.UDPAddrFromAddrPort(netip.MustParseAddrPort(s)) }

func TestMuxByAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newMuxWorld(true)
		defer w.Mux.Close()
		w.route(application(""), from("10.0.0.1:1"))
		w.route([]byte{22}, from("10.0.0.1:1"))
		w.route(nil, from("10.0.0.1:1"))
		old := hello(1)
		old[2] = 0x00 // as some builds of mbedTLS begin
		w.route(old, from("10.0.0.1:1"))
		if len(w.accepted) != 0 || w.dropped != 3 {
			t.Fatalf("%d accepted, %d dropped", len(w.accepted), w.dropped)
		}
		w.route(hello(1), from("10.0.0.1:1"))
		w.route(hello(1), from("10.0.0.1:1")) // with the cookie, or again
		w.route(application(""), from("10.0.0.1:1"))
		w.route(hello(1), from("10.0.0.2:1"))
		if len(w.accepted) != 2 || len(w.accepted[0].queue) != 3 || len(w.accepted[1].queue) != 1 {
			t.Fatalf("%d accepted", len(w.accepted))
		}
		// Another random value is another association (RFC 6347 section 4.2.8).
		w.route(hello(2), from("10.0.0.1:1"))
		w.route(application(""), from("10.0.0.1:1"))
		if len(w.accepted) != 3 || len(w.accepted[2].queue) != 2 {
			t.Fatalf("%d accepted after a reboot", len(w.accepted))
		}
		w.accepted[0].Close() // it must not take the address from its successor
		w.route(application(""), from("10.0.0.1:1"))
		if len(w.accepted[2].queue) != 3 {
			t.Error("the old session's end took the new one with it")
		}
	})
}

func TestMuxByConnectionID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newMuxWorld(true)
		defer w.Mux.Close()
		w.route(hello(1), from("10.0.0.1:1"))
		p := w.accepted[0]
		if !w.identify(p, "abcdef") || w.identify(p, "abcdef") {
			t.Error("identify")
		}
		w.route(application("abcdef"), from("10.9.9.9:9"))
		if len(p.queue) != 2 || p.queue[1].from.String() != "10.9.9.9:9" {
			t.Errorf("after rebinding: %d datagrams", len(p.queue))
		}
		w.route(application("ghijkl"), from("10.0.0.1:1"))
		if w.dropped != 1 {
			t.Error("an unknown connection ID was routed")
		}
		p.Close()
		w.route(application("abcdef"), from("10.0.0.1:1"))
		if w.dropped != 2 || w.len() != 0 {
			t.Error("a closed peer is still there")
		}
	})
}

func TestMuxPlain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newMuxWorld(false)
		defer w.Mux.Close()
		w.route([]byte("x"), from("10.0.0.1:1"))
		for range 2 * maxQueued {
			w.route(hello(1), from("10.0.0.1:1"))
		}
		if len(w.accepted) != 1 || len(w.accepted[0].queue) != maxQueued {
			t.Errorf("%d accepted", len(w.accepted))
		}
	})
}

func TestMuxForgetsSilentPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newMuxWorld(false)
		defer w.Mux.Close()
		w.route([]byte("x"), from("10.0.0.1:1"))
		time.Sleep(maxIdle - time.Second)
		w.route([]byte("x"), from("10.0.0.1:1"))
		time.Sleep(maxIdle - time.Second)
		if w.len() != 1 {
			t.Error("forgotten although it was heard")
		}
		time.Sleep(2 * time.Second)
		if w.len() != 0 {
			t.Error("not forgotten")
		}
	})
}

func TestPeerDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newMuxWorld(false)
		w.route([]byte("x"), from("10.0.0.1:1"))
		p := w.accepted[0]
		b := make([]byte, 10)
		if n, addr, err := p.ReadFrom(b); n != 1 || addr.String() != "10.0.0.1:1" || err != nil {
			t.Errorf("%d, %v, %v", n, addr, err)
		}
		start := time.Now()
		p.SetReadDeadline(start.Add(time.Second))
		if _, err := p.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		p.SetReadDeadline(time.Time{})
		time.AfterFunc(time.Second, func() { p.Close() })
		if _, err := p.Read(b); !errors.Is(err, net.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
		if _, err := p.Write(b); !errors.Is(err, net.ErrClosed) {
			t.Errorf("write after close: %v", err)
		}
	})
}

func FuzzMux(f *testing.F) {
	f.Add(hello(1))
	f.Add(application("abcdef"))
	f.Fuzz(func(t *testing.T, d []byte) {
		synctest.Test(t, func(t *testing.T) {
			w := newMuxWorld(true)
			defer w.Mux.Close()
			w.route(hello(1), from("10.0.0.1:1"))
			w.identify(w.accepted[0], "abcdef")
			w.route(d, from("10.0.0.1:1"))
			w.route(d, from("10.0.0.2:1"))
			for _, p := range w.accepted[1:] {
				if d[0] != recordHandshake {
					t.Fatalf("%x began a session with %v", d, p.Addr)
				}
			}
		})
	})
}
