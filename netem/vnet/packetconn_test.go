package vnet

import (
	"bytes"
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// TestUDPKnownAnswer: 250 B at 20 kbit/s and 500 ms take 600 ms.
func TestUDPKnownAnswer(t *testing.T) {
	inNet(t, symmetric(20_000, 500*time.Millisecond), func(t *testing.T, n *Network) {
		server := must(n.Platform().ListenPacket("udp", ":5683"))
		client := must(n.Device().DialContext(t.Context(), "udp", at(n.Platform(), "5683")))
		headers := 28
		if n.Device().Addr().Is6() {
			headers = 48
		}
		data := bytes.Repeat([]byte{7}, 250-headers)
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
	})
}

func TestUDPRefused(t *testing.T) {
	inNet(t, perfect(), func(t *testing.T, n *Network) {
		client := must(n.Device().DialContext(t.Context(), "udp", at(n.Platform(), "7")))
		must(client.Write([]byte("anybody?")))
		wantErrno(t, "read", second(client.Read(make([]byte, 9))), syscall.ECONNREFUSED)
		must(client.Write(make([]byte, 1200))) // the error has been told; the quotation is cut
		time.Sleep(time.Second)
		wantErrno(t, "write", second(client.Write(nil)), syscall.ECONNREFUSED)
		must(client.Write(nil))

		// An unconnected socket hears nothing.
		p := must(n.Device().ListenPacket("udp", ":0"))
		must(p.WriteTo(nil, must(net.ResolveUDPAddr("udp", at(n.Platform(), "7")))))
		p.SetReadDeadline(time.Now().Add(time.Second))
		_, _, err := p.ReadFrom(nil)
		wantErrno(t, "unconnected", err, os.ErrDeadlineExceeded)

		// A connected socket takes nothing from others.
		server := must(n.Platform().ListenPacket("udp", ":7"))
		stranger := must(n.Platform().DialContext(t.Context(), "udp", client.LocalAddr().String()))
		must(stranger.Write([]byte("hello")))
		wantErrno(t, "stranger", second(stranger.Read(make([]byte, 1))), syscall.ECONNREFUSED)
		must(server.WriteTo([]byte("hi"), client.LocalAddr()))
		client.Read(nil) // the refusal of the third write, which found no server
		if k := must(client.Read(make([]byte, 9))); k != 2 {
			t.Errorf("read %d bytes", k)
		}
	})
}

func TestUDPLimits(t *testing.T) {
	inNet(t, perfect(), func(t *testing.T, n *Network) {
		server := must(n.Platform().ListenPacket("udp", ":7"))
		client := must(n.Device().DialContext(t.Context(), "udp", at(n.Platform(), "7")))
		largest := n.MTU() - 28
		if n.Device().Addr().Is6() {
			largest = n.MTU() - 48
		}
		wantErrno(t, "too long", second(client.Write(make([]byte, largest+1))), syscall.EMSGSIZE)
		must(client.Write(make([]byte, largest)))
		b := make([]byte, 100) // the rest is lost
		if k, _, err := server.ReadFrom(b); k != 100 || err != nil {
			t.Errorf("%d, %v", k, err)
		}
		must(client.Write(nil))
		if k, _, err := server.ReadFrom(b); k != 0 || err != nil {
			t.Errorf("empty datagram: %d, %v", k, err)
		}
		// The receive buffer is bounded.
		for range 1000 {
			must(client.Write(make([]byte, 1000)))
		}
		time.Sleep(time.Second)
		server.SetReadDeadline(time.Now().Add(time.Second))
		got := 0
		for ; ; got++ {
			if _, _, err := server.ReadFrom(b); err != nil {
				break
			}
		}
		if want := packetBuffer / (1000 + packetOverhead); got != want {
			t.Errorf("%d of 1000 datagrams were kept, want %d", got, want)
		}
	})
}

func TestPacketConnMisuse(t *testing.T) {
	inNet(t, perfect(), func(t *testing.T, n *Network) {
		to := must(net.ResolveUDPAddr("udp", at(n.Platform(), "7")))
		client := must(n.Device().DialContext(t.Context(), "udp", to.String()))
		_, err := client.(net.PacketConn).WriteTo(nil, to)
		wantErrno(t, "WriteTo when connected", err, net.ErrWriteToConnected)
		p := must(n.Device().ListenPacket("udp", ":0"))
		wantErrno(t, "Write when not connected", second(p.(net.Conn).Write(nil)), syscall.EDESTADDRREQ)
		for _, bad := range []net.Addr{nil, (*net.UDPAddr)(nil), &net.UDPAddr{}, &net.TCPAddr{IP: to.IP, Port: 7}, &net.IPAddr{IP: to.IP}} {
			var addr *net.AddrError
			if _, err := p.WriteTo(nil, bad); !errors.As(err, &addr) {
				t.Errorf("WriteTo %v: %v", bad, err)
			}
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		wantErrno(t, "closing again", p.Close(), net.ErrClosed)
		wantErrno(t, "deadline of a closed socket", p.SetDeadline(time.Time{}), net.ErrClosed)
		_, err = p.WriteTo(nil, to)
		wantErrno(t, "writing to a closed socket", err, net.ErrClosed)
		must(n.Device().ListenPacket("udp", p.LocalAddr().String()))
	})
}

// TestDeadlines: they fire at their time, exactly, can be moved, and end
// waiting when they are set to the past.
func TestDeadlines(t *testing.T) {
	inNet(t, perfect(), func(t *testing.T, n *Network) {
		p := must(n.Device().ListenPacket("udp", ":0"))
		read := func() error { _, _, err := p.ReadFrom(nil); return err }
		start := time.Now()
		p.SetReadDeadline(start.Add(1234567 * time.Microsecond))
		wantErrno(t, "first", read(), os.ErrDeadlineExceeded)
		elapsed(t, start, 1234567*time.Microsecond)
		wantErrno(t, "second", read(), os.ErrDeadlineExceeded)
		var ne net.Error
		if err := read(); !errors.As(err, &ne) || !ne.Timeout() {
			t.Errorf("%v is no time-out", err)
		}

		p.SetReadDeadline(start.Add(time.Hour))
		go func() {
			time.Sleep(time.Second)
			p.SetReadDeadline(start.Add(10 * time.Second))
			time.Sleep(time.Second)
			p.SetWriteDeadline(start)
		}()
		read()
		elapsed(t, start, 10*time.Second)
		_, err := p.WriteTo(nil, must(net.ResolveUDPAddr("udp", at(n.Platform(), "1"))))
		wantErrno(t, "write", err, os.ErrDeadlineExceeded)

		p.SetDeadline(time.Time{})
		go func() {
			time.Sleep(time.Second)
			p.SetReadDeadline(time.Unix(1, 0))
		}()
		wantErrno(t, "past", read(), os.ErrDeadlineExceeded)
		elapsed(t, start, 11*time.Second)
	})
}
