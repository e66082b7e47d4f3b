package lwm2m

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/dgram"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
	"github.com/thinlink/thinlink/clients/pki"
	"github.com/thinlink/thinlink/internal/units"
	"github.com/thinlink/thinlink/netem"
)

// near checks a figure of the reference experiment.
func near(t *testing.T, what string, got, want int, tolerance float64) {
	t.Helper()
	d := float64(got-want) / float64(want)
	t.Logf("%s: %d, reference %d: %+.1f %%", what, got, want, 100*d)
	if d > tolerance || d < -tolerance {
		t.Errorf("%s: want within %.0f %%", what, 100*tolerance)
	}
}

// TestReferenceExperiment holds the Ethernet bytes of each test against the
// reference experiment.
func TestReferenceExperiment(t *testing.T) {
	inWorld(t, lan(), DefaultOptions(), func(w *world) {
		c := w.cost(w.connect)
		near(w.t, "connect", c.total(), 4213, 0.15)
		near(w.t, "connect, mean packet", c.total()/c.packets(), 295, 0.15)
		near(w.t, "connect, share down in percent", 100*c.down/c.total(), 33, 0.15)
		c = w.cost(func() { time.Sleep(10 * time.Minute) })
		near(w.t, "steady", c.total(), 179, 0.15)
		near(w.t, "steady, packets", c.packets(), 2, 0)
		near(w.t, "steady, up", c.up, 96, 0.15)
		c = w.cost(func() {
			for i := range 10 {
				w.check("report", w.session.Report(w.t.Context(), reading(1+i)))
				time.Sleep(30 * time.Second)
			}
		})
		near(w.t, "reports", c.total(), 1820, 0.15)
		near(w.t, "reports, packets", c.packets(), 10, 0)
		c = w.cost(func() { w.check("command", w.session.Command(w.t.Context(), 42)) })
		near(w.t, "command", c.total(), 181, 0.15)
		near(w.t, "command, packets", c.packets(), 2, 0)
	})
}

// steps performs every step once.
func (w *world) steps() {
	w.connect()
	w.check("report", w.session.Report(w.t.Context(), reading(1)))
	w.check("command", w.session.Command(w.t.Context(), -5))
	w.update(20_000)
}

func TestSteps(t *testing.T) {
	for _, security := range []string{NoSec, PSK, Certificate} {
		t.Run(security, func(t *testing.T) {
			opt := DefaultOptions()
			opt.Security = security
			inWorld(t, narrowband(0), opt, func(w *world) {
				w.steps()
				if got := w.known().reading; got != reading(1) {
					t.Errorf("the server has %+v", got)
				}
				reports, commands := w.recorded(clients.EventReport), w.recorded(clients.EventCommand)
				if len(reports) != 2 || len(commands) != 1 || commands[0].Detail != "-5" {
					t.Errorf("%v, %v", reports, commands)
				}
				if v := w.device().tree.Get(objects.Reading.ID, 0, objects.ReadingCommand); v != int64(-5) {
					t.Errorf("the device has %v", v)
				}
				keys := regexp.MustCompile(`^(CLIENT_RANDOM [0-9a-f]{64} [0-9a-f]{96}\n)*$`)
				want := map[string]int{NoSec: 0, PSK: 2, Certificate: 2}[security] // registration and download
				if s := w.keys.String(); !keys.MatchString(s) || strings.Count(s, "\n") != want {
					t.Errorf("key log: %q", s)
				}
			})
		})
	}
}

// TestStreamBinding performs every step over TCP and TLS.
func TestStreamBinding(t *testing.T) {
	for _, security := range []string{NoSec, Certificate} {
		opt := DefaultOptions()
		opt.Security, opt.Binding, opt.Delivery = security, BindingTCP, CoAPTCPPull
		inWorld(t, narrowband(2), opt, func(w *world) {
			w.steps()
			w.session.PowerOff()
			w.check("boot", w.session.PowerOn(w.t.Context()))
			w.check("report", w.session.Report(w.t.Context(), reading(2)))
			for _, s := range w.tap.log {
				if s.ip[9] != 6 {
					t.Fatalf("%s: a packet of protocol %d", security, s.ip[9])
				}
			}
		})
	}
}

