package lwm2m

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/clients/dgram"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
)

// bootstrapServer gives devices their accounts at the platform's server.
type bootstrapServer struct {
	opt *Options
	env *clients.Env
	srv *dgram.Server

	mu       sync.Mutex
	accepted int
}

// serveBootstrap starts the bootstrap server, which knows devices by the same
// credentials as the server does.
func (p *Platform) serveBootstrap() (*bootstrapServer, error) {
	s := &bootstrapServer{opt: p.opt, env: p.env}
	port, secure := uint16(portBootstrap), (*credentials)(nil)
	if p.opt.secure() {
		cred, err := p.opt.platformCredentials(p.env, new(dgram.Sessions))
		if err != nil {
			return nil, err
		}
		port, secure = portBootstraps, &cred
	}
	pc, err := p.env.Platform.ListenPacket("udp", p.env.At(port).String())
	if err != nil {
		return nil, err
	}
	s.srv = dgram.NewServer(pc, secure, p.opt.DTLS.Platform, s.serve, func(text string) {
		p.env.Record(clients.Event{Kind: clients.EventWarning, Detail: "bootstrap server: " + text})
	})
	return s, nil
}

func (s *bootstrapServer) close() { _ = s.srv.Close() }

// serve serves one device until its session ends.
func (s *bootstrapServer) serve(conn net.Conn, identity string) error {
	cfg := s.opt.CoAP.Platform
	s.mu.Lock()
	s.accepted++
	cfg.Rand = generator(s.env.Seed, streamBootstrap, s.accepted)
	s.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	var acting sync.WaitGroup
	c := coap.NewConn(conn, cfg, coap.HandlerFunc(func(_ context.Context, r *coap.Request) *coap.Response {
		name, format, refusal := s.asked(r, identity)
		switch {
		case refusal != nil:
			return refusal
		case r.Path() == packPath:
			return s.pack(name, format)
		}
		conn := r.Conn()
		acting.Go(func() {
			if err := s.act(ctx, conn, name, format); err != nil && ctx.Err() == nil {
				s.env.Record(clients.Event{Kind: clients.EventWarning, Detail: fmt.Sprintf("bootstrap server: %s: %v", name, err)})
			}
		})
		return coap.Status(codes.Changed)
	}))
	err := c.Serve()
	cancel()
	acting.Wait()
	if errors.Is(err, io.EOF) {
		return nil // closed by the device
	}
	return err
}

// asked reads Bootstrap-Request and Bootstrap-Pack-Request: who asks, and in
// which format it wants its account.
func (s *bootstrapServer) asked(r *coap.Request, identity string) (name string, format message.MediaType, refusal *coap.Response) {
	format = content.TLV
	switch {
	case r.Path() == bootstrapPath && r.Code == codes.POST:
	case r.Path() == packPath && r.Code == codes.GET:
		accept, asked := r.Accept()
		if format = content.SenMLCBOR; asked {
			format = accept
		}
		if !content.Composite(format) {
			return "", 0, coap.Status(codes.NotAcceptable)
		}
	default:
		return "", 0, coap.Status(codes.NotFound)
	}
	for _, q := range r.Queries() {
		key, value, _ := strings.Cut(q, "=")
		switch key {
		case "ep":
			name = value
		case "pct":
			n, err := strconv.ParseUint(value, 10, 16)
			if err != nil {
				return "", 0, coap.Status(codes.BadRequest)
			}
			if f := message.MediaType(n); content.Supported(content.V12, f) && !content.Single(f) {
				format = f
			}
		}
	}
	switch {
	case name == "":
		return "", 0, coap.Status(codes.BadRequest)
	case identity != "" && s.opt.endpoint(identity, s.env.DeviceName()) != name:
		return "", 0, coap.Status(codes.BadRequest) // Transport 1.1 table 6.4.3-1 has no 4.03 here
	}
	return name, format, nil
}

