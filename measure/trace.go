// Package measure turns the trace of a run into numbers: packets, bytes by
// direction and by layer, retransmissions. It reads no clock and needs no
// engine: a capture that anybody made gives the same counts.
package measure

import (
	"net/netip"
	"time"

	"github.com/thinlink/thinlink/netem"
)

// Packet is one IP packet where a router next to the device would see it.
type Packet struct {
	Time time.Time // when it was sent
	Dir  netem.Direction
	Data []byte // from the IP header on
	// Done is when it arrived, or when it was lost; zero if it was still on
	// its way at the end, or nobody knows (a foreign capture).
	Done time.Time
	// Lost is the link's reason, "" if it was not lost (or nobody knows).
	Lost netem.Drop
}

// Event is a moment of a run that packets alone do not show. The constants of
// clients.Event name the kinds stacks record; the Recorder adds EventWindow
// marks and EventRadio states.
type Event struct {
	Time   time.Time `json:"time"`
	Kind   string    `json:"kind"`
	Detail string    `json:"detail,omitempty"`
	Offset int64     `json:"offset,omitempty"`
	Length int64     `json:"length,omitempty"`
}

// Trace is all that is known of a run: the single hand-over between running
// and judging.
type Trace struct {
	Start  time.Time  // when the device was switched on
	Device netip.Addr // tells the directions of a capture's packets
	// The measured window: packets with WindowStart <= Time < WindowEnd count.
	WindowStart, WindowEnd time.Time
	Packets                []Packet // in order of Time
	Events                 []Event  // in order of Time
	KeyLog                 []byte   // TLS and DTLS secrets, NSS key log format
	// FatesKnown is true if Packet.Done and Lost mean something, as in a
	// trace of our own engines.
	FatesKnown bool
	// Warnings are doubts about the trace itself, as after reading a foreign
	// capture. Judge hands them on.
	Warnings []string
}
