package lwm2m

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/clients/dgram"
	"github.com/thinlink/thinlink/clients/httpfile"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
	"github.com/thinlink/thinlink/clients/lwm2m/tree"
)

// Platform implements clients.Platform: the server, its packages, and the
// application, which observes every device that registers. Further servers that
// devices have are platforms of their own beside the first one, which commands
// and updates.
type Platform struct {
	opt      *Options
	env      *clients.Env
	arrivals *arrivals
	more     []*Platform

	// The database, which survives a restart.
	registry *registry
	packages *packages
	files    httpfile.Files

	mu                     sync.Mutex
	server                 *server
	stopFiles, stopStreams func() error // end the servers over HTTPS and TCP, where there are any
	bootstrap              *bootstrapServer
	clients                map[string]*client
	closed                 bool

	ctx   context.Context
	quit  context.CancelFunc
	tasks sync.WaitGroup
}

// client is a device as the application knows it.
type client struct {
	*board
	// news has the newest registration that manage has not seen.
	news     chan *registration
	arriving sync.Mutex // held by who puts it there
}

// NewPlatform starts the server on Env.Platform. Errors: no certificates where
// the options need them, ports in use.
func NewPlatform(opt Options, env *clients.Env) (*Platform, error) {
	if err := opt.Validate(); err != nil {
		return nil, err
	}
	all := &arrivals{servers: len(opt.servers())}
	p, err := newPlatform(&opt, env, all)
	if err != nil {
		return nil, err
	}
	for _, id := range opt.servers()[1:] {
		q, err := newPlatform(opt.server(id), serverEnv(env, id), all)
		if err != nil {
			return nil, errors.Join(err, p.Close())
		}
		p.more = append(p.more, q)
	}
	return p, nil
}

// newPlatform starts one server, whose reports go to arrivals.
func newPlatform(opt *Options, env *clients.Env, arrivals *arrivals) (*Platform, error) {
	if env.PKI == nil && opt.needsPKI() {
		return nil, errNoPKI
	}
	p := &Platform{opt: opt, env: env, arrivals: arrivals, clients: make(map[string]*client)}
	p.packages = &packages{byPath: make(map[string]*pack)}
	p.ctx, p.quit = context.WithCancel(context.Background())
	p.registry = newRegistry(opt.RetryCount, opt.PlatformVersion, opt.Awake, p.registered, p.expired)
	if err := p.start(); err != nil {
		_ = p.Close()
		return nil, fmt.Errorf("lwm2m: platform: %w", err)
	}
	return p, nil
}

var errNoPKI = errors.New("lwm2m: security or delivery needs certificates, and there are none")

func (o *Options) needsPKI() bool {
	return slices.ContainsFunc(o.servers(), func(id uint16) bool {
		o := o.server(id)
		return o.Security == Certificate || o.Security == PSK && o.PSKKey == "" || o.Delivery == HTTPSPull
	})
}

func (p *Platform) start() (err error) {
	accepted := 0
	if p.server != nil {
		accepted = p.server.sessions()
	}
	if p.server, err = newServer(p.opt, p.env, p.registry, p.packages, p.sent, accepted); err != nil {
		return err
	}
	if p.opt.Bootstrap != BootstrapNone {
		if p.bootstrap, err = p.serveBootstrap(); err != nil {
			return err
		}
	}
	switch p.opt.Delivery {
	case HTTPSPull:
		p.stopFiles, err = p.serveFiles()
	}
	if err == nil && (p.opt.Delivery == CoAPTCPPull || p.opt.Binding == BindingTCP) {
		p.stopStreams, err = p.serveStreams()
	}
	return err
}

// serveFiles starts the HTTPS server of packages.
func (p *Platform) serveFiles() (stop func() error, err error) {
	cred, err := dgram.NewCredentials(p.env.PKI, p.env.PKI.Server)
	if err != nil {
		return nil, err
	}
	ln, err := p.env.Platform.Listen("tcp", p.env.At(portHTTPS).String())
	if err != nil {
		return nil, err
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{cred.Cert}, MaxVersion: tlsVersions[p.opt.TLSVersion]}
	return httpfile.Serve(ln, cfg, &p.files), nil
}

