package coap

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// slow answers after a time.
func slow(d time.Duration) Handler {
	return HandlerFunc(func(context.Context, *Request) *Response {
		time.Sleep(d)
		return NewResponse(codes.Content, TextPlain, []byte("done"))
	})
}

// request is a confirmable GET as the peer of a raw Conn sends it.
func request(mid int32, token string) message.Message {
	return message.Message{Type: message.Confirmable, Code: codes.GET, MessageID: mid, Token: []byte(token)}
}

// TestSeparateResponse: RFC 7252 section 5.2.2, with each message of
// the exchange lost once.
func TestSeparateResponse(t *testing.T) {
	for _, tt := range []struct {
		name string
		lose func(bool, int, []byte) bool
		want string
	}{
		{"no loss", nil, `
			0s > CON GET
			500ms < ACK
			5s < CON 2.05
			5s > ACK`},
		{"lost empty ACK", loseFirst(false, 1), `
			0s > CON GET
			500ms < ACK lost
			2s > CON GET
			2s < ACK
			5s < CON 2.05
			5s > ACK`},
		{"lost response", func(a bool, n int, _ []byte) bool { return !a && n == 1 }, `
			0s > CON GET
			500ms < ACK
			5s < CON 2.05 lost
			7s < CON 2.05
			7s > ACK`},
		{"lost ACK of the response", func(a bool, n int, _ []byte) bool { return a && n == 1 }, `
			0s > CON GET
			500ms < ACK
			5s < CON 2.05
			5s > ACK lost
			7s < CON 2.05
			7s > ACK`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t, steady, nil, slow(5*time.Second))
				p.lose = tt.lose
				resp, err := p.a.Do(t.Context(), NewRequest(codes.GET, "/"))
				if err != nil || string(resp.Payload) != "done" {
					t.Fatalf("got %v, %v", resp, err)
				}
				time.Sleep(time.Minute)
				p.wantTimeline(t, tt.want)
			})
		})
	}
}

// TestResponseBeforeAck: a separate response says that the request arrived,
// even if the ACK is lost (RFC 7252 section 5.2.2).
func TestResponseBeforeAck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, steady, nil, slow(time.Second))
		p.lose = loseFirst(false, 1)
		if _, err := p.a.Do(t.Context(), NewRequest(codes.GET, "/")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		p.wantTimeline(t, `
			0s > CON GET
			500ms < ACK lost
			1s < CON 2.05
			1s > ACK`)
	})
}

// TestNoResponse: a server that acknowledges and dies does not block the
// client for ever, nor its other requests.
func TestNoResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, steady, nil, HandlerFunc(func(ctx context.Context, r *Request) *Response {
			if r.Path() == "/dies" {
				<-ctx.Done()
			}
			return Status(codes.Changed)
		}))
		done := make(chan error, 1)
		go func() {
			_, err := p.a.Do(t.Context(), NewRequest(codes.GET, "/dies"))
			done <- err
		}()
		synctest.Wait()
		if _, err := p.a.Do(t.Context(), NewRequest(codes.GET, "/lives")); err != nil {
			t.Error(err)
		}
		var timeout *TimeoutError
		if err := <-done; !errors.As(err, &timeout) || !timeout.Acknowledged || timeout.Transmissions != 1 {
			t.Errorf("got %v, want a TimeoutError after the ACK", err)
		}
	})
}

func TestNonConfirmable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, steady, nil, slow(3*time.Second))
		r := NewRequest(codes.GET, "/")
		r.NonConfirmable = true
		if resp, err := p.a.Do(t.Context(), r); err != nil || string(resp.Payload) != "done" {
			t.Fatalf("got %v, %v", resp, err)
		}
		p.lose = func(bool, int, []byte) bool { return true }
		var timeout *TimeoutError
		_, err := p.a.Do(t.Context(), r)
		if want := steady.ExchangeLifetime(); !errors.As(err, &timeout) || timeout.Acknowledged || timeout.Waited != want {
			t.Errorf("got %v, want a TimeoutError after %v", err, want)
		}
		p.wantTimeline(t, `
			0s > NON GET
			3s < NON 2.05
			3s > NON GET lost`)
	})
}

