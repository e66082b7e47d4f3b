package lwm2m

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
)

// join gets the device its accounts and registers with their servers. A device
// that none takes, and has its accounts from a bootstrap server, asks that for
// others (section 6.1.4; appendix E.2, resource 16, whose default is true).
func (d *device) join(ctx context.Context) error {
	err := d.enrol(ctx)
	if err == nil {
		err = d.registerAll(ctx)
	}
	if err == nil || ctx.Err() != nil || d.opt.Bootstrap == BootstrapNone || len(d.all()) == 0 {
		return err
	}
	d.note("device: not registered, asking the bootstrap server: %v", err)
	d.forsake()
	if err := d.enrol(ctx); err != nil {
		return err
	}
	return d.registerAll(ctx)
}

// sequence is a communication sequence: a first attempt and retries, after pauses
// that double (appendix E.2, resources 17 and 18).
func (d *device) sequence(ctx context.Context, retries int, pause time.Duration, try func(context.Context) error) error {
	for attempt := 0; ; attempt++ {
		err := try(ctx)
		if err == nil || attempt == retries || ctx.Err() != nil || isFinal(err) {
			return err
		}
		d.note("device: attempt %d to register failed: %v", attempt+1, err)
		if err := sleep(ctx, pause<<attempt); err != nil {
			return err
		}
	}
}

// isFinal tells refusals that another attempt will not change.
func isFinal(err error) bool {
	var status *model.StatusError
	return errors.As(err, &status) && status.Code>>5 == 4
}

// A setback is an account that did not register, and those that wait for it.
type setback struct {
	account *account
	err     error
	waiting []*account
}

// registerAll registers with all servers and stays with them. It fails if none
// takes the device; otherwise it goes on with the others by itself.
func (d *device) registerAll(ctx context.Context) error {
	var mu sync.Mutex
	var setbacks []setback
	var tasks sync.WaitGroup
	rows := inOrder(d.all())
	for _, row := range rows {
		tasks.Go(func() {
			s := d.follow(ctx, row)
			mu.Lock()
			defer mu.Unlock()
			setbacks = append(setbacks, s...)
		})
	}
	tasks.Wait()
	var errs []error
	missing := 0
	for _, s := range setbacks {
		errs = append(errs, s.err)
		missing += 1 + len(s.waiting)
	}
	if missing == len(d.all()) || ctx.Err() != nil {
		return errors.Join(errs...)
	}
	d.persist(setbacks)
	return nil
}

// inOrder are the accounts in rows: those with a Registration Priority Order, by
// it, and each of the others alone (appendix E.2, resource 13).
func inOrder(accounts []*account) (rows [][]*account) {
	var ordered []*account
	for _, a := range accounts {
		if a.value(objects.ServerPriority) != nil {
			ordered = append(ordered, a)
		} else {
			rows = append(rows, []*account{a})
		}
	}
	slices.SortStableFunc(ordered, func(a, b *account) int {
		return cmp.Compare(a.number(objects.ServerPriority, 0), b.number(objects.ServerPriority, 0))
	})
	if len(ordered) > 0 {
		rows = append(rows, ordered)
	}
	return rows
}

// follow registers with servers one after another, and stays with those that take
// the device: the next one's turn is after its Initial Registration Delay, and
// not at all while one fails that has a Registration Failure Block (appendix E.2,
// resources 14 and 15; the latter's default is false).
func (d *device) follow(ctx context.Context, row []*account) (setbacks []setback) {
	for i, a := range row {
		err := a.await(ctx, i)
		if err == nil {
			err = a.attempts(ctx)
		}
		if err == nil {
			d.tasks.Go(a.stay)
			continue
		}
		s := setback{account: a, err: err}
		if a.flag(objects.ServerFailureBlock, false) {
			s.waiting = row[i+1:]
		}
		if setbacks = append(setbacks, s); s.waiting != nil {
			break
		}
	}
	return setbacks
}

// await waits for the turn of the i-th server to register with.
func (a *account) await(ctx context.Context, i int) error {
	a.mu.Lock()
	known := a.known
	a.mu.Unlock()
	if i == 0 || known {
		return context.Cause(ctx)
	}
	return sleep(ctx, a.seconds(objects.ServerInitialDelay, 0))
}

// persist goes on with servers that did not take the device.
func (d *device) persist(setbacks []setback) {
	for _, s := range setbacks {
		d.tasks.Go(func() {
			s.account.insist(s.err)
			d.tasks.Go(func() { d.persist(d.follow(s.account.life, s.waiting)) })
			s.account.stay()
		})
	}
}

// all are the accounts that the device has.
func (d *device) all() []*account {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.accounts
}

// account is the one of an instance of the server object; nil if it is none.
func (d *device) account(instance uint16) *account {
	for _, a := range d.all() {
		if a.instance == instance {
			return a
		}
	}
	return nil
}

// lose ends a session over which a confirmable message did not arrive.
func (d *device) lose(conn *coap.Conn) {
	for _, a := range d.all() {
		a.lose(conn)
	}
}

// askUpdate makes the device update all registrations now.
func (d *device) askUpdate() {
	for _, a := range d.all() {
		a.askUpdate()
	}
}

// relist makes the device tell all servers which instances it has.
func (d *device) relist() {
	for _, a := range d.all() {
		a.relist()
	}
}
