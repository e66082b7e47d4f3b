package tc

import (
	"fmt"
	"net"
	"net/netip"
	"time"
)

// Config describes a Testbed.
type Config struct {
	Plan Plan
	// Device and Platform are the two hosts' addresses, both IPv4 or both
	// IPv6.
	Device, Platform netip.Addr
	// TCPClosed is told of every TCP connection when it closes, from any
	// goroutine; nil is silence.
	TCPClosed func(TCPInfo)
}

// TCPInfo is what the kernel knows of a connection at its end.
type TCPInfo struct {
	Local, Remote   net.Addr
	Retransmissions int           // segments sent again
	Lost            int           // segments taken for lost and not yet repaired
	RTT, MinRTT     time.Duration // smoothed, and the smallest seen
}

func (t TCPInfo) String() string {
	return fmt.Sprintf("%v to %v: %d retransmissions, %d lost, round trip %v, at least %v",
		t.Local, t.Remote, t.Retransmissions, t.Lost, t.RTT, t.MinRTT)
}
