package coap

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// TestStreamRequests: requests both ways at once, although no write ends
// before it is read.
func TestStreamRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newStreamPair(t, Config{}, Config{}, echo, echo)
		results := make(chan error, 20)
		for i := range cap(results) {
			from := []*Conn{p.a, p.b}[i%2]
			go func() {
				body := image(100 * i)
				resp, err := from.Do(t.Context(), NewRequest(codes.POST, "/").WithPayload(Octets, body))
				if err == nil && !bytes.Equal(resp.Payload, body) {
					err = errors.New("another payload")
				}
				results <- err
			}()
		}
		for range cap(results) {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
	})
}

// TestStreamDownload is RFC 8323 section 6.1 with messages of three blocks.
func TestStreamDownload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &file{data: image(3*3072 + 711), etag: []byte{1}}
		p := newStreamPair(t, Config{}, Config{BERTBlocks: 3}, nil, f)
		got, err := fetch(t.Context(), download(t, p.a, DownloadOptions{}))
		if err != nil || !bytes.Equal(got, f.data) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		p.wantLog(t, `
			0s > GET 2:0/0/BERT
			0s < 2.05 2:0/1/BERT(3072)
			0s > GET 2:3/0/BERT
			0s < 2.05 2:3/1/BERT(3072)
			0s > GET 2:6/0/BERT
			0s < 2.05 2:6/1/BERT(3072)
			0s > GET 2:9/0/BERT
			0s < 2.05 2:9/0/BERT(711)`)
	})
}

// TestStreamUpload is RFC 8323 section 6.2 with messages of eight blocks.
func TestStreamUpload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []byte
		p := newStreamPair(t, Config{}, Config{}, nil, HandlerFunc(func(_ context.Context, r *Request) *Response {
			got = r.Payload
			return Status(codes.Changed)
		}))
		want := image(2*8192 + 5683)
		resp, err := p.a.Do(t.Context(), NewRequest(codes.PUT, "/options").WithPayload(Octets, want))
		if err != nil || resp.Code != codes.Changed || !bytes.Equal(got, want) {
			t.Fatalf("%v, %v, %d bytes", resp, err, len(got))
		}
		p.wantLog(t, `
			0s > PUT 1:0/1/BERT(8192)
			0s < 2.31 1:0/1/BERT
			0s > PUT 1:8/1/BERT(8192)
			0s < 2.31 1:8/1/BERT
			0s > PUT 1:16/0/BERT(5683)
			0s < 2.04 1:16/0/BERT`)
	})
}

// TestStreamBlocksAsPeerTakesThem: no message exceeds what its receiver
// announced, and nobody gets BERT who has none.
func TestStreamBlocksAsPeerTakesThem(t *testing.T) {
	for _, tt := range []struct {
		name           string
		client, server Config
		up, down       string // first blocks
	}{
		{"both", Config{}, Config{}, "1:0/1/BERT(8192)", "2:0/1/BERT(8192)"},
		{"client takes 4000", Config{MaxMessageSize: 4000}, Config{}, "1:0/1/BERT(8192)", "2:0/1/BERT(3072)"},
		{"server takes 1152", Config{}, Config{MaxMessageSize: 1152}, "1:0/1/1024", "2:0/1/1024"},
		{"client takes 500", Config{MaxMessageSize: 500}, Config{}, "1:0/1/BERT(8192)", "2:0/1/256"},
		{"client prefers 64", Config{BlockSize: 64}, Config{}, "1:0/1/64", "2:0/1/64"},
		{"client without BERT", Config{BERTBlocks: 1}, Config{}, "1:0/1/1024", "2:0/1/1024"},
		{"server prefers 128", Config{}, Config{BlockSize: 128}, "1:0/1/BERT(8192)", "2:0/1/128"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &file{data: image(20_000), etag: []byte{1}}
				var got []byte
				p := newStreamPair(t, tt.client, tt.server, nil, HandlerFunc(func(ctx context.Context, r *Request) *Response {
					if r.Code == codes.PUT {
						got = r.Payload
						return Status(codes.Changed)
					}
					return f.ServeCoAP(ctx, r)
				}))
				if _, err := p.a.Do(t.Context(), NewRequest(codes.PUT, "/").WithPayload(Octets, f.data)); err != nil || !bytes.Equal(got, f.data) {
					t.Fatalf("upload: %d bytes, %v", len(got), err)
				}
				if line := p.logged("> PUT"); line != "0s > PUT "+tt.up {
					t.Errorf("first block %q, want %s", line, tt.up)
				}
				down, err := fetch(t.Context(), download(t, p.a, DownloadOptions{}))
				if err != nil || !bytes.Equal(down, f.data) {
					t.Fatalf("download: %d bytes, %v", len(down), err)
				}
				if line := p.logged("< 2.05"); line != "0s < 2.05 "+tt.down {
					t.Errorf("first block %q, want %s", line, tt.down)
				}
			})
		})
	}
}

