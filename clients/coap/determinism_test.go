package coap

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// TestSameSeedSameTrace: equal seeds give equal datagrams at equal times.
func TestSameSeedSameTrace(t *testing.T) {
	first, second := trace(t, 1), trace(t, 1)
	if len(first) < 100 || len(first) != len(second) {
		t.Fatalf("%d and %d datagrams", len(first), len(second))
	}
	for i := range first {
		a, b := first[i], second[i]
		if a.at != b.at || a.fromA != b.fromA || a.lost != b.lost || !bytes.Equal(a.data, b.data) {
			t.Fatalf("datagram %d: %v %x, then %v %x", i, a.at, a.data, b.at, b.data)
		}
	}
	if other := trace(t, 2); len(other) == len(first) && other[len(other)-1].at == first[len(first)-1].at {
		t.Error("another seed gives the same trace")
	}
}

// trace is a download and notifications the other way under loss.
func trace(t *testing.T, seed uint64) (log []sent) {
	synctest.Test(t, func(t *testing.T) {
		f := &file{data: image(50_000), etag: []byte("12345678")}
		s := &sensor{state: []byte("0")}
		p := newPair(t, Config{}, s, f)
		p.delay = 700 * time.Millisecond
		if _, _, err := p.b.Observe(t.Context(), NewRequest(codes.GET, "/"), func(*Response) {}); err != nil {
			t.Fatal(err)
		}
		p.lose = loseRandomly(seed, 0.1)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			for ctx.Err() == nil {
				time.Sleep(6913 * time.Millisecond)       // never at the same instant as a block
				_ = s.observer.Notify(s.response(), true) // fails if it was given up
			}
		}()
		d := download(t, p.a, DownloadOptions{})
		for _, err := fetch(t.Context(), d); isTimeout(err); {
			_, err = fetch(t.Context(), d)
		}
		cancel()
		<-done
		log = p.log
	})
	return log
}

// TestSameSeedSameStream: equal seeds give equal bytes each way.
func TestSameSeedSameStream(t *testing.T) {
	var runs [2][2][]byte
	for i := range runs {
		synctest.Test(t, func(t *testing.T) {
			s := &sensor{state: []byte("0")}
			p := newStreamPair(t, Config{}, Config{}, s, &flash{})
			if _, _, err := p.b.Observe(t.Context(), NewRequest(codes.GET, "/"), func(*Response) {}); err != nil {
				t.Fatal(err)
			}
			for range 5 {
				s.set(t, "next", false)
				synctest.Wait()
			}
			if err := send(t.Context(), upload(t, p.a, image(50_000), UploadOptions{})); err != nil {
				t.Fatal(err)
			}
			if err := p.a.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			p.mu.Lock()
			defer p.mu.Unlock()
			runs[i] = p.bytes
		})
	}
	for i, direction := range []string{"b to a", "a to b"} {
		if a, b := runs[0][i], runs[1][i]; len(a) < 50 || !bytes.Equal(a, b) {
			t.Errorf("%s: %d and %d bytes, which differ", direction, len(a), len(b))
		}
	}
}
