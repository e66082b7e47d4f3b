package mqtt

import (
	"context"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/netem"
)

// bad is a link at the edge of coverage: 2.4 kbit/s, 2 s there and back, a
// tenth of the packets lost.
func bad() netem.Config {
	d := netem.DirectionConfig{
		Rate: 2400, Delay: time.Second, Queue: netem.QueueConfig{Bytes: 8192},
		Loss: netem.LossConfig{Rate: .1},
	}
	return netem.Config{MTU: 1358, Up: d, Down: d}
}

// everyStep performs all steps.
func everyStep(ctx context.Context, s *clients.Session, size int) error {
	if err := s.Connect(ctx, sample); err != nil {
		return err
	}
	for i := range int64(3) {
		r := sample
		r.Integer += i
		if err := s.Report(ctx, r); err != nil {
			return err
		}
		if err := s.Command(ctx, i); err != nil {
			return err
		}
	}
	return s.Update(ctx, newImage(size))
}

func TestBadLink(t *testing.T) {
	for name, edit := range variants {
		t.Run(name, func(t *testing.T) {
			overLink(t, bad(), 1, edit, func(ctx context.Context, s *clients.Session, _ *tap) {
				start := time.Now()
				must(t, everyStep(ctx, s, 50_000))
				t.Log(time.Since(start))
				time.Sleep(2 * time.Hour) // pings keep it alive
				must(t, s.Report(ctx, sample))
			})
		})
	}
}

// The same seed gives the same packets at the same times, on one processor: on
// several, what happens at one instant (the end of a download and the report of
// it, say) has no order.
func TestSameSeedSameTrace(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	trace := func(seed uint64) (sizes []string) {
		overLink(t, bad(), seed, nil, func(ctx context.Context, s *clients.Session, tap *tap) {
			must(t, everyStep(ctx, s, 50_000))
			time.Sleep(time.Minute) // the last acknowledgements
			sizes = slices.Clone(tap.now().sizes)
		})
		return sizes
	}
	first, second := trace(1), trace(1)
	for i := range min(len(first), len(second)) {
		if first[i] != second[i] {
			t.Fatalf("packet %d of %d: %s, then %s", i, len(first), first[i], second[i])
		}
	}
	if len(first) != len(second) {
		t.Errorf("%d packets, then %d", len(first), len(second))
	}
	if slices.Equal(first, trace(2)) {
		t.Error("another seed gives the same trace")
	}
}

// BenchmarkUpdate1MiB is connecting and a firmware update of 1 MiB over a link
// that takes no time. RSA keys are made before.
func BenchmarkUpdate1MiB(b *testing.B) {
	img := newImage(1 << 20)
	rsaMaterial()
	b.SetBytes(1 << 20)
	for b.Loop() {
		s, _, _, _, end := newSession(b, netem.Config{MTU: 1500}, 1, DefaultOptions())
		if err := s.Connect(b.Context(), sample); err != nil {
			b.Fatal(err)
		}
		if err := s.Update(b.Context(), img); err != nil {
			b.Fatal(err)
		}
		end()
	}
}
