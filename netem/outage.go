package netem

// outages knows when the link is down.
type outages struct {
	cfg    []Outage
	starts []int64 // next start of each
	lose   bool
	until  int64 // end of the current outage; never if there is none
}

func newOutages(cfg Config) outages {
	o := outages{cfg: cfg.Outages, lose: cfg.OutageLose, until: never}
	for _, c := range cfg.Outages {
		o.starts = append(o.starts, int64(c.Start))
	}
	return o
}

func (o *outages) down() bool { return o.until != never }

// loses says whether a packet offered now is lost.
func (o *outages) loses() bool { return o.lose && o.down() }

// next is the time of the next start or end.
func (o *outages) next() int64 {
	t := o.until
	for _, s := range o.starts {
		t = min(t, s)
	}
	return t
}

// switchOutage handles the starts and the end that are due.
func (l *Link) switchOutage() {
	o := &l.outage
	for i, c := range o.cfg {
		if o.starts[i] > l.now {
			continue
		}
		end := o.starts[i] + int64(c.Duration)
		o.starts[i] = never
		if c.Every > 0 {
			o.starts[i] = end - int64(c.Duration) + int64(c.Every)
		}
		l.goDown(end)
	}
	if o.until <= l.now {
		o.until = never
		if l.radio != nil {
			l.radio.foundCoverage(l.hasWork())
		}
	}
}

// goDown starts an outage or prolongs the present one. What is on the air is
// lost; a radio connection survives until its inactivity timer ends.
func (l *Link) goDown(until int64) {
	o := &l.outage
	if o.down() {
		o.until = max(o.until, until)
		return
	}
	if until <= l.now {
		return
	}
	o.until = until
	for _, a := range l.airs {
		a.stop()
	}
	for _, d := range l.dirs {
		if d.serving {
			l.drop(d, d.abort(), DropOutage)
		}
		if d.grant != nil {
			d.grant.ahead = 0
		}
		if o.lose {
			l.flush(d)
		}
	}
	if l.radio != nil {
		l.radio.lostCoverage(l.now)
	}
}

// flush drops what waits.
func (l *Link) flush(d *direction) {
	for d.queue.len() > 0 {
		d.take()
		l.drop(d, d.abort(), DropOutage)
	}
}
