package clients

import (
	"context"
	"errors"
	"fmt"
)

// Session is a device and its platform, ready for the steps of a scenario.
// Steps are called one at a time. Each returns when both ends have finished
// the exchange as the step defines, or with the reason why they cannot.
//
// Platform is nil if it is somebody else's: then a step returns when the device
// has done its part.
type Session struct {
	Device
	Platform Platform
	name     string
}

// Join makes a session of a device and the platform that knows it by its name.
func Join(d Device, p Platform, name string) *Session { return &Session{d, p, name} }

// Start brings up both ends of a stack. It sends nothing over the link.
func Start(ctx context.Context, stack Stack, env *Env) (*Session, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	p, err := stack.NewPlatform(env)
	if err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	d, err := stack.NewDevice(env)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start: %w", err), p.Close())
	}
	return Join(d, p, env.DeviceName()), nil
}

// Connect takes the device from power-on to the first report that the
// platform's application has received.
func (s *Session) Connect(ctx context.Context, first Reading) error {
	arrived, err := s.await(first)
	if err != nil {
		return err
	}
	if err := s.Device.Connect(ctx, first, arrived); err != nil || s.Platform == nil {
		return err
	}
	return s.Platform.Connected(ctx, s.name)
}

// Report sends one changed reading from device to platform.
func (s *Session) Report(ctx context.Context, r Reading) error {
	arrived, err := s.await(r)
	if err != nil {
		return err
	}
	return s.Device.Report(ctx, r, arrived)
}

// await is Platform.Await.
func (s *Session) await(r Reading) (arrived <-chan struct{}, err error) {
	if s.Platform == nil {
		return nil, nil
	}
	return s.Platform.Await(s.name, r)
}

// Command sends one integer from the platform to the device's application. A
// platform of somebody else's sends one of any value.
func (s *Session) Command(ctx context.Context, value int64) error {
	if s.Platform == nil {
		return s.Device.Command(ctx, value, nil)
	}
	return s.Device.Command(ctx, value, func(ctx context.Context) error {
		return s.Platform.Command(ctx, s.name, value)
	})
}

// Update offers the image and returns when the platform knows how the update
// ended. It is called after Connect, and needs a platform of ours.
func (s *Session) Update(ctx context.Context, img Image) error {
	if err := s.Expect(img); err != nil {
		return err
	}
	return s.Platform.Update(ctx, s.name, img)
}

// Close ends device and platform.
func (s *Session) Close() error {
	err := s.Device.Close()
	if s.Platform == nil {
		return err
	}
	return errors.Join(err, s.Platform.Close())
}
