package plan

import (
	"math"
	"math/rand/v2"
)

type eventKind uint8

const (
	onBegin       eventKind = iota // an exchange wants to start
	onJoin                         // an exchange wants an uplink grant
	onOpportunity                  // random access opportunity of a class
	onPacket                       // an exchange's next packet
	onRelease                      // a connection's inactivity timer
)

// What an exchange is.
const (
	aReport uint8 = iota
	aSession
	anUpdate
)

// responseGap is from a preamble's end to its response, TS 36.321 section
// 5.1.4: at least 4 ms, and 41 ms for long NB-IoT preambles; the shorter one.
const responseGap = 4 * millisecond

// reacquire is the time over which devices come back after an outage, so that
// not all send in the same opportunity (G).
const reacquire = 30 * second

// A server is a fluid channel: work waits for the work before it.
type server struct{ free int64 }

// wait is how long work that arrives now waits.
func (s *server) wait(now int64) int64 { return max(0, s.free-now) }

func (s *server) add(now int64, work float64) { s.free = max(s.free, now) + int64(work) }

// A carrier is 200 kHz of NB-IoT or one narrowband of LTE-M. On NB-IoT control
// and data share the downlink's subframes.
type carrier struct {
	down, data, up     server
	downShare, upShare float64 // usable for devices
}

// A device is its state in the cell, small because there may be a million.
type device struct {
	until      int64 // connected until, us
	population uint16
	busy       bool
	connected  bool
	releasing  bool // an onRelease is under way
	pending    bool // waits for an update
}

// An exchange is a burst, or an update, under way.
type exchange struct {
	device   int32
	kind     uint8
	class    uint8 // now; random access may fall back to a worse one
	full     bool  // random access is for a connection
	index    int32 // packet or step
	attempts int16
	inClass  int16
	tries    int16 // retransmissions of the packet
	began    int64 // when there was something to send, us
	payload  float64
}

// resident is a population's part in one cell.
type resident struct {
	*population
	first, count int // devices
	campaign     *campaign
}

// A cell is one cell's discrete-event model.
type cell struct {
	d        *Deployment
	radios   []*radio
	carriers []carrier
	homes    []resident
	devices  []device
	end      int64
	now      int64
	rng      *rand.Rand
	events   queue
	calendar *calendar
	pool     []exchange
	unused   []int32
	waiting  [][][]int32 // contenders by class and opportunity, a ring
	taken    []uint16    // how many devices chose each preamble of an opportunity
	chosen   []int       // what each contender chose
	held     int         // connections
	heldAt   int64
	sr       bool // a connected device asks for grants by random access
	stats    *tally
}

// ringTime is how far ahead opportunities are kept.
const ringTime = 70 * second

// Stages of the seeds.
const (
	seedCell   = 0x63656c6c
	seedSearch = 0x73656172
)

func newCell(d *Deployment, radios []*radio, homes []resident, end int64, seed, stage uint64) *cell {
	c := &cell{d: d, radios: radios, homes: homes, end: end, rng: rand.New(rand.NewPCG(seed, stage)), sr: d.Technology == "nbiot"}
	n := 0
	for i := range homes {
		homes[i].first = n
		n += homes[i].count
	}
	c.devices = make([]device, n)
	c.calendar = newCalendar(end, 2*n)
	c.stats = newTally(radios, homes, end)
	c.addCarriers()
	most := 0
	for _, r := range radios {
		c.waiting = append(c.waiting, make([][]int32, ringTime/r.period+2))
		most = max(most, r.preambles*d.Carriers)
	}
	c.taken = make([]uint16, most)
	for i := range homes {
		c.populate(i)
	}
	return c
}

// What the carrier's own signals leave of it. NB-IoT's anchor has NPSS in one
// of ten subframes, NSSS in one of twenty, NPBCH in one of ten, TS 36.211
// sections 10.2.4, 10.2.7; system information takes about one of twenty (G).
const (
	anchorShare = 0.70
	otherShare  = 1.00
	ltemShare   = 0.90 // PSS, SSS, PBCH and system information (G)
)

