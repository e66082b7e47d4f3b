package lwm2m

import (
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/clients/dgram"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
	"github.com/thinlink/thinlink/clients/pki"
)

// Values of Options.Security.
const (
	NoSec       = "nosec"       // plain CoAP on port 5683
	PSK         = "psk"         // DTLS 1.2 with a pre-shared key, port 5684
	Certificate = "certificate" // DTLS 1.2 with certificates on both sides, port 5684
)

// Values of Options.Notify.
const (
	NotifyNon = "non"
	NotifyCon = "con"
)

// Values of Options.Binding (section 6.2.1.2).
const (
	BindingUDP   = "U"
	BindingTCP   = "T"
	BindingNonIP = "N" // 3GPP's non-IP data delivery
	BindingSMS   = "S" // short messages of 8-bit data
)

// Values of Options.Delivery.
const (
	CoAPPull    = "coap-pull"     // Block2 over UDP or DTLS
	CoAPPush    = "coap-push"     // Block1 to the Package resource
	HTTPSPull   = "https-pull"    // one GET, Range to resume
	CoAPTCPPull = "coap-tcp-pull" // Block2 or BERT over TCP or TLS (RFC 8323)
)

// Options configure a stack. DefaultOptions has the defaults.
type Options struct {
	// Security is NoSec, PSK or Certificate.
	Security string `conf:"security" doc:"how CoAP is secured" enum:"nosec,psk,certificate"`
	// PSKIdentity and PSKKey are the device's pre-shared key. Without them the
	// identity is the device's name, and both ends derive a key of 16 bytes from
	// the run's secret.
	PSKIdentity string `conf:"psk_identity" doc:"identity of the pre-shared key; empty is the device's name"`
	PSKKey      string `conf:"psk_key" doc:"pre-shared key in hexadecimal; empty is one of the run's own"`
	// Resumption says where the device remembers its DTLS session, to resume it
	// by an abbreviated handshake: nowhere, in memory, or over a reboot. TLS
	// tickets of HTTPS downloads are remembered in memory.
	Resumption string `conf:"resumption" doc:"where the device remembers sessions to resume them: DTLS with pre-shared keys, and tickets of HTTPS downloads, these in memory only; memory forgets at a reboot" enum:"none,memory,flash"`
	// ConnectionID negotiates a DTLS connection ID towards the server
	// (RFC 9146), which keeps the session alive when the device's address
	// changes. It costs 7 bytes in each record from the device.
	ConnectionID bool `conf:"connection_id" doc:"negotiate a DTLS connection ID (RFC 9146)"`
	// DTLS and CoAP have the timers of each end.
	DTLS DTLSOptions `conf:"dtls" doc:"DTLS of both ends"`
	CoAP CoAPOptions `conf:"coap" doc:"CoAP of both ends"`
	// PKI says what certificates the run has.
	PKI pki.Options `conf:"pki" doc:"certificates"`

	// Lifetime is the registration's, after which the server forgets the
	// device. Whole seconds.
	Lifetime time.Duration `conf:"lifetime" doc:"registration lifetime" min:"1s"`
	// UpdateInterval is the time between registration updates. 0 means half
	// the lifetime.
	UpdateInterval time.Duration `conf:"update_interval" doc:"time between registration updates; 0 is half the lifetime" min:"0s"`
	// Binding is the transport told at registration: BindingUDP, BindingTCP, or
	// BindingNonIP and BindingSMS, whose messages have no IP and UDP headers on the
	// link. The stack sends them over UDP all the same; who joins the hosts takes
	// the headers off.
	Binding string `conf:"binding" doc:"transport: U is UDP or DTLS, T is TCP or TLS (RFC 8323), N is 3GPP's non-IP data delivery, S is short messages" enum:"U,T,N,S"`
	// Queue is queue mode (section 6.5): the device listens for Awake after its
	// last message and no longer, and the server waits for it.
	Queue bool          `conf:"queue" doc:"queue mode: the device sleeps, and the server waits until it hears of it"`
	Awake time.Duration `conf:"awake" doc:"queue mode: time for which the device listens after its last message" min:"1s"`
	// MoreServers are those that the device registers with beside the first one,
	// which these options describe, and Turn is when it registers with that.
	MoreServers []Server `conf:"more_servers" doc:"further servers of the device, each by what differs from the first, which the other options describe"`
	Turn        Turn     `conf:"turn" doc:"when the device registers with the first of several servers"`
	// Bootstrap says where the device has its account from: BootstrapNone,
	// BootstrapClient or BootstrapPack. HoldOff is how long it waits before it asks.
	Bootstrap string        `conf:"bootstrap" doc:"where the device has its account from: the factory, or a bootstrap server by single writes or in one pack" enum:"none,client,pack"`
	HoldOff   time.Duration `conf:"hold_off" doc:"time before the device asks the bootstrap server" min:"0s"`
	// RetryCount is how often a device tries again to connect and register,
	// RetryTimer the first pause, which doubles (section 6.2.1.2). The server
	// repeats an operation without answer as often, without pause.
	RetryCount int           `conf:"retry_count" doc:"communication retry count" min:"0" max:"20"`
	RetryTimer time.Duration `conf:"retry_timer" doc:"communication retry timer" min:"1s"`
	// SequenceDelay is the pause after RetryCount attempts in vain, before the
	// next as many, of a device that was registered. The standard's default is
	// a day; the default here is shorter than a pause in satellite coverage.
	SequenceDelay time.Duration `conf:"sequence_delay" doc:"communication sequence delay timer" min:"1s"`

	// Version is that of the device; a server that has none so high makes it fall
	// back. PlatformVersion is the highest one of the platform.
	Version         string `conf:"version" doc:"LwM2M version of the device; it falls back to what the platform has" enum:"1.0,1.1,1.2"`
	PlatformVersion string `conf:"platform_version" doc:"highest LwM2M version of the platform" enum:"1.0,1.1,1.2"`
	// Format is the content format of reports and of what the device sends
	// unasked. Single values are plain text all the same.
	Format string `conf:"format" doc:"content format of reports" enum:"tlv,json,senml-json,senml-cbor,lwm2m-cbor"`
	// Report is how reports come: ReportNotify or ReportSend.
	Report string `conf:"report" doc:"whether the platform observes the device (notify) or the device sends by itself (send, LwM2M 1.1)" enum:"notify,send"`
	// Objects are those that the device has beside security, server, device,
	// firmware update and the observed one: 4, 6, 7, 9, 19, 3303.
	Objects []int `conf:"objects" doc:"further objects of the device: 4, 6, 7, 9, 19, 3303" min:"4" max:"3303"`
	// Extended gives the device object all its resources; the reference
	// experiment's discover lists fewer.
	Extended bool `conf:"extended" doc:"device object with all its optional resources"`

	// Notify is how reports travel: NotifyNon or NotifyCon. A Send is confirmable.
	Notify string `conf:"notify" doc:"type of the messages that carry reports" enum:"non,con"`
	// MinPeriod and MaxPeriod are the attributes pmin and pmax that the server
	// writes to the observed object before it observes. 0 writes none. Whole
	// seconds.
	MinPeriod time.Duration `conf:"pmin" doc:"least time between two reports; 0 is not set" min:"0s"`
	MaxPeriod time.Duration `conf:"pmax" doc:"longest time without a report; 0 is not set" min:"0s"`
	// ReportWait is how long Report waits for a non-confirmable notification
	// before it takes it for lost.
	ReportWait time.Duration `conf:"report_wait" doc:"time after which a non-confirmable report counts as lost" min:"1s"`

	// Delivery is how the device gets firmware: CoAPPull, CoAPPush, HTTPSPull
	// or CoAPTCPPull.
	Delivery string `conf:"delivery" doc:"how firmware reaches the device" enum:"coap-pull,coap-push,https-pull,coap-tcp-pull"`
	// BlockSize is the block size of a firmware transfer, in bytes. 0 means
	// the sender's or the downloading device's coap.block_size, and BERT
	// blocks over TCP.
	BlockSize int `conf:"block_size" doc:"block size of a firmware transfer in bytes; 0 is the device's coap.block_size, and BERT blocks over TCP" min:"0" max:"1024"`
	// Package is the name of the packages that the device takes; others end
	// with result 6. Empty takes any.
	Package string `conf:"package" doc:"name of the firmware packages that the device takes; empty is any"`
	// Storage is the room for a package in the device's flash memory, in bytes;
	// 0 is enough for any.
	Storage int `conf:"storage" doc:"room for a firmware package on the device in bytes; 0 is enough" min:"0"`
	// Defer is for how long the device's user puts off an update that the
	// server lets them put off, by Maximum Defer Period.
	Defer time.Duration `conf:"defer" doc:"time for which the user puts off an update if the server permits" min:"0s"`
	// SameSession downloads over the session of the registration.
	SameSession bool `conf:"same_session" doc:"download firmware over the registration's DTLS session instead of one of its own"`
	// TLSVersion is that of an HTTPS download.
	TLSVersion string `conf:"tls_version" doc:"highest TLS version of an HTTPS download" enum:"1.2,1.3"`
	// DownloadPatience is how long a download that makes no progress is tried
	// again, RetryTimer after each failure, before the update fails.
	DownloadPatience time.Duration `conf:"download_patience" doc:"time without progress after which a firmware download fails" min:"1s"`
	// Stall ends an HTTPS connection that has been silent for so long; the
	// download resumes over a new one.
	Stall time.Duration `conf:"stall" doc:"silence after which an HTTPS download reconnects" min:"1s"`
	// Apply executes the update, and the device reboots into it. Otherwise the
	// update ends when the package is there, as in the reference experiment.
	Apply bool `conf:"apply" doc:"apply the firmware after its download"`

	id uint16 // Short Server ID of the server that the options are for; 0 is 1
}

