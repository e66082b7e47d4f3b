package coap

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// TestDownloadTimeline has the option values of RFC 7959 section 3.1:
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
// (RFC 7959 section 3.1).
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

// TestBlock2MoreIgnored: M says nothing in a request for a block (RFC 7959
// sections 2.2 and 2.4).
func TestBlock2MoreIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRaw(t, steady, &file{data: image(100), etag: []byte{1}})
		for i, more := range []bool{false, true} {
			m := Message{Code: codes.GET}
			m.setBlock(message.Block2, blockOption{num: 1, more: more, szx: 2})
			r.put(message.Message{Type: message.Confirmable, Code: m.Code, MessageID: int32(i), Token: []byte{byte(i)}, Options: m.Options})
			got := r.get()
			if b, _, ok := (&Message{Options: got.Options}).block(message.Block2); !ok || b != (blockOption{num: 1, szx: 2}) || !bytes.Equal(got.Payload, image(100)[64:]) {
				t.Errorf("M %v: %v, %+v with %d bytes", more, got, b, len(got.Payload))
			}
		}
	})
}
