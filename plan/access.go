package plan

// join waits for the next random access opportunity of the exchange's class.
func (c *cell) join(id int32, at int64) {
	x := &c.pool[id]
	r := c.radios[x.class]
	if seen := r.visible(at); seen > at {
		at = seen + c.rng.Int64N(reacquire)
	}
	if at > c.now+ringTime-r.period {
		c.events.push(at, onJoin, id)
		return
	}
	slot := (at + r.period - 1) / r.period
	ring := c.waiting[x.class]
	i := int(slot % int64(len(ring)))
	if len(ring[i]) == 0 {
		c.events.push(slot*r.period, onOpportunity, int32(x.class))
	}
	ring[i] = append(ring[i], id)
}

// opportunity is a moment at which all waiting devices of a class send their
// preambles. Who chose the same as another is lost.
func (c *cell) opportunity(class int) {
	r := c.radios[class]
	ring := c.waiting[class]
	i := int(c.now / r.period % int64(len(ring)))
	list := ring[i]
	taken := c.taken[:r.preambles*len(c.carriers)]
	clear(taken)
	c.chosen = c.chosen[:0]
	for _, id := range list {
		n := int(c.pool[id].device)%len(c.carriers)*r.preambles + c.rng.IntN(r.preambles)
		taken[n]++
		c.chosen = append(c.chosen, n)
	}
	ring[i] = nil // a contender that fails may join this ring again
	collided := 0
	for n, id := range list {
		if taken[c.chosen[n]] > 1 {
			collided++
			c.fail(id, collision)
			continue
		}
		c.connect(id)
	}
	c.stats.preambles(class, c.now, len(list), collided)
	if ring[i] == nil {
		ring[i] = list[:0]
	}
}

// Why an attempt failed.
type failure uint8

const (
	collision failure = iota
	noResponse
	rejected
)

// connect is what follows a preamble that was alone: response, message 3 and,
// out of idle, the connection's set-up, TS 36.300 section 10.1.5.1.
func (c *cell) connect(id int32) {
	x := &c.pool[id]
	r := c.radios[x.class]
	dev := &c.devices[x.device]
	k := c.carrier(x.device)
	start := c.now + r.preamble + responseGap
	if k.down.wait(c.now) > us(c.d.RandomAccess.Window) {
		c.fail(id, noResponse)
		return
	}
	x.full = !dev.connected
	if x.full && c.held >= c.d.RRC.Connected {
		c.message(x.device, x.class, msgResponse)
		c.fail(id, rejected)
		return
	}
	t := start + c.message(x.device, x.class, msgResponse) - c.now
	t += c.message(x.device, x.class, msgRequest) - c.now
	if x.full {
		t += c.message(x.device, x.class, msgSetup) - c.now
		t += c.message(x.device, x.class, msgComplete) - c.now
		// What the profile's set-up has beyond the messages counted here.
		t += max(0, draw(&r.setup, c.rng)-r.setupModelled)
		dev.connected = true
		c.hold(1, c.now)
	}
	c.stats.attempts(int(x.class), int(x.attempts)+1)
	x.attempts, x.inClass = 0, 0
	c.events.push(t, onPacket, id)
}

// fail backs off after an attempt that was not answered, falls back to the
// next worse class, TS 36.321 section 5.1.4, or gives up.
func (c *cell) fail(id int32, why failure) {
	x := &c.pool[id]
	r := c.radios[x.class]
	c.stats.failed(int(x.class), why)
	x.attempts++
	x.inClass++
	if int(x.attempts) >= c.d.RandomAccess.Attempts {
		home := c.devices[x.device].population
		c.stats.blocked(home, x.kind)
		x.attempts, x.inClass = 0, 0
		if x.kind == anUpdate {
			c.events.push(c.now+updateRetry, onJoin, id)
			return
		}
		c.leave(id, c.now)
		return
	}
	if int(x.inClass) >= r.attempts && int(x.class)+1 < len(c.radios) {
		x.class++
		x.inClass = 0
	}
	const resolution = 64 * millisecond // contention resolution timer (G)
	wait := r.preamble + resolution + c.rng.Int64N(max(1, us(c.d.RandomAccess.BackOff)))
	c.join(id, c.now+wait)
}

func (c *cell) carrier(dev int32) *carrier { return &c.carriers[int(dev)%len(c.carriers)] }

// control adds a control message to a carrier.
func (c *cell) control(k *carrier, class uint8, length int64) {
	if c.sr { // NB-IoT: NPDCCH and NPDSCH take turns
		k.down.add(c.now, float64(length)/k.downShare)
	}
	c.stats.busy(channelControl, int(class), c.now, float64(length)/k.downShare)
}

// waits is how long a block waits for the work before it. On NB-IoT its
// control message waits, too.
func (c *cell) waits(k *carrier, up bool) int64 {
	wait := int64(0)
	if c.sr || !up {
		wait = k.down.wait(c.now)
	}
	if up {
		wait += k.up.wait(c.now)
	}
	return wait
}

// carry sends bytes in one direction as so many packets and returns when the
// last block is received.
func (c *cell) carry(dev int32, class uint8, up bool, bytes float64, packets int) int64 {
	dir := &c.radios[class].down
	if up {
		dir = &c.radios[class].up
	}
	data, blocks := dir.airtime(bytes / float64(packets))
	return c.blocks(dev, class, up, data*int64(packets), blocks*packets)
}

// message sends one of the RRC's messages.
func (c *cell) message(dev int32, class uint8, m int) int64 {
	t := &c.radios[class].messages[m]
	return c.blocks(dev, class, m == msgRequest || m == msgComplete, t.data, t.blocks)
}

// blocks adds the work of transport blocks to the carrier's channels at once;
// each block waits for what was before. data is the airtime of all.
func (c *cell) blocks(dev int32, class uint8, up bool, data int64, blocks int) int64 {
	r := c.radios[class]
	k := c.carrier(dev)
	dir, share, channel, server := &r.down, k.downShare, channelDown, &k.down
	if up {
		dir, share, channel, server = &r.up, k.upShare, channelUp, &k.up
	}
	sent := int64(dir.transmissions(blocks, c.rng))
	if sent > int64(blocks) {
		data = data * sent / int64(blocks)
	}
	wait := c.waits(k, up)
	c.control(k, class, sent*dir.control)
	work := float64(data) * dir.share / share
	server.add(c.now, work)
	c.stats.busy(channel, int(class), c.now, work)
	if !up && dir.ack > 0 {
		acks := float64(sent*dir.ack) * dir.ackShare / k.upShare
		k.up.add(c.now, acks)
		c.stats.busy(channelUp, int(class), c.now, acks)
	}
	last := dir.ackGap + dir.ack + dir.post // the last block is received before these
	cycle := dir.control + dir.gap + last
	return c.now + data + sent*(cycle+wait) - last
}
