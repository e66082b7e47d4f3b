package lwm2m

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/clients/flash"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
	"github.com/thinlink/thinlink/clients/lwm2m/tree"
)

// A device without an account gets one from the bootstrap server, whatever
// secures both, and works with it. After a reboot it still has it.
func TestBootstrap(t *testing.T) {
	for _, kind := range []string{BootstrapClient, BootstrapPack} {
		for _, security := range []string{NoSec, PSK, Certificate} {
			t.Run(kind+", "+security, func(t *testing.T) {
				opt := DefaultOptions()
				opt.Security, opt.Bootstrap = security, kind
				if kind == BootstrapPack {
					opt.Version, opt.Format = content.V12, "senml-cbor"
				}
				inWorld(t, narrowband(0), opt, func(w *world) {
					w.steps()
					if n := w.noted("bootstrapped"); n != 1 {
						t.Errorf("bootstrapped %d times", n)
					}
					w.session.PowerOff()
					w.check("boot", w.session.PowerOn(w.t.Context()))
					w.check("report", w.session.Report(w.t.Context(), reading(2)))
					if n := w.noted("bootstrapped"); n != 1 {
						t.Errorf("bootstrapped %d times after a reboot", n)
					}
				})
			})
		}
	}
}

// noted counts the states of which a word was recorded.
func (w *world) noted(word string) (n int) {
	for _, e := range w.recorded(clients.EventState) {
		if strings.Contains(e.Detail, word) {
			n++
		}
	}
	return n
}

// The server can send a device back to the bootstrap server (appendix E.2,
// resource 9).
func TestBootstrapTrigger(t *testing.T) {
	opt := DefaultOptions()
	opt.Security, opt.Bootstrap = PSK, BootstrapClient
	inWorld(t, lan(), opt, func(w *world) {
		w.connect()
		reg := w.known().reg
		w.check("trigger", reg.Execute(w.t.Context(), model.NewPath(objects.Server.ID, 0, objects.ServerBootstrapTrigger), ""))
		pass(10 * time.Second)
		if n := w.noted("bootstrapped"); n != 2 {
			t.Errorf("bootstrapped %d times", n)
		}
		w.check("report", w.session.Report(w.t.Context(), reading(1)))
	})
}

// A device that cannot register with its account gets another one.
func TestBootstrapFallback(t *testing.T) {
	opt := DefaultOptions()
	opt.Security, opt.Bootstrap, opt.RetryCount = PSK, BootstrapClient, 1
	inWorld(t, lan(), opt, func(w *world) {
		w.connect()
		w.session.PowerOff()
		account := must(w.env.Flash.Load(accountRecord))
		w.check("spoil", w.env.Flash.Save(accountRecord, bytes.Replace(account, []byte(":5684"), []byte(":5999"), 1)))
		w.check("boot", w.session.PowerOn(w.t.Context()))
		w.check("report", w.session.Report(w.t.Context(), reading(1)))
		if n := w.noted("bootstrapped"); n != 2 {
			t.Errorf("bootstrapped %d times", n)
		}
	})
}

// Bootstrap-Read (section 6.1.7.9) is of the server and access control objects.
func TestBootstrapRead(t *testing.T) {
	inWorld(t, lan(), DefaultOptions(), func(w *world) {
		w.connect()
		view := w.device().bootstrapView()
		payload, _, err := view.Read(model.NewPath(objects.Server.ID, 0, objects.ServerShortID), content.SenMLJSON, true)
		if want := `[{"bn":"/1/0/0","v":1}]`; err != nil || string(payload) != want {
			t.Errorf("%s, %v, want %s", payload, err, want)
		}
		for _, id := range []uint16{objects.Security.ID, objects.Device.ID} {
			var status *model.StatusError
			if _, _, err := view.Read(model.NewPath(id, 0), content.SenMLJSON, true); !errors.As(err, &status) || status.Code != codes.MethodNotAllowed {
				t.Errorf("object %d: %v", id, err)
			}
		}
	})
}

// Under loss the device bootstraps all the same.
func TestBootstrapUnderLoss(t *testing.T) {
	opt := DefaultOptions()
	opt.Bootstrap = BootstrapClient
	inWorld(t, narrowband(10), opt, (*world).connect)
}

