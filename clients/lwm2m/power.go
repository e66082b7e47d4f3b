package lwm2m

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/thinlink/thinlink/clients"
)

// bootTime is how long a device that reboots by itself is away.
const bootTime = time.Second

// Device implements clients.Device: a device and its power switch.
type Device struct {
	opt *Options
	env *clients.Env

	mu     sync.Mutex
	life   *device
	last   clients.Reading
	offs   int // how often the power was cut
	closed bool

	ctx   context.Context
	quit  context.CancelFunc
	tasks sync.WaitGroup
}

// NewDevice prepares a device on Env.Device, for the server at Env.Site.
// Errors: no certificates where the options need them, an unreadable flash
// memory.
func NewDevice(opt Options, env *clients.Env) (d *Device, err error) {
	if err := opt.Validate(); err != nil {
		return nil, err
	}
	if env.PKI == nil && opt.needsPKI() {
		return nil, errNoPKI
	}
	d = &Device{opt: &opt, env: env}
	d.ctx, d.quit = context.WithCancel(context.Background())
	if d.life, err = newDevice(d.opt, env, d.powerCycle); err != nil {
		d.quit()
		return nil, fmt.Errorf("lwm2m: device: %w", err)
	}
	return d, nil
}

// sense gives the device a new reading.
func (d *Device) sense(r clients.Reading) *device {
	d.mu.Lock()
	d.last = r
	life := d.life
	d.mu.Unlock()
	life.set(r)
	return life
}

// Connect implements clients.Device: it registers. The server reads the first
// reading when it observes.
func (d *Device) Connect(ctx context.Context, first clients.Reading, _ <-chan struct{}) error {
	if err := d.sense(first).connect(ctx); err != nil {
		return fmt.Errorf("lwm2m: connect: %w", err)
	}
	return nil
}

// Report implements clients.Device: it notifies whoever observes.
func (d *Device) Report(ctx context.Context, r clients.Reading, arrived <-chan struct{}) error {
	life := d.sense(r)
	if d.opt.Report == ReportSend {
		if err := life.send(ctx); err != nil && arrived == nil {
			return fmt.Errorf("lwm2m: report: %w", err)
		}
	}
	if arrived == nil {
		return nil
	}
	bounded, cancel := ctx, context.CancelFunc(func() {})
	if d.opt.Notify == NotifyNon && d.opt.Report == ReportNotify {
		bounded, cancel = context.WithTimeout(ctx, d.opt.ReportWait)
	}
	defer cancel()
	select {
	case <-arrived:
		return nil
	case <-bounded.Done():
	}
	if ctx.Err() != nil {
		return fmt.Errorf("lwm2m: report: %w", context.Cause(ctx))
	}
	d.env.Record(clients.Event{Kind: clients.EventWarning, Detail: fmt.Sprintf("server: report %d had not arrived after %v", r.Integer, d.opt.ReportWait)})
	return nil
}

// Command implements clients.Device. What the server has sent has reached the
// application when the server has its response.
func (d *Device) Command(ctx context.Context, _ int64, send func(context.Context) error) error {
	if send != nil {
		return send(ctx)
	}
	d.mu.Lock()
	life := d.life
	d.mu.Unlock()
	select {
	case <-life.commanded:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("lwm2m: command: %w", context.Cause(ctx))
	}
}

// Expect implements clients.Device.
func (d *Device) Expect(img clients.Image) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.life.update.expect(img); err != nil {
		return fmt.Errorf("lwm2m: update: %w", err)
	}
	return nil
}

// PowerOff implements clients.Rebooter.
func (d *Device) PowerOff() { d.powerOff() }

// powerOff returns how often the power has been cut, this time included.
func (d *Device) powerOff() int {
	d.mu.Lock()
	d.offs++
	n, life := d.offs, d.life
	d.mu.Unlock()
	life.close()
	return n
}

// PowerOn implements clients.Rebooter. The device measures again what it
// measured before, registers, and goes on with an update.
func (d *Device) PowerOn(ctx context.Context) error {
	life, err := newDevice(d.opt, d.env, d.powerCycle)
	if err != nil {
		return fmt.Errorf("lwm2m: boot: %w", err)
	}
	d.mu.Lock()
	old := d.life
	life.dialled = old.dials()
	if d.closed {
		old = life
	} else {
		d.life = life
	}
	last, closed := d.last, d.closed
	d.mu.Unlock()
	old.close()
	if closed {
		return fmt.Errorf("lwm2m: boot: %w", net.ErrClosed)
	}
	life.set(last)
	if err := life.connect(ctx); err != nil {
		return fmt.Errorf("lwm2m: boot: %w", err)
	}
	return nil
}

// powerCycle is a reboot that the device itself begins. If somebody else cuts
// the power meanwhile, they also turn it on.
func (d *Device) powerCycle() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	d.tasks.Go(func() {
		n := d.powerOff()
		if err := sleep(d.ctx, bootTime); err != nil {
			return
		}
		d.mu.Lock()
		mine := d.offs == n
		d.mu.Unlock()
		if !mine {
			return
		}
		if err := d.PowerOn(d.ctx); err != nil && d.ctx.Err() == nil {
			d.env.Record(clients.Event{Kind: clients.EventWarning, Detail: err.Error()})
		}
	})
}

// Close implements clients.Device.
func (d *Device) Close() error {
	d.quit()
	d.mu.Lock()
	d.closed = true
	life := d.life
	d.mu.Unlock()
	life.close()
	d.tasks.Wait()
	return nil
}
