package mqtt

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/netem"
	"github.com/thinlink/thinlink/netem/vnet"
)

// What goes wrong in the field during a firmware update, on NB-IoT's rates:
// the update ends well, and resumes if it may.
func TestInterruptions(t *testing.T) {
	const size = 200_000
	up := netem.DirectionConfig{Rate: 56_000, Delay: 95 * time.Millisecond, Queue: netem.QueueConfig{Bytes: 16384}}
	down := up
	down.Rate = 24_000
	link := netem.Config{MTU: 1358, Up: up, Down: down}
	for name, interrupt := range map[string]func(ctx context.Context, s *session, n *vnet.Network) error{
		"outage": func(_ context.Context, _ *session, n *vnet.Network) error { return n.Outage(10 * time.Minute) },
		"reboot": func(ctx context.Context, s *session, n *vnet.Network) error {
			n.Device().Reset()
			s.PowerOff()
			time.Sleep(10 * time.Second)
			return s.PowerOn(ctx)
		},
		"platform": func(ctx context.Context, s *session, n *vnet.Network) error {
			n.Platform().Reset()
			time.Sleep(5 * time.Second)
			return s.RestartPlatform(ctx)
		},
		"rebind": func(_ context.Context, _ *session, n *vnet.Network) error { n.Rebind(); return nil },
	} {
		for _, resume := range []bool{false, true} {
			t.Run(name+map[bool]string{false: " from the start", true: " resumed"}[resume], func(t *testing.T) {
				rsaMaterial()
				synctest.Test(t, func(t *testing.T) {
					opt := DefaultOptions()
					opt.OTAResume = resume
					s, _, n, end := newSession(t, link, 1, opt)
					session := s.(*session)
					var received int64
					happened := make(chan error, 1)
					session.env.Record = func(e clients.Event) {
						if e.Kind != clients.EventOTAData {
							return
						}
						if received < size/2 && received+e.Length >= size/2 {
							go func() { happened <- interrupt(t.Context(), session, n) }()
						}
						received += e.Length
					}
					must(t, s.Connect(t.Context(), reading))
					img := newImage(size)
					start := time.Now()
					must(t, s.Update(t.Context(), img))
					must(t, <-happened)
					t.Logf("%d of %d bytes in %v", received, size, time.Since(start))
					got, err := session.env.Flash.Load(imageFile)
					must(t, err)
					if !bytes.Equal(got, img.Data) {
						t.Error("the image on the device differs")
					}
					if resume && received != size {
						t.Errorf("%d image bytes arrived, want %d", received, size)
					}
					must(t, s.Report(t.Context(), reading))
					end()
					time.Sleep(time.Hour)
				})
			})
		}
	}
}
