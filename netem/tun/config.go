package tun

import (
	"net"
	"net/netip"

	"github.com/thinlink/thinlink/netem"
)

// Config describes a Bed.
type Config struct {
	Device, Platform HostConfig
	Link             netem.Config
	// Seed determines everything that is random in the link.
	Seed uint64
	// Tap sees the packets as a router next to the device would. It is called
	// with the link locked.
	Tap netem.Tap
	// Gate, if not nil, lets the device reach services outside of the bed.
	Gate *Gate
}

// HostConfig describes a host.
type HostConfig struct {
	// Addrs are the host's addresses, at most one of each family. Sockets that
	// the bed opens use the first.
	Addrs []netip.Addr
	// Sysctls are values below /proc/sys/net.
	Sysctls map[string]string
	// KeepAlive is that of TCP connections that the bed opens.
	KeepAlive net.KeepAliveConfig
}

// defaultMTU is an Ethernet's, for links that have none.
const defaultMTU = 1500
