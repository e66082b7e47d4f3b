package mqtt

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/httpfile"
	"github.com/thinlink/thinlink/clients/mqtt/azure"
	"github.com/thinlink/thinlink/clients/mqtt/broker"
	"github.com/thinlink/thinlink/clients/mqtt/jobs"
	"github.com/thinlink/thinlink/clients/mqtt/shadow"
	"github.com/thinlink/thinlink/clients/mqtt/streams"
	"github.com/thinlink/thinlink/clients/reading"
)

var _ clients.Platform = (*Platform)(nil)

// Platform implements clients.Platform: the broker, its services and the
// application behind them. It serves any number of devices.
type Platform struct {
	opt     Options
	env     *clients.Env
	tls     *tls.Config
	public  *tls.Config // of the file server
	shadow  *shadow.Service
	jobs    *jobs.Service
	streams *streams.Service
	hub     *azure.Hub
	files   httpfile.Files

	arrivals clients.Arrivals // on the plain topics

	mu     sync.Mutex
	broker *broker.Broker
	stop   []func() error // ends what runs, in reverse order
	offers int
	// commands counts those that are to be answered.
	commands int
	ended    map[string]chan jobs.Execution
	images   map[string][]byte // by job, for ThingsBoard's chunks
}

// NewPlatform starts broker and file server on Env.Platform. Errors: options
// out of range, certificates, ports in use.
func NewPlatform(opt Options, env *clients.Env) (*Platform, error) {
	if err := opt.check(); err != nil {
		return nil, fmt.Errorf("mqtt: %w", err)
	}
	cfg, err := platformTLS(opt, env)
	if err != nil {
		return nil, fmt.Errorf("mqtt: platform: %w", err)
	}
	p := &Platform{
		opt: opt, env: env, tls: cfg, public: cfg.Clone(), streams: streams.New(),
		ended: make(map[string]chan jobs.Execution), images: make(map[string][]byte),
	}
	p.public.ClientAuth = tls.NoClientCert // an object store knows nothing of devices' certificates
	p.shadow = shadow.New(env.Now, func(thing string, _ []byte) {
		env.Record(clients.Event{Kind: clients.EventReport, Detail: shadow.Topic(thing, "update")})
	})
	p.jobs = jobs.New(env.Now, p.jobChanged)
	p.hub = p.newHub()
	if err := p.start(); err != nil {
		return nil, errors.Join(fmt.Errorf("mqtt: platform: %w", err), p.close())
	}
	return p, nil
}

// start serves with a new broker, which has what the one before it kept.
func (p *Platform) start() error {
	if p.opt.Auth == "password" {
		if _, err := keyOf(p.opt, p.env, ""); err != nil {
			return err
		}
	}
	limits := broker.Options{
		MaxQueued: maxChunks, MaxRetained: maxChunks, MaxQueuedBytes: maxImage,
		Authenticate: p.admit, Log: p.warn,
	}
	if p.opt.OTA == "push" {
		limits.MaxInflight = p.opt.Window
	}
	b := broker.New(limits)
	p.mu.Lock()
	if p.broker != nil {
		b.Inherit(p.broker)
	}
	p.broker, p.stop = b, []func() error{b.Close}
	p.mu.Unlock()
	if err := errors.Join(p.shadow.Serve(b), p.jobs.Serve(b), p.streams.Serve(b), p.hub.Serve(b)); err != nil {
		return err
	}
	for filter, handle := range map[string]func(broker.Message){
		reportTopic("+"):           func(m broker.Message) { p.reported(deviceOf(m.Topic), m.Topic, m.Payload) },
		statusTopic("+"):           p.status,
		answerTopic("+"):           p.answered,
		chunkRequest + "+/chunk/+": p.sendChunk,
	} {
		if _, err := b.Subscribe(filter, handle); err != nil {
			return err
		}
	}
	ln, err := p.listen(p.opt.port())
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func(ln net.Listener) { served <- b.Serve(ln) }(p.secured(ln))
	p.ending(func() error { return errors.Join(b.Close(), <-served) })

	if ln, err = p.listen(httpsPort); err != nil {
		return err
	}
	p.ending(httpfile.Serve(ln, p.public, &p.files))
	return nil
}

// admit judges who connects, and tells of them.
func (p *Platform) admit(c broker.Credentials) broker.Reason {
	reason := p.authenticate(c)
	detail := fmt.Sprintf("platform: let %s in", c.Client)
	if reason != broker.Success {
		detail = fmt.Sprintf("platform: %s was turned away: %v", c.Client, reason)
	}
	p.env.Record(clients.Event{Kind: clients.EventState, Detail: detail})
	return reason
}

// secured is the MQTT listener with TLS, unless there is none.
func (p *Platform) secured(ln net.Listener) net.Listener {
	if p.opt.TLS == "none" {
		return ln
	}
	return tls.NewListener(ln, p.tls)
}

func (p *Platform) ending(f func() error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stop = append(p.stop, f)
}

// Restart implements clients.Platform: shadows, jobs, images, retained messages
// and persistent MQTT sessions are kept, clean sessions are not.
func (p *Platform) Restart(ctx context.Context) error {
	if err := errors.Join(p.close(), p.start()); err != nil {
		return fmt.Errorf("mqtt: restart platform: %w", err)
	}
	return ctx.Err()
}

func (p *Platform) current() *broker.Broker {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.broker
}

func (p *Platform) listen(port uint16) (net.Listener, error) {
	return p.env.Platform.Listen("tcp", p.env.At(port).String())
}

// warn notes what a reader of the result must know.
func (p *Platform) warn(text string) {
	p.env.Record(clients.Event{Kind: clients.EventWarning, Detail: text})
}

