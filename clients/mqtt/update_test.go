package mqtt

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/mqtt/broker"
	"github.com/thinlink/thinlink/clients/mqtt/jobs"
	"github.com/thinlink/thinlink/clients/pki"
)

// lastJob is the identifier of the session's last job.
func (w *world) lastJob() string { return fmt.Sprintf("update-%06d", w.platform.offers) }

// What is wrong with an image ends its job with a reason, and the next one
// goes well.
func TestWrongImages(t *testing.T) {
	const size = 50_000
	other := newImage(size + 1).Data[1:]
	path := "/firmware/app-1.0.1.bin"
	for _, c := range []struct {
		how, what string
		img       func(*clients.Image) // what is announced
		after     func(w *world)       // when some of it has come
		want      string
	}{
		{"https", "digest", func(i *clients.Image) { i.SHA256[0] ^= 1 }, nil, "SHA-256 does not match"},
		{"https range", "digest", func(i *clients.Image) { i.SHA256[0] ^= 1 }, nil, "SHA-256 does not match"},
		{"chunks", "digest", func(i *clients.Image) { i.SHA256[0] ^= 1 }, nil, "SHA-256 does not match"},
		{"thingsboard", "digest", func(i *clients.Image) { i.SHA256[0] ^= 1 }, nil, "SHA-256 does not match"},
		{"push", "digest", func(i *clients.Image) { i.SHA256[0] ^= 1 }, nil, "SHA-256 does not match"},
		{"https", "changed", nil, func(w *world) {
			w.platform.files.Put(path, other)
			w.device.Cut()
		}, "image has changed"},
		{"https range", "changed", nil, func(w *world) {
			w.platform.files.Put(path, other)
			w.device.Cut()
		}, "image has changed"},
		{"chunks", "changed", nil, func(w *world) { w.platform.streams.Put(w.lastJob(), other) }, "VersionMismatch"},
		{"thingsboard", "changed", nil, func(w *world) {
			w.platform.mu.Lock()
			defer w.platform.mu.Unlock()
			w.platform.images[w.lastJob()] = other
		}, "SHA-256 does not match"},
		{"https range", "gone", nil, func(w *world) {
			w.platform.files.Remove(path)
			w.device.Cut()
		}, "404"},
		{"chunks", "gone", nil, func(w *world) { w.platform.streams.Remove(w.lastJob()) }, "ResourceNotFound"},
		{"thingsboard", "gone", nil, func(w *world) {
			w.platform.mu.Lock()
			defer w.platform.mu.Unlock()
			delete(w.platform.images, w.lastJob())
		}, "has 0 bytes"},
		{"push", "gone", nil, func(w *world) {
			w.device.Cut() // and the broker has lost its messages
			w.platform.current().Unretain("#")
		}, "does not come"},
		{"push", "a chunk of another size", nil, func(w *world) {
			w.must(w.platform.current().Publish(broker.Message{Topic: pushPrefix + w.lastJob() + "/000011", Payload: []byte("x"), QoS: 1}))
		}, "block 11 has 1 bytes"},
	} {
		t.Run(c.how+" "+c.what, func(t *testing.T) {
			run(t, func(o *Options) {
				if edit := shipments[c.how].edit; edit != nil {
					edit(o)
				}
				if c.what == "gone" && c.how == "push" {
					o.CleanSession = true
				}
			}, func(w *world) {
				w.must(w.Connect(w.t.Context(), sample))
				img := newImage(size)
				if c.img != nil {
					c.img(&img)
				}
				if c.after != nil {
					w.interrupt(1, func() { c.after(w) })
				}
				if err := w.Update(w.t.Context(), img); err == nil || !strings.Contains(err.Error(), "FAILED") || !strings.Contains(err.Error(), c.want) {
					w.t.Errorf("update: %v, want %q", err, c.want)
				}
				w.must(w.Update(w.t.Context(), newImage(size)))
			})
		})
	}
}

