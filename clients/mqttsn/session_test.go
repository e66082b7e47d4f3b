package mqttsn

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/flash"
	"github.com/thinlink/thinlink/clients/mqtt/broker"
	"github.com/thinlink/thinlink/clients/pki"
	"github.com/thinlink/thinlink/internal/units"
	"github.com/thinlink/thinlink/netem"
	"github.com/thinlink/thinlink/netem/vnet"
)

var material = sync.OnceValue(func() *pki.Material {
	m, err := pki.New(DefaultOptions().PKI)
	if err != nil {
		panic(err)
	}
	return m
})

var sample = clients.Reading{Text: "sixty characters of text, as in the reference experiment....", Integer: 1234567, Float: 20.5, Boolean: true}

// world is a session over a link.
type world struct {
	*clients.Session
	t      *testing.T
	env    *clients.Env
	mu     sync.Mutex
	events []string
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) count(text string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if strings.Contains(e, text) {
			n++
		}
	}
	return n
}

func run(t *testing.T, loss float64, edit func(*Options), test func(*world)) {
	t.Helper()
	opt := DefaultOptions()
	if edit != nil {
		edit(&opt)
	}
	material()
	synctest.Test(t, func(t *testing.T) {
		d := netem.DirectionConfig{Rate: 20_000, Delay: 200 * time.Millisecond, Queue: netem.QueueConfig{Bytes: 16384}, Loss: netem.LossConfig{Rate: units.Fraction(loss)}}
		n, err := vnet.New(vnet.Config{
			Device:   vnet.HostConfig{Addr: netip.MustParseAddr("10.0.0.2")},
			Platform: vnet.HostConfig{Addr: netip.MustParseAddr("10.0.0.1")},
			Link:     netem.Config{MTU: 1358, Up: d, Down: d}, Seed: 3,
		})
		if err != nil {
			t.Fatal(err)
		}
		w := &world{t: t}
		w.env = &clients.Env{
			Device: n.Device(), Platform: n.Platform(), PKI: material(), Seed: 1, Flash: new(flash.Memory), KeyLog: io.Discard, Now: time.Now,
			Record: func(e clients.Event) {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.events = append(w.events, e.Kind+" "+e.Detail)
			},
		}
		stack, err := New(opt)
		w.must(err)
		w.Session, err = clients.Start(t.Context(), stack, w.env)
		w.must(err)
		test(w)
		w.must(w.Close())
		n.Close()
		time.Sleep(time.Hour)
	})
}

var variants = map[string]func(*Options){
	"default":    nil,
	"nosec":      func(o *Options) { o.Security = "nosec" },
	"qos 0":      func(o *Options) { o.QoS, o.Encoding = 0, "cbor" },
	"predefined": func(o *Options) { o.Topics, o.Encoding, o.Clean = "predefined", "protobuf", false },
	"short":      func(o *Options) { o.Topics, o.Will = "short", true },
	"sleep":      func(o *Options) { o.Sleep, o.Clean = 5*time.Minute, false },
	"sleep qos0": func(o *Options) { o.Sleep, o.QoS, o.Topics = time.Minute, 0, "predefined" },
}

func TestSteps(t *testing.T) {
	for name, edit := range variants {
		for _, loss := range []float64{0, .2} {
			t.Run(fmt.Sprintf("%s, loss %v", name, loss), func(t *testing.T) {
				run(t, loss, edit, func(w *world) {
					ctx := w.t.Context()
					w.must(w.Connect(ctx, sample))
					for i := range int64(4) {
						r := sample
						r.Integer += i
						w.must(w.Report(ctx, r))
						w.must(w.Command(ctx, 40+i))
						time.Sleep(30 * time.Second)
					}
					time.Sleep(3 * time.Hour) // pings keep it alive
					w.must(w.Report(ctx, sample))
					w.must(w.Command(ctx, 99))
					if n := w.count("warning"); n > 0 && loss == 0 {
						t.Errorf("warnings: %q", w.events)
					}
					if n := w.count("disconnected"); n > 0 && loss == 0 {
						t.Errorf("disconnected %d times: %q", n, w.events)
					}
					w.PowerOff()
					time.Sleep(time.Minute)
					w.must(w.PowerOn(ctx))
					w.must(w.Report(ctx, sample))
				})
			})
		}
	}
}

