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

// TestDownloadTimeline has the option values of RFC 7959 section 3.1, figure 3:
// early negotiation, and Size2 in the first response alone.
func TestDownloadTimeline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &file{data: image(130), etag: []byte{1, 2, 3, 4}}
		p := newPair(t, steady, nil, f)
		p.lose = loseFirst(false, 1)
		d := download(t, p.a, DownloadOptions{BlockSize: 64})
		first, err := d.Next(t.Context())
		if err != nil || first.Size != 130 || !bytes.Equal(first.ETag, f.etag) || first.Last {
			t.Fatalf("first block %+v, %v", first, err)
		}
		rest, err := fetch(t.Context(), d)
		if got := append(first.Data, rest...); err != nil || !bytes.Equal(got, f.data) {
			t.Fatalf("got %d bytes, %v", len(got), err)
		}
		p.wantTimeline(t, `
			0s > CON GET 2:0/0/64
			0s < ACK 2.05 2:0/1/64 lost
			2s > CON GET 2:0/0/64
			2s < ACK 2.05 2:0/1/64
			2s > CON GET 2:1/0/64
			2s < ACK 2.05 2:1/1/64
			2s > CON GET 2:2/0/64
			2s < ACK 2.05 2:2/0/64`)
		for i, s := range p.log {
			m, _ := decode(s.data)
			msg := Message{Options: m.Options}
			_, size2 := msg.Size2()
			if first := i == 1 || i == 3; size2 != first {
				t.Errorf("datagram %d: Size2 is %v, want it in the first response only", i, size2)
			}
		}
		if f.calls != 3 {
			t.Errorf("handler was called %d times, want 3", f.calls)
		}
	})
}

func TestDownloadTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, same := range []bool{false, true} {
			p := newPair(t, steady, nil, &file{data: image(160)})
			if _, err := fetch(t.Context(), download(t, p.a, DownloadOptions{BlockSize: 16, SameToken: same})); err != nil {
				t.Fatal(err)
			}
			tokens := map[string]bool{}
			for _, s := range p.log {
				m, _ := decode(s.data)
				if len(m.Token) != 8 {
					t.Errorf("token of %d bytes, want 8", len(m.Token))
				}
				tokens[string(m.Token)] = true
			}
			if want := map[bool]int{false: 10, true: 1}[same]; len(tokens) != want {
				t.Errorf("SameToken %v: %d tokens, want %d", same, len(tokens), want)
			}
		}
	})
}

// TestServerNegotiatesDown: the server's blocks are smaller than asked for
// (RFC 7959 section 3.1, figure 4).
func TestServerNegotiatesDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &file{data: image(80)}
		cfg := steady
		cfg.BlockSize = 32
		p := newPair(t, cfg, nil, f)
		got, err := fetch(t.Context(), download(t, p.a, DownloadOptions{BlockSize: 64}))
		if err != nil || !bytes.Equal(got, f.data) {
			t.Fatalf("got %d bytes, %v", len(got), err)
		}
		p.wantTimeline(t, `
			0s > CON GET 2:0/0/64
			0s < ACK 2.05 2:0/1/32
			0s > CON GET 2:1/0/32
			0s < ACK 2.05 2:1/1/32
			0s > CON GET 2:2/0/32
			0s < ACK 2.05 2:2/0/32`)
	})
}

func TestResumeFromBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &file{data: image(1 << 20), etag: []byte("8bytetag")}
		p := newPair(t, steady, nil, f)
		d := download(t, p.a, DownloadOptions{Offset: 450560, ETag: f.etag})
		got, err := fetch(t.Context(), d)
		if err != nil || !bytes.Equal(got, f.data[450560:]) {
			t.Fatalf("got %d bytes, %v", len(got), err)
		}
		if first := describe(p.log[0].data); first != "CON GET 2:440/0/1024" {
			t.Errorf("first request %q, want block 440", first)
		}
	})
}

