package web

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/httpfile"
	"github.com/thinlink/thinlink/clients/pki"
	"github.com/thinlink/thinlink/clients/reading"
)

// HTTPSOptions configure HTTPS.
type HTTPSOptions struct {
	TLS          string        `conf:"tls" doc:"TLS version" enum:"1.2,1.3"`
	Resumption   bool          `conf:"resumption" doc:"resume TLS sessions by tickets when connecting again, but not after a reboot"`
	PKI          pki.Options   `conf:"pki" doc:"keys and certificates"`
	KeepOpen     bool          `conf:"keep_open" doc:"one connection for all reports instead of one for each"`
	Command      string        `conf:"command" doc:"how the device hears of commands: a long poll on a connection of its own, a poll at intervals, or not at all" enum:"long-poll,poll,none"`
	Hold         time.Duration `conf:"hold" doc:"long-poll: the platform answers a poll that long at the latest" min:"1s"`
	PollInterval time.Duration `conf:"poll_interval" doc:"poll: time from one to the next" min:"1s"`
	Encoding     string        `conf:"encoding" doc:"encoding of reports and commands" enum:"json,cbor,protobuf"`
	Timeout      time.Duration `conf:"timeout" doc:"a report without an answer for so long is sent again" min:"1s"`
	ReconnectMax time.Duration `conf:"reconnect_max" doc:"longest pause between attempts; the first is 1s, then doubling" min:"1s"`
}

// DefaultHTTPSOptions are TLS 1.3 with mutual authentication and the chain that
// stack mqtt has, one connection, and a long poll of ten minutes.
func DefaultHTTPSOptions() HTTPSOptions {
	return HTTPSOptions{
		TLS: "1.3", Resumption: true, PKI: pki.Options{Key: pki.RSA2048, Chain: 4, Padding: 340, DevicePadding: 150},
		KeepOpen: true, Command: "long-poll", Hold: 10 * time.Minute, PollInterval: 10 * time.Minute, Encoding: "json",
		Timeout: 15 * time.Minute, ReconnectMax: 2 * time.Minute,
	}
}

func (o *HTTPSOptions) check() error {
	errs := []error{checkNames("nosec", o.Encoding)}
	for _, c := range []struct {
		wrong bool
		text  string
	}{
		{o.TLS != "1.2" && o.TLS != "1.3", fmt.Sprintf("tls %q: want 1.2 or 1.3", o.TLS)},
		{o.Command != "long-poll" && o.Command != "poll" && o.Command != "none", fmt.Sprintf("command %q: want long-poll, poll or none", o.Command)},
		{o.Hold < time.Second, fmt.Sprintf("hold %v: want at least 1s", o.Hold)},
		{o.PollInterval < time.Second, fmt.Sprintf("poll_interval %v: want at least 1s", o.PollInterval)},
		{o.Timeout < time.Second, fmt.Sprintf("timeout %v: want at least 1s", o.Timeout)},
		{o.ReconnectMax < time.Second, fmt.Sprintf("reconnect_max %v: want at least 1s", o.ReconnectMax)},
	} {
		if c.wrong {
			errs = append(errs, errors.New(c.text))
		}
	}
	return errors.Join(errs...)
}

// NewHTTPS makes a stack, or says what is wrong with the options.
func NewHTTPS(opt HTTPSOptions) (clients.Stack, error) {
	if err := opt.check(); err != nil {
		return nil, fmt.Errorf("https: %w", err)
	}
	return httpsStack{&opt}, nil
}

type httpsStack struct{ opt *HTTPSOptions }

const httpsPort = 443

// common is what both ends' TLS configurations share.
func (o *HTTPSOptions) common(env *clients.Env, c pki.Credential) (*tls.Config, error) {
	cert, err := c.TLS()
	if err != nil {
		return nil, err
	}
	version := uint16(tls.VersionTLS13)
	if o.TLS == "1.2" {
		version = tls.VersionTLS12
	}
	return &tls.Config{
		Certificates: []tls.Certificate{cert}, MinVersion: version, MaxVersion: version, KeyLogWriter: env.KeyLog,
		CipherSuites:           []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
		CurvePreferences:       []tls.CurveID{tls.X25519, tls.CurveP256},
		SessionTicketsDisabled: !o.Resumption, Time: env.Now,
	}, nil
}

