package broker

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"bufio"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// endpoint is a client that keeps the promises of QoS 1 and 2 over any number
// of connections. Its identifiers start at 1 like the broker's, so that they
// collide all the time.
type endpoint struct {
	*client
	unsent   []string            // payloads; their QoS is their first digit
	sent     []*outgoing         // not acknowledged, in order
	lastID   uint16              //
	received map[uint16]struct{} // QoS 2, until PUBREL
	got      map[string]int      // how often each payload was delivered
}

// outgoing is a message that an endpoint has sent.
type outgoing struct {
	id       uint16
	payload  string
	received bool // PUBREC has come
}

func (o *outgoing) publish(dup bool) packets.ControlPacket {
	p := publishPacket("up", o.payload, o.payload[0]-'0', o.id)
	p.Dup = dup
	return p
}

const endpointWindow = 7

func (e *endpoint) resume() {
	for _, d := range e.sent {
		if d.received {
			e.write(ack(packets.Pubrel, d.id))
		} else {
			e.write(d.publish(true))
		}
	}
	e.pump()
}

func (e *endpoint) pump() {
	for len(e.unsent) > 0 && len(e.sent) < endpointWindow {
		e.lastID = e.lastID%10 + 1 // reuse identifiers as soon as they are free
		if e.find(e.lastID) != nil {
			continue
		}
		d := &outgoing{id: e.lastID, payload: e.unsent[0]}
		e.unsent, e.sent = e.unsent[1:], append(e.sent, d)
		e.write(d.publish(false))
	}
}

// write ignores errors: the next read reports them.
func (e *endpoint) write(p packets.ControlPacket) { _ = p.Write(e.client) }

func (e *endpoint) find(id uint16) *outgoing {
	for _, d := range e.sent {
		if d.id == id {
			return d
		}
	}
	return nil
}

func (e *endpoint) finish(id uint16) {
	for i, d := range e.sent {
		if d.id == id {
			e.sent = append(e.sent[:i:i], e.sent[i+1:]...)
			return
		}
	}
}

// handle reads and answers one packet.
func (e *endpoint) handle() error {
	e.SetReadDeadline(time.Now().Add(10 * time.Second))
	p, err := packets.ReadPacket(e.r)
	if err != nil {
		return err
	}
	id := p.Details().MessageID
	switch p := p.(type) {
	case *packets.PublishPacket:
		switch p.Qos {
		case 1:
			e.got[string(p.Payload)]++
			e.write(ack(packets.Puback, id))
		case 2:
			if _, again := e.received[id]; !again {
				e.received[id] = struct{}{}
				e.got[string(p.Payload)]++
			}
			e.write(ack(packets.Pubrec, id))
		}
	case *packets.PubrelPacket:
		delete(e.received, id)
		e.write(ack(packets.Pubcomp, id))
	case *packets.PubrecPacket:
		if d := e.find(id); d != nil {
			d.received = true
		}
		e.write(ack(packets.Pubrel, id))
	case *packets.PubackPacket, *packets.PubcompPacket:
		e.finish(id)
	}
	e.pump()
	return nil
}

// Both sides send QoS 1 and QoS 2 at once with colliding identifiers over a
// connection that breaks at random moments, so that packets of every kind get
// lost: nothing is lost, and nothing of QoS 2 comes twice.
func TestNothingIsLostNorDoubled(t *testing.T) {
	for seed := range uint64(20) {
		run(t, Options{MaxInflight: 7}, func(b *bench) {
			const n = 300
			rnd := rand.New(rand.NewPCG(seed, 1))
			atBroker := make(map[string]int)
			if _, err := b.b.Subscribe("up", func(m Message) { atBroker[string(m.Payload)]++ }); err != nil {
				t.Fatal(err)
			}
			e := &endpoint{received: make(map[uint16]struct{}), got: make(map[string]int)}
			for i := range n {
				e.unsent = append(e.unsent, fmt.Sprintf("%d-%d", 1+rnd.IntN(2), i))
			}
			setup := b.connect("e", false, false)
			setup.subscribe(2, "down")
			setup.Close()
			down := make(map[string]int)
			breaks := 0
			for next := 0; ; breaks++ {
				e.client = b.connect("e", false, true)
				e.resume()
				for range 5 + rnd.IntN(40) {
					if next < n {
						payload := fmt.Sprintf("%d-%d", 1+rnd.IntN(2), next)
						down[payload], next = 0, next+1
						if err := b.b.Publish(Message{Topic: "down", Payload: []byte(payload), QoS: payload[0] - '0'}); err != nil {
							t.Fatal(err)
						}
					}
					if e.handle() != nil {
						break
					}
				}
				if next == n && len(e.unsent)+len(e.sent) == 0 && len(e.got) == n && len(e.received) == 0 {
					break
				}
				if breaks > 1000 {
					t.Fatalf("seed %d: no end after 1000 connections: %d here, %d there", seed, len(e.got), len(atBroker))
				}
				b.device.Cut()
			}
			e.Close()
			synctest.Wait()
			if breaks < 10 {
				t.Errorf("seed %d: only %d broken connections", seed, breaks)
			}
			check(t, seed, "up", atBroker, n)
			check(t, seed, "down", e.got, n)
		})
	}
}

