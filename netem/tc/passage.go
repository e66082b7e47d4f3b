package tc

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/thinlink/thinlink/internal/wire"
	"github.com/thinlink/thinlink/netem"
)

// Passage is one packet's way through the router.
type Passage struct {
	Sent time.Time // when it came to the router
	Dir  netem.Direction
	Data []byte // from the IP header on, as it came
	// Done is when it left the discipline, or when it was lost; zero if it
	// was still inside at the end.
	Done time.Time
	Lost netem.Drop // "" if it was not lost
}

// A frame is a packet as the tap saw it.
type frame struct {
	at            time.Time
	towardsDevice bool // on the router's device there
	out           bool // leaving, not coming
	damaged       bool // its Ethernet header is not what the router writes
	data          []byte
}

func (f *frame) direction() netem.Direction {
	if f.towardsDevice == f.out {
		return netem.Down
	}
	return netem.Up
}

// passages pairs what came with what left, by content, in order. A packet that
// never left was lost: to a full queue if there was one, else to the loss
// model. end is when the capture ended.
func passages(frames []frame, plan *Plan, end time.Time) []Passage {
	var sides [2]side
	for i := range frames {
		f := &frames[i]
		if !f.out && !between(f.data) { // what leaves may be damaged
			continue
		}
		s := &sides[f.direction()]
		if f.out {
			s.left(f)
		} else {
			s.came(f, f.direction())
		}
	}
	var all []Passage
	for dir := range sides {
		sides[dir].settle(plan.Direction(netem.Direction(dir)), end)
		all = append(all, sides[dir].list...)
	}
	slices.SortStableFunc(all, func(a, b Passage) int { return a.Sent.Compare(b.Sent) })
	return all
}

// between reports a packet from one host to the other.
func between(ip []byte) bool {
	p, err := wire.ParseIPCut(ip)
	return err != nil || !p.Dst.IsMulticast()
}

// A side is one direction.
type side struct {
	list []Passage
	open map[string][]int // of each content, the packets that have not left
	odd  map[int]int      // by length, packets that left and never came: damaged
	last time.Time        // when the last one left
}

func (s *side) came(f *frame, dir netem.Direction) {
	if s.open == nil {
		s.open, s.odd = map[string][]int{}, map[int]int{}
	}
	key := forwarded(f.data)
	s.open[key] = append(s.open[key], len(s.list))
	s.list = append(s.list, Passage{Sent: f.at, Dir: dir, Data: f.data})
}

func (s *side) left(f *frame) {
	s.last = f.at
	key := string(f.data)
	waiting := s.open[key]
	if len(waiting) > 0 && !f.damaged {
		s.list[waiting[0]].Done = f.at
		s.open[key] = waiting[1:]
		return
	}
	if s.odd != nil {
		s.odd[len(f.data)]++
	}
}

// settle finds out how those that never left were lost, unless they may have
// been inside at the end.
func (s *side) settle(n *Netem, end time.Time) {
	var leaving []time.Time // of those inside, ascending
	last := s.last          // when the discipline was empty at the latest
	for i := range s.list {
		p := &s.list[i]
		for len(leaving) > 0 && !leaving[0].After(p.Sent) {
			leaving = leaving[1:]
		}
		if !p.Done.IsZero() {
			at, _ := slices.BinarySearchFunc(leaving, p.Done, time.Time.Compare)
			leaving = slices.Insert(leaving, at, p.Done)
			continue
		}
		if p.Sent.After(last) {
			last = p.Sent
		}
		switch due := last.Add(n.slowest(len(p.Data))); {
		case n.Corrupt > 0 && s.odd[len(p.Data)] > 0:
			s.odd[len(p.Data)]--
			p.Done, p.Lost = p.Sent, netem.DropCorrupt
		case len(leaving) >= int(n.Limit):
			p.Done, p.Lost = p.Sent, netem.DropQueue
		case p.Sent.Before(s.last) || due.Before(end):
			p.Done, p.Lost = p.Sent, netem.DropLoss
		default: // still inside, and others behind it
			last = due
		}
	}
}

// slowest is the longest time that an empty discipline keeps an IP packet of n
// bytes, the kernel's own delays included.
func (n *Netem) slowest(bytes int) time.Duration {
	return n.Delay + tableSpan*n.Jitter + n.airtime(bytes) + 100*time.Millisecond
}

// airtime is what the rate takes for an IP packet of n bytes.
func (n *Netem) airtime(bytes int) time.Duration {
	if n.Rate == 0 {
		return 0
	}
	return time.Duration(float64(bytes+ethernetHeader+int(n.Overhead)) / float64(n.Rate) * float64(time.Second))
}

// forwarded is what a router makes of a packet: time to live or hop limit one
// less, and the header checksum that goes with it (RFC 1624).
func forwarded(ip []byte) string {
	out := slices.Clone(ip)
	switch {
	case len(out) >= wire.IPv4HeaderLen && out[0]>>4 == 4:
		out[8]--
		sum := uint32(binary.BigEndian.Uint16(out[10:])) + 0x100
		if sum >= 0xffff { // never 0xffff, as Linux has it
			sum++
		}
		binary.BigEndian.PutUint16(out[10:], uint16(sum))
	case len(out) >= wire.IPv6HeaderLen && out[0]>>4 == 6:
		out[7]--
	}
	return string(out)
}
