package coap

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// image is n bytes that differ everywhere.
func image(n int) []byte {
	rng := rand.New(rand.NewPCG(7959, 0))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// file serves data with an ETag, and counts how often it is asked.
type file struct {
	data  []byte
	etag  []byte
	calls int
}

func (f *file) ServeCoAP(context.Context, *Request) *Response {
	f.calls++
	resp := Status(codes.Content)
	resp.SetContentFormat(Octets)
	if f.etag != nil {
		resp.SetETag(f.etag)
	}
	resp.Body, resp.Size = bytes.NewReader(f.data), int64(len(f.data))
	return resp
}

// fetch reads a Download to its end.
func fetch(ctx context.Context, d *Download) ([]byte, error) {
	var got []byte
	for {
		b, err := d.Next(ctx)
		if err == io.EOF {
			return got, nil
		}
		if err != nil {
			return got, err
		}
		got = append(got, b.Data...)
	}
}

func download(t *testing.T, c *Conn, opt DownloadOptions) *Download {
	t.Helper()
	d, err := c.Download(NewRequest(codes.GET, "/fw"), opt)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestBlockOption(t *testing.T) {
	for v := range uint32(1 << 12) {
		b, ok := parseBlock(v)
		if ok != (v&7 != 7) {
			t.Fatalf("parseBlock(%#x): ok = %v", v, ok)
		}
		if ok && b.value() != v {
			t.Fatalf("parseBlock(%#x) = %+v, whose value is %#x", v, b, b.value())
		}
	}
	b, _ := parseBlock(440<<4 | 8 | 6)
	if b != (blockOption{440, true, 6}) || b.offset() != 450560 || b.size() != 1024 {
		t.Errorf("got %+v at %d, want NUM 440 at 450560", b, b.offset())
	}
	if exponent(16) != 0 || exponent(1024) != 6 {
		t.Error("exponent of 16 and 1024 must be 0 and 6")
	}
}

// TestBERTOption: RFC 8323 section 6.
func TestBERTOption(t *testing.T) {
	b, ok := parseBlock(24<<4 | 8 | 7)
	if ok || b != (blockOption{24, true, bert}) || b.offset() != 24*1024 || b.size() != 1024 {
		t.Errorf("got %+v at %d, %v; want NUM 24 at 24576, not for datagrams", b, b.offset(), ok)
	}
	m := Message{stream: true}
	m.setBlock(message.Block1, b)
	if got, present, ok := m.block(message.Block1); !present || !ok || got != b {
		t.Errorf("on a stream %+v, %v", got, ok)
	}
	for _, tt := range []struct {
		b    blockOption
		n    int
		want bool
	}{
		{blockOption{0, true, bert}, 0, false},
		{blockOption{0, true, bert}, 1024, true},
		{blockOption{0, true, bert}, 1025, false},
		{blockOption{0, true, bert}, 8192, true},
		{blockOption{0, false, bert}, 4711, true},
		{blockOption{0, false, bert}, 0, true},
		{blockOption{0, true, 6}, 2048, false},
		{blockOption{0, false, 6}, 1025, false},
		{blockOption{0, false, 6}, 1024, true},
	} {
		if got := tt.b.holds(tt.n); got != tt.want {
			t.Errorf("%+v holds %d bytes: %v", tt.b, tt.n, got)
		}
	}
	for szx, num := range []uint32{192, 96, 48, 24, 12, 6, 3, 3} {
		got := smallerBlocks(blockOption{3, true, bert}, uint8(szx))
		if want := (blockOption{num, true, uint8(szx)}); got != want {
			t.Errorf("block 3 of 1024 in size exponent %d is %+v, want %+v", szx, got, want)
		}
	}
}

// TestNoQBlock: what we do not support is refused, not ignored.
func TestNoQBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, steady, nil, echo)
		for _, option := range []message.OptionID{19, 31} { // RFC 9177 section 4.1
			r := NewRequest(codes.PUT, "/").WithPayload(Octets, image(16))
			r.SetUint(option, 0)
			if resp, err := p.a.Do(t.Context(), r); err != nil || resp.Code != codes.BadOption {
				t.Errorf("option %d: %v, %v, want 4.02", option, resp, err)
			}
		}
	})
}

