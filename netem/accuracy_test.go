package netem

import (
	"math"
	"testing"
	"time"

	"github.com/thinlink/thinlink/internal/units"
)

// TestConfiguredIsMeasured: rate, delay and loss come out as configured, the
// first two within 0.1 %, the loss within its binomial 99 % interval.
func TestConfiguredIsMeasured(t *testing.T) {
	const n, size = 20_000, 1200
	for _, test := range []struct {
		rate  units.BitRate
		delay time.Duration
		loss  units.Fraction
	}{
		{500, 400 * ms, 0.012}, {24_000, 95 * ms, 0.002}, {26_000, 800 * ms, 0.02},
		{264_000, 50 * ms, 0.001}, {10_000_000, 25 * ms, 0.1},
	} {
		cfg := DirectionConfig{Rate: test.rate, Delay: test.delay}
		first, last, _ := flood(t, cfg, n, size)
		if got := float64(n-1) * size * 8 / (last - first).Seconds(); math.Abs(got/float64(test.rate)-1) > 0.001 {
			t.Errorf("%+v: rate %.1f bit/s", test, got)
		}
		cfg.Rate = 0
		if _, last, _ := flood(t, cfg, n, size); math.Abs(last.Seconds()/test.delay.Seconds()-1) > 0.001 {
			t.Errorf("%+v: delay %v", test, last)
		}
		cfg.Loss.Rate = test.loss
		p := float64(test.loss)
		_, _, lost := flood(t, cfg, n, size)
		if limit := 2.576 * math.Sqrt(p*(1-p)/n); math.Abs(float64(lost)/n-p) > limit {
			t.Errorf("%+v: lost %d of %d, want within %.0f", test, lost, n, limit*n)
		}
	}
}

// flood offers n packets at once and returns when the first and the last
// arrived, and how many were lost.
func flood(t *testing.T, cfg DirectionConfig, n, size int) (first, last time.Duration, lost int) {
	t.Helper()
	l, err := NewLink(Config{Down: cfg}, 7, start, nil)
	if err != nil {
		t.Fatal(err)
	}
	ip := make([]byte, size)
	for range n {
		l.Send(start, Down, ip)
	}
	for {
		next, ok := l.Next()
		if !ok {
			break
		}
		l.Advance(next, func(Direction, []byte) {
			last = next.Sub(start)
			if first == 0 {
				first = last
			}
		})
	}
	return first, last, int(l.Stats(Down).Dropped[DropLoss])
}
