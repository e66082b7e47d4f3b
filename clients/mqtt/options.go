package mqtt

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/mqtt/streams"
	"github.com/thinlink/thinlink/clients/pki"
	"github.com/thinlink/thinlink/internal/units"
)

// Options configure the stack. DefaultOptions is the reference experiment's.
type Options struct {
	TLS        string      `conf:"tls" doc:"TLS version, or none: MQTT over TCP alone" enum:"1.2,1.3,none"`
	Resumption bool        `conf:"resumption" doc:"resume TLS sessions by tickets when connecting again, but not after a reboot"`
	PKI        pki.Options `conf:"pki" doc:"keys and certificates"`

	Auth     string `conf:"auth" doc:"how the device proves who it is: by its TLS certificate, or by user name and password, with topics azure a shared access signature" enum:"certificate,password"`
	User     string `conf:"user" doc:"auth password: user name; empty is the device's name"`
	Password string `conf:"password" doc:"auth password: the password, with topics azure the device's key in base64; empty is one made for the run"`

	Version       string        `conf:"version" doc:"MQTT version" enum:"3.1.1,5"`
	SessionExpiry time.Duration `conf:"session_expiry" doc:"version 5, without clean_session: how long the broker keeps the session of a device that is away, in whole seconds" min:"1s" max:"1193046h"`
	TopicAlias    int           `conf:"topic_alias" doc:"version 5: topics that get an alias, in each direction" min:"0" max:"65535"`

	KeepAlive         time.Duration `conf:"keep_alive" doc:"keep-alive interval in whole seconds, 0s is none" min:"0s" max:"65535s"`
	QoS               int           `conf:"qos" doc:"quality of service of publications and subscriptions" min:"0" max:"2"`
	CleanSession      bool          `conf:"clean_session" doc:"the broker forgets the device when it disconnects"`
	Will              bool          `conf:"will" doc:"the device leaves a will on its status topic, and says there that it is online"`
	WillDelay         time.Duration `conf:"will_delay" doc:"version 5: time after a lost connection before the will is published, in whole seconds" min:"0s" max:"1193046h"`
	Retain            bool          `conf:"retain" doc:"reports on a plain topic and the status are retained"`
	Topics            string        `conf:"topics" doc:"reports and commands by AWS Device Shadow, on plain topics, or as an Azure IoT hub has them" enum:"shadow,plain,azure"`
	Encoding          string        `conf:"encoding" doc:"topics plain: encoding of reports and commands; topics azure: of reports" enum:"json,cbor,protobuf"`
	Command           string        `conf:"command" doc:"topics azure: commands as direct methods or as cloud-to-device messages" enum:"method,message"`
	Provisioning      bool          `conf:"provisioning" doc:"topics azure: before it connects for the first time the device asks the Device Provisioning Service for its hub"`
	Respond           bool          `conf:"respond" doc:"version 5, topics plain: the device answers a command on its response topic"`
	SubscribeTogether bool          `conf:"subscribe_together" doc:"one SUBSCRIBE for all topics instead of one for each"`
	Indent            int           `conf:"indent" doc:"spaces by which the device indents a shadow report's JSON, 0 is compact" min:"0" max:"8"`

	OTA          string        `conf:"ota" doc:"how the image travels: one GET over HTTPS; over MQTT in blocks that the device asks for, by AWS IoT Streams or as ThingsBoard has it; in retained messages; or none, for a broker without a jobs service" enum:"https,chunks,thingsboard,push,none"`
	OTAResume    bool          `conf:"ota_resume" doc:"an interrupted download goes on where it stopped, not from the start"`
	OTAStall     time.Duration `conf:"ota_stall" doc:"https: a download without a byte for so long is given up and begun again, 0s is never" min:"0s"`
	BlockSize    units.Bytes   `conf:"block_size" doc:"chunks, thingsboard, push: bytes of a block" min:"256" max:"131072"`
	Window       int           `conf:"window" doc:"chunks, thingsboard: blocks asked for and not there yet; push: messages sent and not acknowledged" min:"1" max:"512"`
	BlockTimeout time.Duration `conf:"block_timeout" doc:"chunks, thingsboard, push: without a block for so long the device asks again; doubled each time" min:"1s"`

	ConnectTimeout time.Duration `conf:"connect_timeout" doc:"one attempt to connect: TCP, TLS and CONNACK" min:"1s"`
	PingTimeout    time.Duration `conf:"ping_timeout" doc:"time for the answer to PINGREQ" min:"1s"`
	ReconnectMax   time.Duration `conf:"reconnect_max" doc:"longest pause between attempts to connect; the first is 1s, then doubling" min:"1s"`

	SendBuffer    units.Bytes `conf:"send_buffer" doc:"the device's TCP send buffer, 0 is the host's default" min:"0"`
	ReceiveBuffer units.Bytes `conf:"receive_buffer" doc:"the device's TCP receive buffer, 0 is the host's default" min:"0"`
}

