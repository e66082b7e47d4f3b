package broker

import (
	"bufio"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

func TestRefusedConnects(t *testing.T) {
	edit := func(f func(*packets.ConnectPacket)) *packets.ConnectPacket {
		p := connectPacket("c", true)
		f(p)
		return p
	}
	for _, c := range []struct {
		name   string
		packet packets.ControlPacket
		answer string // empty: none
	}{
		{"level 6", edit(func(p *packets.ConnectPacket) { p.ProtocolVersion = 6 }), "CONNACK 1 false"},
		{"MQTT 3.1", edit(func(p *packets.ConnectPacket) { p.ProtocolName, p.ProtocolVersion = "MQIsdp", 3 }), ""},
		{"no identifier, not clean", edit(func(p *packets.ConnectPacket) { p.ClientIdentifier, p.CleanSession = "", false }), "CONNACK 2 false"},
		{"will QoS 3", edit(func(p *packets.ConnectPacket) { p.WillFlag, p.WillTopic, p.WillQos = true, "t", 3 }), ""},
		{"will QoS without will", edit(func(p *packets.ConnectPacket) { p.WillQos = 1 }), ""},
		{"will topic", edit(func(p *packets.ConnectPacket) { p.WillFlag, p.WillTopic = true, "t/#" }), ""},
		{"password without user", edit(func(p *packets.ConnectPacket) { p.PasswordFlag = true }), ""},
		{"identifier not UTF-8", edit(func(p *packets.ConnectPacket) { p.ClientIdentifier = "\xff" }), ""},
		{"first packet is not CONNECT", packets.NewControlPacket(packets.Pingreq), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			run(t, Options{}, func(b *bench) {
				d := b.dial()
				d.send(c.packet)
				if c.answer != "" {
					d.want(c.answer)
				}
				d.wantEnd()
			})
		})
	}
}

func TestViolationsEndTheConnection(t *testing.T) {
	publish := func(topic string, qos byte, id uint16) packets.ControlPacket {
		return publishPacket(topic, "", qos, id)
	}
	for i, p := range []packets.ControlPacket{
		connectPacket("c", true), // a second one
		packets.NewControlPacket(packets.Connack),
		packets.NewControlPacket(packets.Pingresp),
		publish("a/+", 0, 0), publish("", 0, 0), publish("a", 1, 0), publish("a", 3, 1),
		subscribePacket(1, 0), subscribePacket(0, 0, "a"), subscribePacket(1, 3, "a"), subscribePacket(1, 0, "a#"),
		unsubscribePacket(1), unsubscribePacket(0, "a"), unsubscribePacket(1, "a#"),
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			run(t, Options{}, func(b *bench) {
				c := b.connect("c", true, false)
				c.send(p)
				c.wantEnd()
			})
		})
	}
}

func TestMalformedPacketsEndTheConnection(t *testing.T) {
	for name, raw := range map[string][]byte{
		"type 0":                   {0x00, 0},
		"type 15":                  {0xf0, 0},
		"flags of PINGREQ":         {0xc1, 0},
		"flags of PUBREL":          {0x60, 2, 0, 1},
		"DUP with QoS 0":           {0x38, 3, 0, 1, 'a'},
		"length of five bytes":     {0x30, 0x80, 0x80, 0x80, 0x80, 1},
		"too large":                {0x30, 0xff, 0xff, 0xff, 0x7f},
		"string cut short":         {0x82, 5, 0, 1, 0, 9, 'a'},
		"left over":                {0xc0, 1, 0},
		"PUBACK without all of id": {0x40, 1, 0},
		"publish without topic":    {0x30, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, Options{}, func(b *bench) {
				c := b.connect("c", true, false)
				c.sendRaw(raw...)
				c.wantEnd()
			})
		})
	}
}

