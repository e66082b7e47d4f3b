package broker

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// conn is one network connection: a goroutine that reads and acts, and one
// that writes. Fields after b are guarded by b.mu.
type conn struct {
	b  *Broker
	nc net.Conn

	session  *session // nil before CONNECT
	will     *Message // published if the client goes without DISCONNECT
	pending  []packets.ControlPacket
	changed  *sync.Cond // pending grew, or done
	done     bool
	silence  time.Duration // 1.5 times the keep-alive; 0 is for ever
	lastSeen time.Time
	watch    *time.Timer
}

// Bounds of pending. Deliveries wait in the session's queue rather than here;
// answers to a client that asks without reading end its connection.
const (
	pendingDeliveries = 16
	pendingAnswers    = 4096
)

var errProtocol = errors.New("protocol violation")

func newConn(b *Broker, nc net.Conn) *conn {
	return &conn{b: b, nc: nc, changed: sync.NewCond(&b.mu)}
}

// serve runs the connection to its end.
func (c *conn) serve() {
	r := bufio.NewReaderSize(c.nc, 4096)
	if c.open(r) {
		c.b.running.Add(1)
		go func() {
			defer c.b.running.Done()
			c.write()
		}()
		for {
			p, err := readPacket(r, c.b.opt.MaxPacket)
			if err != nil || !c.handle(p) {
				break
			}
		}
	}
	c.b.mu.Lock()
	defer c.b.unlock()
	c.drop()
}

// open waits for CONNECT, which must be the first packet [MQTT-3.1.0-1], and
// answers it.
func (c *conn) open(r *bufio.Reader) bool {
	if c.nc.SetReadDeadline(time.Now().Add(c.b.opt.ConnectTimeout)) != nil {
		return false
	}
	p, err := readPacket(r, c.b.opt.MaxPacket)
	if err != nil {
		return false
	}
	connect, ok := p.(*packets.ConnectPacket)
	if !ok || c.nc.SetReadDeadline(time.Time{}) != nil {
		return false
	}
	code := judge(connect)
	c.b.mu.Lock()
	defer c.b.unlock()
	if c.done || code == packets.ErrProtocolViolation {
		return false
	}
	answer := packets.NewControlPacket(packets.Connack).(*packets.ConnackPacket)
	present := false
	if code == packets.Accepted {
		present, code = c.attach(connect)
	}
	if answer.ReturnCode = code; code != packets.Accepted {
		// The answer is the last packet [MQTT-3.2.2-5].
		c.b.mu.Unlock()
		answer.Write(c.nc) // nobody is left to tell of an error
		c.b.mu.Lock()
		return false
	}
	answer.SessionPresent = present // [MQTT-3.2.2-2], [MQTT-3.2.2-3]
	c.send(answer)
	c.session.resume()
	c.session.pump(c.b.opt.MaxInflight)
	return true
}

// judge gives the return code of a CONNECT by its form. A violation closes
// the connection without CONNACK.
func judge(p *packets.ConnectPacket) byte {
	switch {
	case p.ProtocolName != "MQTT", // [MQTT-3.1.2-1]
		p.WillQos == 3, // [MQTT-3.1.2-14]
		!p.WillFlag && (p.WillQos != 0 || p.WillRetain),                              // [MQTT-3.1.2-13], [MQTT-3.1.2-15]
		p.PasswordFlag && !p.UsernameFlag,                                            // [MQTT-3.1.2-22]
		!validString(p.ClientIdentifier), p.UsernameFlag && !validString(p.Username), // [MQTT-1.5.3-1]
		p.WillFlag && checkTopic(p.WillTopic) != nil:
		return packets.ErrProtocolViolation
	case p.ProtocolVersion != 4:
		return packets.ErrRefusedBadProtocolVersion // [MQTT-3.1.2-2]
	case p.ClientIdentifier == "" && !p.CleanSession:
		return packets.ErrRefusedIDRejected // [MQTT-3.1.3-8]
	}
	return packets.Accepted
}

