package lwm2m

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strconv"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
	"github.com/thinlink/thinlink/clients/lwm2m/tree"
)

// Values of Options.Bootstrap: where the device has its account from.
const (
	BootstrapNone   = "none"   // the factory
	BootstrapClient = "client" // a bootstrap server that it asks (section 6.1.3.1)
	BootstrapPack   = "pack"   // the same, in one pack (Core 1.2 section 6.1.7.7)
)

// Ports of the bootstrap server, for which none are registered: those that
// Leshan's has.
const (
	portBootstrap  = 5783
	portBootstraps = 5784
)

// bootstrapPath and packPath are the bootstrap server's interface, and
// bootstrapPath the device's for Bootstrap-Finish (Transport 1.1 section 6.4.3).
const (
	bootstrapPath = "/bs"
	packPath      = "/bspack"
)

// bootstrapTimeout is how long a device waits for what the bootstrap server does
// next (Core 1.1 section 6.1.3.1): EXCHANGE_LIFETIME, RFC 7252 section 4.8.2.
const bootstrapTimeout = 247 * time.Second

// accountRecord is the name in flash memory of the accounts that a bootstrap
// server has written.
const accountRecord = "lwm2m-accounts"

// enrol gives the device accounts, if it has none: those in its flash memory or
// those of a bootstrap server.
func (d *device) enrol(ctx context.Context) error {
	if len(d.all()) > 0 {
		return nil
	}
	if err := d.recall(); err != nil || len(d.all()) > 0 {
		return err
	}
	return d.sequence(ctx, d.opt.RetryCount, d.opt.RetryTimer, func(ctx context.Context) error {
		if err := d.bootstrap(ctx); err != nil {
			return fmt.Errorf("bootstrap: %w", err)
		}
		return nil
	})
}

