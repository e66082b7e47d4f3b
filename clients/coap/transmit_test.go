package coap

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// steady makes time-outs exactly 2, 4, 8, 16, 32 s.
var steady = Config{AckRandomFactor: 1}

// say answers every request with 2.05 and a text.
func say(text string) Handler {
	return HandlerFunc(func(context.Context, *Request) *Response {
		return NewResponse(codes.Content, TextPlain, []byte(text))
	})
}

func TestRequestPiggyBacked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, steady, nil, say("22.5"))
		p.delay = 800 * time.Millisecond
		resp, err := p.a.Do(t.Context(), NewRequest(codes.GET, "/3303/0"))
		if err != nil || string(resp.Payload) != "22.5" {
			t.Fatalf("got %v, %v", resp, err)
		}
		p.wantTimeline(t, `
			0s > CON GET
			800ms < ACK 2.05`)
	})
}

func TestBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, steady, nil, say("late"))
		p.lose = loseFirst(true, 4)
		if _, err := p.a.Do(t.Context(), NewRequest(codes.GET, "/")); err != nil {
			t.Fatal(err)
		}
		p.wantTimeline(t, `
			0s > CON GET lost
			2s > CON GET lost
			6s > CON GET lost
			14s > CON GET lost
			30s > CON GET
			30s < ACK 2.05`)
		if s := p.a.Stats(); s.Retransmissions != 4 || s.GiveUps != 0 {
			t.Errorf("stats %+v, want 4 retransmissions", s)
		}
	})
}

// TestBackOffRandom checks the random factor: all time-outs are the first one
// doubled, which lies between 2 and 3 s.
func TestBackOffRandom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := map[time.Duration]bool{}
		p := newPair(t, Config{}, nil, nil)
		p.lose = func(bool, int, []byte) bool { return true }
		for range 20 {
			first := len(p.log)
			_, err := p.a.Do(t.Context(), NewRequest(codes.GET, "/"))
			var timeout *TimeoutError
			if !errors.As(err, &timeout) || timeout.Transmissions != 5 {
				t.Fatalf("got %v, want a TimeoutError after 5 transmissions", err)
			}
			log := p.log[first:]
			base := log[1].at - log[0].at
			if base < 2*time.Second || base > 3*time.Second {
				t.Fatalf("first time-out %v, want 2 s to 3 s", base)
			}
			for i := 1; i < 5; i++ {
				if gap := log[i].at - log[i-1].at; gap != base<<(i-1) {
					t.Errorf("time-out %d is %v, want %v", i, gap, base<<(i-1))
				}
			}
			if timeout.Waited != 31*base {
				t.Errorf("gave up after %v, want %v", timeout.Waited, 31*base)
			}
			seen[base] = true
		}
		if len(seen) < 20 {
			t.Errorf("only %d different first time-outs in 20", len(seen))
		}
	})
}

func TestGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, steady, nil, nil)
		p.lose = func(bool, int, []byte) bool { return true }
		_, err := p.a.Do(t.Context(), NewRequest(codes.GET, "/"))
		var timeout *TimeoutError
		var netErr net.Error
		if !errors.As(err, &timeout) || !errors.As(err, &netErr) || !netErr.Timeout() {
			t.Fatalf("got %v, want a TimeoutError", err)
		}
		if *timeout != (TimeoutError{Transmissions: 5, Waited: 62 * time.Second}) {
			t.Errorf("got %+v, want 5 transmissions in 62 s", *timeout)
		}
		if s := p.a.Stats(); s != (Stats{Retransmissions: 4, GiveUps: 1}) {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestNoRetransmission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Config{AckRandomFactor: 1, MaxRetransmit: -1}, nil, nil)
		p.lose = func(bool, int, []byte) bool { return true }
		_, err := p.a.Do(t.Context(), NewRequest(codes.GET, "/"))
		var timeout *TimeoutError
		if !errors.As(err, &timeout) || timeout.Transmissions != 1 || timeout.Waited != 2*time.Second {
			t.Fatalf("got %v, want a TimeoutError after 1 transmission and 2 s", err)
		}
	})
}

// TestLateAck: an ACK of the first transmission ends the exchange even after
// two retransmissions, as on a link with a round trip of 9 s.
func TestLateAck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, steady, nil, say("slow"))
		p.delay = 4500 * time.Millisecond
		if _, err := p.a.Do(t.Context(), NewRequest(codes.GET, "/")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		p.wantTimeline(t, `
			0s > CON GET
			2s > CON GET
			4.5s < ACK 2.05
			6s > CON GET
			6.5s < ACK 2.05
			10.5s < ACK 2.05`)
		if d := p.b.Stats().Duplicates; d != 2 {
			t.Errorf("%d duplicates, want 2", d)
		}
	})
}

func TestNStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, steady, nil, say("x"))
		p.delay = 500 * time.Millisecond
		p.lose = loseFirst(true, 1)
		done := make(chan error, 3)
		for range 3 {
			go func() {
				_, err := p.a.Do(t.Context(), NewRequest(codes.GET, "/"))
				done <- err
			}()
			synctest.Wait()
		}
		for range 3 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		p.wantTimeline(t, `
			0s > CON GET lost
			2s > CON GET
			2.5s < ACK 2.05
			3s > CON GET
			3.5s < ACK 2.05
			4s > CON GET
			4.5s < ACK 2.05`)
	})
}

