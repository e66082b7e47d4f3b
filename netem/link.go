package netem

import (
	"fmt"
	"math"
	"time"
)

// never is a time that does not come.
const never = math.MaxInt64

// Link carries IP packets between a device and its platform. It is driven by
// its caller: Send offers a packet, Next says when to call Advance, and
// Advance hands over what has arrived. A Link is not safe for concurrent use.
type Link struct {
	start   time.Time
	now     int64 // time of the latest event, in ns after start
	running bool  // inside Advance
	lastID  uint64
	tap     Tap

	mtu    int
	dirs   [2]*direction
	airs   []*air // one, or one per direction
	outage outages
	radio  *radio // nil: always reachable, states are not reported
}

// NewLink makes a link at rest at time start. seed determines everything that
// is random. tap may be nil.
func NewLink(cfg Config, seed uint64, start time.Time, tap Tap) (*Link, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("netem: %w", err)
	}
	l := &Link{start: start, tap: tap, mtu: int(cfg.MTU), outage: newOutages(cfg)}
	l.dirs = [2]*direction{newDirection(cfg, Up, seed), newDirection(cfg, Down, seed)}
	l.airs = newAirs(cfg, l.dirs)
	if cfg.Radio != nil {
		l.radio = newRadio(cfg.Radio, seed)
		l.reportRadio()
	}
	return l, nil
}

// Send offers a packet, from the IP header on. The link keeps the slice until
// it hands it over. Times must not go backwards; Send may be called from
// within Advance's deliver, and then happens at the time of that delivery.
func (l *Link) Send(now time.Time, dir Direction, ip []byte) {
	l.catchUp(now)
	l.lastID++
	p := packet{id: l.lastID, ip: ip}
	d := l.dirs[dir]
	d.stats.In++
	d.stats.InBytes += uint64(len(ip))
	if l.tap != nil {
		l.tap.Sent(l.at(l.now), p.id, dir, ip)
	}
	if why := l.refuse(d, ip); why != "" {
		l.drop(d, p, why)
		return
	}
	pause := !d.hasWork()
	d.queue.push(p)
	d.queuedBytes += len(ip)
	if pause {
		l.gate(d)
	}
	l.work()
}

// refuse says why a packet is not admitted to the queue, "" if it is. The
// order is netem's: a lost packet takes no place in the queue.
func (l *Link) refuse(d *direction, ip []byte) Drop {
	switch {
	case l.mtu > 0 && len(ip) > l.mtu:
		return DropMTU
	case l.outage.loses():
		return DropOutage
	case d.dir == Down && l.radio != nil && l.radio.deaf():
		return DropOutage
	case d.place != PlaceAir && d.loss.lost():
		return DropLoss
	case !d.fits(len(ip)):
		return DropQueue
	}
	return ""
}

// Outage takes the link down from now for the given time, as an outage of the
// configuration does. Outages that overlap are united.
func (l *Link) Outage(now time.Time, duration time.Duration) {
	l.catchUp(now)
	l.goDown(l.now + int64(duration))
	l.work()
}

// Next says when to call Advance: at the earliest time at which a packet can
// arrive; false if none is on its way. What happens inside the link meanwhile
// (transport blocks, states of the radio, outages) does not need the caller
// and is processed, and reported to the tap with its time, by the next call.
// At the end of a run, call Advance to have it complete.
func (l *Link) Next() (time.Time, bool) {
	due := min(l.dirs[Up].flight.next(), l.dirs[Down].flight.next())
	if l.hasWork() {
		due = min(due, l.outage.next())
		if l.radio != nil {
			due = min(due, l.radio.next())
		}
		for _, a := range l.airs {
			due = min(due, l.earliest(a))
		}
	}
	if due == never {
		return time.Time{}, false
	}
	return l.at(max(due, l.now)), true
}

// Advance processes everything that is due up to now, in time order, and
// calls deliver for each packet that arrives. The receiver owns the slice.
// A caller who answers from within deliver calls Advance at the times of Next
// exactly, so that its answers leave at the time of the delivery.
func (l *Link) Advance(now time.Time, deliver func(dir Direction, ip []byte)) {
	if l.running {
		panic("netem: Advance called from within deliver")
	}
	l.running = true
	defer func() { l.running = false }()
	l.run(l.since(now), deliver)
}

// An event is what happens at the time of next.
type event uint8

const (
	evOutage  event = iota // a change between up and down
	evRadio                // a timer of the radio
	evAir                  // +0, +1: the air's phase ends, or a gate opens
	evDeliver event = evAir + 2
)

// next finds the earliest event; in a tie the order is that of the constants,
// with Up before Down.
func (l *Link) next(deliveries bool) (int64, event) {
	due, ev := l.outage.next(), evOutage
	if l.radio != nil {
		if t := l.radio.next(); t < due {
			due, ev = t, evRadio
		}
	}
	for i, a := range l.airs {
		if t := l.nextAir(a); t < due {
			due, ev = t, evAir+event(i)
		}
	}
	if deliveries {
		for i, d := range l.dirs {
			if t := d.flight.next(); t < due {
				due, ev = t, evDeliver+event(i)
			}
		}
	}
	return due, ev
}

// run processes the events up to time t; without deliver, those that need
// none.
func (l *Link) run(t int64, deliver func(Direction, []byte)) {
	for {
		due, ev := l.next(deliver != nil)
		if due > t {
			break
		}
		l.now = max(l.now, due)
		switch ev {
		case evOutage:
			l.switchOutage()
		case evRadio:
			l.radioTimer()
		case evAir, evAir + 1:
			l.stepAir(l.airs[ev-evAir])
		default:
			l.arrive(l.dirs[ev-evDeliver], deliver)
			continue // changes neither air nor radio
		}
		l.work()
	}
	l.now = max(l.now, t)
}

// work starts whatever can start now and reports the radio's state: after
// every change.
func (l *Link) work() {
	if l.radio != nil {
		l.wakeRadio()
	}
	for _, a := range l.airs {
		l.serve(a)
	}
	if l.radio != nil {
		l.reportRadio()
	}
}

// hasWork says whether a packet waits or is in service in either direction.
func (l *Link) hasWork() bool { return l.dirs[Up].hasWork() || l.dirs[Down].hasWork() }

// catchUp brings the link up to now before a call from outside. Packets that
// have arrived since wait for the next Advance.
func (l *Link) catchUp(now time.Time) {
	if !l.running {
		l.run(l.since(now), nil)
	}
}

func (l *Link) arrive(d *direction, deliver func(Direction, []byte)) {
	p := d.flight.pop()
	if d.corrupted() {
		l.drop(d, p, DropCorrupt)
		return
	}
	twice := d.duplicated()
	twin := packet{id: p.id}
	if twice { // the receiver owns what it gets
		twin.ip = append(twin.ip, p.ip...)
	}
	l.deliver(d, p, deliver)
	if twice {
		d.stats.Duplicated++
		l.deliver(d, twin, deliver)
	}
}

func (l *Link) deliver(d *direction, p packet, deliver func(Direction, []byte)) {
	d.stats.Out++
	d.stats.OutBytes += uint64(len(p.ip))
	if l.tap != nil {
		l.tap.Delivered(l.at(l.now), p.id)
	}
	deliver(d.dir, p.ip)
}

func (l *Link) drop(d *direction, p packet, why Drop) {
	d.dropped(why)
	if l.tap != nil {
		l.tap.Dropped(l.at(l.now), p.id, why)
	}
}

func (l *Link) at(ns int64) time.Time     { return l.start.Add(time.Duration(ns)) }
func (l *Link) since(now time.Time) int64 { return int64(now.Sub(l.start)) }
