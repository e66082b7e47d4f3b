package coap

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

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

// TestUploadNegotiatesDown is late negotiation as in RFC 7959 section 3.2: the first block counts, in the server's smaller blocks.
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

// TestUploadOfTwoFormats: blocks of different content formats are not put
// together (RFC 7959 section 2.3).
func TestUploadOfTwoFormats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, steady, nil, echo)
		for i, tt := range []struct {
			format message.MediaType
			want   codes.Code
		}{{Octets, codes.Continue}, {TextPlain, codes.RequestEntityIncomplete}} {
			req := part(blockOption{num: uint32(i), more: i == 0, szx: 2}, 64)
			req.SetContentFormat(tt.format)
			if resp, err := p.a.Do(t.Context(), req); err != nil || resp.Code != tt.want {
				t.Errorf("block %d: %v, %v, want %v", i, resp, err, tt.want)
			}
		}
	})
}

// TestConditionOfFirstBlock: If-None-Match is of the first block alone (RFC 7959
// section 2.10): after it the resource may exist.
func TestConditionOfFirstBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, steady, nil, echo)
		req := NewRequest(codes.PUT, "/").WithPayload(Octets, image(2500))
		req.Set(message.IfNoneMatch, nil)
		if resp, err := p.a.Do(t.Context(), req); err != nil || resp.Code != codes.Changed {
			t.Fatal(resp, err)
		}
		var with []bool
		for _, s := range p.log {
			if m, _ := decode(s.data); s.fromA && m.Code == codes.PUT {
				_, there := (&Message{Options: m.Options}).Bytes(message.IfNoneMatch)
				with = append(with, there)
			}
		}
		if want := []bool{true, false, false}; !slices.Equal(with[:3], want) {
			t.Errorf("If-None-Match in blocks: %v, want %v", with, want)
		}
	})
}
