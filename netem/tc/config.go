package tc

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/thinlink/thinlink/internal/sockets"
	"github.com/thinlink/thinlink/netem"
)

// Host opens sockets inside a namespace.
type Host = sockets.Host

// Config describes a Testbed.
type Config struct {
	Plan             Plan
	Device, Platform HostConfig
	Drive            Drive
	// TCP is told of every TCP connection, once a second while it changes and
	// when it closes, from any goroutine; nil is silence.
	TCP func(TCPInfo)
}

// Drive is what a testbed does beyond its disciplines, by changing them as the
// run goes on. Its zero value is nothing.
type Drive struct {
	// Model is the link whose outages and radio are imitated. Without a Radio
	// it has outages only.
	Model netem.Config
	// Seed is the run's, so that set-ups take as long as on engine sim.
	Seed uint64
	// Radio is told of the model's radio states; nil is silence.
	Radio func(time.Time, netem.RadioState)
}

// HostConfig describes a Host.
type HostConfig struct {
	// Addr is the host's address, the family that of the other host's.
	Addr netip.Addr
	// Sysctls are set in the host's namespace, by path below /proc/sys/net:
	// "ipv4/tcp_sack": "0".
	Sysctls map[string]string
	// KeepAlive is the keep-alive of the host's TCP connections.
	KeepAlive net.KeepAliveConfig
}

// TCPInfo is what the kernel knows of a connection.
type TCPInfo struct {
	Local, Remote   net.Addr
	Closed          bool          // at its end
	Retransmissions int           // segments sent again
	Lost            int           // segments taken for lost and not yet repaired
	RTT, MinRTT     time.Duration // smoothed, and the smallest seen
}

// values are what changes.
func (t TCPInfo) values() [4]int64 {
	return [4]int64{int64(t.Retransmissions), int64(t.Lost), int64(t.RTT), int64(t.MinRTT)}
}

func (t TCPInfo) String() string {
	return fmt.Sprintf("%v to %v: %d retransmissions, %d lost, round trip %v, at least %v",
		t.Local, t.Remote, t.Retransmissions, t.Lost, t.RTT, t.MinRTT)
}
