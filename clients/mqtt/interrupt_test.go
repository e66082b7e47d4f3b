package mqtt

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/internal/units"
	"github.com/thinlink/thinlink/netem"
	"github.com/thinlink/thinlink/netem/vnet"
)

// narrowband is NB-IoT's rates and delays.
func narrowband(loss float64) netem.Config {
	up := netem.DirectionConfig{
		Rate: 56_000, Delay: 95 * time.Millisecond, Queue: netem.QueueConfig{Bytes: 16384},
		Loss: netem.LossConfig{Rate: units.Fraction(loss)},
	}
	down := up
	down.Rate = 24_000
	return netem.Config{MTU: 1358, Up: up, Down: down}
}

// shipments are the ways of an image to the device, and what an interruption
// may cost of it.
var shipments = map[string]struct {
	edit  func(*Options)
	waste int64 // bytes for each interruption
}{
	"https":       {nil, 200_000},
	"https range": {func(o *Options) { o.OTAResume, o.OTAStall = true, 5*time.Minute }, noteEvery},
	"chunks":      {func(o *Options) { o.OTA, o.OTAResume = "chunks", true }, 4 * 4096},
	"thingsboard": {func(o *Options) { o.OTA, o.OTAResume, o.Window = "thingsboard", true, 1 }, 4096},
	"push":        {pushing, 4 * 4096},
}

// an interruption is called when half of the image has come.
type interruption func(ctx context.Context, s *clients.Session, n *vnet.Network) error

func outage(d time.Duration) interruption {
	return func(_ context.Context, _ *clients.Session, n *vnet.Network) error {
		defer time.Sleep(d)
		return n.Outage(d)
	}
}

func reboot(ctx context.Context, s *clients.Session, n *vnet.Network) error {
	n.Device().Reset()
	s.PowerOff()
	time.Sleep(10 * time.Second)
	return s.PowerOn(ctx)
}

func restart(ctx context.Context, s *clients.Session, n *vnet.Network) error {
	n.Platform().Reset()
	time.Sleep(5 * time.Second)
	return s.Platform.Restart(ctx)
}

func rebind(_ context.Context, _ *clients.Session, n *vnet.Network) error { n.Rebind(); return nil }

// interruptions, and how many each is.
var interruptions = map[string]struct {
	f func(ctx context.Context, s *clients.Session, n *vnet.Network) error
	n int64
}{
	"none":     {func(context.Context, *clients.Session, *vnet.Network) error { return nil }, 0},
	"outage":   {outage(90 * time.Second), 1},
	"long":     {outage(85 * time.Minute), 1},
	"reboot":   {reboot, 1},
	"platform": {restart, 1},
	"rebind":   {rebind, 1},
	"all": {func(ctx context.Context, s *clients.Session, n *vnet.Network) error {
		err := errors.Join(outage(90*time.Second)(ctx, s, n), reboot(ctx, s, n), restart(ctx, s, n))
		time.Sleep(20 * time.Second)
		n.Rebind()
		return errors.Join(err, reboot(ctx, s, n))
	}, 5},
}

// What goes wrong in the field during a firmware update: the update ends well,
// and costs no more than it may.
func TestInterruptions(t *testing.T) {
	const size = 200_000
	rsaMaterial()
	for how, shipment := range shipments {
		for what, interrupt := range interruptions {
			for loss, name := range map[float64]string{0: "", .05: " 5%", .1: " 10%"} {
				t.Run(how+" "+what+name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						opt := DefaultOptions()
						if shipment.edit != nil {
							shipment.edit(&opt)
						}
						s, env, _, n, end := newSession(t, narrowband(loss), 1, opt)
						var received atomic.Int64
						happened := make(chan error, 1)
						env.Record = func(e clients.Event) {
							switch e.Kind {
							case clients.EventWarning:
								t.Log(e.Detail)
							case clients.EventOTAData:
								if now := received.Add(e.Length); now-e.Length < size/2 && now >= size/2 {
									go func() { happened <- interrupt.f(t.Context(), s, n) }()
								}
							}
						}
						must(t, s.Connect(t.Context(), sample))
						img := newImage(size)
						start := time.Now()
						must(t, s.Update(t.Context(), img))
						must(t, <-happened)
						t.Logf("%d of %d bytes in %v", received.Load(), size, time.Since(start))
						got, err := env.Flash.Load(imageFile)
						must(t, err)
						if !bytes.Equal(got, img.Data) {
							t.Error("the image on the device differs")
						}
						if most := size + interrupt.n*shipment.waste; received.Load() > most {
							t.Errorf("%d image bytes arrived, want at most %d", received.Load(), most)
						}
						must(t, s.Report(t.Context(), sample))
						end()
						time.Sleep(time.Hour)
					})
				})
			}
		}
	}
}