func check(t *testing.T, seed uint64, where string, got map[string]int, n int) {
	t.Helper()
	if len(got) != n {
		t.Errorf("seed %d: %s: %d messages arrived, want %d", seed, where, len(got), n)
	}
	repeated := 0
	for payload, times := range got {
		if payload[0] == '2' && times != 1 {
			t.Errorf("seed %d: %s: QoS 2 message %s came %d times", seed, where, payload, times)
		}
		repeated += times - 1
	}
	if repeated == 0 {
		t.Errorf("seed %d: %s: no QoS 1 message was repeated; the test broke nothing", seed, where)
	}
}

// script is a connection that reads from a buffer and forgets what is written.
type script struct{ r io.Reader }

func (s script) Read(p []byte) (int, error)       { return s.r.Read(p) }
func (s script) Write(p []byte) (int, error)      { return len(p), nil }
func (s script) Close() error                     { return nil }
func (s script) LocalAddr() net.Addr              { return nil }
func (s script) RemoteAddr() net.Addr             { return nil }
func (s script) SetDeadline(time.Time) error      { return nil }
func (s script) SetReadDeadline(time.Time) error  { return nil }
func (s script) SetWriteDeadline(time.Time) error { return nil }

// FuzzConnection feeds a client's bytes to a broker.
func FuzzConnection(f *testing.F) {
	encode := func(ps ...packets.ControlPacket) []byte {
		var b bytes.Buffer
		for _, p := range ps {
			if err := p.Write(&b); err != nil {
				f.Fatal(err)
			}
		}
		return b.Bytes()
	}
	retained := publishPacket("a/b", "x", 2, 7)
	retained.Retain = true
	f.Add(encode(connectPacket("c", false), subscribePacket(1, 2, "a/#", "+"), retained, ack(packets.Pubrel, 7),
		ack(packets.Pubrec, 1), ack(packets.Pubcomp, 1), unsubscribePacket(3, "+"),
		packets.NewControlPacket(packets.Pingreq), packets.NewControlPacket(packets.Disconnect)))
	will := connectPacket("", true)
	will.WillFlag, will.WillTopic, will.WillMessage, will.Keepalive = true, "w", []byte("bye"), 5
	f.Add(encode(will, publishPacket("$x", "", 1, 1), ack(packets.Puback, 1)))
	f.Add(append([]byte("\x10\x13\x00\x04MQTT\x05\x00\x00\x00\x05\x11\x00\x00\x00\x09\x00\x01c"),
		"\x82\x13\x00\x01\x02\x0b\x07\x00\x0a$share/n/#\x2d\x32\x0a\x00\x01a\x00\x01\x03\x23\x00\x01x\xe0\x02\x04\x00"...))
	f.Fuzz(func(t *testing.T, data []byte) {
		b := New(Options{MaxPacket: 1000, MaxRetained: 3, MaxSubscriptions: 3})
		defer b.Close()
		newConn(b, script{bytes.NewReader(data)}).serve()
		for _, s := range b.sessions {
			if s.conn != nil {
				t.Errorf("session %q is still connected", s.id)
			}
			for _, sub := range s.subs {
				if checkFilter(sub.filter) != nil {
					t.Errorf("subscribed to %q", sub.filter)
				}
			}
		}
		for topic := range b.retained {
			if checkTopic(topic) != nil {
				t.Errorf("retained %q", topic)
			}
		}
	})
}

// FuzzReadPacket checks that every packet accepted encodes to what was read, of
// either version, but for what may be left out.
func FuzzReadPacket(f *testing.F) {
	f.Add(false, []byte{0x32, 6, 0, 1, 'a', 0, 1, 'x'})
	f.Add(false, []byte{0x82, 6, 0, 1, 0, 1, '#', 0})
	f.Add(true, []byte{0x32, 10, 0, 1, 'a', 0, 1, 3, 35, 0, 1, 'x'})
	f.Add(true, []byte{0x20, 6, 0, 0, 3, 34, 0, 16})
	f.Add(true, []byte{0x90, 4, 0, 1, 0, 2})
	f.Add(true, []byte{0xe0, 2, 0x8e, 0})
	f.Add(true, []byte{0x82, 12, 0, 1, 2, 11, 7, 0, 1, '#', 0x2d, 0, 0, 0})
	f.Fuzz(func(t *testing.T, v5 bool, data []byte) {
		level := byte(level4)
		if v5 {
			level = level5
		}
		p, err := readPacket(bufio.NewReader(bytes.NewReader(data)), level, 1000)
		if err != nil || p.kind == kindConnect || p.kind == kindSubscribe || p.kind == kindUnsubscribe {
			return // the broker does not write these
		}
		wire := p.encode(level)
		again, err := readPacket(bufio.NewReader(bytes.NewReader(wire)), level, 1000)
		if err != nil {
			t.Fatalf("% x: %v", wire, err)
		}
		if !bytes.Equal(again.encode(level), wire) {
			t.Errorf("read % x, wrote % x", wire, again.encode(level))
		}
		if level == level4 && !bytes.HasSuffix(data, wire[2:]) && len(data) < 100 && !bytes.Contains(data, wire[2:]) {
			t.Errorf("read % x, wrote % x", data, wire)
		}
	})
}
