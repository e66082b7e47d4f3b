package tun

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/thinlink/thinlink/netem"
)

var (
	device   = []netip.Addr{netip.MustParseAddr("100.64.0.2"), netip.MustParseAddr("fd00:6c::2")}
	platform = []netip.Addr{netip.MustParseAddr("203.0.113.10"), netip.MustParseAddr("2001:db8::10")}
	outside  = netip.MustParseAddr("10.64.0.1")
)

// newBed makes a bed, or skips where this is not allowed.
func newBed(t *testing.T, cfg Config) *Bed {
	t.Helper()
	cfg.Device.Addrs, cfg.Platform.Addrs = device, platform
	bed, err := NewBed(cfg)
	var missing *MissingError
	if errors.As(err, &missing) {
		if os.Getenv("THINLINK_REQUIRE_TUN") == "1" {
			t.Fatalf("THINLINK_REQUIRE_TUN=1, but %v", err)
		}
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bed.Close() })
	return bed
}

// counts is a tap that counts.
type counts struct {
	mu      sync.Mutex
	sent    [2]int
	dropped int
}

func (c *counts) Sent(_ time.Time, _ uint64, dir netem.Direction, _ []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent[dir]++
}
func (c *counts) Delivered(time.Time, uint64) {}
func (c *counts) Dropped(time.Time, uint64, netem.Drop) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropped++
}
func (c *counts) total() [2]int                     { c.mu.Lock(); defer c.mu.Unlock(); return c.sent }
func (c *counts) Radio(time.Time, netem.RadioState) {}

// TestTransfer sends 100 kB each way by TCP over either family: what arrives is
// what was sent, no sooner than the link allows, and nothing but the two hosts'
// packets crossed it.
func TestTransfer(t *testing.T) {
	var link netem.Config
	link.MTU = 1358
	for _, dir := range []*netem.DirectionConfig{&link.Up, &link.Down} {
		dir.Rate, dir.Delay = 2_000_000, 20*time.Millisecond
	}
	for family, addr := range map[string]netip.Addr{"IPv4": platform[0], "IPv6": platform[1]} {
		t.Run(family, func(t *testing.T) {
			tap := new(counts)
			bed := newBed(t, Config{Link: link, Tap: tap})
			time.Sleep(50 * time.Millisecond)
			if sent := tap.total(); sent != [2]int{} {
				t.Errorf("%v packets before anybody spoke", sent)
			}
			l, err := bed.Platform().Listen("tcp", netip.AddrPortFrom(addr, 4000).String())
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() { // an echo server
				c, err := l.Accept()
				if err == nil {
					io.Copy(c, c)
					c.Close()
				}
			}()
			start := time.Now()
			c, err := bed.Device().DialContext(t.Context(), "tcp", netip.AddrPortFrom(addr, 4000).String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			data := bytes.Repeat([]byte("thinlink"), 12_500)
			go func() {
				c.Write(data)
				c.(*net.TCPConn).CloseWrite()
			}()
			got, err := io.ReadAll(c)
			if err != nil || !bytes.Equal(got, data) {
				t.Fatalf("%d of %d bytes came back, %v", len(got), len(data), err)
			}
			// 100 kB at 2 Mbit/s take 0.4 s, and three times 40 ms.
			if took := time.Since(start); took < 500*time.Millisecond {
				t.Errorf("came back after %v", took)
			}
		})
	}
}

// TestOutage loses what is sent in an outage.
func TestOutage(t *testing.T) {
	tap := new(counts)
	bed := newBed(t, Config{Tap: tap, Link: netem.Config{OutageLose: true}})
	if err := bed.Outage(time.Hour); err != nil {
		t.Fatal(err)
	}
	c, err := bed.Device().DialContext(t.Context(), "udp", "203.0.113.10:9")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write([]byte("lost"))
	waitFor(t, "a drop", func() bool { tap.mu.Lock(); defer tap.mu.Unlock(); return tap.dropped == 1 })
	if err := bed.Outage(0); err == nil {
		t.Error("an outage of no time was accepted")
	}
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no %s within 20 s", what)
		}
	}
}

// gateTo lets the device reach this machine's loopback at address outside.
func gateTo() *Gate {
	return &Gate{Outside: func(to netip.AddrPort) (netip.AddrPort, bool) {
		return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), to.Port()), to.Addr() == outside
	}}
}

// TestGateTCP reaches a server on this machine's loopback; a port on which
// nobody listens, and an address that is not behind the gate, refuse.
func TestGateTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				io.WriteString(c, "hello ") // before the caller has said anything
				io.Copy(c, c)
				c.Close()
			}()
		}
	}()
	bed := newBed(t, Config{Gate: gateTo()})
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	for range 3 {
		c, err := bed.Device().DialContext(t.Context(), "tcp", netip.AddrPortFrom(outside, port).String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "world")
		c.(*net.TCPConn).CloseWrite()
		got, err := io.ReadAll(c)
		if string(got) != "hello world" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		c.Close()
	}
	for name, to := range map[string]netip.AddrPort{
		"nobody listens": netip.AddrPortFrom(outside, 1), "closed": netip.MustParseAddrPort("198.51.100.7:80"),
	} {
		if c, err := bed.Device().DialContext(t.Context(), "tcp", to.String()); err == nil {
			c.Close()
			t.Errorf("%s: connected to %v", name, to)
		} else if !strings.Contains(err.Error(), "refused") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestGateUDP has a conversation of datagrams with a server on the loopback, by
// two callers that do not see each other's answers.
func TestGateUDP(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	go func() {
		buf := make([]byte, 100)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			pc.WriteTo(append([]byte("re: "), buf[:n]...), from)
		}
	}()
	bed := newBed(t, Config{Gate: gateTo()})
	to := netip.AddrPortFrom(outside, uint16(pc.LocalAddr().(*net.UDPAddr).Port)).String()
	var callers [2]net.Conn
	for i := range callers {
		if callers[i], err = bed.Device().DialContext(t.Context(), "udp", to); err != nil {
			t.Fatal(err)
		}
		defer callers[i].Close()
	}
	for i, c := range callers {
		io.WriteString(c, "hello "+string(rune('a'+i)))
	}
	for i, c := range callers {
		buf := make([]byte, 100)
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		n, err := c.Read(buf)
		if want := "re: hello " + string(rune('a'+i)); err != nil || string(buf[:n]) != want {
			t.Errorf("%q, %v: want %q", buf[:n], err, want)
		}
	}
}

// TestProgram runs a program in the device's namespace: it sees that host's
// addresses and nothing of this machine's.
func TestProgram(t *testing.T) {
	bed := newBed(t, Config{})
	var out []byte
	err := bed.InDevice(func() (err error) {
		out, err = exec.CommandContext(context.Background(), "cat", "/proc/self/net/dev").Output()
		return err
	})
	if err != nil || !strings.Contains(string(out), deviceName) || strings.Contains(string(out), "eth0") {
		t.Errorf("%v\n%s", err, out)
	}
}
