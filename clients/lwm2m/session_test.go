package lwm2m

import (
	"testing"
	"time"
)

// near checks a figure of the reference experiment.
func near(t *testing.T, what string, got, want int, tolerance float64) {
	t.Helper()
	if d := float64(got-want) / float64(want); d > tolerance || d < -tolerance {
		t.Errorf("%s: %d, want %d within %.0f %%: %+.1f %%", what, got, want, 100*tolerance, 100*d)
	} else {
		t.Logf("%s: %d, reference %d: %+.1f %%", what, got, want, 100*d)
	}
}

// TestReferenceExperiment holds the Ethernet bytes of each test against the
// reference experiment.
func TestReferenceExperiment(t *testing.T) {
	inWorld(t, lan(), DefaultOptions(), func(w *world) {
		c := w.cost(w.connect)
		for _, s := range w.tap.log {
			w.t.Logf("%v %v %d", s.at, s.dir, s.size)
		}
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