// enrolAnew leaves all servers for accounts that the bootstrap server gives,
// however long that takes: by Bootstrap-Request Trigger (appendix E.2, resource
// 9), or because a registration has failed for good.
func (d *device) enrolAnew(why error) {
	d.mu.Lock()
	under := d.enrolling
	d.enrolling = true
	d.mu.Unlock()
	if under {
		return
	}
	d.note("device: asking the bootstrap server: %v", why)
	d.forsake()
	d.tasks.Go(func() {
		err := sleep(d.ctx, rejoinPause)
		for err == nil {
			if err = d.join(d.ctx); err == nil {
				break
			}
			if d.ctx.Err() == nil {
				d.warn("not registered, trying again in %v: %v", d.opt.SequenceDelay, err)
				err = sleep(d.ctx, d.opt.SequenceDelay)
			}
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.enrolling = false
	})
}

// forsake ends all accounts.
func (d *device) forsake() {
	if err := d.env.Flash.Remove(accountRecord); err != nil {
		d.warn("%v", err)
	}
	d.mu.Lock()
	accounts := d.accounts
	d.accounts = nil
	d.mu.Unlock()
	for _, a := range accounts {
		a.quit() // which aborts its session
	}
}

// recall takes the accounts of an earlier life from flash memory.
func (d *device) recall() error {
	data, err := d.env.Flash.Load(accountRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if err := d.bootstrapView().Write(model.Path{}, data, content.SenMLJSON); err != nil {
		return fmt.Errorf("flash: record %s: %w", accountRecord, err)
	}
	return d.adoptWritten()
}

// remember keeps the accounts.
func (d *device) remember() error {
	nodes := append(d.tree.Nodes(objects.Security.ID), d.tree.Nodes(objects.Server.ID)...)
	data, err := content.Encode(content.SenMLJSON, model.Path{}, nodes)
	if err != nil {
		return err
	}
	return d.env.Flash.Save(accountRecord, data)
}

func (d *device) bootstrapView() tree.Bootstrap {
	return d.tree.Bootstrap(func(at model.Path, v model.Values) *tree.Instance {
		if at.Object() == objects.Server.ID {
			return d.serverInstance(at.Instance(), v)
		}
		return &tree.Instance{Values: v}
	})
}

// bootstrap performs the bootstrap interface over a session of its own.
func (d *device) bootstrap(ctx context.Context) error {
	if err := sleep(ctx, d.opt.HoldOff); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, d.opt.DTLS.Device.HandshakeTimeout+2*bootstrapTimeout,
		errors.New("the bootstrap server did not finish"))
	defer cancel()
	b := &bootstrapping{device: d, view: d.bootstrapView(), finished: make(chan struct{}, 1)}
	src, err := parseSource(d.opt.uri(d.bootstrapServer(), BindingUDP))
	if err != nil {
		return err
	}
	l, err := d.dial(ctx, remote{source: src, cred: d.cred, life: d.ctx}, b)
	if err != nil {
		return err
	}
	defer l.leave(d.ctx)
	if d.opt.Bootstrap == BootstrapPack {
		err = b.fetchPack(ctx, l.Conn)
	} else {
		err = b.request(ctx, l.Conn)
	}
	if err != nil {
		return err
	}
	if err := d.adoptWritten(); err != nil {
		return err
	}
	d.note("device: bootstrapped")
	return d.remember()
}

// adoptWritten is adopt for accounts that were written into the tree. Instances
// have come and gone, and the update that this calls for follows the registration.
func (d *device) adoptWritten() error {
	err := d.adopt()
	d.askUpdate()
	return err
}

// adopt makes the accounts in the tree those of the device.
func (d *device) adopt() error {
	var accounts []*account
	for _, t := range d.tree.Accounts() {
		a, err := d.newAccount(t)
		if err != nil {
			return err
		}
		accounts = append(accounts, a)
	}
	if len(accounts) == 0 {
		return errNoAccount
	}
	if len(accounts) > 1 {
		d.tree.Protect(accounts[0].id)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.accounts = accounts
	return nil
}

var errNoAccount = errors.New("no security instance with a server instance of the same short server ID")

// accountOf is where the server of a security instance is, and the credentials
// for it: those that it has, else the factory's (appendix E.1).
func (d *device) accountOf(t tree.Account) (src source, cred credentials, err error) {
	v := t.Security
	uri, _ := v[objects.SecurityURI].(string)
	if src, err = parseSource(uri); err != nil {
		return src, cred, err
	}
	identity, _ := v[objects.SecurityIdentity].([]byte)
	secret, _ := v[objects.SecuritySecretKey].([]byte)
	if identity == nil && secret == nil {
		cred, err = d.factory(t.ID)
		return src, cred, err
	}
	switch v[objects.SecurityMode] {
	case int64(modePSK):
		cred.Identity = string(identity)
		cred.Key = func(string) ([]byte, error) { return secret, nil }
		cred.Sessions = d.cred.Sessions
	case int64(modeCertificate):
		root, _ := v[objects.SecurityServerKey].([]byte)
		if cred, err = certificateOf(identity, secret, root); err != nil {
			return src, cred, err
		}
	}
	return src, cred, nil
}

// factory are the credentials from the factory for a server.
func (d *device) factory(id uint16) (credentials, error) {
	o := d.opt.server(id)
	if o.id < 2 {
		return d.cred, nil
	}
	cred, err := o.deviceCredentials(d.env)
	cred.Sessions = d.cred.Sessions // one memory
	return cred, err
}

// trustAnchor is the certificate usage (appendix E.1, resource 15) of a server
// key that is an authority's certificate.
const trustAnchor = 2

// Security modes (appendix E.1, resource 2).
const (
	modePSK         = 0
	modeCertificate = 2
	modeNoSec       = 3
)

// mode is the security mode of an option's value.
func (o *Options) mode() int64 {
	return map[string]int64{NoSec: modeNoSec, PSK: modePSK, Certificate: modeCertificate}[o.Security]
}

// certificateOf reads a client certificate and its PKCS #8 key (appendix E.1,
// resources 3 and 5), and the server's trust anchor (resource 4 with certificate
// usage 2).
func certificateOf(cert, key, root []byte) (credentials, error) {
	private, err := x509.ParsePKCS8PrivateKey(key)
	if err != nil {
		return credentials{}, fmt.Errorf("secret key: %w", err)
	}
	anchor, err := x509.ParseCertificate(root)
	if err != nil {
		return credentials{}, fmt.Errorf("server public key: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(anchor)
	return credentials{Cert: tls.Certificate{Certificate: [][]byte{cert}, PrivateKey: private}, Pool: pool}, nil
}

// bootstrapServer is where the bootstrap server listens.
func (d *device) bootstrapServer() netip.AddrPort {
	if d.opt.secure() {
		return d.env.At(portBootstraps)
	}
	return d.env.At(portBootstrap)
}

// bootstrapping is the device's side of the bootstrap interface.
type bootstrapping struct {
	device   *device
	view     tree.Bootstrap
	finished chan struct{}
}

// request is Bootstrap-Request (section 6.1.7.2), after which the server acts
// until Bootstrap-Finish.
func (b *bootstrapping) request(ctx context.Context, conn *coap.Conn) error {
	req := coap.NewRequest(codes.POST, bootstrapPath, "ep="+b.device.env.DeviceName())
	if v := b.device.opt.Version; v != content.V10 { // preferred content format
		req.AddQuery("pct=" + strconv.Itoa(int(b.device.opt.format())))
	}
	resp, err := conn.Do(ctx, req)
	if _, err = checked("request", resp, err, codes.Changed); err != nil {
		return err
	}
	select {
	case <-b.finished:
		return nil
	case <-conn.Done():
		return errSessionEnded
	case <-time.After(2 * bootstrapTimeout):
		return errors.New("no Bootstrap-Finish")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// fetchPack is Bootstrap-Pack-Request (Core 1.2 section 6.1.7.3).
func (b *bootstrapping) fetchPack(ctx context.Context, conn *coap.Conn) error {
	req := coap.NewRequest(codes.GET, packPath, "ep="+b.device.env.DeviceName())
	format := b.device.opt.format()
	req.SetAccept(format)
	resp, err := conn.Do(ctx, req)
	if resp, err = checked("pack request", resp, err, codes.Content); err != nil {
		return err
	}
	if given, ok := resp.ContentFormat(); ok {
		format = given
	}
	return b.view.Write(model.Path{}, resp.Payload, format)
}

// ServeCoAP implements coap.Handler: the bootstrap server's operations.
func (b *bootstrapping) ServeCoAP(_ context.Context, r *coap.Request) *coap.Response {
	if r.Path() == bootstrapPath && r.Code == codes.POST {
		return b.finish()
	}
	path, err := model.ParsePath(r.Path())
	if err != nil {
		return coap.Status(codes.NotFound)
	}
	if !r.Holds(b.view.Exists(path)) {
		return coap.Status(codes.PreconditionFailed)
	}
	switch r.Code {
	case codes.PUT:
		format, given := r.ContentFormat()
		if !given {
			format = content.Text
		}
		return changed(b.view.Write(path, r.Payload, format))
	case codes.DELETE:
		if err := b.view.Delete(path); err != nil {
			return failure(err)
		}
		return coap.Status(codes.Deleted)
	case codes.GET:
		return b.get(r, path)
	}
	return coap.Status(codes.MethodNotAllowed)
}

func (b *bootstrapping) get(r *coap.Request, path model.Path) *coap.Response {
	accept, asked := r.Accept()
	if asked && accept == content.Links {
		links, err := b.view.Discover(path)
		if err != nil {
			return failure(err)
		}
		return coap.NewResponse(codes.Content, content.Links, content.AppendLinks(nil, links))
	}
	payload, format, err := b.view.Read(path, accept, asked)
	if err != nil {
		return failure(err)
	}
	return coap.NewResponse(codes.Content, format, payload)
}

// finish is Bootstrap-Finish (section 6.1.7.8): 4.06 if what was written makes
// no account.
func (b *bootstrapping) finish() *coap.Response {
	accounts := b.device.tree.Accounts()
	if len(accounts) == 0 {
		return coap.Status(codes.NotAcceptable)
	}
	for _, t := range accounts {
		if _, _, err := b.device.accountOf(t); err != nil {
			return coap.Status(codes.NotAcceptable)
		}
	}
	time.AfterFunc(reaction, func() { // the response goes first
		select {
		case b.finished <- struct{}{}:
		default:
		}
	})
	return coap.Status(codes.Changed)
}
