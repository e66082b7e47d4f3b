package broker

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	v5 "github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

func ptr[T any](v T) *T { return &v }

func keep(seconds uint32) func(*v5.Connect) {
	return func(p *v5.Connect) { p.CleanStart, p.Properties.SessionExpiryInterval = false, &seconds }
}

func TestMQTT5Publish(t *testing.T) {
	run(t, Options{}, func(b *bench) {
		c := b.connect5("c", nil, "0x0 false")
		c.subscribe("in/#", "0x02", nil)
		d := b.connect5("d", nil, "0x0 false")
		d.publish("in/a", "0", 0, 0, nil)
		c.want("PUBLISH in/a=0")
		d.publish("in/a", "1", 1, 77, nil)
		d.want("PUBACK 77 0x0")
		c.want("PUBLISH in/a=1 qos1 #1")
		c.send(&v5.Puback{PacketID: 1, Properties: &v5.Properties{}})
		d.publish("in/a", "2", 2, 78, nil)
		d.want("PUBREC 78 0x0")
		d.send(&v5.Pubrel{PacketID: 78, Properties: &v5.Properties{}})
		d.want("PUBCOMP 78 0x0")
		c.want("PUBLISH in/a=2 qos2 #2")
		c.send(&v5.Pubrec{PacketID: 2, Properties: &v5.Properties{}})
		c.want("PUBREL 2 0x0")
		c.send(&v5.Pubcomp{PacketID: 2, Properties: &v5.Properties{}})
		d.send(&v5.Pubrel{PacketID: 79, Properties: &v5.Properties{}}) // never sent
		d.want("PUBCOMP 79 0x92")
		c.send(&v5.Pubrec{PacketID: 9, Properties: &v5.Properties{}})
		c.want("PUBREL 9 0x92")
		c.send(&v5.Unsubscribe{PacketID: 5, Topics: []string{"in/#", "never"}, Properties: &v5.Properties{}})
		c.want("UNSUBACK 5 0x0011")
		d.publish("in/a", "3", 1, 80, nil)
		d.want("PUBACK 80 0x0")
		c.wantSilence()
	})
}

