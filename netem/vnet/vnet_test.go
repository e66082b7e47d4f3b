package vnet

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/thinlink/thinlink/internal/units"
	"github.com/thinlink/thinlink/netem"
)

// The addresses of the tests' hosts, by family.
var (
	device4, platform4 = netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.1.1")
	device6, platform6 = netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("2001:db8:1::1")
)

// slow is a link of 26 kbit/s and 400 ms each way without limits.
func slow() netem.Config { return symmetric(26_000, 400*time.Millisecond) }

// perfect has a delay of 1 ms each way and nothing else.
func perfect() netem.Config { return symmetric(0, time.Millisecond) }

func symmetric(rate int, delay time.Duration) netem.Config {
	d := netem.DirectionConfig{Rate: units.BitRate(rate), Delay: delay}
	return netem.Config{MTU: 1358, Up: d, Down: d}
}

func config(link netem.Config, six bool) Config {
	cfg := Config{Device: HostConfig{Addr: device4}, Platform: HostConfig{Addr: platform4}, Link: link, Seed: 1}
	if six {
		cfg.Device.Addr, cfg.Platform.Addr = device6, platform6
	}
	return cfg
}

// inNet runs f in a bubble of virtual time with a network, over IPv4 and IPv6.
func inNet(t *testing.T, link netem.Config, f func(t *testing.T, n *Network)) {
	t.Helper()
	for name, six := range map[string]bool{"ipv4": false, "ipv6": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, config(link, six), f)
		})
	}
}