// TestDuplicateNotExecuted: the same reply again, the handler not.
func TestDuplicateNotExecuted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		r := newRaw(t, steady, HandlerFunc(func(context.Context, *Request) *Response {
			calls++
			return NewResponse(codes.Changed, TextPlain, []byte{byte('0' + calls)})
		}))
		for i := range 3 {
			r.put(request(7, "tok"))
			m := r.get()
			if m.Type != message.Acknowledgement || m.MessageID != 7 || string(m.Payload) != "1" || string(m.Token) != "tok" {
				t.Fatalf("copy %d was answered with %v %q", i, m, m.Payload)
			}
			time.Sleep(time.Minute)
		}
		time.Sleep(52 * time.Second) // EXCHANGE_LIFETIME is 30 + 200 + 2 s here
		r.put(request(7, "tok"))
		if m := r.get(); string(m.Payload) != "2" {
			t.Errorf("after EXCHANGE_LIFETIME: %q, want a new execution", m.Payload)
		}
		non := request(8, "tok")
		non.Type = message.NonConfirmable
		r.put(non)
		r.get()
		r.put(non)
		r.silent()
		if d := r.conn.Stats().Duplicates; d != 3 || calls != 3 {
			t.Errorf("%d duplicates, %d calls, want 3 and 3", d, calls)
		}
	})
}

// TestDuplicateWhileHandling: no second execution, no early answer.
func TestDuplicateWhileHandling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRaw(t, steady, slow(300*time.Millisecond))
		r.put(request(7, "a"))
		r.put(request(7, "a"))
		r.silent()
		time.Sleep(300 * time.Millisecond)
		if m := r.get(); m.Code != codes.Content {
			t.Errorf("got %v, want 2.05", m)
		}
		r.silent()
	})
}

// TestUnexpectedResponses: RFC 7252 section 4.2 wants a Reset for a
// confirmable one; others are ignored.
func TestUnexpectedResponses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRaw(t, steady, nil)
		resp := message.Message{Type: message.Confirmable, Code: codes.Content, MessageID: 9, Token: []byte("who?")}
		for range 2 { // a duplicate has the same answer
			r.put(resp)
			if m := r.get(); m.Type != message.Reset || m.MessageID != 9 {
				t.Errorf("got %v, want RST", m)
			}
		}
		resp.Type, resp.MessageID = message.NonConfirmable, 10
		r.put(resp)
		resp.Type, resp.MessageID = message.Acknowledgement, 11
		r.put(resp)
		r.silent()
	})
}

// TestWrongToken: an ACK whose token does not match answers nothing.
func TestWrongToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRaw(t, steady, nil)
		done := make(chan *Response, 1)
		go func() {
			resp, _ := r.conn.Do(t.Context(), NewRequest(codes.GET, "/"))
			done <- resp
		}()
		m := r.get()
		ack := message.Message{Type: message.Acknowledgement, Code: codes.Content, MessageID: m.MessageID, Token: []byte("12345678"), Payload: []byte("wrong")}
		r.put(ack)
		time.Sleep(2 * time.Second)
		if again := r.get(); again.MessageID != m.MessageID {
			t.Errorf("retransmission has ID %d, want %d", again.MessageID, m.MessageID)
		}
		ack.Token, ack.Payload = m.Token, []byte("right")
		r.put(ack)
		if resp := <-done; resp == nil || string(resp.Payload) != "right" {
			t.Errorf("got %v", resp)
		}
	})
}

func TestCriticalOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		r := newRaw(t, steady, HandlerFunc(func(_ context.Context, r *Request) *Response {
			calls++
			if len(r.Options) != 0 {
				t.Errorf("handler sees options %v", r.Options)
			}
			return Status(codes.Changed)
		}))
		for i, tt := range []struct {
			options message.Options
			want    codes.Code
		}{
			{message.Options{{ID: 9, Value: []byte{1}}}, codes.BadOption},                       // unknown
			{message.Options{{ID: message.Block2, Value: []byte{1, 2, 3, 4}}}, codes.BadOption}, // illegal length
			{message.Options{{ID: message.Accept}, {ID: message.Accept}}, codes.BadOption},      // repeated
			{message.Options{{ID: message.Block2}, {ID: message.Block2}}, codes.BadOption},      // RFC 7959 section 2.1
			{message.Options{{ID: message.ProxyURI, Value: []byte("coap://x/")}}, codes.ProxyingNotSupported},
			{message.Options{{ID: message.ProxyScheme, Value: []byte("coap")}}, codes.ProxyingNotSupported}, // known, not done
			{message.Options{{ID: message.Observe, Value: []byte{1, 2, 3, 4}}}, codes.Changed},              // elective: ignored
		} {
			m := request(int32(i), "t")
			m.Options = tt.options
			r.put(m)
			if got := r.get(); got.Code != tt.want || got.Type != message.Acknowledgement {
				t.Errorf("%v: got %v, want %v", tt.options, got, tt.want)
			}
			m.Type, m.MessageID = message.NonConfirmable, int32(100+i)
			if tt.want == codes.BadOption {
				r.put(m)
				r.silent()
			}
		}
		if calls != 1 {
			t.Errorf("handler was called %d times, want 1", calls)
		}
	})
}

func TestFormatErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRaw(t, steady, nil)
		for _, tt := range []struct {
			name     string
			datagram []byte
			reset    bool
		}{
			{"short", []byte{0x40, 1, 0}, false},
			{"version 2", []byte{0x80, 1, 0, 1}, false},
			{"token length 9", append([]byte{0x49, 1, 0, 2}, make([]byte, 9)...), true},
			{"token cut short", []byte{0x44, 1, 0, 3, 1, 2}, true},
			{"empty message with a token", []byte{0x41, 0, 0, 4, 1}, true},
			{"option cut short", []byte{0x40, 1, 0, 5, 0xb4, 'a'}, true},
			{"option nibble 15", []byte{0x40, 1, 0, 6, 0xf0}, true},
			{"marker without payload", []byte{0x40, 1, 0, 7, 0xff}, true},
			{"marker without payload after option", []byte{0x40, 1, 0, 8, 0xb1, 0xff, 0xff}, true},
			{"the same, NON", []byte{0x50, 1, 0, 9, 0xff}, false},
			{"reserved class 1, CON", []byte{0x40, 0x20, 0, 10}, true},
			{"reserved class 6, CON", []byte{0x40, 0xc1, 0, 14}, true},
			{"reserved class 7, CON", []byte{0x40, 0xe1, 0, 15}, true},
			{"reserved class 1, ACK", []byte{0x60, 0x20, 0, 16}, false},
			{"Empty, NON", []byte{0x50, 0, 0, 17}, false},
			{"option length 15", []byte{0x40, 1, 0, 18, 0x0f}, true},
			{"reserved class 7, NON", []byte{0x50, 0xe1, 0, 11}, false},
			{"ACK with a request", []byte{0x60, 1, 0, 12}, false},
			{"RST with a token", []byte{0x71, 0, 0, 13, 1}, false},
		} {
			if _, err := r.peer.Write(tt.datagram); err != nil {
				t.Fatal(err)
			}
			if !tt.reset {
				synctest.Wait()
				if len(r.peer.in) != 0 {
					t.Errorf("%s: was answered", tt.name)
				}
				continue
			}
			if m := r.get(); m.Type != message.Reset || byte(m.MessageID) != tt.datagram[3] {
				t.Errorf("%s: answered %v, want RST", tt.name, m)
			}
		}
		// An option whose value ends in 0xff is not a marker.
		if _, err := r.peer.Write([]byte{0x40, 1, 0, 20, 0xb1, 0xff}); err != nil {
			t.Fatal(err)
		}
		if m := r.get(); m.Code != codes.NotFound {
			t.Errorf("Uri-Path 0xff: %v, want 4.04", m)
		}
	})
}

// TestBothRoles: each end asks the other while it is being asked, as LwM2M
// does, with NSTART 1.
func TestBothRoles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, steady,
			say("from a"),
			HandlerFunc(func(ctx context.Context, r *Request) *Response {
				resp, err := r.Conn().Do(ctx, NewRequest(codes.GET, "/back"))
				if err != nil {
					t.Error(err)
					return nil
				}
				return NewResponse(codes.Content, TextPlain, append(resp.Payload, " and b"...))
			}))
		p.delay = 400 * time.Millisecond
		resp, err := p.a.Do(t.Context(), NewRequest(codes.GET, "/"))
		if err != nil || string(resp.Payload) != "from a and b" {
			t.Errorf("got %v, %v", resp, err)
		}
	})
}

