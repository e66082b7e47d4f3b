package broker

import (
	"bufio"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"sync"
	"time"
)

// conn is one network connection: a goroutine that reads and acts, and one
// that writes. Fields after b are guarded by b.mu.
type conn struct {
	b  *Broker
	nc net.Conn

	level     byte     // of the protocol; 0 before CONNECT
	session   *session // nil before CONNECT
	will      *Message // published if the client goes without DISCONNECT
	willDelay time.Duration
	pending   [][]byte   // encoded packets
	changed   *sync.Cond // pending grew, or done
	done      bool
	silence   time.Duration // 1.5 times the keep-alive; 0 is for ever
	lastSeen  time.Time
	watch     *time.Timer

	window     int // unacknowledged deliveries, at most
	maxPacket  int // bytes of a packet that the client accepts
	aliasMax   int // topic aliases that it accepts
	aliasesIn  map[uint16]string
	aliasesOut map[string]uint16
}

// Bounds of pending. Deliveries wait in the session's queue rather than here;
// answers to a client that asks without reading end its connection.
const (
	pendingDeliveries = 16
	pendingAnswers    = 4096
)

// lingering is how long a last DISCONNECT may take to be written.
const lingering = 5 * time.Second

func newConn(b *Broker, nc net.Conn) *conn {
	return &conn{b: b, nc: nc, changed: sync.NewCond(&b.mu), aliasesIn: map[uint16]string{}, aliasesOut: map[string]uint16{}}
}

// serve runs the connection to its end.
func (c *conn) serve() {
	r := bufio.NewReaderSize(c.nc, 4096)
	err := c.open(r)
	if err == nil {
		c.b.running.Add(1)
		go func() {
			defer c.b.running.Done()
			c.write()
		}()
		for err == nil {
			var p *packet
			if p, err = readPacket(r, c.level, c.b.opt.MaxPacket); err == nil {
				err = c.handle(p)
			}
		}
	}
	c.b.mu.Lock()
	defer c.b.unlock()
	c.end(err)
}

// end ends the connection for a reason: a violation is told to a client of
// MQTT 5 [MQTT-4.13.1-1] and to the log.
func (c *conn) end(err error) {
	var v *violation
	if c.done || !errors.As(err, &v) || v.reason == Success {
		c.drop()
		return
	}
	c.b.log("%s: %s", c.name(), err)
	c.dismiss(v.reason)
}

// name is the client's for the log.
func (c *conn) name() string {
	if c.session != nil {
		return "client " + c.session.id
	}
	if a := c.nc.RemoteAddr(); a != nil {
		return a.String()
	}
	return "connection"
}

// dismiss ends the connection with DISCONNECT, where the protocol has one of
// the server's.
func (c *conn) dismiss(reason Reason) {
	if c.level != level5 || c.session == nil || c.done {
		c.drop()
		return
	}
	last := append(c.pending, (&packet{kind: kindDisconnect, reason: reason}).encode(level5))
	nc := c.nc
	c.nc = nil // the connection outlives drop for the last word
	c.drop()
	c.b.running.Add(1)
	go func() {
		defer c.b.running.Done()
		late := time.AfterFunc(lingering, func() { closeNow(nc) })
		defer late.Stop()
		_ = writeAll(nc, last) // nobody is left to tell of an error
		closeNow(nc)
	}()
}

// open waits for CONNECT, which must be the first packet [MQTT-3.1.0-1], and
// answers it.
func (c *conn) open(r *bufio.Reader) error {
	if err := c.nc.SetReadDeadline(time.Now().Add(c.b.opt.ConnectTimeout)); err != nil {
		return err
	}
	p, err := readPacket(r, level4, c.b.opt.MaxPacket)
	if err == nil && p.kind != kindConnect {
		return violates(ProtocolError, "%s before CONNECT", p.kind)
	}
	var v *violation
	if err != nil && !errors.As(err, &v) {
		return err
	}
	c.b.mu.Lock()
	defer c.b.unlock()
	if c.done {
		return errBye
	}
	if err == nil {
		err = c.welcome(p)
	}
	if err != nil && p != nil && p.connect != nil && errors.As(err, &v) {
		c.refuse(p.connect.level, v.reason)
		return err
	}
	if err != nil {
		return err
	}
	return c.nc.SetReadDeadline(time.Time{})
}

