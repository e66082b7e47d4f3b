package content

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"slices"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
)

// path and node make the tests' tables short.
func path(s string) model.Path { return must(model.ParsePath(s)) }

func node(s string, v any) model.Node { return model.Node{Path: path(s), Value: v} }

func at(s string, v any, time float64) model.Node {
	return model.Node{Path: path(s), Value: v, Time: time}
}

// The device object of the specification (Core 1.1 sections 7.4.3 to 7.4.5).
var deviceNodes = model.Flat(model.Nodes(path("/3/0"), specDeviceValues))

const deviceSenML = `[{"bn":"/3/0/","n":"0","vs":"Open Mobile Alliance"},{"n":"1","vs":"Lightweight M2M Client"},{"n":"2","vs":"345000123"},` +
	`{"n":"3","vs":"1.0"},{"n":"6/0","v":1},{"n":"6/1","v":5},{"n":"7/0","v":3800},{"n":"7/1","v":5000},{"n":"8/0","v":125},{"n":"8/1","v":900},` +
	`{"n":"9","v":100},{"n":"10","v":15},{"n":"11/0","v":0},{"n":"13","v":1367491215},{"n":"14","vs":"+02:00"},{"n":"16","vs":"U"}]`

const deviceJSON = `{"bn":"/3/0/","e":[{"n":"0","sv":"Open Mobile Alliance"},{"n":"1","sv":"Lightweight M2M Client"},{"n":"2","sv":"345000123"},` +
	`{"n":"3","sv":"1.0"},{"n":"6/0","v":1},{"n":"6/1","v":5},{"n":"7/0","v":3800},{"n":"7/1","v":5000},{"n":"8/0","v":125},{"n":"8/1","v":900},` +
	`{"n":"9","v":100},{"n":"10","v":15},{"n":"11/0","v":0},{"n":"13","v":1367491215},{"n":"14","sv":"+02:00"},{"n":"16","sv":"U"}]}`

var deviceCBOR = "90 A3 21 65 2F332F302F 00 61 30 03 74 4F70656E204D6F62696C6520416C6C69616E6365" +
	"A2 00 61 31 03 76 4C69676874776569676874204D324D20436C69656E74 A2 00 61 32 03 69 333435303030313233" +
	"A2 00 61 33 03 63 312E30 A2 00 63 362F30 02 01 A2 00 63 362F31 02 05 A2 00 63 372F30 02 19 0ED8" +
	"A2 00 63 372F31 02 19 1388 A2 00 63 382F30 02 18 7D A2 00 63 382F31 02 19 0384 A2 00 61 39 02 18 64" +
	"A2 00 62 3130 02 0F A2 00 64 31312F30 02 00 A2 00 62 3133 02 1A 5182428F A2 00 62 3134 03 66 2B30323A3030" +
	"A2 00 62 3136 03 61 55"

// quality is a schema of resources of every type.
var quality = schemaOf(
	model.Resource{ID: 0, Type: model.String}, model.Resource{ID: 1, Type: model.Integer}, model.Resource{ID: 2, Type: model.Float},
	model.Resource{ID: 3, Type: model.Boolean}, model.Resource{ID: 4, Type: model.Opaque}, model.Resource{ID: 5, Type: model.Time},
	model.Resource{ID: 6, Type: model.ObjectLink}, model.Resource{ID: 7, Type: model.Unsigned}, model.Resource{ID: 8, Type: model.CoreLink},
	model.Resource{ID: 9, Type: model.Integer, Multiple: true}, model.Resource{ID: 10, Type: model.Opaque, Multiple: true},
)

