package vnet

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/thinlink/thinlink/internal/units"
	"github.com/thinlink/thinlink/netem"
)

// download sends size bytes from platform to device and returns how long it
// took from the device's first packet to the end of the stream.
func download(t testing.TB, n *Network, size int64) time.Duration {
	start := time.Now()
	l := must(n.Platform().Listen("tcp", ":80"))
	sent := make(chan error)
	go func() {
		defer close(sent)
		c, err := l.Accept()
		if err == nil {
			_, err = io.Copy(c, io.LimitReader(zeros{}, size))
			c.Close()
		}
		sent <- err
	}()
	c := must(n.Device().DialContext(t.Context(), "tcp", at(n.Platform(), "80")))
	got, err := io.Copy(io.Discard, c)
	if err != nil || got != size {
		t.Fatalf("%d of %d bytes, %v", got, size, err)
	}
	took := time.Since(start)
	c.Close()
	l.Close()
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	return took
}

// TestDownloadKnownAnswer: 1 MiB over 26 kbit/s and 800 ms round trip. The
// data alone take 803 segments of 1306 B, each with 52 B of headers; the
// handshake two round trips; slow start leaves the link idle for a while.
func TestDownloadKnownAnswer(t *testing.T) {
	inBubble(t, config(slow(), false), func(t *testing.T, n *Network) {
		took := download(t, n, 1<<20)
		const bits = 8 * ((1 << 20) + 803*52)
		wire := time.Duration(bits) * time.Second / 26_000
		if took < wire+1200*time.Millisecond || took > wire+4*time.Second {
			t.Errorf("took %v, want %v and a few round trips of 800 ms", took, wire)
		}
		st := n.Stats(netem.Down)
		if st.In < 803 || st.In > 820 {
			t.Errorf("%d packets down, want about 803 and the handshake", st.In)
		}
	})
}

// lossy loses packets and has a short queue and jitter: everything random.
func lossy() netem.Config {
	d := netem.DirectionConfig{
		Rate: 100_000, Delay: 100 * time.Millisecond, Jitter: 50 * time.Millisecond,
		Queue: netem.QueueConfig{Bytes: 16 << 10}, Loss: netem.LossConfig{Rate: units.Fraction(0.05)},
	}
	return netem.Config{MTU: 1358, Up: d, Down: d}
}

// TestSameSeedSameTrace: equal seeds give equal packets at equal times, other
// seeds give others.
func TestSameSeedSameTrace(t *testing.T) {
	trace := func(seed uint64) (packets []packet) {
		tap := &recorder{}
		cfg := config(lossy(), false)
		cfg.Seed, cfg.Tap = seed, tap
		inBubble(t, cfg, func(t *testing.T, n *Network) { download(t, n, 100_000) })
		return tap.packets
	}
	a, b, c := trace(1), trace(1), trace(2)
	if !sameTrace(a, b) {
		t.Error("one seed, two traces")
	}
	if sameTrace(a, c) {
		t.Error("two seeds, one trace")
	}
	if len(a) < 100 {
		t.Errorf("a trace of %d packets", len(a))
	}
}

func sameTrace(a, b []packet) bool {
	if len(a) != len(b) {
		return false
	}
	for i, p := range a {
		q := b[i]
		if !p.sent.Equal(q.sent) || !p.done.Equal(q.done) || p.dir != q.dir || p.lost != q.lost || !bytes.Equal(p.ip, q.ip) {
			return false
		}
	}
	return true
}

// BenchmarkDownload is 1 MiB over NB-IoT's rate and delay: six virtual minutes.
// Bubbles belong to tests, so that each round is one.
func BenchmarkDownload(b *testing.B) {
	b.ReportAllocs()
	round := testing.InternalTest{Name: "round", F: func(t *testing.T) {
		inBubble(t, config(slow(), false), func(t *testing.T, n *Network) { download(t, n, 1<<20) })
	}}
	all := func(string, string) (bool, error) { return true, nil }
	for b.Loop() {
		if !testing.RunTests(all, []testing.InternalTest{round}) {
			b.Fatal("the download failed")
		}
	}
}
