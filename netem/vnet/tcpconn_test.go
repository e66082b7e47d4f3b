package vnet

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/thinlink/thinlink/netem/vnet/tcp"
)

func TestTCPEcho(t *testing.T) {
	inNet(t, perfect(), func(t *testing.T, n *Network) {
		start := time.Now()
		dev, plat := connect(t, n)
		elapsed(t, start, 3*time.Millisecond) // three packets: the platform knows last
		if dev.LocalAddr().String() != plat.RemoteAddr().String() || dev.RemoteAddr().String() != plat.LocalAddr().String() {
			t.Errorf("%v - %v, %v - %v", dev.LocalAddr(), dev.RemoteAddr(), plat.LocalAddr(), plat.RemoteAddr())
		}
		must(dev.Write([]byte("hello")))
		b := make([]byte, 9)
		k := must(plat.Read(b))
		must(plat.Write(b[:k]))
		if k := must(dev.Read(b)); string(b[:k]) != "hello" {
			t.Errorf("echo %q", b[:k])
		}
		if k, err := dev.Read(nil); k != 0 || err != nil {
			t.Errorf("empty read: %d, %v", k, err)
		}
		if s := dev.(interface{ Stats() tcp.Stats }).Stats(); s.BytesReceived != 5 || s.SRTT <= 0 {
			t.Errorf("statistics %+v", s)
		}
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
		if _, err := plat.Read(b); err != io.EOF {
			t.Errorf("at the end: %v, want a bare io.EOF", err)
		}
		wantErrno(t, "closing again", dev.Close(), net.ErrClosed)
		wantErrno(t, "read", second(dev.Read(b)), net.ErrClosed)
		wantErrno(t, "write", second(dev.Write(b)), net.ErrClosed)
		wantErrno(t, "deadline", dev.SetDeadline(time.Time{}), net.ErrClosed)
		plat.Close()
		time.Sleep(3 * time.Minute) // TIME-WAIT is over
		wantIdle(t, n.Device())
		wantIdle(t, n.Platform())
	})
}

// wantIdle checks that nothing is left of a host's sockets.
func wantIdle(t *testing.T, h *Host) {
	t.Helper()
	h.net.lock()
	defer h.net.unlock()
	if left := len(h.open) + len(h.conns) + len(h.tcpPorts) + len(h.listeners) + len(h.udp) + len(h.raw); left != 0 {
		t.Errorf("left over: %+v, ports %v", h.open, h.tcpPorts)
	}
	if len(h.net.alarms) != 0 {
		t.Errorf("%d alarms are set", len(h.net.alarms))
	}
}

func TestHalfClose(t *testing.T) {
	inNet(t, perfect(), func(t *testing.T, n *Network) {
		dev, plat := connect(t, n)
		must(dev.Write([]byte("request")))
		if err := dev.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if b := must(io.ReadAll(plat)); string(b) != "request" {
			t.Errorf("request %q", b)
		}
		wantErrno(t, "write after CloseWrite", second(dev.Write([]byte("x"))), syscall.EPIPE)
		must(plat.Write([]byte("response")))
		b := make([]byte, 4)
		must(io.ReadFull(dev, b))
		go func() {
			time.Sleep(time.Second)
			dev.(interface{ CloseRead() error }).CloseRead()
		}()
		if rest, err := io.ReadAll(dev); string(rest) != "onse" || err != nil {
			t.Errorf("rest %q, %v", rest, err)
		}
		dev.Close()
		plat.Close()
		wantErrno(t, "CloseRead", dev.(interface{ CloseRead() error }).CloseRead(), net.ErrClosed)
		wantErrno(t, "CloseWrite", dev.(interface{ CloseWrite() error }).CloseWrite(), net.ErrClosed)
	})
}

func TestTCPRefused(t *testing.T) {
	inNet(t, perfect(), func(t *testing.T, n *Network) {
		start := time.Now()
		_, err := n.Device().DialContext(t.Context(), "tcp", at(n.Platform(), "81"))
		wantErrno(t, "dial", err, syscall.ECONNREFUSED)
		elapsed(t, start, 2*time.Millisecond)
		wantIdle(t, n.Device())
	})
}

// TestPeerReset: closing with unread data resets, as Linux does.
func TestPeerReset(t *testing.T) {
	inNet(t, perfect(), func(t *testing.T, n *Network) {
		dev, plat := connect(t, n)
		must(dev.Write([]byte("nobody reads this")))
		time.Sleep(time.Second)
		plat.Close()
		wantErrno(t, "read", second(dev.Read(make([]byte, 1))), syscall.ECONNRESET)
		if _, err := dev.Write([]byte("x")); err == nil {
			t.Error("write after a reset succeeded")
		}
	})
}

func TestDialContext(t *testing.T) {
	inNet(t, slow(), func(t *testing.T, n *Network) {
		if err := n.Outage(time.Hour); err != nil {
			t.Fatal(err)
		}
		dial := func(ctx context.Context) error {
			return second(n.Device().DialContext(ctx, "tcp", at(n.Platform(), "80")))
		}
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		err := dial(ctx)
		wantErrno(t, "deadline", err, context.DeadlineExceeded)
		var ne net.Error
		if !errors.As(err, &ne) || !ne.Timeout() {
			t.Errorf("%v is no time-out", err)
		}
		elapsed(t, start, 10*time.Second)
		wantErrno(t, "at once", dial(ctx), context.DeadlineExceeded)

		ctx, cancel = context.WithCancel(t.Context())
		go func() {
			time.Sleep(5 * time.Second)
			cancel()
		}()
		wantErrno(t, "cancelled", dial(ctx), context.Canceled)
		elapsed(t, start, 15*time.Second)
		wantIdle(t, n.Device())
		// Linux's six retransmissions take 127 s, rounded up by its timer wheel.
		wantErrno(t, "no answer", dial(t.Context()), syscall.ETIMEDOUT)
		if d := time.Since(start); d < 142*time.Second || d > 150*time.Second {
			t.Errorf("gave up after %v", d)
		}
	})
}