// DTLSOptions are the DTLS parameters of both ends.
type DTLSOptions struct {
	Device   DTLSConfig `conf:"device" doc:"DTLS of the device" share:"true"`
	Platform DTLSConfig `conf:"platform" doc:"DTLS of the platform" share:"true"`
}

// CoAPOptions are the transmission parameters of both ends.
type CoAPOptions struct {
	Device   coap.Config `conf:"device" doc:"CoAP of the device" share:"true"`
	Platform coap.Config `conf:"platform" doc:"CoAP of the platform" share:"true"`
}

// DefaultOptions are a LwM2M 1.1 device as in the reference experiment, with
// the timers that RFC 7925 section 11 recommends for slow links.
func DefaultOptions() Options {
	dtls := dgram.DefaultConfig()
	return Options{
		Security:   Certificate,
		Resumption: ResumeNone,
		Bootstrap:  BootstrapNone,
		DTLS:       DTLSOptions{dtls, dtls},
		// A device certificate of about 860 bytes: handshake, registration and
		// its response then take 2,910 bytes of IP, 2,814 measured with Anjay.
		PKI:      pki.Options{Key: pki.P256, Chain: 1, DevicePadding: 400},
		Lifetime: 20 * time.Minute, // an update every 10 minutes, as in the experiment
		Binding:  BindingUDP,
		Awake:    93 * time.Second, // MAX_TRANSMIT_WAIT, RFC 7252 section 4.8.2
		// Appendix E.2: resources 17 and 18, defaults.
		RetryCount: 5,
		RetryTimer: 60 * time.Second,

		SequenceDelay: 10 * time.Minute,
		Notify:        NotifyNon,

		Version:         content.V11,
		PlatformVersion: content.V12,
		Format:          "tlv",
		Report:          ReportNotify,
		Objects:         []int{4},

		ReportWait: 25 * time.Second, // less than the experiment's reporting interval
		Delivery:   CoAPPull,
		TLSVersion: "1.3",
		Stall:      5 * time.Minute,

		DownloadPatience: 24 * time.Hour,
	}
}

