// Package netem models a constrained link between one device and its
// platform: per direction a chain of queue, serialisation, loss, delay, and
// above both directions an optional cellular radio.
//
// The model is pure: it never reads a clock and never starts a goroutine.
// Time is an argument of every call and must not go backwards; Next says when
// the model wants to be called again.
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
