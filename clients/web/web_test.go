package web

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/flash"
	"github.com/thinlink/thinlink/clients/pki"
	"github.com/thinlink/thinlink/internal/units"
	"github.com/thinlink/thinlink/netem"
	"github.com/thinlink/thinlink/netem/vnet"
)

var material = sync.OnceValue(func() *pki.Material {
	m, err := pki.New(pki.Options{Key: pki.P256, Chain: 2})
	if err != nil {
		panic(err)
	}
	return m
})

var sample = clients.Reading{Text: "sixty characters of text, as in the reference experiment....", Integer: 1234567, Float: 20.5, Boolean: true}

// world is a session over a link.
type world struct {
	*clients.Session
	t       *testing.T
	env     *clients.Env
	network *vnet.Network
	mu      sync.Mutex
	events  []string
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) count(text string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if strings.Contains(e, text) {
			n++
		}
	}
	return n
}

func run(t *testing.T, loss float64, stack clients.Stack, test func(*world)) {
	t.Helper()
	material()
	synctest.Test(t, func(t *testing.T) {
		d := netem.DirectionConfig{Rate: 20_000, Delay: 200 * time.Millisecond, Queue: netem.QueueConfig{Bytes: 16384}, Loss: netem.LossConfig{Rate: units.Fraction(loss)}}
		n, err := vnet.New(vnet.Config{
			Device:   vnet.HostConfig{Addr: netip.MustParseAddr("10.0.0.2")},
			Platform: vnet.HostConfig{Addr: netip.MustParseAddr("10.0.0.1")},
			Link:     netem.Config{MTU: 1358, Up: d, Down: d}, Seed: 3,
		})
		if err != nil {
			t.Fatal(err)
		}
		w := &world{t: t}
		w.env = &clients.Env{
			Device: n.Device(), Platform: n.Platform(), PKI: material(), Seed: 1, Flash: new(flash.Memory), KeyLog: io.Discard, Now: time.Now,
			Record: func(e clients.Event) {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.events = append(w.events, e.Kind+" "+e.Detail)
			},
		}
		w.network = n
		w.Session, err = clients.Start(t.Context(), stack, w.env)
		w.must(err)
		test(w)
		w.must(w.Close())
		n.Close()
		time.Sleep(time.Hour)
	})
}

func stacks(t *testing.T) map[string]clients.Stack {
	t.Helper()
	all := map[string]clients.Stack{}
	for name, edit := range map[string]func(*CoAPOptions){
		"coap": func(*CoAPOptions) {}, "coap nosec non": func(o *CoAPOptions) { o.Security, o.Confirmable, o.Encoding = "nosec", false, "cbor" },
	} {
		o := DefaultCoAPOptions()
		edit(&o)
		s, err := NewCoAP(o)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = s
	}
	for name, edit := range map[string]func(*HTTPSOptions){
		"https": func(*HTTPSOptions) {}, "https poll": func(o *HTTPSOptions) { o.Command, o.PollInterval, o.Encoding = "poll", time.Minute, "protobuf" },
		"https once": func(o *HTTPSOptions) { o.KeepOpen, o.TLS = false, "1.2" },
	} {
		o := DefaultHTTPSOptions()
		edit(&o)
		s, err := NewHTTPS(o)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = s
	}
	return all
}

func newImage(size int) clients.Image {
	img := clients.Image{Name: "app", Version: "1.0.1", Data: bytes.Repeat([]byte("firmware"), size/8)}
	img.SHA256 = sha256.Sum256(img.Data)
	return img
}

func TestSteps(t *testing.T) {
	for name, stack := range stacks(t) {
		for _, loss := range []float64{0, .1} {
			t.Run(fmt.Sprintf("%s, loss %v", name, loss), func(t *testing.T) {
				run(t, loss, stack, func(w *world) {
					ctx := w.t.Context()
					w.must(w.Connect(ctx, sample))
					for i := range int64(4) {
						r := sample
						r.Integer += i
						w.must(w.Report(ctx, r))
						w.must(w.Command(ctx, 40+i))
						time.Sleep(30 * time.Second)
					}
					w.must(w.Update(ctx, newImage(20_000)))
					bad := newImage(1000)
					bad.SHA256[0]++
					if err := w.Update(ctx, bad); err == nil || !strings.Contains(err.Error(), "SHA-256 does not match") {
						t.Errorf("update with a wrong digest: %v", err)
					}
					time.Sleep(3 * time.Hour)
					w.must(w.Report(ctx, sample))
					w.must(w.Command(ctx, 99))
					if n := w.count("warning"); n > 0 {
						t.Errorf("warnings: %q", w.events)
					}
					if n := w.count("report "); n < 6 {
						t.Errorf("%d reports: %q", n, w.events)
					}
					w.PowerOff()
					time.Sleep(time.Minute)
					w.must(w.PowerOn(ctx))
					w.must(w.Report(ctx, sample))
				})
			})
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for field, edit := range map[string]func(*CoAPOptions){
		"security": func(o *CoAPOptions) { o.Security = "psk" }, "encoding": func(o *CoAPOptions) { o.Encoding = "xml" },
		"report_wait": func(o *CoAPOptions) { o.ReportWait = 0 }, "pki.key": func(o *CoAPOptions) { o.PKI.Key = pki.RSA2048 },
		"mtu": func(o *CoAPOptions) { o.DTLS.MTU = 1 },
	} {
		o := DefaultCoAPOptions()
		edit(&o)
		if _, err := NewCoAP(o); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
	for field, edit := range map[string]func(*HTTPSOptions){
		"tls": func(o *HTTPSOptions) { o.TLS = "1.1" }, "encoding": func(o *HTTPSOptions) { o.Encoding = "xml" },
		"command": func(o *HTTPSOptions) { o.Command = "push" }, "hold": func(o *HTTPSOptions) { o.Hold = 0 },
		"poll_interval": func(o *HTTPSOptions) { o.PollInterval = 0 }, "timeout": func(o *HTTPSOptions) { o.Timeout = 0 },
		"reconnect_max": func(o *HTTPSOptions) { o.ReconnectMax = 0 },
	} {
		o := DefaultHTTPSOptions()
		edit(&o)
		if _, err := NewHTTPS(o); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// FuzzStatus feeds a platform what a device may send.
func FuzzStatus(f *testing.F) {
	f.Add([]byte(`{"path":"/firmware/000001","error":"x"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var u updates
		_, ended := u.begin(newImage(8))
		_ = u.end(data)
		_ = u.end(data)
		if len(ended) > 1 {
			t.Error("ended twice")
		}
	})
}