// inBubble runs f with a network and fails if a goroutine outlives it.
func inBubble(t *testing.T, cfg Config, f func(t *testing.T, n *Network)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := must(New(cfg))
		defer n.Close()
		f(t, n)
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// at is an address of a host.
func at(h *Host, port string) string { return net.JoinHostPort(h.Addr().String(), port) }

// connect makes a TCP connection from device to platform.
func connect(t *testing.T, n *Network) (dev, plat net.Conn) {
	t.Helper()
	l, err := n.Platform().Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dev, err = n.Device().DialContext(context.Background(), "tcp", at(n.Platform(), "80"))
	if err != nil {
		t.Fatal(err)
	}
	plat, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return dev, plat
}

// wantErrno checks that err is an *net.OpError as package net makes them.
func wantErrno(t *testing.T, what string, err error, want error) {
	t.Helper()
	var op *net.OpError
	if !errors.As(err, &op) || !errors.Is(err, want) {
		t.Errorf("%s: %v (%T), want an OpError with %v", what, err, err, want)
	}
}

// elapsed checks that exactly that much virtual time has passed.
func elapsed(t *testing.T, since time.Time, want time.Duration) {
	t.Helper()
	if got := time.Since(since); got != want {
		t.Errorf("took %v, want %v", got, want)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*Config){
		"no device address":   func(c *Config) { c.Device.Addr = netip.Addr{} },
		"multicast":           func(c *Config) { c.Platform.Addr = netip.MustParseAddr("224.0.0.1") },
		"unspecified":         func(c *Config) { c.Platform.Addr = netip.IPv4Unspecified() },
		"zone":                func(c *Config) { c.Device.Addr = netip.MustParseAddr("fe80::1%eth0") },
		"IPv4-mapped":         func(c *Config) { c.Device.Addr = netip.MustParseAddr("::ffff:10.0.0.2") },
		"same address":        func(c *Config) { c.Device.Addr = c.Platform.Addr },
		"two families":        func(c *Config) { c.Device.Addr = device6 },
		"IPv4 MTU":            func(c *Config) { c.Link.MTU = 67 },
		"MTU above a packet":  func(c *Config) { c.Link.MTU = 65536 },
		"impossible link":     func(c *Config) { c.Link.Up.Delay = -1 },
		"IPv6 MTU below 1280": func(c *Config) { *c = config(perfect(), true); c.Link.MTU = 1279 },
	} {
		cfg := config(perfect(), false)
		spoil(&cfg)
		if n, err := New(cfg); err == nil {
			n.Close()
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestAddresses(t *testing.T) {
	inNet(t, perfect(), func(t *testing.T, n *Network) {
		h := n.Platform()
		wantErrno(t, "elsewhere", second(h.Listen("tcp", "192.0.2.1:80")), syscall.EADDRNOTAVAIL)
		wantErrno(t, "dial elsewhere", second(h.DialContext(t.Context(), "tcp", "192.0.2.1:80")), syscall.ENETUNREACH)
		wantErrno(t, "send elsewhere", second(h.DialContext(t.Context(), "udp", "192.0.2.1:80")), syscall.ENETUNREACH)
		var addr *net.AddrError
		for _, bad := range []string{"", "80", "host:80", ":http", ":65536", ":-1", "1.2.3:80"} {
			if _, err := h.Listen("tcp", bad); !errors.As(err, &addr) {
				t.Errorf("address %q: %v", bad, err)
			}
		}
		var unknown net.UnknownNetworkError
		for _, bad := range []string{"", "sctp", "unix", "udp", "ip4:icmp", "tcp5"} {
			if _, err := h.Listen(bad, ":80"); !errors.As(err, &unknown) && !errors.As(err, &addr) {
				t.Errorf("listen on network %q: %v", bad, err)
			}
		}
		other, own := "tcp6", "tcp4"
		if h.Addr().Is6() {
			other, own = own, other
		}
		if _, err := h.Listen(other, ":80"); !errors.As(err, &addr) {
			t.Errorf("network of the other family: %v", err)
		}
		for _, good := range []string{"0.0.0.0:0", "[::]:0", ":0", at(h, "0")} {
			l, err := h.Listen(own, good)
			if err != nil {
				t.Errorf("listen on %q: %v", good, err)
				continue
			}
			if l.Addr().Network() != "tcp" || l.Addr().(*net.TCPAddr).AddrPort().Addr() != h.Addr() {
				t.Errorf("listening on %q shows %v", good, l.Addr())
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }

// TestEphemeralPorts: they follow from the order of calls alone, and a busy
// one is left out.
func TestEphemeralPorts(t *testing.T) {
	inNet(t, perfect(), func(t *testing.T, n *Network) {
		h := n.Device()
		must(h.ListenPacket("udp", ":49153"))
		for _, want := range []int{49152, 49154, 49155} {
			c := must(h.ListenPacket("udp", ":0"))
			if got := c.LocalAddr().(*net.UDPAddr).Port; got != want {
				t.Errorf("port %d, want %d", got, want)
			}
		}
		wantErrno(t, "busy port", second(h.ListenPacket("udp", ":49152")), syscall.EADDRINUSE)
		must(h.Listen("tcp", ":49152")).Close()
		must(h.Listen("tcp", ":49152"))
		wantErrno(t, "busy port", second(h.Listen("tcp", ":49152")), syscall.EADDRINUSE)
	})
}

func TestPortsRunOut(t *testing.T) {
	inBubble(t, config(perfect(), false), func(t *testing.T, n *Network) {
		h := n.Device()
		for range 1<<16 - firstPort {
			must(h.ListenPacket("udp", ":0"))
		}
		wantErrno(t, "one more", second(h.ListenPacket("udp", ":0")), syscall.EADDRINUSE)
	})
}

// TestNetworkClose: every call that waits ends, and later ones fail.
func TestNetworkClose(t *testing.T) {
	inNet(t, slow(), func(t *testing.T, n *Network) {
		dev, _ := connect(t, n)
		l := must(n.Platform().Listen("tcp", ":81"))
		p := must(n.Platform().ListenPacket("udp", ":81"))
		errs := make(chan error)
		calls := []func() error{
			func() error { return second(dev.Read(make([]byte, 1))) },
			func() error { return second(io.Copy(dev, zeros{})) },
			func() error { return second(l.Accept()) },
			func() error { _, _, err := p.ReadFrom(make([]byte, 1)); return err },
			func() error { return second(n.Device().DialContext(t.Context(), "tcp", at(n.Platform(), "81"))) },
		}
		for _, call := range calls {
			go func() { errs <- call() }()
		}
		time.Sleep(500 * time.Millisecond) // less than a round trip: the last call still waits
		n.Close()
		for range calls {
			wantErrno(t, "blocked call", <-errs, net.ErrClosed)
		}
		if err := n.Close(); err != nil {
			t.Errorf("closing again: %v", err)
		}
		if _, err := n.Device().DialContext(t.Context(), "tcp", at(n.Platform(), "80")); err == nil {
			t.Error("dialled over a closed network")
		}
		wantErrno(t, "listening", second(n.Device().Listen("tcp", ":1")), syscall.ENETDOWN)
		wantErrno(t, "reading", second(dev.Read(make([]byte, 1))), net.ErrClosed)
		n.Rebind()
		n.Device().Reset()
		if err := n.Outage(time.Second); err != nil {
			t.Error(err)
		}
	})
}

// zeros reads as zero bytes without end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// TestOutage: what is sent during an outage waits for its end.
func TestOutage(t *testing.T) {
	inNet(t, perfect(), func(t *testing.T, n *Network) {
		if err := n.Outage(0); err == nil {
			t.Error("an outage without a duration was accepted")
		}
		server := must(n.Platform().ListenPacket("udp", ":9"))
		client := must(n.Device().DialContext(t.Context(), "udp", at(n.Platform(), "9")))
		if err := n.Outage(90 * time.Second); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		must(client.Write([]byte("late")))
		b := make([]byte, 10)
		k, _, err := server.ReadFrom(b)
		if err != nil || !bytes.Equal(b[:k], []byte("late")) {
			t.Fatalf("%q, %v", b[:k], err)
		}
		elapsed(t, start, 90*time.Second+time.Millisecond)
	})
}

// TestReset: a reboot says nothing to the peer, wakes who waits, and leaves a
// host that works.
func TestReset(t *testing.T) {
	tap := &recorder{}
	cfg := config(perfect(), false)
	cfg.Tap = tap
	inBubble(t, cfg, func(t *testing.T, n *Network) {
		dev, plat := connect(t, n)
		must(n.Device().Listen("tcp", ":5000"))
		must(n.Device().ListenPacket("udp", ":5000"))
		go func() {
			time.Sleep(time.Second)
			n.Device().Reset()
		}()
		wantErrno(t, "blocked read", second(dev.Read(make([]byte, 1))), net.ErrClosed)
		sent := len(tap.packets)
		time.Sleep(time.Second)
		if len(tap.packets) != sent {
			t.Errorf("the reset sent %d packets", len(tap.packets)-sent)
		}
		must(n.Device().Listen("tcp", ":5000"))
		must(n.Device().ListenPacket("udp", ":5000"))
		wantErrno(t, "write after reset", second(dev.Write([]byte("x"))), net.ErrClosed)

		// The platform finds out when it sends.
		must(plat.Write([]byte("are you there?")))
		wantErrno(t, "the peer's read", second(plat.Read(make([]byte, 1))), syscall.ECONNRESET)
		again, _ := connect(t, n)
		if dev.LocalAddr().String() == again.LocalAddr().String() {
			t.Errorf("the port %v was used again", again.LocalAddr())
		}
	})
}

// recorder is a Tap that keeps everything.
type recorder struct{ packets []packet }

type packet struct {
	sent, done time.Time
	dir        netem.Direction
	ip         []byte
	lost       netem.Drop
}

func (r *recorder) Sent(now time.Time, id uint64, dir netem.Direction, ip []byte) {
	if id != uint64(len(r.packets)+1) {
		panic("packets out of order")
	}
	r.packets = append(r.packets, packet{sent: now, dir: dir, ip: ip})
}

func (r *recorder) Delivered(now time.Time, id uint64) { r.packets[id-1].done = now }

func (r *recorder) Dropped(now time.Time, id uint64, why netem.Drop) {
	p := &r.packets[id-1]
	p.done, p.lost = now, why
}

func (r *recorder) Radio(time.Time, netem.RadioState) {}
