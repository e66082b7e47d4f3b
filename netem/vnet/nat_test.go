package vnet

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/thinlink/thinlink/internal/wire"
	"github.com/thinlink/thinlink/netem"
)

// TestRebind: the device's flows reappear from elsewhere, and what is sent to
// the old place vanishes.
func TestRebind(t *testing.T) {
	inNet(t, perfect(), func(t *testing.T, n *Network) {
		server := must(n.Platform().ListenPacket("udp", ":5683"))
		client := must(n.Device().DialContext(t.Context(), "udp", at(n.Platform(), "5683")))
		other := must(n.Device().DialContext(t.Context(), "udp", at(n.Platform(), "5683")))
		b := make([]byte, 99)
		hear := func() net.Addr {
			t.Helper()
			_, from, err := server.ReadFrom(b)
			if err != nil {
				t.Fatal(err)
			}
			return from
		}
		must(client.Write([]byte("1")))
		old := hear()
		if old.String() != client.LocalAddr().String() {
			t.Errorf("without NAT the platform sees %v, want %v", old, client.LocalAddr())
		}
		seen := map[string]bool{old.String(): true}
		for range 3 {
			n.Rebind()
			must(server.WriteTo([]byte("lost"), old))
			client.SetReadDeadline(time.Now().Add(time.Second))
			wantErrno(t, "a packet to the old address", second(client.Read(b)), os.ErrDeadlineExceeded)
			client.SetReadDeadline(time.Time{})

			must(client.Write([]byte("2")))
			now := hear()
			must(client.Write([]byte("3")))
			if again := hear(); again.String() != now.String() {
				t.Errorf("one flow from %v and from %v", now, again)
			}
			must(other.Write([]byte("4")))
			if neighbour := hear(); neighbour.String() == now.String() {
				t.Errorf("two flows from %v", now)
			}
			if seen[now.String()] {
				t.Errorf("the platform sees %v again", now)
			}
			seen[now.String()] = true
			must(server.WriteTo([]byte("answer"), now))
			if k := must(client.Read(b)); string(b[:k]) != "answer" {
				t.Errorf("the device read %q", b[:k])
			}
			old = now
		}
	})
}

// TestRebindTCP: an old connection breaks when the device uses it, a new one
// works.
func TestRebindTCP(t *testing.T) {
	inNet(t, perfect(), func(t *testing.T, n *Network) {
		dev, plat := connect(t, n)
		n.Rebind()
		must(dev.Write([]byte("from elsewhere")))
		wantErrno(t, "the device", second(dev.Read(make([]byte, 1))), syscall.ECONNRESET)
		plat.SetReadDeadline(time.Now().Add(time.Minute))
		wantErrno(t, "the platform", second(plat.Read(make([]byte, 1))), os.ErrDeadlineExceeded)

		dev, plat = connect(t, n)
		if r := plat.RemoteAddr().String(); !strings.HasPrefix(r, "100.64.") && !strings.HasPrefix(r, "[2001:db8:6440:") {
			t.Errorf("the platform sees %v", r)
		}
		must(plat.Write([]byte("hello")))
		must(dev.Read(make([]byte, 5)))
	})
}

// TestRebindICMP: echo works through the NAT both ways, and errors reach the
// sockets of both sides.
func TestRebindICMP(t *testing.T) {
	tap := &recorder{}
	cfg := config(perfect(), false)
	cfg.Tap = tap
	check := func(t *testing.T, n *Network) {
		n.Rebind()
		public := n.nat.public
		network, request := "ip4:icmp", uint8(wire.ICMPEchoRequest)
		if public.Is6() {
			network, request = "ip6:ipv6-icmp", wire.ICMPv6EchoRequest
		}
		message := wire.AppendICMP(nil, wire.ICMP{Type: request, Rest: 1})
		sum := wire.Fold(wire.Sum(0, message))
		message[2], message[3] = byte(sum>>8), byte(sum)
		for from, to := range map[*Host]net.IP{n.Device(): n.Platform().Addr().AsSlice(), n.Platform(): public.AsSlice()} {
			c := must(from.ListenPacket(network, ""))
			must(c.WriteTo(message, &net.IPAddr{IP: to}))
			k, who, err := c.ReadFrom(make([]byte, 99))
			if k != 8 || err != nil || who.String() != to.String() {
				t.Errorf("echo: %d bytes from %v, %v, want %v", k, who, err, to)
			}
			c.Close()
		}

		// Nobody listens on the platform: the error comes back to the device.
		client := must(n.Device().DialContext(t.Context(), "udp", at(n.Platform(), "5683")))
		must(client.Write([]byte("x")))
		wantErrno(t, "device", second(client.Read(nil)), syscall.ECONNREFUSED)

		// The device has closed its socket: the platform's connected one hears.
		server := must(n.Platform().ListenPacket("udp", ":5683"))
		must(client.Write([]byte("x")))
		_, from, err := server.ReadFrom(nil)
		if err != nil {
			t.Fatal(err)
		}
		client.Close()
		server.Close()
		back := must(n.Platform().DialContext(t.Context(), "udp", from.String()))
		must(back.Write([]byte("x")))
		wantErrno(t, "platform", second(back.Read(nil)), syscall.ECONNREFUSED)
	}
	inBubble(t, cfg, check)
	for _, p := range tap.packets {
		ip, err := wire.ParseIP(p.ip)
		if err != nil || !wire.Valid(p.ip, &ip) {
			t.Errorf("a wrong packet on the link: %x, %v", p.ip, err)
		}
		if own := map[netem.Direction]bool{netem.Up: ip.Src == device4, netem.Down: ip.Dst == device4}; !own[p.dir] {
			t.Errorf("next to the device %v -> %v was seen, want the device's own address", ip.Src, ip.Dst)
		}
	}
	inBubble(t, config(perfect(), true), check)
}
