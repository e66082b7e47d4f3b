//go:build !linux

package sniff

import (
	"errors"
	"time"
)

// A Sniffer needs Linux.
type Sniffer struct{}

// Open returns errors.ErrUnsupported.
func Open(From, func(Packet)) (*Sniffer, error) {
	return nil, errors.ErrUnsupported
}

// Close does nothing.
func (*Sniffer) Close() error { return nil }

// Ended is never.
func (*Sniffer) Ended() time.Time { return time.Time{} }
