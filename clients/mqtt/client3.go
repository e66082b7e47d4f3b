package mqtt

import (
	"context"
	"net"
	"net/url"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/flash"
)

// client3 is Eclipse Paho's client of MQTT 3.1.1.
type client3 struct {
	paho     paho.Client
	messages messages
}

func newClient3(d *device, store flash.Store, fail func(error)) (client, error) {
	m, err := openMessages(store, fail)
	if err != nil {
		return nil, err
	}
	c := &client3{messages: m}
	c.paho = paho.NewClient(c.options(d))
	return c, nil
}

func (c *client3) options(d *device) *paho.ClientOptions {
	o := paho.NewClientOptions()
	o.AddBroker("tls://" + d.env.ServerName()) // a name only: dial knows the address
	o.SetClientID(d.name)
	if user, password := d.login(); user != "" {
		o.SetUsername(user)                       // a provider without password would be called for one
		if password != "" || d.opt.Provisioning { // the hub's name is not known yet
			o.SetCredentialsProvider(d.login)
		}
	}
	if d.opt.Will {
		o.SetWill(statusTopic(d.name), offline, byte(d.opt.QoS), d.opt.Retain)
	}
	o.SetProtocolVersion(4) // no fall-back to MQTT 3.1
	o.SetCleanSession(d.opt.CleanSession)
	o.SetKeepAlive(d.opt.KeepAlive)
	o.SetPingTimeout(d.opt.PingTimeout)
	o.SetConnectTimeout(d.opt.ConnectTimeout)
	o.SetMaxReconnectInterval(d.opt.ReconnectMax)
	o.SetStore(c.messages)
	// No SetMaxResumePubInFlight: steps come one at a time, so there is no storm
	// of stored messages, and its goroutine races with paho's reconnecting.
	o.SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) { return d.dial() })
	// What could not be stored is not acknowledged, so that it comes again.
	o.SetAutoAckDisabled(true)
	o.SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
		if err := d.received(incoming{topic: m.Topic(), payload: m.Payload()}); err == nil {
			m.Ack()
		}
	})
	o.SetOnConnectHandler(func(paho.Client) { d.connected() })
	o.SetConnectionLostHandler(func(_ paho.Client, err error) {
		if d.ctx.Err() == nil {
			d.record(clients.EventState, "disconnected: "+err.Error())
		}
	})
	return o
}

func (c *client3) connect() error {
	t := c.paho.Connect()
	<-t.Done() // dial and CONNACK end with the power, too
	return t.Error()
}

func (c *client3) publish(ctx context.Context, l *link, m outgoing) error {
	return await(ctx, l, c.paho.Publish(m.topic, m.qos, m.retain, m.payload))
}

func (c *client3) subscribe(ctx context.Context, l *link, qos byte, topics ...string) error {
	if len(topics) == 1 {
		return granted(ctx, l, c.paho.Subscribe(topics[0], qos, nil))
	}
	filters := make(map[string]byte)
	for _, topic := range topics {
		filters[topic] = qos
	}
	return granted(ctx, l, c.paho.SubscribeMultiple(filters, nil))
}

func (c *client3) unsubscribe(ctx context.Context, l *link, filter string) error {
	return await(ctx, l, c.paho.Unsubscribe(filter))
}

func (c *client3) powerOff() { c.messages.powerOff() }

// close ends the client. Paho waits at most this long for a DISCONNECT that
// cannot be sent.
func (c *client3) close() { c.paho.Disconnect(1) }

func (c *client3) unacknowledged() int { return len(c.messages.All()) }

// granted waits for SUBACK.
func granted(ctx context.Context, l *link, t paho.Token) error {
	if err := await(ctx, l, t); err != nil {
		return err
	}
	for topic, code := range t.(*paho.SubscribeToken).Result() {
		if code > 2 {
			return &refusedError{topic}
		}
	}
	return nil
}

// await waits for a token.
func await(ctx context.Context, l *link, t paho.Token) error {
	select {
	case <-t.Done():
		return t.Error()
	case <-l.lost:
		return errLost
	case <-ctx.Done():
		return ctx.Err()
	}
}
