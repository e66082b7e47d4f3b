package mqttsn

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/thinlink/thinlink/clients/mqtt/broker"
)

// GatewayOptions configure a gateway.
type GatewayOptions struct {
	Timers Timers
	// Predefined are the topics that both ends know by their number.
	Predefined map[uint16]string
	// MaxBuffered is how many messages wait for one client. 0: 100.
	MaxBuffered int
	// MaxClients is how many clients are known, connected or not. 0: 10000.
	MaxClients int
	// Warn, if not nil, is told in one line of a peer that violates the
	// protocol or reaches a limit.
	Warn func(string)
}

// Gateway joins clients to a broker.
type Gateway struct {
	opt GatewayOptions
	b   *broker.Broker

	mu      sync.Mutex
	clients map[string]*client
}

// NewGateway makes a gateway that serves nobody yet.
func NewGateway(b *broker.Broker, opt GatewayOptions) *Gateway {
	if opt.MaxBuffered <= 0 {
		opt.MaxBuffered = 100
	}
	if opt.MaxClients <= 0 {
		opt.MaxClients = 10_000
	}
	if opt.Warn == nil {
		opt.Warn = func(string) {}
	}
	return &Gateway{opt: opt, b: b, clients: map[string]*client{}}
}

// maxDatagram is the longest message that is read.
const maxDatagram = 64 << 10

// Serve serves one peer until its connection closes. A message that cannot be
// read is ignored, with a word for the first one.
func (g *Gateway) Serve(conn net.Conn) error {
	p := &peer{g: g, conn: conn}
	defer p.left()
	buf := make([]byte, maxDatagram)
	warned := false
	for {
		n, err := conn.Read(buf)
		if errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		} else if err != nil {
			return err
		}
		m, err := decode(slices.Clone(buf[:n]))
		if err == nil {
			err = p.handle(&m)
		}
		if err != nil && !warned {
			warned = true
			g.opt.Warn(fmt.Sprintf("MQTT-SN: %v: %v", conn.RemoteAddr(), err))
		}
	}
}

// peer is one address or DTLS association, perhaps with a client.
type peer struct {
	g      *Gateway
	conn   net.Conn
	client *client
	opened *message // the CONNECT that waits for its will
	will   broker.Message
}

// left is the end of the connection: a client that sleeps comes back on another.
func (p *peer) left() {
	if c := p.client; c != nil {
		c.mu.Lock()
		gone := c.conn == p.conn && c.state == active
		c.mu.Unlock()
		if gone {
			c.lose(errEnded)
		}
	}
}

// handle acts on one message.
func (p *peer) handle(m *message) error {
	switch m.kind {
	case searchGW:
		p.send(message{kind: gwInfo, gateway: 1})
		return nil
	case connect:
		return p.connect(m)
	case willTopic, willMsg:
		return p.takeWill(m)
	case publish:
		if p.client == nil || m.qos == qosNone {
			return p.publishAlone(m)
		}
	case pingreq:
		if m.name != "" {
			return p.wake(m.name)
		}
	case disconnect:
		if p.client == nil {
			p.send(message{kind: disconnect})
			return nil
		}
	}
	if p.client == nil {
		p.send(message{kind: disconnect}) // section 6.14: not connected here
		return fmt.Errorf("%s without CONNECT", m.kind)
	}
	return p.client.handle(m)
}

func (p *peer) send(m message) { _, _ = p.conn.Write(m.encode()) }

// publishAlone takes a message at QoS -1, which nobody answers (section 6.8).
func (p *peer) publishAlone(m *message) error {
	if m.qos != qosNone || m.idType == topicNormal {
		return fmt.Errorf("PUBLISH at QoS %d without CONNECT", m.qos)
	}
	name := newTopics(p.g.opt.Predefined).name(m.topic, m.idType)
	return p.g.b.Publish(broker.Message{Topic: name, Payload: m.data, Retain: m.retain})
}

// connect begins a session (section 6.2), after asking for its will if it has
// one (section 6.3).
func (p *peer) connect(m *message) error {
	p.opened, p.will = m, broker.Message{}
	if m.will {
		p.send(message{kind: willTopicReq})
		return nil
	}
	return p.open()
}

