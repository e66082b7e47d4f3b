package lwm2m

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
	"github.com/thinlink/thinlink/clients/lwm2m/tree"
)

// twoServers are options of a device with certificates for one server and a
// pre-shared key for another.
func twoServers() Options {
	opt := DefaultOptions()
	opt.MoreServers = []Server{{Security: PSK, Lifetime: time.Hour}}
	return opt
}

// registrationAt is the device's at a server.
func (w *world) registrationAt(id int) *registration {
	p := w.platform()
	if id > 1 {
		p = p.more[id-2]
	}
	return p.client(w.env.DeviceName()).get().reg
}

// Every step is performed with several servers, however each is secured and
// however the device knows of them, over a link that loses packets; the device
// knows them after a reboot.
func TestSeveralServers(t *testing.T) {
	for _, bootstrap := range []string{BootstrapNone, BootstrapClient, BootstrapPack} {
		for _, loss := range []float64{0, 5} {
			t.Run(fmt.Sprintf("bootstrap %s, %v %%", bootstrap, loss), func(t *testing.T) {
				opt := twoServers()
				opt.MoreServers = append(opt.MoreServers, Server{Security: NoSec, Turn: Turn{Order: 1}}, Server{Turn: Turn{Order: 2, Delay: 5 * time.Second}})
				if opt.Bootstrap = bootstrap; bootstrap == BootstrapPack {
					opt.Version, opt.Format = content.V12, "senml-cbor"
				}
				opt.Notify = NotifyCon
				inWorld(t, narrowband(loss), opt, func(w *world) {
					w.steps()
					w.session.PowerOff()
					w.check("boot", w.session.PowerOn(w.t.Context()))
					w.check("connected", w.session.Platform.Connected(w.t.Context(), w.env.DeviceName()))
					w.check("report", w.session.Report(w.t.Context(), reading(2)))
					if n := w.noted("bootstrapped"); (n == 1) != (bootstrap != BootstrapNone) {
						t.Errorf("bootstrapped %d times", n)
					}
				})
			})
		}
	}
}

// Test cases 950 and 951 of the enabler: each server has its registration, its
// observation and its attributes, and what becomes of one leaves the other alone.
func TestServersApart(t *testing.T) {
	opt := twoServers()
	opt.MoreServers[0].Queue = new(bool)
	inWorld(t, lan(), opt, func(w *world) {
		w.connect()
		first, second := w.registrationAt(1), w.registrationAt(2)
		if first.lifetime != 20*time.Minute || second.lifetime != time.Hour || first.session() == second.session() {
			t.Errorf("lifetimes %v and %v", first.lifetime, second.lifetime)
		}
		// Each has its attributes: the first reports every 20 s, the second on change.
		pmax := 20 * time.Second
		w.check("write-attributes", first.WriteAttributes(w.t.Context(), readingPath, tree.Attributes{MaxPeriod: &pmax}))
		at1, at2 := w.device().tree.As(1).Attributes(readingPath), w.device().tree.As(2).Attributes(readingPath)
		if at1.MaxPeriod == nil || at2 != (tree.Attributes{}) {
			t.Errorf("attributes %v and %v", at1, at2)
		}
		before := len(w.recorded(clients.EventReport))
		pass(time.Minute)
		if n := len(w.recorded(clients.EventReport)) - before; n != 3 || w.noted("server 2: report") != 1 {
			t.Errorf("%d reports to the first, %d to the second, want 3 and only the first reading", n, w.noted("server 2: report"))
		}
		// A trigger or a lifetime of one is of no concern to the other.
		w.check("lifetime", second.WriteText(w.t.Context(), model.NewPath(1, 1, objects.ServerLifetime), int64(300)))
		pass(time.Second)
		if second.lifetime != 5*time.Minute || first.lifetime != 20*time.Minute {
			t.Errorf("lifetimes %v and %v", first.lifetime, second.lifetime)
		}
		// The loss of one session leaves the other.
		kept := w.device().all()[0].session()
		w.device().all()[1].session().abort()
		pass(time.Minute)
		if w.registrationAt(1) != first || w.device().all()[0].session() != kept || w.registrationAt(2) == second {
			t.Error("the loss of one registration touched the other, or was not mended")
		}
		w.check("report", w.session.Report(w.t.Context(), reading(3)))
	})
}

