package mqtt

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/mqtt/jobs"
	"github.com/thinlink/thinlink/clients/mqtt/shadow"
	"github.com/thinlink/thinlink/clients/pki"
)

// mqttPort is that of MQTT over TLS.
const mqttPort = 8883

// device is one power cycle of the device: all in it is lost by a reboot but
// what is kept and Env.Flash.
type device struct {
	opt  Options
	env  *clients.Env
	tls  *tls.Config
	kept *kept

	client  paho.Client
	ctx     context.Context // ends with the power
	off     context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	link     *link
	rnd      *rand.Rand
	requests int
	waiting  map[string]chan answer // by client token or topic
	commands chan int64             // commands that reached the application
	jobs     chan *job              // for the agent
	news     chan struct{}          // the next job changed

	connections int
}

// kept is what a reboot leaves beside Env.Flash: the messages of a persistent
// MQTT session, standing for paho's file store, and the number of the last
// request, so that client tokens stay unique.
type kept struct {
	store    paho.Store
	requests int
}

func newKept() *kept { return &kept{store: keptStore{paho.NewOrderedMemoryStore()}} }

// keptStore stays open: a client that is switched off closes its store late,
// when the next one may be using it.
type keptStore struct{ *paho.OrderedMemoryStore }

func (keptStore) Close() {}

// answer is what "/accepted" or "/rejected" carried.
type answer struct {
	accepted bool
	payload  []byte
}

func newDevice(opt Options, env *clients.Env, cfg *tls.Config, k *kept) *device {
	d := &device{
		opt: opt, env: env, tls: cfg, kept: k,
		link:     newLink(),
		rnd:      rand.New(rand.NewPCG(env.Seed, seedTokens)),
		requests: k.requests,
		waiting:  make(map[string]chan answer),
		commands: make(chan int64, 16),
		jobs:     make(chan *job, 1),
		news:     make(chan struct{}, 1),
	}
	d.ctx, d.off = context.WithCancel(context.Background())
	d.client = paho.NewClient(d.clientOptions())
	return d
}

// seedTokens tells this use of the run's seed from others.
const seedTokens = 0x6d717474 // "mqtt"

func (d *device) clientOptions() *paho.ClientOptions {
	o := paho.NewClientOptions()
	o.AddBroker("tls://" + pki.ServerName) // a name only: dial knows the address
	o.SetClientID(pki.DeviceName)
	o.SetProtocolVersion(4) // no fall-back to MQTT 3.1
	o.SetCleanSession(d.opt.CleanSession)
	o.SetKeepAlive(d.opt.KeepAlive)
	o.SetPingTimeout(d.opt.PingTimeout)
	o.SetConnectTimeout(d.opt.ConnectTimeout)
	o.SetMaxReconnectInterval(d.opt.ReconnectMax)
	o.SetStore(d.kept.store)
	// No SetMaxResumePubInFlight: steps come one at a time, so there is no storm
	// of stored messages, and its goroutine races with paho's reconnecting.
	o.SetCustomOpenConnectionFn(d.dial)
	o.SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) { d.received(m.Topic(), m.Payload()) })
	o.SetOnConnectHandler(func(paho.Client) { d.connected() })
	o.SetConnectionLostHandler(func(_ paho.Client, err error) {
		if d.ctx.Err() == nil {
			d.record(clients.EventState, "disconnected: "+err.Error())
		}
	})
	return o
}

// subscriptions are what a device listens to that uses the shadow and jobs by
// the AWS IoT SDK for Python: the answers to each operation it uses, the
// shadow's difference and the next job.
func (d *device) subscriptions() []string {
	job, update, get := jobs.Topic(pki.DeviceName, ""), shadow.Topic(pki.DeviceName, "update"), shadow.Topic(pki.DeviceName, "get")
	topics := []string{
		job + "notify-next", job + "start-next/accepted", job + "start-next/rejected",
		job + "+/update/accepted", job + "+/update/rejected",
	}
	if d.opt.OTA == "chunks" {
		topics = append(topics, chunkResponse+"+/chunk/+")
	}
	if d.opt.Topics == "plain" {
		return append(topics, commandTopic)
	}
	return append(topics, update+"/accepted", update+"/rejected", update+"/delta", get+"/accepted", get+"/rejected")
}

