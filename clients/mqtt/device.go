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

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/flash"
	"github.com/thinlink/thinlink/clients/mqtt/jobs"
	"github.com/thinlink/thinlink/clients/mqtt/shadow"
	"github.com/thinlink/thinlink/clients/reading"
)

// Registered ports of MQTT, over TLS and over TCP alone.
const (
	mqttPort      = 8883
	mqttPlainPort = 1883
)

// device is one power cycle of the device: all in it is lost by a reboot. What
// remains is in Env.Flash.
type device struct {
	name  string // thing and client identifier
	opt   Options
	env   *clients.Env
	mqtt  *tls.Config
	https *tls.Config
	key   []byte // auth password

	client  client
	ctx     context.Context // ends with the power
	off     context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	link     *link
	rnd      *rand.Rand
	requests int
	waiting  map[string]chan answer // by client token or topic
	commands chan command           // that reached the application
	jobs     chan *job              // for the agent
	news     chan struct{}          // the next job changed
	image    *image                 // whose blocks come as messages; nil if none
	state    deviceState

	connections int
}

// command is one that reached the application, and where its answer goes; nil is
// nowhere.
type command struct {
	value  int64
	answer *outgoing
}

// answer is what "/accepted" or "/rejected" carried.
type answer struct {
	accepted bool
	payload  []byte
}

func newDevice(opt Options, env *clients.Env, cfg *tls.Config) (*device, error) {
	state, err := loadDevice(env.Flash)
	if err != nil {
		return nil, err
	}
	d := &device{
		name: env.DeviceName(), opt: opt, env: env, mqtt: withTickets(cfg, opt), https: withTickets(cfg, opt),
		link:     newLink(),
		rnd:      rand.New(rand.NewPCG(env.Seed, seedTokens+state.Boots)),
		waiting:  make(map[string]chan answer),
		commands: make(chan command, 16),
		jobs:     make(chan *job, 1),
		news:     make(chan struct{}, 1),
		state:    state,
	}
	if opt.Auth == "password" {
		if d.key, err = keyOf(opt, env, d.name); err != nil {
			return nil, err
		}
	}
	d.ctx, d.off = context.WithCancel(context.Background())
	var store flash.Store
	if !opt.CleanSession {
		store = env.Flash
	}
	newClient := newClient3
	if opt.Version == "5" {
		newClient = newClient5
	}
	d.client, err = newClient(d, store, func(err error) { d.record(clients.EventWarning, "messages: "+err.Error()) })
	return d, err
}

// seedTokens tells this use of the run's seed from others.
const seedTokens = 0x6d717474 // "mqtt"

// subscriptions are what a device listens to that uses the shadow and jobs by
// the AWS IoT SDK for Python: the answers to each operation it uses, the
// shadow's difference and the next job.
func (d *device) subscriptions() []string {
	if d.opt.Topics == "azure" {
		return d.hubSubscriptions()
	}
	job, update, get := jobs.Topic(d.name, ""), shadow.Topic(d.name, "update"), shadow.Topic(d.name, "get")
	var topics []string
	if d.opt.OTA != "none" {
		topics = []string{
			job + "notify-next", job + "start-next/accepted", job + "start-next/rejected",
			job + "+/update/accepted", job + "+/update/rejected",
		}
	}
	switch d.opt.OTA {
	case "chunks":
		topics = append(topics, d.streamTopic("+", "data/cbor"), d.streamTopic("+", "rejected/cbor"))
	case "thingsboard":
		topics = append(topics, chunkResponse+"+/chunk/+")
	}
	if d.opt.Topics == "plain" {
		return append(topics, d.commandTopic())
	}
	return append(topics, update+"/accepted", update+"/rejected", update+"/delta", get+"/accepted", get+"/rejected")
}

// The plain topics.
func reportTopic(device string) string  { return "thinlink/" + device + "/report" }
func commandTopic(device string) string { return "thinlink/" + device + "/command" }
func statusTopic(device string) string  { return "thinlink/" + device + "/status" }
func answerTopic(device string) string  { return "thinlink/" + device + "/answer" }

// What the status topic says.
const (
	online  = "online"
	offline = "offline"
)

func (d *device) reportTopic() string  { return reportTopic(d.name) }
func (d *device) commandTopic() string { return commandTopic(d.name) }