// The server's file and the job disagree about the size: nothing is
// downloaded.
func TestWrongSize(t *testing.T) {
	for _, difference := range []int64{-1, 1} {
		run(t, nil, func(w *world) {
			w.must(w.Connect(w.t.Context(), sample))
			data := newImage(50_000).Data
			etag := w.platform.files.Put("/x", data)
			doc := jobDocument{URL: "https://" + pki.ServerName + "/x", ETag: etag, Size: int64(len(data)) + difference}
			w.must(w.platform.jobs.Create(pki.DeviceName, "j", encode(doc, 0), 0))
			time.Sleep(time.Minute)
			e, _ := w.platform.jobs.Find(pki.DeviceName, "j")
			if e.Status != jobs.Failed || !strings.Contains(e.StatusDetails["reason"], "image has 50000 bytes") || w.received() > 0 {
				w.t.Errorf("job %+v, %d bytes received", e, w.received())
			}
		})
	}
}

// A server that cannot prove who it is ends the job.
func TestWrongServer(t *testing.T) {
	run(t, nil, func(w *world) {
		other, err := pki.New(pki.Options{Key: pki.P256, Chain: 2})
		w.must(err)
		cert, err := other.Server.TLS()
		w.must(err)
		w.must(w.Connect(w.t.Context(), sample))
		w.platform.public.Certificates = []tls.Certificate{cert}
		if err := w.Update(w.t.Context(), newImage(1000)); err == nil || !strings.Contains(err.Error(), "certificate") {
			w.t.Errorf("update: %v", err)
		}
	})
}

// An image for which there are too many chunks is not offered.
func TestTooManyChunks(t *testing.T) {
	run(t, func(o *Options) { pushing(o); o.BlockSize = 256 }, func(w *world) {
		w.must(w.Connect(w.t.Context(), sample))
		img := clients.Image{Name: "x", Version: "1", Data: make([]byte, 256*maxChunks+1)}
		if err := w.Update(w.t.Context(), img); err == nil || !strings.Contains(err.Error(), "want at most 65536") {
			w.t.Errorf("update: %v", err)
		}
	})
}

// A broker that has lost its sessions sends everything again.
func TestPushedChunksComeAgain(t *testing.T) {
	run(t, pushing, func(w *world) {
		w.must(w.Connect(w.t.Context(), sample))
		w.interrupt(50_000, func() {
			go func() { // a broker whose database is empty
				w.device.Cut()
				w.must(w.platform.current().Close())
				w.platform.mu.Lock()
				w.platform.broker = broker.New(broker.Options{})
				w.platform.mu.Unlock()
				w.must(w.platform.Restart(w.t.Context()))
				w.must(w.platform.push(pushPrefix+w.lastJob(), newImage(200_000).Data))
			}()
		})
		img := newImage(200_000)
		w.must(w.Update(w.t.Context(), img))
		if !bytes.Equal(w.installed(), img.Data) {
			w.t.Error("the image on the device differs")
		}
		if n := w.received(); n < 250_000 {
			w.t.Errorf("%d bytes arrived: the messages did not come again", n)
		}
	})
}

// Power cut in the middle of writing to flash, at every moment of an update:
// it goes on after a reboot and ends well.
func TestUpdateOverPowerCuts(t *testing.T) {
	const size = 30_000
	for how, shipment := range shipments {
		if how == "https" {
			continue // writes as https range does
		}
		t.Run(how, func(t *testing.T) {
			const step = 617 // bytes; prime to the block's
			for budget := 5; budget < size+1000; budget += step {
				run(t, shipment.edit, func(w *world) {
					f := newFragile(math.MaxInt)
					w.env.Flash = f
					w.powerCycle() // with the new flash
					w.must(w.Connect(w.t.Context(), sample))
					rebooted := make(chan error, 1)
					f.mu.Lock()
					f.left = budget
					f.onCut = func() {
						w.device.Cut()
						go func() {
							w.PowerOff()
							time.Sleep(10 * time.Second)
							f.revive(math.MaxInt)
							rebooted <- w.PowerOn(w.t.Context())
						}()
					}
					f.mu.Unlock()
					img := newImage(size)
					w.must(w.Update(w.t.Context(), img))
					select {
					case err := <-rebooted:
						w.must(err)
					case <-time.After(time.Hour):
						w.t.Logf("%d outlasts the update", budget)
					}
					if !bytes.Equal(f.data, img.Data) {
						w.t.Errorf("cut after %d: the image on the device differs", budget)
					}
					if n := w.received(); n > size+noteEvery+2*16384 {
						w.t.Errorf("cut after %d: %d bytes arrived", budget, n)
					}
				})
			}
		})
	}
}

