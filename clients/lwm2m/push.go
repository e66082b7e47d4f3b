package lwm2m

import (
	"bytes"
	"context"
	"errors"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/coap"
)

// packagePath is the resource that packages are pushed to.
var packagePath = firmwarePath(objects.FirmwarePackage)

// ServeBlock implements coap.BlockHandler: a package that is pushed goes to
// flash memory block by block. All other requests are seen whole, among them
// the NUL byte that resets.
func (d *dispatcher) ServeBlock(_ context.Context, r *coap.Request, b coap.Block) *coap.Response {
	format, given := r.ContentFormat()
	whole := b.Offset == 0 && b.Last
	if d.pushed == nil || r.Code != codes.PUT || r.Path() != packagePath.String() || whole || given && format != coap.Octets {
		return nil
	}
	if !r.Holds(d.view.Exists(packagePath)) {
		return coap.Status(codes.PreconditionFailed)
	}
	return d.pushed(r, b)
}

// push takes one block of a package. The request tag (RFC 9175 section 3) says
// which package it is of, so that a push goes on over another session and after
// a power cut. Without one the session does (RFC 7959 section 2.5).
func (u *updater) push(r *coap.Request, b coap.Block) *coap.Response {
	u.mu.Lock()
	defer u.mu.Unlock()
	tag, _ := r.Bytes(coap.RequestTag)
	m := &u.flash.Machine
	tagged := len(tag) > 0 || b.Offset > 0 && r.Conn() == u.pusher
	same := m.URI == "" && tagged && bytes.Equal(tag, u.flash.ETag)
	end := b.Offset + int64(len(b.Data))
	switch {
	case same && m.State == Downloaded && end <= u.flash.size: // the response was lost
		u.tell(b.Offset, len(b.Data))
		if b.Last {
			return coap.Status(codes.Changed)
		}
		return coap.Status(codes.Continue)
	case same && m.State == Downloading:
	case b.Offset > 0 && (m.State == Idle || m.Pushed()):
		return r.Incomplete(0)
	default:
		if err := u.beginPush(tag, b.Size); err != nil {
			return failure(err)
		}
		u.pusher = r.Conn()
	}
	return u.takeBlock(r, b)
}

// beginPush makes room for a package of a size, -1 if that is unknown; mu is
// held. A push without tag that begins anew replaces an unfinished one.
func (u *updater) beginPush(tag []byte, size int64) error {
	if u.flash.Machine.Pushed() {
		u.flash.Machine = Firmware{}
	}
	if err := u.flash.Machine.BeginPush(); err != nil {
		return err
	}
	err := u.flash.erase()
	if err == nil {
		u.flash.ETag = bytes.Clone(tag)
		err = u.flash.save()
	}
	u.changed(err)
	if err == nil {
		err = u.judge(size)
	}
	if err != nil {
		u.endPush(err)
		return model.Refuse(pushCode(err), err.Error())
	}
	u.watch()
	return nil
}

// takeBlock stores what is new in a block; mu is held.
func (u *updater) takeBlock(r *coap.Request, b coap.Block) *coap.Response {
	data, ok := b.After(u.flash.size)
	if !ok {
		return r.Incomplete(u.flash.size)
	}
	u.heard = time.Now()
	u.tell(b.Offset, len(b.Data))
	if len(data) > 0 {
		if err := u.store(u.flash.size, data); err != nil {
			u.endPush(err)
			return coap.Status(pushCode(err))
		}
	}
	if !b.Last {
		return coap.Status(codes.Continue)
	}
	u.endPush(u.verify())
	return coap.Status(codes.Changed)
}

// pushCode is the response to a block that ends a push.
func pushCode(err error) codes.Code {
	switch {
	case errors.Is(err, errPackageType):
		return codes.UnsupportedMediaType
	case errors.Is(err, errNoRoom):
		return codes.RequestEntityTooLarge
	}
	return codes.InternalServerError
}

// pushWhole takes a package that came in one message.
func (u *updater) pushWhole(data []byte) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := u.beginPush(nil, int64(len(data))); err != nil {
		return err
	}
	u.tell(0, len(data))
	err := u.store(0, data)
	if err == nil {
		err = u.verify()
	}
	u.endPush(err)
	return nil
}

// endPush notes what a push has come to; mu is held.
func (u *updater) endPush(err error) {
	u.unwatch()
	u.conclude(err)
}

// watch looks after a push, which the device cannot tell from one that the
// server has given up or that comes by a session that only the server lost: a
// silence longer than the server's retransmissions makes the device update its
// registration, which mends the session. mu is held.
func (u *updater) watch() {
	u.unwatch()
	u.heard = time.Now()
	u.watchAgain(u.device.opt.CoAP.Device.MaxTransmitWait())
}

func (u *updater) watchAgain(after time.Duration) {
	u.silence = time.AfterFunc(after, func() { u.watched(after) })
}

// watched acts on a silence, and waits twice as long for the next one.
func (u *updater) watched(after time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.silence == nil || u.device.ctx.Err() != nil {
		return // the push has ended
	}
	u.unwatch()
	opt := u.device.opt
	patience, silent := opt.CoAP.Device.MaxTransmitWait(), time.Since(u.heard)
	switch {
	case silent >= opt.DownloadPatience:
		u.endPush(errSilence)
	case silent < patience:
		u.watchAgain(patience - silent)
	default:
		u.device.note("device: no block for %v", silent)
		u.device.askUpdate()
		u.watchAgain(min(2*max(after, patience), opt.DownloadPatience-silent))
	}
}

// unwatch ends the watch; mu is held.
func (u *updater) unwatch() {
	if u.silence != nil {
		u.silence.Stop()
		u.silence = nil
	}
}

// tell records image bytes that reached the device.
func (u *updater) tell(offset int64, n int) {
	u.device.env.Record(clients.Event{Kind: clients.EventOTAData, Offset: offset, Length: int64(n)})
}
