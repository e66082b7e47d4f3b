package coap

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// TestCancelAnsweredSeparately: while a cancellation waits for its response,
// notifications under the same token are acknowledged and not delivered, and
// the response without Observe option is the cancellation's.
func TestCancelAnsweredSeparately(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRaw(t, steady, nil)
		var o *Observation
		delivered := 0
		registered := make(chan struct{})
		go func() {
			defer close(registered)
			var err error
			o, _, err = r.conn.Observe(t.Context(), NewRequest(codes.GET, "/"), func(*Response) { delivered++ })
			if err != nil || o == nil {
				t.Errorf("Observe: %v, %v", o, err)
			}
		}()
		m := r.get()
		r.put(message.Message{Type: message.Acknowledgement, Code: codes.Content, MessageID: m.MessageID, Token: m.Token,
			Options: message.Options{{ID: message.Observe, Value: []byte{1}}}})
		<-registered
		done := make(chan result, 1)
		go func() {
			resp, err := o.Cancel(t.Context())
			done <- result{resp, err}
		}()
		cancel := r.get()
		r.put(message.Message{Type: message.Acknowledgement, MessageID: cancel.MessageID})
		note := message.Message{Type: message.Confirmable, Code: codes.Content, MessageID: 1, Token: m.Token,
			Options: message.Options{{ID: message.Observe, Value: []byte{2}}}}
		r.put(note)
		if ack := r.get(); ack.Type != message.Acknowledgement || delivered != 0 {
			t.Errorf("notification: answered with %v, delivered %d times", ack, delivered)
		}
		note.MessageID, note.Options, note.Payload = 2, nil, []byte("bye")
		r.put(note)
		if res := <-done; res.err != nil || string(res.resp.Payload) != "bye" {
			t.Errorf("Cancel: %v, %v", res.resp, res.err)
		}
		r.get() // the ACK
		note.MessageID = 3
		r.put(note)
		if m := r.get(); m.Type != message.Reset || delivered != 0 {
			t.Errorf("after the end: answered with %v, delivered %d times", m, delivered)
		}
	})
}

// TestDeregisterStopsRetransmission: a confirmable notification in flight is
// of no use any more, and its NSTART slot is free.
func TestDeregisterStopsRetransmission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s, w := observe(t, steady)
		p.lose = func(a bool, n int, _ []byte) bool { return !a && n == 1 }
		s.set(t, "1", true)
		time.Sleep(time.Second)
		if _, err := w.o.Cancel(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := p.b.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		p.wantTimeline(t, `
			0s > CON GET obs:0
			0s < ACK 2.05 obs:1
			0s < CON 2.05 obs:2 lost
			1s > CON GET obs:1
			1s < ACK 2.05
			1s < CON
			1s > RST`)
	})
}
