package lwm2m

import (
	"testing"
	"time"

	"github.com/thinlink/thinlink/clients"
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
	for i, ok := range seen {
		if !ok {
			w.t.Fatalf("byte %d of the image did not arrive", i)
		}
	}
	return total
}

func (w *world) update(size int) {
	w.t.Helper()
	w.check("update", w.session.Update(w.t.Context(), image(size)))
}

func TestUpdateBytes(t *testing.T) {
	const size = 1 << 20
	for _, test := range []struct {
		delivery string
		want     int
	}{{CoAPPull, 1_250_000}, {HTTPSPull, 1_150_000}} {
		t.Run(test.delivery, func(t *testing.T) {
			opt := DefaultOptions()
			opt.Delivery = test.delivery
			inWorld(t, lan(), opt, func(w *world) {
				c := w.cost(func() {
					w.connect()
					w.update(size)
				})
				if n := w.received(size); n != size {
					t.Errorf("received %d bytes of %d", n, size)
				}
				near(t, "bytes", c.total(), test.want, 0.03)
				t.Logf("%+v", c)
			})
		})
	}
}

func TestUpdateUnderLoss(t *testing.T) {
	for _, delivery := range []string{CoAPPull, HTTPSPull} {
		t.Run(delivery, func(t *testing.T) {
			opt := DefaultOptions()
			opt.Delivery = delivery
			inWorld(t, narrowband(10), opt, func(w *world) {
				start := time.Now()
				w.connect()
				w.update(100_000)
				w.received(100_000)
				t.Logf("took %v", time.Since(start))
			})
		})
	}
}
