package lwm2m

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
	"github.com/thinlink/thinlink/clients/lwm2m/tree"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/clients/dgram"
)

const (
	// reaction is how long either application takes to act on something by
	// itself, so that the response that is under way goes first.
	reaction = 10 * time.Millisecond
	// rejoinPause lets a lost session's last packets pass.
	rejoinPause = time.Second
	// shortServerID is how the device knows its server (appendix E.2, resource 0).
	shortServerID = 1
)

// device is the client: it keeps itself registered and answers the server.
type device struct {
	opt  *Options
	env  *clients.Env
	cred credentials // for bootstrap server and packages
	// registrar are the credentials for server, enrolled whether it is known: from
	// the beginning, or when there is an account.
	registrar credentials
	enrolled  bool
	doze      sleeper
	ticket    tls.ClientSessionCache // of HTTPS downloads; nil asks for none
	server    netip.AddrPort
	tree      *tree.Tree
	obs       *observers
	update    *updater

	ctx    context.Context
	cancel context.CancelFunc
	tasks  sync.WaitGroup
	due    chan struct{} // a registration update, now
	// commanded says that a command has come.
	commanded chan struct{}
	// traffic is what its sockets carry; clockOffset is how far its clock is ahead,
	// in seconds.
	traffic     *traffic
	clockOffset atomic.Int64
	// reboot asks whoever holds the power switch to turn it off and on; it
	// does not wait.
	reboot func()

	mu       sync.Mutex
	link     *link // of the registration
	location string
	lifetime int64  // registered, in seconds
	version  string // of LwM2M, as the server has it
	stale    bool   // the registered list of objects
	anew     bool   // the account is to come from the bootstrap server again
	// dialled numbers the sessions: each draws other message IDs and tokens, as
	// RFC 7252 section 4.4 wants it, lest the server take a request after a
	// reboot for one that it has answered.
	dialled int
}

// link is a session with the platform.
type link struct {
	*coap.Conn
	pc io.Closer
}

// abort ends the session without a word to the peer.
func (l *link) abort() {
	_ = l.pc.Close()
	_ = l.Conn.Close()
}

// leave ends the session with a DTLS close_notify, unless the device is off.
func (l *link) leave(on context.Context) {
	if on.Err() != nil {
		l.abort()
		return
	}
	_ = l.Conn.Close()
}

// newDevice boots a device: what it had in memory is as from the factory, what
// it had in flash memory is still there.
func newDevice(opt *Options, env *clients.Env, reboot func()) (*device, error) {
	d := &device{opt: opt, env: env, reboot: reboot, due: make(chan struct{}, 1), commanded: make(chan struct{}, 1)}
	port := portCoAP
	if opt.secure() {
		port = portCoAPS
	}
	d.server = env.At(uint16(port))
	var err error
	if d.cred, err = opt.deviceCredentials(env); err != nil {
		return nil, err
	}
	d.registrar, d.enrolled = d.cred, opt.Bootstrap == BootstrapNone
	if opt.Queue {
		d.doze.awake = opt.Awake
	}
	if opt.Resumption != ResumeNone {
		d.ticket = tls.NewLRUClientSessionCache(1)
	}
	if d.update, err = newUpdater(d); err != nil {
		return nil, err
	}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	d.version = opt.Version
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
	return d, nil
}

func (d *device) note(format string, args ...any) {
	d.env.Record(clients.Event{Kind: clients.EventState, Detail: fmt.Sprintf(format, args...)})
}

func (d *device) warn(format string, args ...any) {
	d.env.Record(clients.Event{Kind: clients.EventWarning, Detail: "device: " + fmt.Sprintf(format, args...)})
}

// connect joins the server, stays with it until close, and goes on with an
// update that an earlier life of the device has left.
func (d *device) connect(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(d.ctx, func() { cancel(errOff) })()
	if err := d.join(ctx); err != nil {
		return err
	}
	d.tasks.Go(d.stay)
	d.update.resume()
	return nil
}

var errOff = errors.New("the device is off")

// join connects and registers. A device that cannot, and has its account from a
// bootstrap server, asks that for another one (section 6.1.4; appendix E.2,
// resource 16, whose default is true).
func (d *device) join(ctx context.Context) error {
	err := d.attempts(ctx)
	if err == nil || ctx.Err() != nil || d.opt.Bootstrap == BootstrapNone || !d.enrolled {
		return err
	}
	d.note("device: not registered, asking the bootstrap server: %v", err)
	d.forsake()
	return d.attempts(ctx)
}

