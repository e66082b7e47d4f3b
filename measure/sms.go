package measure

import (
	"github.com/thinlink/thinlink/internal/sms"
	"github.com/thinlink/thinlink/netem"
)

// shortMessages is what a link of short messages carries in one direction.
type shortMessages struct {
	last      int // reference of the last transfer plus 1; 0: none yet
	count     int64
	assembled sms.Assembler
	began     map[uint8]bool // whether a longer message began inside the window, by reference
}

// shortMessage accounts for a message of the control protocol: everything but
// the user data is transport. A longer message is dissected with its last
// segment; what never becomes whole, and what the window's edge cuts, is payload.
func (d *dissection) shortMessage(p *Packet, in bool) {
	pdu, err := sms.Parse(p.Data)
	if err != nil {
		d.notSMS++
		d.count(&d.layers.Payload, len(p.Data), in)
		return
	}
	n := len(pdu.Segment.Data)
	d.count(&d.layers.Transport, len(p.Data)-n, in)
	d.count(&d.layers.Payload, n, in)
	s := &d.sms[p.Dir]
	if pdu.Kind != sms.Data || s.last == int(pdu.Reference)+1 { // else sent again
		return
	}
	s.last = int(pdu.Reference) + 1
	d.count(&s.count, 1, in)
	if s.began == nil {
		s.began = map[uint8]bool{}
	}
	began, known := s.began[pdu.Segment.Reference]
	if !known {
		began = in
		s.began[pdu.Segment.Reference] = in
	}
	parts, complete := s.assembled.Put(pdu.Segment)
	if !complete {
		return
	}
	delete(s.began, pdu.Segment.Reference)
	if began != in {
		return
	}
	var data []byte
	for _, part := range parts {
		data = append(data, part.Data...)
	}
	d.count(&d.layers.Payload, -len(data), in)
	d.datagram(p, bareFlow, data, len(data), in)
}

// shortMessageCount is nil on other links.
func (d *dissection) shortMessageCount() *SMS {
	if d.trace.Bearer != netem.BearerSMS {
		return nil
	}
	return &SMS{Up: d.sms[0].count, Down: d.sms[1].count}
}
