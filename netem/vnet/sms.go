package vnet

import (
	"time"

	"github.com/thinlink/thinlink/internal/sms"
	"github.com/thinlink/thinlink/netem"
)

// nasOverhead is what a NAS transport message adds to a control protocol message
// (TS 24.301 sections 8.2.12 and 8.2.30): security header type and protocol
// discriminator, message authentication code (4), sequence number, protocol
// discriminator, message type, length of the container.
const nasOverhead = 9

// resendAfter is the control protocol's timer TC1*, after which a CP-DATA without
// acknowledgement is sent again, and resends how often at most (TS 24.011 section
// 5.3.2.1 leaves the first to the implementation and the second at up to three).
const (
	resendAfter = 10 * time.Second
	resends     = 3
)

// A service carries datagrams as short messages (TS 24.011): each segment is a
// transfer over the link, one at a time in each direction, with the
// acknowledgements of control and relay protocol; the service centre between
// network and platform stores it and sends it on.
type service struct {
	net    *Network
	centre *netem.ServiceCentre
	tap    netem.Tap // the user's, may be nil
	legs   [2]leg
	// What is on the link, by the tap's number.
	flying map[uint64]message
	last   uint64
}

// A leg is what goes one way, by direction.
type leg struct {
	waiting   []sms.Segment // for their transfer
	busy      bool          // the first of them is under way
	reference uint8         // of the transfer under way; of the last one otherwise
	accepted  int           // reference of the last one that arrived, -1: none
	messages  uint8         // reference of the last concatenated message
	assembled sms.Assembler // at the receiver
}

// message is a PDU on its way.
type message struct {
	dir   netem.Direction
	pdu   sms.PDU
	tries int
}

func newService(n *Network, cfg *netem.SMSConfig, seed uint64, tap netem.Tap) *service {
	s := &service{net: n, centre: netem.NewServiceCentre(*cfg, seed), tap: tap, flying: map[uint64]message{}}
	for i := range s.legs {
		s.legs[i].accepted = -1
	}
	return s
}

// send takes a datagram from the host that sends in a direction.
func (s *service) send(dir netem.Direction, data []byte) {
	l := &s.legs[dir]
	segments, err := sms.Split(data, l.messages+1)
	if err != nil {
		return // larger than any message can be
	}
	if len(segments) > 1 {
		l.messages++
	}
	for _, x := range segments {
		if dir == netem.Up {
			s.transfer(dir, x)
		} else {
			s.store(dir, x, func() { s.transfer(dir, x) })
		}
	}
}

// store passes a segment through the service centre.
func (s *service) store(dir netem.Direction, x sms.Segment, forward func()) {
	if after, ok := s.centre.Take(dir); ok {
		s.net.after(after, forward)
	}
}

// transfer sends a segment over the link when its turn has come.
func (s *service) transfer(dir netem.Direction, x sms.Segment) {
	l := &s.legs[dir]
	l.waiting = append(l.waiting, x)
	if !l.busy {
		s.begin(dir)
	}
}

func (s *service) begin(dir netem.Direction) {
	l := &s.legs[dir]
	l.busy = true
	l.reference++
	s.offer(message{dir: dir, pdu: sms.PDU{
		Kind: sms.Data, Up: dir == netem.Up, Reference: l.reference, Transaction: l.reference % sms.Transactions,
		Segment: l.waiting[0], Time: s.net.now,
	}})
}

// end goes on with the next transfer.
func (s *service) end(dir netem.Direction) {
	l := &s.legs[dir]
	l.waiting[0] = sms.Segment{}
	l.waiting, l.busy = l.waiting[1:], false
	if len(l.waiting) > 0 {
		s.begin(dir)
	}
}

// offer hands a message to the link.
func (s *service) offer(m message) {
	s.last++ // as the link counts
	s.flying[s.last] = m
	s.net.link.Send(s.net.now, m.dir, m.pdu.Append(nil))
}

// arrive takes what the link delivered in a direction.
func (s *service) arrive(dir netem.Direction, data []byte) {
	p, err := sms.Parse(data)
	if err != nil {
		return
	}
	back := netem.Up + netem.Down - dir
	answer := func(kind sms.Kind, answers bool) {
		s.offer(message{dir: back, pdu: sms.PDU{
			Kind: kind, Up: back == netem.Up, Reference: p.Reference, Transaction: p.Transaction, Answer: answers,
		}})
	}
	switch p.Kind {
	case sms.Data:
		answer(sms.CPAck, true)
		answer(sms.Ack, true)
		if l := &s.legs[dir]; l.accepted != int(p.Reference) { // else it has been sent again
			l.accepted = int(p.Reference)
			s.accept(dir, p.Segment)
		}
	case sms.Ack: // of a transfer in the other direction
		answer(sms.CPAck, false)
		if l := &s.legs[back]; l.busy && l.reference == p.Reference {
			s.end(back)
		}
	}
}

// accept takes a segment that has crossed the link.
func (s *service) accept(dir netem.Direction, x sms.Segment) {
	if dir == netem.Down {
		s.assemble(dir, x)
		return
	}
	s.store(dir, x, func() { s.assemble(dir, x) })
}

func (s *service) assemble(dir netem.Direction, x sms.Segment) {
	parts, complete := s.legs[dir].assembled.Put(x)
	if !complete {
		return
	}
	var data []byte
	for _, p := range parts {
		data = append(data, p.Data...)
	}
	s.net.deliver(s.net.towards(dir), data)
}

// Sent, Delivered, Dropped and Radio are the link's tap: what is dropped is sent
// again, as the control protocol would when its timer has run out.
func (s *service) Sent(now time.Time, id uint64, dir netem.Direction, data []byte) {
	if s.tap != nil {
		s.tap.Sent(now, id, dir, data)
	}
}

func (s *service) Delivered(now time.Time, id uint64) {
	delete(s.flying, id)
	if s.tap != nil {
		s.tap.Delivered(now, id)
	}
}

func (s *service) Dropped(now time.Time, id uint64, why netem.Drop) {
	if s.tap != nil {
		s.tap.Dropped(now, id, why)
	}
	m, ok := s.flying[id]
	delete(s.flying, id)
	if !ok || m.pdu.Kind == sms.CPAck { // the next message acknowledges as well
		return
	}
	m.tries++
	if m.tries <= resends {
		s.net.after(resendAfter, func() { s.offer(m) })
		return
	}
	s.net.after(resendAfter, func() { s.giveUp(m) })
}

// giveUp ends a transfer whose message or acknowledgement does not get through.
func (s *service) giveUp(m message) {
	dir := m.dir
	if m.pdu.Kind == sms.Ack {
		dir = netem.Up + netem.Down - dir
	}
	if l := &s.legs[dir]; l.busy && l.reference == m.pdu.Reference {
		s.end(dir)
	}
}

func (s *service) Radio(now time.Time, state netem.RadioState) {
	if s.tap != nil {
		s.tap.Radio(now, state)
	}
}
