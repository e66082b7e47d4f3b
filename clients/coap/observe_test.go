package coap

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// sensor is a resource that can be observed.
type sensor struct {
	state    []byte
	observer *Observer
	ends     []error
}

func (s *sensor) ServeCoAP(_ context.Context, r *Request) *Response {
	if o := r.AcceptObserve(func(err error) { s.ends = append(s.ends, err) }); o != nil {
		s.observer = o
	}
	return s.response()
}

func (s *sensor) response() *Response { return NewResponse(codes.Content, TextPlain, s.state) }

// set changes the state and notifies.
func (s *sensor) set(t *testing.T, state string, confirmable bool) {
	t.Helper()
	s.state = []byte(state)
	if err := s.observer.Notify(s.response(), confirmable); err != nil {
		t.Errorf("Notify %q: %v", state, err)
	}
}

// watch is a client's record of an observation.
type watch struct {
	o   *Observation
	got []string
}

// observe registers a with the sensor at b.
func observe(t *testing.T, cfg Config) (p *pair, s *sensor, w *watch) {
	t.Helper()
	s, w = &sensor{state: []byte("0")}, &watch{}
	p = newPair(t, cfg, nil, s)
	var err error
	var first *Response
	w.o, first, err = p.a.Observe(t.Context(), NewRequest(codes.GET, "/33650/0"), func(n *Response) {
		w.got = append(w.got, string(n.Payload))
	})
	if err != nil || w.o == nil || string(first.Payload) != "0" {
		t.Fatalf("Observe: %v, %v, %v", w.o, first, err)
	}
	return p, s, w
}

func (w *watch) want(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	if len(w.got) != len(want) {
		t.Fatalf("got notifications %q, want %q", w.got, want)
	}
	for i := range want {
		if w.got[i] != want[i] {
			t.Fatalf("got notifications %q, want %q", w.got, want)
		}
	}
}

func TestObserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s, w := observe(t, steady)
		for i, confirmable := range []bool{false, true, false} {
			time.Sleep(30 * time.Second)
			s.set(t, strconv.Itoa(i+1), confirmable)
		}
		w.want(t, "1", "2", "3")
		if resp, err := w.o.Cancel(t.Context()); err != nil || string(resp.Payload) != "3" {
			t.Errorf("Cancel: %v, %v", resp, err)
		}
		synctest.Wait()
		if len(s.ends) != 1 || s.ends[0] != nil || w.o.Active() {
			t.Errorf("the observation ended with %v, want once without error", s.ends)
		}
		if err := s.observer.Notify(s.response(), false); err != ErrCanceled {
			t.Errorf("Notify after the end: %v, want ErrCanceled", err)
		}
		p.wantTimeline(t, `
			0s > CON GET obs:0
			0s < ACK 2.05 obs:1
			30s < NON 2.05 obs:2
			1m0s < CON 2.05 obs:3
			1m0s > ACK
			1m30s < NON 2.05 obs:4
			1m30s > CON GET obs:1
			1m30s < ACK 2.05`)
		token := func(i int) string { m, _ := decode(p.log[i].data); return string(m.Token) }
		if token(0) != token(2) || token(0) != token(6) {
			t.Error("registration, notifications and cancellation must have one token")
		}
	})
}

// TestForget: the next notification is answered with a Reset, which ends the
// observation at the server, be it confirmable or not.
func TestForget(t *testing.T) {
	for _, confirmable := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			_, s, w := observe(t, steady)
			w.o.Forget()
			s.set(t, "1", confirmable)
			synctest.Wait()
			if len(s.ends) != 1 || !errors.Is(s.ends[0], ErrReset) {
				t.Errorf("confirmable %v: ended with %v, want ErrReset", confirmable, s.ends)
			}
			w.want(t)
		})
	}
}

