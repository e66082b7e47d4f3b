package sms

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestKnownAnswer: octets by the tables of TS 24.011 section 7.3.1 and TS 23.040
// section 9.2.2.
func TestKnownAnswer(t *testing.T) {
	at := time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)
	for name, test := range map[string]struct {
		pdu  PDU
		want []byte
	}{
		"submit": {PDU{Kind: Data, Up: true, Transaction: 3, Reference: 0x2a, Segment: Segment{Data: []byte("hi")}}, []byte{
			0x39, 0x01, 27, // SMS messages, transaction 3, CP-DATA
			0x00, 0x2a, 0x00, 7, 0x91, 0x44, 0x77, 0x00, 0x09, 0x00, 0x00, // RP-DATA to the centre
			15, 0x01, 0x2a, 12, 0x91, 0x44, 0x77, 0x00, 0x09, 0x00, 0x10, 0x00, 0x04, 2, 'h', 'i', // SMS-SUBMIT
		}},
		"deliver, part 2 of 3": {PDU{Kind: Data, Transaction: 1, Reference: 7, Time: at, Segment: Segment{Data: []byte{0xff}, Reference: 9, Total: 3, Number: 2}}, []byte{
			0x19, 0x01, 38,
			0x01, 0x07, 7, 0x91, 0x44, 0x77, 0x00, 0x09, 0x00, 0x00, 0x00,
			26, 0x44, 12, 0x91, 0x44, 0x77, 0x00, 0x09, 0x00, 0x10, 0x00, 0x04,
			0x62, 0x30, 0x41, 0x51, 0x90, 0x62, 0x00, // 26-03-14 15:09:26
			7, 0x05, 0x00, 0x03, 9, 3, 2, 0xff,
		}},
		"RP-ACK":  {PDU{Kind: Ack, Reference: 0x2a, Transaction: 3, Answer: true}, []byte{0xb9, 0x01, 2, 0x03, 0x2a}},
		"CP-ACK":  {PDU{Kind: CPAck, Transaction: 3}, []byte{0x39, 0x04}},
		"at most": {PDU{Kind: Data, Up: true, Segment: Segment{Data: make([]byte, MaxData)}}, nil},
	} {
		got := test.pdu.Append(nil)
		if test.want != nil && !bytes.Equal(got, test.want) {
			t.Errorf("%s:\ngot  %x\nwant %x", name, got, test.want)
		}
		back, err := Parse(got)
		test.pdu.Time = time.Time{}
		if d := cmp.Diff(test.pdu, back); err != nil || d != "" {
			t.Errorf("%s: %v, %s", name, err, d)
		}
	}
}

// TestSplit: 140 bytes are one message, one more are two of 134 and 7.
func TestSplit(t *testing.T) {
	for length, want := range map[int][]int{0: {0}, 140: {140}, 141: {134, 7}, 268: {134, 134}, 269: {134, 134, 1}} {
		segments, err := Split(make([]byte, length), 5)
		if err != nil {
			t.Fatal(err)
		}
		var got []int
		for _, s := range segments {
			got = append(got, len(s.Data))
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%d bytes: %s", length, d)
		}
	}
	if _, err := Split(make([]byte, MaxLength+1), 5); err == nil {
		t.Error("more than 255 parts")
	}
}

// TestAssembler: segments of many messages come in any order, some twice; what
// never becomes whole does not stay for ever.
func TestAssembler(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var all []Segment
	const messages = maxIncomplete
	for i := range messages {
		s, err := Split(bytes.Repeat([]byte{byte(i)}, 1000), byte(i))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s...)
	}
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var a Assembler
	whole := 0
	for i, s := range all {
		if i%3 == 0 && i < len(all)-messages*8 {
			a.Put(s)
		}
		parts, ok := a.Put(s)
		if !ok {
			continue
		}
		whole++
		var data []byte
		for _, p := range parts {
			data = append(data, p.Data...)
		}
		if !bytes.Equal(data, bytes.Repeat([]byte{parts[0].Reference}, 1000)) {
			t.Errorf("message %d is not what was sent", parts[0].Reference)
		}
	}
	if whole != messages {
		t.Errorf("%d messages, want %d", whole, messages)
	}
	for i := range 1000 {
		a.Put(Segment{Reference: byte(i), Total: 255, Number: 1})
	}
	if len(a.incomplete) > maxIncomplete {
		t.Errorf("%d messages are kept", len(a.incomplete))
	}
	if _, ok := a.Put(Segment{Total: 2, Number: 3}); ok {
		t.Error("part 3 of 2")
	}
}

// FuzzParse: what is read and written again is read the same.
func FuzzParse(f *testing.F) {
	for _, p := range []PDU{
		{Kind: Data, Up: true, Segment: Segment{Data: []byte("hi")}},
		{Kind: Data, Reference: 7, Segment: Segment{Data: []byte("hi"), Reference: 9, Total: 3, Number: 2}},
		{Kind: Ack, Reference: 1, Answer: true}, {Kind: CPAck},
	} {
		f.Add(p.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Parse(b)
		if err != nil || len(p.Segment.Data) > MaxPart {
			return
		}
		again, err := Parse(p.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(p, again); d != "" && len(p.Segment.Data) > 0 && (p.Segment.Total > 0 || p.Segment.Reference == 0 && p.Segment.Number == 0) {
			t.Error(d)
		}
		var a Assembler
		a.Put(p.Segment)
	})
}
