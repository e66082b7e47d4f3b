package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/clients/dgram"
	"github.com/thinlink/thinlink/clients/pki"
	"github.com/thinlink/thinlink/clients/reading"
)

// CoAPOptions configure plain CoAP.
type CoAPOptions struct {
	Security    string        `conf:"security" doc:"UDP in the clear, or DTLS 1.2 with certificates on both sides" enum:"nosec,certificate"`
	PKI         pki.Options   `conf:"pki" doc:"keys and certificates"`
	DTLS        dgram.Config  `conf:"dtls" doc:"DTLS of both ends"`
	CoAP        coap.Config   `conf:"coap" doc:"CoAP of both ends"`
	Confirmable bool          `conf:"confirmable" doc:"reports are confirmable"`
	Encoding    string        `conf:"encoding" doc:"encoding of reports and commands" enum:"json,cbor,protobuf"`
	ReportWait  time.Duration `conf:"report_wait" doc:"time after which a report that is not confirmable counts as lost and is sent again" min:"1s"`
}

// DefaultCoAPOptions are confirmable JSON over DTLS, with LwM2M's certificates.
func DefaultCoAPOptions() CoAPOptions {
	return CoAPOptions{
		Security: "certificate", PKI: pki.Options{Key: pki.P256, Chain: 1, DevicePadding: 400}, DTLS: dgram.DefaultConfig(),
		Confirmable: true, Encoding: "json", ReportWait: 25 * time.Second,
	}
}

func (o *CoAPOptions) check() error {
	if o.Security == "certificate" && o.PKI.Key != pki.P256 {
		return fmt.Errorf("pki.key %q: the cipher suite needs p256", o.PKI.Key)
	}
	if o.ReportWait < time.Second {
		return fmt.Errorf("report_wait %v: want at least 1s", o.ReportWait)
	}
	return errors.Join(checkNames(o.Security, o.Encoding), o.DTLS.Validate(), o.CoAP.Validate())
}

func checkNames(security, encoding string) error {
	if security != "nosec" && security != "certificate" {
		return fmt.Errorf("security %q: want nosec or certificate", security)
	}
	switch reading.Format(encoding) {
	case reading.JSON, reading.CBOR, reading.Protobuf:
		return nil
	}
	return fmt.Errorf("encoding %q: want json, cbor or protobuf", encoding)
}

// NewCoAP makes a stack, or says what is wrong with the options.
func NewCoAP(opt CoAPOptions) (clients.Stack, error) {
	if err := opt.check(); err != nil {
		return nil, fmt.Errorf("coap: %w", err)
	}
	return coapStack{&opt}, nil
}

type coapStack struct{ opt *CoAPOptions }

// port is 5683, or 5684 with DTLS (RFC 7252 sections 6.1 and 6.2).
func (o *CoAPOptions) port() uint16 {
	if o.Security == "certificate" {
		return 5684
	}
	return 5683
}

// generator is the n-th of one end's random numbers.
func generator(seed uint64, end, n int) *rand.Rand {
	return rand.New(rand.NewPCG(seed, 0x636f6170<<24|uint64(end)<<16|uint64(n))) // "coap"
}

// contentFormats are those of the encodings; Protobuf has none, so it is
// application/octet-stream (RFC 7252 section 12.3).
var contentFormats = map[reading.Format]message.MediaType{
	reading.JSON: message.AppJSON, reading.CBOR: message.AppCBOR, reading.Protobuf: message.AppOctets,
}

// NewPlatform implements clients.Stack.
func (s coapStack) NewPlatform(env *clients.Env) (clients.Platform, error) {
	p := &coapPlatform{opt: s.opt, env: env, devices: map[string]*coap.Conn{}}
	if err := p.start(); err != nil {
		return nil, errors.Join(fmt.Errorf("coap: platform: %w", err), p.Close())
	}
	return p, nil
}

// coapPlatform implements clients.Platform.
type coapPlatform struct {
	opt      *CoAPOptions
	env      *clients.Env
	arrivals clients.Arrivals
	updates  updates
	server   *dgram.Server

	mu       sync.Mutex
	devices  map[string]*coap.Conn // the newest of each
	accepted int
}

func (p *coapPlatform) warn(text string) {
	p.env.Record(clients.Event{Kind: clients.EventWarning, Detail: text})
}

func (p *coapPlatform) start() error {
	var cred *dgram.Credentials
	if p.opt.Security == "certificate" {
		c, err := dgram.NewCredentials(p.env.PKI, p.env.PKI.Server)
		if err != nil {
			return err
		}
		cred = &c
	}
	pc, err := p.env.Platform.ListenPacket("udp", p.env.At(p.opt.port()).String())
	if err != nil {
		return err
	}
	p.server = dgram.NewServer(pc, cred, p.opt.DTLS, p.serve, p.warn)
	return nil
}