// oneFlow reports whether the binding has no ports to tell flows apart by.
func (o *Options) oneFlow() bool { return o.Binding == BindingNonIP || o.Binding == BindingSMS }

// Validate reports the first option that is out of range, by its snake_case
// name.
func (o *Options) Validate() error {
	seconds := func(d time.Duration) bool { return d >= 0 && d%time.Second == 0 }
	switch {
	case !slices.Contains([]string{NoSec, PSK, Certificate}, o.Security):
		return fmt.Errorf("lwm2m: security %q: want nosec, psk or certificate", o.Security)
	case o.Security != PSK && (o.PSKIdentity != "" || o.PSKKey != ""):
		return fmt.Errorf("lwm2m: psk_identity, psk_key: security is %s, not psk", o.Security)
	case o.badKey():
		return fmt.Errorf("lwm2m: psk_key %q: want 1 to 64 bytes in hexadecimal", o.PSKKey)
	case !slices.Contains([]string{ResumeNone, ResumeMemory, ResumeFlash}, o.Resumption):
		return fmt.Errorf("lwm2m: resumption %q: want none, memory or flash", o.Resumption)
	case o.Resumption != ResumeNone && o.Security != PSK && o.Delivery != HTTPSPull:
		return fmt.Errorf("lwm2m: resumption %s: wants security psk, or delivery https-pull for its TLS tickets: DTLS sessions with client certificates are not resumed", o.Resumption)
	case o.Security == PSK && o.Delivery == CoAPTCPPull:
		return fmt.Errorf("lwm2m: delivery %s: wants security nosec or certificate: TLS has no pre-shared keys here", o.Delivery)
	case o.Security == Certificate && o.PKI.Key != pki.P256:
		return fmt.Errorf("lwm2m: pki.key %q: the cipher suite needs p256", o.PKI.Key)
	case o.ConnectionID && o.Security == NoSec:
		return fmt.Errorf("lwm2m: connection_id: needs DTLS, and security is nosec")
	case o.Lifetime < time.Second || !seconds(o.Lifetime):
		return fmt.Errorf("lwm2m: lifetime %v: want whole seconds, at least 1s", o.Lifetime)
	case o.UpdateInterval < 0 || o.UpdateInterval > o.Lifetime:
		return fmt.Errorf("lwm2m: update_interval %v: want at most the lifetime, %v", o.UpdateInterval, o.Lifetime)
	case !slices.Contains([]string{BootstrapNone, BootstrapClient, BootstrapPack}, o.Bootstrap):
		return fmt.Errorf("lwm2m: bootstrap %q: want none, client or pack", o.Bootstrap)
	case o.Bootstrap == BootstrapPack && (o.Version != content.V12 || !content.Composite(o.format())):
		return fmt.Errorf("lwm2m: bootstrap pack: wants version 1.2 and format senml-json, senml-cbor or lwm2m-cbor")
	case o.HoldOff < 0:
		return fmt.Errorf("lwm2m: hold_off %v: want a positive time", o.HoldOff)
	case o.Awake < time.Second:
		return fmt.Errorf("lwm2m: awake %v: want at least 1s", o.Awake)
	case !slices.Contains([]string{BindingUDP, BindingTCP, BindingNonIP, BindingSMS}, o.Binding):
		return fmt.Errorf("lwm2m: binding %q: want U, T, N or S", o.Binding)
	case o.Binding == BindingNonIP && o.Version == content.V10:
		return fmt.Errorf("lwm2m: binding N: LwM2M 1.0 does not have it")
	case o.oneFlow() && o.Bootstrap != BootstrapNone:
		return fmt.Errorf("lwm2m: binding %s: not with bootstrap", o.Binding)
	case o.Binding == BindingSMS && o.Security == Certificate:
		return fmt.Errorf("lwm2m: binding S: wants security nosec or psk: certificates take dozens of messages")
	case o.oneFlow() && o.Delivery != CoAPPush && !(o.Delivery == CoAPPull && o.SameSession):
		return fmt.Errorf("lwm2m: binding %s: wants delivery coap-push, or coap-pull with same_session: there is one flow", o.Binding)
	case o.Binding == BindingTCP && o.Security == PSK:
		return fmt.Errorf("lwm2m: binding T: wants security nosec or certificate: TLS has no pre-shared keys here")
	case o.Binding == BindingTCP && (o.Queue || o.Bootstrap != BootstrapNone):
		return fmt.Errorf("lwm2m: binding T: not with queue or bootstrap")
	case o.RetryCount < 0 || o.RetryCount > 20:
		return fmt.Errorf("lwm2m: retry_count %d: want 0 to 20", o.RetryCount)
	case o.RetryTimer < time.Second:
		return fmt.Errorf("lwm2m: retry_timer %v: want at least 1s", o.RetryTimer)
	case o.SequenceDelay < time.Second:
		return fmt.Errorf("lwm2m: sequence_delay %v: want at least 1s", o.SequenceDelay)
	case o.DownloadPatience < time.Second:
		return fmt.Errorf("lwm2m: download_patience %v: want at least 1s", o.DownloadPatience)
	case !slices.Contains(versions, o.Version):
		return fmt.Errorf("lwm2m: version %q: want 1.0, 1.1 or 1.2", o.Version)
	case !slices.Contains(versions, o.PlatformVersion):
		return fmt.Errorf("lwm2m: platform_version %q: want 1.0, 1.1 or 1.2", o.PlatformVersion)
	case !slices.Contains([]string{"tlv", "json", "senml-json", "senml-cbor", "lwm2m-cbor"}, o.Format):
		return fmt.Errorf("lwm2m: format %q: want tlv, json, senml-json, senml-cbor or lwm2m-cbor", o.Format)
	case !content.Supported(min(o.Version, o.PlatformVersion), o.format()):
		return fmt.Errorf("lwm2m: format %q: LwM2M %s does not have it", o.Format, min(o.Version, o.PlatformVersion))
	case o.Report != ReportNotify && o.Report != ReportSend:
		return fmt.Errorf("lwm2m: report %q: want notify or send", o.Report)
	case o.Report == ReportSend && !content.Composite(o.format()):
		return fmt.Errorf("lwm2m: report send: wants format senml-json, senml-cbor or lwm2m-cbor, not %s", o.Format)
	case o.Notify != NotifyNon && o.Notify != NotifyCon:
		return fmt.Errorf("lwm2m: notify %q: want non or con", o.Notify)
	case !seconds(o.MinPeriod):
		return fmt.Errorf("lwm2m: pmin %v: want whole seconds", o.MinPeriod)
	case !seconds(o.MaxPeriod) || o.MaxPeriod > 0 && o.MaxPeriod < o.MinPeriod:
		return fmt.Errorf("lwm2m: pmax %v: want whole seconds, 0 or at least pmin, %v", o.MaxPeriod, o.MinPeriod)
	case o.ReportWait < time.Second:
		return fmt.Errorf("lwm2m: report_wait %v: want at least 1s", o.ReportWait)
	case !slices.Contains([]string{CoAPPull, CoAPPush, HTTPSPull, CoAPTCPPull}, o.Delivery):
		return fmt.Errorf("lwm2m: delivery %q: want coap-pull, coap-push, https-pull or coap-tcp-pull", o.Delivery)
	case o.Storage < 0:
		return fmt.Errorf("lwm2m: storage %d: want a positive size, or 0", o.Storage)
	case o.Defer < 0:
		return fmt.Errorf("lwm2m: defer %v: want a positive time", o.Defer)
	case o.BlockSize != 0 && (o.BlockSize < 16 || o.BlockSize > 1024 || bits.OnesCount(uint(o.BlockSize)) != 1):
		return fmt.Errorf("lwm2m: block_size %d: want 0, 16, 32, 64, 128, 256, 512 or 1024", o.BlockSize)
	case o.TLSVersion != "1.2" && o.TLSVersion != "1.3":
		return fmt.Errorf("lwm2m: tls_version %q: want 1.2 or 1.3", o.TLSVersion)
	case o.Stall < time.Second:
		return fmt.Errorf("lwm2m: stall %v: want at least 1s", o.Stall)
	}
	for _, id := range o.Objects {
		if !slices.Contains(optionalObjects, id) {
			return fmt.Errorf("lwm2m: objects %d: want 4, 6, 7, 9, 19 or 3303", id)
		}
	}
	if o.Turn.Order < 0 || o.Turn.Delay < 0 || !seconds(o.Turn.Delay) {
		return fmt.Errorf("lwm2m: turn: want an order from 0 and a delay in whole seconds")
	}
	if err := o.validateServers(); err != nil {
		return err
	}
	if err := o.DTLS.validate(); err != nil {
		return err
	}
	return o.CoAP.validate()
}