func TestKnownAnswers(t *testing.T) {
	for _, test := range []struct {
		what   string
		format message.MediaType
		base   string
		schema model.Schema
		nodes  []model.Node
		want   string // hexadecimal for binary formats
	}{
		// Core 1.1 table 7.4.4-2 and its CBOR.
		{"device", SenMLJSON, "/3/0", objects.Schema, deviceNodes, deviceSenML},
		{"device", SenMLCBOR, "/3/0", objects.Schema, deviceNodes, deviceCBOR},
		{"device", JSON, "/3/0", objects.Schema, deviceNodes, deviceJSON},
		{"one resource", SenMLJSON, "/3/0/0", objects.Schema, []model.Node{node("/3/0/0", "Open Mobile Alliance")}, `[{"bn":"/3/0/0","vs":"Open Mobile Alliance"}]`},
		{"instances of a resource", SenMLJSON, "/3/0/7", objects.Schema, []model.Node{node("/3/0/7/0", int64(3800)), node("/3/0/7/1", int64(5000))}, `[{"bn":"/3/0/7/","n":"0","v":3800},{"n":"1","v":5000}]`},
		{"nothing", SenMLJSON, "/3/0/7", objects.Schema, []model.Node{}, `[]`},
		{"nothing", SenMLCBOR, "/3/0/7", objects.Schema, []model.Node{}, "80"},
		// Core 1.1 section 6.3.8: a composite read of several objects.
		{"composite", SenMLJSON, "/", objects.Schema, []model.Node{node("/3/0/0", "Open Mobile Alliance"), node("/3/0/9", int64(95)), node("/4/0/0", int64(45)), node("/6/0/0", 43.918998), node("/6/0/1", 2.351149)},
			`[{"bn":"/3/0/","n":"0","vs":"Open Mobile Alliance"},{"n":"9","v":95},{"bn":"/4/0/0","v":45},{"bn":"/6/0/","n":"0","v":43.918998},{"n":"1","v":2.351149}]`},
		// RFC 8428 sections 4.3 and 6: base64url without padding, labels of table 4.
		{"opaque", SenMLJSON, "/0/0/3", objects.Schema, []model.Node{node("/0/0/3", []byte{0xab, 0xcd, 0xef})}, `[{"bn":"/0/0/3","vd":"q83v"}]`},
		{"opaque", SenMLCBOR, "/0/0/3", objects.Schema, []model.Node{node("/0/0/3", []byte{0xab, 0xcd, 0xef})}, "81 A2 21 66 2F302F302F33 08 43 ABCDEF"},
		{"unpadded opaque", SenMLJSON, "/0/0/3", objects.Schema, []model.Node{node("/0/0/3", []byte{0xff, 0xfe})}, `[{"bn":"/0/0/3","vd":"__4"}]`},
		{"link", SenMLCBOR, "/9/0/5", objects.Schema, []model.Node{node("/9/0/5", model.Link{Object: 66, Instance: 1})}, "81 A2 21 66 2F392F302F35 63 766C6F 64 36363A31"},
		{"times", SenMLJSON, "/1024/0/2", quality, []model.Node{at("/1024/0/2", 22.9, 268500000), at("/1024/0/2", 22.4, 268500010)},
			`[{"bn":"/1024/0/2","bt":268500000,"v":22.9},{"bn":"/1024/0/2","bt":268500010,"v":22.4}]`},
		{"every type", SenMLJSON, "/7/0", quality, typical, `[{"bn":"/7/0/","n":"0","vs":"<a & \"b\">"},{"n":"1","v":-7},{"n":"2","v":0.5},{"n":"3","vb":true},{"n":"4","vd":"AQL_"},` +
			`{"n":"5","v":1367491215},{"n":"6","vlo":"3:0"},{"n":"7","v":18446744073709551615},{"n":"8","vs":"</3/0>"},{"n":"9/0","v":1},{"n":"9/65534","v":2}]`},
		{"every type", JSON, "/7/0", quality, typical, `{"bn":"/7/0/","e":[{"n":"0","sv":"<a & \"b\">"},{"n":"1","v":-7},{"n":"2","v":0.5},{"n":"3","bv":true},{"n":"4","sv":"AQL/"},` +
			`{"n":"5","v":1367491215},{"n":"6","ov":"3:0"},{"n":"7","v":18446744073709551615},{"n":"8","sv":"</3/0>"},{"n":"9/0","v":1},{"n":"9/65534","v":2}]}`},
		{"every type", TLV, "/7/0", quality, typical, "C8 00 09 3C6120262022622 23E C1 01 F9 C8 02 08 3FE0000000000000 C1 03 01 C3 04 0102FF C4 05 5182428F C4 06 00030000" +
			"C8 07 08 FFFFFFFFFFFFFFFF C6 08 3C2F332F303E 87 09 41 00 01 61 FFFE 02"},
		{"every type", LwM2MCBOR, "/7/0", quality, typical, "A1 07 A1 00 AA 00 69 3C612026202262223E 01 26 02 F9 3800 03 F5 04 43 0102FF 05 1A 5182428F 06 63 333A30" +
			"07 1B FFFFFFFFFFFFFFFF 08 66 3C2F332F303E 09 A2 00 01 19 FFFE 02"},
		{"one integer", CBOR, "/7/0/1", quality, []model.Node{node("/7/0/1", int64(-7))}, "26"},
		{"one link", CBOR, "/7/0/6", quality, []model.Node{node("/7/0/6", model.Link{Object: 66, Instance: 1})}, "64 36363A31"},
		{"one float", CBOR, "/7/0/2", quality, []model.Node{node("/7/0/2", 20.1)}, "FB 403419999999999A"},
		{"one resource instance", TLV, "/7/0/9/2", quality, []model.Node{node("/7/0/9/2", int64(5))}, "41 02 05"},
		{"empty instances", TLV, "/7", quality, []model.Node{node("/7/0", nil), node("/7/3", nil), node("/7/3/1", int64(1))}, "00 00 03 03 C1 01 01"},
		{"empty instances", LwM2MCBOR, "/7", quality, []model.Node{node("/7/0", nil), node("/7/3/1", int64(1))}, "A1 07 A2 00 A0 03 A1 01 01"},
		{"a resource without instances", TLV, "/7/0", quality, []model.Node{node("/7/0/9", model.Multiple{})}, "80 09"},
	} {
		want := []byte(test.want)
		if test.format != SenMLJSON && test.format != JSON {
			want = unhex(test.want)
		}
		got, err := Encode(test.format, path(test.base), test.nodes)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s in %s:\n%s, %v, want\n%s", test.what, Name(test.format), printable(test.format, got), err, printable(test.format, want))
		}
		again, err := Decode(test.format, path(test.base), test.schema, want)
		if again = again[:len(again):len(again)]; err != nil || len(again) != len(test.nodes) {
			t.Errorf("%s in %s: decoded %v, %v", test.what, Name(test.format), again, err)
			continue
		}
		for i := range again {
			if test.format != TLV && test.format != LwM2MCBOR && !reflect.DeepEqual(again[i], test.nodes[i]) {
				t.Errorf("%s in %s: decoded %#v, want %#v", test.what, Name(test.format), again[i], test.nodes[i])
			}
		}
	}
}