// TestSMSBinding performs every step by short messages, some of which the service
// centre loses, unsecured and with a pre-shared key. A message is a transfer of
// four packets.
func TestSMSBinding(t *testing.T) {
	for _, security := range []string{NoSec, PSK} {
		opt := DefaultOptions()
		opt.Security, opt.Binding, opt.Delivery = security, BindingSMS, CoAPPush
		opt.CoAP.Device.AckTimeout, opt.CoAP.Platform.AckTimeout, opt.ReportWait = time.Minute, time.Minute, 5*time.Minute
		for _, loss := range []units.Fraction{0, 0.05} {
			link := narrowband(0)
			link.SMS = &netem.SMSConfig{Delay: netem.Latency{Fixed: 5 * time.Second}, Loss: loss}
			inWorld(t, link, opt, func(w *world) {
				if c := w.cost(w.steps); c.packets() == 0 || loss == 0 && c.packets()%4 != 0 {
					t.Errorf("%s: %+v", security, c)
				}
			})
		}
	}
}

// bearerOf is what carries a binding's messages.
func bearerOf(binding string) netem.Bearer {
	return map[string]netem.Bearer{BindingNonIP: netem.BearerNonIP, BindingSMS: netem.BearerSMS}[binding]
}

// TestNonIPBinding performs every step without IP: packets are CoAP messages, 28
// bytes shorter than over UDP, or DTLS records. A device that reboots is found
// again.
func TestNonIPBinding(t *testing.T) {
	for _, security := range []string{NoSec, PSK} {
		for _, delivery := range []string{CoAPPull, CoAPPush} {
			opt := DefaultOptions()
			opt.Security, opt.Binding, opt.Delivery, opt.SameSession = security, BindingNonIP, delivery, delivery == CoAPPull
			costs := map[string]count{}
			for _, binding := range []string{BindingNonIP, BindingUDP} {
				opt.Binding = binding
				inWorld(t, lan(), opt, func(w *world) { costs[binding] = w.cost(w.connect) })
			}
			if n, u := costs[BindingNonIP], costs[BindingUDP]; n.packets() != u.packets() || n.total() != u.total()-28*u.packets() {
				t.Errorf("%s: connect costs %+v without IP, %+v with", security, n, u)
			}
			opt.Binding = BindingNonIP
			inWorld(t, narrowband(5), opt, func(w *world) {
				w.steps()
				w.session.PowerOff()
				w.check("boot", w.session.PowerOn(w.t.Context()))
				w.check("report", w.session.Report(w.t.Context(), reading(2)))
				for _, s := range w.tap.log {
					if coapVersion := s.ip[0]>>6 == 1; coapVersion != (security == NoSec) {
						t.Fatalf("%s: a packet begins with %x", security, s.ip[:4])
					}
				}
			})
		}
	}
}

// Two runs of one seed send packets of the same sizes at the same times.
// The identity of a pre-shared key need not be the endpoint's name.
func TestIdentity(t *testing.T) {
	for _, bootstrap := range []string{BootstrapNone, BootstrapClient} {
		opt := DefaultOptions()
		opt.Security, opt.PSKIdentity, opt.Bootstrap = PSK, "urn:imei:490154203237518", bootstrap
		inWorld(t, narrowband(0), opt, (*world).steps)
	}
}

func TestDeterminism(t *testing.T) {
	opt := DefaultOptions()
	opt.ConnectionID = true
	type packet struct {
		at   time.Duration
		up   bool
		size int
	}
	var runs [2][]packet
	for i := range runs {
		inWorld(t, narrowband(10), opt, func(w *world) {
			w.steps()
			for _, s := range w.tap.log {
				runs[i] = append(runs[i], packet{s.at, s.dir == 0, s.size})
			}
		})
	}
	if !slices.Equal(runs[0], runs[1]) {
		for i := range min(len(runs[0]), len(runs[1])) {
			if runs[0][i] != runs[1][i] {
				t.Fatalf("packet %d: %v, then %v", i, runs[0][i], runs[1][i])
			}
		}
		t.Fatalf("%d packets, then %d", len(runs[0]), len(runs[1]))
	}
}

// Everything also works over a link that loses one packet in five.
func TestHeavyLoss(t *testing.T) {
	opt := DefaultOptions()
	opt.Notify = NotifyCon
	inWorld(t, narrowband(20), opt, (*world).steps)
}

// A device that the server does not answer tries again, and says why it gives
// up.
func TestConnectFails(t *testing.T) {
	opt := DefaultOptions()
	opt.RetryCount = 2
	inWorld(t, lan(), opt, func(w *world) {
		w.cut.Store(true)
		start := time.Now()
		err := w.session.Connect(w.t.Context(), reading(0))
		// Three handshakes that time out, and pauses of one and two minutes.
		if want := 3*opt.DTLS.Device.HandshakeTimeout + 3*opt.RetryTimer; !errors.Is(err, dgram.ErrHandshakeTimeout) || time.Since(start) != want {
			t.Errorf("%v after %v, want %v", err, time.Since(start), want)
		}
	})
}

