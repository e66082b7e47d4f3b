package mqtt

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/eclipse/paho.golang/paho"

	"github.com/thinlink/thinlink/clients"
)

// link is one connection, or the attempt to get one.
type link struct {
	up   chan struct{}   // closed when connected and subscribed
	lost <-chan struct{} // closed when the next attempt begins
	ctx  context.Context // ends then, too
	end  context.CancelFunc
	raw  net.Conn // TCP; set before paho knows of the connection
	// v5 is the client of MQTT 5 on this connection.
	v5 *paho.Client
	// connack is what the platform has sent first.
	connack connack
}

// connack notes the first packet of the platform, which is CONNACK
// [MQTT-3.2.0-1]: paho does not tell whether there was a session when it
// connects again by itself.
type connack struct {
	net.Conn
	head []byte
}

// Read implements net.Conn.
func (c *connack) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if missing := 4 - len(c.head); missing > 0 {
		c.head = append(c.head, b[:min(n, missing)]...)
	}
	return n, err
}

// sessionPresent is bit 0 of CONNACK's first variable byte (section 3.2.2.2).
func (c *connack) sessionPresent() bool { return len(c.head) == 4 && c.head[2]&1 == 1 }

func newLink() *link {
	l := &link{up: make(chan struct{})}
	l.ctx, l.end = context.WithCancel(context.Background())
	l.lost = l.ctx.Done()
	return l
}

// dial opens a connection to the broker. It is called by paho, also when it
// connects again by itself.
func (d *device) dial() (net.Conn, error) {
	d.mu.Lock()
	d.link.end()
	l := newLink()
	d.link = l
	d.mu.Unlock()
	raw, conn, err := d.open()
	if err != nil {
		return nil, err
	}
	l.raw = raw
	l.connack.Conn = conn
	return &l.connack, nil
}

// open opens a connection, TCP and what is over it, which ends with the power.
func (d *device) open() (raw, conn net.Conn, err error) {
	ctx, cancel := context.WithTimeout(d.ctx, d.opt.ConnectTimeout)
	defer cancel()
	raw, err = d.env.Device.DialContext(ctx, "tcp", d.env.At(d.opt.port()).String())
	if err != nil {
		return nil, nil, err
	}
	if err := d.setBuffers(raw); err != nil {
		raw.Close()
		return nil, nil, err
	}
	conn = raw
	if d.opt.TLS != "none" {
		secure := tls.Client(raw, d.mqtt)
		if err := secure.HandshakeContext(ctx); err != nil {
			raw.Close()
			return nil, nil, err
		}
		conn = secure
	}
	// TLS would say goodbye, and wait up to 5 s for that on a stuck link.
	context.AfterFunc(d.ctx, func() { raw.Close() })
	return raw, conn, nil
}

// setBuffers applies the options to hosts that can; one that cannot is an
// error rather than another experiment.
func (d *device) setBuffers(c net.Conn) error {
	b, ok := c.(interface {
		SetReadBuffer(bytes int) error
		SetWriteBuffer(bytes int) error
	})
	if !ok && (d.opt.SendBuffer > 0 || d.opt.ReceiveBuffer > 0) {
		return fmt.Errorf("buffer sizes on %T: %w", c, errors.ErrUnsupported)
	}
	if d.opt.SendBuffer > 0 {
		if err := b.SetWriteBuffer(int(d.opt.SendBuffer)); err != nil {
			return err
		}
	}
	if d.opt.ReceiveBuffer > 0 {
		return b.SetReadBuffer(int(d.opt.ReceiveBuffer))
	}
	return nil
}

// connected subscribes on a new connection.
func (d *device) connected() {
	d.mu.Lock()
	l, again := d.link, d.connections > 0
	d.connections++
	if !l.connack.sessionPresent() {
		d.state.Topics = nil
	}
	missing := slices.DeleteFunc(d.subscriptions(), func(topic string) bool { return slices.Contains(d.state.Topics, topic) })
	d.mu.Unlock()
	err := d.subscribe(l, missing)
	if err == nil && d.opt.Will {
		m := outgoing{topic: statusTopic(d.name), payload: []byte(online), qos: byte(d.opt.QoS), retain: d.opt.Retain}
		err = d.client.publish(d.ctx, l, m)
	}
	if err != nil {
		if !errors.Is(err, errLost) && d.ctx.Err() == nil {
			d.record(clients.EventWarning, "subscribe: "+err.Error())
		}
		l.raw.Close() // the next connection begins anew
		return
	}
	d.record(clients.EventState, "connected")
	close(l.up)
	if again {
		d.jobChanged() // a notification may have been lost
	}
}