// The plain topics.
const (
	reportTopic  = "thinlink/" + pki.DeviceName + "/report"
	commandTopic = "thinlink/" + pki.DeviceName + "/command"
)

// start switches the device on and waits until it has done what it does after
// every start. Attempts to connect are repeated until the context ends, which
// switches the device off again.
func (d *device) start(ctx context.Context) error {
	stop := context.AfterFunc(ctx, d.off)
	defer stop()
	d.running.Go(d.agent)
	for pause := time.Second; ; pause = min(2*pause, d.opt.ReconnectMax) {
		d.record(clients.EventState, "connecting")
		t := d.client.Connect()
		<-t.Done() // dial and CONNACK end with d.ctx, too
		if t.Error() == nil {
			break
		}
		d.record(clients.EventState, "connecting failed: "+t.Error().Error())
		if err := sleep(ctx, pause); err != nil {
			return fmt.Errorf("connect: %w: %w", err, t.Error())
		}
	}
	if _, err := d.online(ctx); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	return d.boot(ctx)
}

// boot is what the device does after every start: ask for the shadow, for what
// was desired meanwhile; report what it is; ask for a job that waits.
func (d *device) boot(ctx context.Context) error {
	if d.opt.Topics == "shadow" {
		get := func(token string) []byte { return encode(shadowUpdate{ClientToken: token}, 0) }
		a, err := d.request(ctx, shadow.Topic(pki.DeviceName, "get"), get)
		if err != nil {
			return err
		}
		var doc struct {
			State struct{ Delta json.RawMessage }
		}
		if a.accepted && json.Unmarshal(a.payload, &doc) == nil {
			d.commanded(doc.State.Delta)
		}
		about := func(token string) []byte { return shadowReport(&aboutDevice, token, d.opt.Indent) }
		if err := d.updateShadow(ctx, about); err != nil {
			return err
		}
	}
	job, err := d.nextJob(ctx)
	if err == nil && job != nil {
		d.jobs <- job
	}
	return err
}

// newToken is a client token as the AWS IoT SDK for Python makes them: client
// identifier, thing name, sequence number and five random characters.
func (d *device) newToken() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.requests = d.requests%99999 + 1
	d.kept.requests = d.requests
	var letters [5]byte
	for i := range letters {
		letters[i] = byte('a' + d.rnd.IntN(26))
	}
	return fmt.Sprintf("%s_%s_%05d_%s", pki.DeviceName, pki.DeviceName, d.requests, letters[:])
}

// received handles a message of the platform. It is called in order and must
// not block.
func (d *device) received(topic string, payload []byte) {
	rest, accepted := strings.CutSuffix(topic, "/accepted")
	switch {
	case accepted || strings.HasSuffix(topic, "/rejected"):
		d.answered(answer{accepted, payload})
	case strings.HasPrefix(topic, chunkResponse):
		d.deliver(topic, answer{true, payload})
	case topic == commandTopic:
		d.commanded(payload)
	case rest == shadow.Topic(pki.DeviceName, "update")+"/delta":
		var delta struct{ State json.RawMessage }
		if json.Unmarshal(payload, &delta) == nil {
			d.commanded(delta.State)
		}
	case topic == jobs.Topic(pki.DeviceName, "notify-next"):
		d.jobChanged()
	}
}

func (d *device) answered(a answer) {
	var p struct{ ClientToken string }
	if json.Unmarshal(a.payload, &p) == nil {
		d.deliver(p.ClientToken, a)
	}
}

// deliver hands an answer to whoever waits for it; the first one counts.
func (d *device) deliver(key string, a answer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if done := d.waiting[key]; done != nil {
		delete(d.waiting, key)
		done <- a
	}
}

// commanded hands a command to the application.
func (d *device) commanded(payload []byte) {
	value, ok := parseCommand(payload)
	if !ok {
		return
	}
	d.record(clients.EventCommand, fmt.Sprint(value))
	select {
	case d.commands <- value:
	default: // nobody has asked for the last sixteen
	}
}

func (d *device) record(kind, detail string) {
	d.env.Record(clients.Event{Kind: kind, Detail: detail})
}

// kill switches the device off, with no word to anybody.
func (d *device) kill() {
	d.off()
	// Paho waits at most this long for a DISCONNECT that cannot be sent.
	d.client.Disconnect(1)
	d.running.Wait()
}