// TestDownloadSurvivesOutage: after giving up on a block, Next asks for the
// same block.
func TestDownloadSurvivesOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &file{data: image(5000), etag: []byte{1}}
		p := newPair(t, steady, nil, f)
		d := download(t, p.a, DownloadOptions{})
		b, err := d.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := b.Data
		p.lose = func(bool, int, []byte) bool { return true }
		var timeout *TimeoutError
		if _, err := d.Next(t.Context()); !errors.As(err, &timeout) {
			t.Fatalf("got %v, want a TimeoutError", err)
		}
		p.lose = nil
		rest, err := fetch(t.Context(), d)
		if got = append(got, rest...); err != nil || !bytes.Equal(got, f.data) {
			t.Fatalf("got %d bytes, %v", len(got), err)
		}
		if _, err := d.Next(t.Context()); err != io.EOF {
			t.Errorf("after the end: %v, want io.EOF", err)
		}
	})
}

func TestETagChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &file{data: image(5000), etag: []byte("old")}
		p := newPair(t, steady, nil, f)
		d := download(t, p.a, DownloadOptions{})
		if _, err := d.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		var changed *ETagError
		f.etag = []byte("new")
		if _, err := d.Next(t.Context()); !errors.As(err, &changed) || string(changed.Want) != "old" || string(changed.Got) != "new" {
			t.Errorf("got %v, want an ETagError old, new", err)
		}
		f.etag = nil // an ETag that vanishes is a change, too
		if _, err := d.Next(t.Context()); !errors.As(err, &changed) {
			t.Errorf("got %v, want an ETagError", err)
		}
		d = download(t, p.a, DownloadOptions{Offset: 1024, ETag: []byte("old")})
		f.etag = []byte("new")
		if _, err := d.Next(t.Context()); !errors.As(err, &changed) {
			t.Errorf("resumed: got %v, want an ETagError", err)
		}
	})
}

func TestDownloadErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, steady, nil, HandlerFunc(func(_ context.Context, r *Request) *Response {
			if r.Path() == "/small" {
				return NewResponse(codes.Content, TextPlain, []byte("all of it"))
			}
			return Status(codes.NotFound)
		}))
		var status *StatusError
		if _, err := download(t, p.a, DownloadOptions{Offset: 2048}).Next(t.Context()); !errors.As(err, &status) || status.Code != codes.NotFound {
			t.Errorf("got %v, want 4.04", err)
		}
		d, err := p.a.Download(NewRequest(codes.GET, "/small"), DownloadOptions{Offset: 1024})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Next(t.Context()); !errors.As(err, &status) || status.Code != codes.BadRequest {
			t.Errorf("beyond the end: got %v, want 4.00", err)
		}
		for _, opt := range []DownloadOptions{{Offset: 1000}, {Offset: -1024}, {BlockSize: 100}, {BlockSize: 2048}} {
			if _, err := p.a.Download(NewRequest(codes.GET, "/"), opt); err == nil {
				t.Errorf("%+v was accepted", opt)
			}
		}
	})
}

// TestDownloadWrongBlocks: what a broken server sends is refused.
func TestDownloadWrongBlocks(t *testing.T) {
	for name, resp := range map[string]*Response{
		"other number":   block2(blockOption{num: 2, more: true, szx: 2}, 64),
		"larger block":   block2(blockOption{num: 0, more: true, szx: 3}, 128),
		"short block":    block2(blockOption{num: 1, more: true, szx: 2}, 63),
		"long block":     block2(blockOption{num: 1, szx: 2}, 65),
		"reserved size":  block2(blockOption{num: 1, szx: 7}, 1),
		"no block":       NewResponse(codes.Content, Octets, image(64)),
		"starts at zero": block2(blockOption{more: true, szx: 2}, 64),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRaw(t, steady, nil)
				go func() {
					m := r.peerNext()
					r.put(message.Message{Type: message.Acknowledgement, MessageID: m.MessageID, Token: m.Token, Code: resp.Code, Options: resp.Options, Payload: resp.Payload})
				}()
				var wrong *BlockError
				if _, err := download(t, r.conn, DownloadOptions{BlockSize: 64, Offset: 64}).Next(t.Context()); !errors.As(err, &wrong) {
					t.Errorf("got %v, want a BlockError", err)
				}
			})
		})
	}
}

func block2(b blockOption, n int) *Response {
	resp := NewResponse(codes.Content, Octets, image(n))
	resp.setBlock(message.Block2, b)
	return resp
}

// peerNext waits for the next message of the Conn.
func (r *raw) peerNext() message.Message {
	m, err := decode(<-r.peer.in)
	if err != nil {
		r.t.Error(err)
	}
	return m
}

