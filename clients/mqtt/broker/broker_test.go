package broker

import (
	"errors"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/thinlink/thinlink/clients/internal/memhost"
)

func TestPublishToSubscribers(t *testing.T) {
	run(t, Options{}, func(b *bench) {
		c := b.connect("c", true, false)
		c.subscribe(2, "in/#")
		d := b.connect("d", true, false)
		d.send(publishPacket("in/a", "0", 0, 0))
		c.want("PUBLISH in/a=0")

		d.send(publishPacket("in/a", "1", 1, 77))
		d.want("PUBACK 77")
		c.want("PUBLISH in/a=1 qos1 #1")
		c.send(ack(packets.Puback, 1))

		d.send(publishPacket("in/a", "2", 2, 78))
		d.want("PUBREC 78")
		c.want("PUBLISH in/a=2 qos2 #2")
		d.send(ack(packets.Pubrel, 78))
		d.want("PUBCOMP 78")
		c.send(ack(packets.Pubrec, 2))
		c.want("PUBREL 2")
		c.send(ack(packets.Pubcomp, 2))

		d.send(publishPacket("out", "x", 0, 0))
		c.wantSilence()
		c.send(unsubscribePacket(5, "in/#", "never"))
		c.want("UNSUBACK 5")
		d.send(publishPacket("in/a", "3", 0, 0))
		c.wantSilence()
	})
}

func TestOverlappingSubscriptionsDeliverOnceAtTheHighestQoS(t *testing.T) {
	run(t, Options{}, func(b *bench) {
		c := b.connect("c", true, false)
		c.subscribe(0, "#")
		c.subscribe(1, "a/+")
		c.send(publishPacket("a/b", "x", 2, 3))
		c.wantAll("PUBREC 3", "PUBLISH a/b=x qos1 #1")
		c.subscribe(0, "a/+") // replaces
		if err := b.b.Publish(Message{Topic: "a/b", Payload: []byte("y"), QoS: 1}); err != nil {
			t.Fatal(err)
		}
		c.want("PUBLISH a/b=y")
	})
}

func TestDuplicateQoS2IsRoutedOnce(t *testing.T) {
	run(t, Options{}, func(b *bench) {
		var got []string
		if _, err := b.b.Subscribe("#", func(m Message) { got = append(got, string(m.Payload)) }); err != nil {
			t.Fatal(err)
		}
		c := b.connect("c", false, false)
		p := publishPacket("t", "one", 2, 5)
		c.send(p)
		c.want("PUBREC 5")
		c.Close()
		c = b.connect("c", false, true) // the PUBREC was lost
		p.Dup = true
		c.send(p)
		c.want("PUBREC 5")
		c.send(ack(packets.Pubrel, 5))
		c.want("PUBCOMP 5")
		c.send(ack(packets.Pubrel, 5)) // the PUBCOMP was lost
		c.want("PUBCOMP 5")
		c.send(publishPacket("t", "two", 2, 5))
		c.want("PUBREC 5")
		synctest.Wait() // subscribers are told after the answer is on its way
		if want := []string{"one", "two"}; !slices.Equal(got, want) {
			t.Errorf("routed %q, want %q", got, want)
		}
	})
}

func TestRedeliveryAfterReconnect(t *testing.T) {
	run(t, Options{MaxInflight: 3}, func(b *bench) {
		c := b.connect("c", false, false)
		c.subscribe(2, "t")
		for i, payload := range []string{"a", "b", "c", "d"} {
			if err := b.b.Publish(Message{Topic: "t", Payload: []byte(payload), QoS: byte(1 + i%2)}); err != nil {
				t.Fatal(err)
			}
		}
		c.want("PUBLISH t=a qos1 #1")
		c.want("PUBLISH t=b qos2 #2")
		c.want("PUBLISH t=c qos1 #3")
		c.wantSilence() // the window is closed
		c.send(ack(packets.Pubrec, 2))
		c.want("PUBREL 2")
		c.Close()
		time.Sleep(time.Second)
		if err := b.b.Publish(Message{Topic: "t", Payload: []byte("lost")}); err != nil {
			t.Fatal(err)
		}

		c = b.connect("c", false, true)
		c.want("PUBLISH t=a qos1 #1 dup")
		c.want("PUBREL 2")
		c.want("PUBLISH t=c qos1 #3 dup")
		c.send(ack(packets.Puback, 3))
		c.want("PUBLISH t=d qos2 #4")
		c.send(ack(packets.Pubcomp, 2))
		c.send(ack(packets.Puback, 1))
		c.send(ack(packets.Pubrec, 9)) // unknown: released all the same
		c.want("PUBREL 9")
		if n := b.b.Dropped(); n != 1 {
			t.Errorf("%d dropped, want the QoS 0 message of the absence", n)
		}
	})
}

