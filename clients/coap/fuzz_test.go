package coap

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// FuzzDecode: what decodes can be encoded and decodes to the same again.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{0x42, 0x02, 0x12, 0x34, 1, 2, 0xb2, 'r', 'd', 0x11, 0x28, 0xff, 'x'})
	f.Add([]byte{0x40, 1, 0, 8, 0xb1, 0xff, 0xff})
	f.Add([]byte{0x40, 1, 0, 1, 0xe0, 0xff, 0xff, 0xd1, 0xff, 1})
	f.Add([]byte{0x70, 0, 0, 1})
	f.Fuzz(func(t *testing.T, d []byte) {
		m, err := decode(d)
		if err != nil {
			return
		}
		again, err := encode(m)
		if err != nil {
			t.Fatalf("decoded %x to %v: %v", d, m, err)
		}
		m2, err := decode(again)
		same := err == nil && m.Type == m2.Type && m.Code == m2.Code && m.MessageID == m2.MessageID &&
			bytes.Equal(m.Token, m2.Token) && bytes.Equal(m.Payload, m2.Payload) &&
			slices.EqualFunc(m.Options, m2.Options, func(a, b message.Option) bool { return a.ID == b.ID && bytes.Equal(a.Value, b.Value) })
		if !same {
			t.Fatalf("%x decodes to %v, its encoding %x to %v, %v", d, m, again, m2, err)
		}
	})
}

// FuzzReceive feeds arbitrary datagrams to a Conn that waits for a response,
// observes and is observed. It must not panic, must answer each datagram with
// at most one, must answer nothing but 4 bytes to what is no request, and must
// still work afterwards.
func FuzzReceive(f *testing.F) {
	get := []byte{0x41, 1, 0, 1, 't'}
	f.Add(get, get, []byte{0x70, 0, 0, 1})
	f.Add([]byte{0x41, 1, 0, 1, 't', 0x60}, []byte{0x41, 1, 0, 2, 't', 0x61, 1}, []byte{0x51, 1, 0, 3, 'u', 0x60})
	f.Add([]byte{0x41, 3, 0, 1, 't', 0xd1, 14, 8, 0xff, 1}, []byte{0x41, 2, 0, 2, 't', 0xd1, 14, 0xff}, []byte{0x41, 1, 0, 3, 't', 0xd1, 10, 0x16})
	f.Add([]byte{0x60, 69, 0, 1}, []byte{0x40, 69, 0, 1}, []byte{0x50, 132, 0, 1})
	f.Fuzz(func(t *testing.T, d1, d2, d3 []byte) {
		synctest.Test(t, func(t *testing.T) { receiveArbitrary(t, [][]byte{d1, d2, d3}) })
	})
}

func receiveArbitrary(t *testing.T, datagrams [][]byte) {
	var observer *Observer
	r := newRaw(t, Config{}, HandlerFunc(func(_ context.Context, r *Request) *Response {
		if o := r.AcceptObserve(nil); o != nil {
			observer = o
		}
		return NewResponse(codes.Content, TextPlain, image(2000))
	}))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		_, _, _ = r.conn.Observe(ctx, NewRequest(codes.GET, "/"), func(*Response) {})
	}()
	r.get()
	seen := map[string]bool{}
	for _, d := range datagrams {
		if _, err := r.peer.Write(d); err != nil {
			t.Fatal(err)
		}
		answers := r.drain()
		if len(answers) > 1 {
			t.Fatalf("%x was answered with %d datagrams", d, len(answers))
		}
		for _, answer := range answers {
			duplicate := seen[string(answer)] // answered by message ID alone
			seen[string(answer)] = true
			if !duplicate && !mayAnswer(d, answer) {
				t.Fatalf("%x was answered with %x", d, answer)
			}
		}
	}
	if observer != nil {
		_ = observer.Notify(Status(codes.Valid), false) // fails if a datagram ended the observation
	}
	cancel()
	<-finished
	time.Sleep(10 * time.Minute) // everything times out
	r.drain()
	if _, err := r.peer.Write([]byte{0x40, 0, 0xab, 0xcd}); err != nil {
		t.Fatal(err)
	}
	if m := r.get(); m.Type != message.Reset || m.MessageID != 0xabcd {
		t.Fatalf("a ping was answered with %v", m)
	}
}

// mayAnswer: a request may be answered with anything; a response in blocks
// with the request for the next; other messages with an ACK or RST of 4 bytes,
// but acknowledgements and resets not at all.
func mayAnswer(d, answer []byte) bool {
	m, err := decode(d)
	switch {
	case err == nil && isRequest(m.Code):
		return true
	case err == nil && isResponse(m.Code) && strings.HasPrefix(describe(answer), "CON GET 2:"):
		return true
	}
	return len(answer) == headerLen && m.Type != message.Acknowledgement && m.Type != message.Reset
}

// drain takes everything the Conn has sent.
func (r *raw) drain() (all [][]byte) {
	synctest.Wait()
	for len(r.peer.in) > 0 {
		all = append(all, <-r.peer.in)
	}
	return all
}

// FuzzBlock: a message's block option encodes to what was read but for leading
// zeros, names a place that names it again, and holds a block of its size.
func FuzzBlock(f *testing.F) {
	f.Add([]byte{}, false)
	f.Add([]byte{0x06}, false)
	f.Add([]byte{0x1b, 0x8e}, false)
	f.Add([]byte{0xff, 0xff, 0xfe}, false)
	f.Add([]byte{0x01, 0x8f}, true)
	f.Add([]byte{0, 0, 0, 1}, false)
	f.Fuzz(func(t *testing.T, value []byte, stream bool) {
		options, ok := checkOptions(message.Options{{ID: message.Block2, Value: value}})
		if !ok {
			return
		}
		m := &Message{Options: options, stream: stream}
		b, _, ok := m.block(message.Block2)
		if !ok {
			return
		}
		again := &Message{stream: stream}
		again.setBlock(message.Block2, b)
		if b2, _, ok := again.block(message.Block2); !ok || b2 != b {
			t.Fatalf("%x is %+v, then %+v, %v", value, b, b2, ok)
		}
		at, err := blockAt(b.offset(), b.szx)
		if at.more = b.more; err != nil || at != b {
			t.Fatalf("%x is at %d, which is %+v, %v", value, b.offset(), at, err)
		}
		if !b.holds(b.size()) || !stream && b.holds(b.size()+1) {
			t.Fatalf("%x: %+v has %d bytes", value, b, b.size())
		}
	})
}