// TestDoAssembles: Do gets all blocks of one state although the resource
// changes meanwhile, for the server keeps the response.
func TestDoAssembles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		p := newPair(t, steady, nil, HandlerFunc(func(context.Context, *Request) *Response {
			calls++
			return NewResponse(codes.Content, LinkFormat, bytes.Repeat([]byte{byte(calls)}, 2500))
		}))
		for i := 1; i <= 2; i++ {
			resp, err := p.a.Do(t.Context(), NewRequest(codes.GET, "/"))
			if err != nil || !bytes.Equal(resp.Payload, bytes.Repeat([]byte{byte(i)}, 2500)) {
				t.Fatalf("got %v, %v", resp, err)
			}
			if f, ok := resp.ContentFormat(); !ok || f != LinkFormat {
				t.Errorf("content format %v", f)
			}
		}
		if calls != 2 {
			t.Errorf("handler was called %d times, want 2", calls)
		}
		if n := len(p.log); n != 12 {
			t.Errorf("%d datagrams, want 12", n)
		}
	})
}

func TestDoLimitsBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steady
		cfg.MaxBody = 4096
		p := newPair(t, cfg, nil, &file{data: image(5000)})
		if _, err := p.a.Do(t.Context(), NewRequest(codes.GET, "/")); !errors.Is(err, ErrTooLarge) {
			t.Errorf("got %v, want ErrTooLarge", err)
		}
	})
}

// echo answers with the request's payload.
var echo = HandlerFunc(func(_ context.Context, r *Request) *Response {
	return NewResponse(codes.Changed, Octets, r.Payload)
})

func TestUpload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []byte
		p := newPair(t, steady, nil, HandlerFunc(func(_ context.Context, r *Request) *Response {
			got = r.Payload
			if size, ok := r.Size1(); ok {
				t.Errorf("the last block says Size1 %d", size)
			}
			return Status(codes.Changed)
		}))
		want := image(2500)
		resp, err := p.a.Do(t.Context(), NewRequest(codes.PUT, "/5/0/0").WithPayload(Octets, want))
		if err != nil || resp.Code != codes.Changed || !bytes.Equal(got, want) {
			t.Fatalf("got %v, %v; %d bytes", resp, err, len(got))
		}
		p.wantTimeline(t, `
			0s > CON PUT 1:0/1/1024
			0s < ACK 2.31 1:0/1/1024
			0s > CON PUT 1:1/1/1024
			0s < ACK 2.31 1:1/1/1024
			0s > CON PUT 1:2/0/1024
			0s < ACK 2.04 1:2/0/1024`)
		m, _ := decode(p.log[0].data)
		if size, ok := (&Message{Options: m.Options}).Size1(); !ok || size != 2500 {
			t.Errorf("first block says Size1 %d, %v, want 2500", size, ok)
		}
	})
}

// TestUploadNegotiatesDown is late negotiation as in RFC 7959 section 3.2,
// figure 8: the first block counts, in the server's smaller blocks.
func TestUploadNegotiatesDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, ea, eb := newLink()
		small := steady
		small.BlockSize = 32
		big := steady
		big.BlockSize = 128
		a, b := NewConn(ea, big, nil), NewConn(eb, small, echo)
		go func() { _ = a.Serve() }()
		go func() { _ = b.Serve() }()
		defer b.Close()
		defer a.Close()
		want := image(170)
		resp, err := a.Do(t.Context(), NewRequest(codes.PUT, "/").WithPayload(Octets, want))
		if err != nil || !bytes.Equal(resp.Payload, want) {
			t.Fatalf("got %v, %v", resp, err)
		}
		l.wantTimeline(t, `
			0s > CON PUT 1:0/1/128
			0s < ACK 2.31 1:0/1/32
			0s > CON PUT 1:4/1/32
			0s < ACK 2.31 1:4/1/32
			0s > CON PUT 1:5/0/32
			0s < ACK 2.04 1:5/0/32 2:0/1/32
			0s > CON PUT 2:1/0/32
			0s < ACK 2.04 2:1/1/32
			0s > CON PUT 2:2/0/32
			0s < ACK 2.04 2:2/1/32
			0s > CON PUT 2:3/0/32
			0s < ACK 2.04 2:3/1/32
			0s > CON PUT 2:4/0/32
			0s < ACK 2.04 2:4/1/32
			0s > CON PUT 2:5/0/32
			0s < ACK 2.04 2:5/0/32`)
	})
}