// mediaTypes are those of the encodings.
var mediaTypes = map[reading.Format]string{
	reading.JSON: "application/json", reading.CBOR: "application/cbor", reading.Protobuf: "application/x-protobuf",
}

// NewPlatform implements clients.Stack.
func (s httpsStack) NewPlatform(env *clients.Env) (clients.Platform, error) {
	p := &httpsPlatform{opt: s.opt, env: env, next: map[string]chan push{}}
	if err := p.start(); err != nil {
		return nil, errors.Join(fmt.Errorf("https: platform: %w", err), p.Close())
	}
	return p, nil
}

// httpsPlatform implements clients.Platform.
type httpsPlatform struct {
	opt      *HTTPSOptions
	env      *clients.Env
	arrivals clients.Arrivals
	updates  updates
	files    httpfile.Files
	stop     func() error
	closing  context.CancelFunc
	closed   context.Context

	mu   sync.Mutex
	next map[string]chan push // what waits for each device
}

// push is an answer to a poll.
type push struct {
	media string
	body  []byte
}

// updateMedia is the type of an offer of firmware.
const updateMedia = "application/vnd.thinlink.update+json"

// maxPushes bounds what waits for a device; the oldest go first.
const maxPushes = 16

func (p *httpsPlatform) queue(device string) chan push {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.next[device]
	if q == nil {
		q = make(chan push, maxPushes)
		p.next[device] = q
	}
	return q
}

func (p *httpsPlatform) start() error {
	cfg, err := p.opt.common(p.env, p.env.PKI.Server)
	if err != nil {
		return err
	}
	if cfg.ClientCAs, err = p.env.PKI.Pool(); err != nil {
		return err
	}
	cfg.ClientAuth = tls.RequireAndVerifyClientCert
	ln, err := p.env.Platform.Listen("tcp", p.env.At(httpsPort).String())
	if err != nil {
		return err
	}
	p.closed, p.closing = context.WithCancel(context.Background())
	mux := http.NewServeMux()
	mux.HandleFunc("POST /report", p.reported)
	mux.HandleFunc("POST /status", p.status)
	mux.HandleFunc("GET /next", p.poll)
	mux.Handle("GET /firmware/", &p.files)
	p.stop = httpfile.Serve(ln, cfg, mux)
	return nil
}

// deviceOf is the device that a request's certificate names.
func deviceOf(r *http.Request) string { return r.TLS.PeerCertificates[0].Subject.CommonName }

// maxBody bounds what a device sends.
const maxBody = 64 << 10

func (p *httpsPlatform) reported(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return
	}
	v, err := reading.Format(p.opt.Encoding).ParseReading(body)
	if err != nil {
		p.env.Record(clients.Event{Kind: clients.EventWarning, Detail: "report: " + err.Error()})
		http.Error(w, "bad reading", http.StatusBadRequest)
		return
	}
	p.env.Record(clients.Event{Kind: clients.EventReport, Detail: r.URL.Path})
	p.arrivals.Arrived(deviceOf(r), v)
	w.WriteHeader(http.StatusNoContent)
}

