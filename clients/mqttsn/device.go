package mqttsn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/dgram"
	"github.com/thinlink/thinlink/clients/reading"
)

var _ clients.Device = (*Device)(nil)

// Device implements clients.Device: a client, which connects again when it has
// lost its gateway.
type Device struct {
	opt      Options
	env      *clients.Env
	cred     dgram.Credentials
	commands chan int64

	ctx   context.Context // ends with the power
	off   context.CancelFunc
	tasks sync.WaitGroup
	turn  chan struct{} // held by who talks to the gateway

	mu     sync.Mutex
	conn   *session // nil without one
	report topicRef // how the report's topic is written
}

// topicRef is a topic as a message refers to it.
type topicRef struct {
	id uint16
	of idType
}

// session is one association with the gateway.
type session struct {
	*link
	socket io.Closer
	gone   chan struct{} // closed when it is of no use any more
	once   sync.Once
	asleep bool         // guarded by Device.turn
	used   atomic.Int64 // when something was sent that keeps it alive, ns
}

func (s *session) touch() { s.used.Store(time.Now().UnixNano()) }

func (s *session) idle() time.Duration { return time.Since(time.Unix(0, s.used.Load())) }

func (s *session) close(err error) {
	s.once.Do(func() {
		close(s.gone)
		s.socket.Close()
		go s.link.end(err)
	})
}

// boot makes ready what a power cycle begins with.
func (d *Device) boot() {
	d.ctx, d.off = context.WithCancel(context.Background())
	d.turn = make(chan struct{}, 1)
	d.conn = nil
}

func (d *Device) record(kind, detail string) {
	d.env.Record(clients.Event{Kind: kind, Detail: detail})
}

// Connect implements clients.Device: DTLS, CONNECT, the topics, and the first
// report.
func (d *Device) Connect(ctx context.Context, first clients.Reading, arrived <-chan struct{}) error {
	if err := d.start(ctx); err != nil {
		return fmt.Errorf("mqttsn: connect: %w", err)
	}
	return d.Report(ctx, first, arrived)
}

func (d *Device) start(ctx context.Context) error {
	if err := d.talk(ctx, func(*session) error { return nil }); err != nil {
		return err
	}
	d.tasks.Go(d.maintain)
	return nil
}

