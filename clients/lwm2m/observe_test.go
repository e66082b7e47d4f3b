package lwm2m

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/tree"
	"github.com/thinlink/thinlink/netem"
)

// reportTimes are the times of the packets that the device sends from now on,
// in seconds, while f runs.
func (w *world) uplinkTimes(f func()) (times []float64) {
	w.t.Helper()
	start, n := time.Now(), w.tap.mark()
	f()
	for _, s := range w.tap.log[n:] {
		if s.dir == netem.Up {
			times = append(times, (s.at - start.Sub(w.tap.start)).Seconds())
		}
	}
	return times
}

func TestPeriods(t *testing.T) {
	for _, test := range []struct {
		what       string
		pmin, pmax time.Duration
		changes    []time.Duration
		want       []float64
	}{
		{"every change at once", 0, 0, []time.Duration{time.Second, 2 * time.Second, 2500 * time.Millisecond}, []float64{1, 2, 2.5}},
		// The connection's own report is 30 s old.
		{"pmin collects changes", 10 * time.Second, 0, []time.Duration{time.Second, 2 * time.Second, 3 * time.Second, 15 * time.Second}, []float64{1, 11, 21}},
		{"pmax without change", 0, 40 * time.Second, nil, []float64{10, 50}},
		{"pmax from the last report", 0, 40 * time.Second, []time.Duration{5 * time.Second}, []float64{5, 45}},
	} {
		t.Run(test.what, func(t *testing.T) {
			opt := DefaultOptions()
			opt.MinPeriod, opt.MaxPeriod = test.pmin, test.pmax
			inWorld(t, lan(), opt, func(w *world) {
				w.connect()
				time.Sleep(30*time.Second - w.sinceReport())
				got := w.uplinkTimes(func() {
					start := time.Now()
					for i, at := range test.changes {
						time.Sleep(at - time.Since(start))
						w.device().set(reading(i + 1))
					}
					pass(time.Minute - time.Since(start))
				})
				if !reflect.DeepEqual(got, test.want) {
					t.Errorf("reports at %v, want %v", got, test.want)
				}
				if n := len(test.changes); n > 0 && w.known().reading != reading(n) {
					t.Error("the last report does not carry the last reading")
				}
			})
		})
	}
}

// Attributes that the server writes later hold for observations that run.
func TestAttributesLater(t *testing.T) {
	inWorld(t, lan(), DefaultOptions(), func(w *world) {
		w.connect()
		reg := w.known().reg
		pmax := 20 * time.Second
		w.check("write-attributes", reg.WriteAttributes(w.t.Context(), readingPath, tree.Attributes{MaxPeriod: &pmax}))
		pass(21*time.Second - w.sinceReport())
		if n := len(w.recorded(clients.EventReport)); n != 2 {
			t.Errorf("%d reports, want 2", n)
		}
	})
}

// A lost non-confirmable report is a warning, a confirmable one is repeated.
func TestLostReport(t *testing.T) {
	for _, notify := range []string{NotifyNon, NotifyCon} {
		t.Run(notify, func(t *testing.T) {
			opt := DefaultOptions()
			opt.Notify = notify
			inWorld(t, lan(), opt, func(w *world) {
				w.connect()
				w.cutFor(time.Second)
				start := time.Now()
				w.check("report", w.session.Report(w.t.Context(), reading(1)))
				took, warnings := time.Since(start), len(w.recorded(clients.EventWarning))
				switch {
				case notify == NotifyNon && (took != opt.ReportWait || warnings != 1):
					t.Errorf("took %v, %d warnings", took, warnings)
				case notify == NotifyCon && (took < 2*time.Second || took > 4*time.Second || warnings != 0):
					t.Errorf("took %v, %d warnings", took, warnings)
				}
				w.check("next report", w.session.Report(w.t.Context(), reading(2)))
			})
		})
	}
}

// A confirmable report that is given up makes the device register anew, by
// which the server learns the reading after all.
func TestUndeliveredReport(t *testing.T) {
	opt := DefaultOptions()
	opt.Notify = NotifyCon
	inWorld(t, lan(), opt, func(w *world) {
		w.connect()
		w.cutFor(3 * time.Minute)
		w.check("report", w.session.Report(w.t.Context(), reading(1)))
		if got := w.known().reading; got != reading(1) {
			t.Errorf("the server has %+v", got)
		}
		if n := w.registrations(); n != 1 {
			t.Errorf("%d registrations", n)
		}
		w.check("next report", w.session.Report(w.t.Context(), reading(2)))
	})
}

