package content

import (
	"reflect"
	"testing"
)

func TestLinks(t *testing.T) {
	for s, want := range map[string][]WebLink{
		``: nil,
		// LwM2M Core 1.1 section 6.2.1.
		`</1/0>,</1/1>,</2/0>,</3/0>`: {{Target: "/1/0"}, {Target: "/1/1"}, {Target: "/2/0"}, {Target: "/3/0"}},
		`</>;rt=oma.lwm2m;ct=11542,</33650>;ver=1.0`: {
			{"/", []LinkParam{{"rt", "oma.lwm2m", true}, {"ct", "11542", true}}},
			{"/33650", []LinkParam{{"ver", "1.0", true}}},
		},
		// Section 6.3.2.
		`</3/0>;pmin=10;pmax=60,</3/0/7>;dim=8`: {
			{"/3/0", []LinkParam{{"pmin", "10", true}, {"pmax", "60", true}}},
			{"/3/0/7", []LinkParam{{"dim", "8", true}}},
		},
		// RFC 6690 section 5: quoted values, attributes without value.
		`</s>;title="a, \"b\";c";obs`: {{"/s", []LinkParam{{"title", `a, "b";c`, true}, {"obs", "", false}}}},
		`</s>;title=""`:               {{"/s", []LinkParam{{"title", "", true}}}},
	} {
		got, err := ParseLinks(s)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, %v", s, got, err)
		}
		if again := string(AppendLinks(nil, want)); again != s {
			t.Errorf("%s: written as %s", s, again)
		}
	}
	got, err := ParseLinks(`</>;rt="oma.lwm2m"`)
	if v, ok := got[0].Param("rt"); err != nil || !ok || v != "oma.lwm2m" {
		t.Errorf("quoted token: %v, %v", got, err)
	}
	if _, ok := got[0].Param("ct"); ok {
		t.Error("found an attribute that is not there")
	}
}

func TestLinksMalformed(t *testing.T) {
	for _, s := range []string{`x`, `<`, `</1`, `</1>,`, `</1>;`, `</1>;a=`, `</1>;a="`, `</1>;a="\`, `</1></2>`, `</1>;=1`, `</1<>`, `,</1>`} {
		if l, err := ParseLinks(s); err == nil {
			t.Errorf("%s: parsed as %v", s, l)
		}
	}
}

func FuzzLinks(f *testing.F) {
	f.Add(`</>;rt="oma.lwm2m";ct=11542,</3/0/7>;dim=8;obs`)
	f.Add(`</s>;title="a, \"b\";c"`)
	f.Fuzz(func(t *testing.T, s string) {
		links, err := ParseLinks(s)
		if err != nil {
			return
		}
		text := string(AppendLinks(nil, links))
		if again, err := ParseLinks(text); err != nil || !reflect.DeepEqual(again, links) {
			t.Fatalf("%q became %q: %v, %v", s, text, again, err)
		}
	})
}
