package coap

import (
	"bytes"
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// TestPong is the example of RFC 8323 section 5.7.
func TestPong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRawStream(t, Config{}, nil, emptyCSM...)
		r.put(0x00, 0x00) // an empty message is ignored
		r.put(0x00, 0xe6) // so is an unknown signal
		r.put(0x11, 0xe2, 0x42, 0x20)
		if m := r.get(); m.Code != codes.Pong || !bytes.Equal(m.Token, []byte{0x42}) {
			t.Errorf("got %v, want 7.03", m)
		}
	})
}

func TestStreamPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newStreamPair(t, Config{}, Config{}, nil, nil)
		if err := p.a.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		r := newRawStream(t, Config{}, nil, emptyCSM...)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		r.put(0x01, 0xe3, 0x42) // a Pong nobody asked for
		if err := r.conn.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("without Pong: %v", err)
		}
		go func() {
			time.Sleep(time.Minute)
			r.conn.Close()
		}()
		if err := r.conn.Ping(t.Context()); err != ErrClosed {
			t.Errorf("closed meanwhile: %v, want ErrClosed", err)
		}
	})
}

// TestStreamAborts: what breaks the protocol is answered with an Abort, and
// the connection ends for everybody.
func TestStreamAborts(t *testing.T) {
	for _, tt := range []struct {
		name     string
		greeting []byte
		bytes    []byte
		why      string
		option   uint16
	}{
		{"no CSM", nil, []byte{0x01, 0x01, 't'}, "CSM", 0}, // RFC 8323 section 3.3
		{"critical option", nil, []byte{0x10, 0xe1, 0x90}, "critical option 9 of 7.01", 9},
		{"message size", nil, []byte{0x20, 0xe1, 0x21, 0x3f}, "Max-Message-Size 63", 2},
		{"critical option of Ping", emptyCSM, []byte{0x10, 0xe2, 0x90}, "critical option 9 of 7.02", 0},
		{"token of 9", emptyCSM, []byte{0x09, 0x01}, "format", 0},
		{"marker without payload", emptyCSM, []byte{0x10, 0x01, 0xff}, "format", 0},
		{"larger than announced", emptyCSM, []byte{0xe0, 0x20, 0x00, 0x01}, "max_message_size", 0},
		{"reserved code", emptyCSM, []byte{0x00, 0x20}, "1.00 is reserved", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRawStream(t, Config{}, nil, tt.greeting...)
				r.put(tt.bytes...)
				m := r.get()
				option, _ := (&Message{Options: m.Options}).Uint(message.TCPBadCSMOption)
				if m.Code != codes.Abort || !strings.Contains(string(m.Payload), tt.why) || option != uint32(tt.option) {
					t.Errorf("got %v %q, want 7.05 because of %q", m, m.Payload, tt.why)
				}
				if _, open := <-r.got; open {
					t.Error("something came after the Abort")
				}
				var abort *AbortError
				if err := <-r.served; !errors.As(err, &abort) || abort.ByPeer {
					t.Errorf("Serve: %v", err)
				}
				if _, err := r.conn.Do(t.Context(), NewRequest(codes.GET, "/")); !errors.Is(err, ErrClosed) || !errors.As(err, &abort) {
					t.Errorf("Do: %v", err)
				}
			})
		})
	}
}

// TestAbortUnread: a peer that does not read delays the end by AckTimeout.
func TestAbortUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		c := NewStreamConn(ours, Config{}, nil)
		start := time.Now()
		go func() { _, _ = theirs.Write([]byte{0x01, 0x01, 't'}) }()
		var abort *AbortError
		if err := c.Serve(); !errors.As(err, &abort) || time.Since(start) != 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// TestAbortedAtOnce: an Abort may be the peer's first message.
func TestAbortedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRawStream(t, Config{}, nil, 0x30, 0xe5, 0xff, 'n', 'o')
		var abort *AbortError
		if err := <-r.served; !errors.As(err, &abort) || *abort != (AbortError{true, "no", 0}) {
			t.Errorf("Serve: %v", err)
		}
		if _, open := <-r.got; open {
			t.Error("the Abort was answered")
		}
	})
}

func TestAbortByUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newStreamPair(t, Config{}, Config{}, nil, slow(time.Hour))
		failed := make(chan error)
		go func() {
			_, err := p.a.Do(t.Context(), NewRequest(codes.GET, "/"))
			failed <- err
		}()
		synctest.Wait()
		p.b.Abort("no more")
		var abort *AbortError
		if err := <-failed; !errors.As(err, &abort) || *abort != (AbortError{true, "no more", 0}) {
			t.Errorf("got %v", err)
		}
		if err := <-p.errs[0]; !errors.As(err, &abort) || !abort.ByPeer {
			t.Errorf("Serve: %v", err)
		}
	})
}