// TestStreamWholeIfItFits: blocks only where a message is too large for the
// peer; before its CSM that is the base value.
func TestStreamWholeIfItFits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newStreamPair(t, Config{BlockSize: 64}, Config{}, nil, echo)
		for _, n := range []int{1000, 8200, 8300} {
			resp, err := p.a.Do(t.Context(), NewRequest(codes.POST, "/").WithPayload(Octets, image(n)))
			if err != nil || !bytes.Equal(resp.Payload, image(n)) {
				t.Fatalf("%d bytes: %v, %v", n, resp, err)
			}
		}
		if first := p.logged("1:0/1/64"); !strings.Contains(first, "POST") {
			t.Errorf("the third goes in %q", first)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		whole := 0
		for _, line := range p.log {
			if line == "0s > POST" || line == "0s < 2.04" {
				whole++
			}
		}
		if whole != 4 {
			t.Errorf("%d whole messages, want 4: %q", whole, p.log[:8])
		}
	})
}

// TestStreamBreaks: wherever the connection is lost, a download and an upload
// fail with an error that tells why, and go on over a new connection with
// nothing sent again but what was under way.
func TestStreamBreaks(t *testing.T) {
	f := &file{data: image(100_000), etag: []byte("12345678")}
	for breakAt := 2; breakAt < 2+2*13; breakAt++ { // 2 CSM, 13 exchanges
		synctest.Test(t, func(t *testing.T) {
			var got, etag []byte
			for attempt := range 2 {
				p := newStreamPair(t, Config{}, Config{}, nil, f)
				if attempt == 0 {
					p.losesAt(breakAt)
				}
				d := download(t, p.a, DownloadOptions{Offset: int64(len(got)), ETag: etag})
				b, err := d.Next(t.Context())
				for ; err == nil; b, err = d.Next(t.Context()) {
					got, etag = append(got, b.Data...), b.ETag
				}
				if last := attempt == 1; !last {
					wantLost(t, err)
				} else if err != io.EOF {
					t.Errorf("second connection: %v", err)
				}
			}
			if !bytes.Equal(got, f.data) {
				t.Errorf("break at message %d: %d bytes down", breakAt, len(got))
			}
		})
		synctest.Test(t, func(t *testing.T) {
			s := &flash{}
			taken, sent := int64(0), 0
			for attempt := range 2 {
				p := newStreamPair(t, Config{}, Config{}, nil, s)
				if attempt == 0 {
					p.losesAt(breakAt)
				}
				u := upload(t, p.a, f.data, UploadOptions{Offset: taken})
				b, err := u.Next(t.Context())
				for ; err == nil; b, err = u.Next(t.Context()) {
					taken = b.Offset + int64(len(b.Data))
					sent++
				}
				if last := attempt == 1; !last {
					wantLost(t, err)
				} else if err != io.EOF {
					t.Errorf("second connection: %v", err)
				}
			}
			if !s.done || !bytes.Equal(s.body, f.data) || sent != 13 {
				t.Errorf("break at message %d: %d bytes up, %d acknowledged messages", breakAt, len(s.body), sent)
			}
		})
	}
}

func wantLost(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, ErrClosed) || !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrClosedPipe) && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("got %v, want ErrClosed with the reason", err)
	}
}

func TestStreamObserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sensor{state: []byte("0")}
		p := newStreamPair(t, Config{}, Config{}, nil, s)
		var got []string
		o, resp, err := p.a.Observe(t.Context(), NewRequest(codes.GET, "/"), func(r *Response) { got = append(got, string(r.Payload)) })
		if err != nil || o == nil || string(resp.Payload) != "0" {
			t.Fatalf("%v, %v, %v", o, resp, err)
		}
		for _, confirmable := range []bool{true, false} {
			s.state = append(s.state, '+')
			if err := s.observer.Notify(s.response(), confirmable); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if len(got) != 2 || got[1] != "0++" {
			t.Errorf("notified of %q", got)
		}
		if resp, err := o.Cancel(t.Context()); err != nil || resp.Code != codes.Content {
			t.Errorf("cancel: %v, %v", resp, err)
		}
		if err := s.observer.Notify(s.response(), true); err != ErrCanceled {
			t.Errorf("after Cancel: %v, want ErrCanceled", err)
		}
	})
}