func TestClientIdentifierEqualToADelivery(t *testing.T) {
	run(t, Options{}, func(b *bench) {
		c := b.connect("c", false, false)
		c.subscribe(1, "down")
		if err := b.b.Publish(Message{Topic: "down", Payload: []byte("x"), QoS: 1}); err != nil {
			t.Fatal(err)
		}
		c.want("PUBLISH down=x qos1 #1")
		c.send(publishPacket("up", "y", 1, 1)) // the same identifier, another space
		c.want("PUBACK 1")
		c.send(publishPacket("up", "z", 2, 1))
		c.want("PUBREC 1")
		c.send(ack(packets.Pubrel, 1))
		c.want("PUBCOMP 1")
		c.Close()
		c = b.connect("c", false, true)
		c.want("PUBLISH down=x qos1 #1 dup")
	})
}

func TestCleanSessionForgets(t *testing.T) {
	run(t, Options{}, func(b *bench) {
		c := b.connect("c", false, false)
		c.subscribe(1, "t")
		c.Close()
		c = b.connect("c", true, false)
		c.Close()
		time.Sleep(time.Second)
		if b.b.Connected("c") {
			t.Error("still connected")
		}
		c = b.connect("c", false, false)
		if !b.b.Connected("c") {
			t.Error("not connected")
		}
		if err := b.b.Publish(Message{Topic: "t", QoS: 1}); err != nil {
			t.Fatal(err)
		}
		c.wantSilence()
	})
}

func TestTakeover(t *testing.T) {
	run(t, Options{}, func(b *bench) {
		first := b.connect("c", false, false)
		second := b.connect("c", false, true)
		first.wantEnd()
		second.send(packets.NewControlPacket(packets.Pingreq))
		second.want("PINGRESP")
	})
}

func TestRetained(t *testing.T) {
	run(t, Options{MaxRetained: 2}, func(b *bench) {
		c := b.connect("c", true, false)
		c.subscribe(1, "#")
		retain := func(topic, payload string) {
			p := publishPacket(topic, payload, 0, 0)
			p.Retain = true
			c.send(p)
			c.want("PUBLISH " + topic + "=" + payload)
		}
		retain("b", "old")
		retain("b", "new")
		retain("a", "first")
		retain("c", "too many")
		d := b.connect("d", true, false)
		d.send(subscribePacket(4, 0, "+", "x"))
		d.want("SUBACK 4 0 0")
		d.want("PUBLISH a=first retained")
		d.want("PUBLISH b=new retained")
		retain("a", "") // removes
		d.want("PUBLISH a=")
		var local []string
		if _, err := b.b.Subscribe("#", func(m Message) { local = append(local, string(m.Payload)) }); err != nil {
			t.Fatal(err)
		}
		if want := []string{"new"}; !slices.Equal(local, want) {
			t.Errorf("local subscriber got %q, want %q", local, want)
		}
	})
}

func TestUnretain(t *testing.T) {
	run(t, Options{}, func(b *bench) {
		for _, topic := range []string{"a/1", "a/2", "b/1"} {
			if err := b.b.Publish(Message{Topic: topic, Payload: []byte("x"), Retain: true}); err != nil {
				t.Fatal(err)
			}
		}
		c := b.connect("c", true, false)
		c.subscribe(0, "a/2")
		c.want("PUBLISH a/2=x retained")
		b.b.Unretain("a/+")
		c.subscribe(0, "#")
		c.want("PUBLISH b/1=x retained")
		c.wantSilence() // nobody is told
	})
}