// typical has a value of every type.
var typical = []model.Node{
	node("/7/0/0", `<a & "b">`), node("/7/0/1", int64(-7)), node("/7/0/2", 0.5), node("/7/0/3", true), node("/7/0/4", []byte{1, 2, 255}),
	node("/7/0/5", int64(1367491215)), node("/7/0/6", model.Link{Object: 3}), node("/7/0/7", uint64(1<<64-1)), node("/7/0/8", "</3/0>"),
	node("/7/0/9/0", int64(1)), node("/7/0/9/65534", int64(2)),
}

func printable(f message.MediaType, b []byte) string {
	if f == SenMLJSON || f == JSON {
		return string(b)
	}
	return hex.EncodeToString(b)
}

// What others may write in place of what we do.
func TestDecodeVariants(t *testing.T) {
	one := []model.Node{node("/7/0/1", int64(42))}
	two := []model.Node{node("/7/0/1", int64(42)), node("/7/0/7", uint64(21))}
	for _, test := range []struct {
		format  message.MediaType
		base    string
		payload string
		want    []model.Node
	}{
		{SenMLJSON, "/7/0", `[{"n":"/7/0/1","v":42}]`, one},
		{SenMLJSON, "/7/0", `[{"bn":"/7","n":"/0/1","v":42}]`, one},
		{SenMLJSON, "/7/0", `[{"bn":"/7/0/","n":"1","v":4.2e1,"u":"Cel","x":1}]`, one},
		{SenMLJSON, "/7/0", `[{"bver":10,"bn":"/7/0/","n":"1","v":42.0}]`, one},
		{SenMLJSON, "/7/0", `[{"bn":"/7/0/","bv":2,"n":"1","v":40},{"n":"7","v":19}]`, two},
		{SenMLJSON, "/7/0", `[{"bn":"/7/0/4","vd":"AQL_"}]`, []model.Node{node("/7/0/4", []byte{1, 2, 255})}},
		{SenMLJSON, "/7/0", `[{"bn":"/7/0/4","vd":"AQI="}]`, []model.Node{node("/7/0/4", []byte{1, 2})}},
		{SenMLJSON, "/7/0", `[{"bn":"/7/0/1","bt":1000,"t":-5,"v":42}]`, []model.Node{at("/7/0/1", int64(42), 995)}},
		{SenMLJSON, "/7/0", `[{"bn":"/7/0/9/1","v":null}]`, []model.Node{node("/7/0/9/1", nil)}},
		{JSON, "/7/0", `{"e":[{"n":"1","v":42}]}`, one},
		{JSON, "/7/0", `{"bn":"/7/0/1","e":[{"v":42}]}`, one},
		{JSON, "/7/0", `{"bn":"/","e":[{"n":"7/0/1","v":42}]}`, one},
		{JSON, "/7", `{"e":[{"n":"0/2","v":22.4,"t":-5},{"n":"0/2","v":22.9,"t":-30}],"bt":25462634}`, []model.Node{at("/7/0/2", 22.4, 25462629), at("/7/0/2", 22.9, 25462604)}},
		{SenMLCBOR, "/7/0", "81 A2 21 66 2F372F302F31 02 18 2A", one},
		{SenMLCBOR, "/7/0", "9F BF 21 66 2F372F302F31 02 18 2A FF FF", one},
		{SenMLCBOR, "/7/0", "81 A2 62 626E 66 2F372F302F31 02 C4 82 20 19 01A4", one}, // a name in place of a label, 420e-1
		{SenMLCBOR, "/7/0", "81 A2 21 66 2F372F302F31 02 FA 42280000", one},
		{LwM2MCBOR, "/7/0", "A1 83 07 00 01 18 2A", one},
		{LwM2MCBOR, "/7/0", "BF 9F 07 00 01 FF 18 2A FF", one},
		{LwM2MCBOR, "/7/0", "A1 81 07 A1 81 00 A1 81 01 18 2A", one},
		{LwM2MCBOR, "/7/0", "BF 07 BF 00 BF 01 18 2A FF FF FF", one},
		{LwM2MCBOR, "/7/0", "A1 82 07 00 A2 01 18 2A 07 15", two},
		{LwM2MCBOR, "/7/0", "A2 83 07 00 01 18 2A 82 07 00 A1 81 07 15", two},
		{LwM2MCBOR, "/7/0", "A1 83 07 00 09 A2 02 F6 03 05", []model.Node{node("/7/0/9/2", nil), node("/7/0/9/3", int64(5))}},
		{LwM2MCBOR, "/7/0", "A1 83 07 00 09 A0", []model.Node{node("/7/0/9", model.Multiple{})}},
		{LwM2MCBOR, "/7/0", "A1 83 07 00 09 BF FF", []model.Node{node("/7/0/9", model.Multiple{})}},
		{CBOR, "/7/0/5", "C1 1A FFFFFFFF", []model.Node{node("/7/0/5", int64(1<<32-1))}},
		{CBOR, "/7/0/2", "C4 82 20 18 2D", []model.Node{node("/7/0/2", 4.5)}},
		{CBOR, "/7/0/1", "F9 5140", one},
		{TLV, "/7/0", "03 00 C1 01 2A", []model.Node{node("/7/0", nil), node("/7/0/1", int64(42))}},
		{TLV, "/7", "C1 01 2A", []model.Node{{Path: model.NewPath(7, model.MaxID)}, {Path: model.NewPath(7, model.MaxID, 1), Value: int64(42)}}},
		{TLV, "/7/0/9", "41 02 05", []model.Node{node("/7/0/9/2", int64(5))}},
		{TLV, "/7/0/9", "83 09 41 02 05", []model.Node{node("/7/0/9/2", int64(5))}},
		{TLV, "/7/0/2", "C4 02 3F000000", []model.Node{node("/7/0/2", 0.5)}},
		{Text, "/7/0/9/2", "5", []model.Node{node("/7/0/9/2", int64(5))}},
		{Opaque, "/7/0/4", "\x01\x02", []model.Node{node("/7/0/4", []byte{1, 2})}},
	} {
		payload := []byte(test.payload)
		if slices.Contains([]message.MediaType{SenMLCBOR, LwM2MCBOR, CBOR, TLV}, test.format) {
			payload = unhex(test.payload)
		}
		got, err := Decode(test.format, path(test.base), quality, payload)
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s %s: %v, %v, want %v", Name(test.format), test.payload, got, err, test.want)
		}
	}
}