// TestBadHandler: nil, and a response that cannot be encoded, are 5.00.
func TestBadHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := Status(codes.Content)
		bad.Options = message.Options{{ID: message.URIPath, Value: make([]byte, 70000)}}
		responses := map[string]*Response{"/nil": nil, "/bad": bad}
		p := newPair(t, steady, nil, HandlerFunc(func(_ context.Context, r *Request) *Response { return responses[r.Path()] }))
		for path := range responses {
			resp, err := p.a.Do(t.Context(), NewRequest(codes.GET, path))
			if err != nil || resp.Code != codes.InternalServerError {
				t.Errorf("%s: got %v, %v, want 5.00", path, resp, err)
			}
		}
	})
}

// TestLeadingZeros: numbers may be longer than they need be (RFC 7252 section
// 3.2).
func TestLeadingZeros(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRaw(t, steady, HandlerFunc(func(_ context.Context, r *Request) *Response {
			if accept, ok := r.Accept(); !ok || accept != LinkFormat {
				t.Errorf("Accept %v, %v", accept, ok)
			}
			return Status(codes.Changed)
		}))
		m := request(1, "t")
		m.Options = message.Options{{ID: message.Accept, Value: []byte{0, 40}}}
		r.put(m)
		if got := r.get(); got.Code != codes.Changed {
			t.Errorf("got %v", got)
		}
	})
}

// TestDuplicateAfterSeparateResponse: a request that comes again is acknowledged
// again, even after its separate response was acknowledged, and the response is
// not repeated in the acknowledgement (RFC 7252 sections 4.2 and 5.2.2).
func TestDuplicateAfterSeparateResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRaw(t, steady, slow(2*time.Second))
		r.put(request(7, "tok"))
		time.Sleep(2 * time.Second)
		first, resp := r.get(), r.get()
		r.put(message.Message{Type: message.Acknowledgement, MessageID: resp.MessageID})
		r.put(request(7, "tok"))
		again := r.get()
		for _, ack := range []message.Message{first, again} {
			if ack.Type != message.Acknowledgement || ack.Code != codes.Empty || ack.MessageID != 7 || len(ack.Token) != 0 {
				t.Errorf("got %v, want an Empty acknowledgement", ack)
			}
		}
		if resp.Type != message.Confirmable || string(resp.Token) != "tok" {
			t.Errorf("got %v, want a confirmable response", resp)
		}
		time.Sleep(time.Minute)
		r.silent()
	})
}

// TestSeparateResponseEnds: any acknowledgement and a Reset stop a separate
// response's retransmission (RFC 7252 section 5.2.2).
func TestSeparateResponseEnds(t *testing.T) {
	for name, end := range map[string]message.Message{
		"ACK":              {Type: message.Acknowledgement},
		"ACK with content": {Type: message.Acknowledgement, Code: codes.Content, Token: []byte("else"), Payload: []byte("ignored")},
		"RST":              {Type: message.Reset},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRaw(t, steady, slow(time.Second))
			r.put(request(7, "tok"))
			time.Sleep(time.Second)
			r.get() // the Empty ACK
			resp := r.get()
			time.Sleep(2 * time.Second)
			if again := r.get(); again.MessageID != resp.MessageID {
				t.Errorf("%s: got %v, want the response again", name, again)
			}
			end.MessageID = resp.MessageID
			r.put(end)
			time.Sleep(time.Minute)
			r.silent()
			if s := r.conn.Stats(); s.GiveUps != 0 {
				t.Errorf("%s: %+v", name, s)
			}
		})
	}
}

// TestTokenEchoed: a token of any length, in a response of any kind (RFC 7252
// section 5.3.1).
func TestTokenEchoed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for i, token := range []string{"", "\x00", "\xff\xff\xff\xff\xff\xff\xff\xff"} {
			r := newRaw(t, steady, slow(0))
			non := request(int32(i), token)
			non.Type = message.NonConfirmable
			r.put(non)
			r.put(request(int32(10+i), token))
			for range 2 {
				if m := r.get(); string(m.Token) != token || string(m.Payload) != "done" {
					t.Errorf("token %x: got %v", token, m)
				}
			}
		}
	})
}