func (c *cell) addCarriers() {
	// NPRACH takes 3.75 kHz a subcarrier of 180 kHz; LTE-M's six of six
	// resource blocks.
	access := 0.
	for _, r := range c.radios {
		width := 1.
		if c.sr {
			width = float64(r.preambles) * 3.75 / 180
		}
		access += float64(r.preamble) / float64(r.period) * width
	}
	up := max(0.05, 1-access)
	for i := range c.d.Carriers {
		share := ltemShare
		if c.sr {
			share = otherShare
			if i == 0 {
				share = anchorShare
			}
		}
		c.carriers = append(c.carriers, carrier{downShare: share, upShare: up})
	}
}

// populate gives a population's devices their first reports.
func (c *cell) populate(home int) {
	h := &c.homes[home]
	interval, spread := us(h.interval), us(h.spread)
	for i := range h.count {
		dev := int32(h.first + i)
		c.devices[dev].population = uint16(home)
		first := c.rng.Int64N(max(1, interval))
		if h.arrival == "synchronised" {
			first = c.rng.Int64N(max(1, spread))
		}
		c.calendar.add(2*dev, first)
		if period := us(h.sig.SessionPeriod); period > 0 {
			c.calendar.add(2*dev+1, c.rng.Int64N(period))
		}
	}
	if h.ota != nil && len(h.sig.Update) > 0 {
		c.plan(h)
	}
}

// run simulates to the end.
func (c *cell) run() *tally {
	for b := int64(0); b*second < c.end; b++ {
		c.calendar.take(b, func(entry int32, at int64) {
			kind := aReport
			if entry%2 == 1 {
				kind = aSession
			}
			c.events.push(at, onBegin, c.newExchange(entry/2, kind, at))
		})
		c.now = b * second
		c.launch(c.now)
		limit := min((b+1)*second, c.end)
		for len(c.events.list) > 0 && c.events.list[0].at < limit {
			e := c.events.pop()
			c.now = e.at
			c.handle(e)
		}
	}
	c.hold(0, c.end)
	c.overdue()
	for i := range c.homes {
		if c.homes[i].campaign != nil {
			c.stats.homes[i].leftUpdates = int64(c.left(&c.homes[i]))
		}
	}
	return c.stats
}

// overdue counts the reports still under way at the end that have missed the
// service's delay already.
func (c *cell) overdue() {
	idle := make([]bool, len(c.pool))
	for _, id := range c.unused {
		idle[id] = true
	}
	for id := range c.pool {
		if x := &c.pool[id]; !idle[id] && x.kind == aReport && c.end-x.began > us(c.d.Service.Delay) {
			c.stats.overdue++
		}
	}
}

func (c *cell) handle(e event) {
	switch e.kind {
	case onBegin:
		c.begin(e.ref)
	case onJoin:
		c.join(e.ref, c.now)
	case onOpportunity:
		c.opportunity(int(e.ref))
	case onPacket:
		if c.pool[e.ref].kind == anUpdate {
			c.updateStep(e.ref)
		} else {
			c.packet(e.ref)
		}
	case onRelease:
		c.release(e.ref)
	}
}

func (c *cell) newExchange(dev int32, kind uint8, at int64) int32 {
	var id int32
	if n := len(c.unused); n > 0 {
		id, c.unused = c.unused[n-1], c.unused[:n-1]
	} else {
		id = int32(len(c.pool))
		c.pool = append(c.pool, exchange{})
	}
	h := c.home(dev)
	x := exchange{device: dev, kind: kind, class: uint8(h.class), began: at}
	if kind == aReport && h.payload.Max > h.payload.Bytes {
		x.payload = h.payload.draw(c.rng)
	}
	c.pool[id] = x
	return id
}

// draw is a payload above the least one, bytes.
func (p *Payload) draw(rng *rand.Rand) float64 {
	least := float64(p.Bytes)
	return min(least*math.Pow(1-rng.Float64(), -1/p.Alpha), float64(p.Max)) - least
}

func (c *cell) home(dev int32) *resident { return &c.homes[c.devices[dev].population] }

func (c *cell) burst(x *exchange) *Burst {
	if x.kind == aSession {
		return &c.home(x.device).sig.Session
	}
	return &c.home(x.device).sig.Report
}

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
	c.carry(id, uint8(c.home(id).class), false, float64(c.d.RRC.Release), 1)
}

// hold counts connections over time.
func (c *cell) hold(change int, at int64) {
	c.stats.held(c.held, c.heldAt, at)
	c.held, c.heldAt = c.held+change, at
}