// deviceOf is the device of a plain topic.
func deviceOf(topic string) string { return strings.Split(topic, "/")[1] }

// reported is the application's end of reports that are no shadow updates.
func (p *Platform) reported(device, topic string, payload []byte) {
	r, err := reading.Format(p.opt.Encoding).ParseReading(payload)
	if err != nil {
		p.warn(fmt.Sprintf("report: %v", err))
		return
	}
	p.env.Record(clients.Event{Kind: clients.EventReport, Detail: topic})
	p.arrivals.Arrived(device, r)
}

// status is told that a device has come or gone.
func (p *Platform) status(m broker.Message) {
	p.env.Record(clients.Event{Kind: clients.EventState, Detail: "platform: " + deviceOf(m.Topic) + " is " + string(m.Payload)})
}

// answered is told that a device has answered a command.
func (p *Platform) answered(m broker.Message) {
	id, _ := m.Properties.Text(broker.CorrelationData)
	p.env.Record(clients.Event{Kind: clients.EventState, Detail: "platform: command " + id + " was answered"})
}

// Connected implements clients.Platform: whoever has reported has connected.
func (p *Platform) Connected(context.Context, string) error { return nil }

// Await implements clients.Platform. Readings in shadows are confirmed to the
// device instead.
func (p *Platform) Await(device string, r clients.Reading) (<-chan struct{}, error) {
	return p.arrivals.Await(device, r), nil
}

// Command implements clients.Platform: on a plain topic, by the hub, or as
// desired state.
func (p *Platform) Command(_ context.Context, device string, value int64) error {
	switch p.opt.Topics {
	case "plain":
		return p.plainCommand(device, value)
	case "azure":
		return p.hubCommand(device, value)
	}
	desired := encode(shadowUpdate{State: &shadowState{Desired: &object{Command: &value}}}, 0)
	p.shadow.Do(device, "update", desired, byte(p.opt.QoS))
	return nil
}

func (p *Platform) plainCommand(device string, value int64) error {
	m := broker.Message{Topic: commandTopic(device), Payload: reading.Format(p.opt.Encoding).Command(value), QoS: byte(p.opt.QoS)}
	if p.opt.Respond {
		p.mu.Lock()
		p.commands++
		id := fmt.Sprintf("%08d", p.commands)
		p.mu.Unlock()
		m.Properties = broker.Properties{
			{ID: broker.ResponseTopic, Text: answerTopic(device)}, {ID: broker.CorrelationData, Text: id},
		}
	}
	return p.current().Publish(m)
}

// Update implements clients.Platform: it offers the image as a job. It returns
// when the device has reported how it ended.
func (p *Platform) Update(ctx context.Context, device string, img clients.Image) error {
	p.mu.Lock()
	p.offers++
	job := fmt.Sprintf("update-%06d", p.offers)
	p.mu.Unlock()
	ended, err := p.offer(device, job, jobDocument{
		Operation: "update", Name: img.Name, Version: img.Version, Size: int64(len(img.Data)),
		SHA256: hex.EncodeToString(img.SHA256[:]),
	}, img.Data)
	if err != nil {
		return fmt.Errorf("mqtt: update: %w", err)
	}
	select {
	case e := <-ended:
		if e.Status != jobs.Succeeded {
			return fmt.Errorf("mqtt: update: job %s: %s", e.Status, e.StatusDetails["reason"])
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("mqtt: update: %w", ctx.Err())
	}
}

// offer puts the image where devices get it and a job for it in the device's
// queue; the channel delivers how the job ended.
func (p *Platform) offer(device, job string, doc jobDocument, data []byte) (<-chan jobs.Execution, error) {
	switch p.opt.OTA {
	case "none":
		return nil, errors.New("option ota is none")
	case "https":
		path := fmt.Sprintf("/firmware/%s-%s.bin", doc.Name, doc.Version)
		doc.URL, doc.ETag = "https://"+p.env.Authority(httpsPort)+path, p.files.Put(path, data)
	case "chunks":
		doc.Stream, doc.Revision = job, p.streams.Put(job, data)
	case "push":
		doc.Topic, doc.BlockSize = pushPrefix+job, int64(p.opt.BlockSize)
		if err := p.push(doc.Topic, data); err != nil {
			return nil, err
		}
	}
	done := make(chan jobs.Execution, 1)
	p.mu.Lock()
	p.ended[job], p.images[job] = done, data
	p.mu.Unlock()
	if p.opt.Topics == "azure" {
		return done, p.hubOffer(device, job, doc)
	}
	return done, p.jobs.Create(device, job, encode(doc, 0), byte(p.opt.QoS))
}

func (p *Platform) jobChanged(e jobs.Execution) {
	p.env.Record(clients.Event{Kind: clients.EventOTAState, Detail: "platform: " + string(e.Status)})
	if !e.Status.Terminal() {
		return
	}
	p.streams.Remove(e.JobID)
	p.current().Unretain(pushPrefix + e.JobID + "/+")
	p.mu.Lock()
	defer p.mu.Unlock()
	if done := p.ended[e.JobID]; done != nil {
		delete(p.ended, e.JobID)
		delete(p.images, e.JobID)
		done <- e
	}
}

// Close implements clients.Platform.
func (p *Platform) Close() error {
	if err := p.close(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("mqtt: close: %w", err)
	}
	return nil
}

// close ends what runs. Closing twice is no error.
func (p *Platform) close() error {
	p.mu.Lock()
	stop := p.stop
	p.stop = nil
	p.mu.Unlock()
	var errs []error
	for i := len(stop) - 1; i >= 0; i-- {
		errs = append(errs, stop[i]())
	}
	return errors.Join(errs...)
}