func (p *peer) takeWill(m *message) error {
	switch {
	case p.opened == nil || !p.opened.will:
		return fmt.Errorf("%s without CONNECT", m.kind)
	case m.kind == willTopic && m.name != "":
		p.will.Topic, p.will.QoS, p.will.Retain = m.name, byte(max(0, min(m.qos, 1))), m.retain
		p.send(message{kind: willMsgReq})
		return nil
	case m.kind == willMsg:
		p.will.Payload = m.data
	}
	return p.open()
}

// open answers CONNECT.
func (p *peer) open() error {
	m := p.opened
	p.opened = nil
	c, ok := p.g.client(m.name, m.clean)
	if !ok {
		p.send(message{kind: connack, code: congestion})
		return fmt.Errorf("client %s: %d clients are the most", m.name, p.g.opt.MaxClients)
	}
	p.client = c
	c.begin(p.conn, m, p.will)
	return nil
}

// wake lets a sleeping client, perhaps under a new address, have what waits for
// it.
func (p *peer) wake(name string) error {
	p.g.mu.Lock()
	c := p.g.clients[name]
	p.g.mu.Unlock()
	if c == nil {
		p.send(message{kind: disconnect})
		return fmt.Errorf("PINGREQ of client %q, which is not known", name)
	}
	p.client = c
	c.wake(p.conn)
	return nil
}

// client finds a client's session, or makes one; a clean one is new.
func (g *Gateway) client(name string, clean bool) (c *client, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c = g.clients[name]
	if c != nil && clean {
		c.forget()
		c = nil
	}
	if c == nil {
		if len(g.clients) >= g.opt.MaxClients && g.clients[name] == nil {
			return nil, false
		}
		c = &client{g: g, name: name, topics: newTopics(g.opt.Predefined), subs: map[string]*subscription{}}
		g.clients[name] = c
	}
	return c, true
}

// state is a client's (section 6.14).
type state byte

const (
	disconnected state = iota
	active
	asleep
	awake // asleep, and being sent what has waited
	lost
)

// client is a client's session.
type client struct {
	g    *Gateway
	name string

	mu       sync.Mutex
	state    state
	conn     net.Conn
	link     *link
	clean    bool
	topics   *topics
	subs     map[string]*subscription
	will     broker.Message // Topic "": none
	silence  time.Duration  // 1.5 times the keep-alive or sleep; 0 is for ever
	heard    time.Time
	watch    *time.Timer
	buffered []broker.Message
	full     bool // the last message was dropped
	sending  bool // one of buffered is under way
}

type subscription struct {
	qos    byte
	cancel func()
}

// begin connects the client on a connection.
func (c *client) begin(conn net.Conn, m *message, will broker.Message) {
	c.mu.Lock()
	c.attach(conn)
	c.state, c.clean, c.will = active, m.clean, will
	c.listen(m.duration)
	l := c.link
	c.mu.Unlock()
	l.send(message{kind: connack})
	c.pump()
}

// attach makes a connection the client's; mu is held.
func (c *client) attach(conn net.Conn) {
	if c.link != nil {
		old := c.link
		defer func() { go old.end(errEnded) }()
	}
	c.conn, c.sending = conn, false
	l := &link{conn: conn, timers: c.g.opt.Timers, lost: c.lose}
	c.link = l
}

// listen takes silence of 1.5 times so many seconds for a lost client (section
// 6.9); mu is held.
func (c *client) listen(seconds uint16) {
	if c.watch != nil {
		c.watch.Stop()
		c.watch = nil
	}
	c.heard, c.silence = time.Now(), time.Duration(seconds)*3*time.Second/2
	if c.silence > 0 {
		c.watch = time.AfterFunc(c.silence, c.checkSilence)
	}
}

