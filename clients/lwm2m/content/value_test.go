package content

import (
	"bytes"
	"math"
	"reflect"
	"testing"

	"github.com/thinlink/thinlink/clients/lwm2m/model"
)

func TestValues(t *testing.T) {
	for _, test := range []struct {
		typ    model.Type
		value  any
		binary string
		text   string
	}{
		{model.Integer, int64(0), "00", "0"},
		{model.Integer, int64(-1), "ff", "-1"},
		{model.Integer, int64(127), "7f", "127"},
		{model.Integer, int64(128), "0080", "128"},
		{model.Integer, int64(-129), "ff7f", "-129"},
		{model.Integer, int64(40000), "00009c40", "40000"},
		{model.Integer, int64(math.MinInt32), "80000000", "-2147483648"},
		{model.Integer, int64(1 << 31), "0000000080000000", "2147483648"},
		{model.Integer, int64(math.MinInt64), "8000000000000000", "-9223372036854775808"},
		{model.Time, int64(1367491215), "5182428f", "1367491215"},
		{model.Unsigned, uint64(200), "c8", "200"},
		{model.Unsigned, uint64(1 << 63), "8000000000000000", "9223372036854775808"},
		{model.CoreLink, "</a>", "3c2f613e", "</a>"},
		{model.Float, 0.5, "3fe0000000000000", "0.5"},
		{model.Float, -20.25, "c034400000000000", "-20.25"},
		{model.Boolean, true, "01", "1"},
		{model.Boolean, false, "00", "0"},
		{model.String, "", "", ""},
		{model.String, "+02:00", "2b30323a3030", "+02:00"},
		{model.Opaque, []byte{1, 2, 255}, "0102ff", "AQL/"},
		{model.ObjectLink, model.Link{Object: 66, Instance: 1}, "00420001", "66:1"},
	} {
		if got := AppendBinary(nil, test.value); !bytes.Equal(got, unhex(test.binary)) {
			t.Errorf("%v %v: %x, want %s", test.typ, test.value, got, test.binary)
		}
		if got := AppendText(nil, test.value); string(got) != test.text {
			t.Errorf("%v %v: text %q, want %q", test.typ, test.value, got, test.text)
		}
		if got, err := ParseBinary(test.typ, unhex(test.binary)); err != nil || !reflect.DeepEqual(got, test.value) {
			t.Errorf("%v %s: %v, %v", test.typ, test.binary, got, err)
		}
		if got, err := ParseText(test.typ, test.text); err != nil || !reflect.DeepEqual(got, test.value) {
			t.Errorf("%v %q: %v, %v", test.typ, test.text, got, err)
		}
	}
	if got, err := ParseBinary(model.Float, unhex("3f000000")); err != nil || got != 0.5 {
		t.Errorf("float of 4 bytes: %v, %v", got, err)
	}
}

func TestValuesRefused(t *testing.T) {
	for typ, texts := range map[model.Type][]string{
		model.Integer: {"", "x", "1.5", "9223372036854775808"}, model.Float: {"", "x", "inf", "nan", "0x1p-2", "1e999"}, model.Boolean: {"", "2", "true"},
		model.Opaque: {"!"}, model.ObjectLink: {"", "1", "1:70000", "a:b"}, model.String: {"\xff"}, model.Unsigned: {"-1", "x"}, 99: {"1"},
	} {
		for _, s := range texts {
			if v, err := ParseText(typ, s); err == nil {
				t.Errorf("%v %q: parsed as %v", typ, s, v)
			}
		}
	}
	for typ, b := range map[model.Type]string{model.Integer: "000000", model.Float: "00", model.Boolean: "02", model.ObjectLink: "0000", model.String: "ff", model.Unsigned: "", 99: "00"} {
		if v, err := ParseBinary(typ, unhex(b)); err == nil {
			t.Errorf("%v %s: parsed as %v", typ, b, v)
		}
	}
}

func FuzzValueText(f *testing.F) {
	f.Add(uint8(model.Integer), "-5")
	f.Add(uint8(model.Float), "1e300")
	f.Add(uint8(model.Opaque), "AQL/")
	f.Add(uint8(model.ObjectLink), "3:0")
	f.Fuzz(func(t *testing.T, typ uint8, s string) {
		v, err := ParseText(model.Type(typ), s)
		if err != nil {
			return
		}
		text := string(AppendText(nil, v))
		if w, err := ParseText(model.Type(typ), text); err != nil || !reflect.DeepEqual(v, w) {
			t.Fatalf("%q became %q: %v, %v", s, text, w, err)
		}
		if w, err := ParseBinary(model.Type(typ), AppendBinary([]byte{}, v)); err != nil || !reflect.DeepEqual(v, w) {
			t.Fatalf("%q in binary: %v, %v", s, w, err)
		}
	})
}
