package streams

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/thinlink/thinlink/clients/mqtt/broker"
)

// RFC 8949 appendix A.
func TestCBORExamples(t *testing.T) {
	for want, got := range map[string][]byte{
		"00":                    appendInt(nil, 0),
		"17":                    appendInt(nil, 23),
		"1818":                  appendInt(nil, 24),
		"1903e8":                appendInt(nil, 1000),
		"1a000f4240":            appendInt(nil, 1_000_000),
		"1b000000e8d4a51000":    appendInt(nil, 1_000_000_000_000),
		"20":                    appendInt(nil, -1),
		"3903e7":                appendInt(nil, -1000),
		"4401020304":            appendBytes(nil, []byte{1, 2, 3, 4}),
		"6449455446":            appendText(nil, "IETF"),
		"62c3bc":                appendText(nil, "ü"),
		"3b7fffffffffffffff":    appendInt(nil, math.MinInt64),
		"5818" + strings24("0"): appendBytes(nil, make([]byte, 24)),
	} {
		if hex.EncodeToString(got) != want {
			t.Errorf("got %x, want %s", got, want)
		}
	}
	f, err := parseMap([]byte("\xa3\x61a\x01\x61b\x41\x07\x61c\x62ok")) // {"a": 1, "b": h'07', "c": "ok"}
	if err != nil || f["a"] != int64(1) || !bytes.Equal(f["b"].([]byte), []byte{7}) || f["c"] != "ok" {
		t.Errorf("%v, %v", f, err)
	}
}

func strings24(s string) string { return strings.Repeat(s+s, 24) }

func TestCBORRefused(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":             "",
		"an array":            "80",
		"no value":            "a16161",
		"key of another type": "a10101",
		"a key twice":         "a2616101616102",
		"something after it":  "a000",
		"indefinite length":   "bf616101ff",
		"reserved":            "bc",
		"text cut short":      "a1616162",
		"bytes beyond memory": "a161615bffffffffffffffff",
		"not UTF-8":           "a1616161ff",
		"a float":             "a16161f90000",
		"too large":           "a161611bffffffffffffffff",
		"too many":            "b1",
	} {
		data, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if f, err := parseMap(data); err == nil {
			t.Errorf("%s: read as %v", name, f)
		}
	}
}