// Without a schema, values are of the types that the format has.
func TestDecodeUnknown(t *testing.T) {
	for _, test := range []struct {
		format  message.MediaType
		payload []byte
		want    any
	}{
		{SenMLJSON, []byte(`[{"bn":"/7/0/1","v":42}]`), int64(42)},
		{SenMLJSON, []byte(`[{"bn":"/7/0/1","v":42.5}]`), 42.5},
		{SenMLJSON, []byte(`[{"bn":"/7/0/1","v":18446744073709551615}]`), uint64(1<<64 - 1)},
		{SenMLJSON, []byte(`[{"bn":"/7/0/1","vlo":"3:0"}]`), model.Link{Object: 3}},
		{JSON, []byte(`{"bn":"/7/0/1","e":[{"sv":"AQI="}]}`), "AQI="},
		{LwM2MCBOR, unhex("A1 83 07 00 01 43 010203"), []byte{1, 2, 3}},
		{TLV, unhex("C1 01 2A"), []byte{42}},
	} {
		got, err := Decode(test.format, path("/7/0/1"), nil, test.payload)
		if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0].Value, test.want) {
			t.Errorf("%s %s: %v, %v, want %v", Name(test.format), test.payload, got, err, test.want)
		}
	}
}

func TestDecodeMalformed(t *testing.T) {
	for f, list := range map[message.MediaType][]string{
		SenMLJSON: {
			``, `{}`, `[`, `[]x`, `[1]`, `[{"v":1}]`, `[{"n":"7/0/1","v":1}]`, `[{"n":"/7/0/1","v":1,"vs":"a"}]`, `[{"n":"/7/0/1","vs":1}]`,
			`[{"n":"/7/0/1","v":"1"}]`, `[{"n":"/7/0/1","v":1.5}]`, `[{"n":"/7/0/1","v":1e999}]`, `[{"n":"/7/0/x","v":1}]`, `[{"n":"/7/0/1/2/3","v":1}]`,
			`[{"n":"/7/0/1","v":1,"must_":1}]`, `[{"bver":11,"n":"/7/0/1","v":1}]`, `[{"n":"/8/0/1","v":1}]`, `[{"n":"/7/0/1","v":1},{"n":"/7/0/1","v":2}]`,
			`[{"n":"/7/0/1/0","v":1}]`, `[{"n":"/7/0/9","v":1}]`, `[{"n":"/7/0","v":1}]`, `[{"n":"/7/0/4","vd":"!"}]`, `[{"n":"/7/0/6","vlo":"3"}]`,
			`[{"n":"/7/0/7","v":-1}]`, `[{"n":"/7/0/0","vs":"a"},{"n":"/7/0/0/0","vs":"a"}]`, `[{"bt":"x","n":"/7/0/1","v":1}]`,
		},
		JSON: {``, `[]`, `{}`, `{"e":[{"n":"1"}]}`, `{"e":[{"n":"1","v":1,"sv":"a"}]}`, `{"e":[{"n":"x","v":1}]}`, `{"bn":"/8/0/","e":[{"n":"1","v":1}]}`, `{"e":[{"n":"4","sv":"!"}]}`},
		SenMLCBOR: {
			"", "81", "A0", "81 01", "81 A1 02 01", "81 A2 21 66 2F372F302F31 02 61 31", "81 A2 21 61 2F 02 FB 7FF8000000000000", "80 80",
			"81 A2 21 66 2F372F302F31 02 C2 49 010000000000000000", "81 A3 21 66 2F372F302F31 02 01 02 01", "81 A2 21 66 2F372F302F31 02 C4 82 1A 7FFFFFFF 01",
			"81 A2 21 66 2F372F302F31 02 D8 63 01",
		},
		LwM2MCBOR: {
			"", "80", "01", "A1", "A1 07", "A1 07 05", "A1 07 A1 00 05", "A1 20 A0", "A1 61 37 A0", "A1 80 05", "A1 85 07 00 09 01 01 05", "A1 83 07 00 01 61 78",
			"A1 19 FFFF A0", "A1 83 08 00 01 05", "A2 83 07 00 01 05 83 07 00 01 05", "A1 07 A1 00 A2 09 A1 00 01 09 A1 00 02", "A1 07 A1 00 A1 01 A1 00 01", "A0 A0",
		},
		CBOR: {"", "61 78", "A0", "80", "26 26", "FB 7FF0000000000000", "C1 61 78", "FF"},
		TLV:  {"C1", "03 00 C1 01", "03 01 C1 01 2A", "C1 01 2A C1 01 2A", "C3 01 010203", "41 00 01", "81 01 2A"},
		Text: {"x", "1.5", ""}, Opaque: {"1"},
	} {
		for _, s := range list {
			payload := []byte(s)
			if f == SenMLCBOR || f == LwM2MCBOR || f == CBOR || f == TLV {
				payload = unhex(s)
			}
			base := "/7/0"
			if Single(f) {
				base = "/7/0/1"
			}
			if got, err := Decode(f, path(base), quality, payload); err == nil {
				t.Errorf("%s %s: decoded %v", Name(f), s, got)
			}
		}
	}
}

