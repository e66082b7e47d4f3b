package mqttsn

import (
	"net"
	"testing"
	"time"
)

// FuzzGateway feeds a gateway arbitrary datagrams from two peers; each begins
// with its length, whose lowest bit says whose it is. The gateway must not panic,
// must answer with what can be read, must keep no more than its options say and
// must still serve afterwards.
func FuzzGateway(f *testing.F) {
	script := func(peer byte, messages ...message) (b []byte) {
		for _, m := range messages {
			d := m.encode()
			b = append(append(b, byte(len(d))<<1|peer), d...)
		}
		return b
	}
	begin := []message{{kind: connect, name: "c", duration: 60, clean: true}, {kind: register, id: 1, name: "a/b"}, {kind: subscribe, qos: 1, id: 2, name: "a/#"}}
	f.Add(script(0, append(begin, message{kind: publish, qos: 1, topic: 1, id: 3, data: []byte("x")}, message{kind: disconnect, hasDuration: true, duration: 60})...))
	f.Add(append(script(0, begin...), script(1, message{kind: pingreq, name: "c"}, message{kind: publish, qos: qosNone, idType: topicPredefined, topic: 7, data: []byte("x")})...))
	f.Add(script(0, message{kind: connect, name: "c", will: true}, message{kind: willTopic, qos: 1, name: "gone"}, message{kind: willMsg, data: []byte("bye")}, message{kind: disconnect}))
	f.Add(script(1, message{kind: subscribe, id: 1, idType: topicShort, topic: 0x6162}, message{kind: searchGW}, message{kind: regack, topic: 1, id: 1}))
	f.Fuzz(func(t *testing.T, data []byte) {
		gateway(t, func(x *rig) {
			peers := [2]net.Conn{x.conn, x.dial()}
			for _, conn := range peers {
				go drain(t, conn)
			}
			for len(data) > 0 {
				n := min(int(data[0]>>1), len(data)-1)
				_, _ = peers[data[0]&1].Write(data[1 : 1+n]) // fails once the gateway has hung up
				data = data[1+n:]
			}
			time.Sleep(time.Hour)
			bounded(t, x.g)
			peers[1].Close()
			x.conn.Close()
			x.conn = x.dial()
			x.send(message{kind: searchGW})
			x.want(gwInfo)
		})
	})
}

// bounded checks what a gateway with the rig's options keeps.
func bounded(t *testing.T, g *Gateway) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.clients) > 2 {
		t.Errorf("%d clients", len(g.clients))
	}
	for name, c := range g.clients {
		c.mu.Lock()
		if len(c.buffered) > 3 || len(c.subs) > maxTopics {
			t.Errorf("client %s: %d messages, %d subscriptions", name, len(c.buffered), len(c.subs))
		}
		c.mu.Unlock()
	}
}

// drain reads what a gateway sends.
func drain(t *testing.T, conn net.Conn) {
	buf := make([]byte, maxDatagram)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		if _, err := decode(buf[:n]); err != nil {
			t.Errorf("% x: %v", buf[:n], err)
		}
	}
}