// attempts connects and registers, several times if need be (section 6.2.1.2).
func (d *device) attempts(ctx context.Context) error {
	for attempt := 0; ; attempt++ {
		err := d.enter(ctx)
		if err == nil || attempt == d.opt.RetryCount || ctx.Err() != nil || isFinal(err) {
			return err
		}
		d.note("device: attempt %d to register failed: %v", attempt+1, err)
		if err := sleep(ctx, d.opt.RetryTimer<<attempt); err != nil {
			return err
		}
	}
}

// isFinal tells refusals that another attempt will not change.
func isFinal(err error) bool {
	var status *model.StatusError
	return errors.As(err, &status) && status.Code>>5 == 4
}

// enter opens a session in place of the old one and registers over it.
func (d *device) enter(ctx context.Context) error {
	d.mu.Lock()
	old := d.link
	d.mu.Unlock()
	if old != nil {
		old.abort()
	}
	if err := d.enrol(ctx); err != nil {
		return err
	}
	l, err := d.dialRegistrar(ctx, &dispatcher{d.tree.As(shortServerID), d.obs, d.update.push})
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.link = l
	d.mu.Unlock()
	d.note("device: session established")
	return d.register(ctx)
}

// dialRegistrar opens a session with the server.
func (d *device) dialRegistrar(ctx context.Context, h coap.Handler) (*link, error) {
	if d.opt.Binding == BindingTCP {
		return d.dialStream(ctx, d.server, d.opt.secure(), h)
	}
	return d.dialWith(ctx, d.server, d.opt.secure(), d.registrar, h)
}

// dialDatagrams opens a session with an address over UDP or DTLS.
func (d *device) dialDatagrams(ctx context.Context, to netip.AddrPort, secure bool, h coap.Handler) (*link, error) {
	return d.dialWith(ctx, to, secure, d.cred, h)
}

func (d *device) dialWith(ctx context.Context, to netip.AddrPort, secure bool, cred credentials, h coap.Handler) (*link, error) {
	conn, pc, err := d.open(ctx, to, secure, cred)
	if err != nil {
		return nil, err
	}
	return d.converse(coap.NewConn(conn, d.nextConfig(), h), pc), nil
}

// nextConfig is the configuration of a new session, with its own generator.
func (d *device) nextConfig() coap.Config {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dialled++
	cfg := d.opt.CoAP.Device
	cfg.Rand = generator(d.env.Seed, streamDeviceCoAP, d.dialled)
	return cfg
}

// dials counts the sessions that were begun, in earlier lives of the device, too.
func (d *device) dials() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dialled
}

// converse serves a session until it ends or the power is cut.
func (d *device) converse(conn *coap.Conn, pc io.Closer) *link {
	l := &link{conn, pc}
	stop := context.AfterFunc(d.ctx, l.abort)
	d.tasks.Go(func() {
		_ = l.Serve() // who uses the session sees its end
		stop()
	})
	return l
}

func (d *device) open(ctx context.Context, to netip.AddrPort, secure bool, cred credentials) (net.Conn, io.Closer, error) {
	if !secure {
		conn, err := d.env.Device.DialContext(ctx, "udp", to.String())
		if err != nil {
			return nil, nil, err
		}
		conn = d.doze.datagrams(d.traffic.datagrams(conn))
		return conn, conn, nil
	}
	pc, err := d.env.Device.ListenPacket("udp", hostPort(d.env.Device, 0))
	if err != nil {
		return nil, nil, err
	}
	pc = d.doze.packets(d.traffic.packets(pc))
	conn, err := dgram.Dial(ctx, pc, net.UDPAddrFromAddrPort(to), d.env.ServerName(), cred, d.opt.DTLS.Device, d.opt.ConnectionID, d.env.KeyLog)
	return conn, pc, err
}

// session is the one of the registration.
func (d *device) session() *link {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.link
}

// register is section 6.2.1. A server that does not have the version gets the one
// before.
func (d *device) register(ctx context.Context) error {
	for {
		err := d.registerAs(ctx, d.version)
		var status *model.StatusError
		if !errors.As(err, &status) || status.Code != codes.PreconditionFailed || !d.fallBack() {
			return err
		}
	}
}

