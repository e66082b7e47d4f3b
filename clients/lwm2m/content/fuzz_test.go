package content

import (
	"bytes"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
)

// fuzzFormat feeds a decoder arbitrary payloads: what it reads can be written,
// and what was written reads as the same again.
func fuzzFormat(f *testing.F, format message.MediaType, at string, seeds ...[]byte) {
	base := path(at)
	for _, s := range seeds {
		f.Add(s)
	}
	for _, nodes := range [][]model.Node{typical, {node("/7/0/9", model.Multiple{})}, {node("/7/0/9/3", int64(-300))}, {at1000, node("/7/0/2", 1e-9)}} {
		if b, err := Encode(format, base, nodes); err == nil {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		nodes, err := Decode(format, base, quality, payload)
		if err != nil {
			return
		}
		b, err := Encode(format, base, nodes)
		if err != nil {
			t.Fatalf("%q reads as %v: %v", payload, nodes, err)
		}
		again, err := Decode(format, base, quality, b)
		if err != nil {
			t.Fatalf("%q became %q: %v", payload, b, err)
		}
		if c, err := Encode(format, base, again); err != nil || !bytes.Equal(c, b) {
			t.Fatalf("%q became %q, then %q: %v", payload, b, c, err)
		}
	})
}

var at1000 = at("/7/0/2", 22.5, 1000)

func FuzzSenMLJSON(f *testing.F) {
	fuzzFormat(f, SenMLJSON, "/", []byte(deviceSenML), []byte(`[{"bn":"/7/0/","bt":1e3,"bv":2,"n":"1","v":40,"t":-5},{"n":"4","vd":"AQI"},{"n":"9/1","v":null}]`))
}

func FuzzSenMLCBOR(f *testing.F) {
	fuzzFormat(f, SenMLCBOR, "/", unhex(deviceCBOR), unhex("81 A2 21 66 2F372F302F32 02 C4 82 21 19 0100"), unhex("9F BF 21 64 2F372F30 FF FF"))
}

func FuzzJSON(f *testing.F) {
	fuzzFormat(f, JSON, "/7", []byte(deviceJSON), []byte(`{"e":[{"n":"0/2","v":22.4,"t":-5},{"n":"0/2","v":22.9,"t":-30}],"bt":25462634}`),
		[]byte(`{"bt":1e308,"e":[{"n":"0/2","v":1,"t":1e308}]}`))
}

func FuzzLwM2MCBOR(f *testing.F) {
	fuzzFormat(f, LwM2MCBOR, "/", unhex("A1 83 07 00 01 05"), unhex("BF 07 BF 00 BF 09 A1 00 01 FF FF FF"), unhex("A2 07 A1 00 A0 03 F6"))
}

func FuzzCBOR(f *testing.F) {
	fuzzFormat(f, CBOR, "/7/0/2", unhex("FB 403419999999999A"), unhex("C4 82 21 19 0100"), unhex("C1 1A 5182428F"), unhex("F9 3800"))
}

func FuzzTLVNodes(f *testing.F) {
	fuzzFormat(f, TLV, "/7", unhex("08 00 03 C1 01 F9"), unhex("00 00 03 03 C1 01 01"), unhex("C1 01 F9"))
}