// act removes what the device has and writes its account (section 6.1.3.1).
func (s *bootstrapServer) act(ctx context.Context, conn *coap.Conn, name string, format message.MediaType) error {
	if err := sleep(ctx, reaction); err != nil { // the response goes first
		return err
	}
	accounts, err := s.accounts(name)
	if err != nil {
		return err
	}
	type step struct {
		what string
		req  *coap.Request
		want codes.Code
	}
	steps := []step{
		// Not "/", which would take what the device measures, too.
		{"delete", coap.NewRequest(codes.DELETE, model.NewPath(objects.Security.ID).String()), codes.Deleted},
		{"delete", coap.NewRequest(codes.DELETE, model.NewPath(objects.Server.ID).String()), codes.Deleted},
	}
	for _, nodes := range accounts {
		at := nodes[0].Path.Up(model.DepthInstance)
		payload, err := content.Encode(format, at, nodes)
		if err != nil {
			return err
		}
		steps = append(steps, step{"write", coap.NewRequest(codes.PUT, at.String()).WithPayload(format, payload), codes.Changed})
	}
	for _, step := range append(steps, step{"finish", coap.NewRequest(codes.POST, bootstrapPath), codes.Changed}) {
		ctx, cancel := context.WithTimeout(ctx, bootstrapTimeout)
		resp, err := conn.Do(ctx, step.req)
		cancel()
		if _, err := checked(step.what, resp, err, step.want); err != nil {
			return err
		}
	}
	return nil
}

// pack is all accounts as one representation (Core 1.2 section 6.1.7.3).
func (s *bootstrapServer) pack(name string, format message.MediaType) *coap.Response {
	accounts, err := s.accounts(name)
	if err != nil {
		return coap.Status(codes.InternalServerError)
	}
	payload, err := content.Encode(format, model.Path{}, slices.Concat(accounts...))
	if err != nil {
		return coap.Status(codes.NotAcceptable)
	}
	return coap.NewResponse(codes.Content, format, payload)
}

// accounts are what a device needs at its servers: instance by instance, of the
// security object from 1 on, since 0 is the device's account with the bootstrap
// server, and of the server object from 0 on.
func (s *bootstrapServer) accounts(name string) (instances [][]model.Node, err error) {
	for i, id := range s.opt.servers() {
		security, err := s.security(id, name)
		if err != nil {
			return nil, err
		}
		instances = append(instances,
			model.Nodes(model.NewPath(objects.Security.ID, uint16(i+1)), security),
			model.Nodes(model.NewPath(objects.Server.ID, uint16(i)), s.server(id)))
	}
	return instances, nil
}

// server are the values of the server object for a server. The failure of one of
// several is no reason to bootstrap again.
func (s *bootstrapServer) server(id uint16) model.Values {
	o := s.opt.server(id)
	v := model.Values{
		objects.ServerShortID: int64(id), objects.ServerLifetime: int64(o.Lifetime / time.Second),
		objects.ServerStoring: false, objects.ServerBinding: o.Binding,
	}
	if o.Version != content.V10 {
		maps.Copy(v, o.Turn.values())
		if len(s.opt.MoreServers) > 0 {
			v[objects.ServerBootstrapOnFailure] = false
		}
	}
	return v
}

// security are the values of the security object for a server.
func (s *bootstrapServer) security(id uint16, name string) (model.Values, error) {
	o := s.opt.server(id)
	v := model.Values{
		objects.SecurityURI:       o.uri(serverEnv(s.env, id).At(o.port()), o.Binding),
		objects.SecurityBootstrap: false,
		objects.SecurityMode:      o.mode(),
		objects.SecurityIdentity:  []byte{}, objects.SecurityServerKey: []byte{}, objects.SecuritySecretKey: []byte{},
		objects.SecurityShortID: int64(id),
	}
	switch o.Security {
	case PSK:
		key, err := o.key(s.env, o.identity(name))
		if err != nil {
			return nil, err
		}
		v[objects.SecurityIdentity], v[objects.SecuritySecretKey] = []byte(o.identity(name)), key
	case Certificate: // the device keeps its own
		m := s.env.PKI
		v[objects.SecurityIdentity], v[objects.SecuritySecretKey] = m.Device.Chain[0], m.Device.Key
		v[objects.SecurityServerKey] = m.Root
		if o.Version != content.V10 { // without it the key is the server's own certificate
			v[objects.SecurityCertificateUsage] = uint64(trustAnchor)
		}
	}
	return v, nil
}
