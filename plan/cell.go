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
	down, up           server
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

// hold counts connections over time.
func (c *cell) hold(change int, at int64) {
	c.stats.held(c.held, c.heldAt, at)
	c.held, c.heldAt = c.held+change, at
}
