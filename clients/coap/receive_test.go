package coap

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// flash takes firmware block by block and keeps it over connections.
type flash struct {
	body   []byte
	starts int
	done   bool
	limit  int // 0: none
}

func (f *flash) ServeBlock(_ context.Context, r *Request, b Block) *Response {
	if r.Path() != "/5/0/0" {
		return nil
	}
	if b.Offset == 0 {
		f.body, f.done = nil, false
		f.starts++
	}
	data, ok := b.After(int64(len(f.body)))
	switch {
	case !ok:
		return r.Incomplete(int64(len(f.body)))
	case f.limit > 0 && len(f.body)+len(data) > f.limit:
		return Status(codes.RequestEntityTooLarge)
	}
	f.body = append(f.body, data...)
	if !b.Last {
		return Status(codes.Continue)
	}
	f.done = true
	return Status(codes.Changed)
}

func (f *flash) ServeCoAP(ctx context.Context, r *Request) *Response { return echo(ctx, r) }

// send uploads until the end or an error.
func send(ctx context.Context, u *Upload) error {
	for {
		if _, err := u.Next(ctx); err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
	}
}

func upload(t *testing.T, c *Conn, body []byte, opt UploadOptions) *Upload {
	t.Helper()
	u, err := c.Upload(NewRequest(codes.PUT, "/5/0/0").WithPayload(Octets, body), opt)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestBlockHandler has the messages of RFC 7959 section 3.2, figure 8, with
// loss either way: no block is taken twice.
func TestBlockHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, want := &flash{}, image(300)
		p := newPair(t, steady, nil, f)
		p.lose = func(fromA bool, n int, _ []byte) bool { return fromA && n == 1 || !fromA && n == 1 }
		u := upload(t, p.a, want, UploadOptions{BlockSize: 128})
		if u.Response() != nil {
			t.Error("a response before the first block")
		}
		b, err := u.Next(t.Context())
		if err != nil || b.Offset != 0 || !bytes.Equal(b.Data, want[:128]) || b.Last || b.Size != 300 || len(f.body) != 128 {
			t.Fatalf("first block %+v, %v; the handler has %d bytes", b, err, len(f.body))
		}
		if err := send(t.Context(), u); err != nil || !f.done || !bytes.Equal(f.body, want) || u.Response().Code != codes.Changed {
			t.Fatalf("%v; %d bytes", err, len(f.body))
		}
		p.wantTimeline(t, `
			0s > CON PUT 1:0/1/128
			0s < ACK 2.31 1:0/1/128
			0s > CON PUT 1:1/1/128 lost
			2s > CON PUT 1:1/1/128
			2s < ACK 2.31 1:1/1/128 lost
			6s > CON PUT 1:1/1/128
			6s < ACK 2.31 1:1/1/128
			6s > CON PUT 1:2/0/128
			6s < ACK 2.04 1:2/0/128`)
	})
}

// TestBlockHandlerNegotiatesDown: the device wants smaller blocks.
func TestBlockHandlerNegotiatesDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, want := &flash{}, image(200)
		l, ea, eb := newLink()
		small := steady
		small.BlockSize = 32
		a, b := NewConn(ea, steady, nil), NewConn(eb, small, f)
		go func() { _ = a.Serve() }()
		go func() { _ = b.Serve() }()
		defer b.Close()
		defer a.Close()
		if err := send(t.Context(), upload(t, a, want, UploadOptions{BlockSize: 128})); err != nil || !bytes.Equal(f.body, want) {
			t.Fatalf("%v; %d bytes", err, len(f.body))
		}
		l.wantTimeline(t, `
			0s > CON PUT 1:0/1/128
			0s < ACK 2.31 1:0/1/32
			0s > CON PUT 1:4/1/32
			0s < ACK 2.31 1:4/1/32
			0s > CON PUT 1:5/1/32
			0s < ACK 2.31 1:5/1/32
			0s > CON PUT 1:6/0/32
			0s < ACK 2.04 1:6/0/32`)
	})
}

// TestUploadResumes where the sender believes the receiver to be, which may
// have more or less than that.
func TestUploadResumes(t *testing.T) {
	want := image(8 * 1024)
	for _, tt := range []struct {
		name          string
		has           int
		offset        int64
		incomplete    *IncompleteError
		first, resent string
	}{
		{"as believed", 4096, 4096, nil, "CON PUT 1:4/1/1024", ""},
		{"has more", 5120, 4096, nil, "CON PUT 1:4/1/1024", ""},
		{"has a part more", 4500, 4096, nil, "CON PUT 1:4/1/1024", ""},
		{"has all", 8192, 7168, nil, "CON PUT 1:7/0/1024", ""},
		{"has less", 2048, 4096, &IncompleteError{4096, 2048}, "CON PUT 1:4/1/1024", "CON PUT 1:2/1/1024"},
		{"has a part less", 3000, 4096, &IncompleteError{4096, 2048}, "CON PUT 1:4/1/1024", "CON PUT 1:2/1/1024"},
		{"has nothing", 0, 4096, &IncompleteError{4096, 0}, "CON PUT 1:4/1/1024", "CON PUT 1:0/1/1024"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &flash{body: bytes.Clone(want[:tt.has])}
				p := newPair(t, steady, nil, f)
				u := upload(t, p.a, want, UploadOptions{Offset: tt.offset})
				err := send(t.Context(), u)
				var incomplete *IncompleteError
				if errors.As(err, &incomplete) {
					err = send(t.Context(), u)
				}
				if err != nil || !f.done || !bytes.Equal(f.body, want) {
					t.Fatalf("%v; %d bytes", err, len(f.body))
				}
				if (incomplete == nil) != (tt.incomplete == nil) || incomplete != nil && *incomplete != *tt.incomplete {
					t.Errorf("got %+v, want %+v", incomplete, tt.incomplete)
				}
				if first := describe(p.log[0].data); first != tt.first {
					t.Errorf("first request %q, want %q", first, tt.first)
				}
				if tt.resent != "" && describe(p.log[2].data) != tt.resent {
					t.Errorf("after the 4.08 %q, want %q", describe(p.log[2].data), tt.resent)
				}
			})
		})
	}
}

