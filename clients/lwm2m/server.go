package lwm2m

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/clients/dgram"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
)

// Ports of LwM2M over UDP.
const (
	portCoAP  = 5683
	portCoAPS = 5684
)

// Constants that keep the generators of one seed apart.
const (
	streamServerIDs = iota + 1
	streamServerCoAP
	streamDeviceCoAP
	streamServerTCP
	streamBootstrap
)

// generator is the n-th of a stream of random numbers.
func generator(seed uint64, stream, n int) *rand.Rand {
	return rand.New(rand.NewPCG(seed, 0x6c776d326d<<24|uint64(stream)<<16|uint64(n))) // "lwm2m"
}

// server is the platform: it accepts sessions, keeps registrations and serves
// packages.
type server struct {
	opt  *Options
	env  *clients.Env
	pc   net.PacketConn
	mux  *mux
	cred credentials
	ids  *dgram.IDs
	*registry

	ctx    context.Context
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	packages *packages
	// sent is told what devices send unasked, and may refuse.
	sent func(*registration, []model.Node) error

	mu       sync.Mutex
	accepted int
	warned   bool
	greeting int  // peers whose handshake is under way
	present  int  // and those with a session
	flooded  bool // told
	full     bool // told: of registrations
}

// Limits of a server. Whoever sends ClientHellos from addresses that are not its
// own holds a place until the handshake's time-out: devices that come meanwhile
// may have to try again, but memory is bounded.
const (
	maxGreeting = 1_000
	maxPresent  = 20_000
)

// packages are the firmware packages that a server offers over CoAP, by path.
type packages struct {
	mu     sync.Mutex
	byPath map[string]*pack
}

// pack is a firmware package that the server offers over CoAP.
type pack struct {
	data []byte
	etag []byte // 8 bytes
}

// newServer starts a server on a database: registrations and packages. accepted
// is how many sessions earlier servers of the run had, that it draws other
// message IDs, tokens and connection IDs than they did.
func newServer(opt *Options, env *clients.Env, reg *registry, packages *packages, sent func(*registration, []model.Node) error, accepted int) (*server, error) {
	s := &server{opt: opt, env: env, registry: reg, packages: packages, sent: sent, accepted: accepted}
	var err error
	if s.cred, err = opt.platformCredentials(env, new(dgram.Sessions)); err != nil {
		return nil, err
	}
	pc, err := env.Platform.ListenPacket("udp", env.At(opt.port()).String())
	if err != nil {
		return nil, err
	}
	s.pc, s.mux = pc, dgram.NewMux(pc, opt.secure())
	s.mux.Accepted, s.mux.Drop = s.accept, s.dropped
	s.ids = &dgram.IDs{Rand: generator(env.Seed, streamServerIDs, accepted), Mux: s.mux}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.tasks.Go(func() {
		if err := s.mux.Serve(); err != nil {
			s.warn("the server's socket failed: %v", err)
		}
	})
	return s, nil
}

func hostPort(h clients.Host, port int) string {
	return net.JoinHostPort(h.Addr().String(), fmt.Sprint(port))
}

func (s *server) warn(format string, args ...any) {
	s.env.Record(clients.Event{Kind: clients.EventWarning, Detail: fmt.Sprintf(format, args...)})
}

// dropped tells, once, of datagrams that belong to no session: a device whose
// address changed, or one that begins with another record version than DTLS
// 1.0 or 1.2, as some builds of mbedTLS do.
func (s *server) dropped(from net.Addr, d []byte) {
	s.mu.Lock()
	first := !s.warned
	s.warned = true
	s.mu.Unlock()
	if first {
		s.warn("server: ignored a datagram of %d bytes from %v, which has no session and does not begin one", len(d), from)
	}
}

// enter takes a place for a new peer, if there is one; what is refused is told
// once.
func (s *server) enter(p *peer) bool {
	s.mu.Lock()
	free := s.greeting < maxGreeting && s.present < maxPresent
	first := !free && !s.flooded
	s.flooded = s.flooded || !free
	if free {
		s.greeting++
		s.present++
	}
	s.mu.Unlock()
	if first {
		s.warn("server: no place for %v: at most %d handshakes at once, and %d sessions", p.Addr, maxGreeting, maxPresent)
	}
	return free
}