// talk does something over a session, which it makes if there is none, or wakes;
// what fails is done again over another one.
func (d *Device) talk(ctx context.Context, do func(*session) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(d.ctx, cancel)()
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for pause := time.Second; ; pause = min(2*pause, d.opt.ReconnectMax) {
		s, err := d.session(ctx)
		if err == nil {
			if err = do(s); err == nil {
				return d.rest(ctx, s)
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		d.record(clients.EventState, "disconnected: "+err.Error())
		d.drop(err)
		if err := clients.Sleep(ctx, pause); err != nil {
			return err
		}
	}
}

func (d *Device) drop(err error) {
	d.mu.Lock()
	s := d.conn
	d.conn = nil
	d.mu.Unlock()
	if s != nil {
		s.close(err)
	}
}

// session is the present one, awake, or a new one.
func (d *Device) session(ctx context.Context) (*session, error) {
	d.mu.Lock()
	s := d.conn
	d.mu.Unlock()
	if s == nil {
		return d.dial(ctx)
	}
	if s.asleep { // section 6.14: to send, a sleeping client connects
		if err := d.open(ctx, s, false); err != nil {
			return nil, err
		}
		s.asleep = false
	}
	return s, nil
}

func (d *Device) dial(ctx context.Context) (*session, error) {
	to := d.env.At(d.opt.port())
	var conn net.Conn
	var socket io.Closer
	if d.opt.Security == "certificate" {
		pc, err := d.env.Device.ListenPacket("udp", net.JoinHostPort(d.env.Device.Addr().String(), "0"))
		if err != nil {
			return nil, err
		}
		secure, err := dgram.Dial(ctx, pc, net.UDPAddrFromAddrPort(to), d.env.ServerName(), d.cred, d.opt.DTLS, false, d.env.KeyLog)
		if err != nil {
			pc.Close()
			return nil, err
		}
		conn, socket = secure, pc
	} else {
		udp, err := d.env.Device.DialContext(ctx, "udp", to.String())
		if err != nil {
			return nil, err
		}
		conn, socket = udp, udp
	}
	s := &session{socket: socket, gone: make(chan struct{})}
	s.touch()
	s.link = &link{conn: conn, timers: d.opt.Timers, lost: s.close}
	d.mu.Lock()
	d.conn = s
	d.mu.Unlock()
	context.AfterFunc(d.ctx, func() { s.close(errEnded) })
	d.tasks.Go(func() { d.receive(s, conn) })
	report, command := d.opt.names(d.env.DeviceName())
	known := newTopics(d.opt.predefined(d.env.DeviceName()))
	id, of, ok := known.field(report)
	d.report = topicRef{id, of}
	if d.opt.QoS == qosNone {
		return s, nil
	}
	if err := d.open(ctx, s, d.opt.Clean); err != nil {
		return nil, err
	}
	if !ok {
		a, err := s.request(ctx, message{kind: register, name: report})
		if err != nil {
			return nil, err
		}
		d.report.id = a.topic
	}
	m := message{kind: subscribe, qos: int8(d.opt.QoS), name: command}
	if id, of, ok := known.field(command); ok {
		m.topic, m.idType = id, of
	}
	if _, err := s.request(ctx, m); err != nil {
		return nil, err
	}
	d.record(clients.EventState, "connected")
	return s, nil
}

// open sends CONNECT, and the will if the gateway asks for one.
func (d *Device) open(ctx context.Context, s *session, clean bool) error {
	m := message{kind: connect, clean: clean, will: d.opt.Will, name: d.env.DeviceName(), duration: uint16(d.opt.KeepAlive / time.Second)}
	for range 3 { // CONNECT, WILLTOPIC, WILLMSG
		a, err := s.request(ctx, m)
		if err != nil {
			return err
		}
		switch a.kind {
		case connack:
			return nil
		case willTopicReq:
			m = message{kind: willTopic, qos: int8(d.opt.QoS), name: "thinlink/" + d.env.DeviceName() + "/status"}
		case willMsgReq:
			m = message{kind: willMsg, data: []byte("offline")}
		}
	}
	return errors.New("the gateway asks for the will again")
}

// request waits for the answer to a message; a refusal is an error.
func (s *session) request(ctx context.Context, m message) (*message, error) {
	type result struct {
		m   *message
		err error
	}
	done := make(chan result, 1)
	s.touch()
	s.ask(m, func(a *message, err error) { done <- result{a, err} })
	select {
	case r := <-done:
		if r.err == nil && r.m.code != accepted {
			r.err = fmt.Errorf("%s: return code %d", m.kind, r.m.code)
		}
		return r.m, r.err
	case <-s.gone:
		return nil, errEnded
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// receive takes what the gateway sends.
func (d *Device) receive(s *session, conn net.Conn) {
	buf := make([]byte, maxDatagram)
	known := newTopics(d.opt.predefined(d.env.DeviceName()))
	_, command := d.opt.names(d.env.DeviceName())
	for {
		n, err := conn.Read(buf)
		if err != nil {
			s.close(err)
			return
		}
		m, err := decode(append([]byte(nil), buf[:n]...))
		if err != nil {
			d.record(clients.EventWarning, "device: "+err.Error())
			continue
		}
		if m.kind == suback && m.topic != 0 && m.idType == topicNormal {
			known.set(m.topic, command) // the only subscription
		}
		if s.received(&m) {
			continue
		}
		switch m.kind {
		case register:
			known.set(m.topic, m.name)
			s.send(message{kind: regack, topic: m.topic, id: m.id})
		case publish:
			answer := message{kind: puback, topic: m.topic, id: m.id}
			if known.name(m.topic, m.idType) == command {
				d.commanded(m.data)
			} else {
				answer.code = invalidTopic
			}
			if m.qos > 0 || answer.code != accepted {
				s.send(answer)
			}
		case pingreq:
			s.send(message{kind: pingresp})
		case disconnect: // the gateway does not know us
			s.close(errors.New("the gateway sent DISCONNECT"))
			return
		}
	}
}

func (d *Device) commanded(payload []byte) {
	value, err := reading.Format(d.opt.Encoding).ParseCommand(payload)
	if err != nil {
		d.record(clients.EventWarning, "device: command: "+err.Error())
		return
	}
	d.record(clients.EventCommand, fmt.Sprint(value))
	select {
	case d.commands <- value:
	default: // nobody has asked for the last sixteen
	}
}

// rest lets the device sleep again, if it does.
func (d *Device) rest(ctx context.Context, s *session) error {
	if d.opt.Sleep == 0 {
		return nil
	}
	m := message{kind: disconnect, hasDuration: true, duration: uint16(d.opt.Sleep / time.Second)}
	if _, err := s.request(ctx, m); err != nil {
		d.drop(err)
		return ctx.Err()
	}
	s.asleep = true
	return nil
}

// maintain pings when nothing was sent for the keep-alive interval, or asks for
// what has waited while the device slept.
func (d *Device) maintain() {
	every := d.opt.KeepAlive
	if d.opt.Sleep > 0 {
		every = d.opt.Sleep
	}
	if every == 0 || d.opt.QoS == qosNone {
		return
	}
	for wait := every; ; {
		if clients.Sleep(d.ctx, wait) != nil {
			return
		}
		d.mu.Lock()
		s := d.conn
		d.mu.Unlock()
		if s != nil {
			if wait = every - s.idle(); wait > 0 {
				continue
			}
		}
		d.ping()
		wait = every
	}
}

// ping keeps the session alive, or wakes it for its messages.
func (d *Device) ping() {
	select {
	case d.turn <- struct{}{}:
	case <-d.ctx.Done():
		return
	}
	d.mu.Lock()
	s := d.conn
	d.mu.Unlock()
	var err error
	if s != nil {
		m := message{kind: pingreq}
		if s.asleep {
			m.name = d.env.DeviceName()
		}
		_, err = s.request(d.ctx, m)
	}
	if err != nil {
		d.drop(err)
	}
	<-d.turn
	if (err != nil || s == nil) && d.ctx.Err() == nil {
		_ = d.talk(d.ctx, func(*session) error { return nil }) // ends with the power only
	}
}

// Report implements clients.Device. At QoS 0 and -1 nobody tells whether it has
// arrived but the application, if that can.
func (d *Device) Report(ctx context.Context, r clients.Reading, arrived <-chan struct{}) error {
	format := reading.Format(d.opt.Encoding)
	err := format.Encodable(r)
	if err == nil {
		err = d.publish(ctx, format.Reading(r), arrived)
	}
	if err != nil {
		return fmt.Errorf("mqttsn: report: %w", err)
	}
	return nil
}

func (d *Device) publish(ctx context.Context, payload []byte, arrived <-chan struct{}) error {
	for {
		err := d.talk(ctx, func(s *session) error {
			m := message{kind: publish, qos: int8(d.opt.QoS), topic: d.report.id, idType: d.report.of, data: payload}
			if d.opt.QoS < 1 {
				s.touch()
				s.send(m)
				return nil
			}
			_, err := s.request(ctx, m)
			return err
		})
		if err != nil || arrived == nil {
			return err
		}
		lost := time.NewTimer(d.opt.ReportWait)
		select {
		case <-arrived:
			lost.Stop()
			return nil
		case <-lost.C: // again
		case <-ctx.Done():
			lost.Stop()
			return ctx.Err()
		}
	}
}

// Command implements clients.Device. A command at QoS 0 that does not come is
// sent again.
func (d *Device) Command(ctx context.Context, value int64, send func(context.Context) error) error {
	for {
		if send != nil {
			if err := send(ctx); err != nil {
				return fmt.Errorf("mqttsn: command: %w", err)
			}
		}
		if ok, err := d.awaitCommand(ctx, value, send == nil); ok || err != nil {
			return err
		}
	}
}

// awaitCommand waits for a command; ok is false when it counts as lost.
func (d *Device) awaitCommand(ctx context.Context, value int64, anything bool) (ok bool, err error) {
	var lost <-chan time.Time
	if d.opt.QoS == 0 && !anything {
		t := time.NewTimer(max(d.opt.ReportWait, d.opt.Sleep+d.opt.ReportWait))
		defer t.Stop()
		lost = t.C
	}
	for {
		select {
		case v := <-d.commands:
			if anything || v == value {
				return true, nil
			}
		case <-lost:
			return false, nil
		case <-ctx.Done():
			return false, fmt.Errorf("mqttsn: command: %w", ctx.Err())
		}
	}
}

// Expect implements clients.Device: there are no updates.
func (d *Device) Expect(clients.Image) error {
	return fmt.Errorf("mqttsn: update: %w", errors.ErrUnsupported)
}

// PowerOff implements clients.Rebooter.
func (d *Device) PowerOff() {
	d.off()
	d.tasks.Wait()
}

// PowerOn implements clients.Rebooter.
func (d *Device) PowerOn(ctx context.Context) error {
	d.boot()
	if err := d.start(ctx); err != nil {
		return fmt.Errorf("mqttsn: power on: %w", err)
	}
	return nil
}

// Close implements clients.Device.
func (d *Device) Close() error {
	d.PowerOff()
	return nil
}
