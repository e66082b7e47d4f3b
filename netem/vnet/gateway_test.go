package vnet

import (
	"bytes"
	"context"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/thinlink/thinlink/netem"
)

// inNonIP runs f with a non-IP link, under either family of addresses.
func inNonIP(t *testing.T, f func(t *testing.T, n *Network)) {
	t.Helper()
	for _, six := range []bool{false, true} {
		cfg := config(symmetric(20_000, 500*time.Millisecond), six)
		cfg.Bearer = netem.BearerNonIP
		inBubble(t, cfg, f)
	}
}

// TestNonIPKnownAnswer: 250 B at 20 kbit/s and 500 ms take 600 ms, without
// headers.
func TestNonIPKnownAnswer(t *testing.T) {
	inNonIP(t, func(t *testing.T, n *Network) {
		server := must(n.Platform().ListenPacket("udp", ":5683"))
		client := must(n.Device().DialContext(t.Context(), "udp", at(n.Platform(), "5683")))
		data := bytes.Repeat([]byte{7}, 250)
		start := time.Now()
		must(client.Write(data))
		b := make([]byte, 2000)
		k, from, err := server.ReadFrom(b)
		if err != nil || !bytes.Equal(b[:k], data) || from.String() != client.LocalAddr().String() {
			t.Fatalf("%d bytes from %v, %v", k, from, err)
		}
		elapsed(t, start, 600*time.Millisecond)
		must(server.WriteTo(data, from))
		if k := must(client.Read(b)); !bytes.Equal(b[:k], data) {
			t.Fatalf("echo of %d bytes", k)
		}
		elapsed(t, start, 1200*time.Millisecond)
		if st := n.Stats(0); st.In != 1 || st.InBytes != 250 {
			t.Errorf("uplink statistics %+v", st)
		}
		must(client.Write(make([]byte, n.MTU())))
		wantErrno(t, "larger than the MTU", second(client.Write(make([]byte, n.MTU()+1))), syscall.EMSGSIZE)
	})
}

// TestNonIPFlow: the device's last socket has the flow; nothing else has a way
// over the link.
func TestNonIPFlow(t *testing.T) {
	inNonIP(t, func(t *testing.T, n *Network) {
		server := must(n.Platform().ListenPacket("udp", ":5683"))
		other := must(n.Platform().ListenPacket("udp", ":5684"))
		b := make([]byte, 100)
		dial := func() net.Conn { return must(n.Device().DialContext(t.Context(), "udp", at(n.Platform(), "5683"))) }
		old := dial()
		must(old.Write([]byte("old")))
		_, before, _ := server.ReadFrom(b)
		now := dial()
		must(now.Write([]byte("now")))
		_, from, _ := server.ReadFrom(b)
		must(server.WriteTo([]byte("to the old"), before))
		must(other.WriteTo([]byte("from another"), from))
		must(server.WriteTo([]byte("answer"), from))
		if k := must(now.Read(b)); string(b[:k]) != "answer" {
			t.Errorf("got %q", b[:k])
		}
		old.SetReadDeadline(time.Now().Add(time.Minute))
		wantErrno(t, "the old socket", second(old.Read(b)), os.ErrDeadlineExceeded)
		if st := n.Stats(1); st.In != 1 {
			t.Errorf("downlink statistics %+v", st)
		}
		sent := n.Stats(0).In
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := n.Device().DialContext(ctx, "tcp", at(n.Platform(), "80")); err == nil || n.Stats(0).In != sent {
			t.Errorf("TCP crossed the link: %v", err)
		}
	})
}