func TestQueueIsBounded(t *testing.T) {
	run(t, Options{MaxQueued: 5}, func(b *bench) {
		c := b.connect("c", false, false)
		c.subscribe(1, "t")
		c.Close()
		time.Sleep(time.Second)
		for i := range 8 {
			if err := b.b.Publish(Message{Topic: "t", Payload: fmt.Append(nil, i), QoS: 1}); err != nil {
				t.Fatal(err)
			}
		}
		if n := b.b.Dropped(); n != 3 {
			t.Errorf("%d dropped, want 3", n)
		}
		c = b.connect("c", false, true)
		for i := range 5 {
			c.want(fmt.Sprintf("PUBLISH t=%d qos1 #%d", i, i+1))
		}
		c.wantSilence()
	})
}

func TestSubscriptionsAndSessionsAreBounded(t *testing.T) {
	run(t, Options{MaxSubscriptions: 2, MaxSessions: 1}, func(b *bench) {
		c := b.connect("c", true, false)
		c.send(subscribePacket(1, 1, "a", "b", "c", "a"))
		c.want("SUBACK 1 1 1 128 1")
		d := b.dial()
		d.send(connectPacket("d", true))
		d.want("CONNACK 3 false")
		d.wantEnd()
	})
}

func TestAssignedIdentifiersDiffer(t *testing.T) {
	run(t, Options{}, func(b *bench) {
		c, d := b.connect("", true, false), b.connect("", true, false)
		for _, x := range []*client{c, d} {
			x.send(packets.NewControlPacket(packets.Pingreq))
			x.want("PINGRESP")
		}
	})
}

// A client that reads nothing must not hold up the others, the broker's end,
// nor make it hold more than its bounds.
func TestStuckClient(t *testing.T) {
	run(t, Options{MaxQueued: 10}, func(b *bench) {
		near, far := net.Pipe() // without buffers: a write waits for its reader
		b.b.start(far)
		stuck := &client{t, near, bufio.NewReader(near)}
		stuck.send(connectPacket("stuck", true))
		stuck.want("CONNACK 0 false")
		stuck.subscribe(0, "t")
		c := b.connect("c", true, false)
		c.subscribe(0, "t")
		for i := range 100 {
			c.send(publishPacket("t", fmt.Sprint(i), 0, 0))
			c.want(fmt.Sprintf("PUBLISH t=%d", i))
		}
		synctest.Wait()
		b.b.mu.Lock()
		s := b.b.session("stuck")
		held := len(s.queue) + len(s.conn.pending)
		b.b.mu.Unlock()
		if held > 10+pendingDeliveries || b.b.Dropped() < 50 {
			t.Errorf("%d messages held, %d dropped", held, b.b.Dropped())
		}
		stuck.Close()
	})
}

// A client that asks without reading the answers is ended.
func TestAnswersAreBounded(t *testing.T) {
	run(t, Options{}, func(b *bench) {
		near, far := net.Pipe()
		b.b.start(far)
		c := &client{t, near, bufio.NewReader(near)}
		c.send(connectPacket("c", true))
		c.want("CONNACK 0 false")
		ping := packets.NewControlPacket(packets.Pingreq)
		for range 2 * pendingAnswers {
			if ping.Write(near) != nil {
				return
			}
		}
		t.Error("the connection is still open")
	})
}

func TestManyMessagesStayInOrder(t *testing.T) {
	run(t, Options{}, func(b *bench) {
		c := b.connect("c", true, false)
		c.subscribe(1, "t")
		for i := range 500 {
			if err := b.b.Publish(Message{Topic: "t", Payload: fmt.Append(nil, i), QoS: byte(i % 2)}); err != nil {
				t.Fatal(err)
			}
		}
		id := uint16(0)
		for i := range 500 {
			if i%2 == 0 {
				c.want(fmt.Sprintf("PUBLISH t=%d", i))
				continue
			}
			id++
			c.want(fmt.Sprintf("PUBLISH t=%d qos1 #%d", i, id))
			c.send(ack(packets.Puback, id))
		}
	})
}
