package lwm2m

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
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
	security, server, err := s.account(name)
	if err != nil {
		return err
	}
	write := func(nodes []model.Node) (*coap.Request, error) {
		at := nodes[0].Path.Up(model.DepthInstance)
		payload, err := content.Encode(format, at, nodes)
		return coap.NewRequest(codes.PUT, at.String()).WithPayload(format, payload), err
	}
	first, err := write(security)
	if err != nil {
		return err
	}
	second, err := write(server)
	if err != nil {
		return err
	}
	for _, step := range []struct {
		what string
		req  *coap.Request
		want codes.Code
	}{
		// Not "/", which would take what the device measures, too.
		{"delete", coap.NewRequest(codes.DELETE, model.NewPath(objects.Security.ID).String()), codes.Deleted},
		{"delete", coap.NewRequest(codes.DELETE, model.NewPath(objects.Server.ID).String()), codes.Deleted},
		{"write", first, codes.Changed},
		{"write", second, codes.Changed},
		{"finish", coap.NewRequest(codes.POST, bootstrapPath), codes.Changed},
	} {
		ctx, cancel := context.WithTimeout(ctx, bootstrapTimeout)
		resp, err := conn.Do(ctx, step.req)
		cancel()
		if _, err := checked(step.what, resp, err, step.want); err != nil {
			return err
		}
	}
	return nil
}

// pack is the account as one representation (Core 1.2 section 6.1.7.3).
func (s *bootstrapServer) pack(name string, format message.MediaType) *coap.Response {
	security, server, err := s.account(name)
	if err != nil {
		return coap.Status(codes.InternalServerError)
	}
	payload, err := content.Encode(format, model.Path{}, append(security, server...))
	if err != nil {
		return coap.Status(codes.NotAcceptable)
	}
	return coap.NewResponse(codes.Content, format, payload)
}

// Instances that the bootstrap server writes: the device's own account with it
// is security instance 0.
const (
	accountSecurity = 1
	accountServer   = 0
)

// account is what a device needs at the platform's server.
func (s *bootstrapServer) account(name string) (security, server []model.Node, err error) {
	v := model.Values{
		objects.SecurityURI:       s.opt.uri(s.env.At(s.opt.port()), s.opt.Binding),
		objects.SecurityBootstrap: false,
		objects.SecurityMode:      s.opt.mode(),
		objects.SecurityIdentity:  []byte{}, objects.SecurityServerKey: []byte{}, objects.SecuritySecretKey: []byte{},
		objects.SecurityShortID: int64(shortServerID),
	}
	switch s.opt.Security {
	case PSK:
		key, err := s.opt.key(s.env, s.opt.identity(name))
		if err != nil {
			return nil, nil, err
		}
		v[objects.SecurityIdentity], v[objects.SecuritySecretKey] = []byte(s.opt.identity(name)), key
	case Certificate: // the device keeps its own
		m := s.env.PKI
		v[objects.SecurityIdentity], v[objects.SecuritySecretKey] = m.Device.Chain[0], m.Device.Key
		v[objects.SecurityServerKey] = m.Root
		if s.opt.Version != content.V10 { // without it the key is the server's own certificate
			v[objects.SecurityCertificateUsage] = uint64(trustAnchor)
		}
	}
	return model.Nodes(model.NewPath(objects.Security.ID, accountSecurity), v),
		model.Nodes(model.NewPath(objects.Server.ID, accountServer), model.Values{
			objects.ServerShortID: int64(shortServerID), objects.ServerLifetime: int64(s.opt.Lifetime / time.Second),
			objects.ServerStoring: false, objects.ServerBinding: s.opt.Binding,
		}), nil
}
