package lwm2m

import (
	"slices"
	"sync"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/tree"
)

// observers are the observations of a device's tree (section 6.4). Values that
// change are notified after pmin, values that do not after pmax.
type observers struct {
	tree *tree.Tree
	// confirmable says how a path's notifications travel.
	confirmable func(model.Path) bool
	// undelivered is told of a confirmable notification that was given up.
	undelivered func(*coap.Conn)

	// sending keeps notifications of one observation in the order of the
	// values they carry. mu is never held while sending, because ended wants it.
	sending sync.Mutex
	mu      sync.Mutex
	list    []*observing
}

// observing is one observation.
type observing struct {
	path    model.Path
	format  message.MediaType
	asked   bool
	coap    *coap.Observer
	last    time.Time // of the last notification
	changed bool      // since then
	timer   *time.Timer
	over    bool
}

// register begins an observation if r asks for one. The caller answers with
// the present value.
func (s *observers) register(r *coap.Request, path model.Path) {
	o := &observing{path: path, last: time.Now()}
	o.format, o.asked = r.Accept()
	conn := r.Conn()
	o.coap = r.AcceptObserve(func(reason error) { s.ended(o, conn, reason) })
	if o.coap == nil {
		return
	}
	s.mu.Lock()
	// A server has one observation of a path: the new one replaces the old.
	i := slices.IndexFunc(s.list, func(old *observing) bool { return old.path == path })
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

// note marks what observes one of the resources as changed, and sends what may
// be sent now.
func (s *observers) note(paths []model.Path) {
	s.mu.Lock()
	for _, o := range s.list {
		if slices.ContainsFunc(paths, o.path.Contains) {
			o.changed = true
		}
	}
	s.mu.Unlock()
	s.send()
}

// due is when the next notification is to be sent; zero for never.
func (s *observers) due(o *observing) time.Time {
	pmin, pmax := s.tree.Periods(o.path)
	switch {
	case o.changed:
		return o.last.Add(pmin)
	case pmax > 0:
		return o.last.Add(pmax)
	}
	return time.Time{}
}

// arm sets the timer of an observation; mu is held.
func (s *observers) arm(o *observing) {
	if o.timer != nil {
		o.timer.Stop()
	}
	if due := s.due(o); !due.IsZero() && !o.over {
		o.timer = time.AfterFunc(time.Until(due), s.send)
	}
}

// rearm follows changed attributes.
func (s *observers) rearm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.list {
		s.arm(o)
	}
}

// send notifies everything that is due, in the order of registration.
func (s *observers) send() {
	s.sending.Lock()
	defer s.sending.Unlock()
	for _, o := range s.takeDue() {
		payload, format, err := s.tree.Read(o.path, o.format, o.asked)
		resp := coap.NewResponse(codes.Content, format, payload)
		if err != nil {
			resp = failure(err) // the object is gone, which ends the observation
		}
		// An error says that the observation has ended meanwhile.
		_ = o.coap.Notify(resp, s.confirmable(o.path))
	}
}

func (s *observers) takeDue() []*observing {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	var list []*observing
	for _, o := range s.list {
		if due := s.due(o); !due.IsZero() && !due.After(now) {
			o.changed, o.last = false, now
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