// powerCycle replaces a device that is not connected yet.
func (w *world) powerCycle() {
	w.t.Helper()
	w.current().kill()
	w.replace()
}

// What a device has published at QoS 1 and got no acknowledgement for comes
// to the platform after a reboot.
func TestMessagesOutliveReboot(t *testing.T) {
	run(t, func(o *Options) { o.QoS, o.CleanSession, o.Topics = 1, false, "plain" }, func(w *world) {
		w.must(w.Connect(w.t.Context(), sample))
		w.device.Block()
		d := w.current()
		l, err := d.online(w.t.Context())
		w.must(err)
		sent := sample
		sent.Integer = 99
		arrived := w.platform.arrivals.Await(pki.DeviceName, sent)
		go d.client.publish(w.t.Context(), l, outgoing{topic: d.reportTopic(), qos: 1, payload: d.format().Reading(sent)})
		time.Sleep(time.Second)
		select {
		case <-l.lost:
			w.t.Fatal("the connection is lost already")
		case <-arrived:
			w.t.Fatal("the report has arrived already")
		default:
		}
		w.device.Cut()
		w.PowerOff()
		w.must(w.PowerOn(w.t.Context()))
		select {
		case <-arrived:
		case <-time.After(time.Minute):
			w.t.Error("the report is lost")
		}
		if n := w.current().client.unacknowledged(); n != 0 {
			w.t.Errorf("%d messages are still stored", n)
		}
	})
}

// A persistent session needs no SUBSCRIBE again; a clean one does.
func TestSubscriptionsOutliveReboot(t *testing.T) {
	for _, clean := range []bool{true, false} {
		run(t, func(o *Options) { o.CleanSession = clean }, func(w *world) {
			w.must(w.Connect(w.t.Context(), sample))
			w.device.Cut()
			w.PowerOff()
			s, err := loadDevice(w.env.Flash)
			w.must(err)
			if (len(s.Topics) > 0) == clean || s.Boots != 1 {
				w.t.Errorf("clean %v: record %+v", clean, s)
			}
			w.must(w.PowerOn(w.t.Context()))
			w.must(w.Report(w.t.Context(), sample))
			w.must(w.Command(w.t.Context(), 7))
		})
	}
}

// TLS tickets shorten the handshakes after a lost connection, each service's
// its own, but not after a reboot.
func TestTicketsOutliveConnections(t *testing.T) {
	for _, version := range []string{"1.2", "1.3"} {
		run(t, func(o *Options) { o.TLS, o.Resumption = version, true }, func(w *world) {
			resumed := map[string][]bool{}
			observe := func(name string, cfg *tls.Config) {
				cfg.VerifyConnection = func(s tls.ConnectionState) error {
					resumed[name] = append(resumed[name], s.DidResume)
					return nil
				}
			}
			watch := func() {
				observe("mqtt", w.current().mqtt)
				observe("https", w.current().https)
			}
			watch()
			w.must(w.Connect(w.t.Context(), sample))
			for range 2 {
				w.must(w.Update(w.t.Context(), newImage(1000)))
				w.device.Cut()
				w.must(w.Report(w.t.Context(), sample))
			}
			w.device.Cut()
			w.PowerOff()
			d := w.replace()
			watch()
			w.must(d.start(w.t.Context()))
			w.must(w.Update(w.t.Context(), newImage(1000)))
			if got, want := fmt.Sprint(resumed), "map[https:[false true false] mqtt:[false true true false]]"; got != want {
				w.t.Errorf("TLS %s: resumed %s, want %s", version, got, want)
			}
		})
	}
}
