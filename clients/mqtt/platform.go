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
	"github.com/thinlink/thinlink/clients/pki"
)

// platform is the broker, its services and the application behind them.
type platform struct {
	opt    Options
	env    *clients.Env
	broker *broker.Broker
	shadow *shadow.Service
	jobs   *jobs.Service
	files  httpfile.Files
	stop   []func() error // in reverse order

	mu      sync.Mutex
	reading *clients.Reading // awaited on the plain topic
	arrived chan struct{}    // closed when it has come
	ended   map[string]chan jobs.Execution
}

func newPlatform(opt Options, env *clients.Env, cfg *tls.Config) (*platform, error) {
	p := &platform{
		opt: opt, env: env, broker: broker.New(broker.Options{}),
		ended: make(map[string]chan jobs.Execution),
	}
	if err := p.start(cfg); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *platform) start(cfg *tls.Config) error {
	p.stop = append(p.stop, p.broker.Close)
	var err error
	if p.shadow, err = shadow.Serve(p.broker, p.env.Now, func(thing string, _ []byte) {
		p.env.Record(clients.Event{Kind: clients.EventReport, Detail: shadow.Topic(thing, "update")})
	}); err != nil {
		return err
	}
	if p.jobs, err = jobs.Serve(p.broker, p.env.Now, p.jobChanged); err != nil {
		return err
	}
	if _, err := p.broker.Subscribe(reportTopic, p.reported); err != nil {
		return err
	}
	ln, err := p.listen(mqttPort)
	if err != nil {
		return err
	}
	secure := tls.NewListener(ln, cfg)
	served := make(chan error, 1)
	go func() { served <- p.broker.Serve(secure) }()
	p.stop = append(p.stop, func() error { return errors.Join(p.broker.Close(), <-served) })

	// An object store knows nothing of devices' certificates.
	public := cfg.Clone()
	public.ClientAuth = tls.NoClientCert
	if ln, err = p.listen(httpsPort); err != nil {
		return err
	}
	p.stop = append(p.stop, httpfile.Serve(ln, public, &p.files))
	return nil
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
		return p.broker.Publish(broker.Message{Topic: commandTopic, Payload: plainCommand(value), QoS: byte(p.opt.QoS)})
	}
	desired := encode(shadowUpdate{State: &shadowState{Desired: &object{Command: &value}}}, 0)
	p.shadow.Do(pki.DeviceName, "update", desired, byte(p.opt.QoS))
	return nil
}

// offer puts the image on the file server and a job for it in the queue; the
// channel delivers how the job ended.
func (p *platform) offer(job string, doc jobDocument, path string, data []byte) (<-chan jobs.Execution, error) {
	doc.ETag = p.files.Put(path, data)
	done := make(chan jobs.Execution, 1)
	p.mu.Lock()
	p.ended[job] = done
	p.mu.Unlock()
	return done, p.jobs.Create(pki.DeviceName, job, encode(doc, 0), byte(p.opt.QoS))
}

func (p *platform) jobChanged(e jobs.Execution) {
	p.env.Record(clients.Event{Kind: clients.EventOTAState, Detail: "platform: " + string(e.Status)})
	p.mu.Lock()
	defer p.mu.Unlock()
	if done := p.ended[e.JobID]; done != nil && e.Status.Terminal() {
		delete(p.ended, e.JobID)
		done <- e
	}
}

func (p *platform) close() error {
	var errs []error
	for i := len(p.stop) - 1; i >= 0; i-- {
		errs = append(errs, p.stop[i]())
	}
	return errors.Join(errs...)
}
