package netem

// rrcState is where the device is: the protocol states between which the
// reported RadioState refines connected into its transfers.
type rrcState uint8

const (
	rrcPSM rrcState = iota
	rrcIdle
	rrcSetup
	rrcConnected
)

// radio is the state machine of RRC and power saving. Its timers are absolute
// times, never if they do not run.
type radio struct {
	rrc    *RRCConfig
	cdrx   *CDRXConfig
	psm    *PSMConfig
	paging paging
	setup  foreseen
	wake   foreseen
	update sampler

	state     rrcState
	reported  RadioState
	setupAt   int64   // set-up ends
	releaseAt int64   // inactivity or release assistance ends the connection
	pageAt    int64   // paging occasion for waiting downlink
	psmAt     int64   // T3324 ends
	tauAt     int64   // T3412 ends
	active    int64   // last activity while connected, for cDRX
	seen      [2]bool // directions that the connection has carried
}

func newRadio(cfg *RadioConfig, seed uint64) *radio {
	r := &radio{
		rrc: cfg.RRC, cdrx: cfg.CDRX, psm: cfg.PSM,
		state:   rrcConnected,
		setupAt: never, releaseAt: never, pageAt: never, psmAt: never, tauAt: never,
	}
	if cfg.RRC == nil {
		return r
	}
	r.setup = foresee(sampler{cfg.RRC.Setup, generator(seed, Up, stageRRC)})
	r.paging = newPaging(cfg.Idle, generator(seed, Down, stagePaging))
	if cfg.PSM != nil {
		r.wake = foresee(sampler{cfg.PSM.Wake, generator(seed, Down, stageRRC)})
		r.update = sampler{cfg.PSM.Update, generator(seed, Up, stageUpdate)}
	}
	r.goIdle(0)
	return r
}

func (r *radio) connected() bool { return r.state == rrcConnected }

// deaf says whether downlink offered now is lost to power saving mode.
func (r *radio) deaf() bool { return r.state == rrcPSM && r.psm.Lose }

// next is the time of the first timer.
func (r *radio) next() int64 {
	return min(r.setupAt, r.releaseAt, r.pageAt, r.psmAt, r.tauAt)
}

// goIdle releases the connection.
func (r *radio) goIdle(now int64) {
	r.state = rrcIdle
	r.setupAt, r.releaseAt, r.pageAt = never, never, never
	if r.psm == nil {
		return
	}
	r.psmAt = now + int64(r.psm.T3324)
	if r.psm.T3412 > 0 {
		r.tauAt = now + int64(r.psm.T3412)
	}
}

// goConnecting starts the set-up of a connection.
func (r *radio) goConnecting(now int64) {
	r.setupAt = now + r.setup.draw()
	if r.state == rrcPSM {
		r.setupAt += r.wake.draw()
	}
	r.state = rrcSetup
	r.pageAt, r.psmAt, r.tauAt = never, never, never
}

// wakeRadio starts what waiting packets need: uplink a connection, downlink
// in idle a page.
func (l *Link) wakeRadio() {
	r := l.radio
	if l.outage.down() || r.state != rrcIdle && r.state != rrcPSM {
		return
	}
	switch {
	case l.dirs[Up].hasWork():
		r.goConnecting(l.now)
	case l.dirs[Down].hasWork() && r.state == rrcIdle && r.pageAt == never:
		r.pageAt = r.paging.next(l.now)
	}
}

// radioTimer handles the timer that is due.
func (l *Link) radioTimer() {
	r := l.radio
	switch due := r.next(); due {
	case r.setupAt:
		l.connect()
	case r.releaseAt:
		r.goIdle(l.now)
	case r.pageAt:
		r.goConnecting(l.now)
	case r.tauAt: // TS 24.301 section 5.3.5
		if l.outage.down() {
			r.tauAt = l.outage.until
			return
		}
		r.goConnecting(l.now)
	case r.psmAt:
		l.goPSM()
	}
}