func TestConnectCancelled(t *testing.T) {
	inWorld(t, narrowband(0), DefaultOptions(), func(w *world) {
		reason := errors.New("changed my mind")
		for _, after := range []time.Duration{0, time.Second, 2 * time.Second, 3 * time.Second} {
			ctx, cancel := context.WithCancelCause(w.t.Context())
			time.AfterFunc(after, func() { cancel(reason) })
			if err := w.session.Connect(ctx, reading(0)); !errors.Is(err, reason) {
				t.Errorf("after %v: %v", after, err)
			}
		}
	})
}

// Close at any moment ends everything, which inWorld checks.
func TestCloseAnytime(t *testing.T) {
	for _, after := range []time.Duration{0, time.Second, 2500 * time.Millisecond, 4 * time.Second, 5 * time.Second, 8 * time.Second, 20 * time.Second} {
		inWorld(t, narrowband(0), DefaultOptions(), func(w *world) {
			ctx, cancel := context.WithCancel(w.t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				if w.session.Connect(ctx, reading(0)) == nil {
					_ = w.session.Update(ctx, image(100_000)) // cut short by what is tested
				}
			}()
			pass(after)
			cancel()
			w.close()
			<-done
			if err := w.session.PowerOn(t.Context()); err == nil {
				t.Error("a closed session was turned on")
			}
			if err := w.session.Platform.Restart(t.Context()); err == nil {
				t.Error("a closed session's platform was restarted")
			}
		})
	}
}

// A device with a certificate from somewhere else is not let in.
func TestForeignDevice(t *testing.T) {
	foreign := must(pki.New(DefaultOptions().PKI))
	inWorld(t, lan(), DefaultOptions(), func(w *world) {
		w.device().all()[0].cred.Cert = must(foreign.Device.TLS())
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
		defer cancel()
		if err := w.session.Connect(ctx, reading(0)); err == nil {
			t.Error("connected")
		}
		if n := w.registrations(); n != 0 {
			t.Errorf("%d registrations", n)
		}
	})
}

// A device does not talk to a server with a certificate from somewhere else.
func TestForeignServer(t *testing.T) {
	foreign := must(pki.New(DefaultOptions().PKI))
	inWorld(t, lan(), DefaultOptions(), func(w *world) {
		w.device().all()[0].cred.Pool = must(foreign.Pool())
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
		defer cancel()
		if err := w.session.Connect(ctx, reading(0)); err == nil {
			t.Error("connected")
		}
	})
}

func TestDeregister(t *testing.T) {
	inWorld(t, lan(), DefaultOptions(), func(w *world) {
		w.connect()
		reg := w.known().reg
		w.check("de-register", w.device().all()[0].leave(w.t.Context()))
		if n := w.registrations(); n != 0 {
			t.Errorf("%d registrations", n)
		}
		if _, err := reg.ReadInteger(w.t.Context(), model.NewPath(3, 0, 9)); !errors.Is(err, errOver) {
			t.Errorf("read over the ended registration: %v", err)
		}
	})
}

// The server changes the lifetime and triggers updates.
func TestServerObject(t *testing.T) {
	inWorld(t, lan(), DefaultOptions(), func(w *world) {
		w.connect()
		reg, ctx := w.known().reg, w.t.Context()
		w.check("write lifetime", reg.WriteText(ctx, model.NewPath(1, 0, objects.ServerLifetime), int64(100)))
		pass(time.Second)
		if reg.lifetime != 100*time.Second {
			t.Errorf("lifetime %v", reg.lifetime)
		}
		if c := w.cost(func() { time.Sleep(100 * time.Second) }); c.packets() != 4 {
			t.Errorf("%d packets in one lifetime, want two updates", c.packets())
		}
		if c := w.cost(func() {
			w.check("trigger", reg.Execute(ctx, model.NewPath(1, 0, objects.ServerTrigger), ""))
			time.Sleep(time.Second)
		}); c.packets() != 4 {
			t.Errorf("%d packets, want execute and update", c.packets())
		}
		for _, err := range []error{
			reg.WriteText(ctx, model.NewPath(1, 0, objects.ServerLifetime), int64(0)),
			reg.WriteText(ctx, model.NewPath(1, 0, objects.ServerBinding), "SMS"),
			reg.WriteText(ctx, model.NewPath(1, 0, objects.ServerMinPeriod), int64(-1)),
		} {
			var status *model.StatusError
			if !errors.As(err, &status) {
				t.Errorf("nonsense: %v", err)
			}
		}
	})
}