// What is refused with PUBREC is delivered: there is no PUBREL.
func TestMQTT5RefusedDelivery(t *testing.T) {
	run(t, Options{}, func(b *bench) {
		c := b.connect5("c", keep(600), "0x0 false")
		c.subscribe("t", "0x02", nil)
		b.must(b.b.Publish(Message{Topic: "t", Payload: []byte("x"), QoS: 2}))
		c.want("PUBLISH t=x qos2 #1")
		c.send(&v5.Pubrec{PacketID: 1, ReasonCode: 0x97, Properties: &v5.Properties{}})
		c.wantSilence()
		c.Close()
		c = b.connect5("c", keep(600), "0x0 true")
		c.wantSilence()
	})
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func TestMQTT5PropertiesTravel(t *testing.T) {
	run(t, Options{}, func(b *bench) {
		var local []Message
		_, err := b.b.Subscribe("q", func(m Message) { local = append(local, m) })
		b.must(err)
		c := b.connect5("c", nil, "0x0 false")
		c.subscribe("q", "0x02", func(_ *v5.SubOptions, p *v5.Properties) { p.SubscriptionIdentifier = ptr(7) })
		old := b.connect("old", true, false)
		old.subscribe(0, "q")
		c.publish("q", "x", 0, 0, func(p *v5.Publish) {
			p.Properties = &v5.Properties{
				PayloadFormat: ptr(byte(1)), MessageExpiry: ptr(uint32(30)), ContentType: "text", ResponseTopic: "r",
				CorrelationData: []byte{1, 2}, User: []v5.User{{Key: "b", Value: "1"}, {Key: "a", Value: "2"}},
			}
		})
		c.want("PUBLISH q=x PayloadFormat:1 MessageExpiry:30 ContentType:text ResponseTopic:r CorrelationData:0102 " +
			"SubscriptionIdentifier:7 User Properties: b:1 a:2")
		old.want("PUBLISH q=x")
		synctest.Wait()
		if to, _ := local[0].Properties.Text(ResponseTopic); to != "r" || local[0].From != "c" {
			t.Errorf("local subscriber got %+v", local[0])
		}
	})
}

func TestMQTT5MessagesExpire(t *testing.T) {
	run(t, Options{}, func(b *bench) {
		c := b.connect5("c", keep(600), "0x0 false")
		c.subscribe("t", "0x02", nil)
		c.Close()
		d := b.connect5("d", nil, "0x0 false")
		for i, life := range []uint32{5, 30} {
			d.publish("t", fmt.Sprint(life), 1, uint16(i+1), func(p *v5.Publish) {
				p.Properties.MessageExpiry, p.Retain = &life, true
			})
			d.want(fmt.Sprintf("PUBACK %d 0x0", i+1))
		}
		time.Sleep(10 * time.Second)
		c = b.connect5("c", keep(600), "0x0 true")
		c.want("PUBLISH t=30 qos1 #1 MessageExpiry:20") // the time that it waited is taken off
		time.Sleep(20 * time.Second)
		d.subscribe("t", "0x02", nil)
		d.wantSilence() // retained, but no more
	})
}

func TestMQTT5SessionExpiry(t *testing.T) {
	run(t, Options{MaxSessionExpiry: time.Hour}, func(b *bench) {
		c := b.connect5("c", keep(60), "0x0 false")
		c.Close()
		time.Sleep(59 * time.Second)
		c = b.connect5("c", keep(60), "0x0 true")
		c.Close()
		time.Sleep(61 * time.Second)
		c = b.connect5("c", keep(0), "0x0 false")
		c.Close()
		c = b.connect5("c", keep(3600), "0x0 false")
		c.send(&v5.Disconnect{Properties: &v5.Properties{SessionExpiryInterval: ptr(uint32(10))}})
		time.Sleep(11 * time.Second)
		// More than the server keeps; it says so.
		c = b.connect5("c", keep(0xffffffff), "0x0 false SessionExpiryInterval:3600")
		c.Close()
		time.Sleep(time.Hour + time.Second)
		c = b.connect5("c", keep(0), "0x0 false")
		c.send(&v5.Disconnect{Properties: &v5.Properties{SessionExpiryInterval: ptr(uint32(10))}})
		c.wantEnd(ProtocolError)
	})
}

func TestMQTT5Will(t *testing.T) {
	will := func(delay, expiry uint32) func(*v5.Connect) {
		return func(p *v5.Connect) {
			keep(expiry)(p)
			p.WillFlag, p.WillTopic, p.WillMessage = true, "gone", []byte("bye")
			p.WillProperties = &v5.Properties{WillDelayInterval: &delay}
		}
	}
	const gone = "PUBLISH gone=bye"
	run(t, Options{}, func(b *bench) {
		w := b.connect5("w", nil, "0x0 false")
		w.subscribe("gone", "0x02", nil)
		after := func(d time.Duration) {
			t.Helper()
			start := time.Now()
			w.want(gone)
			if took := time.Since(start).Round(time.Second); took != d {
				t.Errorf("will after %v, want %v", took, d)
			}
		}
		c := b.connect5("c", will(0, 100), "0x0 false")
		c.Close()
		after(0)
		c = b.connect5("c", will(20, 100), "0x0 true")
		c.Close()
		after(20 * time.Second)
		c = b.connect5("c", will(20, 100), "0x0 true")
		c.Close()
		time.Sleep(10 * time.Second)
		c = b.connect5("c", will(20, 5), "0x0 true") // back in time
		w.wantSilence()
		c.Close()
		after(5 * time.Second) // the session ends first
		c = b.connect5("c", will(20, 100), "0x0 false")
		c.Close()
		time.Sleep(time.Second)
		c = b.connect5("c", nil, "0x0 false") // clean start ends the old session
		after(0)
		c.Close()
		c = b.connect5("c", will(0, 100), "0x0 false")
		c.send(&v5.Disconnect{ReasonCode: 4, Properties: &v5.Properties{}})
		after(0)
		c = b.connect5("c", will(0, 100), "0x0 true")
		c.send(&v5.Disconnect{Properties: &v5.Properties{}})
		w.wantSilence()
	})
}

// rawConnect is a CONNECT of client x with a will, whose properties the other
// implementation does not write.
func rawConnect(properties string, payload string) []byte {
	will := string(byte(len(properties))) + properties + "\x00\x04gone" + "\x00" + string(byte(len(payload))) + payload
	body := "\x00\x04MQTT\x05\x06\x00\x00\x00\x00\x01x" + will
	return append([]byte{0x10, byte(len(body))}, body...)
}

func TestMQTT5WillProperties(t *testing.T) {
	run(t, Options{}, func(b *bench) {
		w := b.connect5("w", nil, "0x0 false")
		w.subscribe("gone", "0x02", nil)
		c := b.dial5()
		_, err := c.Write(rawConnect("\x02\x00\x00\x00\x09\x03\x00\x04text\x01\x01", "bye"))
		b.must(err)
		c.want("CONNACK 0x0 false")
		c.Close()
		w.want("PUBLISH gone=bye PayloadFormat:1 MessageExpiry:9 ContentType:text")
		c = b.dial5()
		_, err = c.Write(rawConnect("\x01\x01", "\xff")) // is not UTF-8
		b.must(err)
		c.want("CONNACK 0x99 false")
	})
}

func TestMQTT5SubscriptionOptions(t *testing.T) {
	run(t, Options{}, func(b *bench) {
		b.must(b.b.Publish(Message{Topic: "r", Payload: []byte("kept"), Retain: true}))
		c := b.connect5("c", nil, "0x0 false")
		handling := func(n byte) func(*v5.SubOptions, *v5.Properties) {
			return func(o *v5.SubOptions, _ *v5.Properties) { o.RetainHandling = n }
		}
		c.subscribe("r", "0x02", handling(2))
		c.wantSilence()
		c.subscribe("r", "0x02", handling(1))
		c.wantSilence() // it existed
		c.subscribe("+", "0x02", handling(1))
		c.want("PUBLISH r=kept retained")
		c.subscribe("r", "0x02", handling(0))
		c.want("PUBLISH r=kept retained")
		c.send(&v5.Unsubscribe{PacketID: 5, Topics: []string{"r", "+"}, Properties: &v5.Properties{}})
		c.want("UNSUBACK 5 0x0000")

		c.subscribe("n", "0x02", func(o *v5.SubOptions, _ *v5.Properties) { o.NoLocal = true })
		c.publish("n", "own", 0, 0, nil)
		c.wantSilence()
		b.must(b.b.Publish(Message{Topic: "n", Payload: []byte("other")}))
		c.want("PUBLISH n=other")

		c.subscribe("p", "0x02", func(o *v5.SubOptions, _ *v5.Properties) { o.RetainAsPublished = true })
		c.publish("p", "x", 0, 0, func(p *v5.Publish) { p.Retain = true })
		c.want("PUBLISH p=x retained")
	})
}

// Two subscriptions that match: one copy, both identifiers. The other
// implementation decodes the last identifier only, so the bytes are compared.
func TestMQTT5SubscriptionIdentifiers(t *testing.T) {
	run(t, Options{}, func(b *bench) {
		c := b.connect5("c", nil, "0x0 false")
		id := func(n int) func(*v5.SubOptions, *v5.Properties) {
			return func(_ *v5.SubOptions, p *v5.Properties) { p.SubscriptionIdentifier = &n }
		}
		c.subscribe("a/+", "0x02", id(1))
		c.subscribe("a/b", "0x02", id(200))
		b.must(b.b.Publish(Message{Topic: "a/b"}))
		got := make([]byte, 13)
		if _, err := c.r.Read(got); err != nil {
			t.Fatal(err)
		}
		if want := []byte{0x30, 11, 0, 3, 'a', '/', 'b', 5, 11, 1, 11, 200, 1}; !slices.Equal(got, want) {
			t.Errorf("got % x, want % x", got, want)
		}
	})
}

func TestMQTT5TopicAliases(t *testing.T) {
	run(t, Options{MaxTopicAlias: 2}, func(b *bench) {
		c := b.connect5("c", func(p *v5.Connect) { keep(60)(p); p.Properties.TopicAliasMaximum = ptr(uint16(1)) }, "0x0 false")
		c.subscribe("#", "0x02", nil)
		alias := func(n uint16) func(*v5.Publish) { return func(p *v5.Publish) { p.Properties.TopicAlias = &n } }
		c.publish("a", "1", 0, 0, alias(2))
		c.want("PUBLISH a=1 TopicAlias:1")
		c.publish("", "2", 0, 0, alias(2))
		c.want("PUBLISH =2 TopicAlias:1")
		c.publish("b", "3", 0, 0, alias(2)) // a new meaning
		c.want("PUBLISH b=3")               // the client takes one alias only
		c.publish("", "4", 1, 4, alias(2))
		c.wantAll("PUBACK 4 0x0", "PUBLISH b=4 qos1 #1")
		b.must(b.b.Publish(Message{Topic: "a", Payload: []byte("5"), QoS: 1}))
		c.want("PUBLISH =5 qos1 #2 TopicAlias:1")
		c.Close()
		// Aliases end with the connection [MQTT-3.3.2-7].
		c = b.connect5("c", keep(60), "0x0 true")
		c.want("PUBLISH b=4 qos1 #1 dup")
		c.want("PUBLISH a=5 qos1 #2 dup")
		c.publish("", "6", 0, 0, alias(2))
		c.wantEnd(ProtocolError)
		for _, n := range []uint16{0, 3} {
			c = b.connect5("x", nil, "0x0 false")
			c.publish("a", "", 0, 0, alias(n))
			c.wantEnd(TopicAliasInvalid)
		}
	})
}

func (c *client5) wantAll(texts ...string) {
	c.t.Helper()
	var got []string
	for range texts {
		s, err := c.read()
		if err != nil {
			c.t.Fatal(err)
		}
		got = append(got, s)
	}
	slices.Sort(got)
	slices.Sort(texts)
	if !slices.Equal(got, texts) {
		c.t.Fatalf("got %q, want %q", got, texts)
	}
}

func TestMQTT5ReceiveMaximum(t *testing.T) {
	run(t, Options{MaxReceived: 2}, func(b *bench) {
		c := b.connect5("c", func(p *v5.Connect) { p.Properties.ReceiveMaximum = ptr(uint16(2)) }, "0x0 false ReceiveMaximum:2")
		c.subscribe("t", "0x02", nil)
		for i := range 3 {
			b.must(b.b.Publish(Message{Topic: "t", Payload: fmt.Append(nil, i), QoS: 1}))
		}
		b.must(b.b.Publish(Message{Topic: "t", Payload: []byte("q0")}))
		c.want("PUBLISH t=0 qos1 #1")
		c.want("PUBLISH t=1 qos1 #2")
		c.wantSilence()
		c.send(&v5.Puback{PacketID: 1, Properties: &v5.Properties{}})
		c.want("PUBLISH t=2 qos1 #3")
		c.want("PUBLISH t=q0")
		for i := range uint16(3) {
			c.publish("up", "", 2, i+1, nil)
		}
		c.want("PUBREC 1 0x0")
		c.want("PUBREC 2 0x0")
		for { // the third may be answered before the connection ends
			if s, err := c.read(); err != nil || strings.HasPrefix(s, "DISCONNECT") {
				if s != "DISCONNECT 0x93" {
					t.Errorf("got %q, %v", s, err)
				}
				break
			}
		}
	})
}

func TestMQTT5MaximumPacketSize(t *testing.T) {
	var lines []string
	run(t, Options{MaxPacket: 100, Log: func(s string) { lines = append(lines, s) }}, func(b *bench) {
		c := b.connect5("c", func(p *v5.Connect) { p.Properties.MaximumPacketSize = ptr(uint32(20)) }, "0x0 false")
		c.subscribe("t", "0x02", nil)
		b.must(b.b.Publish(Message{Topic: "t", Payload: []byte("123456789012345"), QoS: 1}))
		b.must(b.b.Publish(Message{Topic: "t", Payload: []byte("small"), QoS: 1}))
		c.want("PUBLISH t=small qos1 #2") // the other counts as delivered
		c.publish("up", strings.Repeat("x", 100), 0, 0, nil)
		c.wantEnd(PacketTooLarge)
	})
	if len(lines) != 1 || !strings.Contains(lines[0], "client c: packet of 105 bytes, at most 100 are accepted") {
		t.Errorf("log: %q", lines)
	}
}

func TestMQTT5KeepAlive(t *testing.T) {
	run(t, Options{MaxKeepAlive: 20 * time.Second}, func(b *bench) {
		c := b.connect5("c", func(p *v5.Connect) { p.KeepAlive = 100 }, "0x0 false ServerKeepAlive:20")
		start := time.Now()
		c.wantEnd(KeepAliveTimeout)
		if d := time.Since(start).Round(time.Second); d != 30*time.Second {
			t.Errorf("ended after %v", d)
		}
	})
}

func TestMQTT5Takeover(t *testing.T) {
	run(t, Options{}, func(b *bench) {
		first := b.connect5("c", keep(60), "0x0 false")
		second := b.connect("c", false, true) // an older client
		first.wantEnd(SessionTakenOver)
		second.send(packets.NewControlPacket(packets.Pingreq))
		second.want("PINGRESP")
	})
}

func TestMQTT5AssignedIdentifier(t *testing.T) {
	run(t, Options{}, func(b *bench) {
		b.connect5("", nil, "0x0 false AssignedClientID:assigned-00000001")
		b.connect5("", keep(60), "0x0 false AssignedClientID:assigned-00000002")
	})
}

func TestMQTT5RefusedConnects(t *testing.T) {
	auth := func(c Credentials) Reason {
		switch {
		case c.TLS != (*tls.ConnectionState)(nil):
			return UnspecifiedError
		case !c.HasUser:
			return NotAuthorized
		case c.User != "u" || string(c.Password) != "p":
			return BadUserNameOrPassword
		}
		return Success
	}
	user := func(p *v5.Connect) {
		p.UsernameFlag, p.PasswordFlag, p.Username, p.Password = true, true, "u", []byte("p")
	}
	for name, c := range map[string]struct {
		edit   func(*v5.Connect)
		answer string
	}{
		"accepted":              {user, "0x0 false"},
		"no user":               {nil, "0x87 false"},
		"wrong password":        {func(p *v5.Connect) { user(p); p.Password = nil }, "0x86 false"},
		"enhanced":              {func(p *v5.Connect) { user(p); p.Properties.AuthMethod = "SCRAM" }, "0x8c false"},
		"data without method":   {func(p *v5.Connect) { user(p); p.Properties.AuthData = []byte("x") }, "0x82 false"},
		"will QoS 3":            {func(p *v5.Connect) { user(p); p.WillFlag, p.WillTopic, p.WillQOS = true, "t", 3 }, "0x81 false"},
		"will topic":            {func(p *v5.Connect) { user(p); p.WillFlag, p.WillTopic = true, "t/#" }, "0x90 false"},
		"receive maximum 0":     {func(p *v5.Connect) { user(p); p.Properties.ReceiveMaximum = ptr(uint16(0)) }, "0x82 false"},
		"maximum packet size 0": {func(p *v5.Connect) { user(p); p.Properties.MaximumPacketSize = ptr(uint32(0)) }, "0x82 false"},
		"flag of 2":             {func(p *v5.Connect) { user(p); p.Properties.RequestProblemInfo = ptr(byte(2)) }, "0x82 false"},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, Options{Authenticate: auth}, func(b *bench) {
				d := b.connect5("c", c.edit, c.answer)
				if c.answer != "0x0 false" {
					if _, err := d.read(); err == nil {
						t.Error("the connection is still open")
					}
				}
			})
		})
	}
	run(t, Options{Authenticate: auth}, func(b *bench) { // the same for an older client
		d := b.dial()
		d.send(connectPacket("c", true))
		d.want("CONNACK 5 false")
		d.wantEnd()
	})
}

