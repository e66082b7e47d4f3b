package coap_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/internal/units"
	"github.com/thinlink/thinlink/netem"
	"github.com/thinlink/thinlink/netem/vnet"
)

// firmware serves image bytes and takes none.
type firmware []byte

func (f firmware) ServeCoAP(context.Context, *coap.Request) *coap.Response {
	resp := coap.Status(codes.Content)
	resp.SetETag([]byte("12345678"))
	resp.Body, resp.Size = bytes.NewReader(f), int64(len(f))
	return resp
}

// cellular is 60 kbit/s, 1.2 s there and back, and a loss either way.
func cellular(loss units.Fraction) netem.Config {
	d := netem.DirectionConfig{
		Rate: 60_000, Delay: 600 * time.Millisecond, Queue: netem.QueueConfig{Bytes: 16 << 10},
		Loss: netem.LossConfig{Rate: loss},
	}
	return netem.Config{MTU: 1358, Up: d, Down: d}
}

// overTCP runs a test between a device and a platform that serves h, in
// virtual time.
func overTCP(t *testing.T, loss units.Fraction, h coap.Handler, test func(ctx context.Context, dial func(coap.Config) *coap.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n, err := vnet.New(vnet.Config{
			Device:   vnet.HostConfig{Addr: netip.MustParseAddr("10.0.0.2")},
			Platform: vnet.HostConfig{Addr: netip.MustParseAddr("10.0.0.1")},
			Link:     cellular(loss), Seed: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		l, err := n.Platform().Listen("tcp", "10.0.0.1:5683")
		if err != nil {
			t.Fatal(err)
		}
		var running sync.WaitGroup
		var conns []*coap.Conn
		serve := func(conn net.Conn, cfg coap.Config, h coap.Handler) *coap.Conn {
			c := coap.NewStreamConn(conn, cfg, h)
			running.Go(func() { _ = c.Serve() })
			return c
		}
		running.Go(func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				conns = append(conns, serve(conn, coap.Config{}, h))
			}
		})
		test(t.Context(), func(cfg coap.Config) *coap.Conn {
			conn, err := n.Device().DialContext(t.Context(), "tcp", "10.0.0.1:5683")
			if err != nil {
				t.Fatal(err)
			}
			return serve(conn, cfg, nil)
		})
		l.Close()
		synctest.Wait()
		n.Close()
		for _, c := range conns {
			c.Close()
		}
		running.Wait()
	})
}

// TestBERTSavesRoundTrips: in blocks of 1024 bytes, every one costs a round
// trip.
func TestBERTSavesRoundTrips(t *testing.T) {
	data := firmware(bytes.Repeat([]byte("0123456789abcdef"), 6400)) // 100 KiB
	took := map[int]time.Duration{}
	for _, blocks := range []int{1, 8} {
		overTCP(t, 0, data, func(ctx context.Context, dial func(coap.Config) *coap.Conn) {
			c := dial(coap.Config{BERTBlocks: blocks})
			defer c.Close()
			start := time.Now()
			got, err := load(ctx, c)
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d blocks: %d bytes, %v", blocks, len(got), err)
			}
			took[blocks] = time.Since(start)
		})
	}
	t.Logf("100 KiB took %v in blocks, %v in BERT blocks", took[1], took[8])
	// 100 and 13 exchanges of 1.2 s besides 14 s of sending.
	if took[1] < 120*time.Second || took[1] > 150*time.Second || took[8] < 28*time.Second || took[8] > 40*time.Second {
		t.Errorf("took %v, want about 135 s in blocks and 32 s in BERT blocks", took)
	}
}

// TestTCPUnderLoss: TCP repairs loss, and a download goes on over a new
// connection when the old one is closed on the way.
func TestTCPUnderLoss(t *testing.T) {
	data := firmware(bytes.Repeat([]byte("0123456789abcdef"), 6400))
	overTCP(t, .05, data, func(ctx context.Context, dial func(coap.Config) *coap.Conn) {
		var got, etag []byte
		for attempt := range 3 {
			c := dial(coap.Config{})
			if attempt < 2 {
				time.AfterFunc(20*time.Second, func() { c.Close() })
			}
			d, err := c.Download(coap.NewRequest(codes.GET, "/fw"), coap.DownloadOptions{Offset: int64(len(got)), ETag: etag})
			if err != nil {
				t.Fatal(err)
			}
			for err == nil {
				var b coap.Block
				if b, err = d.Next(ctx); err == nil {
					got, etag = append(got, b.Data...), b.ETag
				}
			}
			c.Close()
			if want := []error{coap.ErrClosed, coap.ErrClosed, io.EOF}[attempt]; !errors.Is(err, want) {
				t.Fatalf("attempt %d: %v after %d bytes, want %v", attempt, err, len(got), want)
			}
		}
		if !bytes.Equal(got, data) {
			t.Errorf("%d bytes, which differ", len(got))
		}
	})
}
