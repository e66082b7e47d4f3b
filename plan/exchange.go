package plan

// begin starts an exchange unless the device is in the middle of another one,
// and plans the next one of its kind.
func (c *cell) begin(id int32) {
	x := &c.pool[id]
	dev := &c.devices[x.device]
	if x.began == c.now {
		h := c.home(x.device)
		switch x.kind {
		case aReport:
			c.calendar.add(2*x.device, c.now+us(h.interval))
			c.stats.begun(dev.population)
		case aSession:
			c.calendar.add(2*x.device+1, c.now+us(h.sig.SessionPeriod))
		}
	}
	if dev.busy {
		c.events.push(c.now+second, onBegin, id)
		return
	}
	dev.busy = true
	packets := c.burst(x).Packets
	if len(packets) > 0 && !packets[0].Up && x.kind != anUpdate {
		if dev.connected {
			c.packet(id)
			return
		}
		c.events.push(c.now+c.page(x), onJoin, id)
		return
	}
	c.ask(id, c.now)
}

// page is the time until the device's next paging occasion; it takes one
// control message.
func (c *cell) page(x *exchange) int64 {
	r := c.radios[x.class]
	k := c.carrier(x.device)
	c.control(k, x.class, r.down.control)
	return c.rng.Int64N(max(1, r.idleCycle))
}

// ask gets an uplink grant for an exchange: by random access in idle and, on
// NB-IoT, in connected state too, TS 36.321 section 5.4.4.
func (c *cell) ask(id int32, at int64) {
	x := &c.pool[id]
	if c.devices[x.device].connected && !c.sr {
		const schedulingRequest = 10 * millisecond // PUCCH period (G)
		c.events.push(at+schedulingRequest, onPacket, id)
		return
	}
	if at > c.now {
		c.events.push(at, onJoin, id)
		return
	}
	c.join(id, at)
}

// packet sends an exchange's next packet.
func (c *cell) packet(id int32) {
	x := &c.pool[id]
	b := c.burst(x)
	if int(x.index) >= len(b.Packets) { // random access alone
		c.finish(id, c.now)
		return
	}
	r := c.radios[x.class]
	p := &b.Packets[x.index]
	bytes := p.Bytes + p.Slope*x.payload
	loss := r.lossUp
	if !p.Up {
		loss = r.lossDown
	}
	home := c.devices[x.device].population
	done := c.carry(x.device, x.class, p.Up, bytes, 1)
	c.stats.sent(home, p.Up, bytes)
	if p.Up && x.index == 0 && b.Answered {
		c.spurious(x, b, r, bytes, done)
	}
	if loss > 0 && c.rng.Float64() < loss {
		c.repeat(id, b, p.Up, done)
		return
	}
	x.tries = 0
	x.index++
	if int(x.index) == len(b.Packets) {
		c.finish(id, done+r.delay)
		return
	}
	next := &b.Packets[x.index]
	at := done
	if next.Gap >= 0 {
		at += r.delay + us(next.Gap)
	}
	if next.Up && (!p.Up || next.Gap >= 0) { // the grant of the packet before has ended
		c.ask(id, at)
		return
	}
	c.events.push(at, onPacket, id)
}

// Timers of retransmission: CoAP's ACK_TIMEOUT x 1.25 in the mean and
// MAX_RETRANSMIT, RFC 7252 section 4.8; TCP's least RTO, RFC 6298 section 2.4,
// and as many.
func (b *Burst) timeout() int64 {
	if b.TCP {
		return second
	}
	return 2500 * millisecond
}

const maxRetransmit = 4

// repeat sends a lost packet again after its timer, or gives up.
func (c *cell) repeat(id int32, b *Burst, up bool, done int64) {
	x := &c.pool[id]
	home := c.devices[x.device].population
	if !b.Answered || x.tries == maxRetransmit {
		c.stats.lost(home, x.kind)
		c.leave(id, done)
		return
	}
	at := done + b.timeout()<<x.tries
	x.tries++
	c.stats.repeated(home, false)
	if up {
		c.ask(id, at)
		return
	}
	c.events.push(at, onPacket, id)
}

// spurious are the copies of a first packet that left while random access and
// queues kept it longer than its timer: airtime for nothing. What the set-up
// alone causes is in the signature already.
func (c *cell) spurious(x *exchange, b *Burst, r *radio, bytes float64, done int64) {
	late := done - x.began - us(r.setup.Fixed+r.setup.Median) - r.setupModelled
	timeout := b.timeout()
	for n := 0; n < maxRetransmit && late > timeout; n++ {
		late -= timeout
		timeout *= 2
		c.carry(x.device, x.class, true, bytes, 1)
		home := c.devices[x.device].population
		c.stats.sent(home, true, bytes)
		c.stats.repeated(home, true)
	}
}

// finish is the last packet's arrival.
func (c *cell) finish(id int32, at int64) {
	x := &c.pool[id]
	home := c.devices[x.device].population
	if x.kind == aReport {
		c.stats.delivered(home, at-x.began)
	}
	c.leave(id, at)
	if x.kind == aReport {
		c.reached(x.device, at)
	}
}

// leave ends an exchange and starts the inactivity timer.
func (c *cell) leave(id int32, at int64) {
	x := &c.pool[id]
	if x.kind != anUpdate {
		c.devices[x.device].busy = false
	}
	c.linger(x.device, c.radios[x.class], at)
	c.unused = append(c.unused, id)
}

// linger keeps a connection until its inactivity timer or release assistance
// ends it.
func (c *cell) linger(id int32, r *radio, at int64) {
	dev := &c.devices[id]
	if !dev.connected {
		return
	}
	stay := r.inactivity
	if r.rai > 0 {
		stay = r.rai
	}
	dev.until = max(dev.until, at+stay)
	if !dev.releasing && stay > 0 {
		dev.releasing = true
		c.events.push(dev.until, onRelease, id)
	}
}

func (c *cell) release(id int32) {
	dev := &c.devices[id]
	if dev.busy {
		dev.until = max(dev.until, c.now+second)
	}
	if dev.until > c.now {
		c.events.push(dev.until, onRelease, id)
		return
	}
	dev.releasing, dev.connected = false, false
	c.hold(-1, c.now)
	c.message(id, uint8(c.home(id).class), msgRelease)
}
