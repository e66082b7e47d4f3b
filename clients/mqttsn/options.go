package mqttsn

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/dgram"
	"github.com/thinlink/thinlink/clients/pki"
)

// Options configure the stack.
type Options struct {
	Security string       `conf:"security" doc:"UDP in the clear, or DTLS 1.2 with certificates on both sides" enum:"nosec,certificate"`
	PKI      pki.Options  `conf:"pki" doc:"keys and certificates"`
	DTLS     dgram.Config `conf:"dtls" doc:"DTLS of both ends"`
	Timers

	QoS       int           `conf:"qos" doc:"quality of service; -1 publishes without ever connecting, on a predefined or short topic" min:"-1" max:"1"`
	Topics    string        `conf:"topics" doc:"topics that are registered, predefined on both ends, or two characters long" enum:"registered,predefined,short"`
	Encoding  string        `conf:"encoding" doc:"encoding of reports and commands" enum:"json,cbor,protobuf"`
	Clean     bool          `conf:"clean_session" doc:"the gateway forgets the device when it disconnects"`
	Will      bool          `conf:"will" doc:"the device leaves a will on its status topic"`
	KeepAlive time.Duration `conf:"keep_alive" doc:"keep-alive interval in whole seconds, 0s is none" min:"0s" max:"65535s"`
	Sleep     time.Duration `conf:"sleep" doc:"the device sleeps between reports, and asks for its messages so often, in whole seconds; 0s is never" min:"0s" max:"65535s"`

	ReportWait   time.Duration `conf:"report_wait" doc:"qos 0 and -1: time after which a report or command counts as lost and is sent again" min:"1s"`
	ReconnectMax time.Duration `conf:"reconnect_max" doc:"longest pause between attempts to connect; the first is 1s, then doubling" min:"1s"`
}

// DefaultOptions are the timers of section 7.2 and one ping in ten minutes, over
// DTLS.
func DefaultOptions() Options {
	return Options{
		Security:     "certificate",
		PKI:          pki.Options{Key: pki.P256, Chain: 1, DevicePadding: 400}, // as LwM2M has it
		DTLS:         dgram.DefaultConfig(),
		Timers:       Timers{Retry: 15 * time.Second, Number: 5}, // 10 to 15 s, 3 to 5
		QoS:          1,
		Topics:       "registered",
		Encoding:     "json",
		Clean:        true,
		KeepAlive:    10 * time.Minute,
		ReportWait:   25 * time.Second,
		ReconnectMax: 2 * time.Minute,
	}
}

func (o Options) check() error {
	oneOf := func(name, value string, allowed ...string) error {
		if slices.Contains(allowed, value) {
			return nil
		}
		return fmt.Errorf("%s %q: want one of %q", name, value, allowed)
	}
	seconds := func(name string, d time.Duration) error {
		if d >= 0 && d <= 65535*time.Second && d%time.Second == 0 {
			return nil
		}
		return fmt.Errorf("%s %v: want whole seconds up to 65535s", name, d)
	}
	errs := []error{
		oneOf("security", o.Security, "nosec", "certificate"),
		oneOf("topics", o.Topics, "registered", "predefined", "short"),
		oneOf("encoding", o.Encoding, "json", "cbor", "protobuf"),
		seconds("keep_alive", o.KeepAlive), seconds("sleep", o.Sleep), o.DTLS.Validate(),
	}
	for _, c := range []struct {
		wrong bool
		text  string
	}{
		{o.QoS < qosNone || o.QoS > 1, fmt.Sprintf("qos %d: want -1, 0 or 1", o.QoS)},
		{o.QoS == qosNone && o.Topics == "registered", "qos -1: want topics predefined or short"},
		{o.QoS == qosNone && (o.Sleep > 0 || o.Will), "qos -1: a device that never connects has neither sleep nor will"},
		{o.Retry < 100*time.Millisecond, fmt.Sprintf("t_retry %v: want at least 100ms", o.Retry)},
		{o.Number < 0 || o.Number > 20, fmt.Sprintf("n_retry %d: want 0 to 20", o.Number)},
		{o.ReportWait < time.Second, fmt.Sprintf("report_wait %v: want at least 1s", o.ReportWait)},
		{o.ReconnectMax < time.Second, fmt.Sprintf("reconnect_max %v: want at least 1s", o.ReconnectMax)},
		{o.Security == "certificate" && o.PKI.Key != pki.P256, fmt.Sprintf("pki.key %q: the cipher suite needs p256", o.PKI.Key)},
	} {
		if c.wrong {
			errs = append(errs, errors.New(c.text))
		}
	}
	return errors.Join(errs...)
}

// New makes a stack, or says what is wrong with the options.
func New(opt Options) (clients.Stack, error) {
	if err := opt.check(); err != nil {
		return nil, fmt.Errorf("mqttsn: %w", err)
	}
	return stack{opt}, nil
}

// stack implements clients.Stack.
type stack struct{ opt Options }

// NewPlatform implements clients.Stack.
func (s stack) NewPlatform(env *clients.Env) (clients.Platform, error) {
	p := &Platform{opt: s.opt, env: env}
	if err := p.start(); err != nil {
		return nil, errors.Join(fmt.Errorf("mqttsn: platform: %w", err), p.Close())
	}
	return p, nil
}

// NewDevice implements clients.Stack.
func (s stack) NewDevice(env *clients.Env) (clients.Device, error) {
	d := &Device{opt: s.opt, env: env, commands: make(chan int64, 16)}
	if s.opt.Security == "certificate" {
		if env.PKI == nil {
			return nil, errors.New("mqttsn: device: security certificate needs certificates")
		}
		var err error
		if d.cred, err = dgram.NewCredentials(env.PKI, env.PKI.Device); err != nil {
			return nil, fmt.Errorf("mqttsn: device: %w", err)
		}
	}
	d.boot()
	return d, nil
}

// port is that of MQTT over UDP, in the clear or by DTLS (IANA).
func (o *Options) port() uint16 {
	if o.Security == "certificate" {
		return 8883
	}
	return 1883
}

// Numbers of predefined topics.
const (
	reportID  = 1
	commandID = 2
)

// names are the topics of a device.
func (o *Options) names(device string) (report, command string) {
	if o.Topics == "short" {
		return "r1", "c1"
	}
	return "thinlink/" + device + "/report", "thinlink/" + device + "/command"
}

func (o *Options) predefined(device string) map[uint16]string {
	if o.Topics != "predefined" {
		return nil
	}
	report, command := o.names(device)
	return map[uint16]string{reportID: report, commandID: command}
}
