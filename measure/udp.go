package measure

import (
	"net/netip"

	"github.com/thinlink/thinlink/measure/internal/tlsdec"
)

// What a UDP flow carries.
type udpKind uint8

const (
	udpPlain udpKind = iota
	udpCoAP
	udpDTLS
	udpMQTTSN
)

// A udpFlow is the datagrams between two endpoints.
type udpFlow struct {
	key     flowKey
	kind    udpKind
	session *tlsdec.Session // DTLS
	coap    coapTracker
	sn      snTracker
}

// Well-known ports (RFC 7252 section 12.6 and 12.7).
const (
	portCoAP  = 5683
	portCoAPS = 5684
)

// flow finds the flow of a datagram. A tls12_cid record from an unknown
// address belongs to the session that its identifier names.
func (d *dissection) flow(k flowKey, dir int, b []byte) *udpFlow {
	f := d.udp[k]
	if f != nil {
		return f
	}
	f = &udpFlow{key: k, coap: make(coapTracker)}
	switch m, ok := parseCoAP(b); {
	case tlsdec.IsDTLS(b):
		f.kind, f.session = udpDTLS, tlsdec.NewSession(d.keys)
		for _, other := range d.flows {
			if other.session != nil && other.session.OwnsCID(dir, b) {
				f.session, f.coap, f.sn = other.session, other.coap, other.sn
			}
		}
	case k.mqttsn():
		f.kind = udpMQTTSN
	case ok && (k.wellKnown(portCoAP) || m.request() && m.path):
		f.kind = udpCoAP
	}
	d.udp[k] = f
	d.flows = append(d.flows, f)
	return f
}

// bareFlow is the one flow of a link without IP.
var bareFlow = flowKey{platform: netip.AddrPortFrom(netip.Addr{}, portCoAP)}

// datagram accounts for a datagram with n bytes of data, of which the capture
// holds b.
func (d *dissection) datagram(p *Packet, k flowKey, b []byte, n int, in bool) {
	if len(b) > n {
		b = b[:n]
	}
	if len(b) == n && n > 0 {
		f := d.flow(k, int(p.Dir), b)
		switch f.kind {
		case udpDTLS:
			d.dtlsDatagram(f, p, b, in)
			return
		case udpCoAP, udpMQTTSN:
			n -= d.message(f, p, b, in)
		}
	}
	d.count(&d.layers.Payload, n, in)
}

// mqttsn reports whether a flow is MQTT-SN's, by its port: its messages have no
// mark of their own.
func (k *flowKey) mqttsn() bool { return k.wellKnown(portMQTTSN, portMQTTUDP, portMQTTSecureUD) }

// message counts the header of a CoAP or MQTT-SN message and returns its length;
// 0 if it is something else.
func (d *dissection) message(f *udpFlow, p *Packet, b []byte, in bool) (header int) {
	if f.key.mqttsn() {
		return d.snMessage(f, p, b, in)
	}
	m, ok := parseCoAP(b)
	if !ok {
		return 0
	}
	if m.retransmits() {
		repeat, arrives := f.coap.repeat(p, &m)
		if in && repeat {
			d.coap++
			if arrives && d.trace.FatesKnown {
				d.coapSpurious++
			}
		}
	}
	d.count(&d.layers.Protocol, m.header, in)
	return m.header
}

func (d *dissection) snMessage(f *udpFlow, p *Packet, b []byte, in bool) (header int) {
	m, ok := parseMQTTSN(b)
	if !ok {
		return 0
	}
	if repeat, arrives := f.sn.repeat(p, &m); in && repeat {
		d.mqttsn++
		if arrives && d.trace.FatesKnown {
			d.mqttsnSpurious++
		}
	}
	d.count(&d.layers.Protocol, m.header, in)
	return m.header
}

func (d *dissection) dtlsDatagram(f *udpFlow, p *Packet, b []byte, in bool) {
	for _, r := range f.session.Datagram(int(p.Dir), b) {
		if r.Restart { // message IDs belong to a session, RFC 7252 section 9.1.1
			clear(f.coap)
			f.sn = snTracker{}
		}
		if in {
			d.dtls += int64(r.Repeats)
			if r.ServerHello {
				d.handshakes++
			}
		}
		d.count(&d.layers.Security, r.Front+r.Back, in)
		content := r.Len - r.Front - r.Back
		switch r.Kind {
		case tlsdec.Content:
			content -= d.message(f, p, r.Plain, in)
		case tlsdec.Opaque:
			d.count(&d.undecrypted, content, in)
		}
		d.count(&d.layers.Payload, content, in)
	}
}
