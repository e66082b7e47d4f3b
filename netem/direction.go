package netem

import (
	"math/rand/v2"
	"time"
)

type packet struct {
	id uint64
	ip []byte
}

// direction is the chain of stages of one direction. The packet in service is
// between queue and flight.
type direction struct {
	dir   Direction
	limit QueueConfig
	place LossPlace

	queue       fifo
	queuedBytes int
	readyAt     int64 // when the radio serves this direction at the earliest
	serving     bool
	head        packet // in service, if serving
	clock       bitClock
	grant       *grant // nil: clock gives the timing
	loss        *loss
	delay       *delay
	flight      flight

	duplicate, corrupt       float64
	duplicateRNG, corruptRNG *rand.Rand
	overhead                 int
	stats                    counts
}

func newDirection(cfg Config, dir Direction, seed uint64) *direction {
	c := cfg.direction(dir)
	d := &direction{
		dir: dir, limit: c.Queue, place: c.LossPlace, overhead: int(c.Overhead),
		clock:     bitClock{rate: int64(c.Rate)},
		loss:      newLoss(c.Loss, generator(seed, dir, stageLoss)),
		delay:     newDelay(c, generator(seed, dir, stageDelay)),
		duplicate: float64(c.Duplicate), duplicateRNG: generator(seed, dir, stageDuplicate),
		corrupt: float64(c.Corrupt), corruptRNG: generator(seed, dir, stageCorrupt),
	}
	if g := cfg.grants(dir); g != nil {
		d.grant = newGrant(*g, seed, dir)
	}
	return d
}

// hasWork says whether a packet waits or is in service.
func (d *direction) hasWork() bool { return d.serving || d.queue.len() > 0 }

// fits says whether the queue has room for a packet of n bytes. The packet in
// service keeps its place until it is sent, as in a modem's buffer and in
// Linux's netem; an empty queue takes any packet.
func (d *direction) fits(n int) bool {
	if !d.hasWork() {
		return true
	}
	packets, bytes := d.queue.len(), d.queuedBytes
	if d.serving {
		packets, bytes = packets+1, bytes+len(d.head.ip)
	}
	if d.limit.Packets > 0 && packets >= d.limit.Packets {
		return false
	}
	return d.limit.Bytes == 0 || bytes+n <= int(d.limit.Bytes)
}

// take moves the first waiting packet into service.
func (d *direction) take() {
	d.head = d.queue.pop()
	d.queuedBytes -= len(d.head.ip)
	d.serving = true
}

// abort takes the packet in service out of it.
func (d *direction) abort() packet {
	p := d.head
	d.serving, d.head = false, packet{}
	return p
}

// bits is what the rate and the grants count of a packet.
func (d *direction) bits(p packet) int { return 8 * (len(p.ip) + d.overhead) }

// waitingBits is the same of all that wait.
func (d *direction) waitingBits() int { return 8 * (d.queuedBytes + d.queue.len()*d.overhead) }

func (d *direction) duplicated() bool {
	return d.duplicate > 0 && d.duplicateRNG.Float64() < d.duplicate
}

func (d *direction) corrupted() bool {
	return d.corrupt > 0 && d.corruptRNG.Float64() < d.corrupt
}

// served ends the service of the packet in service: it is lost on the air or
// starts its delay.
func (l *Link) served(d *direction) {
	p := d.abort()
	if d.place == PlaceAir && d.loss.lost() {
		l.drop(d, p, DropLoss)
		return
	}
	d.flight.push(d.delay.due(l.now), p)
}

// bitClock computes serialisation times exactly: the fraction of a nanosecond
// that a packet leaves is carried over to the next, so that a busy link does
// not drift from its rate.
type bitClock struct {
	rate      int64 // bit/s; 0 is infinite
	remainder int64 // in 1/rate ns
}

func (b *bitClock) duration(bits int) int64 {
	if b.rate == 0 {
		return 0
	}
	n := int64(bits)*int64(time.Second) + b.remainder
	b.remainder = n % b.rate
	return n / b.rate
}

// Each stage of each direction has its own generator, so that a change of one
// stage does not change another's draws.
const (
	stageLoss = iota + 1
	stageDelay
	stageDuplicate
	stageCorrupt
	stageHARQ
	stageAccess
	stageRRC
	stagePaging
	stageUpdate
	stageSMS
)

func generator(seed uint64, dir Direction, stage uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, 0x6e6574656d000000|uint64(dir)<<8|stage))
}
