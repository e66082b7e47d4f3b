package broker

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// readPacket reads one control packet of at most limit bytes after its fixed
// header. It is strict: flags, lengths, strings cut short and bytes left over
// are errors [MQTT-4.8.0-1], in MQTT 5 [MQTT-4.13.1-1]. The level of CONNECT
// is its own.
func readPacket(r *bufio.Reader, level byte, limit int) (*packet, error) {
	first, err := r.ReadByte()
	if err != nil {
		return nil, err
	}
	size, err := readLength(r, limit)
	if err != nil {
		return nil, err
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, err
	}
	return decode(level, first, body)
}

// readLength reads the remaining length: up to four bytes of seven bits, least
// significant first (section 2.2.3).
func readLength(r io.ByteReader, limit int) (int, error) {
	n := 0
	for shift := 0; shift < 28; shift += 7 {
		b, err := r.ReadByte()
		if err != nil {
			return 0, err
		}
		n |= int(b&0x7f) << shift
		if b&0x80 == 0 {
			if n > limit {
				return 0, violates(PacketTooLarge, "packet of %d bytes, at most %d are accepted", n, limit)
			}
			return n, nil
		}
	}
	return 0, violates(MalformedPacket, "remaining length of more than 4 bytes")
}

// decode reads a packet's body.
func decode(level, first byte, body []byte) (*packet, error) {
	p := &packet{
		kind: kind(first >> 4), dup: first&8 != 0, qos: first >> 1 & 3, retain: first&1 != 0,
	}
	if !validFlags(p.kind, first&0xf) {
		return nil, violates(MalformedPacket, "flags %#x of %s", first&0xf, p.kind)
	}
	if p.kind != kindPublish {
		p.dup, p.qos, p.retain = false, 0, false
	}
	r := &reader{b: body}
	p.read(r, level)
	if r.err == nil && len(r.b) > 0 {
		r.fail(MalformedPacket, "%d bytes left over", len(r.b))
	}
	if r.err != nil {
		return p, fmt.Errorf("%s: %w", p.kind, r.err)
	}
	return p, nil
}

// validFlags checks the fixed header's flags against table 2.2
// [MQTT-2.2.2-2]; of PUBLISH, QoS 3 is invalid [MQTT-3.3.1-4] and so is DUP
// with QoS 0 [MQTT-3.3.1-2].
func validFlags(k kind, flags byte) bool {
	switch k {
	case kindPublish:
		qos := flags >> 1 & 3
		return qos != 3 && (qos > 0 || flags&8 == 0)
	case kindPubrel, kindSubscribe, kindUnsubscribe:
		return flags == 2
	}
	return flags == 0
}

// read takes the fields of the packet's kind.
func (p *packet) read(r *reader, level byte) {
	v5 := level == level5
	switch p.kind {
	case kindConnect:
		p.readConnect(r)
	case kindConnack:
		flags := r.byte()
		p.present, p.reason = flags == 1, Reason(r.byte())
		if flags > 1 {
			r.fail(MalformedPacket, "flags %#x", flags)
		}
		p.readProperties(r, v5)
	case kindPublish:
		p.readPublish(r, v5)
	case kindPuback, kindPubrec, kindPubrel, kindPubcomp:
		p.id = r.identifier()
		p.readReason(r, v5)
	case kindSubscribe:
		p.id = r.identifier()
		p.readProperties(r, v5)
		p.readSubscriptions(r, v5)
	case kindUnsubscribe:
		p.id = r.identifier()
		p.readProperties(r, v5)
		for len(r.b) > 0 && r.err == nil {
			p.filters = append(p.filters, r.filter())
		}
		if len(p.filters) == 0 { // [MQTT-3.10.3-2]
			r.fail(ProtocolError, "no filter")
		}
	case kindSuback, kindUnsuback:
		p.id = r.identifier()
		p.readProperties(r, v5)
		for _, c := range r.take(len(r.b)) {
			p.reasons = append(p.reasons, Reason(c))
		}
	case kindPingreq, kindPingresp:
	case kindDisconnect:
		p.readReason(r, v5)
	case kindAuth:
		if !v5 {
			r.fail(MalformedPacket, "not a packet of MQTT 3.1.1")
		}
		p.readReason(r, v5)
	default:
		r.fail(MalformedPacket, "no such packet")
	}
}

func (p *packet) readProperties(r *reader, v5 bool) {
	if v5 {
		p.props = r.properties(p.kind)
	}
}

// readReason takes a reason code and properties, each of which may be left out.
func (p *packet) readReason(r *reader, v5 bool) {
	if !v5 || len(r.b) == 0 {
		return
	}
	p.reason = Reason(r.byte())
	if len(r.b) > 0 {
		p.props = r.properties(p.kind)
	}
}

func (p *packet) readPublish(r *reader, v5 bool) {
	p.topic = r.text()
	if p.qos > 0 {
		p.id = r.identifier()
	}
	p.readProperties(r, v5)
	p.payload = r.take(len(r.b))
	_, alias := p.props.Num(TopicAlias)
	if r.err == nil && (p.topic != "" || !alias) && checkTopic(p.topic) != nil {
		r.fail(TopicNameInvalid, "topic %q", p.topic)
	}
	r.validMessage(p.props, p.payload)
}

