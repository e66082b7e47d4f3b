package lwm2m

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/tree"
)

// observers are the observations of a device's tree (section 6.4). Values that
// change are notified if their conditions hold, after pmin; values that do not,
// after pmax.
type observers struct {
	// confirmable says how a path's notifications travel, where no attribute does.
	confirmable func(model.Path) bool
	// undelivered is told of a confirmable notification that was given up.
	undelivered func(*coap.Conn)

	// sending keeps notifications of one observation in the order of the
	// values they carry. mu is never held while sending, because ended wants it.
	sending sync.Mutex
	mu      sync.Mutex
	list    []*observing
}

// observing is one observation: of one path, or of several by a composite.
type observing struct {
	view  tree.View
	paths []model.Path
	coap  *coap.Observer
	// read makes the notification of the present values.
	read func() (*coap.Response, error)

	last    time.Time // of the last notification
	looked  time.Time // at the values
	stale   []model.Path
	pending bool // something is worth a notification
	// notified and seen are values that have conditions, as they were notified and
	// looked at last.
	notified, seen map[model.Path]tree.Sample
	timer          *time.Timer
	over           bool
}

// register begins an observation if r asks for one. The caller answers with
// the present values.
func (s *observers) register(r *coap.Request, view tree.View, paths []model.Path, read func() (*coap.Response, error)) {
	now := time.Now()
	o := &observing{view: view, paths: paths, read: read, last: now, looked: now}
	o.seen = o.samples()
	o.notified = o.seen
	conn := r.Conn()
	o.coap = r.AcceptObserve(func(reason error) { s.ended(o, conn, reason) })
	if o.coap == nil {
		return
	}
	s.mu.Lock()
	// A server has one observation of a path: the new one replaces the old.
	i := slices.IndexFunc(s.list, func(old *observing) bool { return old.view.Server() == view.Server() && slices.Equal(old.paths, paths) })
	var old *coap.Observer
	if i >= 0 {
		old = s.list[i].coap
	}
	s.list = append(s.list, o)
	s.arm(o)
	s.mu.Unlock()
	if old != nil {
		old.End()
	}
}

// ended forgets an observation.
func (s *observers) ended(o *observing, conn *coap.Conn, reason error) {
	s.mu.Lock()
	o.over = true
	if o.timer != nil {
		o.timer.Stop()
	}
	s.list = slices.DeleteFunc(s.list, func(other *observing) bool { return other == o })
	s.mu.Unlock()
	if isTimeout(reason) {
		s.undelivered(conn)
	}
}

// note tells what observes one of the resources that they have changed, and
// sends what may be sent now.
func (s *observers) note(changes []model.Path) {
	s.mu.Lock()
	for _, o := range s.list {
		for _, path := range changes {
			if o.sees(path) {
				o.stale = append(o.stale, path)
			}
		}
	}
	s.mu.Unlock()
	s.send()
}

// sees reports whether a changed resource is, or is in, or contains, something
// observed.
func (o *observing) sees(path model.Path) bool {
	return slices.ContainsFunc(o.paths, func(p model.Path) bool { return p.Contains(path) || path.Contains(p) })
}

// samples are the values that have conditions.
func (o *observing) samples() map[model.Path]tree.Sample {
	all := make(map[model.Path]tree.Sample)
	for _, p := range o.paths {
		maps.Copy(all, o.view.Samples(p))
	}
	return all
}

// rules are those of the path or, of several, the ones that hold for all: the
// longest minimum period and the shortest maximum period.
func (o *observing) rules() (r tree.Rules) {
	for i, p := range o.paths {
		other := o.view.Rules(p)
		if i == 0 {
			r = other
			continue
		}
		r.MinPeriod, r.MinEvaluation = max(r.MinPeriod, other.MinPeriod), max(r.MinEvaluation, other.MinEvaluation)
		if r.MaxPeriod == 0 || other.MaxPeriod > 0 && other.MaxPeriod < r.MaxPeriod {
			r.MaxPeriod = other.MaxPeriod
		}
		if other.Confirmable != nil && *other.Confirmable {
			r.Confirmable = other.Confirmable
		}
	}
	return r
}

// look evaluates what has changed, unless it is too soon.
func (o *observing) look(now time.Time, r tree.Rules) {
	if len(o.stale) == 0 || now.Before(o.looked.Add(r.MinEvaluation)) {
		return
	}
	present := o.samples()
	for _, path := range o.stale {
		if o.view.Worth(path, o.seen, o.notified, present) {
			o.pending = true
		}
	}
	o.stale, o.seen, o.looked = nil, present, now
}

// due is when the next notification is to be sent, or the next look to be taken;
// zero for never.
func (o *observing) due(r tree.Rules) (at time.Time) {
	sooner := func(t time.Time) {
		if at.IsZero() || t.Before(at) {
			at = t
		}
	}
	if o.pending {
		sooner(o.last.Add(r.MinPeriod))
	}
	if len(o.stale) > 0 {
		sooner(o.looked.Add(r.MinEvaluation))
	}
	if r.MaxPeriod > 0 {
		sooner(o.last.Add(r.MaxPeriod))
	}
	return at
}

// arm sets the timer of an observation; mu is held.
func (s *observers) arm(o *observing) {
	if o.timer != nil {
		o.timer.Stop()
	}
	if due := o.due(o.rules()); !due.IsZero() && !o.over {
		o.timer = time.AfterFunc(time.Until(due), s.send)
	}
}

// rearm follows changed attributes.
func (s *observers) rearm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.list {
		o.seen = o.samples()
		if len(o.notified) == 0 {
			o.notified = o.seen // what was notified had no conditions to be kept for
		}
		s.arm(o)
	}
}

// send notifies everything that is due, in the order of registration.
func (s *observers) send() {
	s.sending.Lock()
	defer s.sending.Unlock()
	for _, o := range s.takeDue() {
		resp, err := o.read()
		if err != nil {
			resp = failure(err) // it is gone, which ends the observation
		}
		confirmable := s.confirmable(o.paths[0])
		if c := o.rules().Confirmable; c != nil {
			confirmable = *c
		}
		// An error says that the observation has ended meanwhile.
		_ = o.coap.Notify(resp, confirmable)
	}
}

func (s *observers) takeDue() []*observing {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	var list []*observing
	for _, o := range s.list {
		r := o.rules()
		o.look(now, r)
		late := r.MaxPeriod > 0 && !now.Before(o.last.Add(r.MaxPeriod))
		if late || o.pending && !now.Before(o.last.Add(r.MinPeriod)) {
			o.pending, o.last, o.notified = false, now, o.samples()
			list = append(list, o)
		}
		s.arm(o)
	}
	return list
}

// close ends all observations.
func (s *observers) close() {
	s.mu.Lock()
	list := slices.Clone(s.list)
	s.mu.Unlock()
	for _, o := range list {
		o.coap.End()
	}
}