// TestBacklog: a full listener drops requests, and their retransmissions get
// in when there is room.
func TestBacklog(t *testing.T) {
	cfg := config(perfect(), false)
	cfg.Platform.Backlog = 2
	inBubble(t, cfg, func(t *testing.T, n *Network) {
		l := must(n.Platform().Listen("tcp", ":80"))
		start := time.Now()
		dialled := make(chan time.Duration)
		for range 3 {
			go func() {
				must(n.Device().DialContext(t.Context(), "tcp", at(n.Platform(), "80")))
				dialled <- time.Since(start)
			}()
			synctest.Wait()
		}
		for range 2 {
			if d := <-dialled; d != 2*time.Millisecond {
				t.Errorf("within the backlog: %v", d)
			}
		}
		time.Sleep(100 * time.Millisecond)
		must(l.Accept())
		if d := <-dialled; d < time.Second || d > 1100*time.Millisecond {
			t.Errorf("beyond the backlog: %v, want the SYN's first time-out", d)
		}
		l.(interface{ SetDeadline(time.Time) error }).SetDeadline(time.Now().Add(time.Second))
		must(l.Accept())
		must(l.Accept())
		wantErrno(t, "deadline", second(l.Accept()), os.ErrDeadlineExceeded)
	})
}

// TestListenerClose resets what nobody accepted.
func TestListenerClose(t *testing.T) {
	inNet(t, perfect(), func(t *testing.T, n *Network) {
		l := must(n.Platform().Listen("tcp", ":80"))
		waiting := must(n.Device().DialContext(t.Context(), "tcp", at(n.Platform(), "80")))
		time.Sleep(time.Second)
		half := make(chan error)
		go func() {
			c, err := n.Device().DialContext(t.Context(), "tcp", at(n.Platform(), "80"))
			if err == nil {
				err = second(c.Read(make([]byte, 1)))
			}
			half <- err
		}()
		time.Sleep(1500 * time.Microsecond) // its SYN has arrived
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		wantErrno(t, "half open", <-half, syscall.ECONNRESET)
		wantErrno(t, "not accepted", second(waiting.Read(make([]byte, 1))), syscall.ECONNRESET)
		wantErrno(t, "accept", second(l.Accept()), net.ErrClosed)
		wantErrno(t, "closing again", l.Close(), net.ErrClosed)
		wantIdle(t, n.Platform())
	})
}

// TestConcurrentWrites: writes of several goroutines do not mix, although each
// fills the send buffer many times.
func TestConcurrentWrites(t *testing.T) {
	inNet(t, perfect(), func(t *testing.T, n *Network) {
		dev, plat := connect(t, n)
		const size, writers = 300_000, 3
		done := make(chan error)
		for i := range writers {
			go func() { done <- second(plat.Write(bytes.Repeat([]byte{byte(i)}, size))) }()
		}
		b := make([]byte, size)
		seen := map[byte]bool{}
		for range writers {
			must(io.ReadFull(dev, b))
			if seen[b[0]] || bytes.Count(b, b[:1]) != size {
				t.Errorf("writes of several goroutines are mixed")
			}
			seen[b[0]] = true
		}
		for range writers {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

// TestWriteDeadline: a write that the peer does not read ends in time and says
// how much it took.
func TestWriteDeadline(t *testing.T) {
	inNet(t, perfect(), func(t *testing.T, n *Network) {
		dev, plat := connect(t, n)
		start := time.Now()
		dev.SetWriteDeadline(start.Add(time.Minute))
		k, err := dev.Write(make([]byte, 64<<20))
		wantErrno(t, "write", err, os.ErrDeadlineExceeded)
		elapsed(t, start, time.Minute)
		go dev.Close()
		if got := must(io.Copy(io.Discard, plat)); got != int64(k) {
			t.Errorf("the peer read %d of %d bytes written", got, k)
		}
	})
}

// TestGRO: of segments that arrive at one instant, one ACK covers all.
func TestGRO(t *testing.T) {
	acks := func(gro bool) (acks int) {
		tap := &recorder{}
		cfg := config(perfect(), false)
		cfg.Device.GRO, cfg.Tap = gro, tap
		inBubble(t, cfg, func(t *testing.T, n *Network) {
			dev, plat := connect(t, n)
			time.Sleep(time.Second)
			before := len(tap.packets)
			must(plat.Write(make([]byte, 10_000))) // eight segments of the initial window
			must(io.ReadFull(dev, make([]byte, 10_000)))
			for _, p := range tap.packets[before:] {
				if p.dir == n.Device().dir {
					acks++
				}
			}
		})
		return acks
	}
	if with, without := acks(true), acks(false); with != 1 || without < 4 {
		t.Errorf("%d ACKs with GRO and %d without", with, without)
	}
}