// TestNewestState: a retransmission carries the newest state under a new
// message ID, keeps the back-off, and the states between are not sent
// (RFC 7641 section 4.5.2).
func TestNewestState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s, w := observe(t, steady)
		p.lose = loseFirst(false, 3) // the registration's response is already through
		s.set(t, "1", true)
		time.Sleep(time.Second)
		s.set(t, "2", true)
		s.set(t, "3", true)
		time.Sleep(time.Minute)
		w.want(t, "3")
		p.wantTimeline(t, `
			0s > CON GET obs:0
			0s < ACK 2.05 obs:1
			0s < CON 2.05 obs:2 lost
			2s < CON 2.05 obs:3 lost
			6s < CON 2.05 obs:3
			6s > ACK`)
		id := func(i int) int32 { m, _ := decode(p.log[i].data); return m.MessageID }
		if id(2) == id(3) || id(3) != id(4) {
			t.Errorf("message IDs %d, %d, %d: want a new one for the new state only", id(2), id(3), id(4))
		}
	})
}

// TestNotifyDuringFlight: what changes while a notification is in flight
// follows as soon as it is acknowledged.
func TestNotifyDuringFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s, w := observe(t, steady)
		p.delay = 500 * time.Millisecond
		s.set(t, "1", true)
		s.set(t, "2", false)
		s.set(t, "3", false)
		time.Sleep(3 * time.Second)
		w.want(t, "1", "3")
	})
}

func TestNotificationGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s, _ := observe(t, steady)
		p.lose = func(bool, int, []byte) bool { return true }
		s.set(t, "1", true)
		time.Sleep(62 * time.Second)
		synctest.Wait()
		if len(s.ends) != 1 || !isTimeout(s.ends[0]) {
			t.Errorf("ended with %v, want a TimeoutError", s.ends)
		}
		if st := p.b.Stats(); st.GiveUps != 1 || st.Retransmissions != 4 {
			t.Errorf("stats %+v, want 4 retransmissions and a give-up", st)
		}
	})
}

// TestDailyConfirmable: after 24 hours a notification is confirmable
// (RFC 7641 section 4.5).
func TestDailyConfirmable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s, _ := observe(t, steady)
		for range 4 {
			time.Sleep(12 * time.Hour)
			s.set(t, "x", false)
			synctest.Wait()
		}
		p.wantTimeline(t, `
			0s > CON GET obs:0
			0s < ACK 2.05 obs:1
			12h0m0s < NON 2.05 obs:2
			24h0m0s < CON 2.05 obs:3
			24h0m0s > ACK
			36h0m0s < NON 2.05 obs:4
			48h0m0s < CON 2.05 obs:5
			48h0m0s > ACK`)
	})
}

// TestErrorNotification is the last one for both ends (section 4.2).
func TestErrorNotification(t *testing.T) {
	for _, confirmable := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			p, s, w := observe(t, steady)
			if err := s.observer.Notify(Status(codes.NotFound), confirmable); err != nil {
				t.Error(err)
			}
			w.want(t, "")
			if w.o.Active() || len(s.ends) != 1 || s.ends[0] != nil {
				t.Errorf("active %v, ended with %v", w.o.Active(), s.ends)
			}
			m, _ := decode(p.log[2].data)
			if _, ok := (&Message{Options: m.Options}).Observe(); ok || m.Code != codes.NotFound {
				t.Errorf("notification is %v, want 4.04 without Observe", m)
			}
		})
	}
}

// TestReRegister: the same token replaces the observation and goes on with its
// sequence numbers (section 4.1).
func TestReRegister(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sensor{state: []byte("0")}
		r := newRaw(t, steady, s)
		for i := range 2 {
			m := request(int32(i), "same")
			m.Options = message.Options{{ID: message.Observe}}
			r.put(m)
			got := r.get()
			if seq, _ := (&Message{Options: got.Options}).Observe(); seq != uint32(i+1) {
				t.Errorf("sequence number %d, want %d", seq, i+1)
			}
		}
		synctest.Wait()
		if len(s.ends) != 1 || s.ends[0] != ErrCanceled || len(r.conn.observers) != 1 {
			t.Errorf("ended with %v and %d observers, want ErrCanceled and 1", s.ends, len(r.conn.observers))
		}
	})
}