// refuse answers a CONNECT that is not accepted. The answer is the last packet
// [MQTT-3.2.2-5]; of MQTT 3.1.1, a malformed CONNECT has none.
func (c *conn) refuse(level byte, reason Reason) {
	answer := &packet{kind: kindConnack, reason: reason}
	switch {
	case level == 0:
		return
	case level != level5: // also one that is not known (section 3.1.2.2)
		if answer.reason = Reason(reason.returnCode()); answer.reason == 0 {
			return
		}
	}
	last := answer.encode(level)
	nc := c.nc
	late := time.AfterFunc(lingering, func() { closeNow(nc) })
	c.b.mu.Unlock()
	nc.Write(last) // nobody is left to tell of an error
	late.Stop()
	c.b.mu.Lock()
}

// welcome judges a CONNECT and joins the connection to its session.
func (c *conn) welcome(p *packet) error {
	f := p.connect
	if err := c.judge(p); err != nil {
		return err
	}
	c.level = f.level
	answer := &packet{kind: kindConnack}
	if err := c.attach(p, answer); err != nil {
		return err
	}
	c.limits(p, answer)
	c.send(answer)
	c.session.resume()
	c.session.pump()
	return nil
}

// judge gives the reason to refuse a CONNECT that is well-formed.
func (c *conn) judge(p *packet) error {
	f := p.connect
	if method, ok := p.props.Text(AuthMethod); ok { // [MQTT-4.12.0-1]
		return violates(BadAuthMethod, "authentication method %q", method)
	}
	if f.level == level4 && f.client == "" && !f.clean { // [MQTT-3.1.3-8]
		return violates(ClientIDNotValid, "no client identifier for a session that is to be kept")
	}
	if c.b.opt.Authenticate == nil {
		return nil
	}
	cred := Credentials{Client: f.client, HasUser: f.hasUser, User: f.user, Password: f.password, Level: f.level}
	if t, ok := c.nc.(*tls.Conn); ok {
		state := t.ConnectionState()
		cred.TLS = &state
	}
	if reason := c.b.opt.Authenticate(cred); reason != Success {
		return violates(reason, "client %s is not let in", f.client)
	}
	return nil
}

// attach joins the connection to its session and says in the answer whether
// there was one [MQTT-3.2.2-2], [MQTT-3.2.2-3].
func (c *conn) attach(p, answer *packet) error {
	b, f := c.b, p.connect
	if f.client == "" {
		b.assigned++
		f.client = "assigned-" + number(b.assigned) // [MQTT-3.1.3-6]
		answer.props = append(answer.props, Property{ID: AssignedClient, Text: f.client})
	}
	s := b.session(f.client)
	if s != nil && s.conn != nil {
		s.conn.dismiss(SessionTakenOver) // [MQTT-3.1.4-2], [MQTT-3.1.4-3]
		s = b.session(f.client)
	}
	if s != nil && f.clean {
		b.forget(s) // [MQTT-3.1.2-6], [MQTT-3.1.2-4]
		s = nil
	}
	if answer.present = s != nil; !answer.present {
		if len(b.sessions) >= b.opt.MaxSessions {
			return violates(ServerUnavailable, "%d sessions are the most", b.opt.MaxSessions)
		}
		s = newSession(f.client)
		b.sessions = append(b.sessions, s)
	}
	s.wake()
	c.session, s.conn = s, c
	s.expiry = forever
	if c.level == level5 {
		s.expiry = sessionExpiry(p.props.numOr(SessionExpiry, 0))
	} else if f.clean {
		s.expiry = 0
	}
	if s.expiry > b.opt.MaxSessionExpiry {
		s.expiry = b.opt.MaxSessionExpiry
		answer.props = append(answer.props, Property{ID: SessionExpiry, Num: uint32(s.expiry / time.Second)})
	}
	if c.will = f.will; c.will != nil {
		c.will.From, c.willDelay = f.client, time.Duration(f.willDelay)*time.Second
	}
	return nil
}

