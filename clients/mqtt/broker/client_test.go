package broker

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/thinlink/thinlink/clients/internal/memhost"
)

// bench is a broker on a host, and the vocabulary of its tests: clients dial,
// send packets written as text, and want packets written as text.
type bench struct {
	t                *testing.T
	b                *Broker
	device, platform *memhost.Host
}

// run runs a test with a broker in a bubble of virtual time.
func run(t *testing.T, opt Options, test func(*bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		device, platform := memhost.Pair(time.Millisecond)
		ln, err := platform.Listen("tcp", "10.0.0.1:1883")
		if err != nil {
			t.Fatal(err)
		}
		b := &bench{t, New(opt), device, platform}
		served := make(chan error, 1)
		go func() { served <- b.b.Serve(ln) }()
		test(b)
		if err := b.b.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		time.Sleep(time.Second) // what is under way arrives
	})
}

type client struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func (b *bench) dial() *client {
	b.t.Helper()
	nc, err := b.device.DialContext(b.t.Context(), "tcp", "10.0.0.1:1883")
	if err != nil {
		b.t.Fatal(err)
	}
	return &client{b.t, nc, bufio.NewReader(nc)}
}

// connect dials and connects; present is the wanted session present flag.
func (b *bench) connect(id string, clean, present bool) *client {
	b.t.Helper()
	c := b.dial()
	c.send(connectPacket(id, clean))
	c.want(fmt.Sprintf("CONNACK 0 %v", present))
	return c
}

func connectPacket(id string, clean bool) *packets.ConnectPacket {
	p := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	p.ProtocolName, p.ProtocolVersion = "MQTT", 4
	p.ClientIdentifier, p.CleanSession = id, clean
	return p
}

func publishPacket(topic, payload string, qos byte, id uint16) *packets.PublishPacket {
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.TopicName, p.Payload, p.Qos, p.MessageID = topic, []byte(payload), qos, id
	return p
}

func subscribePacket(id uint16, qos byte, filters ...string) *packets.SubscribePacket {
	p := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	p.MessageID, p.Topics = id, filters
	p.Qoss = bytes.Repeat([]byte{qos}, len(filters))
	return p
}

func unsubscribePacket(id uint16, filters ...string) *packets.UnsubscribePacket {
	p := packets.NewControlPacket(packets.Unsubscribe).(*packets.UnsubscribePacket)
	p.MessageID, p.Topics = id, filters
	return p
}

func (c *client) send(p packets.ControlPacket) {
	c.t.Helper()
	if err := p.Write(c); err != nil {
		c.t.Fatalf("send %s: %v", p, err)
	}
}

func (c *client) sendRaw(b ...byte) {
	c.t.Helper()
	if _, err := c.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

// subscribe subscribes and waits for the answer.
func (c *client) subscribe(qos byte, filters ...string) {
	c.t.Helper()
	c.send(subscribePacket(9, qos, filters...))
	c.want("SUBACK 9 " + strings.TrimSpace(strings.Repeat(fmt.Sprint(qos, " "), len(filters))))
}

// want reads one packet and compares its text.
func (c *client) want(text string) {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(time.Minute))
	p, err := packets.ReadPacket(c.r)
	if err != nil {
		c.t.Fatalf("want %q: %v", text, err)
	}
	if got := show(p); got != text {
		c.t.Fatalf("got %q, want %q", got, text)
	}
}

// wantAll reads as many packets as texts, in any order.
func (c *client) wantAll(texts ...string) {
	c.t.Helper()
	var got []string
	for range texts {
		p, err := packets.ReadPacket(c.r)
		if err != nil {
			c.t.Fatal(err)
		}
		got = append(got, show(p))
	}
	slices.Sort(got)
	slices.Sort(texts)
	if !slices.Equal(got, texts) {
		c.t.Fatalf("got %q, want %q", got, texts)
	}
}

// wantSilence fails if a packet comes within a minute.
func (c *client) wantSilence() {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(time.Minute))
	if p, err := packets.ReadPacket(c.r); err == nil {
		c.t.Fatalf("got %q, want silence", show(p))
	} else if ne, ok := errors.AsType[net.Error](err); !ok || !ne.Timeout() {
		c.t.Fatalf("want silence: %v", err)
	}
}

// wantEnd fails unless the broker ends the connection.
func (c *client) wantEnd() {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(time.Minute))
	p, err := packets.ReadPacket(c.r)
	if err == nil {
		c.t.Fatalf("got %q, want the end of the connection", show(p))
	}
	if !errors.Is(err, io.EOF) {
		c.t.Fatalf("want the end of the connection: %v", err)
	}
	c.Close()
}

// show writes a packet as text.
func show(p packets.ControlPacket) string {
	switch p := p.(type) {
	case *packets.ConnackPacket:
		return fmt.Sprintf("CONNACK %d %v", p.ReturnCode, p.SessionPresent)
	case *packets.SubackPacket:
		return fmt.Sprintf("SUBACK %d %s", p.MessageID, strings.Trim(fmt.Sprint(p.ReturnCodes), "[]"))
	case *packets.PublishPacket:
		s := fmt.Sprintf("PUBLISH %s=%s", p.TopicName, p.Payload)
		if p.Qos > 0 {
			s += fmt.Sprintf(" qos%d #%d", p.Qos, p.MessageID)
		}
		if p.Dup {
			s += " dup"
		}
		if p.Retain {
			s += " retained"
		}
		return s
	case *packets.PingrespPacket:
		return "PINGRESP"
	}
	name := strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%T", p), "*packets."), "Packet")
	return fmt.Sprintf("%s %d", strings.ToUpper(name), p.Details().MessageID)
}

// ack makes one of the packets that consist of an identifier.
func ack(kind byte, id uint16) packets.ControlPacket {
	p := packets.NewControlPacket(kind)
	switch p := p.(type) {
	case *packets.PubackPacket:
		p.MessageID = id
	case *packets.PubrecPacket:
		p.MessageID = id
	case *packets.PubrelPacket:
		p.MessageID = id
	case *packets.PubcompPacket:
		p.MessageID = id
	}
	return p
}
