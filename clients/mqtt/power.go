package mqtt

import (
	"context"
	"crypto/tls"
	"fmt"
	"sync"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/reading"
)

// Device implements clients.Device: a device and its power switch.
type Device struct {
	opt Options
	env *clients.Env
	tls *tls.Config

	mu   sync.Mutex
	life *device
}

// NewDevice prepares a device on Env.Device, for the broker at Env.Site.
// Errors: options out of range, certificates, an unreadable flash memory.
func NewDevice(opt Options, env *clients.Env) (*Device, error) {
	if err := opt.check(); err != nil {
		return nil, fmt.Errorf("mqtt: %w", err)
	}
	cfg, err := deviceTLS(opt, env)
	if err != nil {
		return nil, fmt.Errorf("mqtt: device: %w", err)
	}
	life, err := newDevice(opt, env, cfg)
	if err != nil {
		return nil, fmt.Errorf("mqtt: device: %w", err)
	}
	return &Device{opt: opt, env: env, tls: cfg, life: life}, nil
}

// Connect implements clients.Device: it connects over TLS, subscribes, does
// what the device does after every start (device.boot) and reports the first
// reading.
func (d *Device) Connect(ctx context.Context, first clients.Reading, arrived <-chan struct{}) error {
	if err := d.current().start(ctx); err != nil {
		return fmt.Errorf("mqtt: %w", err)
	}
	return d.Report(ctx, first, arrived)
}

// Report implements clients.Device: it publishes a reading. It returns when the
// platform has it and, with the shadow, the device has seen it accepted.
func (d *Device) Report(ctx context.Context, r clients.Reading, arrived <-chan struct{}) error {
	if err := reading.Format(d.opt.Encoding).Encodable(r); err != nil {
		return fmt.Errorf("mqtt: report: %w", err)
	}
	if err := d.current().report(ctx, r, arrived); err != nil {
		return fmt.Errorf("mqtt: report: %w", err)
	}
	return nil
}

// Command implements clients.Device. It returns when the application has the
// command and, with the shadow, the device has reported that it obeyed.
func (d *Device) Command(ctx context.Context, value int64, send func(context.Context) error) error {
	if err := d.current().command(ctx, value, send); err != nil {
		return fmt.Errorf("mqtt: command: %w", err)
	}
	return nil
}

// Expect implements clients.Device: a job describes its image.
func (d *Device) Expect(clients.Image) error { return nil }

// PowerOff implements clients.Rebooter.
func (d *Device) PowerOff() { d.current().kill() }

// PowerOn implements clients.Rebooter. The device goes on with a job that is
// in progress.
func (d *Device) PowerOn(ctx context.Context) error {
	life, err := newDevice(d.opt, d.env, d.tls)
	if err != nil {
		return fmt.Errorf("mqtt: power on: %w", err)
	}
	d.mu.Lock()
	d.life = life
	d.mu.Unlock()
	if err := life.start(ctx); err != nil {
		return fmt.Errorf("mqtt: power on: %w", err)
	}
	return nil
}

func (d *Device) current() *device {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.life
}

// Close implements clients.Device.
func (d *Device) Close() error {
	d.current().kill()
	return nil
}