func TestMQTT5Authorize(t *testing.T) {
	opt := Options{Authorize: func(client, topic string, publish bool) bool { return topic == client }}
	run(t, opt, func(b *bench) {
		c := b.connect5("c", nil, "0x0 false")
		c.subscribe("c", "0x02", nil)
		c.subscribe("d", "0x87", nil)
		c.publish("d", "x", 1, 1, nil)
		c.want("PUBACK 1 0x87")
		c.publish("d", "x", 2, 1, nil)
		c.want("PUBREC 1 0x87")
		c.publish("c", "x", 0, 0, nil)
		c.want("PUBLISH c=x")
		old := b.connect("old", true, false)
		old.send(subscribePacket(1, 0, "c"))
		old.want("SUBACK 1 128")
		old.send(publishPacket("c", "x", 1, 1))
		old.wantEnd()
		c.publish("d", "x", 0, 0, nil)
		c.wantEnd(NotAuthorized)
	})
}

func TestMQTT5Violations(t *testing.T) {
	for name, c := range map[string]struct {
		raw    []byte
		reason Reason
	}{
		"AUTH":                          {[]byte{0xf0, 0}, ProtocolError},
		"CONNACK":                       {[]byte{0x20, 3, 0, 0, 0}, ProtocolError},
		"unknown property":              {[]byte{0x30, 6, 0, 1, 'a', 2, 99, 1}, MalformedPacket},
		"property of another packet":    {[]byte{0x30, 7, 0, 1, 'a', 3, 33, 0, 1}, MalformedPacket},
		"property twice":                {[]byte{0x30, 8, 0, 1, 'a', 4, 1, 0, 1, 0}, ProtocolError},
		"property cut short":            {[]byte{0x30, 6, 0, 1, 'a', 2, 2, 0}, MalformedPacket},
		"properties longer than packet": {[]byte{0x30, 4, 0, 1, 'a', 9}, MalformedPacket},
		"subscription identifier":       {[]byte{0x30, 6, 0, 1, 'a', 2, 11, 1}, ProtocolError},
		"subscription identifier 0":     {[]byte{0x82, 9, 0, 1, 2, 11, 0, 0, 1, 'a', 0}, ProtocolError},
		"no topic, no alias":            {[]byte{0x30, 3, 0, 0, 0}, TopicNameInvalid},
		"response topic with wildcard":  {[]byte{0x30, 8, 0, 1, 'a', 4, 8, 0, 1, '#'}, ProtocolError},
		"payload is not UTF-8":          {[]byte{0x30, 7, 0, 1, 'a', 2, 1, 1, 0xff}, PayloadFormatInvalid},
		"reserved option":               {[]byte{0x82, 7, 0, 1, 0, 0, 1, 'a', 0x40}, MalformedPacket},
		"retain handling 3":             {[]byte{0x82, 7, 0, 1, 0, 0, 1, 'a', 0x30}, MalformedPacket},
		"no local, shared":              {append([]byte{0x82, 16, 0, 1, 0, 0, 10}, "$share/n/a\x04"...), ProtocolError},
		"shared without filter":         {append([]byte{0x82, 14, 0, 1, 0, 0, 8}, "$share/n\x00"...), MalformedPacket},
		"no filter":                     {[]byte{0x82, 3, 0, 1, 0}, ProtocolError},
		"length longer than needed":     {[]byte{0x30, 5, 0, 1, 'a', 0x80, 0}, MalformedPacket},
		"identifier 0":                  {[]byte{0x32, 6, 0, 1, 'a', 0, 0, 0}, ProtocolError},
	} {
		t.Run(name, func(t *testing.T) {
			var lines []string
			run(t, Options{Log: func(s string) { lines = append(lines, s) }}, func(b *bench) {
				d := b.connect5("c", nil, "0x0 false")
				if _, err := d.Write(c.raw); err != nil {
					t.Fatal(err)
				}
				d.wantEnd(c.reason)
			})
			if len(lines) != 1 || !strings.HasPrefix(lines[0], "client c: ") {
				t.Errorf("log: %q", lines)
			}
		})
	}
}

