// Package clients holds what protocol stacks and engines agree on: the Host a
// stack sends through, the Env it lives in, and the steps it performs.
//
// A stack never knows which engine carries its packets, so the same code runs
// in virtual time, in a network namespace or on a real interface.
package clients

import (
	"context"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/thinlink/thinlink/clients/flash"
	"github.com/thinlink/thinlink/clients/pki"
)

// Host is all a stack sees of the network. Networks and addresses are those
// of package net, with numeric addresses: "tcp", "udp" and, for echo requests,
// ListenPacket on "ip4:icmp" or "ip6:ipv6-icmp".
type Host interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
	Listen(network, address string) (net.Listener, error)
	ListenPacket(network, address string) (net.PacketConn, error)
	// Addr is the host's own address.
	Addr() netip.Addr
}

// Env is the world of one run: two hosts, the certificates made for it, and
// where to report what happens.
type Env struct {
	Device, Platform Host
	PKI              *pki.Material
	// Seed drives every random choice of the stack that packets or timing
	// depend on.
	Seed uint64
	// Flash is the device's persistent storage; never nil.
	Flash flash.Store
	// KeyLog receives TLS and DTLS secrets in NSS key log format; never nil.
	KeyLog io.Writer
	// Record notes an event of the run; never nil, safe for concurrent use.
	Record func(Event)
	// Now is the run's clock: virtual on sim, real elsewhere.
	Now func() time.Time
}

// Event is something a stack did that packets alone do not show.
type Event struct {
	// Kind is one of the Event constants.
	Kind string `json:"kind"`
	// Detail is free text for people: a topic, a state, an error.
	Detail string `json:"detail,omitempty"`
	// Offset and Length locate image bytes of an OTA event.
	Offset int64 `json:"offset,omitempty"`
	Length int64 `json:"length,omitempty"`
}

// Kinds of events.
const (
	EventState    = "state"     // the stack changed state (connected, registered, ...)
	EventReport   = "report"    // a report reached the platform's application
	EventCommand  = "command"   // a command reached the device's application
	EventOTAData  = "ota.data"  // image bytes [Offset, Offset+Length) reached the device
	EventOTAState = "ota.state" // the update changed state
	EventWarning  = "warning"   // something a reader of the result must know
)

// Reading is one sample of the observed object: a string, an integer, a float
// and a boolean, as in the reference experiment.
type Reading struct {
	Text    string
	Integer int64
	Float   float64
	Boolean bool
}

// Image is a firmware image offered to the device.
type Image struct {
	Name    string
	Version string
	Data    []byte
	SHA256  [32]byte
}

// Stack is one way of joining a device to its platform, configured.
type Stack interface {
	// Start brings the platform up and prepares the device. It sends nothing
	// over the link.
	Start(ctx context.Context, env *Env) (Session, error)
}

// Session is a device and its platform, ready for the steps of a scenario.
// Steps are called one at a time. Each returns when both ends have finished
// the exchange as the step defines, or with the reason why they cannot.
type Session interface {
	// Connect takes the device from power-on to the first report that the
	// platform's application has received.
	Connect(ctx context.Context, first Reading) error
	// Report sends one changed reading from device to platform.
	Report(ctx context.Context, r Reading) error
	// Command sends one integer from the platform to the device's application.
	Command(ctx context.Context, value int64) error
	// Update offers the image and returns when the platform knows how the
	// update ended. It is called after Connect.
	Update(ctx context.Context, img Image) error
	// Close ends device and platform and releases everything they hold. It
	// need not be polite to the link.
	Close() error
}

// Rebooter is a Session whose device survives a reboot during Update: it goes
// on from what Env.Flash holds.
type Rebooter interface {
	// PowerOff cuts the device's power: everything in its memory is gone, and
	// it says good-bye to nobody. Its sockets have vanished already.
	PowerOff()
	// PowerOn boots the device, which connects and goes on with an update by
	// itself. It returns when the device is connected.
	PowerOn(ctx context.Context) error
}

// PlatformRestarter is a Session whose platform can be restarted during
// Update. What it keeps in its database remains; sessions and sockets are
// gone.
type PlatformRestarter interface {
	// RestartPlatform starts the platform again; its sockets have vanished.
	RestartPlatform(ctx context.Context) error
}
