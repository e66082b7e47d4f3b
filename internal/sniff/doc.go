// Package sniff sees the IP packets of a network namespace as they come and go,
// with the kernel's time stamps (packet(7)).
//
//	s, err := sniff.Open(sniff.IP, func(p sniff.Packet) { ... })
//	...
//	err = s.Close()
//
// Limitations: Linux only; needs CAP_NET_RAW; what a queueing discipline drops on
// the way out is not seen, and segments that the hardware is to split are seen
// whole.
package sniff

import "time"

// From is where the data of packets begin.
type From int

// Values of From.
const (
	IP   From = iota // the IP header
	Link             // the link's header
)

// A Packet came in or goes out.
type Packet struct {
	At       time.Time
	Device   int    // index of the network device
	Out      bool   // going out
	Protocol uint16 // EtherType in network byte order
	Data     []byte // valid during the call only
}
