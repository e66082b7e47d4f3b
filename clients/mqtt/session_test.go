package mqtt

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/flash"
	"github.com/thinlink/thinlink/clients/internal/memhost"
	"github.com/thinlink/thinlink/clients/pki"
)

// material is made once: RSA keys are slow. Its chain is short where bytes do
// not matter.
var material = sync.OnceValue(func() *pki.Material {
	m, err := pki.New(pki.Options{Key: pki.P256, Chain: 2})
	if err != nil {
		panic(err)
	}
	return m
})

var sample = clients.Reading{
	Text:    "The quick brown fox jumps over the lazy dog, 60 characters.",
	Integer: 1234567, Float: 21.123456, Boolean: true,
}

// world is a session, and what it recorded.
type world struct {
	*clients.Session
	t        *testing.T
	opt      Options
	env      *clients.Env
	platform *Platform
	device   *memhost.Host

	mu     sync.Mutex
	events []clients.Event
	onData func(offset int64)
}

func run(t *testing.T, edit func(*Options), test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		opt := DefaultOptions()
		if edit != nil {
			edit(&opt)
		}
		stack, err := New(opt)
		if err != nil {
			t.Fatal(err)
		}
		device, platform := memhost.Pair(100 * time.Millisecond)
		w := &world{t: t, opt: opt, device: device}
		w.env = &clients.Env{
			Device: device, Platform: platform, PKI: material(), Seed: 1,
			Flash: new(flash.Memory), KeyLog: io.Discard, Record: w.record, Now: time.Now,
		}
		w.Session, err = clients.Start(t.Context(), stack, w.env)
		if err != nil {
			t.Fatal(err)
		}
		w.platform = w.Platform.(*Platform)
		test(w)
		if err := w.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		time.Sleep(opt.ReconnectMax + time.Minute) // paho may sleep before it connects again
	})
}

// current is the device in its present life.
func (w *world) current() *device { return w.Device.(*Device).current() }

// replace puts another device in place of the present one, without booting it.
func (w *world) replace() *device {
	w.t.Helper()
	cfg, err := deviceTLS(w.opt, w.env)
	w.must(err)
	d, err := newDevice(w.opt, w.env, cfg)
	w.must(err)
	w.Device.(*Device).life = d
	return d
}

func (w *world) record(e clients.Event) {
	w.mu.Lock()
	w.events = append(w.events, e)
	f := w.onData
	w.mu.Unlock()
	if e.Kind == clients.EventOTAData && f != nil {
		f(e.Offset + e.Length)
	}
}

// count counts events of a kind whose detail contains the text.
func (w *world) count(kind, text string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, e := range w.events {
		if e.Kind == kind && strings.Contains(e.Detail, text) {
			n++
		}
	}
	return n
}