// An observation ends with the device's power; the server observes anew when the
// device is back, and what it measured meanwhile arrives. It does so under loss
// as well, and when the server has been restarted in between.
func TestObserveOverReboot(t *testing.T) {
	for _, security := range []string{NoSec, PSK} {
		for _, notify := range []string{NotifyNon, NotifyCon} {
			for _, loss := range []float64{0, 15} {
				t.Run(fmt.Sprintf("%s, %s, %v %%", security, notify, loss), func(t *testing.T) {
					opt := DefaultOptions()
					opt.Security, opt.Notify = security, notify
					inWorld(t, narrowband(loss), opt, func(w *world) {
						w.connect()
						for n := 1; n <= 3; n++ {
							before := w.known().reg
							w.session.PowerOff()
							time.Sleep(time.Minute)
							if n == 2 {
								w.check("restart", w.session.Platform.Restart(w.t.Context()))
							}
							w.device().set(reading(10 * n))
							w.check("boot", w.session.PowerOn(w.t.Context()))
							w.check("wait", w.platform().client(w.env.DeviceName()).wait(w.t.Context(), func(f facts) bool { return f.reg != before }))
							w.check("registration", w.known().regErr)
							w.check("report", w.session.Report(w.t.Context(), reading(10*n+1)))
							if got := w.known().reading; loss == 0 && got != reading(10*n+1) {
								t.Errorf("after reboot %d the server has %+v", n, got)
							}
							if n := w.registrations(); n != 1 {
								t.Errorf("%d registrations", n)
							}
						}
					})
				})
			}
		}
	}
}

// A device that is silent for longer than its lifetime is forgotten, with a
// warning; operations end at once, and the device registers anew when it is back.
func TestLifetimeExpires(t *testing.T) {
	opt := DefaultOptions()
	opt.Lifetime = 5 * time.Minute
	inWorld(t, lan(), opt, func(w *world) {
		w.connect()
		reg := w.known().reg
		w.cut.Store(true)
		done := make(chan error, 1)
		time.AfterFunc(4*time.Minute, func() {
			_, err := reg.ReadInteger(w.t.Context(), at("/3/0/9"))
			done <- err
		})
		start := time.Now()
		if err := <-done; !errors.Is(err, errOver) || time.Since(start) > opt.Lifetime {
			t.Errorf("read: %v after %v", err, time.Since(start))
		}
		pass(time.Second)
		expired := 0
		for _, e := range w.recorded(clients.EventWarning) {
			if strings.Contains(e.Detail, "expired") {
				expired++
			}
		}
		if n := w.registrations(); n != 0 || expired != 1 {
			t.Errorf("%d registrations, %d warnings", n, expired)
		}
		pass(5 * time.Minute)
		w.cut.Store(false)
		pass(30 * time.Minute)
		if n := w.registrations(); n != 1 || w.known().reg == reg {
			t.Errorf("%d registrations", n)
		}
		w.check("report", w.session.Report(w.t.Context(), reading(1)))
	})
}

// From version 1.2 on, the platform's attributes come with the observation, which
// spares an exchange; a single one and a composite keep to them.
func TestObserveWithAttributes(t *testing.T) {
	costs := map[string]count{}
	for _, version := range []string{content.V11, content.V12} {
		opt := DefaultOptions()
		opt.Security, opt.Version, opt.MaxPeriod = NoSec, version, 20*time.Second
		inWorld(t, lan(), opt, func(w *world) {
			costs[version] = w.cost(w.connect)
			pass(61*time.Second - w.sinceReport())
			if n := len(w.recorded(clients.EventReport)); n != 4 {
				t.Errorf("%s: %d reports in a minute, want 4", version, n)
			}
			if a := w.device().tree.As(shortServerID).Attributes(readingPath); (a.MaxPeriod != nil) != (version == content.V11) {
				t.Errorf("%s: attached %+v", version, a)
			}
			if version == content.V11 {
				return
			}
			pmax, list := 10*time.Second, []model.Path{at("/3/0/9"), at("/3/0/13")}
			var notified atomic.Int32
			_, err := w.known().reg.ObserveCompositeWith(w.t.Context(), list, tree.Attributes{MaxPeriod: &pmax}, content.SenMLCBOR, func(*coap.Response) { notified.Add(1) })
			w.check("observe-composite", err)
			pass(35 * time.Second)
			if n := notified.Load(); n != 4 {
				t.Errorf("%d notifications of the composite, want 4", n)
			}
		})
	}
	if before, after := costs[content.V11], costs[content.V12]; before.packets() != after.packets()+2 {
		t.Errorf("connect takes %d packets with attributes in the observation, %d without", after.packets(), before.packets())
	}
}
