package lwm2m

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
)

// received checks that every byte of the image reached the device, and
// returns how many did in total.
func (w *world) received(size int) (total int64) {
	w.t.Helper()
	seen := make([]bool, size)
	for _, e := range w.recorded(clients.EventOTAData) {
		total += e.Length
		for i := e.Offset; i < e.Offset+e.Length; i++ {
			seen[i] = true
		}
	}
	if i := slices.Index(seen, false); i >= 0 {
		w.t.Fatalf("byte %d of the image did not arrive", i)
	}
	return total
}

func (w *world) update(size int) {
	w.t.Helper()
	w.check("update", w.session.Update(w.t.Context(), image(size)))
}

// states are the states that the update went through.
func (w *world) states() string {
	var list []string
	for _, e := range w.recorded(clients.EventOTAState) {
		list = append(list, e.Detail)
	}
	return strings.Join(list, ", ")
}

// at calls f in a goroutine of its own when the device has so many bytes.
func (w *world) at(offset int64, f func()) (done chan struct{}) {
	done = make(chan struct{})
	go func() {
		defer close(done)
		for {
			for _, e := range w.recorded(clients.EventOTAData) {
				if e.Offset+e.Length >= offset {
					f()
					return
				}
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
	return done
}

func deliveries(t *testing.T, f func(t *testing.T, opt Options)) {
	t.Helper()
	t.Run(CoAPPush, func(t *testing.T) {
		opt := DefaultOptions()
		opt.Delivery = CoAPPush
		f(t, opt)
	})
	pulls(t, f)
}

// pulls are the deliveries that the device fetches by itself.
func pulls(t *testing.T, f func(t *testing.T, opt Options)) {
	t.Helper()
	for _, delivery := range []string{CoAPPull, HTTPSPull, CoAPTCPPull} {
		t.Run(delivery, func(t *testing.T) {
			opt := DefaultOptions()
			opt.Delivery = delivery
			f(t, opt)
		})
	}
}

func TestUpdateBytes(t *testing.T) {
	const size = 1 << 20
	want := map[string]int{CoAPPull: 1_250_000, CoAPPush: 1_250_000, HTTPSPull: 1_150_000, CoAPTCPPull: 1_140_000}
	deliveries(t, func(t *testing.T, opt Options) {
		inWorld(t, lan(), opt, func(w *world) {
			c := w.cost(func() {
				w.connect()
				w.update(size)
			})
			if n := w.received(size); n != size {
				t.Errorf("received %d bytes of %d", n, size)
			}
			near(t, "bytes", c.total(), want[opt.Delivery], 0.03)
		})
	})
}

func TestUpdateUnderLoss(t *testing.T) {
	deliveries(t, func(t *testing.T, opt Options) {
		inWorld(t, narrowband(10), opt, func(w *world) {
			w.connect()
			w.update(100_000)
			w.received(100_000)
			if got := w.states(); got != "downloading, downloaded" {
				t.Error(got)
			}
		})
	})
}

// Sizes around those of a block, and more than one update in a session.
func TestUpdateSizes(t *testing.T) {
	deliveries(t, func(t *testing.T, opt Options) {
		inWorld(t, lan(), opt, func(w *world) {
			w.connect()
			for _, size := range []int{1, 1023, 1024, 1025, 50_000} {
				w.update(size)
				w.received(size)
			}
		})
	})
}

// An update that is applied ends with a reboot, and the device comes back with
// the new version and the result.
func TestApply(t *testing.T) {
	deliveries(t, func(t *testing.T, opt Options) {
		opt.Apply = true
		inWorld(t, narrowband(0), opt, func(w *world) {
			w.connect()
			for range 2 {
				w.update(10_000)
				if got := w.device().tree.Get(objects.Device.ID, 0, objects.DeviceFirmware); got != "2.0.0" {
					t.Errorf("version %v", got)
				}
			}
			once := "downloading, downloaded, updating, idle: success"
			if got := w.states(); got != once+", idle, "+once {
				t.Error(got)
			}
		})
	})
}

// A device that loses power while it applies an update does so when it boots.
func TestPowerCutWhileApplying(t *testing.T) {
	opt := DefaultOptions()
	opt.Apply = true
	inWorld(t, lan(), opt, func(w *world) {
		w.connect()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for !strings.Contains(w.states(), "updating") {
				time.Sleep(100 * time.Millisecond)
			}
			w.session.PowerOff()
			time.Sleep(time.Minute)
			w.check("boot", w.session.PowerOn(w.t.Context()))
		}()
		w.update(10_000)
		<-done
		if got := w.states(); got != "downloading, downloaded, updating, idle: success" {
			t.Error(got)
		}
	})
}

// When only the response to the URI is lost, the server's next attempt is
// refused, and the update goes on all the same.
func TestLostResponse(t *testing.T) {
	opt := DefaultOptions()
	opt.CoAP.Platform.AckTimeout = 500 * time.Millisecond // gives up after 15 to 23 s
	inWorld(t, lan(), opt, func(w *world) {
		record := w.env.Record
		w.env.Record = func(e clients.Event) {
			if e.Kind == clients.EventOTAState && e.Detail == "downloading" {
				w.cutFor(30 * time.Second)
			}
			record(e)
		}
		w.connect()
		w.update(10_000)
		if got := w.states(); got != "downloading, downloaded" {
			t.Error(got)
		}
		if got := w.device().all()[0].location; got != "/rd/0001" {
			t.Errorf("registered at %s; the update was to go on over the first registration", got)
		}
	})
}

// A download over the registration's session needs no second handshake.
func TestSameSession(t *testing.T) {
	opt := DefaultOptions()
	opt.SameSession = true
	inWorld(t, narrowband(5), opt, func(w *world) {
		w.connect()
		w.update(30_000)
		w.received(30_000)
		if n := strings.Count(w.keys.String(), "CLIENT_RANDOM"); n != 1 {
			t.Errorf("%d handshakes", n)
		}
	})
}

func TestSmallBlocks(t *testing.T) {
	opt := DefaultOptions()
	opt.BlockSize = 256
	inWorld(t, lan(), opt, func(w *world) {
		w.connect()
		w.update(1000)
		for i, e := range w.recorded(clients.EventOTAData) {
			if e.Offset != int64(256*i) || e.Length != min(256, 1000-e.Offset) {
				t.Errorf("block %d: %+v", i, e)
			}
		}
	})
}

// Whatever interrupts a download, it goes on where it stopped, with DTLS and
// without.
func TestResume(t *testing.T) {
	for name, interrupt := range map[string]func(w *world){
		"power cut": func(w *world) {
			w.session.PowerOff()
			time.Sleep(10 * time.Second)
			w.check("boot", w.session.PowerOn(w.t.Context()))
		},
		"platform restart": func(w *world) {
			w.check("restart", w.session.Platform.Restart(w.t.Context()))
		},
		"rebinding":              func(w *world) { w.net.Rebind() },
		"outage":                 func(w *world) { w.check("outage", w.net.Outage(5*time.Minute)) },
		"satellite out of sight": func(w *world) { w.check("outage", w.net.Outage(85*time.Minute)) },
		"reboot by the server": func(w *world) {
			reg := w.known().reg
			w.check("reboot", reg.Execute(w.t.Context(), model.NewPath(objects.Device.ID, 0, objects.DeviceReboot), ""))
		},
	} {
		for _, security := range []string{Certificate, NoSec} {
			t.Run(name+", "+security, func(t *testing.T) {
				deliveries(t, func(t *testing.T, opt Options) {
					opt.Security = security
					inWorld(t, narrowband(0), opt, func(w *world) { resume(w, interrupt) })
				})
			})
		}
	}
}

// resume is an update that is interrupted at half.
func resume(w *world, interrupt func(*world)) {
	const size = 100_000
	w.connect()
	done := w.at(size/2, func() { interrupt(w) })
	ctx, cancel := context.WithTimeout(w.t.Context(), 24*time.Hour)
	defer cancel()
	w.check("update", w.session.Update(ctx, image(size)))
	<-done
	twice := w.received(size) - size
	if w.opt.Delivery == CoAPPush && twice <= 1024 {
		twice = 0 // the block whose response was lost
	}
	if twice != 0 {
		w.t.Errorf("%d bytes arrived twice", twice)
	}
	if got := w.states(); got != "downloading, downloaded" {
		w.t.Error(got)
	}
	w.check("command afterwards", w.session.Command(w.t.Context(), 1))
}

// With a connection ID, a session survives a new address: no block is lost
// but the one that was under way.
func TestConnectionID(t *testing.T) {
	for delivery, handshakes := range map[string]int{
		CoAPPull: 2, // of registration and download
		CoAPPush: 1,
	} {
		t.Run(delivery, func(t *testing.T) {
			opt := DefaultOptions()
			opt.ConnectionID, opt.Delivery = true, delivery
			inWorld(t, narrowband(0), opt, func(w *world) {
				w.connect()
				done := w.at(50_000, w.net.Rebind)
				w.update(100_000)
				<-done
				if n := strings.Count(w.keys.String(), "CLIENT_RANDOM"); n != handshakes {
					t.Errorf("%d handshakes, want %d", n, handshakes)
				}
				// The device was heard at its new address.
				w.check("command", w.session.Command(w.t.Context(), 1))
			})
		})
	}
}

// A package that changes on the server while it is fetched is fetched anew.
func TestPackageChanges(t *testing.T) {
	pulls(t, func(t *testing.T, opt Options) {
		inWorld(t, narrowband(0), opt, func(w *world) {
			w.connect()
			first, second := image(40_000), image(50_000)
			done := w.at(20_000, func() {
				w.session.PowerOff()
				// The same path has another image now.
				moved := second
				copy(moved.SHA256[:4], first.SHA256[:4])
				w.platform().publish(moved)
				w.check("description", w.device().update.expect(second))
				w.check("boot", w.session.PowerOn(w.t.Context()))
			})
			w.check("update", w.session.Update(w.t.Context(), first))
			<-done
			got := must(openStorage(w.env.Flash))
			if got.size != 50_000 {
				t.Errorf("the device has %d bytes", got.size)
			}
			// The change was noticed before more of the wrong package came.
			if n, limit := w.received(50_000), w.device().update.flash.size+25_000; n > limit {
				t.Errorf("%d bytes arrived, want at most %d", n, limit)
			}
		})
	})
}

// What was torn by a power cut is found by the digest and fetched again.
func TestTornFlash(t *testing.T) {
	inWorld(t, narrowband(0), DefaultOptions(), func(w *world) {
		w.connect()
		done := w.at(20_000, func() {
			w.session.PowerOff()
			f := must(w.env.Flash.Open(packageName))
			must(f.WriteAt(make([]byte, 100), 5000))
			w.check("boot", w.session.PowerOn(w.t.Context()))
		})
		w.update(40_000)
		<-done
		if n := w.received(40_000); n != 80_000 {
			t.Errorf("%d bytes arrived, want 40000 twice", n)
		}
	})
}

func TestUpdateFailures(t *testing.T) {
	for name, test := range map[string]struct {
		spoil  func(w *world, c *campaign)
		expect string
	}{
		"wrong digest":         {func(w *world, _ *campaign) { w.device().update.expect(clients.Image{}) }, "integrity check failed"},
		"no such package":      {func(_ *world, c *campaign) { c.uri += "0" }, "invalid URI"},
		"host name":            {func(_ *world, c *campaign) { c.uri = "coaps://example.com/fw" }, "invalid URI"},
		"port out of range":    {func(_ *world, c *campaign) { c.uri = "coaps://203.0.113.10:70000/fw" }, "invalid URI"},
		"unsupported protocol": {func(_ *world, c *campaign) { c.uri = "ftp://203.0.113.10/fw" }, "unsupported protocol"},
		"malformed URI":        {func(_ *world, c *campaign) { c.uri = "coaps//" }, "invalid URI"},
		"nobody there":         {func(_ *world, c *campaign) { c.uri = "https://203.0.113.10:444/fw" }, "connection lost"},
	} {
		t.Run(name, func(t *testing.T) {
			deliveries(t, func(t *testing.T, opt Options) {
				opt.DownloadPatience = time.Hour
				inWorld(t, lan(), opt, func(w *world) {
					w.connect()
					img := image(5000)
					c := &campaign{platform: w.platform(), client: w.platform().client(w.env.DeviceName()), uri: w.platform().publish(img), image: img}
					w.check("description", w.device().update.expect(img))
					test.spoil(w, c)
					err := c.run(w.t.Context())
					if err == nil || !strings.Contains(err.Error(), test.expect) {
						t.Errorf("%v, want %s", err, test.expect)
					}
					w.update(5000) // the next one is not the worse for it
				})
			})
		})
	}
}

// The server may cancel or reset at any time.
func TestCancel(t *testing.T) {
	for name, stop := range map[string]func(*registration, context.Context) error{
		"cancel": func(r *registration, ctx context.Context) error {
			return r.Execute(ctx, firmwarePath(objects.FirmwareCancel), "")
		},
		"empty URI": func(r *registration, ctx context.Context) error {
			return r.WriteText(ctx, firmwarePath(objects.FirmwareURI), "")
		},
		"NUL package": func(r *registration, ctx context.Context) error {
			return writeFirmware(ctx, r, model.Values{objects.FirmwarePackage: []byte{0}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, narrowband(0), DefaultOptions(), func(w *world) {
				w.connect()
				ctx, cancel := context.WithCancelCause(w.t.Context())
				enough := errors.New("enough")
				done := w.at(20_000, func() {
					w.check("stop", stop(w.known().reg, ctx))
					time.Sleep(time.Minute)
					cancel(enough)
				})
				err := w.session.Update(ctx, image(100_000))
				<-done
				if name == "cancel" && !strings.Contains(err.Error(), "cancelled") || name != "cancel" && !errors.Is(err, enough) {
					t.Error(err)
				}
				if s := must(openStorage(w.env.Flash)); s.size != 0 || s.Machine.State != Idle {
					t.Errorf("flash has %d bytes in state %v", s.size, s.Machine.State)
				}
				c := w.cost(func() { time.Sleep(time.Minute) })
				if c.packets() > 0 {
					t.Errorf("%d packets after it", c.packets())
				}
			})
		})
	}
}
