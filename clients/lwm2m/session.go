package lwm2m

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
	"github.com/thinlink/thinlink/clients/lwm2m/tree"
	"sync"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/clients/httpfile"
)

// stack implements clients.Stack.
type stack struct{ opt Options }

// Start implements clients.Stack.
func (st *stack) Start(_ context.Context, env *clients.Env) (clients.Session, error) {
	if env.PKI == nil && (st.opt.Security == Certificate || st.opt.Delivery == HTTPSPull) {
		return nil, errors.New("lwm2m: start: security or delivery needs certificates, and there are none")
	}
	s := &session{opt: &st.opt, env: env, news: make(chan *registration, 1)}
	s.board = newBoard()
	if err := s.start(); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("lwm2m: start: %w", err)
	}
	return s, nil
}

// session implements clients.Session: device and server, and the server's
// application, which observes the device.
type session struct {
	opt *Options
	env *clients.Env

	// The platform's database, which survives its restart.
	registry *registry
	packages *packages
	files    httpfile.Files

	mu        sync.Mutex
	device    *device
	server    *server
	stopFiles func() error // ends the TCP server of packages, if there is one
	last      clients.Reading
	offs      int // how often the power was cut
	closed    bool

	// news has the newest registration that manage has not seen.
	news  chan *registration
	ctx   context.Context
	quit  context.CancelFunc
	tasks sync.WaitGroup
	board *board
}

func (s *session) start() (err error) {
	s.ctx, s.quit = context.WithCancel(context.Background())
	s.registry = newRegistry(s.opt.RetryCount, s.registered, s.expired)
	s.packages = &packages{byPath: make(map[string]*pack)}
	if err := s.startPlatform(); err != nil {
		return err
	}
	if s.device, err = newDevice(s.opt, s.env, s.powerCycle); err != nil {
		return err
	}
	s.tasks.Go(s.manage)
	return nil
}

func (s *session) startPlatform() (err error) {
	accepted := 0
	if s.server != nil {
		accepted = s.server.sessions()
	}
	if s.server, err = newServer(s.opt, s.env, s.registry, s.packages, accepted); err != nil {
		return err
	}
	switch s.opt.Delivery {
	case HTTPSPull:
		s.stopFiles, err = s.serveFiles()
	case CoAPTCPPull:
		s.stopFiles, err = s.serveStreams()
	}
	return err
}

// serveFiles starts the HTTPS server of packages.
func (s *session) serveFiles() (stop func() error, err error) {
	cred, err := newCredentials(s.env.PKI, s.env.PKI.Server)
	if err != nil {
		return nil, err
	}
	ln, err := s.env.Platform.Listen("tcp", hostPort(s.env.Platform, portHTTPS))
	if err != nil {
		return nil, err
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{cred.cert}, MaxVersion: tlsVersions[s.opt.TLSVersion]}
	return httpfile.Serve(ln, cfg, &s.files), nil
}

// stopPlatform ends the servers. Errors of sockets that have vanished are of
// no interest.
func (s *session) stopPlatform() {
	if s.stopFiles != nil {
		_ = s.stopFiles()
		s.stopFiles = nil
	}
	if s.server != nil {
		s.server.close()
	}
}

// registered is told by the server, which must not wait.
func (s *session) registered(reg *registration) {
	select {
	case <-s.news: // outdated
	default:
	}
	s.news <- reg
}

func (s *session) expired(reg *registration) {
	s.env.Record(clients.Event{Kind: clients.EventWarning, Detail: "server: registration of " + reg.endpoint + " expired"})
}

// manage is the server's application: it looks at every new registration and
// observes it.
func (s *session) manage() {
	for {
		select {
		case <-s.ctx.Done():
			return
		case reg := <-s.news:
			err := sleep(s.ctx, reaction)
			if err == nil {
				err = s.explore(reg)
			}
			s.board.set(func(b *facts) { b.reg, b.regErr = reg, err })
			if err != nil && s.ctx.Err() == nil {
				s.env.Record(clients.Event{Kind: clients.EventState, Detail: fmt.Sprintf("server: %v", err)})
			}
		}
	}
}

// explore is what a server does with a device that has registered: it
// discovers what it needs and observes the readings.
func (s *session) explore(reg *registration) error {
	for _, object := range []*model.Object{objects.Device, objects.Reading} {
		if !reg.offers(model.NewPath(object.ID)) {
			return fmt.Errorf("the device does not offer object %d", object.ID)
		}
		if _, err := reg.Discover(s.ctx, model.NewPath(object.ID)); err != nil {
			return err
		}
	}
	var a tree.Attributes
	if s.opt.MinPeriod > 0 {
		a.MinPeriod = &s.opt.MinPeriod
	}
	if s.opt.MaxPeriod > 0 {
		a.MaxPeriod = &s.opt.MaxPeriod
	}
	if a != (tree.Attributes{}) {
		if err := reg.WriteAttributes(s.ctx, readingPath, a); err != nil {
			return err
		}
	}
	_, err := reg.Observe(s.ctx, readingPath, content.TLV, s.received)
	return err
}