// The bootstrap interface's operations, and what each of them refuses.
func TestBootstrapOperations(t *testing.T) {
	opt := DefaultOptions()
	opt.Security, opt.Bootstrap = NoSec, BootstrapClient
	inWorld(t, lan(), opt, func(w *world) {
		b := &bootstrapping{device: w.device(), view: w.device().bootstrapView(), finished: make(chan struct{}, 1)}
		do := func(method codes.Code, path string, want codes.Code, payload string) string {
			t.Helper()
			req := coap.NewRequest(method, path)
			if payload != "" {
				req.WithPayload(content.SenMLJSON, []byte(payload))
			}
			if method == codes.GET {
				req.SetAccept(content.Links)
			}
			resp := b.ServeCoAP(context.Background(), req)
			if resp.Code != want {
				t.Errorf("%v %s: %v, want %v", method, path, resp.Code, want)
			}
			return string(resp.Payload)
		}
		if got := do(codes.GET, "/", codes.Content, ""); !strings.HasPrefix(got, "</>;lwm2m=1.1,</0/0>,</1>,</3/0>") {
			t.Errorf("discover: %s", got)
		}
		do(codes.POST, "/bs", codes.NotAcceptable, "") // nothing was written
		server := `[{"bn":"/1/0/","n":"0","v":7},{"n":"1","v":300},{"n":"6","vb":false},{"n":"7","vs":"U"}]`
		do(codes.PUT, "/1/0", codes.Changed, server)
		do(codes.POST, "/bs", codes.NotAcceptable, "") // no security instance
		do(codes.PUT, "/0/1", codes.Changed, `[{"bn":"/0/1/","n":"0","vs":"coap://203.0.113.10:5683"},{"n":"1","vb":false},{"n":"2","v":3},{"n":"10","v":7}]`)
		if got := do(codes.GET, "/0", codes.Content, ""); got != `</>;lwm2m=1.1,</0/0>,</0/1>;ssid=7;uri=coap://203.0.113.10:5683` {
			t.Errorf("discover: %s", got)
		}
		do(codes.PUT, "/777/0", codes.NotFound, `[{"bn":"/777/0/","n":"0","v":7}]`)
		do(codes.PUT, "/1/0", codes.BadRequest, `[{"bn":`)
		do(codes.DELETE, "/1/0/1", codes.BadRequest, "")
		do(coap.FETCH, "/", codes.MethodNotAllowed, "")
		do(codes.POST, "/bs", codes.Changed, "")
		do(codes.DELETE, "/", codes.Deleted, "")
		if got := do(codes.GET, "/", codes.Content, ""); !strings.HasPrefix(got, "</>;lwm2m=1.1,</0/0>,</1>,</3/0>,</4>,</5/0>,</33650>") {
			t.Errorf("what remains: %s", got)
		}
	})
}

// FuzzPack feeds the device arbitrary packs: refused, or its account can be read
// and kept.
func FuzzPack(f *testing.F) {
	m, err := material()
	if err != nil {
		f.Fatal(err)
	}
	opt := DefaultOptions()
	opt.Security, opt.Bootstrap = PSK, BootstrapPack
	opt.Version, opt.PSKKey = content.V12, strings.Repeat("ab", 16)
	env := &clients.Env{PKI: m, Seed: 1, Flash: new(flash.Memory), Record: func(clients.Event) {}, Now: time.Now, Device: cutHost{}}
	for _, account := range []string{
		`[{"bn":"/0/1/","n":"0","vs":"coaps://203.0.113.10:5684"},{"n":"1","vb":false},{"n":"2","v":0},{"n":"3","vd":"AQI"},{"n":"5","vd":"AQI"},{"n":"10","v":1},` +
			`{"bn":"/1/0/","n":"0","v":1},{"n":"1","v":300},{"n":"6","vb":false},{"n":"7","vs":"U"}]`,
		`[{"bn":"/3/0/0","vs":"x"}]`, `[{"bn":"/0/0/","n":"1","vb":true}]`,
	} {
		nodes := must(content.Decode(content.SenMLJSON, model.Path{}, objects.Schema, []byte(account)))
		for _, format := range []message.MediaType{content.SenMLJSON, content.SenMLCBOR, content.LwM2MCBOR} {
			f.Add(uint16(format), must(content.Encode(format, model.Path{}, nodes)))
		}
	}
	f.Fuzz(func(t *testing.T, format uint16, pack []byte) {
		d := &device{opt: &opt, env: env, ctx: t.Context()}
		d.tree = tree.New(tree.Config{Version: opt.Version, Restructured: d.relist})
		d.tree.Define(objects.Security, nil)
		d.tree.Define(objects.Server, nil)
		if d.bootstrapView().Write(model.Path{}, pack, message.MediaType(format)) != nil || d.adopt() != nil {
			return
		}
		if err := d.remember(); err != nil {
			t.Fatal(err)
		}
		if err := d.recall(); err != nil {
			t.Fatalf("%q cannot be recalled: %v", pack, err)
		}
	})
}