// TestUploadStartsOver if the receiver of a gap does not tell what it wants,
// as when a Conn assembles the request.
func TestUploadStartsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, steady, nil, echo)
		u := upload(t, p.a, image(3000), UploadOptions{Offset: 1024})
		var incomplete *IncompleteError
		if _, err := u.Next(t.Context()); !errors.As(err, &incomplete) || *incomplete != (IncompleteError{1024, -1}) {
			t.Fatalf("got %v, want an IncompleteError", err)
		}
		if err := send(t.Context(), u); err != nil || u.Response().Code != codes.Changed {
			t.Errorf("then %v", err)
		}
	})
}

// TestUploadSurvivesOutage: after giving up on a block, Next sends it again,
// whether or not the receiver had it, to either kind of handler.
func TestUploadSurvivesOutage(t *testing.T) {
	for name, h := range map[string]Handler{"in blocks": &flash{}, "whole": echo} {
		for _, requests := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t, steady, nil, h)
				u := upload(t, p.a, image(3000), UploadOptions{})
				if _, err := u.Next(t.Context()); err != nil {
					t.Fatal(err)
				}
				p.loses(func(fromA bool, _ int, _ []byte) bool { return fromA == requests })
				if _, err := u.Next(t.Context()); !isTimeout(err) {
					t.Fatalf("got %v, want a TimeoutError", err)
				}
				p.loses(nil)
				if err := send(t.Context(), u); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if f, ok := h.(*flash); ok && !bytes.Equal(f.body, image(3000)) {
					t.Errorf("the handler has %d bytes", len(f.body))
				}
				if _, err := u.Next(t.Context()); err != io.EOF {
					t.Errorf("after the end: %v, want io.EOF", err)
				}
			})
		}
	}
}

// TestUploadEnds: any other error of the handler ends the upload.
func TestUploadEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, steady, nil, &flash{limit: 2000})
		u := upload(t, p.a, image(3000), UploadOptions{})
		var status *StatusError
		if err := send(t.Context(), u); !errors.As(err, &status) || status.Code != codes.RequestEntityTooLarge {
			t.Errorf("got %v, want 4.13", err)
		}
		for _, opt := range []UploadOptions{{Offset: 1000}, {Offset: -1024}, {Offset: 3072}, {BlockSize: 100}, {BlockSize: 2048}} {
			if _, err := p.a.Upload(NewRequest(codes.PUT, "/").WithPayload(Octets, image(3000)), opt); err == nil {
				t.Errorf("%+v was accepted", opt)
			}
		}
	})
}

// TestBlockHandlerCodes: what a handler answers is put into the right Block1.
func TestBlockHandlerCodes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		more   bool
		answer codes.Code
		code   codes.Code
		want   blockOption
	}{
		{"taken", true, codes.Continue, codes.Continue, blockOption{5, true, 2}},
		{"acted upon on its own", true, codes.Changed, codes.Changed, blockOption{5, false, 2}},
		{"refused", true, codes.Forbidden, codes.Forbidden, blockOption{5, true, 2}},
		{"finished", false, codes.Changed, codes.Changed, blockOption{5, false, 2}},
		{"no end", false, codes.Continue, codes.InternalServerError, blockOption{5, false, 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t, steady, nil, constant(tt.answer))
				resp, err := p.a.Do(t.Context(), part(blockOption{5, tt.more, 2}, 64))
				if err != nil || resp.Code != tt.code {
					t.Fatalf("got %v, %v, want %v", resp, err, tt.code)
				}
				if b, present, ok := resp.block(27); !present || !ok || b != tt.want {
					t.Errorf("Block1 %+v, want %+v", b, tt.want)
				}
			})
		})
	}
}

// constant answers every block with one code.
type constant codes.Code

func (c constant) ServeBlock(context.Context, *Request, Block) *Response {
	return Status(codes.Code(c))
}
func (c constant) ServeCoAP(context.Context, *Request) *Response { return nil }

func TestMissingBlock(t *testing.T) {
	for _, tt := range []struct {
		num  uint32
		want []byte // RFC 8949 appendix A
	}{
		{0, []byte{0}},
		{23, []byte{0x17}},
		{24, []byte{0x18, 0x18}},
		{1000, []byte{0x19, 0x03, 0xe8}},
		{1000000, []byte{0x1a, 0x00, 0x0f, 0x42, 0x40}},
	} {
		if got := appendMissing(nil, tt.num); !bytes.Equal(got, tt.want) {
			t.Errorf("%d is %x, want %x", tt.num, got, tt.want)
		}
		if num, ok := parseMissing(append(tt.want, 1, 2)); !ok || num != tt.num {
			t.Errorf("%x is %d, %v", tt.want, num, ok)
		}
	}
	for _, bad := range [][]byte{nil, {0x18}, {0x1a, 1, 2, 3}, {0x1a, 0, 0x10, 0, 0}, {0x20}, {0x1b, 0, 0, 0, 0, 0, 0, 0, 1}} {
		if num, ok := parseMissing(bad); ok {
			t.Errorf("%x is %d", bad, num)
		}
	}
}
