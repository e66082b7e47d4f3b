package sms

import "errors"

// ErrMalformed is what Parse returns.
var ErrMalformed = errors.New("sms: malformed message")

// Parse reads a PDU, whose segment refers to b. Addresses and times are passed
// over.
func Parse(b []byte) (p PDU, err error) {
	if len(b) < 2 || b[0]&0x0f != discriminator || b[0]>>4&7 >= Transactions {
		return p, ErrMalformed
	}
	p.Transaction, p.Answer = b[0]>>4&7, b[0]&0x80 != 0
	r := reader{b: b[2:]}
	switch b[1] {
	case cpAck:
		p.Kind = CPAck
	case cpData:
		r = reader{b: r.field(r.byte())}
		p.relay(&r)
	default:
		return p, ErrMalformed
	}
	if r.bad {
		return PDU{}, ErrMalformed
	}
	return p, nil
}

// relay reads a message of the relay protocol, TS 24.011 section 7.3.
func (p *PDU) relay(r *reader) {
	kind := r.byte()
	p.Reference = r.byte()
	switch kind {
	case rpAckUp, rpAckDown:
		p.Kind, p.Up = Ack, kind == rpAckUp
	case rpDataUp, rpDataDown:
		p.Up = kind == rpDataUp
		for range 2 { // originator and destination
			n := r.byte()
			r.bad = r.bad || n > maxAddress
			r.field(n)
		}
		n := r.byte()
		r.bad = r.bad || n > maxUserDataLen
		inner := reader{b: r.field(n)}
		p.transfer(&inner)
		r.bad = r.bad || inner.bad
	default:
		r.bad = true
	}
}

// transfer reads SMS-SUBMIT or SMS-DELIVER.
func (p *PDU) transfer(r *reader) {
	first := r.byte()
	want, skip := byte(tpDeliver), timestampLen
	if p.Up {
		want, skip = tpSubmit, validityLen(first)
		r.byte() // TP-MR
	}
	r.bad = r.bad || first&3 != want
	number := r.byte()
	r.bad = r.bad || number > maxDigits
	r.field(1 + (number+1)/2) // type of address, digits
	r.byte()                  // TP-PID
	r.bad = r.bad || r.byte() != coding8Bit
	r.field(byte(skip))
	n := r.byte()
	data := r.field(n)
	r.bad = r.bad || n > MaxData || len(r.b) > 0
	if first&tpHeader != 0 && !r.bad {
		data = p.Segment.takeHeader(data, r)
	}
	p.Segment.Data = data
}

// validityLen is the length of SMS-SUBMIT's TP-VP by its format (TS 23.040
// section 9.2.3.3).
func validityLen(first byte) int {
	switch first >> 3 & 3 {
	case 0:
		return 0
	case 2: // relative
		return 1
	}
	return timestampLen
}

// takeHeader reads the user data header and returns what follows it. Elements
// other than the concatenation are passed over.
func (s *Segment) takeHeader(data []byte, r *reader) []byte {
	outer := reader{b: data}
	header := reader{b: outer.field(outer.byte())}
	for len(header.b) > 0 {
		id, n := header.byte(), header.byte()
		value := header.field(n)
		if id == concatID && n == concatIDSize && !header.bad {
			s.Reference, s.Total, s.Number = value[0], value[1], value[2]
		}
	}
	r.bad = r.bad || outer.bad || header.bad
	return outer.b
}

// reader takes octets from the front of b; bad once there were too few.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) field(n byte) []byte {
	if r.bad || int(n) > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	f := r.b[:n]
	r.b = r.b[n:]
	return f
}

func (r *reader) byte() byte {
	if f := r.field(1); f != nil {
		return f[0]
	}
	return 0
}