// attach joins the connection to its session and reports whether there was
// one.
func (c *conn) attach(p *packets.ConnectPacket) (present bool, code byte) {
	b := c.b
	if p.ClientIdentifier == "" {
		b.assigned++
		p.ClientIdentifier = fmt.Sprintf("assigned-%08d", b.assigned) // [MQTT-3.1.3-6]
	}
	s := b.session(p.ClientIdentifier)
	if s != nil && s.conn != nil {
		s.conn.drop() // takeover [MQTT-3.1.4-2]
		s = b.session(p.ClientIdentifier)
	}
	if s != nil && p.CleanSession {
		b.forget(s) // [MQTT-3.1.2-6]
		s = nil
	}
	if present = s != nil; !present {
		if len(b.sessions) >= b.opt.MaxSessions {
			return false, packets.ErrRefusedServerUnavailable
		}
		s = newSession(p.ClientIdentifier, p.CleanSession)
		b.sessions = append(b.sessions, s)
	}
	c.session, s.conn = s, c
	if p.WillFlag {
		c.will = &Message{Topic: p.WillTopic, Payload: p.WillMessage, QoS: p.WillQos, Retain: p.WillRetain}
	}
	c.lastSeen = time.Now()
	if p.Keepalive > 0 {
		c.silence = time.Duration(p.Keepalive) * 3 * time.Second / 2 // [MQTT-3.1.2-24]
		c.watch = time.AfterFunc(c.silence, c.checkSilence)
	}
	return present, packets.Accepted
}

// checkSilence ends the connection of a client that has been silent too long.
// Packets only note their time; the timer is set anew when it fires.
func (c *conn) checkSilence() {
	c.b.mu.Lock()
	defer c.b.unlock()
	if c.done {
		return
	}
	if left := c.silence - time.Since(c.lastSeen); left > 0 {
		c.watch.Reset(left)
		return
	}
	c.drop()
}

// handle acts on one packet. It reports false when the connection is to end.
func (c *conn) handle(p packets.ControlPacket) bool {
	c.b.mu.Lock()
	defer c.b.unlock()
	if c.done {
		return false
	}
	c.lastSeen = time.Now()
	if err := c.act(p); err != nil {
		return false
	}
	c.session.pump(c.b.opt.MaxInflight)
	return len(c.pending) <= pendingAnswers
}

// send puts a packet on the list of the writing goroutine.
func (c *conn) send(p packets.ControlPacket) {
	c.pending = append(c.pending, p)
	c.changed.Signal()
}

// takes reports whether a delivery may join what is waiting to be written.
func (c *conn) takes() bool { return len(c.pending) < pendingDeliveries }

// write sends what is pending, one Write for each packet.
func (c *conn) write() {
	c.b.mu.Lock()
	defer c.b.unlock()
	for {
		for len(c.pending) == 0 && !c.done {
			c.changed.Wait()
		}
		if c.done {
			return
		}
		batch := c.pending
		c.pending = nil
		c.b.unlock()
		err := writeAll(c.nc, batch)
		c.b.mu.Lock()
		if err != nil {
			c.drop()
			return
		}
		if !c.done {
			c.session.pump(c.b.opt.MaxInflight)
		}
	}
}

func writeAll(nc net.Conn, batch []packets.ControlPacket) error {
	for _, p := range batch {
		if err := p.Write(nc); err != nil {
			return err
		}
	}
	return nil
}

// drop ends the connection, with the client's will [MQTT-3.1.2-8], and its
// session if that is clean.
func (c *conn) drop() {
	if c.done {
		return
	}
	c.shut()
	b := c.b
	b.conns = slices.DeleteFunc(b.conns, func(x *conn) bool { return x == c })
	if s := c.session; s != nil {
		s.conn = nil
		if s.clean {
			b.forget(s)
		}
		s.queue = slices.DeleteFunc(s.queue, func(m Message) bool { return m.QoS == 0 })
	}
	if c.will != nil && !b.closed {
		b.route(*c.will)
	}
}

// shut stops the connection's goroutines.
func (c *conn) shut() {
	c.done = true
	if c.watch != nil {
		c.watch.Stop()
	}
	c.changed.Signal()
	nc := c.nc
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn() // TLS would say goodbye first, and wait up to 5 s for that
	}
	c.b.after = append(c.b.after, func() { nc.Close() })
}
