package lwm2m

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
	"github.com/thinlink/thinlink/clients/lwm2m/tree"
)

const (
	// reaction is how long either application takes to act on something by
	// itself, so that the response that is under way goes first.
	reaction = 10 * time.Millisecond
	// rejoinPause lets a lost session's last packets pass.
	rejoinPause = time.Second
	// shortServerID is how the device knows its first server (appendix E.2, resource 0).
	shortServerID = 1
)

// device is the client: it keeps itself registered and answers its servers.
type device struct {
	opt    *Options
	env    *clients.Env
	cred   credentials            // from the factory
	ticket tls.ClientSessionCache // of HTTPS downloads; nil asks for none
	tree   *tree.Tree
	obs    *observers
	update *updater

	ctx    context.Context
	cancel context.CancelFunc
	tasks  sync.WaitGroup
	// commanded says that a command has come.
	commanded chan struct{}
	// traffic is what its sockets carry; clockOffset is how far its clock is ahead,
	// in seconds.
	traffic     *traffic
	clockOffset atomic.Int64
	// reboot asks whoever holds the power switch to turn it off and on; it
	// does not wait.
	reboot func()

	mu        sync.Mutex
	accounts  []*account
	enrolling bool // the bootstrap server is asked for other accounts
	// dialled numbers the sessions: each draws other message IDs and tokens, as
	// RFC 7252 section 4.4 wants it, lest the server take a request after a
	// reboot for one that it has answered.
	dialled int
}

// newDevice boots a device: what it had in memory is as from the factory, what
// it had in flash memory is still there.
func newDevice(opt *Options, env *clients.Env, reboot func()) (*device, error) {
	d := &device{opt: opt, env: env, reboot: reboot, commanded: make(chan struct{}, 1)}
	var err error
	if d.cred, err = opt.deviceCredentials(env); err != nil {
		return nil, err
	}
	if opt.Resumption != ResumeNone {
		d.ticket = tls.NewLRUClientSessionCache(1)
	}
	if d.update, err = newUpdater(d); err != nil {
		return nil, err
	}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	d.traffic = newTraffic(headers(opt.Binding, env.Device.Addr()), env.Now)
	d.tree = tree.New(tree.Config{
		Version: opt.Version, Format: opt.format(),
		Changed:      func(paths []model.Path) { d.obs.note(paths) },
		Restructured: d.relist,
	})
	d.obs = &observers{
		confirmable: func(p model.Path) bool {
			return opt.Notify == NotifyCon || p.Object() == objects.Firmware.ID
		},
		undelivered: d.lose,
	}
	d.populate()
	if opt.Bootstrap == BootstrapNone {
		err = d.adopt()
	}
	return d, err
}

func (d *device) note(format string, args ...any) {
	d.env.Record(clients.Event{Kind: clients.EventState, Detail: fmt.Sprintf(format, args...)})
}

func (d *device) warn(format string, args ...any) {
	d.env.Record(clients.Event{Kind: clients.EventWarning, Detail: "device: " + fmt.Sprintf(format, args...)})
}

// connect joins the servers, stays with them until close, and goes on with an
// update that an earlier life of the device has left.
func (d *device) connect(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(d.ctx, func() { cancel(errOff) })()
	if err := d.join(ctx); err != nil {
		return err
	}
	d.update.resume()
	return nil
}

var errOff = errors.New("the device is off")

// restart reboots by request.
func (d *device) restart() {
	if d.ctx.Err() == nil {
		d.note("device: reboot")
		d.reboot()
	}
}

// close cuts the device's power: it ends without a word to the server.
func (d *device) close() {
	d.cancel() // which aborts all sessions
	d.update.interrupt()
	d.tasks.Wait()
	d.obs.close()
}

// isTransient tells errors of the session from refusals by the peer.
func isTransient(err error) bool {
	return isTimeout(err) || errors.Is(err, coap.ErrClosed) || errors.Is(err, errOver) || errors.Is(err, coap.ErrReset)
}

func isTimeout(err error) bool {
	var timeout *coap.TimeoutError
	return errors.As(err, &timeout)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
