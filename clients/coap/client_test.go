package coap

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// ask sends a request from a raw Conn and returns it with where its outcome
// will be.
func (r *raw) ask(ctx context.Context, req *Request) (message.Message, <-chan result) {
	r.t.Helper()
	done := make(chan result, 1)
	go func() {
		resp, err := r.conn.Do(ctx, req)
		done <- result{resp, err}
	}()
	return r.get(), done
}

// TestCriticalOptionInResponse is rejected, however it comes.
func TestCriticalOptionInResponse(t *testing.T) {
	for _, kind := range []message.Type{message.Acknowledgement, message.Confirmable, message.NonConfirmable} {
		synctest.Test(t, func(t *testing.T) {
			r := newRaw(t, steady, nil)
			m, done := r.ask(t.Context(), NewRequest(codes.GET, "/"))
			resp := message.Message{Type: kind, Code: codes.Content, MessageID: m.MessageID, Token: m.Token, Options: message.Options{{ID: 9, Value: []byte{1}}}}
			r.put(resp)
			if res := <-done; !errors.Is(res.err, ErrCriticalOption) {
				t.Errorf("%v: got %v, want ErrCriticalOption", kind, res.err)
			}
			if kind == message.Confirmable {
				if m := r.get(); m.Type != message.Reset {
					t.Errorf("answered with %v, want RST", m)
				}
			}
			r.silent()
		})
	}
}

// TestResponseAfterCancel: nobody waits, so a confirmable response is reset.
func TestResponseAfterCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRaw(t, steady, nil)
		ctx, cancel := context.WithCancel(t.Context())
		m, done := r.ask(ctx, NewRequest(codes.GET, "/"))
		cancel()
		if res := <-done; !errors.Is(res.err, context.Canceled) {
			t.Errorf("got %v, want Canceled", res.err)
		}
		r.put(message.Message{Type: message.Acknowledgement, MessageID: m.MessageID})
		r.silent()
		r.put(message.Message{Type: message.Confirmable, Code: codes.Content, MessageID: 5, Token: m.Token})
		if m := r.get(); m.Type != message.Reset {
			t.Errorf("answered with %v, want RST", m)
		}
		if _, err := r.conn.Do(ctx, NewRequest(codes.GET, "/")); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want Canceled", err)
		}
		r.silent()
	})
}

// TestPingCancelled stops its retransmissions.
func TestPingCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRaw(t, steady, nil)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if err := r.conn.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want DeadlineExceeded", err)
		}
		time.Sleep(time.Minute)
		r.wantTimeline(t, `
			0s > CON
			2s > CON`)
	})
}

func TestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steady
		cfg.TokenLength, cfg.NStart = 1, 300
		r := newRaw(t, cfg, nil)
		used := map[string]bool{"\x05": true} // by an observation
		r.conn.observations["\x05"] = &Observation{}
		for range 200 {
			m, _ := r.ask(t.Context(), NewRequest(codes.GET, "/"))
			if len(m.Token) != 1 || used[string(m.Token)] {
				t.Fatalf("token %x is in use or not of 1 byte", m.Token)
			}
			used[string(m.Token)] = true
		}
		var err error
		for err == nil { // until no token of 1 byte is left
			synctest.Wait()
			if _, err = r.conn.begin(NewRequest(codes.GET, "/"), nil); err == nil {
				token := string(r.get().Token)
				if used[token] {
					t.Fatalf("token %x is in use", token)
				}
				used[token] = true
			}
		}
		if !errors.Is(err, ErrTokens) || len(used) < 250 {
			t.Errorf("%v with %d tokens", err, len(used))
		}
		req := NewRequest(codes.GET, "/")
		req.Token = []byte("my own")
		m, _ := r.ask(t.Context(), req)
		if string(m.Token) != "my own" {
			t.Errorf("token %q, want my own", m.Token)
		}
		if _, err := r.conn.Do(t.Context(), req); !errors.Is(err, ErrTokens) {
			t.Errorf("a token in use: %v, want ErrTokens", err)
		}
	})
}

// TestUploadAgainInSmallerBlocks: 4.13 with a smaller size at the first block
// (RFC 7959 section 2.9.3).
func TestUploadAgainInSmallerBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want, got := image(1500), []byte(nil)
		r := newRaw(t, steady, nil)
		m, done := r.ask(t.Context(), NewRequest(codes.PUT, "/").WithPayload(Octets, want))
		refusal := blockStatus(codes.RequestEntityTooLarge, blockOption{more: true, szx: 5})
		for code := refusal.Code; ; code = codes.Continue {
			b, _, _ := (&Message{Options: m.Options}).block(message.Block1)
			answer := blockStatus(code, b)
			if code == refusal.Code {
				answer = refusal
			} else {
				got = append(got, m.Payload...)
			}
			if !b.more {
				answer.Code = codes.Changed
			}
			r.put(message.Message{Type: message.Acknowledgement, MessageID: m.MessageID, Token: m.Token, Code: answer.Code, Options: answer.Options})
			if !b.more {
				break
			}
			m = r.get()
		}
		if res := <-done; res.err != nil || res.resp.Code != codes.Changed || !bytes.Equal(got, want) {
			t.Errorf("got %v, %v and %d bytes", res.resp, res.err, len(got))
		}
		r.wantTimeline(t, `
			0s > CON PUT 1:0/1/1024
			0s < ACK 4.13 1:0/1/512
			0s > CON PUT 1:0/1/512
			0s < ACK 2.31 1:0/1/512
			0s > CON PUT 1:1/1/512
			0s < ACK 2.31 1:1/1/512
			0s > CON PUT 1:2/0/512
			0s < ACK 2.04 1:2/0/512`)
	})
}