func TestNStart2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Config{AckRandomFactor: 1, AckTimeout: 4 * time.Second, NStart: 2}, nil, say("x"))
		p.delay = time.Second
		done := make(chan error, 3)
		for range 3 {
			go func() {
				_, err := p.a.Do(t.Context(), NewRequest(codes.GET, "/"))
				done <- err
			}()
		}
		for range 3 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		p.wantTimeline(t, `
			0s > CON GET
			0s > CON GET
			1s < ACK 2.05
			1s < ACK 2.05
			2s > CON GET
			3s < ACK 2.05`)
	})
}

// TestCancel: a cancelled request is not sent again, and the next in the queue
// goes.
func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, steady, nil, say("x"))
		p.lose = loseFirst(true, 2)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		done := make(chan error, 1)
		go func() {
			synctest.Wait()
			_, err := p.a.Do(t.Context(), NewRequest(codes.PUT, "/"))
			done <- err
		}()
		if _, err := p.a.Do(ctx, NewRequest(codes.GET, "/")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want DeadlineExceeded", err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		p.wantTimeline(t, `
			0s > CON GET lost
			2s > CON GET lost
			3s > CON PUT
			3s < ACK 2.05`)
	})
}

func TestCancelWhileQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRaw(t, steady, nil)
		go func() { _, _ = r.conn.Do(t.Context(), NewRequest(codes.GET, "/")) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := r.conn.Do(ctx, NewRequest(codes.PUT, "/")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want DeadlineExceeded", err)
		}
		m := r.get()
		r.put(message.Message{Type: message.Acknowledgement, MessageID: m.MessageID, Token: m.Token, Code: codes.Content})
		synctest.Wait()
		r.wantTimeline(t, `
			0s > CON GET
			1s < ACK 2.05`)
	})
}

func TestCloseFailsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, steady, nil, nil)
		p.lose = func(bool, int, []byte) bool { return true }
		errs := make(chan error, 3)
		for range 2 { // one in flight, one queued
			go func() {
				_, err := p.a.Do(t.Context(), NewRequest(codes.GET, "/"))
				errs <- err
			}()
		}
		go func() { errs <- p.a.Ping(t.Context()) }()
		synctest.Wait()
		p.a.Close()
		for range 3 {
			if err := <-errs; !errors.Is(err, net.ErrClosed) {
				t.Errorf("got %v, want ErrClosed", err)
			}
		}
		if _, err := p.a.Do(t.Context(), NewRequest(codes.GET, "/")); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: got %v, want ErrClosed", err)
		}
		<-p.a.Done()
		if got := len(p.log); got != 1 {
			t.Errorf("%d datagrams, want 1:\n%s", got, p.timeline())
		}
	})
}

func TestPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, steady, nil, nil)
		p.lose = loseFirst(false, 1)
		if err := p.a.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.wantTimeline(t, `
			0s > CON
			0s < RST lost
			2s > CON
			2s < RST`)
	})
}

func TestResetEndsRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRaw(t, steady, nil)
		done := make(chan error, 1)
		go func() {
			_, err := r.conn.Do(t.Context(), NewRequest(codes.GET, "/"))
			done <- err
		}()
		r.put(message.Message{Type: message.Reset, MessageID: r.get().MessageID})
		if err := <-done; !errors.Is(err, ErrReset) {
			t.Errorf("got %v, want ErrReset", err)
		}
	})
}

func TestConfigValidate(t *testing.T) {
	if err := (Config{}).Validate(); err != nil {
		t.Errorf("zero Config: %v", err)
	}
	bad := map[string]Config{
		"ack_timeout":       {AckTimeout: time.Microsecond},
		"ack_random_factor": {AckRandomFactor: 0.5},
		"max_retransmit":    {MaxRetransmit: -2},
		"nstart":            {NStart: -1},
		"token_length":      {TokenLength: 9},
		"block_size":        {BlockSize: 1000},
		"ack_delay":         {AckDelay: -1},
		"response_timeout":  {ResponseTimeout: -1},
		"max_latency":       {MaxLatency: -1},
		"max_body":          {MaxBody: -1},
		"max_message_size":  {MaxMessageSize: 10},
		"bert_blocks":       {BERTBlocks: -1},
	}
	for name, cfg := range bad {
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestDerivedTimes has the table of RFC 7252 section 4.8.2.
func TestDerivedTimes(t *testing.T) {
	var c Config
	for _, tt := range []struct {
		name string
		got  time.Duration
		want time.Duration
	}{
		{"MAX_TRANSMIT_SPAN", c.MaxTransmitSpan(), 45 * time.Second},
		{"MAX_TRANSMIT_WAIT", c.MaxTransmitWait(), 93 * time.Second},
		{"EXCHANGE_LIFETIME", c.ExchangeLifetime(), 247 * time.Second},
		{"NON_LIFETIME", c.NonLifetime(), 145 * time.Second},
		{"EXCHANGE_LIFETIME without retransmission", Config{MaxRetransmit: -1}.ExchangeLifetime(), 202 * time.Second},
	} {
		if tt.got != tt.want {
			t.Errorf("%s is %v, want %v", tt.name, tt.got, tt.want)
		}
	}
}
