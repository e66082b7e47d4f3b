package power

import (
	"time"

	"github.com/thinlink/thinlink/netem"
)

// Timeline is what the radio did: each Change holds until the next, the last
// one until End. Only the time from Start to End counts.
type Timeline struct {
	Start, End time.Time
	Changes    []Change // in order of time, from before Start on
	// Reports are the times, in order, at which a report was due or reached the
	// platform: the connection at that time is a report's.
	Reports []time.Time
}

// Change is a new state of the radio.
type Change struct {
	At    time.Time
	State netem.RadioState
}

// A segment is a time in one state.
type segment struct {
	from, to time.Time
	state    netem.RadioState
}

// asleep says whether the device has no connection.
func (s segment) asleep() bool {
	return s.state == netem.RadioIdle || s.state == netem.RadioPSM || s.state == ""
}

// segments cuts the timeline up to its end; it begins before Start, if the
// timeline does.
func (t *Timeline) segments() []segment {
	var all []segment
	for i, c := range t.Changes {
		to := t.End
		if i+1 < len(t.Changes) && t.Changes[i+1].At.Before(t.End) {
			to = t.Changes[i+1].At
		}
		if to.After(c.At) {
			all = append(all, segment{c.At, to, c.State})
		}
	}
	return all
}

// clip cuts a segment to the window; false if nothing is left.
func (t *Timeline) clip(s segment) (segment, bool) {
	if s.from.Before(t.Start) {
		s.from = t.Start
	}
	if s.to.After(t.End) {
		s.to = t.End
	}
	return s, s.to.After(s.from)
}
