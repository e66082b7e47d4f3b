// Package clients holds what protocol stacks and engines agree on: the Host a
// stack sends through, the Env it lives in, and the steps it performs.
//
// A stack never knows which engine carries its packets, so the same code runs
// in virtual time, in a network namespace or on a real interface.
//
// A stack has two ends, and each runs alone: a Device needs Env.Device and
// Env.Site, a Platform needs Env.Platform. A Session joins a device to a
// platform and is the only thing that knows both; Start makes one in one
// process, Join makes one of a device here and a platform anywhere.
//
//	env := &clients.Env{Device: host, Site: clients.Site{Addr: server}, PKI: m, ...}
//	device, err := stack.NewDevice(env) // against anybody's server
//	err = device.Connect(ctx, reading, nil)
//	err = device.Report(ctx, reading, nil)
package clients

import (
	"context"
	"net"
	"net/netip"
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