// TestRelease: requests under way on either side are answered before the
// connection ends (RFC 8323 section 5.5).
func TestRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newStreamPair(t, Config{}, Config{}, slow(5*time.Second), slow(3*time.Second))
		results := make(chan error, 2)
		for _, c := range []*Conn{p.a, p.b} {
			go func() {
				_, err := c.Do(t.Context(), NewRequest(codes.GET, "/"))
				results <- err
			}()
		}
		synctest.Wait()
		start := time.Now()
		if err := p.a.Release(t.Context()); err != nil || time.Since(start) != 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		for range 2 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if err := <-p.errs[0]; err != nil {
			t.Errorf("Serve of who released: %v", err)
		}
		var release *ReleaseError
		if err := <-p.errs[1]; !errors.As(err, &release) {
			t.Errorf("Serve of who was released: %v, want a ReleaseError", err)
		}
	})
}

// TestReleased: the peer's reasons reach who asks for more.
func TestReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRawStream(t, Config{}, slow(time.Minute), emptyCSM...)
		r.put(0x01, 0x01, 't') // a request keeps the connection open
		release := Message{Code: codes.Release, Payload: []byte("maintenance")}
		release.Add(message.TCPAlternativeAddress, []byte("a.example:5683"))
		release.Add(message.TCPAlternativeAddress, []byte("b.example"))
		release.SetUint(message.TCPHoldOff, 300)
		d, err := encodeFrame(message.Message{Code: release.Code, Options: release.Options, Payload: release.Payload}, 1000)
		if err != nil {
			t.Fatal(err)
		}
		r.put(d...)
		synctest.Wait()
		var got *ReleaseError
		if _, err := r.conn.Do(t.Context(), NewRequest(codes.GET, "/")); !errors.Is(err, ErrClosed) || !errors.As(err, &got) {
			t.Fatalf("Do: %v", err)
		}
		if !slices.Equal(got.Alternatives, []string{"a.example:5683", "b.example"}) || got.HoldOff != 5*time.Minute || got.Diagnostic != "maintenance" {
			t.Errorf("got %+v", got)
		}
		time.Sleep(time.Minute)
		if m := r.get(); m.Code != codes.Content {
			t.Errorf("got %v, want the response", m)
		}
		if err := <-r.served; !errors.As(err, &got) {
			t.Errorf("Serve: %v", err)
		}
	})
}

func TestReleaseGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRawStream(t, Config{}, nil, emptyCSM...)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := r.conn.Release(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if err := <-r.served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		p := newPair(t, steady, nil, nil)
		if err := p.a.Release(t.Context()); err != nil {
			t.Errorf("on datagrams: %v", err)
		}
		p.b.Abort("on datagrams this is Close")
	})
}

// TestCSMAwaited: a request that fits the base value goes at once, one in
// blocks when the peer's CSM has come; a later CSM counts, too.
func TestCSMAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRawStream(t, Config{}, nil)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		do := func(n int) {
			go func() { _, _ = r.conn.Do(ctx, NewRequest(codes.PUT, "/").WithPayload(Octets, image(n))) }()
		}
		do(1000)
		if m := r.get(); m.Code != codes.PUT || len(m.Payload) != 1000 {
			t.Errorf("got %v", m)
		}
		do(20_000)
		r.get0(t, "no CSM came")
		r.put(largeCSM...)
		if m := r.get(); len(m.Payload) != 8192 {
			t.Errorf("a block of %d bytes, want 8192", len(m.Payload))
		}
		r.put(0x30, 0xe1, 0x22, 0x04, 0x80) // 1152: no BERT any more
		synctest.Wait()
		do(20_000)
		if m := r.get(); len(m.Payload) != 1024 {
			t.Errorf("a block of %d bytes, want 1024", len(m.Payload))
		}
		waiting, stop := context.WithCancel(t.Context())
		stop()
		silent := newRawStream(t, Config{}, nil)
		if _, err := silent.conn.Do(waiting, NewRequest(codes.PUT, "/").WithPayload(Octets, image(20_000))); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

// TestStreamIgnores: Empty messages, responses to nothing and elective options
// of signals change nothing (RFC 8323 sections 3.4 and 5.1).
func TestStreamIgnores(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRawStream(t, Config{}, nil, emptyCSM...)
		r.put(0x00, 0x00)       // Empty
		r.put(0x01, 0x45, 't')  // 2.05 to no request
		r.put(0x10, 0xe1, 0xa0) // CSM with option 10
		r.put(0x01, 0xe2, 'p')  // Ping
		if m := r.get(); m.Code != codes.Pong || string(m.Token) != "p" {
			t.Errorf("got %v, want the Pong alone", m)
		}
	})
}
