package mqtt

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/internal/memhost"
	"github.com/thinlink/thinlink/internal/confyaml"
)

func TestOptionsAreChecked(t *testing.T) {
	for field, edit := range map[string]func(*Options){
		"tls":             func(o *Options) { o.TLS = "1.1" },
		"topics":          func(o *Options) { o.Topics = "" },
		"ota":             func(o *Options) { o.OTA = "ftp" },
		"qos":             func(o *Options) { o.QoS = 3 },
		"indent":          func(o *Options) { o.Indent = -1 },
		"keep_alive":      func(o *Options) { o.KeepAlive = 1500 * time.Millisecond },
		"ota_stall":       func(o *Options) { o.OTAStall = -1 },
		"connect_timeout": func(o *Options) { o.ConnectTimeout = 0 },
		"ping_timeout":    func(o *Options) { o.PingTimeout = 0 },
		"reconnect_max":   func(o *Options) { o.ReconnectMax = 0 },
		"block_size":      func(o *Options) { o.BlockSize = 255 },
		"window":          func(o *Options) { o.Window = 33 }, // of 4 KiB: more than one request brings
		"block_timeout":   func(o *Options) { o.BlockTimeout = 0 },
		"buffer":          func(o *Options) { o.SendBuffer = -1 },
		"version":         func(o *Options) { o.Version = "4" },
		"auth":            func(o *Options) { o.Auth = "psk" },
		"encoding":        func(o *Options) { o.Encoding = "xml" },
		"encoding cbor":   func(o *Options) { o.Encoding = "cbor" }, // of a shadow
		"session_expiry":  func(o *Options) { o.SessionExpiry = 0 },
		"topic_alias":     func(o *Options) { o.TopicAlias = 1 }, // of version 3.1.1
		"topic_alias -1":  func(o *Options) { o.Version, o.TopicAlias = "5", -1 },
		"will_delay":      func(o *Options) { o.Version, o.WillDelay = "5", time.Minute },
		"respond":         func(o *Options) { o.Version, o.Respond = "5", true },
		"user":            func(o *Options) { o.User = "me" },
		"want version 3":  func(o *Options) { o.Topics, o.Version = "azure", "5" },
		"provisioning":    func(o *Options) { o.Provisioning = true },
		"refuses qos 2":   func(o *Options) { o.Topics, o.QoS = "azure", 2 },
		"want ota https":  func(o *Options) { o.Topics, o.OTA = "azure", "push" },
	} {
		opt := DefaultOptions()
		edit(&opt)
		if _, err := New(opt); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
	if _, err := New(DefaultOptions()); err != nil {
		t.Errorf("the defaults: %v", err)
	}
}

func TestOptionsDecode(t *testing.T) {
	opt := DefaultOptions()
	yaml := "tls: '1.3'\nqos: 1\nkeep_alive: 30s\ntopics: plain\npki: {key: p256, chain: 2, padding: 0}\nsend_buffer: 16KiB\n"
	if err := confyaml.Decode("stack.yaml", []byte(yaml), &opt); err != nil {
		t.Fatal(err)
	}
	if opt.TLS != "1.3" || opt.QoS != 1 || opt.KeepAlive != 30*time.Second || opt.PKI.Chain != 2 || opt.SendBuffer != 16384 {
		t.Errorf("decoded %+v", opt)
	}
	if err := confyaml.Decode("stack.yaml", []byte("tls: '1.1'\n"), &opt); err == nil {
		t.Error("TLS 1.1 was accepted")
	}
}

func TestStartFails(t *testing.T) {
	device, platform := memhost.Pair(0)
	ln, err := platform.Listen("tcp", "10.0.0.1:443") // the file server's port is taken
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	stack, err := New(DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	env := &clients.Env{
		Device: device, Platform: platform, PKI: material(),
		KeyLog: io.Discard, Record: func(clients.Event) {}, Now: time.Now,
	}
	if _, err := clients.Start(t.Context(), stack, env); err == nil {
		t.Error("started without its port")
	}
	if ln, err := platform.Listen("tcp", "10.0.0.1:8883"); err != nil {
		t.Errorf("what had been started is left behind: %v", err)
	} else {
		ln.Close()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := clients.Start(ctx, stack, env); !errors.Is(err, context.Canceled) {
		t.Errorf("start with an ended context: %v", err)
	}
}

func TestBuffersNeedAHostThatHasThem(t *testing.T) {
	run(t, func(o *Options) { o.SendBuffer = 1000 }, func(w *world) {
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Second/2)
		defer cancel()
		if err := w.Connect(ctx, sample); !errors.Is(err, errors.ErrUnsupported) {
			w.t.Errorf("connect: %v", err)
		}
	})
}

// Tokens have one length, whatever the key.
func TestTokenLength(t *testing.T) {
	resources := map[string]string{"": "platform.thinlink.test/devices/thinlink-device-0001", "registration": "0ne00000000/registrations/thinlink-device-0001"}
	for policy, resource := range resources {
		want := len(resource) + usualToken
		if policy != "" {
			want += len("&skn=" + policy)
		}
		for key := range byte(50) {
			d := &device{name: "thinlink-device-0001", key: []byte{key}, env: &clients.Env{Now: time.Now}}
			if got := d.token(resource, policy); len(got) != want {
				t.Errorf("key %d: a token of %d characters, want %d: %s", key, len(got), want, got)
			}
		}
	}
}