// TestStreamNotifiesNewest: while one notification waits to be written, only
// the newest state follows.
func TestStreamNotifiesNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sensor{state: []byte("0")}
		r := newRawStream(t, Config{}, s, emptyCSM...)
		r.put(0x11, 0x01, 't', 0x60)
		r.get()
		r.get0(t, "nothing yet")
		blocked := make(chan struct{})
		go func() { // the reader of newRawStream stops when its channel is full
			for range cap(r.got) + 10 {
				_ = s.observer.Notify(s.response(), false)
				synctest.Wait()
			}
			close(blocked)
		}()
		<-blocked
		s.state = []byte("newest")
		if err := s.observer.Notify(s.response(), false); err != nil {
			t.Fatal(err)
		}
		var last message.Message
		n := 0
		for range 300 {
			synctest.Wait()
			select {
			case last = <-r.got:
				n++
			default:
			}
		}
		if string(last.Payload) != "newest" || n > cap(r.got)+3 {
			t.Errorf("%d notifications, the last %q", n, last.Payload)
		}
	})
}

func (r *rawStream) get0(t *testing.T, why string) {
	t.Helper()
	synctest.Wait()
	if len(r.got) > 0 {
		t.Fatalf("%s, but the Conn sent %v", why, <-r.got)
	}
}

// TestStreamResponseTimeout: a peer that reads and never answers.
func TestStreamResponseTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRawStream(t, Config{ResponseTimeout: 30 * time.Second}, nil, emptyCSM...)
		start := time.Now()
		_, err := r.conn.Do(t.Context(), NewRequest(codes.GET, "/"))
		var timeout *TimeoutError
		if !errors.As(err, &timeout) || !timeout.Acknowledged || time.Since(start) != 30*time.Second {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
	})
}

// TestStreamRefusesTooLarge: what cannot be cut fails with ErrMessageSize, as
// a response with 5.00.
func TestStreamRefusesTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		long := func(code codes.Code) Message {
			m := Message{Code: code}
			for range 9 {
				m.Add(message.LocationQuery, image(250))
			}
			return m
		}
		p := newStreamPair(t, Config{}, Config{MaxMessageSize: 1000}, HandlerFunc(func(context.Context, *Request) *Response {
			return &Response{Message: long(codes.Created)}
		}), nil)
		if _, err := p.a.Do(t.Context(), &Request{Message: long(codes.POST)}); !errors.Is(err, ErrMessageSize) {
			t.Errorf("got %v, want ErrMessageSize", err)
		}
		if resp, err := p.b.Do(t.Context(), NewRequest(codes.POST, "/")); err != nil || resp.Code != codes.InternalServerError {
			t.Errorf("got %v, %v, want 5.00", resp, err)
		}
	})
}

func BenchmarkStreamDownload(b *testing.B) {
	f := &file{data: image(1 << 20), etag: []byte("12345678")}
	b.ReportAllocs()
	for b.Loop() {
		p := newStreamPair(b, Config{}, Config{}, nil, f)
		d, err := p.a.Download(NewRequest(codes.GET, "/fw"), DownloadOptions{})
		if err != nil {
			b.Fatal(err)
		}
		if got, err := fetch(context.Background(), d); err != nil || len(got) != len(f.data) {
			b.Fatal(len(got), err)
		}
		p.a.Close()
		p.b.Close()
	}
}

// TestStreamWithoutServer: an end without a handler answers requests all the same
// (RFC 8323 section 3.3), and sends its CSM without waiting for the peer's.
func TestStreamWithoutServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRawStream(t, Config{}, nil) // which takes the CSM
		r.put(emptyCSM...)
		r.put(0x01, 0x01, 't') // GET
		if m := r.get(); m.Code != codes.NotFound || string(m.Token) != "t" {
			t.Errorf("got %v, want 4.04", m)
		}
	})
}

// TestStreamEndsObservations: a connection that is lost ends the observations of
// its client (RFC 8323 appendix A.4).
func TestStreamEndsObservations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sensor{state: []byte("0")}
		p := newStreamPair(t, Config{}, Config{}, nil, s)
		if _, _, err := p.a.Observe(t.Context(), NewRequest(codes.GET, "/"), func(*Response) {}); err != nil {
			t.Fatal(err)
		}
		p.a.Close()
		synctest.Wait()
		if len(s.ends) != 1 || !errors.Is(s.ends[0], ErrClosed) || len(p.b.observers) != 0 {
			t.Errorf("ended with %v, %d observers", s.ends, len(p.b.observers))
		}
	})
}
