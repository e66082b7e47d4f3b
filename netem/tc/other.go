//go:build !linux

package tc

import (
	"context"
	"time"
)

// Testbed is three network namespaces; there are none here.
type Testbed struct{}

// NewTestbed returns ErrNotLinux.
func NewTestbed(Config) (*Testbed, error) { return nil, ErrNotLinux }

// Check returns ErrNotLinux.
func Check() error { return ErrNotLinux }

// Start returns ErrNotLinux.
func (*Testbed) Start(time.Time) error { return ErrNotLinux }

// Retransmissions is none.
func (*Testbed) Retransmissions() int { return 0 }

// Verify returns ErrNotLinux.
func (*Testbed) Verify(context.Context) error { return ErrNotLinux }

// Outage returns ErrNotLinux.
func (*Testbed) Outage(time.Duration) error { return ErrNotLinux }

// Device is the constrained host.
func (*Testbed) Device() *Host { return nil }

// Platform is the host behind the link.
func (*Testbed) Platform() *Host { return nil }

// Capture returns ErrNotLinux.
func (*Testbed) Capture() ([]Passage, error) { return nil, ErrNotLinux }

// Close does nothing.
func (*Testbed) Close() error { return nil }

// Shape returns ErrNotLinux.
func Shape(string, string, Match, Plan) error { return ErrNotLinux }

// Unshape returns ErrNotLinux.
func Unshape(string) error { return ErrNotLinux }

// Drift returns ErrNotLinux.
func (*Shaping) Drift() ([]string, error) { return nil, ErrNotLinux }
