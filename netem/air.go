package netem

// air is the interface that serves packets: one direction's, or on a
// half-duplex link both directions' in turn. Serving is a sequence of phases.
type air struct {
	dirs       []*direction
	turnAround int64

	active  bool
	dir     *direction // being served, or served last; nil before the first
	phases  [4]phase
	n, i    int
	phaseAt int64 // end of phase i
}

// phase is a part of a service: how long it lasts and what the radio does
// meanwhile.
type phase struct {
	duration int64
	state    RadioState
	data     bool // ends with the reception of data
}

func newAirs(cfg Config, dirs [2]*direction) []*air {
	if cfg.HalfDuplex {
		return []*air{{dirs: dirs[:], turnAround: int64(cfg.TurnAround)}}
	}
	return []*air{{dirs: dirs[Up : Up+1]}, {dirs: dirs[Down : Down+1]}}
}

func (a *air) stop() { a.active = false }

// state is what the radio does for this air now.
func (a *air) state() RadioState {
	if !a.active {
		return RadioConnected
	}
	return a.phases[a.i].state
}

// reachable says whether packets can be served at all now.
func (l *Link) reachable() bool {
	return !l.outage.down() && (l.radio == nil || l.radio.connected())
}

// nextAir is when the air wants stepAir or serve.
func (l *Link) nextAir(a *air) int64 {
	if a.active {
		return a.phaseAt
	}
	t := int64(never)
	if l.reachable() {
		for _, d := range a.dirs {
			if d.hasWork() {
				t = min(t, d.readyAt)
			}
		}
	}
	return t
}

// earliest bounds the time from below at which the air next completes a
// packet. It spares the caller the cycles in between: a packet of 1358 B over
// NB-IoT takes 64 phases.
func (l *Link) earliest(a *air) int64 {
	if !a.active {
		return min(l.nextAir(a), l.awakened())
	}
	t, ahead := a.phaseAt, false // ahead: this cycle's data still are
	for i := a.i; ; {
		if a.phases[i].data {
			if a.dir.grant == nil || a.dir.grant.mayComplete() {
				return t
			}
			ahead = true
		}
		if i++; i == a.n {
			break
		}
		t += a.phases[i].duration
	}
	first := int64(never)
	for _, d := range a.dirs {
		if d.hasWork() {
			first = min(first, max(t, d.readyAt)+d.shortest(ahead && a.dir == d))
		}
	}
	return min(first, l.awakened())
}

// awakened bounds the time from below at which downlink that waits for the
// device to listen is served early, because the device wakes up to send.
func (l *Link) awakened() int64 {
	t := int64(never)
	if l.radio == nil || l.radio.cdrx == nil || l.dirs[Down].readyAt <= l.now || !l.dirs[Down].hasWork() {
		return t
	}
	for _, a := range l.airs {
		if a.active {
			t = min(t, a.phaseAt)
		}
	}
	return t
}

// shortest bounds the time from below that the direction's next packet takes
// from the next free moment of the air on; ahead says that before that moment
// comes the data of a cycle of its own.
func (d *direction) shortest(ahead bool) int64 {
	if d.grant == nil || !d.serving {
		return 0
	}
	return d.grant.shortest(ahead)
}

// pick chooses whom to serve: the direction that was not served last, if it
// can be; so both get their turn and an acknowledgement does not wait behind
// the whole queue of the other direction.
func (l *Link) pick(a *air) *direction {
	var picked *direction
	for _, d := range a.dirs {
		if d.hasWork() && d.readyAt <= l.now && (picked == nil || picked == a.dir) {
			picked = d
		}
	}
	return picked
}

// serve starts services while the air is free. What takes no time is done at
// once, so that an infinite rate leaves nothing waiting.
func (l *Link) serve(a *air) {
	for !a.active && l.reachable() {
		d := l.pick(a)
		if d == nil {
			return
		}
		l.begin(a, d)
		for a.active && a.phaseAt == l.now {
			l.endPhase(a)
		}
	}
}

// begin starts the service of a direction: a whole packet at its rate, or a
// cycle of grants.
func (l *Link) begin(a *air, d *direction) {
	turn := int64(0)
	if a.dir != nil && a.dir != d {
		turn = a.turnAround
	}
	first := !d.serving
	if first {
		d.take()
	}
	if d.grant != nil {
		if first {
			d.grant.segment(d.bits(d.head))
		}
		a.n = d.grant.cycle(&a.phases, d.waitingBits())
	} else {
		a.phases[0] = phase{d.clock.duration(d.bits(d.head)), transferState(d.dir), true}
		a.n = 1
	}
	a.phases[0].duration += turn
	a.active, a.dir, a.i = true, d, 0
	a.phaseAt = l.now + a.phases[0].duration
}

func transferState(dir Direction) RadioState {
	if dir == Up {
		return RadioTx
	}
	return RadioRx
}

// stepAir handles the end of a phase. If the air is not active, a gate has
// opened, and work serves whoever waited at it.
func (l *Link) stepAir(a *air) {
	if a.active {
		l.endPhase(a)
	}
}

func (l *Link) endPhase(a *air) {
	d := a.dir
	if a.phases[a.i].data && (d.grant == nil || d.grant.received()) {
		l.served(d)
		for d.grant != nil && d.queue.len() > 0 && d.grant.carried(d.bits(d.queue.front())) {
			d.take()
			l.served(d)
		}
	}
	a.i++
	if a.i < a.n {
		a.phaseAt = l.now + a.phases[a.i].duration
		return
	}
	a.active = false
	if l.radio != nil {
		l.radio.carried(l, d.dir)
	}
}