func TestMessages(t *testing.T) {
	requests := []Request{
		{Token: "rdy", Version: 2, Size: 4096, Offset: 7, Count: 4, Bitmap: []byte{0b1011}},
		{Size: 256, Count: 1},
	}
	for _, want := range requests {
		got, err := ParseRequest(want.Encode())
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
	block := Block{Token: "rdy", Index: 9, Payload: []byte("data")}
	if got, err := ParseBlock(block.Encode()); err != nil || fmt.Sprint(got) != fmt.Sprint(block) {
		t.Errorf("got %+v, %v", got, err)
	}
	if extra := len(block.Encode()) - len(block.Payload); extra > 40 {
		t.Errorf("a block costs %d bytes more than its payload", extra)
	}
	rejection := &Rejection{Code: "VersionMismatch", Message: "m", Token: "rdy"}
	if got, err := ParseRejection(rejection.Encode()); err != nil || *got != *rejection {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestMessagesRefused(t *testing.T) {
	encoded := func(edit func(w *mapWriter)) []byte {
		w := newMap(4)
		w.text("c", "")
		edit(w)
		return w.b
	}
	for name, data := range map[string][]byte{
		"nothing":        nil,
		"no payload":     encoded(func(w *mapWriter) { w.int("f", 0); w.int("i", 0); w.int("l", 0) }),
		"payload a text": newBlock(0, 2, func(w *mapWriter) { w.text("p", "ab") }),
		"wrong length":   newBlock(0, 3, func(w *mapWriter) { w.bytes("p", []byte("ab")) }),
		"negative":       newBlock(-1, 2, func(w *mapWriter) { w.bytes("p", []byte("ab")) }),
	} {
		if b, err := ParseBlock(data); err == nil {
			t.Errorf("%s: %+v", name, b)
		}
	}
	if _, err := ParseRequest(encoded(func(w *mapWriter) { w.int("f", 0); w.text("l", "4096"); w.int("o", 0) })); err == nil {
		t.Error("a request with a text for a number was read")
	}
	if _, err := ParseRejection(newMap(0).b); err == nil {
		t.Error("a rejection without code was read")
	}
}

func newBlock(index, length int64, payload func(*mapWriter)) []byte {
	w := newMap(4)
	w.int("f", 0)
	w.int("i", index)
	w.int("l", length)
	payload(w)
	return w.b
}

// bench is a service on a broker, and what it answers.
type bench struct {
	t *testing.T
	*Service
	b       *broker.Broker
	answers []string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	x := &bench{t: t, Service: New(), b: broker.New(broker.Options{})}
	if err := x.Serve(x.b); err != nil {
		t.Fatal(err)
	}
	if _, err := x.b.Subscribe(Topic("T", "+", "#"), x.answered); err != nil {
		t.Fatal(err)
	}
	return x
}

func (x *bench) answered(m broker.Message) {
	switch {
	case strings.HasSuffix(m.Topic, "/data/cbor"):
		b, err := ParseBlock(m.Payload)
		if err != nil {
			x.t.Error(err)
		}
		x.answers = append(x.answers, fmt.Sprintf("%s %d:%d", b.Token, b.Index, len(b.Payload)))
	case strings.HasSuffix(m.Topic, "/rejected/cbor"):
		r, err := ParseRejection(m.Payload)
		if err != nil {
			x.t.Error(err)
		}
		x.answers = append(x.answers, r.Token+" "+r.Code)
	}
}

func (x *bench) ask(stream string, payload []byte) []string {
	x.t.Helper()
	x.answers = nil
	if err := x.b.Publish(broker.Message{Topic: Topic("T", stream, "get/cbor"), Payload: payload}); err != nil {
		x.t.Fatal(err)
	}
	return x.answers
}

func TestService(t *testing.T) {
	x := newBench(t)
	if v := x.Put("s", make([]byte, 2500)); v != 1 {
		t.Errorf("version %d", v)
	}
	x.Put("large", make([]byte, 1<<20))
	for _, c := range []struct {
		stream string
		r      Request
		want   string
	}{
		{"s", Request{Size: 1000, Count: 2}, "[t 0:1000 t 1:1000]"},
		{"s", Request{Size: 1000, Offset: 1, Count: 9}, "[t 1:1000 t 2:500]"},
		{"s", Request{Size: 1000}, "[t 0:1000 t 1:1000 t 2:500]"},
		{"s", Request{Size: 1000, Bitmap: []byte{0b101}}, "[t 0:1000 t 2:500]"},
		{"s", Request{Size: 1000, Bitmap: []byte{0b101}, Count: 1}, "[t 0:1000]"},
		{"s", Request{Size: 1000, Bitmap: []byte{0b11}, Offset: 1, Version: 1}, "[t 1:1000 t 2:500]"},
		{"s", Request{Size: 4096, Count: 1}, "[t 0:2500]"},
		{"s", Request{Size: 1000, Bitmap: []byte{0}}, "[]"},
		{"large", Request{Size: 65536, Count: 16}, "[t 0:65536 t 1:65536]"}, // 128 KiB for one request
		{"s", Request{Size: 1000, Version: 2}, "[t VersionMismatch]"},
		{"s", Request{Size: 1000, File: 1}, "[t ResourceNotFound]"},
		{"x", Request{Size: 1000}, "[t ResourceNotFound]"},
		{"s", Request{Size: 255}, "[t BlockSizeOutOfBounds]"},
		{"s", Request{Size: 131073}, "[t BlockSizeOutOfBounds]"},
		{"s", Request{Size: 1000, Offset: 3}, "[t OffsetOutOfBounds]"},
		{"s", Request{Size: 1000, Offset: -1}, "[t OffsetOutOfBounds]"},
		{"s", Request{Size: 1000, Offset: math.MaxInt64}, "[t OffsetOutOfBounds]"},
		{"s", Request{Size: 1000, Count: -1}, "[t BlockCountLimitExceeded]"},
		{"s", Request{Size: 1000, Count: 98305}, "[t BlockCountLimitExceeded]"},
		{"s", Request{Size: 1000, Bitmap: make([]byte, 12289)}, "[t BlockBitmapLimitExceeded]"},
	} {
		c.r.Token = "t"
		if got := fmt.Sprint(x.ask(c.stream, c.r.Encode())); got != c.want {
			t.Errorf("%s %+v: %s, want %s", c.stream, c.r, got, c.want)
		}
	}
	if got := x.ask("s", []byte("?")); !slices.Equal(got, []string{" InvalidCbor"}) {
		t.Errorf("no CBOR: %v", got)
	}
	long := Request{Token: strings.Repeat("t", 65), Size: 1000}
	if got := x.ask("s", long.Encode()); !slices.Equal(got, []string{" InvalidRequest"}) {
		t.Errorf("long token: %v", got)
	}
	if v := x.Put("s", nil); v != 2 {
		t.Errorf("version %d of the second file", v)
	}
	x.Remove("s")
	if got := x.ask("s", Request{Size: 1000}.Encode()); !slices.Equal(got, []string{" ResourceNotFound"}) {
		t.Errorf("removed: %v", got)
	}
}

// A platform that has restarted answers on its new broker only.
func TestServeAgain(t *testing.T) {
	x := newBench(t)
	x.Put("s", make([]byte, 10))
	second := broker.New(broker.Options{})
	if err := x.Serve(second); err != nil {
		t.Fatal(err)
	}
	if got := x.ask("s", Request{Size: 256}.Encode()); len(got) != 0 {
		t.Errorf("answers on the old broker: %v", got)
	}
	x.b = second
	if _, err := second.Subscribe(Topic("T", "+", "#"), x.answered); err != nil {
		t.Fatal(err)
	}
	if got := x.ask("s", Request{Size: 256}.Encode()); len(got) != 1 {
		t.Errorf("answers on the new broker: %v", got)
	}
}

// FuzzParse reads anything. What can be read repeats.
func FuzzParse(f *testing.F) {
	f.Add(Request{Token: "t", Version: 1, Size: 4096, Offset: 3, Count: 2, Bitmap: []byte{5}}.Encode())
	f.Add(Block{Token: "t", Index: 3, Payload: []byte("data")}.Encode())
	f.Add((&Rejection{"C", "m", "t"}).Encode())
	s := New()
	s.Put("s", make([]byte, 100_000))
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := ParseRequest(data); err == nil {
			if again, err := ParseRequest(r.Encode()); err != nil || fmt.Sprint(again) != fmt.Sprint(r) {
				t.Errorf("%+v, then %+v, %v", r, again, err)
			}
		}
		if b, err := ParseBlock(data); err == nil {
			if again, err := ParseBlock(b.Encode()); err != nil || fmt.Sprint(again) != fmt.Sprint(b) {
				t.Errorf("%+v, then %+v, %v", b, again, err)
			}
		}
		if r, err := ParseRejection(data); err == nil {
			if again, err := ParseRejection(r.Encode()); err != nil || *again != *r {
				t.Errorf("%+v, then %+v, %v", r, again, err)
			}
		}
		blocks, rejection := s.blocks("s", data)
		total := 0
		for _, b := range blocks {
			total += len(b.Payload)
		}
		if total > MaxResponse || rejection != nil && total > 0 {
			t.Errorf("%d bytes for one request", total)
		}
	})
}