func (c *client) checkSilence() {
	c.mu.Lock()
	if c.watch == nil {
		c.mu.Unlock()
		return
	}
	if left := c.silence - time.Since(c.heard); left > 0 {
		c.watch.Reset(left)
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	c.lose(fmt.Errorf("silent for %v", c.silence))
}

// lose is the end of a client that did not say goodbye: its will is published.
func (c *client) lose(error) {
	c.mu.Lock()
	if c.state == lost || c.state == disconnected {
		c.mu.Unlock()
		return
	}
	c.state = lost
	will := c.will
	c.will = broker.Message{}
	c.halt()
	c.mu.Unlock()
	if will.Topic != "" {
		_ = c.g.b.Publish(will) // a topic that is not one was the client's mistake
	}
	if c.clean {
		c.end()
	}
}

// halt stops timers and exchanges; mu is held.
func (c *client) halt() {
	if c.watch != nil {
		c.watch.Stop()
		c.watch = nil
	}
	if c.link != nil {
		l := c.link
		go l.end(errEnded)
	}
}

// end makes room for another client: nothing is kept of this one's session.
func (c *client) end() {
	c.forget()
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	if c.g.clients[c.name] == c {
		delete(c.g.clients, c.name)
	}
}

// forget cancels the subscriptions.
func (c *client) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for filter, s := range c.subs {
		s.cancel()
		delete(c.subs, filter)
	}
	c.buffered = nil
	c.halt()
}

// handle acts on a message of a connected client.
func (c *client) handle(m *message) error {
	c.mu.Lock()
	c.heard = time.Now()
	l, st := c.link, c.state
	c.mu.Unlock()
	if st != active && st != awake && m.kind != disconnect {
		l.send(message{kind: disconnect})
		return fmt.Errorf("client %s: %s while it is not connected", c.name, m.kind)
	}
	if l.received(m) {
		return nil
	}
	switch m.kind {
	case register:
		c.register(m)
	case publish:
		return c.publish(m)
	case subscribe:
		return c.subscribe(m)
	case unsubscribe:
		c.unsubscribe(m)
	case pingreq:
		l.send(message{kind: pingresp})
	case disconnect:
		c.disconnect(m)
	case regack, puback, pingresp: // late
	default:
		return fmt.Errorf("client %s: unexpected %s", c.name, m.kind)
	}
	return nil
}

func (c *client) register(m *message) {
	c.mu.Lock()
	id := c.topics.add(m.name)
	l := c.link
	c.mu.Unlock()
	answer := message{kind: regack, topic: id, id: m.id}
	if id == 0 {
		answer.code = congestion
	}
	l.send(answer)
}

// publish takes a client's message (section 6.6). One at QoS 1 is acknowledged
// when it has been routed; a repetition is routed again, as QoS 1 allows.
func (c *client) publish(m *message) error {
	c.mu.Lock()
	name, l := c.topics.name(m.topic, m.idType), c.link
	c.mu.Unlock()
	answer := message{kind: puback, topic: m.topic, id: m.id}
	var err error
	switch {
	case m.qos == 2:
		answer.code = notSupported
	case name == "":
		answer.code = invalidTopic
	default:
		err = c.g.b.Publish(broker.Message{Topic: name, Payload: m.data, QoS: byte(m.qos), Retain: m.retain})
	}
	if err != nil {
		answer.code = invalidTopic
	}
	if m.qos > 0 || answer.code != accepted { // a refusal is told at every QoS
		l.send(answer)
	}
	return err
}

// subscribe subscribes (section 6.9); a topic without wildcards gets a number
// at once.
func (c *client) subscribe(m *message) error {
	filter := m.name
	c.mu.Lock()
	if m.idType != topicNormal {
		filter = c.topics.name(m.topic, m.idType)
	}
	l := c.link
	old, tooMany := c.subs[filter], len(c.subs) >= maxTopics
	c.mu.Unlock()
	answer := message{kind: suback, id: m.id, qos: max(0, min(m.qos, 1))}
	if filter == "" || old == nil && tooMany {
		answer.code = invalidTopic
		l.send(answer)
		return nil
	}
	if old != nil {
		old.cancel()
	}
	sub := &subscription{qos: byte(answer.qos), cancel: func() {}}
	c.mu.Lock()
	c.subs[filter] = sub
	if m.idType != topicNormal {
		answer.topic = m.topic
	} else if len(filter) != 2 && !hasWildcard(filter) {
		answer.topic = c.topics.add(filter)
	}
	c.mu.Unlock()
	cancel, err := c.g.b.Subscribe(filter, func(msg broker.Message) { c.deliver(msg, sub) })
	c.mu.Lock()
	if err == nil {
		sub.cancel = cancel
	} else {
		delete(c.subs, filter)
		answer.code = invalidTopic
	}
	c.mu.Unlock()
	l.send(answer)
	c.pump()
	return err
}

