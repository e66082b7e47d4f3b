package broker

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	v5 "github.com/eclipse/paho.golang/packets"
)

// client5 is a client of MQTT 5 whose packets another implementation encodes
// and decodes; it sends and wants them as client does.
type client5 struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func (b *bench) dial5() *client5 {
	b.t.Helper()
	c := b.dial()
	return &client5{b.t, c.Conn, c.r}
}

// connect5 dials and connects; answer is the CONNACK wanted behind its limits.
func (b *bench) connect5(id string, edit func(*v5.Connect), answer string) *client5 {
	b.t.Helper()
	c := b.dial5()
	c.sendConnect(id, edit)
	c.want("CONNACK " + answer)
	return c
}

func (c *client5) sendConnect(id string, edit func(*v5.Connect)) {
	c.t.Helper()
	p := &v5.Connect{ProtocolName: "MQTT", ProtocolVersion: 5, ClientID: id, CleanStart: true, Properties: &v5.Properties{}}
	if edit != nil {
		edit(p)
	}
	c.send(p)
}

func (c *client5) send(p io.WriterTo) {
	c.t.Helper()
	if _, err := p.WriteTo(c); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client5) publish(topic, payload string, qos byte, id uint16, edit func(*v5.Publish)) {
	c.t.Helper()
	p := &v5.Publish{Topic: topic, Payload: []byte(payload), QoS: qos, PacketID: id, Properties: &v5.Properties{}}
	if edit != nil {
		edit(p)
	}
	c.send(p)
}

// subscribe subscribes with options and wants the reason.
func (c *client5) subscribe(filter string, want string, edit func(*v5.SubOptions, *v5.Properties)) {
	c.t.Helper()
	o, props := v5.SubOptions{Topic: filter, QoS: 2}, &v5.Properties{}
	if edit != nil {
		edit(&o, props)
	}
	c.send(&v5.Subscribe{PacketID: 9, Subscriptions: []v5.SubOptions{o}, Properties: props})
	c.want("SUBACK 9 " + want)
}

func (c *client5) read() (string, error) {
	c.SetReadDeadline(time.Now().Add(time.Minute))
	p, err := v5.ReadPacket(c.r)
	if err != nil {
		return "", err
	}
	return show5(p), nil
}

func (c *client5) want(text string) {
	c.t.Helper()
	got, err := c.read()
	if err != nil {
		c.t.Fatalf("want %q: %v", text, err)
	}
	if got != text {
		c.t.Fatalf("got %q, want %q", got, text)
	}
}

func (c *client5) wantSilence() {
	c.t.Helper()
	got, err := c.read()
	if ne, ok := errors.AsType[net.Error](err); !ok || !ne.Timeout() {
		c.t.Fatalf("want silence, got %q, %v", got, err)
	}
}

// wantEnd wants the end of the connection, after DISCONNECT with a reason.
func (c *client5) wantEnd(reason Reason) {
	c.t.Helper()
	c.want(fmt.Sprintf("DISCONNECT %#x", byte(reason)))
	if got, err := c.read(); !errors.Is(err, io.EOF) {
		c.t.Fatalf("want the end of the connection, got %q, %v", got, err)
	}
	c.Close()
}

// show5 writes a packet as text, with the properties that say something.
func show5(cp *v5.ControlPacket) string {
	var s string
	var ps *v5.Properties
	switch p := cp.Content.(type) {
	case *v5.Connack:
		s, ps = fmt.Sprintf("CONNACK %#x %v", p.ReasonCode, p.SessionPresent), p.Properties
		ps.MaximumPacketSize, ps.TopicAliasMaximum = nil, nil
	case *v5.Publish:
		s, ps = fmt.Sprintf("PUBLISH %s=%s", p.Topic, p.Payload), p.Properties
		if p.QoS > 0 {
			s += fmt.Sprintf(" qos%d #%d", p.QoS, p.PacketID)
		}
		if p.Duplicate {
			s += " dup"
		}
		if p.Retain {
			s += " retained"
		}
	case *v5.Puback:
		s, ps = fmt.Sprintf("PUBACK %d %#x", p.PacketID, p.ReasonCode), p.Properties
	case *v5.Pubrec:
		s, ps = fmt.Sprintf("PUBREC %d %#x", p.PacketID, p.ReasonCode), p.Properties
	case *v5.Pubrel:
		s, ps = fmt.Sprintf("PUBREL %d %#x", p.PacketID, p.ReasonCode), p.Properties
	case *v5.Pubcomp:
		s, ps = fmt.Sprintf("PUBCOMP %d %#x", p.PacketID, p.ReasonCode), p.Properties
	case *v5.Suback:
		s, ps = fmt.Sprintf("SUBACK %d %#x", p.PacketID, p.Reasons), p.Properties
	case *v5.Unsuback:
		s, ps = fmt.Sprintf("UNSUBACK %d %#x", p.PacketID, p.Reasons), p.Properties
	case *v5.Disconnect:
		s, ps = fmt.Sprintf("DISCONNECT %#x", p.ReasonCode), p.Properties
	case *v5.Pingresp:
		return "PINGRESP"
	}
	if text := strings.Join(strings.Fields(ps.String()), " "); text != "" {
		s += " " + text
	}
	return s
}