// stop ends the servers. Errors of sockets that have vanished are of no
// interest.
func (p *Platform) stop() {
	for _, stop := range []*func() error{&p.stopFiles, &p.stopStreams} {
		if *stop != nil {
			_ = (*stop)()
			*stop = nil
		}
	}
	if p.bootstrap != nil {
		p.bootstrap.close()
		p.bootstrap = nil
	}
	if p.server != nil {
		p.server.close()
	}
}

// client is what the application knows of an endpoint; nil once it is closed, or
// for more endpoints than a server has places: it forgets none.
func (p *Platform) client(endpoint string) *client {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.clients[endpoint]
	if c == nil && !p.closed && len(p.clients) < maxPresent {
		c = &client{board: newBoard(), news: make(chan *registration, 1)}
		p.clients[endpoint] = c
		p.tasks.Go(func() { p.manage(c) })
	}
	return c
}

// registered is told by the server, which must not wait.
func (p *Platform) registered(reg *registration) {
	c := p.client(reg.endpoint)
	if c == nil {
		return // closed
	}
	c.arriving.Lock()
	defer c.arriving.Unlock()
	select {
	case <-c.news: // outdated
	default:
	}
	c.news <- reg
}

func (p *Platform) expired(reg *registration) {
	p.env.Record(clients.Event{Kind: clients.EventWarning, Detail: "server: registration of " + reg.endpoint + " expired"})
}

// manage is the application: it looks at every new registration of an endpoint
// and observes it.
func (p *Platform) manage(c *client) {
	for {
		select {
		case <-p.ctx.Done():
			return
		case reg := <-c.news:
			err := sleep(p.ctx, reaction)
			if err == nil {
				err = p.explore(c, reg)
			}
			c.set(func(b *facts) { b.reg, b.regErr = reg, err })
			if p.ctx.Err() != nil {
				return
			}
			detail := fmt.Sprintf("platform: %s has registered at %s", reg.endpoint, reg.location)
			if err != nil {
				detail += fmt.Sprintf(", but: %v", err)
			}
			p.env.Record(clients.Event{Kind: clients.EventState, Detail: detail})
		}
	}
}

// explore is what a server does with a device that has registered: it
// discovers what it needs and observes the readings.
func (p *Platform) explore(c *client, reg *registration) error {
	for _, object := range []*model.Object{objects.Device, objects.Reading} {
		if !reg.offers(model.NewPath(object.ID)) {
			return fmt.Errorf("the device does not offer object %d", object.ID)
		}
		if _, err := reg.Discover(p.ctx, model.NewPath(object.ID)); err != nil {
			return err
		}
	}
	var a tree.Attributes
	if p.opt.MinPeriod > 0 {
		a.MinPeriod = &p.opt.MinPeriod
	}
	if p.opt.MaxPeriod > 0 {
		a.MaxPeriod = &p.opt.MaxPeriod
	}
	if a != (tree.Attributes{}) && (p.opt.Report == ReportSend || reg.version < content.V12) {
		if err := reg.WriteAttributes(p.ctx, readingPath, a); err != nil {
			return err
		}
		a = tree.Attributes{}
	}
	if p.opt.Report == ReportSend {
		return nil
	}
	_, err := reg.ObserveWith(p.ctx, readingPath, a, p.opt.format(), func(resp *coap.Response) { p.received(c, reg, resp) })
	return err
}

// received is called for every notification.
func (p *Platform) received(c *client, reg *registration, resp *coap.Response) {
	nodes, err := nodesOf(resp, readingPath)
	if err == nil && !resp.IsSuccess() {
		err = errors.New(coap.CodeString(resp.Code))
	}
	if err == nil {
		err = p.reported(c, reg, nodes)
	}
	if err != nil {
		p.env.Record(clients.Event{Kind: clients.EventWarning, Detail: fmt.Sprintf("server: report: %v", err)})
	}
}

// reported takes a reading, however it came.
func (p *Platform) reported(c *client, reg *registration, nodes []model.Node) error {
	reg.wakefulness.hear()
	r, err := readingOf(nodes)
	if err != nil {
		return err
	}
	p.env.Record(clients.Event{Kind: clients.EventReport, Detail: fmt.Sprintf("%s: %d", reg.endpoint, r.Integer)})
	c.set(func(b *facts) { b.reading = r })
	p.arrivals.arrived(p.opt.id, reg.endpoint, r)
	return nil
}