// greeted ends a handshake, left a session.
func (s *server) greeted() { s.mu.Lock(); s.greeting--; s.mu.Unlock() }
func (s *server) left()    { s.mu.Lock(); s.present--; s.mu.Unlock() }

// accept begins the session of a new peer.
func (s *server) accept(p *peer) {
	if !s.enter(p) {
		_ = p.Close()
		return
	}
	s.tasks.Go(func() {
		defer p.Close()
		defer s.left()
		err := s.serve(p)
		if err != nil && s.ctx.Err() == nil {
			s.env.Record(clients.Event{Kind: clients.EventState, Detail: fmt.Sprintf("server: session of %v ended: %v", p.Addr, err)})
		}
	})
}

func (s *server) serve(p *peer) error {
	var conn net.Conn = p
	identity := ""
	if s.opt.secure() {
		var newID func(*peer) []byte
		if s.opt.ConnectionID {
			newID = s.ids.Next
		}
		secure, err := dgram.Accept(s.ctx, p, s.cred, s.opt.DTLS.Platform, newID)
		s.greeted()
		if err != nil {
			return err
		}
		if identity, err = dgram.PeerName(secure); err != nil {
			return err
		}
		identity = s.opt.endpoint(identity, s.env.DeviceName())
		conn = secure
	} else {
		s.greeted()
	}
	return s.converse(conn, identity)
}

// converse serves one peer until its session ends.
func (s *server) converse(conn net.Conn, identity string) error {
	cfg := s.opt.CoAP.Platform
	s.mu.Lock()
	s.accepted++
	cfg.Rand = generator(s.env.Seed, streamServerCoAP, s.accepted)
	s.mu.Unlock()
	c := coap.NewConn(conn, cfg, coap.HandlerFunc(func(_ context.Context, r *coap.Request) *coap.Response {
		return s.answer(r, identity)
	}))
	if err := c.Serve(); !errors.Is(err, io.EOF) {
		return err
	}
	return nil // closed by the device
}

// answer is the server's side of registration, and its packages.
func (s *server) answer(r *coap.Request, identity string) *coap.Response {
	path := r.Path()
	location := strings.HasPrefix(path, "/rd/")
	switch {
	case location && !r.Holds(s.find(path, identity) != nil), (path == "/rd" || path == sendPath) && !r.Holds(true):
		return coap.Status(codes.PreconditionFailed)
	case path == "/rd" && r.Code == codes.POST:
		resp := s.register(r, identity)
		if resp.Code == codes.ServiceUnavailable {
			s.overfull()
		}
		return resp
	case location && r.Code == codes.POST:
		return s.update(r, identity)
	case location && r.Code == codes.DELETE:
		return s.deregister(r, identity)
	case path == sendPath && r.Code == codes.POST:
		return s.receive(r)
	case strings.HasPrefix(path, packagePrefix) && r.Code == codes.GET:
		return s.packages.serve(r)
	case path == "/rd", path == sendPath, location, strings.HasPrefix(path, packagePrefix):
		return coap.Status(codes.MethodNotAllowed)
	}
	return coap.Status(codes.NotFound)
}

// overfull tells, once, that a registration was refused.
func (s *server) overfull() {
	s.mu.Lock()
	first := !s.full
	s.full = true
	s.mu.Unlock()
	if first {
		s.warn("server: no place for a registration: at most %d", maxPresent)
	}
}

// packagePrefix begins the paths of packages.
const packagePrefix = "/fw/"

// offer makes a package available under a path.
func (s *packages) offer(path string, p *pack) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byPath[path] = p
}

func (s *packages) get(path string) *pack {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byPath[path]
}

// serve answers a GET.
func (s *packages) serve(r *coap.Request) *coap.Response {
	p := s.get(r.Path())
	switch {
	case p == nil:
		return coap.Status(codes.NotFound)
	case !r.Holds(true, p.etag):
		return coap.Status(codes.PreconditionFailed)
	}
	resp := coap.Status(codes.Content)
	resp.SetETag(p.etag)
	resp.SetContentFormat(coap.Octets)
	resp.Body, resp.Size = bytes.NewReader(p.data), int64(len(p.data))
	return resp
}

// sessions counts those that were accepted, by earlier servers of the run, too.
func (s *server) sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted
}

// close ends all sessions, without a word to the devices. The database stays.
func (s *server) close() {
	_ = s.pc.Close() // it may have vanished
	s.cancel()
	s.mux.Close()
	s.tasks.Wait()
}