func hasWildcard(filter string) bool {
	return slices.ContainsFunc([]byte(filter), func(b byte) bool { return b == '+' || b == '#' })
}

func (c *client) unsubscribe(m *message) {
	c.mu.Lock()
	filter := m.name
	if m.idType != topicNormal {
		filter = c.topics.name(m.topic, m.idType)
	}
	if s := c.subs[filter]; s != nil {
		s.cancel()
		delete(c.subs, filter)
	}
	l := c.link
	c.mu.Unlock()
	l.send(message{kind: unsuback, id: m.id})
}

// disconnect ends the connection, or lets the client sleep.
func (c *client) disconnect(m *message) {
	c.mu.Lock()
	l := c.link
	if m.hasDuration && m.duration > 0 {
		c.state = asleep
		c.listen(m.duration)
		c.mu.Unlock()
		l.send(message{kind: disconnect})
		return
	}
	c.state, c.will = disconnected, broker.Message{}
	clean := c.clean
	c.halt()
	c.mu.Unlock()
	l.send(message{kind: disconnect})
	if clean {
		c.end()
	}
}

// wake sends a sleeping client what has waited, and PINGRESP behind it.
func (c *client) wake(conn net.Conn) {
	c.mu.Lock()
	c.heard = time.Now()
	switch c.state {
	case asleep:
		c.state = awake
		if c.conn != conn {
			c.attach(conn)
		}
	case active, awake: // a repetition, or a ping
		if c.state == active {
			l := c.link
			c.mu.Unlock()
			l.send(message{kind: pingresp})
			return
		}
	default:
		c.mu.Unlock()
		m := message{kind: disconnect}
		_, _ = conn.Write(m.encode())
		return
	}
	c.mu.Unlock()
	c.pump()
}

// deliver takes a message for the client: the newest is dropped when too many
// wait.
func (c *client) deliver(m broker.Message, s *subscription) {
	m.QoS = min(m.QoS, s.qos)
	c.mu.Lock()
	gone := c.state == lost || c.state == disconnected
	if gone && (c.clean || m.QoS == 0) {
		c.mu.Unlock()
		return
	}
	if len(c.buffered) >= c.g.opt.MaxBuffered {
		first := !c.full
		c.full = true
		c.mu.Unlock()
		if first {
			c.g.opt.Warn(fmt.Sprintf("MQTT-SN: client %s: %d messages wait: further ones are dropped", c.name, c.g.opt.MaxBuffered))
		}
		return
	}
	c.buffered = append(c.buffered, m)
	c.mu.Unlock()
	c.pump()
}

// pump sends the next message that waits, registering its topic first if the
// client does not know it (section 6.10).
func (c *client) pump() {
	c.mu.Lock()
	if c.sending || c.state != active && c.state != awake {
		c.mu.Unlock()
		return
	}
	l := c.link
	if len(c.buffered) == 0 {
		if c.state == awake {
			c.state = asleep
			l.send(message{kind: pingresp})
		}
		c.mu.Unlock()
		return
	}
	m := c.buffered[0]
	id, of, known := c.topics.field(m.Topic)
	c.sending = true
	if !known {
		id = c.topics.add(m.Topic)
	}
	c.mu.Unlock()
	send := func() {
		p := message{kind: publish, qos: int8(m.QoS), retain: m.Retain, topic: id, idType: of, data: m.Payload}
		if m.QoS == 0 {
			l.send(p)
			c.sent(l, nil)
			return
		}
		l.ask(p, func(_ *message, err error) { c.sent(l, err) })
	}
	if known {
		send()
		return
	}
	l.ask(message{kind: register, topic: id, name: m.Topic}, func(a *message, err error) {
		if err != nil || a.code != accepted {
			c.sent(l, err)
			return
		}
		send()
	})
}

// sent takes the message that was under way from the buffer; what failed with
// its connection stays.
func (c *client) sent(on *link, err error) {
	c.mu.Lock()
	if c.link != on {
		c.mu.Unlock()
		return
	}
	c.sending = false
	if err == nil && len(c.buffered) > 0 {
		c.buffered = c.buffered[1:]
		c.full = false
	}
	c.mu.Unlock()
	if err == nil {
		c.pump()
	}
}
