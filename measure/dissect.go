package measure

import (
	"net/netip"
	"time"

	"github.com/thinlink/thinlink/internal/wire"
	"github.com/thinlink/thinlink/measure/internal/tlsdec"
	"github.com/thinlink/thinlink/netem"
)

// dissection is a trace taken apart: every packet is looked at, so that
// sequence numbers and keys are known, but only those inside the window are
// counted.
type dissection struct {
	trace    *Trace
	keys     *tlsdec.Keys
	layers   Layers
	warnings warnings

	tcp        map[flowKey]*tcpConn // the latest connection of each pair of endpoints
	conns      []*tcpConn           // all, in order
	tcpClasses TCPClasses
	segments   []segment // inside the window, with data
	udp        map[flowKey]*udpFlow
	flows      []*udpFlow // all, in order

	coap, coapSpurious int64

	mqttsn, mqttsnSpurious int64

	dtls, handshakes int64
	undecrypted      int64 // bytes of unknown content, inside the window
	notIP, fragments int

	sms    [2]shortMessages // by direction
	notSMS int
}

// flowKey is a pair of endpoints, the same for both directions.
type flowKey struct{ device, platform netip.AddrPort }

// A segment is a TCP segment's place in its stream.
type segment struct {
	half   *tcpHalf
	offset int64
	n      int
}

func dissect(t *Trace) *dissection {
	d := &dissection{
		trace: t, keys: tlsdec.ParseKeyLog(t.KeyLog),
		tcp: make(map[flowKey]*tcpConn), udp: make(map[flowKey]*udpFlow),
	}
	for i := range t.Packets {
		d.packet(&t.Packets[i])
	}
	d.streams()
	d.warn()
	return d
}

func (d *dissection) retransmissions() Retransmissions {
	c := &d.tcpClasses
	r := Retransmissions{
		TCP: c.Retransmissions + c.Fast + c.Spurious, TCPSpurious: c.Spurious,
		CoAP: d.coap, CoAPSpurious: d.coapSpurious,
		MQTTSN: d.mqttsn, MQTTSNSpurious: d.mqttsnSpurious,
		DTLS: d.dtls, TLSHandshakes: d.handshakes,
	}
	if d.trace.FatesKnown {
		// At the sender's end of a link nothing has been reordered yet.
		r.TCP += c.OutOfOrder
		r.TCPSpurious = c.Needless
	}
	return r
}

func (d *dissection) warn() {
	if d.notIP > 0 {
		d.warnings.add("%d packets are neither IPv4 nor IPv6, or damaged: counted as payload", d.notIP)
	}
	if d.notSMS > 0 {
		d.warnings.add("%d packets are no short messages: counted as payload", d.notSMS)
	}
	if d.fragments > 0 {
		d.warnings.add("%d IP fragments: counted, their content as payload", d.fragments)
	}
	if d.undecrypted > 0 {
		d.warnings.add("%d bytes could not be decrypted: counted as payload", d.undecrypted)
	}
	if d.keys.Malformed > 0 {
		d.warnings.add("%d lines of the key log are malformed: ignored", d.keys.Malformed)
	}
}

// count adds n bytes to a class, if the packet is inside the window.
func (d *dissection) count(class *int64, n int, in bool) {
	if in {
		*class += int64(n)
	}
}

func (d *dissection) packet(p *Packet) {
	in := d.trace.inWindow(p.Time)
	switch d.trace.Bearer {
	case netem.BearerSMS:
		d.shortMessage(p, in)
		return
	case netem.BearerNonIP:
		d.datagram(p, bareFlow, p.Data, len(p.Data), in)
		return
	}
	ip, err := wire.ParseIPCut(p.Data)
	if err != nil {
		d.notIP++
		d.count(&d.layers.Payload, len(p.Data), in)
		return
	}
	d.count(&d.layers.IP, ip.HeaderLen, in)
	n := ip.TotalLen - ip.HeaderLen
	if ip.Fragment() {
		d.fragments++
	}
	if ip.FragmentOffset == 0 {
		switch ip.Protocol {
		case wire.ProtoTCP:
			if s, err := wire.ParseTCP(ip.Payload); err == nil {
				d.count(&d.layers.Transport, s.HeaderLen, in)
				d.segment(p, &ip, &s, n-s.HeaderLen, in)
				return
			}
		case wire.ProtoUDP:
			if u, err := wire.ParseUDPCut(ip.Payload); err == nil && n >= wire.UDPHeaderLen {
				d.count(&d.layers.Transport, wire.UDPHeaderLen, in)
				if n -= wire.UDPHeaderLen; !ip.Fragment() {
					d.datagram(p, key(p.Dir, &ip, u.SrcPort, u.DstPort), u.Payload, n, in)
					return
				}
			}
		case wire.ProtoICMP, wire.ProtoICMPv6:
			header := min(n, wire.ICMPHeaderLen)
			d.count(&d.layers.Transport, header, in)
			n -= header
		}
	}
	d.count(&d.layers.Payload, n, in)
}

// key tells which flow a packet belongs to.
func key(dir netem.Direction, ip *wire.IP, src, dst uint16) flowKey {
	k := flowKey{netip.AddrPortFrom(ip.Src, src), netip.AddrPortFrom(ip.Dst, dst)}
	if dir == netem.Down {
		k.device, k.platform = k.platform, k.device
	}
	return k
}

// segment follows a TCP segment with n bytes of data.
func (d *dissection) segment(p *Packet, ip *wire.IP, s *wire.TCP, n int, in bool) {
	if n < 0 { // the header claims more than the packet holds
		n = 0
	}
	k := key(p.Dir, ip, s.SrcPort, s.DstPort)
	c := d.tcp[k]
	if c == nil || c.reused(p.Dir, s) {
		c = &tcpConn{key: k}
		d.tcp[k] = c
		d.conns = append(d.conns, c)
	}
	offset, class, needless := c.track(p, s, n)
	if in {
		d.tcpClasses.add(class, needless)
	}
	if n > 0 {
		half := &c.half[p.Dir]
		half.append(offset, n, s.Payload, p.Time)
		if in {
			d.segments = append(d.segments, segment{half, offset, n})
		}
	}
}

// streams finds out what the bytes of every TCP stream are, then counts the
// segments inside the window, repeated ones again.
func (d *dissection) streams() {
	for _, c := range d.conns {
		at, ok := c.dissect(d)
		if ok && d.trace.inWindow(at) {
			d.handshakes++
		}
	}
	for _, s := range d.segments {
		d.undecrypted += s.half.class.count(&d.layers, s.offset, s.n)
	}
}

// wellKnown reports whether an endpoint of the flow has one of the ports.
func (k *flowKey) wellKnown(ports ...uint16) bool {
	for _, p := range ports {
		if k.device.Port() == p || k.platform.Port() == p {
			return true
		}
	}
	return false
}

// never is later than anything.
var never = time.Unix(1<<60, 0)
