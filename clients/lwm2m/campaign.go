package lwm2m

import (
	"context"
	"errors"
	"fmt"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/coap"
)

// campaign is the server's side of one firmware update: it observes state and
// result of object 5, writes the URI or pushes the package, and waits for the
// end. When the device
// registers anew meanwhile, it observes again and goes on.
type campaign struct {
	platform *Platform
	*client
	uri     string // empty: the package is pushed
	image   clients.Image
	begun   bool  // the URI was written, perhaps, or the push may begin
	sent    int64 // bytes of the package that the device has taken
	pushed  bool  // all of them
	applied bool  // Update was executed, surely
}

func (u *campaign) run(ctx context.Context) error {
	for {
		reg := u.get().reg
		if reg == nil {
			return fmt.Errorf("not connected")
		}
		ended, err := u.pursue(ctx, reg)
		if ended || ctx.Err() != nil {
			return err
		}
		// Unless it only did not answer, the device will register anew.
		again := isTimeout(err)
		if err := u.wait(ctx, func(b facts) bool { return again || b.reg != reg }); err != nil {
			return err
		}
	}
}

// pursue goes on with the update over one registration. ended is false if the
// device has to register anew first.
func (u *campaign) pursue(ctx context.Context, reg *registration) (ended bool, err error) {
	if err := u.prepare(ctx, reg); err != nil {
		return !isTransient(err), err
	}
	for {
		b := u.get()
		switch {
		case b.reg != reg:
			return false, nil
		case b.result == ResultSuccess && u.platform.opt.Apply:
			return true, nil
		case b.result != ResultInitial && b.result != ResultDeferred:
			return true, fmt.Errorf("the device reports: %v", b.result)
		case b.state == Downloaded && !u.platform.opt.Apply:
			return true, nil
		case u.uri == "" && !u.pushed && b.state != Downloaded:
			if err := u.push(ctx, reg); err != nil {
				return !isTransient(err), err
			}
		case b.state == Downloaded && !u.applied:
			if err := reg.Execute(ctx, firmwarePath(objects.FirmwareUpdate), ""); err != nil {
				return !isTransient(err), err
			}
			u.applied = true
		default:
			err := u.wait(ctx, func(now facts) bool {
				return now.reg != reg || now.state != b.state || now.result != b.result
			})
			if err != nil {
				return true, err
			}
		}
	}
}

// prepare observes and, the first time, resets the device if need be and writes
// the URI.
func (u *campaign) prepare(ctx context.Context, reg *registration) error {
	observe := func(resource uint16, store func(*facts, int64)) error {
		path := firmwarePath(resource)
		_, err := reg.Observe(ctx, path, anyFormat, func(resp *coap.Response) {
			if v, err := integerOf(resp, path); err == nil && resp.IsSuccess() {
				u.set(func(b *facts) { store(b, v) })
			}
		})
		return err
	}
	if err := observe(objects.FirmwareState, func(b *facts, v int64) { b.state = FirmwareState(v) }); err != nil {
		return err
	}
	if err := observe(objects.FirmwareResult, func(b *facts, v int64) { b.result = FirmwareResult(v) }); err != nil {
		return err
	}
	b := u.get()
	fresh := b.state == Idle && b.result == ResultInitial
	if u.begun && !fresh {
		u.pushed = u.pushed && b.state != Downloading
		return nil
	}
	if !fresh {
		if err := reg.WriteText(ctx, firmwarePath(objects.FirmwareURI), ""); err != nil {
			return err
		}
		u.set(func(b *facts) { b.state, b.result = Idle, ResultInitial })
	}
	u.begun, u.pushed = true, false
	if u.uri == "" {
		return nil
	}
	err := reg.WriteText(ctx, firmwarePath(objects.FirmwareURI), u.uri)
	var status *model.StatusError
	if !errors.As(err, &status) || status.Code != codes.MethodNotAllowed {
		return err
	}
	// Refused, perhaps because an earlier attempt, of which only the response
	// was lost, has begun the download.
	if state, readErr := reg.ReadInteger(ctx, firmwarePath(objects.FirmwareState)); readErr != nil || FirmwareState(state) == Idle {
		return err
	}
	return nil
}

func firmwarePath(resource uint16) model.Path { return model.NewPath(objects.Firmware.ID, 0, resource) }
