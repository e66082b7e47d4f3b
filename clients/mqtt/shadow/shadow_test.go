package shadow

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

var now = time.Unix(1258000000, 0)

// update applies a request that must be accepted.
func update(t *testing.T, s *Shadow, payload string) Outcome {
	t.Helper()
	out, rej := s.Update([]byte(payload), now)
	if rej != nil {
		t.Fatalf("update %s: %v", payload, rej)
	}
	return out
}

func want(t *testing.T, what string, got []byte, want string) {
	t.Helper()
	if string(got) != want {
		t.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
}

func TestUpdate(t *testing.T) {
	s := new(Shadow)
	out := update(t, s, `{"state":{"reported":{"b":1.50,"a":{"x":[1,2]}}},"clientToken":"t1"}`)
	want(t, "accepted", out.Accepted, `{"state":{"reported":{"a":{"x":[1,2]},"b":1.50}},`+
		`"metadata":{"reported":{"a":{"x":[{"timestamp":1258000000},{"timestamp":1258000000}]},"b":{"timestamp":1258000000}}},`+
		`"version":1,"timestamp":1258000000,"clientToken":"t1"}`)
	want(t, "documents", out.Documents, `{"previous":{"state":{},"metadata":{},"version":0},`+
		`"current":{"state":{"reported":{"a":{"x":[1,2]},"b":1.50}},`+
		`"metadata":{"reported":{"a":{"x":[{"timestamp":1258000000},{"timestamp":1258000000}]},"b":{"timestamp":1258000000}}},"version":1},`+
		`"timestamp":1258000000,"clientToken":"t1"}`)
	if out.Delta != nil || !out.Reported {
		t.Errorf("delta %s, reported %v", out.Delta, out.Reported)
	}
	now := now.Add(time.Minute)
	out, rej := s.Update([]byte(`{"state":{"desired":{"b":2,"c":true},"reported":null}}`), now)
	if rej != nil || out.Reported {
		t.Fatal(rej, out.Reported)
	}
	want(t, "accepted", out.Accepted, `{"state":{"desired":{"b":2,"c":true},"reported":null},`+
		`"metadata":{"desired":{"b":{"timestamp":1258000060},"c":{"timestamp":1258000060}}},"version":2,"timestamp":1258000060}`)
	want(t, "delta", out.Delta, `{"state":{"b":2,"c":true},`+
		`"metadata":{"b":{"timestamp":1258000060},"c":{"timestamp":1258000060}},"version":2,"timestamp":1258000060}`)
}

func TestMergeRemovesAndKeeps(t *testing.T) {
	s := new(Shadow)
	update(t, s, `{"state":{"reported":{"a":{"x":1,"y":2},"b":1,"c":{"z":1}}}}`)
	update(t, s, `{"state":{"reported":{"a":{"x":null,"w":3},"b":null,"c":{"z":null},"d":{},"e":5}}}`)
	want(t, "reported", s.Reported(), `{"a":{"w":3,"y":2},"e":5}`)
	update(t, s, `{"state":{"reported":{"a":7,"e":{"f":1}}}}`)
	want(t, "reported", s.Reported(), `{"a":7,"e":{"f":1}}`)
	update(t, s, `{"state":null}`)
	got, rej := s.Get(nil, now)
	if rej != nil {
		t.Fatal(rej)
	}
	want(t, "get", got, `{"state":{},"metadata":{},"version":4,"timestamp":1258000000}`)
}

func TestDeltaIsNested(t *testing.T) {
	s := new(Shadow)
	out := update(t, s, `{"state":{"desired":{"a":{"x":1,"y":2},"l":[1]},"reported":{"a":{"x":1,"y":3,"z":4},"l":[1]}}}`)
	want(t, "delta", out.Delta, `{"state":{"a":{"y":2}},"metadata":{"a":{"y":{"timestamp":1258000000}}},"version":1,"timestamp":1258000000}`)
	got, rej := s.Get([]byte(`{"clientToken":"g"}`), now)
	if rej != nil {
		t.Fatal(rej)
	}
	var doc struct {
		State       map[string]json.RawMessage
		ClientToken string
	}
	if err := json.Unmarshal(got, &doc); err != nil {
		t.Fatal(err)
	}
	want(t, "delta of get", doc.State["delta"], `{"a":{"y":2}}`)
	if doc.ClientToken != "g" {
		t.Errorf("token %q", doc.ClientToken)
	}
	if out = update(t, s, `{"state":{"reported":{"a":{"y":2}}}}`); out.Delta != nil {
		t.Errorf("delta %s after the device complied", out.Delta)
	}
}

func TestDelete(t *testing.T) {
	s := new(Shadow)
	if _, rej := s.Delete(nil, now); rej == nil || rej.Code != 404 {
		t.Errorf("delete of nothing: %v", rej)
	}
	update(t, s, `{"state":{"reported":{"a":1}}}`)
	got, rej := s.Delete([]byte(`{"clientToken":"d"}`), now)
	if rej != nil {
		t.Fatal(rej)
	}
	want(t, "delete", got, `{"version":1,"timestamp":1258000000,"clientToken":"d"}`)
	if _, rej := s.Get(nil, now); rej == nil || rej.Code != 404 {
		t.Errorf("get after delete: %v", rej)
	}
	update(t, s, `{"state":{"reported":{"a":1}}}`)
	if s.Version() != 3 {
		t.Errorf("version %d, want 3: it goes on counting", s.Version())
	}
}

func TestRejections(t *testing.T) {
	nested := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	for _, c := range []struct {
		payload string
		code    int
	}{
		{``, 400}, {`{`, 400}, {`[]`, 400}, {`{} {}`, 400}, {`{"state":{}} x`, 400},
		{`{}`, 400}, {`{"state":1}`, 400}, {`{"state":{"reported":1}}`, 400}, {`{"state":{"other":{}}}`, 400},
		{`{"state":{"reported":{"a":1}},"version":"1"}`, 400},
		{`{"state":{"reported":{"a":1}},"version":5}`, 409},
		{`{"state":{"reported":{"a":1}},"clientToken":"` + strings.Repeat("t", 65) + `"}`, 400},
		{`{"state":{"reported":` + nested(9) + `}}`, 400},
		{`{"state":{"reported":{"a":"` + strings.Repeat("x", MaxState) + `"}}}`, 413},
	} {
		s := new(Shadow)
		if _, rej := s.Update([]byte(c.payload), now); rej == nil || rej.Code != c.code {
			t.Errorf("%.60s: %v, want %d", c.payload, rej, c.code)
		}
		if s.Version() != 0 {
			t.Errorf("%.60s changed the shadow", c.payload)
		}
	}
	s := new(Shadow)
	update(t, s, `{"state":{"reported":`+nested(8)+`},"version":0}`)
	update(t, s, `{"state":{"reported":{"b":1}},"version":1,"clientToken":"`+strings.Repeat("t", 64)+`"}`)
}

func TestStateLimitIsExact(t *testing.T) {
	fill := MaxState - len(`{"a":""}`)
	s := new(Shadow)
	update(t, s, fmt.Sprintf(`{"state":{"reported":{"a":%q}}}`, strings.Repeat("x", fill)))
	s = new(Shadow)
	_, rej := s.Update(fmt.Appendf(nil, `{"state":{"reported":{"a":%q}}}`, strings.Repeat("x", fill+1)), now)
	if rej == nil || rej.Code != 413 {
		t.Errorf("one byte more: %v", rej)
	}
}

// FuzzUpdate holds two things for any sequence of two requests: a rejected one
// changes nothing, and an accepted one publishes valid JSON.
func FuzzUpdate(f *testing.F) {
	f.Add(`{"state":{"reported":{"a":{"x":1},"b":[1,{"c":null}]}}}`, `{"state":{"desired":{"a":{"x":null}},"reported":{"a":3}}}`)
	f.Add(`{"state":{"desired":{"a":{}}}}`, `{"state":null,"version":1,"clientToken":"x"}`)
	f.Fuzz(func(t *testing.T, first, second string) {
		s := new(Shadow)
		for _, payload := range []string{first, second} {
			before, version := string(s.Reported()), s.Version()
			out, rej := s.Update([]byte(payload), now)
			if rej != nil {
				if s.Version() != version || string(s.Reported()) != before {
					t.Errorf("rejected %q changed the shadow", payload)
				}
				continue
			}
			if s.Version() != version+1 {
				t.Errorf("version %d after %d", s.Version(), version)
			}
			for _, b := range [][]byte{out.Accepted, out.Documents, s.Reported()} {
				if !json.Valid(b) {
					t.Errorf("invalid JSON %s", b)
				}
			}
			if out.Delta != nil && !json.Valid(out.Delta) {
				t.Errorf("invalid delta %s", out.Delta)
			}
			if s.size() > MaxState {
				t.Errorf("state of %d bytes", s.size())
			}
		}
	})
}