func (p *httpsPlatform) status(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil {
		err = p.updates.end(body)
	}
	if err != nil {
		http.Error(w, "bad status", http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// poll answers with the next thing for the device; a long poll is held until
// there is one.
func (p *httpsPlatform) poll(w http.ResponseWriter, r *http.Request) {
	hold := p.opt.Hold
	if p.opt.Command == "poll" {
		hold = 0
	}
	t := time.NewTimer(hold)
	defer t.Stop()
	q := p.queue(deviceOf(r))
	if hold == 0 {
		select {
		case x := <-q:
			answer(w, x)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
		return
	}
	select {
	case x := <-q:
		answer(w, x)
	case <-t.C:
		w.WriteHeader(http.StatusNoContent)
	case <-r.Context().Done():
	case <-p.closed.Done():
	}
}

func answer(w http.ResponseWriter, x push) {
	w.Header().Set("Content-Type", x.media)
	_, _ = w.Write(x.body) // a device that has gone asks again
}

func (p *httpsPlatform) Connected(context.Context, string) error { return nil }

func (p *httpsPlatform) Await(device string, r clients.Reading) (<-chan struct{}, error) {
	return p.arrivals.Await(device, r), nil
}

// send puts something in the way of the device's next poll.
func (p *httpsPlatform) send(device string, x push) error {
	select {
	case p.queue(device) <- x:
		return nil
	default:
		return fmt.Errorf("https: %d messages wait for device %s", maxPushes, device)
	}
}

func (p *httpsPlatform) Command(_ context.Context, device string, value int64) error {
	if p.opt.Command == "none" {
		return errors.New("https: command: option command is none")
	}
	f := reading.Format(p.opt.Encoding)
	return p.send(device, push{mediaTypes[f], f.Command(value)})
}

func (p *httpsPlatform) Update(ctx context.Context, device string, img clients.Image) error {
	if p.opt.Command == "none" {
		return errors.New("https: update: option command is none")
	}
	o, ended := p.updates.begin(img)
	p.files.Put(o.Path, img.Data)
	defer p.files.Remove(o.Path)
	err := p.send(device, push{updateMedia, encode(o)})
	if err == nil {
		err = wait(ctx, ended)
	}
	if err != nil {
		return fmt.Errorf("https: update: %w", err)
	}
	return nil
}

func (p *httpsPlatform) Restart(ctx context.Context) error {
	if err := errors.Join(p.Close(), p.start()); err != nil {
		return fmt.Errorf("https: restart platform: %w", err)
	}
	return ctx.Err()
}

func (p *httpsPlatform) Close() error {
	if p.stop == nil {
		return nil
	}
	p.closing()
	stop := p.stop
	p.stop = nil
	return stop()
}

// NewDevice implements clients.Stack.
func (s httpsStack) NewDevice(env *clients.Env) (clients.Device, error) {
	d := &httpsDevice{opt: s.opt, end: end{env: env, format: reading.Format(s.opt.Encoding), commands: make(chan int64, 16)}}
	d.end.install, d.end.report = d.fetch, d.status
	cfg, err := s.opt.common(env, env.PKI.Device)
	if err == nil {
		cfg.RootCAs, err = env.PKI.Pool()
	}
	if err != nil {
		return nil, fmt.Errorf("https: device: %w", err)
	}
	cfg.ServerName = env.ServerName()
	d.tls = cfg
	d.boot()
	return d, nil
}

// httpsDevice implements clients.Device.
type httpsDevice struct {
	end
	opt     *HTTPSOptions
	tls     *tls.Config
	reports *http.Transport
	polls   *http.Transport
	files   *tls.Config
}

// boot begins a power cycle: TLS tickets are gone with the memory.
func (d *httpsDevice) boot() {
	d.end.boot()
	cfg := d.tls.Clone()
	if d.opt.Resumption {
		cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	}
	d.reports, d.polls, d.files = d.transport(cfg, !d.opt.KeepOpen), d.transport(cfg, false), cfg
	for _, t := range []*http.Transport{d.reports, d.polls} {
		context.AfterFunc(d.ctx, t.CloseIdleConnections)
	}
}

func (d *httpsDevice) transport(cfg *tls.Config, once bool) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			conn, err := d.env.Device.DialContext(ctx, network, d.env.At(httpsPort).String())
			if err == nil {
				context.AfterFunc(d.ctx, func() { conn.Close() }) // no word of goodbye
			}
			return conn, err
		},
		TLSClientConfig: cfg, Protocols: protocols, DisableCompression: true, DisableKeepAlives: once, MaxConnsPerHost: 1,
	}
}

// do makes one request; what the platform refuses is an error.
func (d *httpsDevice) do(ctx context.Context, t *http.Transport, method, path, media string, body []byte) (*http.Response, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, "https://"+d.env.ServerName()+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	r.Header.Set("User-Agent", "thinlink")
	if media != "" {
		r.Header.Set("Content-Type", media)
	}
	resp, err := t.RoundTrip(r)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err == nil && resp.StatusCode/100 != 2 {
		err = &httpfile.StatusError{Code: resp.StatusCode}
	}
	return resp, answer, err
}

func (d *httpsDevice) post(ctx context.Context, path, media string, body []byte) error {
	return d.persist(ctx, d.opt.ReconnectMax, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, d.opt.Timeout)
		defer cancel()
		_, _, err := d.do(ctx, d.reports, http.MethodPost, path, media, body)
		return err
	})
}

