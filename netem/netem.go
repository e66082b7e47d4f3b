// Package netem models a constrained link between one device and its
// platform: per direction a chain of queue, serialisation, loss, delay, and
// above both directions an optional cellular radio.
//
// Its nouns: a Link carries packets in two Directions, as its Config says; a
// Tap watches it. A RadioConfig adds RRC states, paging, power saving mode,
// connected DRX, and Grants, which time the packets by transport block
// instead of by a rate.
//
//	link, err := netem.NewLink(cfg, seed, now, nil)
//	link.Send(now, netem.Up, packet)
//	for at, ok := link.Next(); ok; at, ok = link.Next() {
//		link.Advance(at, deliver)
//	}
//
// The model is pure: it never reads a clock and never starts a goroutine.
// Time is an argument of every call and must not go backwards; Next says when
// the model wants to be called again. The same configuration, seed and calls
// give the same result.
//
// # Limitations
//
// The device has its cell for itself: no other users, no random access
// collisions, no mobility. A grant cycle with several HARQ processes serves the
// blocks of one packet. Signalling takes time but no bytes. A device without coverage counts as
// idle, although a real modem searches for a cell.
package netem

// Direction says which way a packet travels.
type Direction uint8

const (
	// Up is from the device to the platform.
	Up Direction = iota
	// Down is from the platform to the device.
	Down
)

func (d Direction) String() string {
	if d == Up {
		return "up"
	}
	return "down"
}