// TestTransfersUnderLoss: at 10 % loss either way a megabyte completes,
// byte-equal, if a block that was given up is asked for again, or with more
// retransmissions. (By default one exchange in 4000 fails: 0.19^5.)
func TestTransfersUnderLoss(t *testing.T) {
	for seed := range uint64(2) {
		synctest.Test(t, func(t *testing.T) {
			want := image(1 << 20)
			p, f, _ := lossyPair(t, Config{}, seed, 0.1, want)
			d := download(t, p.a, DownloadOptions{})
			got, err := fetch(t.Context(), d)
			for isTimeout(err) {
				var rest []byte
				rest, err = fetch(t.Context(), d)
				got = append(got, rest...)
			}
			if err != nil || !bytes.Equal(got, f.data) {
				t.Errorf("download: %d bytes, %v", len(got), err)
			}
			p, _, up := lossyPair(t, Config{MaxRetransmit: 8}, seed, 0.1, want)
			resp, err := p.a.Do(t.Context(), NewRequest(codes.PUT, "/fw").WithPayload(Octets, want))
			if err != nil || resp.Code != codes.Changed || !bytes.Equal(*up, want) {
				t.Errorf("upload: %d bytes, %v, %v", len(*up), resp, err)
			}
		})
	}
}

// TestLossNeverStalls: at any loss a transfer completes byte-equal or returns
// a time-out.
func TestLossNeverStalls(t *testing.T) {
	outcomes := map[bool]int{}
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			want := image(50_000)
			loss := []float64{0.05, 0.2, 0.3, 0.5}[seed%4]
			p, _, up := lossyPair(t, Config{}, seed, loss, want)
			got, err := fetch(t.Context(), download(t, p.a, DownloadOptions{}))
			if err != nil && !isTimeout(err) || err == nil && !bytes.Equal(got, want) {
				t.Errorf("seed %d: download: %d bytes, %v", seed, len(got), err)
			}
			outcomes[err == nil]++
			_, err = p.a.Do(t.Context(), NewRequest(codes.PUT, "/fw").WithPayload(Octets, want))
			if err != nil && !isTimeout(err) || err == nil && !bytes.Equal(*up, want) {
				t.Errorf("seed %d: upload: %d bytes, %v", seed, len(*up), err)
			}
			outcomes[err == nil]++
			if p.a.Stats().Retransmissions == 0 {
				t.Errorf("seed %d: no retransmission in spite of loss", seed)
			}
		})
	}
	if outcomes[true] < 5 || outcomes[false] < 5 {
		t.Errorf("%d transfers completed, %d timed out: want some of both", outcomes[true], outcomes[false])
	}
}

func isTimeout(err error) bool {
	var timeout *TimeoutError
	return errors.As(err, &timeout)
}

// lossyPair is a client of a server that offers data and takes what is PUT
// into up.
func lossyPair(t *testing.T, cfg Config, seed uint64, loss float64, data []byte) (p *pair, f *file, up *[]byte) {
	f, up = &file{data: data, etag: []byte("12345678")}, new([]byte)
	p = newPair(t, cfg, nil, HandlerFunc(func(ctx context.Context, r *Request) *Response {
		if r.Code == codes.GET {
			return f.ServeCoAP(ctx, r)
		}
		*up = r.Payload
		return Status(codes.Changed)
	}))
	p.delay = 300 * time.Millisecond
	p.lose = loseRandomly(seed, loss)
	return p, f, up
}

// BenchmarkDownload is 1 MiB in 1024 exchanges.
func BenchmarkDownload(b *testing.B) {
	f := &file{data: image(1 << 20), etag: []byte("12345678")}
	b.ReportAllocs()
	for b.Loop() {
		l, ea, eb := newLink()
		l.start = time.Now()
		client, server := NewConn(ea, Config{}, nil), NewConn(eb, Config{}, f)
		go func() { _ = client.Serve() }()
		go func() { _ = server.Serve() }()
		d, err := client.Download(NewRequest(codes.GET, "/fw"), DownloadOptions{})
		if err != nil {
			b.Fatal(err)
		}
		got, err := fetch(context.Background(), d)
		if err != nil || len(got) != len(f.data) {
			b.Fatal(len(got), err)
		}
		client.Close()
		server.Close()
	}
}