func (w *world) wantCount(kind, text string, n int) {
	w.t.Helper()
	if got := w.count(kind, text); got != n {
		w.t.Errorf("%d events %s %q, want %d", got, kind, text, n)
	}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// installed is the image in the device's flash.
func (w *world) installed() []byte {
	w.t.Helper()
	data, err := w.env.Flash.Load(imageFile)
	w.must(err)
	return data
}

func newImage(size int) clients.Image {
	img := clients.Image{Name: "app", Version: "1.0.1", Data: make([]byte, size)}
	rand.NewChaCha8([32]byte{7}).Read(img.Data)
	img.SHA256 = sha256.Sum256(img.Data)
	return img
}

// variants are the options that change what is on the wire.
var variants = map[string]func(*Options){
	"default":     nil,
	"plain":       func(o *Options) { o.Topics = "plain" },
	"qos 1":       func(o *Options) { o.QoS = 1 },
	"qos 2":       func(o *Options) { o.QoS, o.CleanSession = 2, false },
	"plain qos1":  func(o *Options) { o.Topics, o.QoS, o.CleanSession = "plain", 1, false },
	"tls none":    func(o *Options) { o.TLS = "none" },
	"tls 1.3":     func(o *Options) { o.TLS = "1.3" },
	"resumption":  func(o *Options) { o.Resumption = true },
	"together":    func(o *Options) { o.SubscribeTogether = true },
	"chunks":      func(o *Options) { o.OTA = "chunks" },
	"chunks qos1": func(o *Options) { o.OTA, o.QoS, o.CleanSession, o.BlockSize = "chunks", 1, false, 1000 },
	"thingsboard": func(o *Options) { o.OTA, o.Window = "thingsboard", 1 },
	"push":        pushing,
	"push clean":  func(o *Options) { o.OTA = "push" },
	"no pings":    func(o *Options) { o.KeepAlive = 0 },
	"5":           func(o *Options) { o.Version = "5" },
	"5 alias":     func(o *Options) { o.Version, o.TopicAlias, o.Topics = "5", 8, "plain" },
	"5 qos1":      func(o *Options) { o.Version, o.TopicAlias, o.QoS, o.CleanSession = "5", 3, 1, false },
	"5 qos2":      func(o *Options) { o.Version, o.QoS, o.CleanSession = "5", 2, false },
	"5 clean":     func(o *Options) { o.Version, o.QoS, o.Topics, o.TopicAlias = "5", 2, "plain", 2 },
	"5 together":  func(o *Options) { o.Version, o.SubscribeTogether, o.TopicAlias = "5", true, 16 },
	"5 push":      func(o *Options) { pushing(o); o.Version, o.TopicAlias = "5", 5 },
	"azure":       func(o *Options) { o.Topics = "azure" },
	"azure sas":   func(o *Options) { o.Topics, o.Auth, o.QoS, o.CleanSession = "azure", "password", 1, false },
	"azure dps":   func(o *Options) { o.Topics, o.Provisioning = "azure", true },
	"azure dps sas": func(o *Options) {
		o.Topics, o.Provisioning, o.Auth, o.QoS, o.CleanSession = "azure", true, "password", 1, false
	},
	"azure c2d":  func(o *Options) { o.Topics, o.Command, o.Encoding = "azure", "message", "cbor" },
	"password":   func(o *Options) { o.Auth, o.Will, o.Retain = "password", true, true },
	"5 password": func(o *Options) { o.Version, o.Auth, o.Will, o.WillDelay = "5", "password", true, time.Minute },
	"cbor":       func(o *Options) { o.Topics, o.Encoding, o.Retain = "plain", "cbor", true },
	"5 protobuf": func(o *Options) {
		o.Version, o.Topics, o.Encoding, o.Respond, o.TopicAlias = "5", "plain", "protobuf", true, 4
	},
	"5 no pings": func(o *Options) { o.Version, o.KeepAlive = "5", 0 },
}

func pushing(o *Options) { o.OTA, o.OTAResume, o.QoS, o.CleanSession = "push", true, 1, false }

func TestSteps(t *testing.T) {
	for name, edit := range variants {
		t.Run(name, func(t *testing.T) {
			run(t, edit, func(w *world) {
				ctx := w.t.Context()
				w.must(w.Connect(ctx, sample))
				w.wantCount(clients.EventState, "connected", 1)
				for i := range int64(3) {
					time.Sleep(30 * time.Second)
					r := sample
					r.Integer += i
					w.must(w.Report(ctx, r))
				}
				w.must(w.Command(ctx, 42))
				w.must(w.Command(ctx, 43))
				w.wantCount(clients.EventCommand, "42", 1)
				w.wantCount(clients.EventCommand, "43", 1)
				reports := 4
				if w.opt.Topics == "shadow" {
					reports += 3 // what the device is, and two obeyed commands
				}
				w.wantCount(clients.EventReport, "", reports)
				img := newImage(100_000)
				w.must(w.Update(ctx, img))
				if !bytes.Equal(w.installed(), img.Data) {
					w.t.Error("the image on the device differs")
				}
				w.wantCount(clients.EventOTAState, "platform: SUCCEEDED", 1)
				img = newImage(50_000)
				w.must(w.Update(ctx, img)) // a second one
				time.Sleep(time.Hour)      // and the session stays alive
				w.must(w.Report(ctx, sample))
				w.wantCount(clients.EventState, "disconnected", 0)
				w.wantCount(clients.EventWarning, "", 0)
			})
		})
	}
}

func TestUpdateFails(t *testing.T) {
	run(t, nil, func(w *world) {
		w.must(w.Connect(w.t.Context(), sample))
		img := newImage(1000)
		img.SHA256[0] ^= 1
		if err := w.Update(w.t.Context(), img); err == nil || !strings.Contains(err.Error(), "FAILED: SHA-256 does not match") {
			w.t.Errorf("update with a wrong digest: %v", err)
		}
		w.must(w.Update(w.t.Context(), newImage(1000)))
	})
}

func TestConnectionsBreak(t *testing.T) {
	for name, edit := range variants {
		t.Run(name, func(t *testing.T) {
			run(t, edit, func(w *world) {
				ctx := w.t.Context()
				w.must(w.Connect(ctx, sample))
				for i := range int64(10) {
					// Break at another moment of the exchange each time.
					time.AfterFunc(time.Duration(i)*40*time.Millisecond, w.device.Cut)
					r := sample
					r.Integer += i
					w.must(w.Report(ctx, r))
					time.AfterFunc(time.Duration(i)*40*time.Millisecond, w.device.Cut)
					w.must(w.Command(ctx, 100+i))
				}
				if w.count(clients.EventState, "disconnected") < 10 {
					w.t.Errorf("only %d connections broke", w.count(clients.EventState, "disconnected"))
				}
			})
		})
	}
}

// interrupt cuts the device's connections when the image has come so far.
func (w *world) interrupt(at int64, f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.onData = func(reached int64) {
		if reached >= at {
			w.mu.Lock()
			w.onData = nil
			w.mu.Unlock()
			f()
		}
	}
}

// received sums up the image bytes that reached the device.
func (w *world) received() (n int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if e.Kind == clients.EventOTAData {
			n += e.Length
		}
	}
	return n
}