// Paths to read are records without values.
func TestPaths(t *testing.T) {
	paths := []model.Path{path("/3/0/0"), path("/3/0/9"), path("/1"), path("/4/0")}
	for f, want := range map[message.MediaType]string{
		SenMLJSON: `[{"bn":"/3/0/","n":"0"},{"n":"9"},{"bn":"/1"},{"bn":"/4/0"}]`,
		LwM2MCBOR: string(unhex("A3 01 F6 03 A1 00 A2 00 F6 09 F6 04 A1 00 A0")),
	} {
		got, err := EncodePaths(f, paths)
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", Name(f), got, err)
		}
		nodes, err := Decode(f, path("/"), objects.Schema, got)
		if err != nil || len(nodes) != len(paths) || slices.ContainsFunc(nodes, func(n model.Node) bool { return n.Value != nil || !slices.Contains(paths, n.Path) }) {
			t.Errorf("%s: %v, %v", Name(f), nodes, err)
		}
	}
}

func TestVersions(t *testing.T) {
	for _, test := range []struct {
		version string
		f       message.MediaType
		want    bool
	}{
		{V10, TLV, true}, {V10, JSON, true}, {V10, SenMLCBOR, false}, {V10, CBOR, false}, {V11, SenMLJSON, true}, {V11, JSON, true},
		{V11, LwM2MCBOR, false}, {V12, LwM2MCBOR, true}, {V12, JSON, false}, {V12, 50, false},
	} {
		if got := Supported(test.version, test.f); got != test.want {
			t.Errorf("%s in LwM2M %s: %v", Name(test.f), test.version, got)
		}
	}
	if f, ok := Named("senml-cbor"); f != SenMLCBOR || !ok {
		t.Error("senml-cbor has no name")
	}
}
