package lwm2m

import (
	"bytes"
	"math"
	"reflect"
	"testing"
)

func TestValues(t *testing.T) {
	for _, test := range []struct {
		typ    Type
		value  any
		binary string
		text   string
	}{
		{Integer, int64(0), "00", "0"},
		{Integer, int64(-1), "ff", "-1"},
		{Integer, int64(127), "7f", "127"},
		{Integer, int64(128), "0080", "128"},
		{Integer, int64(-129), "ff7f", "-129"},
		{Integer, int64(40000), "00009c40", "40000"},
		{Integer, int64(math.MinInt32), "80000000", "-2147483648"},
		{Integer, int64(1 << 31), "0000000080000000", "2147483648"},
		{Integer, int64(math.MinInt64), "8000000000000000", "-9223372036854775808"},
		{Time, int64(1367491215), "5182428f", "1367491215"},
		{Float, 0.5, "3fe0000000000000", "0.5"},
		{Float, -20.25, "c034400000000000", "-20.25"},
		{Boolean, true, "01", "1"},
		{Boolean, false, "00", "0"},
		{String, "", "", ""},
		{String, "+02:00", "2b30323a3030", "+02:00"},
		{Opaque, []byte{1, 2, 255}, "0102ff", "AQL/"},
		{ObjectLink, Link{66, 1}, "00420001", "66:1"},
	} {
		if got := appendBinary(nil, test.value); !bytes.Equal(got, unhex(test.binary)) {
			t.Errorf("%v %v: %x, want %s", test.typ, test.value, got, test.binary)
		}
		if got := appendText(nil, test.value); string(got) != test.text {
			t.Errorf("%v %v: text %q, want %q", test.typ, test.value, got, test.text)
		}
		if got, err := parseBinary(test.typ, unhex(test.binary)); err != nil || !reflect.DeepEqual(got, test.value) {
			t.Errorf("%v %s: %v, %v", test.typ, test.binary, got, err)
		}
		if got, err := parseText(test.typ, test.text); err != nil || !reflect.DeepEqual(got, test.value) {
			t.Errorf("%v %q: %v, %v", test.typ, test.text, got, err)
		}
	}
	if got, err := parseBinary(Float, unhex("3f000000")); err != nil || got != 0.5 {
		t.Errorf("float of 4 bytes: %v, %v", got, err)
	}
}

func TestValuesRefused(t *testing.T) {
	for typ, texts := range map[Type][]string{
		Integer: {"", "x", "1.5", "9223372036854775808"}, Float: {"", "x"}, Boolean: {"", "2", "true"},
		Opaque: {"!"}, ObjectLink: {"", "1", "1:70000", "a:b"}, String: {"\xff"}, 0: {"1"},
	} {
		for _, s := range texts {
			if v, err := parseText(typ, s); err == nil {
				t.Errorf("%v %q: parsed as %v", typ, s, v)
			}
		}
	}
	for typ, b := range map[Type]string{Integer: "000000", Float: "00", Boolean: "02", ObjectLink: "0000", String: "ff", 0: "00"} {
		if v, err := parseBinary(typ, unhex(b)); err == nil {
			t.Errorf("%v %s: parsed as %v", typ, b, v)
		}
	}
}

func FuzzValueText(f *testing.F) {
	f.Add(uint8(Integer), "-5")
	f.Add(uint8(Float), "1e300")
	f.Add(uint8(Opaque), "AQL/")
	f.Add(uint8(ObjectLink), "3:0")
	f.Fuzz(func(t *testing.T, typ uint8, s string) {
		v, err := parseText(Type(typ), s)
		if err != nil {
			return
		}
		if x, ok := v.(float64); ok && math.IsNaN(x) {
			return
		}
		text := string(appendText(nil, v))
		if w, err := parseText(Type(typ), text); err != nil || !reflect.DeepEqual(v, w) {
			t.Fatalf("%q became %q: %v, %v", s, text, w, err)
		}
		if w, err := parseBinary(Type(typ), appendBinary([]byte{}, v)); err != nil || !reflect.DeepEqual(v, w) {
			t.Fatalf("%q in binary: %v, %v", s, w, err)
		}
	})
}

func TestPaths(t *testing.T) {
	for s, want := range map[string]Path{
		"/": {}, "/3": NewPath(3), "/3/0": NewPath(3, 0), "/33650/0/4": NewPath(33650, 0, 4), "/65534": NewPath(65534),
	} {
		got, err := ParsePath(s)
		if err != nil || got != want || got.String() != s {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"/a", "/3/", "//", "/03", "/+3", "/-1", "/65535", "/65536", "/1/2/3/4", "/3/0/x"} {
		if p, err := ParsePath(s); err == nil {
			t.Errorf("%s: parsed as %v", s, p)
		}
	}
	if p := NewPath(3, 0); !p.Contains(NewPath(3, 0, 1)) || !p.Contains(p) || p.Contains(NewPath(3)) || p.Contains(NewPath(3, 1, 1)) {
		t.Error("Contains")
	}
}

func FuzzPath(f *testing.F) {
	f.Add("/3/0/1")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePath(s)
		if err != nil {
			return
		}
		if again, err := ParsePath(p.String()); err != nil || again != p {
			t.Fatalf("%q: %v, then %v, %v", s, p, again, err)
		}
	})
}