func (d *httpsDevice) Connect(ctx context.Context, first clients.Reading, arrived <-chan struct{}) error {
	if err := d.Report(ctx, first, arrived); err != nil {
		return err
	}
	if d.opt.Command != "none" {
		d.tasks.Go(d.listen)
	}
	return nil
}

func (d *httpsDevice) Report(ctx context.Context, r clients.Reading, _ <-chan struct{}) error {
	err := d.format.Encodable(r)
	if err == nil {
		err = d.post(ctx, "/report", mediaTypes[d.format], d.format.Reading(r))
	}
	if err != nil {
		return fmt.Errorf("https: report: %w", err)
	}
	return nil
}

// listen polls until the power is off.
func (d *httpsDevice) listen() {
	pause := time.Second
	for d.ctx.Err() == nil {
		t, ctx, cancel := d.polls, d.ctx, context.CancelFunc(func() {})
		if d.opt.Command == "poll" {
			t = d.reports
			if clients.Sleep(d.ctx, d.opt.PollInterval) != nil {
				return
			}
		} else { // a platform that holds longer is lost
			ctx, cancel = context.WithTimeout(d.ctx, d.opt.Hold+d.opt.Timeout)
		}
		resp, body, err := d.do(ctx, t, http.MethodGet, "/next", "", nil)
		cancel()
		if err != nil {
			if clients.Sleep(d.ctx, pause) != nil {
				return
			}
			pause = min(2*pause, d.opt.ReconnectMax)
			continue
		}
		pause = time.Second
		d.told(resp, body)
	}
}

// told obeys an answer to a poll.
func (d *httpsDevice) told(resp *http.Response, body []byte) {
	switch {
	case resp.StatusCode == http.StatusNoContent:
	case strings.HasPrefix(resp.Header.Get("Content-Type"), updateMedia):
		var o offer
		if err := json.Unmarshal(body, &o); err != nil {
			d.record(clients.EventWarning, "device: update: "+err.Error())
			return
		}
		d.tasks.Go(func() { d.update(o) })
	default:
		_ = d.commanded(body) // it has been recorded
	}
}

// fetch gets firmware by a GET, from where it stopped after an interruption.
func (d *httpsDevice) fetch(ctx context.Context, f *download) error {
	return d.persist(ctx, d.opt.ReconnectMax, func(ctx context.Context) error {
		_, err := httpfile.Download(ctx, httpfile.Request{
			Host: d.env.Device, Addr: d.env.At(httpsPort).String(), Path: f.Path, TLS: d.files,
			Offset: int64(len(f.data)), Stall: d.opt.Timeout,
		}, func(_ int64, piece []byte) error {
			d.took(f, piece)
			return nil
		})
		return err
	})
}

func (d *httpsDevice) status(ctx context.Context, o outcome) error {
	return d.post(ctx, "/status", mediaTypes[reading.JSON], encode(o))
}

func (d *httpsDevice) PowerOn(ctx context.Context) error {
	d.boot()
	if d.opt.Command != "none" {
		d.tasks.Go(d.listen)
	}
	return ctx.Err()
}
