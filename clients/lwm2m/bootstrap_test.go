package lwm2m

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
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