// TestObserveDeclined: no Observe option in the response, no observation.
func TestObserveDeclined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ends []error
		p := newPair(t, steady, nil, HandlerFunc(func(_ context.Context, r *Request) *Response {
			if r.Path() == "/error" {
				r.AcceptObserve(func(err error) { ends = append(ends, err) })
				return Status(codes.NotFound)
			}
			return Status(codes.Content)
		}))
		for path, want := range map[string]codes.Code{"/plain": codes.Content, "/error": codes.NotFound} {
			o, resp, err := p.a.Observe(t.Context(), NewRequest(codes.GET, path), nil)
			if o != nil || err != nil || resp.Code != want {
				t.Errorf("%s: %v, %v, %v", path, o, resp, err)
			}
		}
		synctest.Wait()
		if len(ends) != 1 || ends[0] != ErrCanceled || len(p.b.observers) != 0 {
			t.Errorf("refused observation ended with %v", ends)
		}
	})
}

// TestNotifyBeforeResponse: a state that changes while the registration is
// being answered follows the response.
func TestNotifyBeforeResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, steady, nil, HandlerFunc(func(_ context.Context, r *Request) *Response {
			if err := r.AcceptObserve(nil).Notify(NewResponse(codes.Content, TextPlain, []byte("1")), false); err != nil {
				t.Error(err)
			}
			return NewResponse(codes.Content, TextPlain, []byte("0"))
		}))
		var got []string
		_, first, err := p.a.Observe(t.Context(), NewRequest(codes.GET, "/"), func(n *Response) { got = append(got, string(n.Payload)) })
		synctest.Wait()
		if err != nil || string(first.Payload) != "0" || len(got) != 1 || got[0] != "1" {
			t.Errorf("got %v, %v, then %q", first, err, got)
		}
		p.wantTimeline(t, `
			0s > CON GET obs:0
			0s < ACK 2.05 obs:1
			0s < NON 2.05 obs:2`)
	})
}

func TestFresher(t *testing.T) {
	t0 := time.Unix(0, 0)
	soon, late := t0.Add(128*time.Second), t0.Add(128*time.Second+1)
	for _, tt := range []struct {
		v1, v2 uint32
		at     time.Time
		want   bool
	}{
		{1, 2, soon, true},
		{2, 1, soon, false},
		{1, 1, soon, false},
		{1, 1 << 23, soon, true},
		{0, 1 << 23, soon, false},
		{1<<24 - 1, 0, soon, true},
		{0, 1<<24 - 1, soon, false},
		{2, 1, late, true},
	} {
		if got := fresher(tt.v1, t0, tt.v2, tt.at); got != tt.want {
			t.Errorf("fresher(%d, %d) after %v = %v", tt.v1, tt.v2, tt.at.Sub(t0), got)
		}
	}
}

// TestReordered: an older notification is acknowledged and not delivered.
func TestReordered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRaw(t, steady, nil)
		var got []string
		done := make(chan struct{})
		go func() {
			defer close(done)
			if _, _, err := r.conn.Observe(t.Context(), NewRequest(codes.GET, "/"), func(n *Response) { got = append(got, string(n.Payload)) }); err != nil {
				t.Error(err)
			}
		}()
		m := r.get()
		note := func(kind message.Type, mid int32, seq byte) {
			r.put(message.Message{Type: kind, Code: codes.Content, MessageID: mid, Token: m.Token,
				Options: message.Options{{ID: message.Observe, Value: []byte{seq}}}, Payload: []byte{'0' + seq}})
		}
		note(message.Acknowledgement, m.MessageID, 1)
		<-done
		for i, seq := range []byte{3, 2, 3, 4} {
			note(message.Confirmable, int32(i), seq)
			if ack := r.get(); ack.Type != message.Acknowledgement {
				t.Errorf("notification %d was answered with %v", seq, ack)
			}
		}
		if len(got) != 2 || got[0] != "3" || got[1] != "4" {
			t.Errorf("delivered %q, want 3 and 4", got)
		}
		time.Sleep(129 * time.Second)
		note(message.NonConfirmable, 9, 2)
		synctest.Wait()
		if len(got) != 3 {
			t.Errorf("after 128 s any number is fresher; delivered %q", got)
		}
	})
}

