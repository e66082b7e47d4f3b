package lwm2m

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/thinlink/thinlink/clients"
)

// bootTime is how long a device that reboots by itself is away.
const bootTime = time.Second

var (
	_ clients.Rebooter          = (*session)(nil)
	_ clients.PlatformRestarter = (*session)(nil)
)

// PowerOff implements clients.Rebooter.
func (s *session) PowerOff() { s.powerOff() }

// powerOff returns how often the power has been cut, this time included.
func (s *session) powerOff() int {
	s.mu.Lock()
	s.offs++
	n, d := s.offs, s.device
	s.mu.Unlock()
	d.close()
	return n
}

// PowerOn implements clients.Rebooter. The device measures again what it
// measured before, registers, and goes on with an update.
func (s *session) PowerOn(ctx context.Context) error {
	d, err := newDevice(s.opt, s.env, s.powerCycle)
	if err != nil {
		return fmt.Errorf("lwm2m: boot: %w", err)
	}
	s.mu.Lock()
	old := s.device
	d.dialled = old.dials()
	if s.closed {
		old = d
	} else {
		s.device = d
	}
	last, closed := s.last, s.closed
	s.mu.Unlock()
	old.close()
	if closed {
		return fmt.Errorf("lwm2m: boot: %w", net.ErrClosed)
	}
	d.set(last)
	if err := d.connect(ctx); err != nil {
		return fmt.Errorf("lwm2m: boot: %w", err)
	}
	return nil
}

// powerCycle is a reboot that the device itself begins. If somebody else cuts
// the power meanwhile, they also turn it on.
func (s *session) powerCycle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.tasks.Go(func() {
		n := s.powerOff()
		if err := sleep(s.ctx, bootTime); err != nil {
			return
		}
		s.mu.Lock()
		mine := s.offs == n
		s.mu.Unlock()
		if !mine {
			return
		}
		if err := s.PowerOn(s.ctx); err != nil && s.ctx.Err() == nil {
			s.env.Record(clients.Event{Kind: clients.EventWarning, Detail: err.Error()})
		}
	})
}

// RestartPlatform implements clients.PlatformRestarter. Registrations and
// packages are in the database; DTLS sessions are gone, so that devices have
// to shake hands again, which they find out by silence.
func (s *session) RestartPlatform(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("lwm2m: restart: %w", net.ErrClosed)
	}
	s.stopPlatform()
	if err := s.startPlatform(); err != nil {
		return fmt.Errorf("lwm2m: restart: %w", err)
	}
	return nil
}