// The first server owns what the factory has said nothing about; the other may
// read it, and has its own account for itself.
func TestServersRights(t *testing.T) {
	inWorld(t, lan(), twoServers(), func(w *world) {
		w.connect()
		first, second := w.registrationAt(1), w.registrationAt(2)
		ctx := w.t.Context()
		allowed := func(what string, err error) {
			t.Helper()
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		refused := func(what string, err error) {
			t.Helper()
			var status *model.StatusError
			if !errors.As(err, &status) || status.Code != codes.Unauthorized {
				t.Errorf("%s: %v, want 4.01", what, err)
			}
		}
		_, err := second.Read(ctx, at("/3/0/0"), content.Text)
		allowed("read", err)
		refused("command", second.WriteText(ctx, readingPath.Child(objects.ReadingCommand), int64(1)))
		refused("reboot", second.Execute(ctx, at("/3/0/4"), ""))
		refused("the other's lifetime", second.WriteText(ctx, at("/1/0/1"), int64(100)))
		_, err = first.Read(ctx, at("/1/1/1"), content.Text)
		refused("read of the other's account", err)
		allowed("its own lifetime", second.WriteText(ctx, at("/1/1/1"), int64(100)))
		nodes, err := second.Read(ctx, model.NewPath(objects.Access.ID), content.TLV)
		if err != nil || !slices.ContainsFunc(nodes, func(n model.Node) bool { return n.Path.Object() == objects.Access.ID }) {
			t.Errorf("access control: %v, %v", nodes, err)
		}
	})
}

// A server that is out of reach does not keep the device from the others, and
// gets its registration when it is back.
func TestServerDown(t *testing.T) {
	opt := twoServers()
	opt.RetryCount, opt.Notify, opt.ReportWait = 1, NotifyCon, 5*time.Second
	inWorld(t, lan(), opt, func(w *world) {
		down := w.platform().more[0]
		down.stop()
		w.check("connect", w.session.Device.Connect(w.t.Context(), reading(0), nil))
		if order := w.registeredWith(); !slices.Equal(order, []string{"1"}) {
			t.Errorf("registered with %v", order)
		}
		pass(time.Minute)
		w.check("command", w.session.Command(w.t.Context(), 7))
		w.check("start", down.start())
		w.check("connected", w.session.Platform.Connected(w.t.Context(), w.env.DeviceName()))
		w.check("report", w.session.Report(w.t.Context(), reading(1)))
	})
}

// Servers with an order are registered with in it; one that fails blocks those
// after it if it is to (appendix E.2, resources 13 to 15).
func TestRegistrationOrder(t *testing.T) {
	for _, block := range []bool{false, true} {
		opt := DefaultOptions()
		opt.Security, opt.RetryCount, opt.Turn = NoSec, 0, Turn{Order: 3, Delay: 10 * time.Second}
		opt.MoreServers = []Server{{Turn: Turn{Order: 1}}, {Turn: Turn{Order: 2, Delay: 20 * time.Second, Block: block}}}
		inWorld(t, lan(), opt, func(w *world) {
			broken := w.platform().more[1]
			broken.stop()
			start := time.Now()
			w.check("connect", w.session.Device.Connect(w.t.Context(), reading(0), nil))
			took := time.Since(start)
			// 20 s until the second's turn, a registration that nobody answers, and
			// 10 s until the third's.
			silence := opt.CoAP.Device.MaxTransmitWait()
			if least := 30 * time.Second; !block && (took < least || took > least+silence) || block && took > 20*time.Second+silence {
				t.Errorf("block %v: took %v", block, took)
			}
			if n := w.registrations(); n != map[bool]int{false: 1, true: 0}[block] {
				t.Errorf("block %v: %d registrations with the last", block, n)
			}
			w.check("start", broken.start())
			w.check("connected", w.session.Platform.Connected(w.t.Context(), w.env.DeviceName()))
			if order := w.registeredWith(); !slices.Equal(order, map[bool][]string{false: {"2", "1", "3"}, true: {"2", "3", "1"}}[block]) {
				t.Errorf("block %v: registered with %v", block, order)
			}
		})
	}
}

// registeredWith are the servers that the device has registered with, in order.
func (w *world) registeredWith() (order []string) {
	for _, e := range w.recorded(clients.EventState) {
		if rest, ok := strings.CutPrefix(e.Detail, "device: server "); ok && strings.Contains(rest, "registered at") {
			order = append(order, rest[:1])
		}
	}
	return order
}

// What the options refuse.
func TestServersRefused(t *testing.T) {
	for want, spoil := range map[string]func(*Options){
		"more_servers.0: security":   func(o *Options) { o.MoreServers[0].Security = "none" },
		"more_servers.0: lifetime":   func(o *Options) { o.MoreServers[0].Lifetime = time.Millisecond },
		"more_servers.0: turn":       func(o *Options) { o.MoreServers[0].Turn.Order = -1 },
		"more_servers.0: binding T":  func(o *Options) { o.MoreServers[0].Binding = BindingTCP },
		"more_servers: want at most": func(o *Options) { o.MoreServers = make([]Server, maxServers) },
		"more_servers: not with": func(o *Options) {
			o.Security, o.Binding, o.Delivery = NoSec, BindingNonIP, CoAPPush
		},
	} {
		opt := twoServers()
		spoil(&opt)
		if _, err := New(opt); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// A server that disables itself is left: the device de-registers, is deaf and
// silent for Disable Timeout, and registers again (appendix E.2, resources 4 and
// 5). The other server does not notice.
func TestDisable(t *testing.T) {
	for _, report := range []string{ReportNotify, ReportSend} {
		opt := twoServers()
		if opt.Report = report; report == ReportSend {
			opt.Format = "senml-cbor"
		}
		inWorld(t, lan(), opt, func(w *world) {
			w.connect()
			ctx := w.t.Context()
			first, second := w.registrationAt(1), w.registrationAt(2)
			if n, err := second.ReadInteger(ctx, at("/1/1/5")); err != nil || n != 86400 {
				t.Errorf("disable timeout %d, %v", n, err)
			}
			w.check("timeout", second.WriteText(ctx, at("/1/1/5"), int64(300)))
			w.check("disable", second.Execute(ctx, at("/1/1/4"), ""))
			start := time.Now()
			pass(time.Second)
			if second.over.Err() == nil || first.over.Err() != nil {
				t.Error("not de-registered, or with the wrong server")
			}
			silence := w.cost(func() {
				time.Sleep(298 * time.Second)
				if _, err := second.ReadInteger(ctx, at("/3/0/9")); err == nil {
					t.Error("read from a device that has left")
				}
			})
			if silence.packets() != 0 {
				t.Errorf("%d packets while disabled", silence.packets())
			}
			if report == ReportSend {
				w.check("send to the other", w.device().send(ctx))
			}
			w.check("registered again", w.platform().more[0].client(w.env.DeviceName()).wait(ctx, func(f facts) bool { return f.reg != second }))
			if took := time.Since(start); took < 300*time.Second || took > 301*time.Second {
				t.Errorf("registered again after %v", took)
			}
			if w.registrationAt(1) != first {
				t.Error("the other server has a new registration")
			}
			w.check("report", w.session.Report(ctx, reading(1)))
		})
	}
}