func TestSharedSubscriptions(t *testing.T) {
	run(t, Options{}, func(b *bench) {
		b.must(b.b.Publish(Message{Topic: "t", Payload: []byte("kept"), Retain: true}))
		var all []*client5
		for i := range 2 {
			c := b.connect5(fmt.Sprint("c", i), keep(60), "0x0 false")
			c.subscribe("$share/g/t", "0x02", nil) // no retained messages
			all = append(all, c)
		}
		other := b.connect5("other", nil, "0x0 false")
		other.subscribe("$share/h/+", "0x02", nil)
		for i := range 4 {
			b.must(b.b.Publish(Message{Topic: "t", Payload: fmt.Append(nil, i)}))
			other.want(fmt.Sprintf("PUBLISH t=%d", i))
		}
		var got []string
		for _, c := range all {
			for range 2 {
				s, err := c.read()
				b.must(err)
				got = append(got, s)
			}
		}
		slices.Sort(got)
		if want := []string{"PUBLISH t=0", "PUBLISH t=1", "PUBLISH t=2", "PUBLISH t=3"}; !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
		all[0].Close()
		time.Sleep(time.Second)
		for i := range 3 { // the one that is there gets all
			b.must(b.b.Publish(Message{Topic: "t", Payload: fmt.Append(nil, i), QoS: 1}))
			all[1].want(fmt.Sprintf("PUBLISH t=%d qos1 #%d", i, i+1))
			other.want(fmt.Sprintf("PUBLISH t=%d qos1 #%d", i, i+1))
		}
	})
}