// DefaultOptions are those of the reference experiment: TLS 1.2 with the
// RSA chain of a public cloud, one ping in ten minutes, QoS 0, Device Shadow.
// Paho's own time-outs (10 s for a ping, 30 s to connect) are far below what a
// narrowband link needs; those here fit 500 bit/s.
func DefaultOptions() Options {
	return Options{
		TLS:            "1.2",
		PKI:            pki.Options{Key: pki.RSA2048, Chain: 4, Padding: 340, DevicePadding: 150},
		Version:        "3.1.1",
		SessionExpiry:  24 * time.Hour,
		KeepAlive:      10 * time.Minute,
		CleanSession:   true,
		Auth:           "certificate",
		Topics:         "shadow",
		Encoding:       "json",
		Command:        "method",
		Indent:         4,
		OTA:            "https",
		OTAStall:       15 * time.Minute, // about when Linux gives up sending (tcp_retries2)
		BlockSize:      4096,             // as the vendors' libraries ask for
		Window:         4,                // the next blocks are under way while a request is
		BlockTimeout:   5 * time.Minute,
		ConnectTimeout: 15 * time.Minute,
		PingTimeout:    5 * time.Minute,
		ReconnectMax:   2 * time.Minute,
	}
}

// New makes a stack, or says what is wrong with the options.
func New(opt Options) (clients.Stack, error) {
	if err := opt.check(); err != nil {
		return nil, fmt.Errorf("mqtt: %w", err)
	}
	return stack{opt}, nil
}

func (o Options) check() error {
	oneOf := func(name, value string, allowed ...string) error {
		if slices.Contains(allowed, value) {
			return nil
		}
		return fmt.Errorf("%s %q: want one of %q", name, value, allowed)
	}
	atLeast := func(name string, value, least time.Duration) error {
		if value >= least {
			return nil
		}
		return fmt.Errorf("%s %v: want at least %v", name, value, least)
	}
	var errs []error
	if o.QoS < 0 || o.QoS > 2 {
		errs = append(errs, fmt.Errorf("qos %d: want 0, 1 or 2", o.QoS))
	}
	if o.Indent < 0 || o.Indent > 8 {
		errs = append(errs, fmt.Errorf("indent %d: want 0 to 8", o.Indent))
	}
	if o.KeepAlive < 0 || o.KeepAlive > 65535*time.Second || o.KeepAlive%time.Second != 0 {
		errs = append(errs, fmt.Errorf("keep_alive %v: want whole seconds up to 65535s", o.KeepAlive))
	}
	if o.BlockSize < streams.MinBlock || o.BlockSize > streams.MaxBlock {
		errs = append(errs, fmt.Errorf("block_size %d: want %d to %d", o.BlockSize, streams.MinBlock, streams.MaxBlock))
	}
	if o.Window < 1 || int64(o.Window)*int64(o.BlockSize) > streams.MaxResponse {
		errs = append(errs, fmt.Errorf("window %d: want at least 1, and at most %d bytes in all", o.Window, streams.MaxResponse))
	}
	if o.TopicAlias < 0 || o.TopicAlias > 65535 {
		errs = append(errs, fmt.Errorf("topic_alias %d: want 0 to 65535", o.TopicAlias))
	}
	errs = append(errs, o.together())
	if o.SendBuffer < 0 || o.ReceiveBuffer < 0 {
		errs = append(errs, errors.New("buffer sizes below 0"))
	}
	return errors.Join(append(errs,
		oneOf("tls", o.TLS, "1.2", "1.3", "none"),
		oneOf("version", o.Version, "3.1.1", "5"),
		atLeast("session_expiry", o.SessionExpiry, time.Second),
		oneOf("topics", o.Topics, "shadow", "plain", "azure"),
		oneOf("auth", o.Auth, "certificate", "password"),
		oneOf("encoding", o.Encoding, "json", "cbor", "protobuf"),
		oneOf("command", o.Command, "method", "message"),
		oneOf("ota", o.OTA, "https", "chunks", "thingsboard", "push", "none"),
		atLeast("ota_stall", o.OTAStall, 0),
		atLeast("block_timeout", o.BlockTimeout, time.Second),
		atLeast("connect_timeout", o.ConnectTimeout, time.Second),
		atLeast("ping_timeout", o.PingTimeout, time.Second),
		atLeast("reconnect_max", o.ReconnectMax, time.Second),
	)...)
}