func (o *DTLSOptions) validate() error {
	for i, c := range []DTLSConfig{o.Device, o.Platform} {
		if err := c.Validate(); err != nil {
			return fmt.Errorf("lwm2m: dtls.%s.%w", [...]string{"device", "platform"}[i], err)
		}
	}
	return nil
}

func (o *CoAPOptions) validate() error {
	if err := o.Device.Validate(); err != nil {
		return fmt.Errorf("lwm2m: device: %w", err)
	}
	if err := o.Platform.Validate(); err != nil {
		return fmt.Errorf("lwm2m: platform: %w", err)
	}
	return nil
}

// uri is that of a server (appendix E.1, resource 0).
func (o *Options) uri(addr netip.AddrPort, binding string) string {
	scheme := "coap"
	if o.secure() {
		scheme = "coaps"
	}
	if binding == BindingTCP {
		scheme += "+tcp"
	}
	return scheme + "://" + addr.String()
}

// port is the registered one of the server.
func (o *Options) port() uint16 {
	if o.secure() {
		return portCoAPS
	}
	return portCoAP
}

// updateInterval is the time between registration updates.
func (o *Options) updateInterval() time.Duration {
	if o.UpdateInterval > 0 {
		return o.UpdateInterval
	}
	return o.Lifetime / 2
}

// transferSize is the block size of a firmware transfer.
func (o *Options) transferSize(cfg coap.Config) int {
	switch {
	case o.BlockSize > 0:
		return o.BlockSize
	case cfg.BlockSize > 0:
		return cfg.BlockSize
	}
	return 1024
}

// New makes a stack. Errors: options out of range.
func New(o Options) (clients.Stack, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	return stack{o}, nil
}

// stack implements clients.Stack.
type stack struct{ opt Options }

// NewPlatform implements clients.Stack.
func (s stack) NewPlatform(env *clients.Env) (clients.Platform, error) {
	p, err := NewPlatform(s.opt, env)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// NewDevice implements clients.Stack.
func (s stack) NewDevice(env *clients.Env) (clients.Device, error) {
	d, err := NewDevice(s.opt, env)
	if err != nil {
		return nil, err
	}
	return d, nil
}
