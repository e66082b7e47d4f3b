package measure

import (
	"time"

	"github.com/thinlink/thinlink/measure/internal/tlsdec"
	"github.com/thinlink/thinlink/netem"
)

// dissect finds the classes of both streams. If they hold a TLS handshake, at
// is when its ServerHello was first sent.
func (c *tcpConn) dissect(d *dissection) (at time.Time, handshake bool) {
	up, down := c.half[netem.Up].stream(), c.half[netem.Down].stream()
	for _, s := range []tlsdec.Stream{up, down} {
		if len(s.Holes) > 0 {
			d.warnings.add("TCP connection %v - %v: parts of the stream were not captured", c.key.device, c.key.platform)
		}
	}
	client, server := &c.half[netem.Up], &c.half[netem.Down]
	sent, answered := up, down
	if c.client(up.Data, down.Data) == netem.Down {
		client, server = server, client
		sent, answered = answered, sent
	}
	if !tlsdec.IsTLS(sent.Data) && !tlsdec.IsTLS(answered.Data) {
		client.class, server.class = c.application(sent.Data, answered.Data)
		return never, false
	}
	conn := tlsdec.Dissect(sent, answered, d.keys)
	inner, outer := c.application(conn.Sides[tlsdec.Client].Plain, conn.Sides[tlsdec.Server].Plain)
	client.class = wrap(conn.Sides[tlsdec.Client].Spans, inner)
	server.class = wrap(conn.Sides[tlsdec.Server].Spans, outer)
	if conn.ServerHelloAt < 0 {
		return never, false
	}
	return server.sentAt(int64(conn.ServerHelloAt)), true
}

// client tells which end opened the connection.
func (c *tcpConn) client(up, down []byte) netem.Direction {
	switch {
	case c.haveSYN:
		return c.synClient
	case tlsdec.IsClient(up):
		return netem.Up
	case tlsdec.IsClient(down):
		return netem.Down
	case c.key.device.Port() < 1024 && c.key.platform.Port() >= 1024:
		return netem.Down
	}
	return netem.Up
}

// application recognises what two plain streams hold: by their first bytes,
// and where a capture lacks those, by the port.
func (c *tcpConn) application(client, server []byte) (sent, answered classes) {
	switch {
	case isMQTT(client), len(client)+len(server) > 0 && c.key.wellKnown(1883, 8883) && !isHTTP(client):
		v5 := isMQTT5(client)
		return mqttClasses(client, v5), mqttClasses(server, v5)
	case isCoAPStream(client), isCoAPStream(server):
		return coapClasses(client), coapClasses(server)
	case isHTTP2(client):
		return http2Classes(client[len(http2Preface):], len(http2Preface)), http2Classes(server, 0)
	case isHTTP(client), isHTTP(server):
		sent, methods := httpClasses(client, nil)
		answered, _ := httpClasses(server, methods)
		return sent, answered
	}
	return classes{}, classes{} // payload
}

// wrap lays the classes of the plain bytes into the spans of the stream they
// were found in.
func wrap(spans []tlsdec.Span, plain classes) classes {
	var c classes
	var at int64 // in the plain bytes
	i := 0
	for _, s := range spans {
		switch s.Kind {
		case tlsdec.Security:
			c.add(s.Len, classSecurity)
			continue
		case tlsdec.Opaque:
			c.add(s.Len, classOpaque)
			continue
		case tlsdec.Incomplete:
			c.add(s.Len, classPayload)
			continue
		}
		for n := int64(s.Len); n > 0; {
			if i == len(plain.ends) {
				c.add(int(n), classPayload)
				break
			}
			run := min(n, plain.ends[i]-at)
			c.add(int(run), plain.class[i])
			at += run
			n -= run
			if at == plain.ends[i] {
				i++
			}
		}
	}
	return c
}