// TestUploadRefused: 4.13 at the first block, by the announced size.
func TestUploadRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steady
		cfg.MaxBody = 4096
		p := newPair(t, cfg, nil, echo)
		resp, err := p.a.Do(t.Context(), NewRequest(codes.PUT, "/").WithPayload(Octets, image(5000)))
		if err != nil || resp.Code != codes.RequestEntityTooLarge {
			t.Fatalf("got %v, %v, want 4.13", resp, err)
		}
		if size, ok := resp.Size1(); !ok || size != 4096 {
			t.Errorf("Size1 %d, %v, want 4096", size, ok)
		}
		if len(p.log) != 2 {
			t.Errorf("%d datagrams, want 2", len(p.log))
		}
	})
}

// TestUploadTooLargeMidway: without Size1 the limit shows when it is reached.
func TestUploadTooLargeMidway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steady
		cfg.MaxBody = 100
		p := newPair(t, cfg, nil, echo)
		for i, want := range []codes.Code{codes.Continue, codes.RequestEntityTooLarge, codes.RequestEntityIncomplete} {
			resp, err := p.a.Do(t.Context(), part(blockOption{num: uint32(i), more: true, szx: 2}, 64))
			if err != nil || resp.Code != want {
				t.Errorf("block %d: got %v, %v, want %v", i, resp, err, want)
			}
		}
	})
}

func part(b blockOption, n int) *Request {
	r := NewRequest(codes.PUT, "/")
	r.Payload = image(n)
	r.setBlock(message.Block1, b)
	return r
}

func TestUploadWrongBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, steady, nil, echo)
		for _, tt := range []struct {
			name string
			req  *Request
			want codes.Code
		}{
			{"no first block", part(blockOption{num: 1, more: true, szx: 2}, 64), codes.RequestEntityIncomplete},
			{"short", part(blockOption{more: true, szx: 2}, 63), codes.BadRequest},
			{"long", part(blockOption{szx: 2}, 65), codes.BadRequest},
			{"reserved size", part(blockOption{szx: 7}, 1), codes.BadRequest},
			{"first", part(blockOption{more: true, szx: 2}, 64), codes.Continue},
			{"gap", part(blockOption{num: 2, more: true, szx: 2}, 64), codes.RequestEntityIncomplete},
			{"after the gap", part(blockOption{num: 1, szx: 2}, 64), codes.RequestEntityIncomplete},
			{"first again", part(blockOption{more: true, szx: 2}, 64), codes.Continue},
			{"last", part(blockOption{num: 1, szx: 2}, 10), codes.Changed},
		} {
			resp, err := p.a.Do(t.Context(), tt.req)
			if err != nil || resp.Code != tt.want {
				t.Errorf("%s: got %v, %v, want %v", tt.name, resp, err, tt.want)
			}
		}
	})
}

// TestAssemblyExpires: blocks with a pause of EXCHANGE_LIFETIME do not belong
// together.
func TestAssemblyExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Config{}, nil, echo)
		if _, err := p.a.Do(t.Context(), part(blockOption{more: true, szx: 2}, 64)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(247 * time.Second)
		resp, err := p.a.Do(t.Context(), part(blockOption{num: 1, szx: 2}, 64))
		if err != nil || resp.Code != codes.RequestEntityIncomplete {
			t.Errorf("got %v, %v, want 4.08", resp, err)
		}
	})
}

// TestBothWaysInBlocks is RFC 7959 section 3.3: request and response in blocks.
// The handler sees the request once.
func TestBothWaysInBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		p := newPair(t, steady, nil, HandlerFunc(func(ctx context.Context, r *Request) *Response {
			calls++
			return echo(ctx, r)
		}))
		want := image(10000)
		resp, err := p.a.Do(t.Context(), NewRequest(codes.POST, "/").WithPayload(Octets, want))
		if err != nil || !bytes.Equal(resp.Payload, want) || calls != 1 {
			t.Errorf("got %v, %v in %d calls", len(resp.Payload), err, calls)
		}
		// Blocks of a response that was never made cannot be asked for.
		r := NewRequest(codes.POST, "/other")
		r.setBlock(message.Block2, blockOption{num: 3, szx: 6})
		if resp, err := p.a.Do(t.Context(), r); err != nil || resp.Code != codes.RequestEntityIncomplete {
			t.Errorf("got %v, %v, want 4.08", resp, err)
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