// together tells of options that do not fit each other.
func (o Options) together() error {
	azure, five := o.Topics == "azure", o.Version == "5"
	var errs []error
	for _, c := range []struct {
		wrong bool
		text  string
	}{
		{o.TopicAlias > 0 && !five, fmt.Sprintf("topic_alias %d: want version 5", o.TopicAlias)},
		{o.WillDelay > 0 && !(five && o.Will), fmt.Sprintf("will_delay %v: want version 5 and will", o.WillDelay)},
		{o.Respond && !(five && o.Topics == "plain"), "respond: want version 5 and topics plain"},
		{o.Encoding != "json" && o.Topics == "shadow", fmt.Sprintf("encoding %s: a shadow is JSON", o.Encoding)},
		{o.Provisioning && !azure, "provisioning: want topics azure"},
		{azure && five, "topics azure: want version 3.1.1"},
		{azure && o.QoS == 2, "topics azure: an IoT hub refuses qos 2"},
		{azure && o.OTA != "https" && o.OTA != "none", "topics azure: want ota https or none"},
		{o.Auth != "password" && (o.User != "" || o.Password != ""), "user and password: want auth password"},
	} {
		if c.wrong {
			errs = append(errs, errors.New(c.text))
		}
	}
	return errors.Join(errs...)
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

// port is the registered port of MQTT as the options have it.
func (o *Options) port() uint16 {
	if o.TLS == "none" {
		return mqttPlainPort
	}
	return mqttPort
}

// commonTLS is what both ends' configurations share, and the root they trust.
func commonTLS(opt Options, env *clients.Env, c pki.Credential) (*tls.Config, *x509.CertPool, error) {
	low, high := uint16(tls.VersionTLS12), uint16(tls.VersionTLS12)
	switch opt.TLS {
	case "1.3":
		low, high = tls.VersionTLS13, tls.VersionTLS13
	case "none": // of MQTT; images are over HTTPS still
		high = tls.VersionTLS13
	}
	pool, err := env.PKI.Pool()
	if err != nil {
		return nil, nil, err
	}
	var certs []tls.Certificate
	if len(c.Chain) > 0 { // a device with a password needs none
		cert, err := c.TLS()
		if err != nil {
			return nil, nil, err
		}
		certs = append(certs, cert)
	}
	return &tls.Config{
		Certificates: certs,
		MinVersion:   low, MaxVersion: high,
		KeyLogWriter: env.KeyLog,
		// What both ends would agree on by themselves depends on the processor
		// (TLS 1.2) and on the Go version: key shares of hybrid groups make a
		// ClientHello of TLS 1.3 1.2 kB longer.
		CipherSuites: []uint16{
			tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		},
		CurvePreferences:       []tls.CurveID{tls.X25519, tls.CurveP256},
		SessionTicketsDisabled: !opt.Resumption,
		Time:                   env.Now,
	}, pool, nil
}

// deviceTLS is the device's configuration.
func deviceTLS(opt Options, env *clients.Env) (*tls.Config, error) {
	if env.PKI == nil {
		if opt.TLS == "none" {
			return nil, nil
		}
		return nil, errors.New("TLS needs certificates, and there are none")
	}
	cfg, pool, err := commonTLS(opt, env, env.PKI.Device)
	if err != nil {
		return nil, err
	}
	cfg.RootCAs, cfg.ServerName = pool, env.ServerName()
	if opt.Auth == "password" {
		cfg.Certificates = nil
	}
	return cfg, nil
}

// platformTLS is that of the MQTT listener, which demands the device's
// certificate unless devices have passwords.
func platformTLS(opt Options, env *clients.Env) (*tls.Config, error) {
	cfg, pool, err := commonTLS(opt, env, env.PKI.Server)
	if err != nil {
		return nil, err
	}
	if opt.Auth == "certificate" {
		cfg.ClientCAs, cfg.ClientAuth = pool, tls.RequireAndVerifyClientCert
	}
	return cfg, nil
}

// withTickets is the configuration of one service's connections in one power
// cycle of the device. Tickets are in memory: they survive a lost connection
// but no reboot. Each service has its own, since a cache goes by the name of
// the server, which is the same.
func withTickets(cfg *tls.Config, opt Options) *tls.Config {
	if !opt.Resumption || cfg == nil {
		return cfg
	}
	cfg = cfg.Clone()
	cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	return cfg
}
