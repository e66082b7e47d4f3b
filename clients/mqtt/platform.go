package mqtt

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/httpfile"
	"github.com/thinlink/thinlink/clients/mqtt/broker"
	"github.com/thinlink/thinlink/clients/mqtt/jobs"
	"github.com/thinlink/thinlink/clients/mqtt/shadow"
	"github.com/thinlink/thinlink/clients/mqtt/streams"
	"github.com/thinlink/thinlink/clients/pki"
)

// platform is the broker, its services and the application behind them.
type platform struct {
	opt     Options
	env     *clients.Env
	tls     *tls.Config
	public  *tls.Config // of the file server
	shadow  *shadow.Service
	jobs    *jobs.Service
	streams *streams.Service
	files   httpfile.Files

	mu      sync.Mutex
	broker  *broker.Broker
	stop    []func() error   // ends what runs, in reverse order
	reading *clients.Reading // awaited on the plain topic
	arrived chan struct{}    // closed when it has come
	ended   map[string]chan jobs.Execution
	images  map[string][]byte // by job, for ThingsBoard's chunks
}

func newPlatform(opt Options, env *clients.Env, cfg *tls.Config) (*platform, error) {
	p := &platform{
		opt: opt, env: env, tls: cfg, public: cfg.Clone(), streams: streams.New(),
		ended: make(map[string]chan jobs.Execution), images: make(map[string][]byte),
	}
	p.public.ClientAuth = tls.NoClientCert // an object store knows nothing of devices' certificates
	p.shadow = shadow.New(env.Now, func(thing string, _ []byte) {
		env.Record(clients.Event{Kind: clients.EventReport, Detail: shadow.Topic(thing, "update")})
	})
	p.jobs = jobs.New(env.Now, p.jobChanged)
	if err := p.start(); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// start serves with a new broker, which has what the one before it kept.
func (p *platform) start() error {
	limits := broker.Options{MaxQueued: maxChunks, MaxRetained: maxChunks}
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
	if err := errors.Join(p.shadow.Serve(b), p.jobs.Serve(b), p.streams.Serve(b)); err != nil {
		return err
	}
	if _, err := b.Subscribe(reportTopic, p.reported); err != nil {
		return err
	}
	if _, err := b.Subscribe(chunkRequest+"+/chunk/+", p.sendChunk); err != nil {
		return err
	}
	ln, err := p.listen(mqttPort)
	if err != nil {
		return err
	}
	secure := tls.NewListener(ln, p.tls)
	served := make(chan error, 1)
	go func() { served <- b.Serve(secure) }()
	p.ending(func() error { return errors.Join(b.Close(), <-served) })

	if ln, err = p.listen(httpsPort); err != nil {
		return err
	}
	p.ending(httpfile.Serve(ln, p.public, &p.files))
	return nil
}

func (p *platform) ending(f func() error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stop = append(p.stop, f)
}

// restart ends the broker and the file server and starts them again.
func (p *platform) restart() error { return errors.Join(p.close(), p.start()) }

func (p *platform) current() *broker.Broker {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.broker
}

func (p *platform) listen(port uint16) (net.Listener, error) {
	return p.env.Platform.Listen("tcp", netip.AddrPortFrom(p.env.Platform.Addr(), port).String())
}

// reported is the application's end of plain reports.
func (p *platform) reported(m broker.Message) {
	r, err := parsePlainReport(m.Payload)
	if err != nil {
		p.env.Record(clients.Event{Kind: clients.EventWarning, Detail: fmt.Sprintf("report: %v", err)})
		return
	}
	p.env.Record(clients.Event{Kind: clients.EventReport, Detail: m.Topic})
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reading != nil && *p.reading == r {
		p.reading = nil
		close(p.arrived)
	}
}

// await returns a channel that is closed when the reading has arrived.
func (p *platform) await(r clients.Reading) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reading, p.arrived = &r, make(chan struct{})
	return p.arrived
}

// command sends a command: on a plain topic, or as desired state.
func (p *platform) command(value int64) error {
	if p.opt.Topics == "plain" {
		return p.current().Publish(broker.Message{Topic: commandTopic, Payload: plainCommand(value), QoS: byte(p.opt.QoS)})
	}
	desired := encode(shadowUpdate{State: &shadowState{Desired: &object{Command: &value}}}, 0)
	p.shadow.Do(pki.DeviceName, "update", desired, byte(p.opt.QoS))
	return nil
}

// offer puts the image where devices get it and a job for it in the queue; the
// channel delivers how the job ended.
func (p *platform) offer(job string, doc jobDocument, data []byte) (<-chan jobs.Execution, error) {
	switch p.opt.OTA {
	case "https":
		path := fmt.Sprintf("/firmware/%s-%s.bin", doc.Name, doc.Version)
		doc.URL, doc.ETag = "https://"+pki.ServerName+path, p.files.Put(path, data)
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
	return done, p.jobs.Create(pki.DeviceName, job, encode(doc, 0), byte(p.opt.QoS))
}

func (p *platform) jobChanged(e jobs.Execution) {
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

// close ends what runs. Closing twice is no error.
func (p *platform) close() error {
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
