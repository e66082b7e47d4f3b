package lwm2m

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/thinlink/thinlink/clients/lwm2m/content"
)

// In queue mode the server sends nothing to a device asleep; it hands over what
// it has when the device is heard: by a registration update or a report.
func TestQueueMode(t *testing.T) {
	for _, version := range []string{content.V10, content.V11} {
		opt := DefaultOptions()
		opt.Queue, opt.Version = true, version
		inWorld(t, lan(), opt, func(w *world) {
			w.connect()
			time.Sleep(2 * time.Minute) // longer than MAX_TRANSMIT_WAIT
			from := w.tap.mark()
			start := time.Now()
			done := make(chan error, 1)
			go func() { done <- w.session.Command(w.t.Context(), 7) }()
			pass(3 * time.Minute)
			if c := w.tap.since(from); c.packets() != 0 {
				t.Errorf("%s: %d packets to a device asleep", version, c.packets())
			}
			w.check("command", <-done) // the update comes every 10 minutes
			if waited := time.Since(start); waited < 7*time.Minute || waited > 9*time.Minute {
				t.Errorf("%s: the command waited %v", version, waited)
			}
			time.Sleep(2 * time.Minute)
			go func() { done <- w.session.Command(w.t.Context(), 8) }()
			pass(time.Second)
			w.check("report", w.session.Report(w.t.Context(), reading(1)))
			pass(time.Second)
			select {
			case err := <-done:
				w.check("command after a report", err)
			default:
				t.Errorf("%s: the command did not follow the report", version)
			}
		})
	}
}

// Awake for a while after its last message, the device is reached at once.
func TestQueueModeAwake(t *testing.T) {
	opt := DefaultOptions()
	opt.Queue = true
	inWorld(t, lan(), opt, func(w *world) {
		w.connect()
		for range 3 { // each exchange keeps it awake
			time.Sleep(time.Minute)
			start := time.Now()
			w.check("command", w.session.Command(w.t.Context(), 7))
			if waited := time.Since(start); waited > time.Second {
				t.Errorf("the command waited %v", waited)
			}
		}
	})
}

// A device that sleeps does not hear a server that knows nothing of queue mode.
func TestSleeperIsDeaf(t *testing.T) {
	opt := DefaultOptions()
	opt.Queue = true
	inWorld(t, lan(), opt, func(w *world) {
		w.connect()
		w.known().reg.wakefulness.sleeps(0)
		time.Sleep(2 * time.Minute)
		ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
		defer cancel()
		if err := w.session.Command(ctx, 7); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("command: %v", err)
		}
	})
}
