package lwm2m

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
	"github.com/thinlink/thinlink/clients/lwm2m/tree"
	"sync"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/coap"
)

// applyTime is how long the device works on a package before it reboots.
const applyTime = time.Second

// updater performs firmware updates on the device: it runs the state machine,
// downloads in the background, and keeps what it has in flash memory, from
// which it resumes after an interruption.
type updater struct {
	device *device
	// publishing keeps two publishes from telling one change twice.
	publishing sync.Mutex

	mu     sync.Mutex
	flash  *storage
	cancel context.CancelFunc // of the download that runs
	done   chan struct{}      // closed when it has ended

	unpublished []model.Values // states that the object is still to show

	pusher  *coap.Conn  // session of the push
	heard   time.Time   // the last block of a push
	silence *time.Timer // of a push; nil without one
}

func newUpdater(d *device) (*updater, error) {
	s, err := openStorage(d.env.Flash)
	if err != nil {
		return nil, err
	}
	return &updater{device: d, flash: s}, nil
}

// instance is the firmware update object as the flash memory has it.
func (u *updater) instance() *tree.Instance {
	protocols := model.Multiple{}
	for i, p := range u.protocols() {
		protocols[uint16(i)] = int64(p)
	}
	m := u.flash.Machine
	return &tree.Instance{
		Values: model.Values{
			objects.FirmwareURI: m.URI, objects.FirmwareState: int64(m.State), objects.FirmwareResult: int64(m.Result),
			objects.FirmwareProtocols: protocols, objects.FirmwareDelivery: deliveryBoth,
			objects.FirmwareName: "", objects.FirmwareVersion: "",
			objects.FirmwareSeverity: u.flash.Severity, objects.FirmwareChanged: u.flash.Changed, objects.FirmwareMaxDefer: uint64(u.flash.MaxDefer),
		},
		OnWrite: u.write,
		Execute: map[uint16]func(string) error{
			objects.FirmwareUpdate: func(string) error { return u.execute() },
			objects.FirmwareCancel: func(string) error { return u.reset((*Firmware).Cancel) },
		},
	}
}

// deliveryBoth is the value of resource 9: packages are pulled and pushed.
const deliveryBoth = int64(2)

// protocols are those that the device can pull with.
func (u *updater) protocols() []FirmwareProtocol {
	list := []FirmwareProtocol{ProtocolCoAP, ProtocolCoAPTCP}
	if u.device.opt.secure() {
		list = []FirmwareProtocol{ProtocolCoAPS, ProtocolCoAPTLS}
	}
	if u.device.env.PKI != nil {
		list = append(list, ProtocolHTTPS)
	}
	return list
}

// expect says what the next package must be: its signed description, which
// the device is taken to have and to know how to check.
func (u *updater) expect(img clients.Image) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.flash.Wanted, u.flash.Name, u.flash.Version = img.SHA256, img.Name, img.Version
	return u.flash.save()
}

// write is the server writing Package or Package URI, or how urgent the update
// is.
func (u *updater) write(v model.Values) (model.Values, error) {
	if err := u.urgency(v); err != nil {
		return nil, err
	}
	p, push := v[objects.FirmwarePackage].([]byte)
	uri, pull := v[objects.FirmwareURI].(string)
	delete(v, objects.FirmwarePackage) // it goes to flash memory
	switch {
	case push && len(p) == 1 && p[0] == 0, pull && uri == "":
		v[objects.FirmwareURI] = ""
		return v, u.reset(func(m *Firmware) error {
			_, err := m.SetURI("", nil)
			return err
		})
	case push:
		v[objects.FirmwareURI] = ""
		return v, u.pushWhole(p)
	case pull:
		return v, u.pull(uri)
	}
	return v, nil
}

// pull begins a download.
func (u *updater) pull(uri string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	download, err := u.flash.Machine.SetURI(uri, u.protocols())
	if err != nil {
		return err
	}
	u.changed(u.flash.erase())
	if download {
		u.start()
	}
	return nil
}

// execute is the server executing Update.
func (u *updater) execute() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := u.flash.Machine.Update(); err != nil {
		return err
	}
	if u.deferral() > 0 {
		u.flash.Machine.Defer()
		u.changed(u.flash.save())
		time.AfterFunc(u.deferral(), u.insist)
		return nil
	}
	u.changed(u.flash.save())
	time.AfterFunc(applyTime, u.apply)
	return nil
}

// reset takes the machine out of what it was doing, and forgets the package.
func (u *updater) reset(step func(*Firmware) error) error {
	u.mu.Lock()
	err := step(&u.flash.Machine)
	if err == nil {
		u.unwatch()
		u.changed(u.flash.erase())
	}
	u.mu.Unlock()
	if err == nil {
		u.interrupt()
	}
	return err
}

// changed records the state and lets the object follow. It follows a moment
// later, so that the response to the operation goes before the notification.
// saved is what came of making it durable. mu is held.
func (u *updater) changed(saved error) {
	if saved != nil {
		u.device.warn("flash memory: %v", saved)
	}
	m := u.flash.Machine
	u.flash.Changed = u.device.env.Now().Unix()
	detail := m.State.String()
	if m.Result != ResultInitial {
		detail += ": " + m.Result.String()
	}
	u.device.env.Record(clients.Event{Kind: clients.EventOTAState, Detail: detail})
	now := model.Values{
		objects.FirmwareState: int64(m.State), objects.FirmwareResult: int64(m.Result), objects.FirmwareURI: m.URI,
		objects.FirmwareName: "", objects.FirmwareVersion: "", // of the package that is there
		objects.FirmwareChanged: u.flash.Changed,
	}
	if m.State == Downloaded {
		now[objects.FirmwareName], now[objects.FirmwareVersion] = u.flash.Name, u.flash.Version
	}
	u.unpublished = append(u.unpublished, now)
	time.AfterFunc(reaction, u.publish)
}

