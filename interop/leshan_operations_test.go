//go:build interop

package interop

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/clients/lwm2m"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/tree"
	"github.com/thinlink/thinlink/clients/pki"
)

// Paths of the device with Leshan's client.
var (
	leshanReading = model.NewPath(33650, 0)
	leshanInteger = leshanReading.Child(1)
	leshanCommand = leshanReading.Child(4)
	leshanMaker   = model.NewPath(3, 0, 0)
)

// namedFormat is a content format by its name with Leshan.
func namedFormat(name string) message.MediaType {
	format, _ := content.Named(strings.ToLower(strings.ReplaceAll(name, "_", "-")))
	return format
}

// operateByOurs has our server perform every operation that Leshan's client
// supports, too.
func operateByOurs(t *testing.T, c *capture, creds *credentials, device func(*testing.T) agent) {
	opt := lwm2m.DefaultOptions()
	opt.Security, opt.Report, opt.Format = lwm2m.NoSec, lwm2m.ReportSend, "senml-cbor"
	p := lwm2mPlatform(t, c, creds, opt)
	d := device(t)
	d.do(t, "connect")
	ctx := within(t, 2*patience)
	must(t, p.Connected(ctx, pki.DeviceName))
	r, err := p.Registration(pki.DeviceName)
	must(t, err)
	perform := func(name string, f func(t *testing.T)) { c.exchange(t, name, f) }
	attributes := func(pmin, pmax time.Duration) func(*testing.T) {
		return func(t *testing.T) {
			must(t, r.WriteAttributes(ctx, leshanReading, tree.Attributes{MinPeriod: &pmin, MaxPeriod: &pmax}))
		}
	}

	perform("discover", func(t *testing.T) {
		links, err := r.Discover(ctx, leshanReading)
		must(t, err)
		if len(links) != 6 {
			t.Errorf("links %v", links)
		}
	})
	perform("write attributes", attributes(time.Second, time.Minute))
	perform("discover attributes", func(t *testing.T) {
		links, err := r.Discover(ctx, leshanReading)
		must(t, err)
		if pmax, _ := links[0].Param("pmax"); pmax != "60" {
			t.Errorf("links %v", links)
		}
	})
	perform("write attributes anew", attributes(0, 5*time.Minute))
	for _, name := range []string{"TLV", "JSON", "SENML_JSON", "SENML_CBOR"} {
		format := namedFormat(name)
		perform("read an instance in "+name, func(t *testing.T) {
			nodes, err := r.Read(ctx, leshanReading, format)
			must(t, err)
			holds(t, nodes, leshanInteger, int64(1))
		})
		perform("write a resource in "+name, func(t *testing.T) {
			must(t, r.Write(ctx, leshanCommand, true, format, []model.Node{{Path: leshanCommand, Value: int64(600)}}))
			commanded(t, d, 600)
		})
		perform("update an instance in "+name, func(t *testing.T) {
			must(t, r.Write(ctx, leshanReading, false, format, []model.Node{{Path: leshanCommand, Value: int64(300)}}))
			commanded(t, d, 300)
		})
	}
	for _, name := range []string{"text", "CBOR"} {
		perform("read a resource in "+name, func(t *testing.T) {
			nodes, err := r.Read(ctx, leshanInteger, namedFormat(name))
			must(t, err)
			holds(t, nodes, leshanInteger, int64(1))
		})
	}
	if _, ours := d.(*ownDevice); !ours { // whose readings have one instance
		perform("create, read, delete", func(t *testing.T) { createAtLeshan(ctx, t, r, d) })
	}
	perform("execute registration update trigger", func(t *testing.T) { must(t, r.Execute(ctx, model.NewPath(1, 0, 8), "")) })
	perform("execute what cannot be", func(t *testing.T) { refused(t, r.Execute(ctx, leshanMaker, ""), codes.MethodNotAllowed) })
	for i, name := range []string{"SENML_JSON", "SENML_CBOR"} {
		format, lifetime := namedFormat(name), int64(500-100*i) // another one, which both devices tell
		perform("read-composite in "+name, func(t *testing.T) {
			nodes, err := r.ReadComposite(ctx, []model.Path{leshanMaker, leshanInteger, model.NewPath(1, 0)}, format)
			must(t, err)
			holds(t, nodes, leshanMaker, d.maker())
		})
		perform("write-composite in "+name, func(t *testing.T) {
			must(t, r.WriteComposite(ctx, format, []model.Node{{Path: model.NewPath(1, 0, 1), Value: lifetime}, {Path: leshanCommand, Value: int64(17)}}))
			commanded(t, d, 17)
		})
		perform("observe-composite in "+name+", two notifications, cancel", func(t *testing.T) {
			observed(ctx, t, d, func(notify func(*coap.Response)) (*coap.Observation, error) {
				return r.ObserveComposite(ctx, []model.Path{leshanInteger, leshanMaker}, format, notify)
			})
		})
	}
	perform("observe an instance in SENML_CBOR, two notifications, cancel", func(t *testing.T) {
		observed(ctx, t, d, func(notify func(*coap.Response)) (*coap.Observation, error) {
			return r.Observe(ctx, leshanReading, content.SenMLCBOR, notify)
		})
	})
	if l, ok := d.(*script); ok { // ours sends what it reports, in one format
		for _, format := range []string{"SENML_JSON", "SENML_CBOR"} {
			perform("send in "+format, func(t *testing.T) {
				if got := l.do(t, "send "+format); got != "CHANGED(204)" {
					t.Errorf("our server answers %s", got)
				}
			})
		}
	}
	must(t, p.Close())
}

// createAtLeshan has an instance made and removed.
func createAtLeshan(ctx context.Context, t *testing.T, r *lwm2m.Registration, d agent) {
	at := model.NewPath(33650, 9)
	created, err := r.Create(ctx, model.NewPath(33650), content.TLV, []model.Node{{Path: at.Child(4), Value: int64(8)}})
	must(t, err)
	commanded(t, d, 8)
	if created != at {
		t.Errorf("created %v", created)
	}
	_, err = r.Read(ctx, at, content.TLV)
	must(t, err)
	must(t, r.Delete(ctx, at))
	_, err = r.Read(ctx, at, content.TLV)
	refused(t, err, codes.NotFound)
}

// holds looks for a value.
func holds(t *testing.T, nodes []model.Node, at model.Path, want any) {
	t.Helper()
	for _, n := range nodes {
		if n.Path == at && n.Value == want {
			return
		}
	}
	t.Errorf("no %v at %v in %v", want, at, nodes)
}

func refused(t *testing.T, err error, want codes.Code) {
	t.Helper()
	var status *model.StatusError
	if !errors.As(err, &status) || status.Code != want {
		t.Errorf("%v, want %s", err, coap.CodeString(want))
	}
}

// observed follows an observation for two notifications.
func observed(ctx context.Context, t *testing.T, d agent, begin func(func(*coap.Response)) (*coap.Observation, error)) {
	t.Helper()
	news := make(chan *coap.Response, 8)
	o, err := begin(func(r *coap.Response) { news <- r })
	must(t, err)
	<-news // the first value
	for n := range 2 {
		d.do(t, fmt.Sprint("report ", n+2))
		select {
		case r := <-news:
			if r.Code != codes.Content {
				t.Errorf("notification %s", coap.CodeString(r.Code))
			}
		case <-ctx.Done():
			t.Fatal("no notification")
		}
	}
	_, err = o.Cancel(ctx)
	must(t, err)
	d.do(t, "report 1")
}
