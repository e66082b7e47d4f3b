package mqtt

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
	"github.com/eclipse/paho.golang/paho/session/state"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/flash"
)

// client5 is Eclipse Paho's client of MQTT 5, which knows one connection only:
// connecting again is done here. Three of its ways are not taken: it writes a
// packet in several pieces, each a TLS record (see packetConn); it pings at once
// when connected (see pinger); and its extension for topic aliases stores
// messages without their topic (see packetConn, too).
type client5 struct {
	d       *device
	session *session5
	sent    *pile
	heard   *pile // identifiers of QoS 2 messages of the platform, until PUBREL
}

// Records in the device's flash memory.
const (
	sentRecord  = "mqtt5-sent"
	heardRecord = "mqtt5-received"
)

func newClient5(d *device, store flash.Store, fail func(error)) (client, error) {
	c := &client5{d: d}
	var err error
	if c.sent, err = openPile(store, sentRecord, fail, validPacket5); err != nil {
		return nil, err
	}
	if c.heard, err = openPile(store, heardRecord, fail, validPacket5); err != nil {
		return nil, err
	}
	c.session = &session5{State: state.New(store5{c.sent}, store5{c.heard})}
	return c, nil
}

// connect makes a connection and, when it has ended, another.
func (c *client5) connect() error {
	d := c.d
	conn, err := d.dial()
	if err != nil {
		return err
	}
	d.mu.Lock()
	l := d.link
	d.mu.Unlock()
	wire := &packetConn{Conn: conn}
	ended := make(chan error, 1)
	l.v5 = paho.NewClient(c.config(wire, ended))
	ctx, cancel := context.WithTimeout(d.ctx, d.opt.ConnectTimeout)
	defer cancel()
	ack, err := l.v5.Connect(ctx, c.packet())
	if err != nil {
		if ack != nil {
			err = fmt.Errorf("reason code %#x: %w", ack.ReasonCode, err)
		}
		return err
	}
	if p := ack.Properties; p != nil && p.TopicAliasMaximum != nil {
		wire.useAliases(min(d.opt.TopicAlias, int(*p.TopicAliasMaximum)))
	}
	d.running.Go(func() {
		<-l.v5.Done()
		c.again(ended)
	})
	go d.connected()
	return nil
}

// again connects until it succeeds or the power is off.
func (c *client5) again(ended <-chan error) {
	d := c.d
	if d.ctx.Err() != nil {
		return
	}
	why := errLost
	select {
	case why = <-ended:
	default:
	}
	d.record(clients.EventState, "disconnected: "+why.Error())
	for pause := time.Second; c.connect() != nil; pause = min(2*pause, d.opt.ReconnectMax) {
		if clients.Sleep(d.ctx, pause) != nil {
			return
		}
	}
}

// anyTime is the library's time for an answer: the context's counts.
const anyTime = 365 * 24 * time.Hour

func (c *client5) config(wire *packetConn, ended chan<- error) paho.ClientConfig {
	tell := func(err error) {
		select {
		case ended <- err:
		default: // the first counts
		}
	}
	topics := map[uint16]string{} // by alias, on this connection
	return paho.ClientConfig{
		ClientID: c.d.name, Conn: wire, Session: c.session, PacketTimeout: anyTime,
		PingHandler:   newPinger(c.d.opt.PingTimeout),
		OnClientError: tell,
		OnServerDisconnect: func(p *paho.Disconnect) {
			tell(fmt.Errorf("the platform sent DISCONNECT with reason code %#x", p.ReasonCode))
		},
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(r paho.PublishReceived) (bool, error) {
			p, m := r.Packet.Properties, incoming{topic: r.Packet.Topic, payload: r.Packet.Payload}
			if p.TopicAlias != nil {
				if m.topic != "" {
					topics[*p.TopicAlias] = m.topic
				}
				m.topic = topics[*p.TopicAlias]
			}
			m.responseTopic, m.correlation = p.ResponseTopic, p.CorrelationData
			err := c.d.received(m)
			if err != nil { // it is not acknowledged, so that it comes again
				wire.Close()
			}
			return true, err
		}},
	}
}

// packet is CONNECT.
func (c *client5) packet() *paho.Connect {
	o := &c.d.opt
	p := &paho.Connect{
		ClientID: c.d.name, CleanStart: o.CleanSession, KeepAlive: uint16(o.KeepAlive / time.Second),
		Properties: &paho.ConnectProperties{RequestProblemInfo: true},
	}
	if !o.CleanSession {
		p.Properties.SessionExpiryInterval = paho.Uint32(uint32(o.SessionExpiry / time.Second))
	}
	if user, password := c.d.login(); user != "" {
		p.UsernameFlag, p.Username, p.PasswordFlag, p.Password = true, user, password != "", []byte(password)
	}
	if o.Will {
		p.WillMessage = &paho.WillMessage{Topic: statusTopic(c.d.name), Payload: []byte(offline), QoS: byte(o.QoS), Retain: o.Retain}
		p.WillProperties = &paho.WillProperties{}
		if o.WillDelay > 0 {
			p.WillProperties.WillDelayInterval = paho.Uint32(uint32(o.WillDelay / time.Second))
		}
	}
	if o.TopicAlias > 0 {
		p.Properties.TopicAliasMaximum = paho.Uint16(uint16(o.TopicAlias))
	}
	return p
}

// call waits for the platform on a link.
func (l *link) call(ctx context.Context, f func(context.Context) error) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.ctx, cancel)()
	err := f(inner)
	switch {
	case err == nil, ctx.Err() != nil:
		return err
	case l.ctx.Err() != nil:
		return errLost
	}
	return err
}

func (c *client5) publish(ctx context.Context, l *link, m outgoing) error {
	p := &paho.Publish{Topic: m.topic, Payload: m.payload, QoS: m.qos, Retain: m.retain, Properties: &paho.PublishProperties{
		CorrelationData: m.correlation,
	}}
	return l.call(ctx, func(ctx context.Context) error {
		r, err := l.v5.Publish(ctx, p)
		if err == nil && r != nil && r.ReasonCode >= packets.PubackUnspecifiedError {
			err = fmt.Errorf("%s: reason code %#x", m.topic, r.ReasonCode)
		}
		return err
	})
}

func (c *client5) subscribe(ctx context.Context, l *link, qos byte, topics ...string) error {
	p := &paho.Subscribe{}
	for _, topic := range topics {
		p.Subscriptions = append(p.Subscriptions, paho.SubscribeOptions{Topic: topic, QoS: qos})
	}
	return l.call(ctx, func(ctx context.Context) error {
		ack, err := l.v5.Subscribe(ctx, p)
		if ack == nil {
			return err
		}
		for i, code := range ack.Reasons {
			if code >= packets.SubackUnspecifiederror && i < len(topics) {
				return fmt.Errorf("%w: reason code %#x", &refusedError{topics[i]}, code)
			}
		}
		return err
	})
}

func (c *client5) unsubscribe(ctx context.Context, l *link, filter string) error {
	return l.call(ctx, func(ctx context.Context) error {
		_, err := l.v5.Unsubscribe(ctx, &paho.Unsubscribe{Topics: []string{filter}})
		return err
	})
}

func (c *client5) unacknowledged() int { return len(c.sent.keys()) }

func (c *client5) powerOff() {
	c.sent.powerOff()
	c.heard.powerOff()
}

// close has nothing to do: the connection closes with the power.
func (c *client5) close() {}

// validPacket5 accepts what session5 stores.
func validPacket5(m message) error {
	if len(m.key) != 2 {
		return errors.New("want a packet identifier")
	}
	_, err := readPacket5(m.wire)
	return err
}