// serve serves one device, which its certificate names; without one it is the
// device that Env names.
func (p *coapPlatform) serve(conn net.Conn, name string) error {
	if name == "" {
		name = p.env.DeviceName()
	}
	cfg := p.opt.CoAP
	p.mu.Lock()
	p.accepted++
	cfg.Rand = generator(p.env.Seed, 1, p.accepted)
	c := coap.NewConn(conn, cfg, coap.HandlerFunc(func(_ context.Context, r *coap.Request) *coap.Response {
		return p.answer(name, r)
	}))
	p.devices[name] = c
	p.mu.Unlock()
	if err := c.Serve(); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

func (p *coapPlatform) answer(device string, r *coap.Request) *coap.Response {
	switch path := r.Path(); {
	case path == "/report" && r.Code == codes.POST:
		v, err := reading.Format(p.opt.Encoding).ParseReading(r.Payload)
		if err != nil {
			p.warn("report: " + err.Error())
			return coap.Status(codes.BadRequest)
		}
		p.env.Record(clients.Event{Kind: clients.EventReport, Detail: path})
		p.arrivals.Arrived(device, v)
		return coap.Status(codes.Changed)
	case path == "/status" && r.Code == codes.POST:
		if p.updates.end(r.Payload) != nil {
			return coap.Status(codes.BadRequest)
		}
		return coap.Status(codes.Changed)
	case strings.HasPrefix(path, "/firmware/") && r.Code == codes.GET:
		if data, ok := p.updates.image(path); ok {
			return coap.NewResponse(codes.Content, message.AppOctets, data)
		}
	}
	return coap.Status(codes.NotFound)
}

// put sends something to a device.
func (p *coapPlatform) put(ctx context.Context, device, path string, format message.MediaType, payload []byte) error {
	p.mu.Lock()
	c := p.devices[device]
	p.mu.Unlock()
	if c == nil {
		return fmt.Errorf("device %s is not known", device)
	}
	resp, err := c.Do(ctx, coap.NewRequest(codes.PUT, path).WithPayload(format, payload))
	if err == nil && !resp.IsSuccess() {
		err = fmt.Errorf("PUT %s: %v", path, resp.Code)
	}
	return err
}

func (p *coapPlatform) Connected(context.Context, string) error { return nil }

func (p *coapPlatform) Await(device string, r clients.Reading) (<-chan struct{}, error) {
	return p.arrivals.Await(device, r), nil
}

func (p *coapPlatform) Command(ctx context.Context, device string, value int64) error {
	f := reading.Format(p.opt.Encoding)
	if err := p.put(ctx, device, "/command", contentFormats[f], f.Command(value)); err != nil {
		return fmt.Errorf("coap: command: %w", err)
	}
	return nil
}

func (p *coapPlatform) Update(ctx context.Context, device string, img clients.Image) error {
	o, ended := p.updates.begin(img)
	err := p.put(ctx, device, "/update", message.AppJSON, encode(o))
	if err == nil {
		err = wait(ctx, ended)
	}
	if err != nil {
		return fmt.Errorf("coap: update: %w", err)
	}
	return nil
}

func (p *coapPlatform) Restart(ctx context.Context) error {
	if err := errors.Join(p.Close(), p.start()); err != nil {
		return fmt.Errorf("coap: restart platform: %w", err)
	}
	return ctx.Err()
}

func (p *coapPlatform) Close() error {
	if p.server == nil {
		return nil
	}
	p.mu.Lock()
	for _, c := range p.devices {
		c.Close()
	}
	p.mu.Unlock()
	if err := p.server.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// NewDevice implements clients.Stack.
func (s coapStack) NewDevice(env *clients.Env) (clients.Device, error) {
	d := &coapDevice{opt: s.opt, end: end{env: env, format: reading.Format(s.opt.Encoding), commands: make(chan int64, 16)}}
	d.end.install, d.end.report = d.fetch, d.status
	if s.opt.Security == "certificate" {
		var err error
		if d.cred, err = dgram.NewCredentials(env.PKI, env.PKI.Device); err != nil {
			return nil, fmt.Errorf("coap: device: %w", err)
		}
	}
	d.boot()
	return d, nil
}

// coapDevice implements clients.Device.
type coapDevice struct {
	end
	opt  *CoAPOptions
	cred dgram.Credentials

	mu      sync.Mutex
	conn    *coap.Conn
	socket  io.Closer
	dialled int
}

// session is the association with the platform, a new one if there is none.
func (d *coapDevice) session(ctx context.Context) (*coap.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conn != nil {
		return d.conn, nil
	}
	to := d.env.At(d.opt.port())
	var conn net.Conn
	if d.opt.Security == "certificate" {
		pc, err := d.env.Device.ListenPacket("udp", net.JoinHostPort(d.env.Device.Addr().String(), "0"))
		if err != nil {
			return nil, err
		}
		secure, err := dgram.Dial(ctx, pc, net.UDPAddrFromAddrPort(to), d.env.ServerName(), d.cred, d.opt.DTLS, false, d.env.KeyLog)
		if err != nil {
			pc.Close()
			return nil, err
		}
		conn, d.socket = secure, pc
	} else {
		udp, err := d.env.Device.DialContext(ctx, "udp", to.String())
		if err != nil {
			return nil, err
		}
		conn, d.socket = udp, udp
	}
	d.dialled++
	cfg := d.opt.CoAP
	cfg.Rand = generator(d.env.Seed, 2, d.dialled)
	c, socket := coap.NewConn(conn, cfg, coap.HandlerFunc(d.answer)), d.socket
	d.conn = c
	context.AfterFunc(d.ctx, func() { socket.Close(); c.Close() })
	d.tasks.Go(func() {
		_ = c.Serve() // who uses the session sees its end
		d.drop(c)
	})
	d.record(clients.EventState, "connected")
	return c, nil
}

func (d *coapDevice) drop(c *coap.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conn == c {
		d.conn = nil
		d.socket.Close()
	}
}

// answer is what the platform may ask of the device.
func (d *coapDevice) answer(_ context.Context, r *coap.Request) *coap.Response {
	switch {
	case r.Code == codes.PUT && r.Path() == "/command":
		if d.commanded(r.Payload) != nil {
			return coap.Status(codes.BadRequest)
		}
		return coap.Status(codes.Changed)
	case r.Code == codes.PUT && r.Path() == "/update":
		var o offer
		if json.Unmarshal(r.Payload, &o) != nil {
			return coap.Status(codes.BadRequest)
		}
		d.tasks.Go(func() { d.update(o) })
		return coap.Status(codes.Changed)
	}
	return coap.Status(codes.NotFound)
}

// do makes a request until it is answered, over a new association if need be.
func (d *coapDevice) do(ctx context.Context, make func() *coap.Request) error {
	return d.persist(ctx, 2*time.Minute, func(ctx context.Context) error {
		c, err := d.session(ctx)
		if err != nil {
			return err
		}
		resp, err := c.Do(ctx, make())
		if err != nil {
			d.drop(c)
			return err
		}
		if !resp.IsSuccess() {
			return fmt.Errorf("the platform answered %v", resp.Code)
		}
		return nil
	})
}

func (d *coapDevice) Connect(ctx context.Context, first clients.Reading, arrived <-chan struct{}) error {
	return d.Report(ctx, first, arrived)
}

func (d *coapDevice) Report(ctx context.Context, r clients.Reading, arrived <-chan struct{}) error {
	if err := d.format.Encodable(r); err != nil {
		return fmt.Errorf("coap: report: %w", err)
	}
	for {
		bounded, cancel := ctx, context.CancelFunc(func() {})
		if !d.opt.Confirmable {
			bounded, cancel = context.WithTimeout(ctx, d.opt.ReportWait)
		}
		err := d.do(bounded, func() *coap.Request {
			q := coap.NewRequest(codes.POST, "/report").WithPayload(contentFormats[d.format], d.format.Reading(r))
			q.NonConfirmable = !d.opt.Confirmable
			return q
		})
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || d.ctx.Err() != nil {
			return fmt.Errorf("coap: report: %w", err)
		}
		select { // the answer to a report that has arrived may be lost
		case <-arrived:
			return nil
		default:
		}
	}
}

// fetch gets firmware in blocks.
func (d *coapDevice) fetch(ctx context.Context, f *download) error {
	return d.persist(ctx, 2*time.Minute, func(ctx context.Context) error {
		c, err := d.session(ctx)
		if err != nil {
			return err
		}
		block := int64(d.opt.CoAP.BlockSize)
		if block == 0 {
			block = 1024
		}
		from := int64(len(f.data)) / block * block
		f.data = f.data[:from]
		dl, err := c.Download(coap.NewRequest(codes.GET, f.Path), coap.DownloadOptions{Offset: from})
		if err != nil {
			return err
		}
		for int64(len(f.data)) < f.Size {
			b, err := dl.Next(ctx)
			if err == io.EOF {
				break
			} else if err != nil {
				d.drop(c)
				return err
			}
			d.took(f, b.Data)
		}
		return nil
	})
}

func (d *coapDevice) status(ctx context.Context, o outcome) error {
	return d.do(ctx, func() *coap.Request {
		return coap.NewRequest(codes.POST, "/status").WithPayload(message.AppJSON, encode(o))
	})
}

func (d *coapDevice) PowerOn(ctx context.Context) error {
	d.boot()
	_, err := d.session(ctx)
	if err != nil {
		return fmt.Errorf("coap: power on: %w", err)
	}
	return nil
}
