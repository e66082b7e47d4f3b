package coap

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"

	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// FuzzReadFrame: what can be read can be encoded and reads the same again.
func FuzzReadFrame(f *testing.F) {
	f.Add([]byte{0x01, 0x43, 0x7f})
	f.Add([]byte{0xd1, 0x02, 0x02, 't', 0xb2, 'r', 'd', 0x11, 0x28, 0xff, 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x'})
	f.Add([]byte{0xf0, 0xff, 0xff, 0xff, 0xff, 0x45})
	f.Add(largeCSM)
	f.Fuzz(func(t *testing.T, d []byte) {
		m, err := readFrame(bytes.NewReader(d), 1<<16)
		if err != nil {
			return
		}
		again, err := encodeFrame(m, 1<<16)
		if err != nil {
			t.Fatalf("read %x as %v: %v", d, m, err)
		}
		if m2, err := readFrame(bytes.NewReader(again), 1<<16); err != nil || !sameContent(m, m2) {
			t.Fatalf("%x reads as %v, its encoding %x as %v, %v", d, m, again, m2, err)
		}
	})
}

// FuzzMissing: a block number that can be read, can be written and reads the
// same again, in no more bytes.
func FuzzMissing(f *testing.F) {
	f.Add([]byte{0x19, 0x03, 0xe8, 0x02})
	f.Fuzz(func(t *testing.T, d []byte) {
		num, ok := parseMissing(d)
		if !ok {
			return
		}
		again := appendMissing(nil, num)
		if n, ok := parseMissing(again); !ok || n != num || len(again) > len(d) {
			t.Fatalf("%x is %d, whose encoding %x is %d, %v", d, num, again, n, ok)
		}
	})
}

// FuzzStream feeds arbitrary bytes to a Conn that waits for the response to an
// upload, observes and takes uploads. It must not panic; afterwards it answers
// a Ping or has ended with an Abort or Release.
func FuzzStream(f *testing.F) {
	f.Add(append(largeCSM, 0x01, 0x01, 't'))
	f.Add(append(largeCSM, 0x91, 0x03, 't', 0xb1, '5', 0x01, '0', 0x01, '0', 0xd1, 3, 0x0f, 0xff, 1))
	f.Add(append(emptyCSM, 0x00, 0xe4))
	f.Add(append(emptyCSM, 0x20, 0x45, 0xd1, 10, 0x0f))
	f.Add([]byte{0x00, 0xe5})
	f.Fuzz(func(t *testing.T, d []byte) {
		synctest.Test(t, func(t *testing.T) { streamArbitrary(t, d) })
	})
}

func streamArbitrary(t *testing.T, d []byte) {
	r := newRawStream(t, Config{}, &flash{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _, _, _ = r.conn.Observe(ctx, NewRequest(codes.GET, "/"), func(*Response) {}) }()
	go func() { _, _ = r.conn.Do(ctx, NewRequest(codes.PUT, "/").WithPayload(Octets, image(20_000))) }()
	drained := make(chan bool) // whether there was a Pong
	go func() {
		pong := false
		for m := range r.got {
			pong = pong || m.Code == codes.Pong && string(m.Token) == "at last"
		}
		drained <- pong
	}()
	r.put(d...)
	// Fill up what d may have begun, with a Ping behind it.
	r.put(append(make([]byte, 10_000), append([]byte{0x07, 0xe2}, "at last"...)...)...)
	synctest.Wait()
	cancel()
	synctest.Wait()
	ended := r.conn.failure() != nil
	r.conn.Close()
	if pong := <-drained; !pong && !ended {
		t.Fatalf("after %x the Conn neither answers nor has ended", d)
	}
}