func TestWithoutConnecting(t *testing.T) {
	for _, topics := range []string{"predefined", "short"} {
		run(t, .2, func(o *Options) { o.QoS, o.Topics, o.Security = -1, topics, "nosec" }, func(w *world) {
			w.must(w.Connect(w.t.Context(), sample))
			for range 10 {
				w.must(w.Report(w.t.Context(), sample))
			}
			if err := w.Command(w.t.Context(), 1); err == nil {
				t.Error("a command reached a device that never connects")
			}
			if w.count("state connected") > 0 {
				t.Error("the device has connected")
			}
		})
	}
}

// rig is a gateway with one peer, whose datagrams are written as messages.
type rig struct {
	t    *testing.T
	b    *broker.Broker
	g    *Gateway
	mu   sync.Mutex
	log  []string
	conn net.Conn
}

func gateway(t *testing.T, test func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		x := &rig{t: t, b: broker.New(broker.Options{})}
		x.g = NewGateway(x.b, GatewayOptions{
			Timers: Timers{10 * time.Second, 2}, Predefined: map[uint16]string{7: "known"}, MaxBuffered: 3, MaxClients: 2,
			Warn: func(s string) {
				x.mu.Lock()
				defer x.mu.Unlock()
				x.log = append(x.log, s)
			},
		})
		x.conn = x.dial()
		test(x)
		x.conn.Close()
		if err := x.b.Close(); err != nil {
			t.Error(err)
		}
		time.Sleep(24 * time.Hour)
	})
}

// dial joins a peer by a pipe, which keeps the boundaries of writes.
func (x *rig) dial() net.Conn {
	near, far := net.Pipe()
	go x.g.Serve(far)
	return near
}

func (x *rig) send(m message) {
	x.t.Helper()
	x.conn.SetWriteDeadline(time.Now().Add(time.Second))
	if _, err := x.conn.Write(m.encode()); err != nil {
		x.t.Fatal(err)
	}
}

func (x *rig) want(k kind) message {
	x.t.Helper()
	buf := make([]byte, 2048)
	x.conn.SetReadDeadline(time.Now().Add(time.Minute))
	n, err := x.conn.Read(buf)
	if err != nil {
		x.t.Fatalf("want %s: %v", k, err)
	}
	m, err := decode(buf[:n])
	if err != nil || m.kind != k {
		x.t.Fatalf("got %+v, %v, want %s", m, err, k)
	}
	return m
}

func (x *rig) wantSilence() {
	x.t.Helper()
	x.conn.SetReadDeadline(time.Now().Add(time.Minute))
	buf := make([]byte, 2048)
	if n, err := x.conn.Read(buf); err == nil {
		m, _ := decode(buf[:n])
		x.t.Fatalf("got %+v, want silence", m)
	}
}

func (x *rig) publish(topic, payload string, qos byte) {
	x.t.Helper()
	if err := x.b.Publish(broker.Message{Topic: topic, Payload: []byte(payload), QoS: qos}); err != nil {
		x.t.Error(err)
	}
}

func TestSleepingClient(t *testing.T) {
	gateway(t, func(x *rig) {
		x.send(message{kind: connect, name: "c", duration: 60, clean: true})
		x.want(connack)
		x.send(message{kind: subscribe, qos: 1, id: 1, name: "in/#"})
		if a := x.want(suback); a.topic != 0 || a.qos != 1 {
			t.Errorf("%+v", a)
		}
		x.send(message{kind: disconnect, hasDuration: true, duration: 600})
		x.want(disconnect)
		for i := range 5 { // two more than are kept
			x.publish("in/a", fmt.Sprint(i), byte(i%2))
		}
		x.wantSilence()
		x.conn.Close() // a new address
		time.Sleep(time.Minute)
		x.conn = x.dial()
		x.send(message{kind: pingreq, name: "c"})
		r := x.want(register)
		x.send(message{kind: regack, topic: r.topic, id: r.id})
		for i := range 3 {
			m := x.want(publish)
			if string(m.data) != fmt.Sprint(i) || m.topic != r.topic || int(m.qos) != i%2 {
				t.Errorf("%+v", m)
			}
			if m.qos > 0 {
				x.send(message{kind: puback, topic: m.topic, id: m.id})
			}
		}
		x.want(pingresp)
		x.publish("in/a", "later", 0) // asleep again
		x.wantSilence()
		if len(x.log) != 1 || !strings.Contains(x.log[0], "client c: 3 messages wait") {
			t.Errorf("log %q", x.log)
		}
	})
}

// A client that ends a clean session makes room for another.
func TestManyCleanClients(t *testing.T) {
	gateway(t, func(x *rig) {
		for _, name := range []string{"a", "b", "c"} { // one more than there is room for
			x.send(message{kind: connect, name: name, clean: true})
			if a := x.want(connack); a.code != accepted {
				t.Errorf("%s: refused with %d", name, a.code)
			}
			x.send(message{kind: disconnect})
			x.want(disconnect)
		}
	})
}