// connect ends the set-up. Without anything to carry (a tracking area update)
// the network releases after the update's signalling.
func (l *Link) connect() {
	r := l.radio
	r.state, r.setupAt = rrcConnected, never
	r.active = l.now
	r.seen = [2]bool{}
	for _, d := range l.dirs {
		d.readyAt = l.now
	}
	if l.hasWork() {
		return
	}
	signalling := int64(0)
	if r.psm != nil {
		signalling = r.update.draw()
	}
	if signalling == 0 {
		r.goIdle(l.now)
		return
	}
	r.releaseAt = l.now + signalling
}

func (l *Link) goPSM() {
	r := l.radio
	r.state = rrcPSM
	r.psmAt, r.pageAt = never, never
	if r.psm.Lose {
		l.flush(l.dirs[Down])
	}
}

// gate says when the first packet after a pause can be served: a connected
// device needs a grant for its uplink, and hears of downlink when it listens.
func (l *Link) gate(d *direction) {
	if d.grant != nil {
		d.readyAt = l.now + d.grant.access.draw()
	}
	r := l.radio
	if r == nil || !r.connected() {
		return
	}
	if !l.outage.down() {
		r.releaseAt = never
	}
	if d.dir == Down && r.cdrx != nil {
		d.readyAt = r.cdrx.listens(r.active, max(d.readyAt, l.now))
	}
}

// listens is the first time from now on at which a device hears downlink
// whose last activity was at last, TS 36.321 section 5.7.
func (c *CDRXConfig) listens(last, now int64) int64 {
	asleep := now - last - int64(c.Inactivity)
	if asleep < 0 {
		return now
	}
	phase := asleep % int64(c.Cycle)
	if phase < int64(c.OnDuration) {
		return now
	}
	return now - phase + int64(c.Cycle)
}

// carried follows each service: it restarts the timers of the connection.
func (r *radio) carried(l *Link, dir Direction) {
	r.active = l.now
	r.seen[dir] = true
	if r.cdrx != nil { // awake for a while
		l.dirs[Down].readyAt = min(l.dirs[Down].readyAt, l.now)
	}
	if r.rrc != nil && !l.hasWork() {
		r.releaseAt = r.release(l.now)
	}
}

// release is when a connection ends whose last packet was served now.
func (r *radio) release(now int64) int64 {
	switch {
	case r.rrc.RAI > 0 && r.seen[Up] && r.seen[Down]:
		return now + int64(r.rrc.RAI)
	case r.rrc.RAIUplink > 0 && r.seen[Up] && !r.seen[Down]:
		return now + int64(r.rrc.RAIUplink)
	case r.rrc.Inactivity == 0:
		return never
	}
	return now + int64(r.rrc.Inactivity)
}

// lostCoverage is the start of an outage: a set-up fails, a connection ends
// when its inactivity timer does, whatever waits.
func (r *radio) lostCoverage(now int64) {
	switch r.state {
	case rrcSetup:
		r.goIdle(now)
	case rrcConnected:
		if r.rrc != nil && r.releaseAt == never && r.rrc.Inactivity > 0 {
			r.releaseAt = now + int64(r.rrc.Inactivity)
		}
	case rrcIdle:
		r.pageAt = never
	}
}

// foundCoverage is the end of an outage: waiting packets keep a connection
// that is still there.
func (r *radio) foundCoverage(work bool) {
	if r.connected() && work {
		r.releaseAt = never
	}
}

// reportRadio tells the tap of a change of state.
func (l *Link) reportRadio() {
	state := l.radioState()
	if state == l.radio.reported {
		return
	}
	l.radio.reported = state
	if l.tap != nil {
		l.tap.Radio(l.at(l.now), state)
	}
}

// radioState refines the connected state; sending counts above receiving,
// since it costs more.
func (l *Link) radioState() RadioState {
	switch l.radio.state {
	case rrcPSM:
		return RadioPSM
	case rrcIdle:
		return RadioIdle
	case rrcSetup:
		return RadioSetup
	}
	state := RadioConnected
	for _, a := range l.airs {
		switch s := a.state(); {
		case s == RadioTx, s == RadioRx && state != RadioTx:
			state = s
		}
	}
	return state
}
