package lwm2m

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/thinlink/thinlink/clients"
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

	mu      sync.Mutex
	machine Firmware
	flash   flash
	// wanted is the digest in the package's signed description, which the
	// device is taken to know how to check.
	wanted  [sha256.Size]byte
	version string
	cancel  context.CancelFunc // of the download that runs
	done    chan struct{}      // closed when it has ended
}

// flash is what survives a reboot: the package so far and its entity tag.
type flash struct {
	data []byte
	etag string
}

func newUpdater(d *device) *updater { return &updater{device: d} }

// instance is the firmware update object.
func (u *updater) instance() *Instance {
	protocols := Multiple{}
	for i, p := range u.protocols() {
		protocols[uint16(i)] = int64(p)
	}
	return &Instance{
		Values: Values{
			firmwareURI: "", firmwareState: int64(Idle), firmwareResult: int64(ResultInitial),
			firmwareName: "", firmwareVersion: "", firmwareProtocols: protocols,
			firmwareDelivery: int64(0), // pull only
		},
		OnWrite:   u.write,
		OnExecute: u.execute,
	}
}

// protocols are those that the device can pull with.
func (u *updater) protocols() []FirmwareProtocol {
	list := []FirmwareProtocol{ProtocolCoAP}
	if u.device.opt.Security == Certificate {
		list = []FirmwareProtocol{ProtocolCoAPS}
	}
	if u.device.env.PKI != nil {
		list = append(list, ProtocolHTTPS)
	}
	return list
}

// expect says what the next package must be.
func (u *updater) expect(img clients.Image) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.wanted, u.version = img.SHA256, img.Version
}

// write is the server writing Package or Package URI.
func (u *updater) write(v Values) (Values, error) {
	if p, ok := v[firmwarePackage].([]byte); ok {
		if err := u.resetBy(func() error { return u.machine.SetPackage(p) }); err != nil {
			return nil, err
		}
		return Values{firmwareURI: ""}, nil
	}
	uri := v[firmwareURI].(string) // nothing else can be written there
	if uri == "" {
		err := u.resetBy(func() error { _, err := u.machine.SetURI("", nil); return err })
		return v, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	download, err := u.machine.SetURI(uri, u.protocols())
	if err != nil {
		return nil, err
	}
	u.flash = flash{}
	u.changed()
	if download {
		u.start()
	}
	return v, nil
}

// execute is the server executing Update or Cancel.
func (u *updater) execute(resource uint16, _ string) error {
	if resource == firmwareCancel {
		return u.resetBy(u.machine.Cancel)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := u.machine.Update(); err != nil {
		return err
	}
	u.changed()
	time.AfterFunc(applyTime, u.apply)
	return nil
}

// resetBy takes the machine out of what it was doing.
func (u *updater) resetBy(step func() error) error {
	u.mu.Lock()
	err := step()
	if err == nil {
		u.flash = flash{}
		u.changed()
	}
	u.mu.Unlock()
	if err == nil {
		u.interrupt()
	}
	return err
}

// changed records the state and lets the object follow. It follows a moment
// later, so that the response to the operation goes before the notification.
// mu is held.
func (u *updater) changed() {
	u.device.env.Record(clients.Event{Kind: clients.EventOTAState, Detail: u.describe()})
	time.AfterFunc(reaction, u.publish)
}

func (u *updater) describe() string {
	if u.machine.Result == ResultInitial {
		return u.machine.State.String()
	}
	return fmt.Sprintf("%v: %v", u.machine.State, u.machine.Result)
}

// publish gives the object's resources the state of the machine, as far as
// they differ.
func (u *updater) publish() {
	u.publishing.Lock()
	defer u.publishing.Unlock()
	u.mu.Lock()
	state, result := int64(u.machine.State), int64(u.machine.Result)
	u.mu.Unlock()
	tree, values := u.device.tree, make(Values)
	if tree.Get(firmwareObject.ID, 0, firmwareState) != state {
		values[firmwareState] = state
	}
	if tree.Get(firmwareObject.ID, 0, firmwareResult) != result {
		values[firmwareResult] = result
	}
	tree.Set(firmwareObject.ID, 0, values)
}

// start begins or resumes a download; mu is held.
func (u *updater) start() {
	ctx, cancel := context.WithCancel(u.device.ctx)
	done := make(chan struct{})
	uri := u.machine.URI
	u.cancel, u.done = cancel, done
	go func() {
		defer close(done)
		defer cancel()
		if err := sleep(ctx, 2*reaction); err != nil { // the state is told first
			return
		}
		err := u.fetch(ctx, uri)
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
	u.mu.Unlock()
	if cancel != nil {
		cancel()
		<-done
	}
}

// resume goes on with a download that was interrupted.
func (u *updater) resume() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.machine.State == Downloading && u.cancel == nil && u.device.ctx.Err() == nil {
		u.start()
	}
}

// ended judges what a download has brought.
func (u *updater) ended(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.cancel, u.done = nil, nil
	result := ResultInitial
	switch {
	case err != nil:
		result = resultOf(err)
		u.device.note("device: download failed: %v", err)
	case sha256.Sum256(u.flash.data) != u.wanted:
		result = ResultIntegrity
	}
	if result != ResultInitial {
		u.flash = flash{}
	}
	u.machine.DownloadEnded(result)
	u.changed()
}

// resultOf is the update result of a download's error.
func resultOf(err error) FirmwareResult {
	var status *StatusError
	if errors.As(err, &status) && status.Code>>5 == 4 {
		return ResultInvalidURI
	}
	return ResultConnectionLost
}

// apply makes the package the running firmware and reboots.
func (u *updater) apply() {
	if u.device.ctx.Err() != nil {
		return
	}
	u.mu.Lock()
	u.machine.Applied(ResultSuccess)
	u.flash = flash{}
	version := u.version
	u.changed()
	u.mu.Unlock()
	u.device.reboot()
	u.device.tree.Set(deviceObject.ID, 0, Values{deviceFirmware: version})
}

// keep stores a piece of the package, which ends there.
func (u *updater) keep(offset int64, data []byte) {
	u.mu.Lock()
	u.flash.data = append(u.flash.data[:offset], data...)
	u.mu.Unlock()
	u.device.env.Record(clients.Event{Kind: clients.EventOTAData, Offset: offset, Length: int64(len(data))})
}

// kept is how much of the package is there, of which version.
func (u *updater) kept() (size int64, etag string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return int64(len(u.flash.data)), u.flash.etag
}

// label notes the package's entity tag.
func (u *updater) label(etag string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.flash.etag = etag
}

// erase forgets a package that has changed on the server.
func (u *updater) erase() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.flash = flash{}
}
