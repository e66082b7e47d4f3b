package model

import "testing"

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