// publish gives the object's resources the state that the machine came to, as
// far as they differ: one state after the other, lest one that came back within
// no time goes unnoticed.
func (u *updater) publish() {
	u.publishing.Lock()
	defer u.publishing.Unlock()
	u.mu.Lock()
	now := u.unpublished[0]
	u.unpublished = u.unpublished[1:]
	u.mu.Unlock()
	tree := u.device.tree
	for id := range now {
		if tree.Get(objects.Firmware.ID, 0, id) == now[id] {
			delete(now, id)
		}
	}
	tree.Set(objects.Firmware.ID, 0, now)
}

// start begins or resumes a download; mu is held.
func (u *updater) start() {
	ctx, cancel := context.WithCancel(u.device.ctx)
	done := make(chan struct{})
	uri := u.flash.Machine.URI
	u.cancel, u.done = cancel, done
	go func() {
		defer close(done)
		defer cancel()
		if err := sleep(ctx, 2*reaction); err != nil { // the state is told first
			return
		}
		err := u.obtain(ctx, uri)
		if ctx.Err() == nil {
			u.ended(err)
		}
	}()
}

// interrupt stops the download, if there is one; what is there stays.
func (u *updater) interrupt() {
	u.mu.Lock()
	cancel, done := u.cancel, u.done
	u.cancel, u.done = nil, nil
	if u.device.ctx.Err() != nil {
		u.unwatch()
	}
	u.mu.Unlock()
	if cancel != nil {
		cancel()
		<-done
	}
}

// resume goes on with an update after a reboot.
func (u *updater) resume() {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.cancel != nil || u.device.ctx.Err() != nil:
	case u.flash.Machine.Pushed():
		u.watch()
	case u.flash.Machine.State == Downloading:
		u.start()
	case u.flash.Machine.State == Updating:
		time.AfterFunc(applyTime, u.apply)
	case u.flash.Machine.Result == ResultDeferred:
		time.AfterFunc(u.deferral(), u.insist)
	}
}

// obtain downloads the package and checks it. If it is wrong and came in part
// out of an earlier life, that part is to blame: once more from the start.
func (u *updater) obtain(ctx context.Context, uri string) error {
	if err := u.announced(-1); err != nil {
		return err
	}
	for {
		if err := u.fetch(ctx, uri); err != nil {
			return err
		}
		u.mu.Lock()
		err := u.verify()
		again := errors.Is(err, errIntegrity) && u.flash.resumed
		if again {
			err = u.flash.erase()
		}
		u.mu.Unlock()
		if err != nil || !again {
			return err
		}
	}
}

// announced judges the package when its size becomes known.
func (u *updater) announced(size int64) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.judge(size)
}

// ended notes what a download has come to.
func (u *updater) ended(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.cancel, u.done = nil, nil
	u.conclude(err)
}

// conclude ends state Downloading; mu is held.
func (u *updater) conclude(err error) {
	u.flash.Machine.DownloadEnded(resultOf(err))
	if err != nil {
		u.device.note("device: download failed: %v", err)
		u.changed(u.flash.erase())
		return
	}
	u.changed(u.flash.save())
}

// apply makes the package the running firmware and reboots. A package that has
// gone wrong since its download stays where it is.
func (u *updater) apply() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.device.ctx.Err() != nil || u.flash.Machine.State != Updating {
		return // off; it will go on when it boots
	}
	if err := u.verify(); err != nil {
		u.device.note("device: update failed: %v", err)
		u.flash.Machine.Applied(ResultFailed)
		u.changed(u.flash.save())
		return
	}
	u.flash.Machine.Applied(ResultSuccess)
	u.flash.Running = u.flash.Version
	u.changed(u.flash.erase())
	u.device.restart()
}

// keep stores a piece of the package, which ends there.
func (u *updater) keep(offset int64, data []byte) error {
	u.mu.Lock()
	err := u.store(offset, data)
	u.mu.Unlock()
	if err != nil {
		return err
	}
	u.tell(offset, len(data))
	return nil
}

// store writes a piece to flash memory, unless there is no power; mu is held.
func (u *updater) store(offset int64, data []byte) error {
	if u.device.ctx.Err() != nil {
		return errOff
	}
	if err := u.judge(offset + int64(len(data))); err != nil {
		return err
	}
	if err := u.flash.append(offset, data); err != nil {
		return fmt.Errorf("%w: %w", errFlash, err)
	}
	return nil
}

// kept is how much of the package is there, of which version.
func (u *updater) kept() (size int64, etag []byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.flash.size, u.flash.ETag
}

// label notes the package's entity tag, if it is new.
func (u *updater) label(etag []byte) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if bytes.Equal(etag, u.flash.ETag) {
		return nil
	}
	u.flash.ETag = etag
	if err := u.flash.save(); err != nil {
		return fmt.Errorf("%w: %w", errFlash, err)
	}
	return nil
}

// erase forgets a package that has changed on the server.
func (u *updater) erase() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := u.flash.erase(); err != nil {
		return fmt.Errorf("%w: %w", errFlash, err)
	}
	return nil
}
