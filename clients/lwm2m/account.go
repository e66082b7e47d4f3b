package lwm2m

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
	"github.com/thinlink/thinlink/clients/lwm2m/tree"
)

// account is a LwM2M Server Account: the instances of the security and of the
// server object that share a Short Server ID. The device has one for each of its
// servers, with a session, a registration, timers and queue mode of its own;
// what becomes of one does not touch the others.
type account struct {
	remote
	device   *device
	opt      *Options // those for this server
	id       uint16   // Short Server ID
	instance uint16   // of the server object
	view     tree.View

	quit    context.CancelFunc // ends remote.life
	due     chan struct{}      // a registration update, now
	ordered chan func()        // what the server wants beside that

	mu       sync.Mutex
	link     *link // of the registration
	location string
	lifetime int64  // registered, in seconds
	version  string // of LwM2M, as the server has it
	stale    bool   // the registered list of objects
	known    bool   // has registered since the accounts were written
}

// newAccount prepares an account that the tree has.
func (d *device) newAccount(t tree.Account) (a *account, err error) {
	a = &account{
		device: d, opt: d.opt.server(t.ID), id: t.ID, instance: t.Server, view: d.tree.As(t.ID), version: d.opt.Version,
		due: make(chan struct{}, 1), ordered: make(chan func(), 1),
	}
	if a.source, a.cred, err = d.accountOf(t); err != nil {
		return nil, err
	}
	if a.opt.Queue {
		a.doze = &sleeper{awake: a.opt.Awake}
	}
	a.life, a.quit = context.WithCancel(d.ctx)
	return a, nil
}

// note and warn say which server it is about where there are several.
func (a *account) note(format string, args ...any) {
	a.device.note("%s", a.who()+fmt.Sprintf(format, args...))
}

func (a *account) warn(format string, args ...any) {
	a.device.warn("%s", a.about()+fmt.Sprintf(format, args...))
}

func (a *account) who() string { return "device: " + a.about() }

func (a *account) about() string {
	if len(a.device.all()) < 2 {
		return ""
	}
	return fmt.Sprintf("server %d: ", a.id)
}

// value is a resource of the account's server object; nil if it has none.
func (a *account) value(resource uint16) any {
	return a.device.tree.Get(objects.Server.ID, a.instance, resource)
}

// number is a resource that counts, or what the device has in its place.
func (a *account) number(resource uint16, otherwise int) int {
	if n, ok := model.Number(a.value(resource)); ok && n >= 0 {
		return int(n)
	}
	return otherwise
}

// seconds is the same for a resource that is a time.
func (a *account) seconds(resource uint16, otherwise time.Duration) time.Duration {
	if n, ok := model.Number(a.value(resource)); ok && n >= 0 {
		return time.Duration(n) * time.Second
	}
	return otherwise
}

// flag is a boolean resource, or its default.
func (a *account) flag(resource uint16, otherwise bool) bool {
	if b, ok := a.value(resource).(bool); ok {
		return b
	}
	return otherwise
}

// attempts is a registration attempt: communication sequences of several
// attempts to connect and register (appendix E.2, resources 17 to 20).
func (a *account) attempts(ctx context.Context) error {
	retries, pause := a.number(objects.ServerRetryCount, a.opt.RetryCount), a.seconds(objects.ServerRetryTimer, a.opt.RetryTimer)
	for n := 1; ; n++ {
		err := a.device.sequence(ctx, retries, pause, a.enter)
		if err == nil || n >= a.number(objects.ServerSequenceCount, 1) || ctx.Err() != nil || isFinal(err) {
			return err
		}
		if err := sleep(ctx, a.sequenceDelay()); err != nil {
			return err
		}
	}
}

// sequenceDelay is the pause between communication sequences.
func (a *account) sequenceDelay() time.Duration {
	return a.seconds(objects.ServerSequenceDelay, a.opt.SequenceDelay)
}

// enter opens a session in place of the old one and registers over it.
func (a *account) enter(ctx context.Context) error {
	if old := a.session(); old != nil {
		old.abort()
	}
	l, err := a.device.dial(ctx, a.remote, &dispatcher{a.view, a.device.obs, a.device.update.push})
	if err != nil {
		return err
	}
	a.mu.Lock()
	a.link = l
	a.mu.Unlock()
	a.note("session established")
	return a.register(ctx)
}

// session is the one of the registration; nil before the first.
func (a *account) session() *link {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.link
}

// register is section 6.2.1. A server that does not have the version gets the one
// before.
func (a *account) register(ctx context.Context) error {
	for {
		err := a.registerAs(ctx, a.version)
		var status *model.StatusError
		if !errors.As(err, &status) || status.Code != codes.PreconditionFailed || !a.fallBack() {
			return err
		}
	}
}

func (a *account) registerAs(ctx context.Context, version string) error {
	lifetime := int64(a.number(objects.ServerLifetime, int(defaultLifetime/time.Second)))
	req := coap.NewRequest(codes.POST, "/rd",
		"lwm2m="+version, "ep="+a.device.env.DeviceName(), "lt="+strconv.FormatInt(lifetime, 10), "b="+a.mode(version))
	if a.opt.Queue && version != content.V10 {
		req.AddQuery("Q")
	}
	if a.opt.Binding == BindingSMS {
		req.AddQuery("sms=" + deviceNumber)
	}
	req.WithPayload(coap.LinkFormat, content.AppendLinks(nil, a.device.tree.Registered()))
	resp, err := a.session().Do(ctx, req)
	if resp, err = checked("register", resp, err, codes.Created); err != nil {
		return err
	}
	a.mu.Lock()
	a.location, a.lifetime, a.stale, a.known = resp.LocationPath(), lifetime, false, true
	a.mu.Unlock()
	a.note("registered at %s", resp.LocationPath())
	a.announce()
	return nil
}

