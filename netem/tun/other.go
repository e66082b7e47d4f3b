//go:build !linux

package tun

import (
	"net/netip"
	"os/exec"
	"time"

	"github.com/thinlink/thinlink/internal/sockets"
)

// errNotLinux is why there are no beds here.
var errNotLinux = &MissingError{"TUN devices in network namespaces are Linux's", "use --engine sim, or a virtual machine with Linux"}

// Bed is two namespaces joined by a link; there are none here.
type Bed struct{}

// Gate lets the device reach services outside of a bed.
type Gate struct {
	Outside func(to netip.AddrPort) (netip.AddrPort, bool)
}

// NewBed returns an error.
func NewBed(Config) (*Bed, error) { return nil, errNotLinux }

// Device is the constrained host.
func (*Bed) Device() *sockets.Host { return nil }

// Platform is the host behind the link.
func (*Bed) Platform() *sockets.Host { return nil }

// InDevice returns an error.
func (*Bed) InDevice(func() error) error { return errNotLinux }

// Outage returns an error.
func (*Bed) Outage(time.Duration) error { return errNotLinux }

// Names answers DNS queries.
type Names struct {
	Hosts    map[string][]netip.Addr
	Upstream netip.AddrPort
}

// Serve returns an error.
func (*Bed) Serve(*Names, netip.Addr) error { return errNotLinux }

// Upstream is no name server.
func Upstream() netip.AddrPort { return netip.AddrPort{} }

// Furnish returns an error.
func Furnish(netip.Addr) error { return errNotLinux }

// Halt does nothing.
func (*Bed) Halt() {}

// Close does nothing.
func (*Bed) Close() error { return nil }

// Reexec does nothing.
func Reexec(*exec.Cmd) {}

// Explain returns err.
func Explain(err error) error { return err }

// Check returns an error.
func Check() error { return errNotLinux }