// TestWrongAnswersToBlocks: what a broken server answers to Block1 is refused.
func TestWrongAnswersToBlocks(t *testing.T) {
	for name, answer := range map[string]*Response{
		"no Block1":      Status(codes.Continue),
		"other number":   blockStatus(codes.Continue, blockOption{num: 1, more: true, szx: 6}),
		"reserved size":  blockStatus(codes.Continue, blockOption{more: true, szx: 7}),
		"stray Block2":   block2(blockOption{num: 4, more: true, szx: 2}, 64),
		"short Block2":   block2(blockOption{more: true, szx: 2}, 63),
		"reserved in B2": block2(blockOption{szx: 7}, 63),
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRaw(t, steady, nil)
			size := 3000
			if _, ok := answer.Uint(message.Block2); ok {
				size = 10
			}
			m, done := r.ask(t.Context(), NewRequest(codes.PUT, "/").WithPayload(Octets, image(size)))
			r.put(message.Message{Type: message.Acknowledgement, MessageID: m.MessageID, Token: m.Token, Code: answer.Code, Options: answer.Options, Payload: answer.Payload})
			var wrong *BlockError
			if res := <-done; !errors.As(res.err, &wrong) {
				t.Errorf("%s: got %v, %v, want a BlockError", name, res.resp, res.err)
			}
		})
	}
}

// TestErrorsRead: what people see.
func TestErrorsRead(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&TimeoutError{Transmissions: 5, Waited: 62 * time.Second}, "coap: no acknowledgement after 5 transmissions and 1m2s"},
		{&TimeoutError{Transmissions: 1, Waited: 247 * time.Second, Acknowledged: true}, "coap: acknowledged but no response after 1 transmissions and 4m7s"},
		{&StatusError{codes.NotFound}, "coap: response 4.04"},
		{&ETagError{Want: []byte{1}, Got: []byte{2}}, "coap: the representation changed during the transfer: ETag was 01, now 02"},
		{&BlockError{"bad"}, "coap: block-wise transfer: bad"},
	} {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

// TestResponseOfAnotherType: a client takes a response in whatever kind of
// message it comes, before an Empty acknowledgement or after it (RFC 7252
// sections 5.2.1 to 5.2.3).
func TestResponseOfAnotherType(t *testing.T) {
	ack := func(m message.Message) message.Message {
		return message.Message{Type: message.Acknowledgement, MessageID: m.MessageID}
	}
	response := func(kind message.Type) func(message.Message) message.Message {
		return func(m message.Message) message.Message {
			return message.Message{Type: kind, Code: codes.Content, MessageID: 1, Token: m.Token, Payload: []byte("done")}
		}
	}
	con, non := response(message.Confirmable), response(message.NonConfirmable)
	for name, tt := range map[string]struct {
		nonConfirmable bool
		answers        []func(message.Message) message.Message
		acknowledged   bool
	}{
		"NON to CON":            {false, []func(message.Message) message.Message{non}, false},
		"NON to CON, ACK first": {false, []func(message.Message) message.Message{ack, non}, false},
		"NON to CON, ACK later": {false, []func(message.Message) message.Message{non, ack}, false},
		"CON to CON, ACK first": {false, []func(message.Message) message.Message{ack, con}, true},
		"CON to NON":            {true, []func(message.Message) message.Message{con}, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRaw(t, steady, nil)
			req := NewRequest(codes.GET, "/")
			req.NonConfirmable = tt.nonConfirmable
			m, done := r.ask(t.Context(), req)
			for _, answer := range tt.answers {
				r.put(answer(m))
			}
			if res := <-done; res.err != nil || string(res.resp.Payload) != "done" {
				t.Errorf("%s: %v, %v", name, res.resp, res.err)
			}
			if tt.acknowledged {
				if got := r.get(); got.Type != message.Acknowledgement || got.Code != codes.Empty || got.MessageID != 1 || len(got.Token) != 0 {
					t.Errorf("%s: answered with %v, want an Empty acknowledgement", name, got)
				}
			}
			time.Sleep(time.Minute)
			r.silent() // nothing is sent again
		})
	}
}