// deviceNumber is the device's MSISDN, one that nobody has (Ofcom, telephone
// numbers for drama use).
const deviceNumber = "447700900002"

// mode is the binding mode of a registration: version 1.0 has queue mode in it,
// later ones in a parameter of its own (section 6.2.1.2).
func (a *account) mode(version string) string {
	if a.opt.Queue && version == content.V10 {
		return a.opt.Binding + "Q"
	}
	return a.opt.Binding
}

// fallBack goes on with the version of LwM2M before the present one; false if
// there is none.
func (a *account) fallBack() bool {
	older, ok := olderThan(a.version)
	if !ok {
		return false
	}
	a.note("the server does not have LwM2M %s", a.version)
	a.version = older
	a.device.tree.SetVersion(older)
	return true
}

// refresh is a registration update (section 6.2.2), with what has changed. A
// server that does not know the registration gets a new one.
func (a *account) refresh(ctx context.Context) error {
	lifetime := int64(a.number(objects.ServerLifetime, int(defaultLifetime/time.Second)))
	a.mu.Lock()
	req := coap.NewRequest(codes.POST, a.location)
	if lifetime != a.lifetime {
		req.AddQuery("lt=" + strconv.FormatInt(lifetime, 10))
	}
	if a.stale {
		req.WithPayload(content.Links, content.AppendLinks(nil, a.device.tree.Registered()))
	}
	a.stale = false
	a.mu.Unlock()
	resp, err := a.session().Do(ctx, req)
	if err == nil && resp.Code == codes.NotFound {
		return a.register(ctx)
	}
	if _, err = checked("registration update", resp, err, codes.Changed); err != nil {
		return err
	}
	a.mu.Lock()
	a.lifetime = lifetime
	a.mu.Unlock()
	return nil
}

// leave is de-registration (section 6.2.3).
func (a *account) leave(ctx context.Context) error {
	a.mu.Lock()
	req := coap.NewRequest(codes.DELETE, a.location)
	a.location = ""
	a.mu.Unlock()
	resp, err := a.session().Do(ctx, req)
	_, err = checked("de-register", resp, err, codes.Deleted)
	return err
}

// registered is false for a device that has left, and knows it.
func (a *account) registered() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.location != ""
}

// defaultDisable is Disable Timeout without a value (appendix E.2, resource 5).
const defaultDisable = 24 * time.Hour

// disable leaves the server, neither says nor hears anything for Disable Timeout,
// and registers again (appendix E.2, resource 4).
func (a *account) disable() {
	if err := a.leave(a.life); err != nil {
		a.warn("%v", err)
	}
	a.session().leave(a.life)
	timeout := a.seconds(objects.ServerDisableTimeout, defaultDisable)
	a.note("disabled for %v", timeout)
	if sleep(a.life, timeout) == nil {
		a.insist(a.attempts(a.life))
	}
}

// updateInterval is the time to the next registration update.
func (a *account) updateInterval() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if lifetime := time.Duration(a.lifetime) * time.Second; lifetime != a.opt.Lifetime {
		return lifetime / 2
	}
	return a.opt.updateInterval()
}

// askUpdate makes stay update the registration now.
func (a *account) askUpdate() {
	select {
	case a.due <- struct{}{}:
	default: // it is going to, anyway
	}
}

// order makes stay do what the server wants, once the response has gone.
func (a *account) order(what func()) {
	time.AfterFunc(reaction, func() {
		select {
		case a.ordered <- what:
		default: // one waits already
		}
	})
}

// relist makes the device tell the server which instances it has.
func (a *account) relist() {
	a.mu.Lock()
	a.stale = true
	a.mu.Unlock()
	a.askUpdate()
}

// lose ends a session over which a confirmable message did not arrive.
func (a *account) lose(conn *coap.Conn) {
	if l := a.session(); l != nil && l.Conn == conn {
		a.note("a notification was not acknowledged")
		l.abort()
	}
}

var errSessionEnded = errors.New("the session has ended")

// stay keeps the registration until the account or the device ends.
func (a *account) stay() {
	timer := time.NewTimer(a.updateInterval())
	defer timer.Stop()
	for a.life.Err() == nil {
		var err error
		select {
		case <-a.life.Done():
			return
		case <-a.session().Done():
			err = errSessionEnded
		case <-timer.C:
			err = a.refresh(a.life)
		case <-a.due:
			err = a.refresh(a.life)
		case do := <-a.ordered:
			do()
		}
		if err != nil && a.life.Err() == nil {
			a.rejoin(err)
		}
		timer.Reset(a.updateInterval())
	}
}

// rejoin registers anew over a new session, however long that takes.
func (a *account) rejoin(why error) {
	a.note("registering anew: %v", why)
	if sleep(a.life, rejoinPause) == nil {
		a.insist(a.attempts(a.life))
	}
}

// insist goes on after a registration attempt that has failed, if err says so:
// with other accounts from the bootstrap server (appendix E.2, resource 16), or
// with the next attempt.
func (a *account) insist(err error) {
	for err != nil && a.life.Err() == nil {
		if a.device.opt.Bootstrap != BootstrapNone && a.flag(objects.ServerBootstrapOnFailure, true) {
			a.device.enrolAnew(err)
			return
		}
		pause := a.sequenceDelay()
		a.warn("not registered, trying again in %v: %v", pause, err)
		if sleep(a.life, pause) == nil {
			err = a.attempts(a.life)
		}
	}
}