// A server of an older version answers 4.12, and the device falls back to it.
func TestVersionFallback(t *testing.T) {
	for _, version := range versions {
		opt := DefaultOptions()
		opt.Security, opt.Version, opt.PlatformVersion, opt.Format = NoSec, content.V12, version, "lwm2m-cbor"
		if version != content.V12 {
			opt.Format = "tlv"
		}
		inWorld(t, lan(), opt, func(w *world) {
			w.steps()
			refused := len(versions) - 1 - slices.Index(versions, version)
			if n := w.noted("does not have LwM2M"); n != refused || w.device().all()[0].version != version {
				t.Errorf("refused %d times, now %s, want %d and %s", n, w.device().all()[0].version, refused, version)
			}
		})
	}
}

// A server that has lost its database gets a new registration.
func TestForgottenRegistration(t *testing.T) {
	inWorld(t, lan(), DefaultOptions(), func(w *world) {
		w.connect()
		w.platform().registry.close()
		pass(10*time.Minute + time.Second)
		if n := w.registrations(); n != 1 {
			t.Errorf("%d registrations", n)
		}
		w.check("report", w.session.Report(w.t.Context(), reading(1)))
	})
}

func TestStartRefused(t *testing.T) {
	inWorld(t, lan(), DefaultOptions(), func(w *world) {
		st := must(New(DefaultOptions()))
		if _, err := clients.Start(w.t.Context(), st, w.env); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("second server: %v", err)
		}
		env := *w.env
		env.PKI = nil
		if _, err := clients.Start(w.t.Context(), st, &env); err == nil {
			t.Error("started without certificates")
		}
	})
}

func TestOptions(t *testing.T) {
	for field, spoil := range map[string]func(*Options){
		"security":        func(o *Options) { o.Security = "none" },
		"connection_id":   func(o *Options) { o.Security, o.ConnectionID = NoSec, true },
		"pki.key":         func(o *Options) { o.PKI.Key = pki.RSA2048 },
		"lifetime":        func(o *Options) { o.Lifetime = 1500 * time.Millisecond },
		"update_interval": func(o *Options) { o.UpdateInterval = 2 * o.Lifetime },
		"binding":         func(o *Options) { o.Binding = "X" },
		"same_session":    func(o *Options) { o.Binding = BindingNonIP },
		"not with bootstrap": func(o *Options) {
			o.Security, o.Binding, o.Delivery, o.Bootstrap = NoSec, BindingNonIP, CoAPPush, BootstrapClient
		},
		"retry_count":       func(o *Options) { o.RetryCount = -1 },
		"retry_timer":       func(o *Options) { o.RetryTimer = 0 },
		"sequence_delay":    func(o *Options) { o.SequenceDelay = 0 },
		"download_patience": func(o *Options) { o.DownloadPatience = 0 },
		"notify":            func(o *Options) { o.Notify = "" },
		"pmin":              func(o *Options) { o.MinPeriod = time.Millisecond },
		"pmax":              func(o *Options) { o.MinPeriod, o.MaxPeriod = 2*time.Second, time.Second },
		"report_wait":       func(o *Options) { o.ReportWait = 0 },
		"storage":           func(o *Options) { o.Storage = -1 },
		"defer":             func(o *Options) { o.Defer = -1 },
		"delivery":          func(o *Options) { o.Delivery = "push" },
		"block_size":        func(o *Options) { o.BlockSize = 100 },
		"tls_version":       func(o *Options) { o.TLSVersion = "1.1" },
		"stall":             func(o *Options) { o.Stall = 0 },
		"flight_interval":   func(o *Options) { o.DTLS.Device.FlightInterval = 0 },
		"handshake_timeout": func(o *Options) { o.DTLS.Platform.HandshakeTimeout = 0 },
		"mtu":               func(o *Options) { o.DTLS.Platform.MTU = 1 },
		"ack_timeout":       func(o *Options) { o.CoAP.Device.AckTimeout = 1 },
		"nstart":            func(o *Options) { o.CoAP.Platform.NStart = -1 },
	} {
		opt := DefaultOptions()
		if _, err := New(opt); err != nil {
			t.Fatal(err)
		}
		spoil(&opt)
		if _, err := New(opt); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}