// TestObserveBlocks: first response and notifications of several blocks
// (RFC 7959 section 2.6); one that is outdated meanwhile is not delivered.
func TestObserveBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sensor{state: bytes.Repeat([]byte("a"), 3000)}
		p := newPair(t, steady, nil, s)
		p.delay = 100 * time.Millisecond
		var got []string
		o, first, err := p.a.Observe(t.Context(), NewRequest(codes.GET, "/"), func(n *Response) { got = append(got, string(n.Payload)) })
		if err != nil || o == nil || len(first.Payload) != 3000 {
			t.Fatalf("Observe: %v, %v", first, err)
		}
		b, c := string(bytes.Repeat([]byte("b"), 2500)), string(bytes.Repeat([]byte("c"), 2500))
		s.set(t, b, false)
		time.Sleep(10 * time.Second)
		s.set(t, b, false)
		time.Sleep(200 * time.Millisecond) // one block fetched
		s.set(t, c, false)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if len(got) != 2 || got[0] != b || got[1] != c {
			t.Errorf("delivered %d notifications, want b and c", len(got))
		}
	})
}

// TestObserveUnderLoss: what arrives is in order, and with confirmable
// notifications the last state always arrives.
func TestObserveUnderLoss(t *testing.T) {
	for seed := range uint64(5) {
		synctest.Test(t, func(t *testing.T) {
			p, s, w := observe(t, Config{MaxRetransmit: 10})
			p.delay = 300 * time.Millisecond
			p.lose = loseRandomly(seed, 0.2)
			rng := rand.New(rand.NewPCG(seed, 0))
			const n = 200
			for i := range n {
				time.Sleep(time.Duration(rng.IntN(5000)) * time.Millisecond)
				s.set(t, strconv.Itoa(i+1), true)
			}
			time.Sleep(2 * time.Hour)
			synctest.Wait()
			last := 0
			for _, g := range w.got {
				v, err := strconv.Atoi(g)
				if err != nil || v <= last {
					t.Fatalf("seed %d: %q after %d", seed, g, last)
				}
				last = v
			}
			if last != n || len(w.got) < n/3 {
				t.Errorf("seed %d: %d notifications, the last is %d, want %d", seed, len(w.got), last, n)
			}
		})
	}
}

// TestCloseEndsObservations tells the server's application.
func TestCloseEndsObservations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s, _ := observe(t, steady)
		p.b.Close()
		if len(s.ends) != 1 || !errors.Is(s.ends[0], ErrClosed) {
			t.Errorf("ended with %v, want ErrClosed", s.ends)
		}
		s.observer.End()
		if len(s.ends) != 1 {
			t.Error("ended twice")
		}
	})
}

// TestObserversBounded: a peer that registers again and again is served and not
// observed any more (RFC 7641 section 4.1), but may replace what it has.
func TestObserversBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRaw(t, steady, &sensor{state: []byte("0")})
		register := func(i int, token string) bool {
			m := request(int32(i), token)
			m.Options = message.Options{{ID: message.Observe}}
			r.put(m)
			got := r.get()
			if got.Code != codes.Content {
				t.Fatalf("registration %d: %v", i, got)
			}
			_, observed := (&Message{Options: got.Options}).Observe()
			return observed
		}
		for i := range maxObservers + 50 {
			if observed := register(i, strconv.Itoa(i)); observed != (i < maxObservers) {
				t.Fatalf("registration %d: observed %v", i, observed)
			}
		}
		if !register(1000, "7") || register(1001, "new") || len(r.conn.observers) != maxObservers {
			t.Errorf("%d observers", len(r.conn.observers))
		}
	})
}
