package tc

import (
	"math"
	"sync"
	"time"

	"github.com/thinlink/thinlink/netem"
)

// A driver does what netem cannot by changing the disciplines as the run goes
// on. It keeps a netem.Link that is offered the same packets as the kernel.
// What a packet would wait there for coverage, a page or a connection is added
// to the delay before one comes; netem's rate keeps the order when it ends. In
// an outage that loses, everything is lost.
type driver struct {
	bed *Testbed

	mu      sync.Mutex
	link    *netem.Link
	started time.Time
	radio   bool
	now     time.Time
	timer   *time.Timer
	holds   [2]hold
	longest [2]time.Duration // wait so far
	silent  [2][]span        // when a direction lost everything
	changes uint64
	closed  bool
	err     error // of the first change that failed
}

// A hold is what a direction does beyond its plan.
type hold struct {
	wait time.Duration
	lost bool
}

// A span is a time from start on; end is zero while it lasts.
type span struct{ start, end time.Time }

func (b *Testbed) newDriver(start time.Time) (*driver, error) {
	model := b.cfg.Drive.Model
	for _, c := range []*netem.DirectionConfig{&model.Up, &model.Down} { // the kernel's share
		*c = netem.DirectionConfig{Rate: c.Rate, Overhead: c.Overhead}
	}
	model.MTU = 0
	d := &driver{bed: b, started: start, now: start, radio: model.Radio != nil}
	d.timer = time.AfterFunc(math.MaxInt64, func() { d.do(func() {}) })
	var err error
	if d.link, err = netem.NewLink(model, b.cfg.Drive.Seed, start, radioTap{b.cfg.Drive.Radio}); err != nil {
		return nil, err
	}
	d.do(func() {})
	return d, d.err
}

// radioTap passes on the radio's states.
type radioTap struct {
	states func(time.Time, netem.RadioState)
}

func (radioTap) Sent(time.Time, uint64, netem.Direction, []byte) {}
func (radioTap) Delivered(time.Time, uint64)                     {}
func (radioTap) Dropped(time.Time, uint64, netem.Drop)           {}
func (t radioTap) Radio(now time.Time, state netem.RadioState) {
	if t.states != nil {
		t.states(now, state)
	}
}

// do lets something happen to the model now and follows it.
func (d *driver) do(event func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	if now := time.Now(); now.After(d.now) {
		d.now = now
	}
	d.link.Advance(d.now, func(netem.Direction, []byte) {})
	event()
	d.follow()
}

// packet tells of a packet that came to the router.
func (d *driver) packet(dir netem.Direction, ip []byte) {
	if d.radio { // else nothing depends on it
		d.do(func() { d.link.Send(d.now, dir, ip) })
	}
}

func (d *driver) outage(length time.Duration) {
	d.do(func() { d.link.Outage(d.now, length) })
}

// follow sets what holds now and comes back when it changes. A wait that
// shrinks is followed in steps, so that a packet is late by less than one: of a
// 64th while a connection or coverage is coming, of a 16th while an idle device
// waits for its next page, which it does all the time.
func (d *driver) follow() {
	next, changes := d.link.NextChange()
	steps := time.Duration(16)
	if d.shrinks(netem.Up, d.now.Add(time.Millisecond)) {
		steps = 64
	}
	for dir := range d.holds {
		wait, ok := d.link.Wait(d.now, netem.Direction(dir))
		step := d.now.Add(max(wait/steps, 2*time.Millisecond))
		if (!changes || step.Before(next)) && d.shrinks(netem.Direction(dir), step) {
			next, changes = step, true
		}
		d.set(netem.Direction(dir), hold{wait, !ok})
	}
	if changes {
		d.timer.Reset(max(0, next.Sub(d.now)))
	}
}

// shrinks says whether a direction's wait is another at a later time if nothing
// happens.
func (d *driver) shrinks(dir netem.Direction, later time.Time) bool {
	now, _ := d.link.Wait(d.now, dir)
	then, _ := d.link.Wait(later, dir)
	return now != then
}

// set changes a direction's discipline if it has to.
func (d *driver) set(dir netem.Direction, h hold) {
	was := d.holds[dir]
	if h == was {
		return
	}
	d.holds[dir] = h
	d.longest[dir] = max(d.longest[dir], h.wait)
	if spans := d.silent[dir]; was.lost && !h.lost {
		spans[len(spans)-1].end = d.now
	} else if h.lost && !was.lost {
		d.silent[dir] = append(spans, span{start: d.now})
	}
	n := *d.bed.cfg.Plan.Direction(dir)
	n.Delay += h.wait
	if h.lost {
		n.Loss, n.Gemodel = math.MaxUint32, nil
	}
	if n.Seed != 0 { // setting it starts the generator afresh
		d.changes++
		n.Seed ^= d.changes << 32
	}
	port := d.bed.up
	if dir == netem.Down {
		port = d.bed.down
	}
	if err := d.bed.router.setNetem(root(port.name, port.index), &n); err != nil && d.err == nil {
		d.err = err
	}
}

// explain corrects what passages concludes from the plan alone: what was lost
// while a direction lost everything fell to the outage.
func (d *driver) explain(list []Passage) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, p := range list {
		if p.Lost != netem.DropLoss {
			continue
		}
		for _, s := range d.silent[p.Dir] {
			if !p.Sent.Before(s.start) && (s.end.IsZero() || p.Sent.Before(s.end)) {
				list[i].Lost = netem.DropOutage
			}
		}
	}
}

// slower is a plan whose directions are as slow as they ever were.
func (d *driver) slower(p Plan) Plan {
	d.mu.Lock()
	defer d.mu.Unlock()
	p.Up.Delay += d.longest[netem.Up]
	p.Down.Delay += d.longest[netem.Down]
	return p
}

func (d *driver) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	d.timer.Stop()
	return d.err
}