func TestGatewayRepeats(t *testing.T) {
	gateway(t, func(x *rig) {
		x.send(message{kind: connect, name: "c", clean: true})
		x.want(connack)
		x.send(message{kind: subscribe, qos: 1, id: 1, idType: topicPredefined, topic: 7})
		x.want(suback)
		go x.publish("known", "x", 1)
		start := time.Now()
		for i := range 3 { // once, and N_retry times
			if m := x.want(publish); m.dup != (i > 0) || m.topic != 7 || m.idType != topicPredefined {
				t.Errorf("%+v", m)
			}
		}
		if d := time.Since(start); d != 20*time.Second {
			t.Errorf("the last one after %v", d)
		}
		x.wantSilence()
		x.send(message{kind: pingreq})
		x.want(disconnect) // lost
	})
}

func TestWill(t *testing.T) {
	gateway(t, func(x *rig) {
		gone := make(chan string, 1)
		if _, err := x.b.Subscribe("gone", func(m broker.Message) { gone <- string(m.Payload) }); err != nil {
			t.Fatal(err)
		}
		x.send(message{kind: connect, name: "c", duration: 60, will: true, clean: true})
		x.want(willTopicReq)
		x.send(message{kind: willTopic, name: "gone"})
		x.want(willMsgReq)
		x.send(message{kind: willMsg, data: []byte("bye")})
		x.want(connack)
		start := time.Now()
		if got := <-gone; got != "bye" || time.Since(start).Round(time.Second) != 90*time.Second {
			t.Errorf("will %q after %v", got, time.Since(start))
		}
	})
}

func TestRefusals(t *testing.T) {
	gateway(t, func(x *rig) {
		x.send(message{kind: subscribe, id: 1, name: "a"})
		x.want(disconnect) // without CONNECT
		x.send(message{kind: publish, qos: qosNone, topic: 1})
		x.send(message{kind: publish, qos: qosNone, idType: topicPredefined, topic: 99})
		x.send(message{kind: connect, name: "c", clean: true})
		x.want(connack)
		x.send(message{kind: publish, qos: 1, topic: 5, id: 3})
		if a := x.want(puback); a.code != invalidTopic || a.id != 3 {
			t.Errorf("%+v", a)
		}
		x.send(message{kind: publish, qos: 2, topic: 5, id: 4})
		if a := x.want(puback); a.code != notSupported {
			t.Errorf("%+v", a)
		}
		x.send(message{kind: subscribe, id: 4, name: "a#"})
		if a := x.want(suback); a.code != invalidTopic {
			t.Errorf("%+v", a)
		}
		x.send(message{kind: searchGW})
		x.want(gwInfo)
		for i := range 1100 {
			x.send(message{kind: register, id: 9, name: fmt.Sprint(i)})
			if a := x.want(regack); (a.code == congestion) != (i >= maxTopics) {
				t.Fatalf("topic %d: %+v", i, a)
			}
		}
		for _, name := range []string{"d", "e"} {
			x.send(message{kind: connect, name: name, clean: true})
			if a := x.want(connack); (a.code == congestion) != (name == "e") {
				t.Errorf("client %s: %+v", name, a)
			}
		}
		if len(x.log) != 1 {
			t.Errorf("log: %q", x.log)
		}
	})
}

func TestOptionsAreChecked(t *testing.T) {
	for field, edit := range map[string]func(*Options){
		"security":        func(o *Options) { o.Security = "psk" },
		"qos":             func(o *Options) { o.QoS = 2 },
		"want topics":     func(o *Options) { o.QoS = -1 },
		"neither sleep":   func(o *Options) { o.QoS, o.Topics, o.Sleep = -1, "short", time.Minute },
		"t_retry":         func(o *Options) { o.Retry = 0 },
		"n_retry":         func(o *Options) { o.Number = 99 },
		"keep_alive":      func(o *Options) { o.KeepAlive = time.Millisecond },
		"encoding":        func(o *Options) { o.Encoding = "xml" },
		"report_wait":     func(o *Options) { o.ReportWait = 0 },
		"flight_interval": func(o *Options) { o.DTLS.FlightInterval = 0 },
	} {
		o := DefaultOptions()
		edit(&o)
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
	if s, err := New(DefaultOptions()); err != nil || s == nil {
		t.Error(err)
	}
}