// readSubscriptions takes filters with their options (section 3.8.3.1 of
// MQTT 5); MQTT 3.1.1 has the QoS only [MQTT-3-8.3-4].
func (p *packet) readSubscriptions(r *reader, v5 bool) {
	id, _ := p.props.Num(SubscriptionIdentifier)
	for len(r.b) > 0 && r.err == nil {
		filter := r.filter()
		o := r.byte()
		reserved := byte(0xfc)
		if v5 {
			reserved = 0xc0 // [MQTT-3.8.3-5]
		}
		s := subscription{filter: filter, qos: o & 3, noLocal: o&4 != 0, asPublished: o&8 != 0, handling: o >> 4 & 3, id: id}
		if o&reserved != 0 || s.qos == 3 || s.handling == 3 {
			r.fail(MalformedPacket, "subscription options %#x", o)
		}
		if s.shared() && s.noLocal { // [MQTT-3.8.3-4]
			r.fail(ProtocolError, "no local on a shared subscription")
		}
		p.subs = append(p.subs, s)
	}
	if len(p.subs) == 0 { // [MQTT-3.8.3-3]
		r.fail(ProtocolError, "no filter")
	}
}

// readConnect takes CONNECT (section 3.1). Of an unknown level only the level
// is read.
func (p *packet) readConnect(r *reader) {
	c := &connectFields{}
	p.connect = c
	name := r.text()
	c.level = r.byte()
	switch {
	case r.err != nil:
		return
	case name != "MQTT": // [MQTT-3.1.2-1]
		r.fail(UnsupportedVersion, "protocol %q", name)
		c.level = 0 // is not answered
		return
	case c.level != level4 && c.level != level5:
		r.fail(UnsupportedVersion, "protocol level %d", c.level) // [MQTT-3.1.2-2]
		return
	}
	v5 := c.level == level5
	flags := r.byte()
	c.clean, c.keepAlive = flags&2 != 0, r.two()
	p.readProperties(r, v5)
	c.client = r.text()
	will, willQoS, willRetain := flags&4 != 0, flags>>3&3, flags&0x20 != 0
	if flags&1 != 0 || // [MQTT-3.1.2-3]
		willQoS == 3 || !will && (willQoS != 0 || willRetain) || // [MQTT-3.1.2-13] to [MQTT-3.1.2-15]
		!v5 && flags&0xc0 == 0x40 { // [MQTT-3.1.2-22]: a password without user name
		r.fail(MalformedPacket, "flags %#x", flags)
	}
	if will {
		p.readWill(r, v5)
		c.will.QoS, c.will.Retain = willQoS, willRetain
	}
	if c.hasUser = flags&0x80 != 0; c.hasUser {
		c.user = r.text()
	}
	if flags&0x40 != 0 {
		c.password = r.binary()
	}
	_, method := p.props.Text(AuthMethod)
	if _, data := p.props.Text(AuthData); data && !method {
		r.fail(ProtocolError, "authentication data without method")
	}
}

func (p *packet) readWill(r *reader, v5 bool) {
	m := &Message{}
	p.connect.will = m
	var ps Properties
	if v5 {
		ps = r.properties(willProperties)
	}
	m.Topic = r.text()
	m.Payload = r.binary()
	if r.err == nil && checkTopic(m.Topic) != nil {
		r.fail(TopicNameInvalid, "will topic %q", m.Topic)
	}
	r.validMessage(ps, m.Payload)
	p.connect.willDelay, _ = ps.Num(WillDelay)
	m.Properties = ps.forwarded()
	m.lifetime(ps)
}

// reader takes fields from a packet's body and remembers the first error.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(reason Reason, format string, args ...any) {
	if r.err == nil {
		r.err = violates(reason, format, args...)
	}
}

func (r *reader) take(n int) []byte {
	if r.err != nil || n > len(r.b) {
		r.fail(MalformedPacket, "cut short")
		r.b = nil
		return nil
	}
	taken := r.b[:n]
	r.b = r.b[n:]
	return taken
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) two() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) four() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// varint takes a variable byte integer of at most four bytes (section 1.5.5), in
// as few as it needs [MQTT-1.5.5-1].
func (r *reader) varint() (n uint32) {
	for shift := 0; shift < 28; shift += 7 {
		b := r.byte()
		n |= uint32(b&0x7f) << shift
		if b&0x80 == 0 {
			if b == 0 && shift > 0 {
				r.fail(MalformedPacket, "variable byte integer in more bytes than it needs")
			}
			return n
		}
	}
	r.fail(MalformedPacket, "variable byte integer of more than 4 bytes")
	return 0
}

func (r *reader) binary() []byte { return r.take(int(r.two())) }

func (r *reader) text() string {
	s := string(r.binary())
	if r.err == nil && !validString(s) { // [MQTT-1.5.3-1], [MQTT-1.5.3-2]
		r.fail(MalformedPacket, "string is not UTF-8 without U+0000")
	}
	return s
}

// filter takes a topic filter; that of a shared subscription is checked without
// its prefix.
func (r *reader) filter() string {
	s := r.text()
	if r.err == nil && checkFilter(s) != nil {
		r.fail(MalformedPacket, "topic filter %q", s)
	}
	return s
}

// identifier takes a packet identifier, which is not 0 [MQTT-2.3.1-1].
func (r *reader) identifier() uint16 {
	id := r.two()
	if id == 0 {
		r.fail(ProtocolError, "packet identifier 0")
	}
	return id
}