// received is called for every report.
func (s *session) received(resp *coap.Response) {
	r, err := parseReading(resp.Payload)
	if err != nil || !resp.IsSuccess() {
		s.env.Record(clients.Event{Kind: clients.EventWarning, Detail: fmt.Sprintf("server: report %s: %v", coap.CodeString(resp.Code), err)})
		return
	}
	s.env.Record(clients.Event{Kind: clients.EventReport, Detail: fmt.Sprintf("%d", r.Integer)})
	s.board.set(func(b *facts) { b.reading, b.reports = r, b.reports+1 })
}

// Connect implements clients.Session.
func (s *session) Connect(ctx context.Context, first clients.Reading) error {
	if err := s.sense(first).connect(ctx); err != nil {
		return fmt.Errorf("lwm2m: connect: %w", err)
	}
	err := s.board.wait(ctx, func(b facts) bool { return b.reg != nil })
	if err == nil {
		err = s.board.get().regErr
	}
	if err != nil {
		return fmt.Errorf("lwm2m: connect: %w", err)
	}
	return nil
}

// sense gives the device a new reading.
func (s *session) sense(r clients.Reading) *device {
	s.mu.Lock()
	s.last = r
	d := s.device
	s.mu.Unlock()
	d.set(r)
	return d
}

// Report implements clients.Session.
func (s *session) Report(ctx context.Context, r clients.Reading) error {
	before := s.board.get().reports
	s.sense(r)
	bounded, cancel := ctx, context.CancelFunc(func() {})
	if s.opt.Notify == NotifyNon {
		bounded, cancel = context.WithTimeout(ctx, s.opt.ReportWait)
	}
	defer cancel()
	err := s.board.wait(bounded, func(b facts) bool { return b.reports > before && b.reading == r })
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("lwm2m: report: %w", context.Cause(ctx))
	}
	s.env.Record(clients.Event{Kind: clients.EventWarning, Detail: fmt.Sprintf("server: report %d had not arrived after %v", r.Integer, s.opt.ReportWait)})
	return nil
}

// Command implements clients.Session.
func (s *session) Command(ctx context.Context, value int64) error {
	for {
		reg := s.board.get().reg
		if reg == nil {
			return errors.New("lwm2m: command: not connected")
		}
		err := reg.WriteText(ctx, readingPath.Child(objects.ReadingCommand), value)
		if errors.Is(err, errOver) && ctx.Err() == nil { // the device has rebooted, or the like
			if err = s.board.wait(ctx, func(b facts) bool { return b.reg != reg }); err == nil {
				continue
			}
		}
		if err != nil {
			return fmt.Errorf("lwm2m: command: %w", err)
		}
		return nil
	}
}

// Update implements clients.Session.
func (s *session) Update(ctx context.Context, img clients.Image) error {
	u := &campaign{session: s, uri: s.publish(img), image: img}
	s.mu.Lock()
	err := s.device.update.expect(img)
	s.mu.Unlock()
	if err == nil {
		err = u.run(ctx)
	}
	if err != nil {
		return fmt.Errorf("lwm2m: update: %w", err)
	}
	return nil
}

// publish offers an image and returns its URI, which is empty if it is to be
// pushed. Path and entity tag are cut
// from its digest, so that they have constant length.
func (s *session) publish(img clients.Image) string {
	path := packagePrefix + hex.EncodeToString(img.SHA256[:4])
	host := s.env.Platform
	if s.opt.Delivery == HTTPSPull {
		s.files.Put(path, img.Data)
		return "https://" + hostPort(host, portHTTPS) + path
	}
	if s.opt.Delivery == CoAPPush {
		return ""
	}
	s.packages.offer(path, &pack{img.Data, img.SHA256[:8]})
	tcp := ""
	if s.opt.Delivery == CoAPTCPPull {
		tcp = "+tcp"
	}
	if s.opt.Security == NoSec {
		return "coap" + tcp + "://" + hostPort(host, portCoAP) + path
	}
	return "coaps" + tcp + "://" + hostPort(host, portCoAPS) + path
}

// Close implements clients.Session.
func (s *session) Close() error {
	s.quit()
	s.mu.Lock()
	s.closed = true
	d := s.device
	s.mu.Unlock()
	if d != nil {
		d.close()
	}
	s.stopPlatform()
	s.registry.close()
	s.tasks.Wait()
	return nil
}