func TestSendReachesOneClient(t *testing.T) {
	run(t, Options{}, func(b *bench) {
		c, d := b.connect5("c", nil, "0x0 false"), b.connect5("d", nil, "0x0 false")
		c.subscribe("answers/#", "0x02", nil)
		d.subscribe("answers/#", "0x02", nil)
		b.must(b.b.Send("d", Message{Topic: "answers/1", Payload: []byte("x")}))
		b.must(b.b.Send("d", Message{Topic: "unwanted", Payload: []byte("x")}))
		b.must(b.b.Send("nobody", Message{Topic: "answers/1"}))
		d.want("PUBLISH answers/1=x")
		c.wantSilence()
		d.wantSilence()
		if b.b.Send("d", Message{Topic: "#"}) == nil {
			t.Error("a wildcard was accepted")
		}
	})
}

// A peer that floods, never answers or sends garbage costs one line and
// bounded memory.
func TestHostilePeersAreLogged(t *testing.T) {
	var lines []string
	opt := Options{
		MaxQueued: 5, MaxQueuedBytes: 100, MaxConnections: 3, MaxSubscriptions: 1, MaxRetained: 1,
		Log: func(s string) { lines = append(lines, s) },
	}
	one := func(want string) {
		t.Helper()
		synctest.Wait()
		if len(lines) != 1 || !strings.Contains(lines[0], want) {
			t.Errorf("log: %q, want one line with %q", lines, want)
		}
		lines = nil
	}
	run(t, opt, func(b *bench) {
		near, far := net.Pipe()
		b.b.start(far)
		slow := &client{t, near, bufio.NewReader(near)}
		slow.send(connectPacket("slow", true))
		slow.want("CONNACK 0 false")
		slow.subscribe(1, "t")
		for range 100 {
			b.must(b.b.Publish(Message{Topic: "t", Payload: make([]byte, 30), QoS: 1}))
		}
		one("client slow: queue is full")
		b.b.mu.Lock()
		if s := b.b.session("slow"); s.queued > 100 || len(s.queue) > 5 {
			t.Errorf("%d messages of %d bytes wait", len(s.queue), s.queued)
		}
		b.b.mu.Unlock()

		garbage := b.dial()
		garbage.sendRaw(0x10, 4, 0, 1, 'x', 0)
		garbage.wantEnd()
		one("CONNECT: protocol \"x\"")

		c, idle := b.connect("c", true, false), b.dial()
		synctest.Wait()
		for range 10 {
			b.dial().wantEnd()
		}
		one("3 connections are the most")
		idle.Close()
		c.send(subscribePacket(1, 0, "a", "b"))
		c.want("SUBACK 1 0 128")
		one("client c: more than 1 subscriptions")
		for _, topic := range []string{"1", "2", "3"} {
			b.must(b.b.Publish(Message{Topic: topic, Payload: []byte("x"), Retain: true}))
		}
		one("1 retained messages are the most")
		slow.Close()
	})
}

// The codec against another one: what either writes the other reads.
func TestCodecAgreesWithPaho(t *testing.T) {
	p := &v5.Publish{Topic: "a/b", Payload: []byte("x"), QoS: 2, PacketID: 7, Duplicate: true, Retain: true, Properties: &v5.Properties{
		ContentType: "c", ResponseTopic: "r", CorrelationData: []byte{0, 1}, User: []v5.User{{Key: "k", Value: "v"}}, TopicAlias: ptr(uint16(3)),
		MessageExpiry: ptr(uint32(70000)), PayloadFormat: ptr(byte(1)),
	}}
	var wire strings.Builder
	if _, err := p.WriteTo(&wire); err != nil {
		t.Fatal(err)
	}
	got, err := readPacket(bufio.NewReader(strings.NewReader(wire.String())), level5, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if again := got.encode(level5); string(again) != wire.String() {
		t.Errorf("read % x, wrote % x", wire.String(), again)
	}
}
