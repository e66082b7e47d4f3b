//go:build interop

package interop

import (
	"net"
	"net/netip"
	"sync"
	"testing"
)

// nat stands before a UDP service of the platform and can change the address
// that the service sees of the device. Between the two nothing is captured.
type nat struct {
	inside  net.PacketConn
	service netip.AddrPort

	mu      sync.Mutex
	device  net.Addr
	outside net.Conn
	relays  sync.WaitGroup
}

func newNAT(t *testing.T, port uint16) *nat {
	t.Helper()
	inside, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(natAddr, port)))
	must(t, err)
	n := &nat{inside: inside, service: netip.AddrPortFrom(platformAddr, port)}
	n.move(t)
	n.relays.Go(func() {
		buf := make([]byte, 1<<16)
		for {
			size, from, err := inside.ReadFrom(buf)
			if err != nil {
				return
			}
			n.mu.Lock()
			n.device = from
			n.outside.Write(buf[:size]) // what is lost is sent again
			n.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		inside.Close()
		n.outside.Close()
		n.relays.Wait()
	})
	return n
}

// move takes another port and returns it.
func (n *nat) move(t *testing.T) (port uint16) {
	t.Helper()
	conn, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(natAddr, 0)), net.UDPAddrFromAddrPort(n.service))
	must(t, err)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.outside != nil {
		n.outside.Close()
	}
	n.outside = conn
	n.relays.Go(func() {
		buf := make([]byte, 1<<16)
		for {
			size, err := conn.Read(buf)
			if err != nil {
				return
			}
			n.mu.Lock()
			to := n.device
			n.mu.Unlock()
			n.inside.WriteTo(buf[:size], to)
		}
	})
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()
}