func (d *device) registerAs(ctx context.Context, version string) error {
	lifetime := d.tree.Get(objects.Server.ID, 0, objects.ServerLifetime).(int64)
	req := coap.NewRequest(codes.POST, "/rd",
		"lwm2m="+version, "ep="+d.env.DeviceName(), "lt="+strconv.FormatInt(lifetime, 10), "b="+d.binding(version))
	if d.opt.Queue && version != content.V10 {
		req.AddQuery("Q")
	}
	req.WithPayload(coap.LinkFormat, content.AppendLinks(nil, d.tree.Registered()))
	resp, err := d.session().Do(ctx, req)
	if resp, err = checked("register", resp, err, codes.Created); err != nil {
		return err
	}
	d.mu.Lock()
	d.location, d.lifetime, d.stale = resp.LocationPath(), lifetime, false
	d.mu.Unlock()
	d.note("device: registered at %s", resp.LocationPath())
	d.announce()
	return nil
}

// binding is the binding mode of a registration: version 1.0 has queue mode in
// it, later ones in a parameter of its own (section 6.2.1.2).
func (d *device) binding(version string) string {
	if d.opt.Queue && version == content.V10 {
		return d.opt.Binding + "Q"
	}
	return d.opt.Binding
}

// refresh is a registration update (section 6.2.2), with what has changed. A
// server that does not know the registration gets a new one.
func (d *device) refresh(ctx context.Context) error {
	lifetime := d.tree.Get(objects.Server.ID, 0, objects.ServerLifetime).(int64)
	d.mu.Lock()
	req := coap.NewRequest(codes.POST, d.location)
	if lifetime != d.lifetime {
		req.AddQuery("lt=" + strconv.FormatInt(lifetime, 10))
	}
	if d.stale {
		req.WithPayload(content.Links, content.AppendLinks(nil, d.tree.Registered()))
	}
	d.stale = false
	d.mu.Unlock()
	resp, err := d.session().Do(ctx, req)
	if err == nil && resp.Code == codes.NotFound {
		return d.register(ctx)
	}
	if _, err = checked("registration update", resp, err, codes.Changed); err != nil {
		return err
	}
	d.mu.Lock()
	d.lifetime = lifetime
	d.mu.Unlock()
	return nil
}

// leave is de-registration (section 6.2.3).
func (d *device) leave(ctx context.Context) error {
	d.mu.Lock()
	req := coap.NewRequest(codes.DELETE, d.location)
	d.mu.Unlock()
	resp, err := d.session().Do(ctx, req)
	_, err = checked("de-register", resp, err, codes.Deleted)
	return err
}

// updateInterval is the time to the next registration update.
func (d *device) updateInterval() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if lifetime := time.Duration(d.lifetime) * time.Second; lifetime != d.opt.Lifetime {
		return lifetime / 2
	}
	return d.opt.updateInterval()
}

// askUpdate makes stay update the registration now.
func (d *device) askUpdate() {
	select {
	case d.due <- struct{}{}:
	default: // it is going to, anyway
	}
}

// lose ends a session over which a confirmable notification did not arrive.
func (d *device) lose(conn *coap.Conn) {
	if l := d.session(); l != nil && l.Conn == conn {
		d.note("device: a notification was not acknowledged")
		l.abort()
	}
}

// restart reboots by request.
func (d *device) restart() {
	if d.ctx.Err() == nil {
		d.note("device: reboot")
		d.reboot()
	}
}

var errSessionEnded = errors.New("the session has ended")

// stay keeps the registration until close.
func (d *device) stay() {
	timer := time.NewTimer(d.updateInterval())
	defer timer.Stop()
	for d.ctx.Err() == nil {
		var err error
		select {
		case <-d.ctx.Done():
			return
		case <-d.session().Done():
			err = errSessionEnded
		case <-timer.C:
			err = d.refresh(d.ctx)
		case <-d.due:
			err = d.refresh(d.ctx)
		}
		if err != nil && d.ctx.Err() == nil {
			d.rejoin(err)
		}
		timer.Reset(d.updateInterval())
	}
}

// rejoin registers anew over a new session, however long that takes.
func (d *device) rejoin(why error) {
	d.note("device: registering anew: %v", why)
	err := sleep(d.ctx, rejoinPause)
	for err == nil {
		if err = d.join(d.ctx); err == nil {
			return
		}
		if d.ctx.Err() == nil {
			d.warn("not registered, trying again in %v: %v", d.opt.SequenceDelay, err)
			err = sleep(d.ctx, d.opt.SequenceDelay)
		}
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
