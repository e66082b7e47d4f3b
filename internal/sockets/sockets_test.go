package sockets

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
)

var loopback = netip.MustParseAddr("127.0.0.1")

func TestTowards(t *testing.T) {
	for _, a := range []netip.Addr{loopback, netip.MustParseAddr("127.0.0.7")} {
		h, err := Towards(a)
		if err != nil || h.Addr() != loopback {
			t.Errorf("towards %v: %v, %v; want %v", a, h, err, loopback)
		}
	}
}

// A server is reached at the host's own address and listens where Bind says;
// where sockets are opened, and that connections end, is told.
func TestHost(t *testing.T) {
	var opened, closing atomic.Int32
	h := &Host{
		IP: netip.MustParseAddr("192.0.2.1"), Bind: loopback,
		Do:      func(open func() error) error { opened.Add(1); return open() },
		Closing: func(*net.TCPConn) { closing.Add(1) },
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := free.Addr().(*net.TCPAddr).AddrPort()
	free.Close()
	ln, err := h.Listen("tcp", netip.AddrPortFrom(h.IP, at.Port()).String())
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		if c, err := ln.Accept(); err == nil {
			io.WriteString(c, "hello")
			c.Close()
		}
	}()
	c, err := h.DialContext(t.Context(), "tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); string(got) != "hello" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	c.Close()
	pc, err := h.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	pc.Close()
	if opened.Load() != 3 || closing.Load() != 2 {
		t.Errorf("%d sockets opened, %d connections closed; want 3 and 2", opened.Load(), closing.Load())
	}
}

func TestHostErrors(t *testing.T) {
	refused := errors.New("no namespace")
	h := &Host{IP: loopback, Do: func(func() error) error { return refused }}
	if _, err := h.DialContext(t.Context(), "tcp", "127.0.0.1:1"); !errors.Is(err, refused) {
		t.Error(err)
	}
	if _, err := h.Listen("tcp", "127.0.0.1:0"); !errors.Is(err, refused) {
		t.Error(err)
	}
	if _, err := h.ListenPacket("udp", "127.0.0.1:0"); !errors.Is(err, refused) {
		t.Error(err)
	}
}