// A broker that has restarted has what a database keeps: persistent sessions
// with what waits for their clients, and retained messages.
func TestInherit(t *testing.T) {
	run(t, Options{}, func(b *bench) {
		clean := b.connect("clean", true, false)
		clean.subscribe(1, "#")
		c := b.connect("c", false, false)
		c.subscribe(2, "in/#")
		publish := func(x *Broker, payload string, qos byte) {
			t.Helper()
			if err := x.Publish(Message{Topic: "in/a", Payload: []byte(payload), QoS: qos, Retain: true}); err != nil {
				t.Fatal(err)
			}
		}
		publish(b.b, "1", 1)
		c.want("PUBLISH in/a=1 qos1 #1")
		publish(b.b, "2", 2)
		c.want("PUBLISH in/a=2 qos2 #2")
		c.send(ack(packets.Pubrec, 2))
		c.want("PUBREL 2")
		c.send(publishPacket("out", "x", 2, 7))
		c.want("PUBREC 7")
		if err := b.b.Close(); err != nil {
			t.Fatal(err)
		}
		c.wantEnd()

		next := New(Options{})
		next.Inherit(b.b)
		b.b = next
		ln, err := b.platform.Listen("tcp", "10.0.0.1:1883")
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() { served <- next.Serve(ln) }()
		publish(next, "3", 1)
		routed := make(chan string, 2)
		if _, err := next.Subscribe("out", func(m Message) { routed <- string(m.Payload) }); err != nil {
			t.Fatal(err)
		}
		c = b.connect("c", false, true)
		c.want("PUBLISH in/a=1 qos1 #1 dup")
		c.want("PUBREL 2")
		c.want("PUBLISH in/a=3 qos1 #3")
		c.send(publishPacket("out", "x", 2, 7)) // routed before
		c.want("PUBREC 7")
		c.send(publishPacket("out", "y", 2, 8))
		c.want("PUBREC 8")
		if first := <-routed; first != "y" || len(routed) > 0 {
			t.Errorf("routed %q and %d more, want y only", first, len(routed))
		}
		clean = b.connect("clean", true, false)
		clean.subscribe(1, "in/#")
		clean.want("PUBLISH in/a=3 qos1 #1 retained")
		if err := next.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

func TestWill(t *testing.T) {
	withWill := func(b *bench) *client {
		c := b.dial()
		p := connectPacket("w", true)
		p.WillFlag, p.WillTopic, p.WillMessage, p.WillQos = true, "gone", []byte("bye"), 1
		p.Keepalive = 20
		c.send(p)
		c.want("CONNACK 0 false")
		return c
	}
	run(t, Options{}, func(b *bench) {
		watcher := b.connect("c", true, false)
		watcher.subscribe(0, "gone")
		c := withWill(b)
		c.Close()
		watcher.want("PUBLISH gone=bye")

		c = withWill(b)
		c.send(packets.NewControlPacket(packets.Disconnect))
		c.wantEnd()
		watcher.wantSilence()

		c = withWill(b)
		c.sendRaw(0xf0, 0) // malformed
		c.wantEnd()
		watcher.want("PUBLISH gone=bye")

		withWill(b)
		withWill(b) // takeover
		watcher.want("PUBLISH gone=bye")
	})
}

func TestKeepAlive(t *testing.T) {
	run(t, Options{}, func(b *bench) {
		c := b.dial()
		p := connectPacket("k", true)
		p.Keepalive = 20
		c.send(p)
		c.want("CONNACK 0 false")
		for range 5 {
			time.Sleep(29 * time.Second)
			c.send(packets.NewControlPacket(packets.Pingreq))
			c.want("PINGRESP")
		}
		last := time.Now()
		c.wantEnd()
		if d := time.Since(last).Round(time.Second); d != 30*time.Second {
			t.Errorf("silence of %v ended the connection, want 30 s", d)
		}
		c = b.connect("k", true, false) // no keep-alive: for ever
		time.Sleep(1000 * time.Hour)
		c.send(packets.NewControlPacket(packets.Pingreq))
		c.want("PINGRESP")
	})
}

func TestConnectTimeout(t *testing.T) {
	run(t, Options{ConnectTimeout: 10 * time.Second}, func(b *bench) {
		c := b.dial()
		start := time.Now()
		c.wantEnd()
		if d := time.Since(start).Round(time.Second); d != 10*time.Second {
			t.Errorf("ended after %v", d)
		}
	})
}

func TestLocalSubscriberPublishes(t *testing.T) {
	run(t, Options{}, func(b *bench) {
		cancel, err := b.b.Subscribe("ask", func(m Message) {
			if err := b.b.Publish(Message{Topic: "answer", Payload: m.Payload}); err != nil {
				t.Error(err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		c := b.connect("c", true, false)
		c.subscribe(0, "answer")
		c.send(publishPacket("ask", "hello", 1, 1))
		c.wantAll("PUBACK 1", "PUBLISH answer=hello")
		cancel()
		c.send(publishPacket("ask", "hello", 0, 0))
		c.wantSilence()
	})
}

func TestLocalMistakes(t *testing.T) {
	b := New(Options{})
	if b.Publish(Message{Topic: "a/+"}) == nil || b.Publish(Message{Topic: "a", QoS: 3}) == nil {
		t.Error("invalid message was accepted")
	}
	if _, err := b.Subscribe("a#", func(Message) {}); err == nil {
		t.Error("invalid filter was accepted")
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if err := b.Publish(Message{Topic: "a"}); !errors.Is(err, ErrClosed) {
		t.Errorf("publish after close: %v", err)
	}
	_, platform := memhost.Pair(0)
	ln, err := platform.Listen("tcp", "10.0.0.1:1883")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Serve(ln); err != nil {
		t.Errorf("serve after close: %v", err)
	}
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("its listener: %v", err)
	}
}