// subscribe subscribes to topics, one by one as the SDK does, or together.
func (d *device) subscribe(l *link, topics []string) error {
	if len(topics) == 0 {
		return nil
	}
	if d.opt.SubscribeTogether {
		if err := d.client.subscribe(d.ctx, l, byte(d.opt.QoS), topics...); err != nil {
			return err
		}
		return d.subscribed(topics...)
	}
	for _, topic := range topics {
		if err := d.client.subscribe(d.ctx, l, byte(d.opt.QoS), topic); err != nil {
			return err
		}
	}
	return d.subscribed(topics...)
}

// subscribed notes what a persistent session has been granted: a SUBSCRIBE
// again would bring retained messages again [MQTT-3.8.4-3].
func (d *device) subscribed(topics ...string) error {
	return d.editTopics(func(have []string) []string { return append(have, topics...) })
}

func (d *device) unsubscribed(topic string) error {
	return d.editTopics(func(have []string) []string {
		return slices.DeleteFunc(have, func(t string) bool { return t == topic })
	})
}

func (d *device) isSubscribed(topic string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Contains(d.state.Topics, topic)
}

func (d *device) editTopics(edit func([]string) []string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.ctx.Err(); err != nil {
		return err
	}
	d.state.Topics = edit(d.state.Topics)
	if d.opt.CleanSession {
		return nil
	}
	return d.state.save(d.env.Flash)
}

// errLost ends waiting for something on a connection that is no more.
var errLost = errors.New("connection lost")

// online waits for a connection that is up.
func (d *device) online(ctx context.Context) (*link, error) {
	for {
		d.mu.Lock()
		l := d.link
		d.mu.Unlock()
		select {
		case <-l.up:
			return l, nil
		case <-l.lost:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-d.ctx.Done():
			return nil, errOff
		}
	}
}

// errOff ends what a device does when it is switched off.
var errOff = errors.New("device is switched off")

// exchange publishes until done is closed or delivers: again on every new
// connection, since a message at QoS 0 goes down with its connection and an
// answer may.
func exchange[T any](ctx context.Context, d *device, done <-chan T, publish func(l *link) error) (T, error) {
	var zero T
	for {
		l, err := d.online(ctx)
		if err != nil {
			return zero, err
		}
		if err := publish(l); err != nil && !errors.Is(err, errLost) {
			// Paho's errors mean that the connection is going down.
			if err := clients.Sleep(ctx, time.Second); err != nil {
				return zero, err
			}
			continue
		}
		select {
		case v := <-done:
			return v, nil
		case <-l.lost:
		case <-ctx.Done():
			return zero, ctx.Err()
		case <-d.ctx.Done():
			return zero, errOff
		}
		select { // it may have come just before the connection was lost
		case v := <-done:
			return v, nil
		default:
		}
	}
}

// publish sends one message and waits until paho has done what its QoS asks.
func (d *device) publish(ctx context.Context, topic string, payload []byte) func(l *link) error {
	return d.publishMessage(ctx, outgoing{topic: topic, payload: payload})
}

func (d *device) publishMessage(ctx context.Context, m outgoing) func(l *link) error {
	m.qos = byte(d.opt.QoS)
	return func(l *link) error { return d.client.publish(ctx, l, m) }
}

// request publishes a request and returns the payload of its answer.
func (d *device) request(ctx context.Context, topic string, payload func(token string) []byte) (answer, error) {
	token := d.newToken()
	return d.ask(ctx, token, topic, payload(token))
}

// ask publishes a request whose answer comes under a key: its client token, or
// the topic of the answer.
func (d *device) ask(ctx context.Context, key, topic string, payload []byte) (answer, error) {
	done := make(chan answer, 1)
	d.mu.Lock()
	d.waiting[key] = done
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		delete(d.waiting, key)
		d.mu.Unlock()
	}()
	a, err := exchange(ctx, d, done, d.publish(ctx, topic, payload))
	if err != nil {
		return a, fmt.Errorf("%s: %w", topic, err)
	}
	return a, nil
}