// limits takes the client's limits and tells ours.
func (c *conn) limits(p, answer *packet) {
	o := &c.b.opt
	c.window, c.maxPacket = o.MaxInflight, maxPacketSize
	keepAlive := time.Duration(p.connect.keepAlive) * time.Second
	if c.level == level5 {
		c.window = min(c.window, int(p.props.numOr(ReceiveMaximum, 0xffff))) // [MQTT-3.3.4-9]
		c.maxPacket = int(p.props.numOr(MaximumPacketSize, maxPacketSize))
		c.aliasMax = int(p.props.numOr(TopicAliasMaximum, 0))
		answer.props = append(answer.props,
			Property{ID: MaximumPacketSize, Num: uint32(o.MaxPacket)},
			Property{ID: TopicAliasMaximum, Num: uint32(o.MaxTopicAlias)})
		if o.MaxReceived < 0xffff {
			answer.props = append(answer.props, Property{ID: ReceiveMaximum, Num: uint32(o.MaxReceived)})
		}
		if o.MaxKeepAlive > 0 && (keepAlive == 0 || keepAlive > o.MaxKeepAlive) { // [MQTT-3.1.2-21]
			keepAlive = o.MaxKeepAlive
			answer.props = append(answer.props, Property{ID: ServerKeepAlive, Num: uint32(keepAlive / time.Second)})
		}
	}
	c.lastSeen = time.Now()
	if keepAlive > 0 {
		c.silence = keepAlive * 3 / 2 // [MQTT-3.1.2-24], in MQTT 5 [MQTT-3.1.2-22]
		c.watch = time.AfterFunc(c.silence, c.checkSilence)
	}
}

// maxPacketSize is the largest packet of the protocol (section 2.1.4).
const maxPacketSize = 268_435_455 + 5

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
	c.dismiss(KeepAliveTimeout)
}

// handle acts on one packet. An error ends the connection.
func (c *conn) handle(p *packet) error {
	c.b.mu.Lock()
	defer c.b.unlock()
	if c.done {
		return errBye
	}
	c.lastSeen = time.Now()
	if err := c.act(p); err != nil {
		return err
	}
	c.session.pump()
	if len(c.pending) > pendingAnswers {
		return violates(QuotaExceeded, "more than %d answers wait to be read", pendingAnswers)
	}
	return nil
}

// send puts a packet on the list of the writing goroutine.
func (c *conn) send(p *packet) { c.sendEncoded(p.encode(c.level)) }

func (c *conn) sendEncoded(b []byte) {
	c.pending = append(c.pending, b)
	c.changed.Signal()
}

// deliver sends a message, under an alias of its topic if the client takes
// more of them. It reports false for one that is larger than the client
// accepts, which counts as delivered [MQTT-3.1.2-24], [MQTT-3.1.2-25].
func (c *conn) deliver(d *delivery, dup bool) bool {
	p := d.packet(dup, time.Now())
	alias, known := c.aliasesOut[p.topic]
	if !known && len(c.aliasesOut) < c.aliasMax {
		alias = uint16(len(c.aliasesOut) + 1)
	}
	topic := p.topic
	if alias > 0 {
		p.props = append(p.props, Property{ID: TopicAlias, Num: uint32(alias)})
		if known {
			p.topic = ""
		}
	}
	b := p.encode(c.level)
	if len(b) > c.maxPacket {
		c.b.dropped++
		return false
	}
	if alias > 0 {
		c.aliasesOut[topic] = alias
	}
	c.sendEncoded(b)
	return true
}

// takes reports whether a delivery may join what is waiting to be written.
func (c *conn) takes() bool { return len(c.pending) < pendingDeliveries }

// write sends what is pending, one Write for each packet.
func (c *conn) write() {
	c.b.mu.Lock()
	defer c.b.unlock()
	nc := c.nc
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
		err := writeAll(nc, batch)
		c.b.mu.Lock()
		if err != nil {
			c.drop()
			return
		}
		if !c.done {
			c.session.pump()
		}
	}
}

func writeAll(nc net.Conn, batch [][]byte) error {
	for _, b := range batch {
		if _, err := nc.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// drop ends the connection, with the client's will [MQTT-3.1.2-8], and its
// session if that does not outlive it.
func (c *conn) drop() {
	if c.done {
		return
	}
	c.shut()
	b := c.b
	b.conns = slices.DeleteFunc(b.conns, func(x *conn) bool { return x == c })
	s := c.session
	if s == nil {
		return
	}
	s.conn = nil
	s.keepAway()
	if !b.closed {
		b.putOff(s, c.will, c.willDelay)
	}
}

// shut stops the connection's goroutines.
func (c *conn) shut() {
	c.done = true
	if c.watch != nil {
		c.watch.Stop()
	}
	c.changed.Signal()
	if nc := c.nc; nc != nil {
		c.b.after = append(c.b.after, func() { closeNow(nc) })
	}
}

// closeNow closes a connection without a goodbye of TLS, which waits up to 5 s
// to be written.
func closeNow(nc net.Conn) {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	nc.Close()
}