// start switches the device on and waits until it has done what it does after
// every start. Attempts to connect are repeated until the context ends, which
// switches the device off again.
func (d *device) start(ctx context.Context) error {
	stop := context.AfterFunc(ctx, d.off)
	defer stop()
	if err := d.powerOn(); err != nil {
		return fmt.Errorf("power on: %w", err)
	}
	d.running.Go(d.agent)
	for pause := time.Second; ; pause = min(2*pause, d.opt.ReconnectMax) {
		failed := d.provisioned(ctx)
		if failed == nil {
			d.record(clients.EventState, "connecting")
			failed = d.client.connect()
		}
		if failed == nil {
			break
		}
		d.record(clients.EventState, "connecting failed: "+failed.Error())
		if err := clients.Sleep(ctx, pause); err != nil {
			return fmt.Errorf("connect: %w: %w", err, failed)
		}
	}
	if _, err := d.online(ctx); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	return d.boot(ctx)
}

// powerOn counts the power-on and, if chunks of an image may come as soon as
// the device is connected, makes ready for them.
func (d *device) powerOn() error {
	d.state.Boots++
	if err := d.state.save(d.env.Flash); err != nil {
		return err
	}
	if d.opt.OTA != "push" {
		return nil
	}
	was, err := loadImageState(d.env.Flash)
	if err != nil || was == nil {
		return err
	}
	_, err = d.openImage(*was)
	return err
}

// boot is what the device does after every start: ask for the shadow, for what
// was desired meanwhile; report what it is; ask for a job that waits.
func (d *device) boot(ctx context.Context) error {
	switch d.opt.Topics {
	case "azure":
		if err := d.bootHub(ctx); err != nil {
			return err
		}
	case "shadow":
		get := func(token string) []byte { return encode(shadowUpdate{ClientToken: token}, 0) }
		a, err := d.request(ctx, shadow.Topic(d.name, "get"), get)
		if err != nil {
			return err
		}
		var doc struct {
			State struct{ Delta json.RawMessage }
		}
		if a.accepted && json.Unmarshal(a.payload, &doc) == nil {
			d.desired(doc.State.Delta)
		}
		about := func(token string) []byte { return shadowReport(aboutDevice(d.name), token, d.opt.Indent) }
		if err := d.updateShadow(ctx, about); err != nil {
			return err
		}
	}
	if d.opt.OTA == "none" {
		return nil
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
	var letters [5]byte
	for i := range letters {
		letters[i] = byte('a' + d.rnd.IntN(26))
	}
	return fmt.Sprintf("%s_%s_%05d_%s", d.name, d.name, d.requests, letters[:])
}

// received handles a message of the platform. It is called in order and must
// not block. An error means that it wants to have the message again.
func (d *device) received(m incoming) error {
	if err := d.ctx.Err(); err != nil {
		return err
	}
	topic, payload := m.topic, m.payload
	if d.opt.Topics == "azure" {
		d.hubReceived(m)
		return nil
	}
	rest, accepted := strings.CutSuffix(topic, "/accepted")
	switch {
	case accepted || strings.HasSuffix(topic, "/rejected"):
		d.answered(answer{accepted, payload})
	case strings.HasPrefix(topic, d.streamPrefix()), strings.HasPrefix(topic, chunkResponse), strings.HasPrefix(topic, pushPrefix):
		return d.blockReceived(topic, payload)
	case topic == d.commandTopic():
		if value, err := d.format().ParseCommand(payload); err == nil {
			d.commanded(command{value, m.response()})
		}
	case rest == shadow.Topic(d.name, "update")+"/delta":
		var delta struct{ State json.RawMessage }
		if json.Unmarshal(payload, &delta) == nil {
			d.desired(delta.State)
		}
	case topic == jobs.Topic(d.name, "notify-next"):
		d.jobChanged()
	}
	return nil
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

// desired obeys a command in desired state.
func (d *device) desired(state []byte) {
	if value, ok := parseCommand(state); ok {
		d.commanded(command{value: value})
	}
}

// commanded hands a command to the application.
func (d *device) commanded(c command) {
	d.record(clients.EventCommand, fmt.Sprint(c.value))
	select {
	case d.commands <- c:
	default: // nobody has asked for the last sixteen
	}
}

func (d *device) format() reading.Format { return reading.Format(d.opt.Encoding) }

func (d *device) record(kind, detail string) {
	d.env.Record(clients.Event{Kind: kind, Detail: detail})
}

// kill switches the device off, with no word to anybody. Nothing is written
// to flash afterwards.
func (d *device) kill() {
	d.off()
	d.client.powerOff()
	d.closeImage()
	d.client.close()
	d.running.Wait()
}
