package netem

import "time"

// Wait says how long a packet offered at a time would wait for coverage and
// for the radio, before any queue and service; false if it would be lost, or
// wait for what nobody knows: uplink that wakes the device. at is between the
// last call and NextChange.
func (l *Link) Wait(at time.Time, dir Direction) (time.Duration, bool) {
	now := max(l.now, l.since(at))
	t := now
	if l.outage.down() {
		if l.outage.lose {
			return 0, false
		}
		t = max(t, l.outage.until)
	}
	t, ok := l.reached(t, dir)
	return time.Duration(t - now), ok
}

// reached is when the radio is ready for a packet of time t.
func (l *Link) reached(t int64, dir Direction) (int64, bool) {
	r := l.radio
	if r == nil {
		return t, true
	}
	state := r.state
	if l.outage.down() && state == rrcConnected && r.releaseAt < l.outage.until {
		state = rrcIdle // by the end of the outage
	}
	switch {
	case state == rrcSetup:
		return max(t, r.setupAt), true
	case state == rrcConnected && dir == Down && r.cdrx != nil:
		return r.cdrx.listens(r.active, t), true
	case state == rrcConnected:
		return t, true
	case state == rrcPSM:
		return t + r.setup.next + r.wake.next, dir == Up
	case dir == Up:
		return t + r.setup.next, true
	case r.pageAt != never:
		return max(t, r.pageAt) + r.setup.next, true
	}
	return r.paging.next(t) + r.setup.next, true
}

// NextChange says when the link changes by itself, arrivals of packets aside;
// false if it does not.
func (l *Link) NextChange() (time.Time, bool) {
	due, _ := l.next(false)
	if due == never {
		return time.Time{}, false
	}
	return l.at(max(due, l.now)), true
}
