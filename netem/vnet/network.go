package vnet

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/thinlink/thinlink/netem"
	"github.com/thinlink/thinlink/netem/vnet/tcp"
)

// Config describes a Network.
type Config struct {
	Device, Platform HostConfig
	Link             netem.Config
	// Seed drives the link's random choices and TCP's sequence numbers.
	Seed uint64
	// Tap sees the packets as a router next to the device would; nil is none.
	// It is called with the Network locked and must not use its sockets.
	Tap netem.Tap
	// Bearer is how the link carries what the hosts send: without IP it is the
	// content of one flow's datagrams. BearerSMS needs Link.SMS, and Link's own
	// loss does not apply to it: signalling is acknowledged (TS 36.322 section 4.2.1.3).
	Bearer netem.Bearer
}

// HostConfig describes a Host.
type HostConfig struct {
	// Addr is the host's address, the family that of the other host's.
	Addr netip.Addr
	// TCP configures all connections; zero is tcp.Linux().
	TCP tcp.Config
	// GRO merges the consecutive segments that arrive at one instant, so that
	// one acknowledgement covers them, as Linux's generic receive offload does
	// with those that an unshaped Ethernet delivers back to back.
	GRO bool
	// Backlog bounds the connections of one listener that wait for Accept or
	// the end of their handshake; a SYN beyond it is dropped. 0 is 4096, as
	// Linux's net.core.somaxconn.
	Backlog int
}

const (
	defaultMTU     = 1500
	defaultBacklog = 4096
)

// issStage seeds the generator of initial sequence numbers.
const issStage = 0x697373 // "iss"

// Network is two hosts and the link between them. Its methods are safe for
// concurrent use.
type Network struct {
	mu      sync.Mutex
	link    *netem.Link
	device  *Host
	plat    *Host
	mtu     int
	iss     *rand.Rand
	nat     *nat     // nil until Rebind
	gateway *gateway // nil if the link carries IP
	sms     *service // nil if it does not carry short messages
	closed  bool

	now     time.Time   // model time, at most the clock's
	timer   *time.Timer // fires at armed, zero if stopped
	armed   time.Time
	alarms  alarms
	made    uint64     // alarms so far
	arrived []arrival  // scratch of step
	dirty   []*tcpConn // to be asked for output by flush
}

// arrival is a packet the link has delivered.
type arrival struct {
	dir netem.Direction
	ip  []byte
}

// New makes a network whose time starts now. It returns an error for
// addresses or a link that cannot be.
func New(cfg Config) (*Network, error) {
	mtu := int(cfg.Link.MTU)
	if mtu == 0 {
		mtu = defaultMTU
		cfg.Link.MTU = defaultMTU
	}
	if err := checkHosts(cfg.Device.Addr, cfg.Platform.Addr, mtu); err != nil {
		return nil, fmt.Errorf("vnet: %w", err)
	}
	start := time.Now()
	n := &Network{mtu: mtu, now: start, iss: rand.New(rand.NewPCG(cfg.Seed, issStage))}
	if cfg.Bearer != netem.BearerIP {
		n.gateway = new(gateway)
	}
	if cfg.Bearer == netem.BearerSMS {
		if cfg.Link.SMS == nil {
			return nil, errors.New("vnet: the link has no short message service")
		}
		n.sms = newService(n, cfg.Link.SMS, cfg.Seed, cfg.Tap)
		cfg.Tap = n.sms
		for _, c := range []*netem.DirectionConfig{&cfg.Link.Up, &cfg.Link.Down} {
			c.Loss = netem.LossConfig{}
			c.Overhead += nasOverhead
		}
	}
	link, err := netem.NewLink(cfg.Link, cfg.Seed, start, cfg.Tap)
	if err != nil {
		return nil, fmt.Errorf("vnet: %w", err)
	}
	n.link = link
	n.device = newHost(n, netem.Up, cfg.Device)
	n.plat = newHost(n, netem.Down, cfg.Platform)
	n.device.peer, n.plat.peer = n.plat, n.device
	n.timer = time.AfterFunc(time.Hour, n.fire)
	n.timer.Stop()
	n.rearm() // the link may have events of its own
	return n, nil
}

func checkHosts(device, platform netip.Addr, mtu int) error {
	switch {
	case !usable(device):
		return fmt.Errorf("device address %v: want a unicast address", device)
	case !usable(platform):
		return fmt.Errorf("platform address %v: want a unicast address", platform)
	case device == platform:
		return fmt.Errorf("device and platform have the same address %v", device)
	case device.Is4() != platform.Is4():
		return fmt.Errorf("device address %v and platform address %v are of different families", device, platform)
	case device.Is4() && mtu < 68:
		return fmt.Errorf("MTU %d: IPv4 needs 68 bytes (RFC 791 section 3.2)", mtu)
	case device.Is6() && mtu < 1280:
		return fmt.Errorf("MTU %d: IPv6 needs 1280 bytes (RFC 8200 section 5)", mtu)
	case mtu > 65535:
		return fmt.Errorf("MTU %d: an IP packet has at most 65535 bytes", mtu)
	}
	return nil
}

// usable reports a plain unicast address: no zone, no IPv4 within IPv6.
func usable(a netip.Addr) bool {
	return a.IsValid() && a.Zone() == "" && !a.Is4In6() && !a.IsUnspecified() && !a.IsMulticast()
}

// Device is the host that sends up.
func (n *Network) Device() *Host { return n.device }

// Platform is the host that sends down.
func (n *Network) Platform() *Host { return n.plat }

// MTU is the largest packet the hosts send, bytes.
func (n *Network) MTU() int { return n.mtu }

// Stats returns the link's counters of one direction.
func (n *Network) Stats(dir netem.Direction) netem.Stats {
	n.lock()
	defer n.unlock()
	return n.link.Stats(dir)
}

// ErrDuration is returned by Outage for a duration that is not positive.
var ErrDuration = errors.New("vnet: outage without a duration")

// Outage cuts the link for d from now on.
func (n *Network) Outage(d time.Duration) error {
	if d <= 0 {
		return ErrDuration
	}
	n.lock()
	defer n.unlock()
	if !n.closed {
		n.link.Outage(n.now, d)
	}
	return nil
}

// Close stops the network at once: packets under way are gone, every socket
// fails with net.ErrClosed. It returns nil.
func (n *Network) Close() error {
	n.lock()
	n.link.Advance(n.now, n.collect) // the link's tap sees the run complete
	n.device.reset()
	n.plat.reset()
	n.closed = true
	n.timer.Stop()
	n.mu.Unlock()
	return nil
}
