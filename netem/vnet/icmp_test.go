package vnet

import (
	"bytes"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/thinlink/thinlink/internal/wire"
)

// TestPing: an echo request by a raw socket, written as for a kernel's.
func TestPing(t *testing.T) {
	inNet(t, symmetric(0, 100*time.Millisecond), func(t *testing.T, n *Network) {
		network, request, reply := "ip4:icmp", uint8(wire.ICMPEchoRequest), uint8(wire.ICMPEchoReply)
		if n.Device().Addr().Is6() {
			network, request, reply = "ip6:ipv6-icmp", wire.ICMPv6EchoRequest, wire.ICMPv6EchoReply
		}
		c := must(n.Device().ListenPacket(network, n.Device().Addr().String()))
		defer c.Close()
		message := wire.AppendICMP(nil, wire.ICMP{Type: request, Rest: wire.Echo(7, 1), Payload: []byte("payload")})
		to := &net.IPAddr{IP: n.Platform().Addr().AsSlice()}
		if n.Device().Addr().Is4() {
			// Without a checksum the platform does not answer.
			must(c.WriteTo(message, to))
			c.SetReadDeadline(time.Now().Add(time.Second))
			if _, from, err := c.ReadFrom(make([]byte, 99)); err == nil {
				t.Errorf("an answer to a message without checksum from %v", from)
			}
			c.SetReadDeadline(time.Time{})
			sum := wire.Fold(wire.Sum(0, message))
			message[2], message[3] = byte(sum>>8), byte(sum)
		}
		start := time.Now()
		must(c.WriteTo(message, to))
		b := make([]byte, 99)
		k, from, err := c.ReadFrom(b)
		elapsed(t, start, 200*time.Millisecond)
		if err != nil || from.String() != to.String() || from.Network() != "ip" {
			t.Fatalf("from %v, %v", from, err)
		}
		m, err := wire.ParseICMP(b[:k])
		if err != nil || m.Type != reply || m.ID() != 7 || m.Seq() != 1 || !bytes.Equal(m.Payload, []byte("payload")) {
			t.Fatalf("%+v, %v", m, err)
		}
		var addr *net.AddrError
		if _, err := c.WriteTo(message, &net.UDPAddr{IP: to.IP, Port: 1}); !errors.As(err, &addr) {
			t.Errorf("an UDP address: %v", err)
		}
		if _, err := n.Device().DialContext(t.Context(), network, to.String()); err == nil {
			t.Error("dialled ICMP")
		}
		other := "ip4:icmp"
		if n.Device().Addr().Is4() {
			other = "ip6:ipv6-icmp"
		}
		if _, err := n.Device().ListenPacket(other, ""); !errors.As(err, &addr) {
			t.Errorf("the other family: %v", err)
		}
	})
}
