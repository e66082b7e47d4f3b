package mqtt

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/mqtt/jobs"
	"github.com/thinlink/thinlink/clients/mqtt/shadow"
	"github.com/thinlink/thinlink/clients/pki"
)

var (
	_ clients.Rebooter          = (*session)(nil)
	_ clients.PlatformRestarter = (*session)(nil)
)

// session is a device and its platform.
type session struct {
	opt       Options
	env       *clients.Env
	deviceTLS *tls.Config
	platform  *platform
	updates   int

	mu     sync.Mutex
	device *device
}

func start(opt Options, env *clients.Env) (*session, error) {
	deviceTLS, platformTLS, err := tlsConfigs(opt, env)
	if err != nil {
		return nil, err
	}
	p, err := newPlatform(opt, env, platformTLS)
	if err != nil {
		return nil, err
	}
	d, err := newDevice(opt, env, deviceTLS)
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	return &session{opt: opt, env: env, deviceTLS: deviceTLS, platform: p, device: d}, nil
}

// Connect connects over TLS, subscribes, does what the device does after every
// start (device.boot) and reports the first reading.
func (s *session) Connect(ctx context.Context, first clients.Reading) error {
	if err := s.current().start(ctx); err != nil {
		return fmt.Errorf("mqtt: %w", err)
	}
	return s.Report(ctx, first)
}

// Report publishes a reading. It returns when the platform has it and, with
// the shadow, the device has seen it accepted.
func (s *session) Report(ctx context.Context, r clients.Reading) error {
	if math.IsNaN(r.Float) || math.IsInf(r.Float, 0) {
		return fmt.Errorf("mqtt: report: JSON has no number %v", r.Float)
	}
	if err := s.report(ctx, r); err != nil {
		return fmt.Errorf("mqtt: report: %w", err)
	}
	return nil
}

func (s *session) report(ctx context.Context, r clients.Reading) error {
	d := s.current()
	if s.opt.Topics == "plain" {
		_, err := exchange(ctx, d, s.platform.await(r), d.publish(ctx, reportTopic, plainReport(r)))
		return err
	}
	return d.updateShadow(ctx, func(token string) []byte { return shadowReport(readingObject(r), token, s.opt.Indent) })
}

// updateShadow publishes a shadow update that must be accepted.
func (d *device) updateShadow(ctx context.Context, payload func(token string) []byte) error {
	a, err := d.request(ctx, shadow.Topic(pki.DeviceName, "update"), payload)
	if err == nil && !a.accepted {
		err = fmt.Errorf("shadow update rejected: %s", a.payload)
	}
	return err
}

// Command sends an integer. It returns when the device's application has it
// and, with the shadow, the device has reported that it obeyed.
func (s *session) Command(ctx context.Context, value int64) error {
	if err := s.command(ctx, value); err != nil {
		return fmt.Errorf("mqtt: command: %w", err)
	}
	return nil
}

func (s *session) command(ctx context.Context, value int64) error {
	d := s.current()
	done := make(chan struct{})
	stop := make(chan struct{})
	defer close(stop)
	go func() { // pass on the awaited command, drop others
		for {
			select {
			case v := <-d.commands:
				if v == value {
					close(done)
					return
				}
			case <-stop:
				return
			}
		}
	}()
	if _, err := exchange(ctx, d, done, func(*link) error { return s.platform.command(value) }); err != nil {
		return err
	}
	if s.opt.Topics == "plain" {
		return nil
	}
	return d.updateShadow(ctx, func(token string) []byte {
		return shadowReport(&object{Command: &value}, token, s.opt.Indent)
	})
}

// Update offers the image as a job. It returns when the device has reported to
// the platform how it ended.
func (s *session) Update(ctx context.Context, img clients.Image) error {
	if err := s.update(ctx, img); err != nil {
		return fmt.Errorf("mqtt: update: %w", err)
	}
	return nil
}

func (s *session) update(ctx context.Context, img clients.Image) error {
	s.updates++
	ended, err := s.platform.offer(fmt.Sprintf("update-%06d", s.updates), jobDocument{
		Operation: "update", Name: img.Name, Version: img.Version, Size: int64(len(img.Data)),
		SHA256: hex.EncodeToString(img.SHA256[:]),
	}, img.Data)
	if err != nil {
		return err
	}
	select {
	case e := <-ended:
		if e.Status != jobs.Succeeded {
			return fmt.Errorf("job %s: %s", e.Status, e.StatusDetails["reason"])
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// PowerOff implements clients.Rebooter.
func (s *session) PowerOff() { s.current().kill() }

// PowerOn implements clients.Rebooter. The device goes on with a job that is
// in progress.
func (s *session) PowerOn(ctx context.Context) error {
	d, err := newDevice(s.opt, s.env, s.deviceTLS)
	if err != nil {
		return fmt.Errorf("mqtt: power on: %w", err)
	}
	s.mu.Lock()
	s.device = d
	s.mu.Unlock()
	if err := d.start(ctx); err != nil {
		return fmt.Errorf("mqtt: power on: %w", err)
	}
	return nil
}

// RestartPlatform implements clients.PlatformRestarter: shadows, jobs, images,
// retained messages and persistent MQTT sessions are kept, clean sessions are
// not.
func (s *session) RestartPlatform(ctx context.Context) error {
	if err := s.platform.restart(); err != nil {
		return fmt.Errorf("mqtt: restart platform: %w", err)
	}
	return ctx.Err()
}

func (s *session) current() *device {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.device
}

// Close switches the device off and stops the platform.
func (s *session) Close() error {
	s.current().kill()
	if err := s.platform.close(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("mqtt: close: %w", err)
	}
	return nil
}
