package reading

import (
	"encoding/hex"
	"math"
	"testing"

	"github.com/thinlink/thinlink/clients"
)

var sample = clients.Reading{Text: "abc", Integer: -1000000, Float: 20.00390625, Boolean: true}

func TestKnownBytes(t *testing.T) {
	for f, want := range map[Format]string{
		JSON:     hex.EncodeToString([]byte(`{"string_value":"abc","integer_value":-1000000,"float_value":20.00390625,"boolean_value":true}`)),
		CBOR:     "a4" + "0163616263" + "023a000f423f" + "03fa41a00800" + "04f5",
		Protobuf: "0a03616263" + "10ff887a" + "190000000000013440" + "2001",
	} {
		if got := hex.EncodeToString(f.Reading(sample)); got != want {
			t.Errorf("%s: %s, want %s", f, got, want)
		}
	}
	for f, want := range map[Format]string{JSON: hex.EncodeToString([]byte(`{"command":42}`)), CBOR: "a101182a", Protobuf: "0854"} {
		if got := hex.EncodeToString(f.Command(42)); got != want {
			t.Errorf("%s: command %s, want %s", f, got, want)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	for _, f := range []Format{JSON, CBOR, Protobuf} {
		for _, r := range []clients.Reading{{}, sample, {Text: "<ä&>", Integer: math.MaxInt64, Float: -0.1}} {
			if got, err := f.ParseReading(f.Reading(r)); err != nil || got != r {
				t.Errorf("%s: %+v, %v; want %+v", f, got, err, r)
			}
		}
		for _, v := range []int64{0, 42, math.MinInt64} {
			if got, err := f.ParseCommand(f.Command(v)); err != nil || got != v {
				t.Errorf("%s: %d, %v; want %d", f, got, err, v)
			}
		}
		if _, err := f.ParseCommand(nil); err == nil {
			t.Errorf("%s: a command in nothing", f)
		}
		if err := f.Encodable(clients.Reading{Float: math.NaN()}); (err != nil) != (f == JSON) {
			t.Errorf("%s: NaN: %v", f, err)
		}
	}
	// A field that is not known, of every type, is skipped.
	unknown, _ := hex.DecodeString("2801" + "31" + "0000000000000000" + "3a0161" + "4d00000000" + "0854")
	if v, err := Protobuf.ParseCommand(unknown); err != nil || v != 42 {
		t.Errorf("%d, %v", v, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, format := range []Format{JSON, CBOR, Protobuf} {
		f.Add(string(format), format.Reading(sample))
		f.Add(string(format), format.Command(42))
	}
	f.Fuzz(func(t *testing.T, format string, data []byte) {
		f := Format(format)
		if f != JSON && f != CBOR && f != Protobuf {
			return
		}
		if v, err := f.ParseCommand(data); err == nil {
			if again, err := f.ParseCommand(f.Command(v)); err != nil || again != v {
				t.Errorf("command %d, then %d, %v", v, again, err)
			}
		}
		r, err := f.ParseReading(data)
		if err != nil || f.Encodable(r) != nil || math.IsNaN(r.Float) {
			return
		}
		if again, err := f.ParseReading(f.Reading(r)); f != JSON && (err != nil || again != r) {
			t.Errorf("%+v, then %+v, %v", r, again, err)
		}
	})
}