func TestInterruptedUpdate(t *testing.T) {
	const size = 300_000
	for name, c := range map[string]struct {
		resume, reboot, chunks bool
	}{
		"cut, from the start": {}, "cut, resumed": {resume: true},
		"reboot, from the start": {reboot: true}, "reboot, resumed": {resume: true, reboot: true},
		"chunks, cut": {resume: true, chunks: true}, "chunks, reboot": {resume: true, reboot: true, chunks: true},
		"chunks, reboot, from the start": {reboot: true, chunks: true},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(o *Options) {
				if o.OTAResume = c.resume; c.chunks {
					o.OTA = "chunks"
				}
			}, func(w *world) {
				w.must(w.Connect(w.t.Context(), sample))
				rebooted := make(chan error, 1)
				w.interrupt(150_000, func() {
					if c.reboot {
						go func() {
							w.device.Cut()
							w.PowerOff()
							time.Sleep(10 * time.Second)
							rebooted <- w.PowerOn(w.t.Context())
						}()
					} else {
						rebooted <- nil
						w.device.Cut()
					}
				})
				img := newImage(size)
				w.must(w.Update(w.t.Context(), img))
				w.must(<-rebooted)
				if !bytes.Equal(w.installed(), img.Data) {
					w.t.Error("the image on the device differs")
				}
				if n := w.received(); c.resume && n != size || !c.resume && n < size+150_000 {
					w.t.Errorf("%d image bytes arrived", n)
				}
				w.must(w.Report(w.t.Context(), sample))
			})
		})
	}
}

func TestCancellation(t *testing.T) {
	steps := map[string]func(*world, context.Context) error{
		"connect": func(w *world, ctx context.Context) error { return w.Connect(ctx, sample) },
		"report":  func(w *world, ctx context.Context) error { return w.Report(ctx, sample) },
		"command": func(w *world, ctx context.Context) error { return w.Command(ctx, 1) },
		"update":  func(w *world, ctx context.Context) error { return w.Update(ctx, newImage(1<<20)) },
	}
	for name, step := range steps {
		for _, after := range []time.Duration{0, 50 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond} {
			t.Run(name+" "+after.String(), func(t *testing.T) {
				run(t, nil, func(w *world) {
					if name != "connect" {
						w.must(w.Connect(w.t.Context(), sample))
						w.device.Block() // nothing passes any more
					}
					ctx, cancel := context.WithTimeout(w.t.Context(), after)
					defer cancel()
					start := time.Now()
					if err := step(w, ctx); err == nil {
						w.t.Error("no error")
					}
					if d := time.Since(start); d > after+time.Millisecond {
						w.t.Errorf("returned after %v", d)
					}
				})
			})
		}
	}
}