// Connected implements clients.Platform: every server has explored the device.
func (p *Platform) Connected(ctx context.Context, device string) error {
	c := p.client(device)
	if c == nil {
		return fmt.Errorf("lwm2m: connect: %w", net.ErrClosed)
	}
	err := c.wait(ctx, func(b facts) bool { return b.reg != nil })
	if err == nil {
		err = c.get().regErr
	}
	if err != nil {
		return fmt.Errorf("lwm2m: connect: %w", err)
	}
	for _, q := range p.more {
		if err := q.Connected(ctx, device); err != nil {
			return err
		}
	}
	return nil
}

// Await implements clients.Platform.
func (p *Platform) Await(device string, r clients.Reading) (<-chan struct{}, error) {
	return p.arrivals.Await(device, r), nil
}

// connected is what the application knows of a device that has connected.
func (p *Platform) connected(device string) (*client, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.clients[device]; c != nil && c.get().reg != nil {
		return c, nil
	}
	return nil, fmt.Errorf("%s is not connected", device)
}

// Registration is a device as the server knows it. Its methods are the
// operations of the device management and information reporting interfaces.
type Registration = registration

// Registration is that of a device that has connected.
func (p *Platform) Registration(device string) (*Registration, error) {
	c, err := p.connected(device)
	if err != nil {
		return nil, fmt.Errorf("lwm2m: registration: %w", err)
	}
	return c.get().reg, nil
}

// Command implements clients.Platform.
func (p *Platform) Command(ctx context.Context, device string, value int64) error {
	c, err := p.connected(device)
	if err != nil {
		return fmt.Errorf("lwm2m: command: %w", err)
	}
	for {
		reg := c.get().reg
		err := reg.WriteText(ctx, readingPath.Child(objects.ReadingCommand), value)
		if errors.Is(err, errOver) && ctx.Err() == nil { // the device has rebooted, or the like
			if err = c.wait(ctx, func(b facts) bool { return b.reg != reg }); err == nil {
				continue
			}
		}
		if err != nil {
			return fmt.Errorf("lwm2m: command: %w", err)
		}
		return nil
	}
}

// Update implements clients.Platform.
func (p *Platform) Update(ctx context.Context, device string, img clients.Image) error {
	c, err := p.connected(device)
	if err == nil {
		u := &campaign{platform: p, client: c, uri: p.publish(img), image: img}
		err = u.run(ctx)
	}
	if err != nil {
		return fmt.Errorf("lwm2m: update: %w", err)
	}
	return nil
}

// publish offers an image and returns its URI, which is empty if it is to be
// pushed. Path and entity tag are cut from its digest, so that they have
// constant length.
func (p *Platform) publish(img clients.Image) string {
	path := packagePrefix + hex.EncodeToString(img.SHA256[:4])
	if p.opt.Delivery == HTTPSPull {
		p.files.Put(path, img.Data)
		return "https://" + p.env.At(portHTTPS).String() + path
	}
	if p.opt.Delivery == CoAPPush {
		return ""
	}
	p.packages.offer(path, &pack{img.Data, img.SHA256[:8]})
	tcp := ""
	if p.opt.Delivery == CoAPTCPPull {
		tcp = "+tcp"
	}
	if p.opt.Security == NoSec {
		return "coap" + tcp + "://" + p.env.At(portCoAP).String() + path
	}
	return "coaps" + tcp + "://" + p.env.At(portCoAPS).String() + path
}

// Restart implements clients.Platform. Registrations and packages are in the
// database; DTLS sessions are gone, so that devices have to shake hands again,
// which they find out by silence.
func (p *Platform) Restart(ctx context.Context) error {
	for _, q := range p.more {
		if err := q.Restart(ctx); err != nil {
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return fmt.Errorf("lwm2m: restart: %w", net.ErrClosed)
	}
	p.stop()
	if err := p.start(); err != nil {
		return fmt.Errorf("lwm2m: restart: %w", err)
	}
	return nil
}

// Close implements clients.Platform.
func (p *Platform) Close() error {
	p.quit()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.stop()
	p.registry.close()
	p.tasks.Wait()
	for _, q := range p.more {
		_ = q.Close() // there is never an error
	}
	return nil
}
