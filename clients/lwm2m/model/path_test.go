package model

import "testing"

func TestPaths(t *testing.T) {
	for s, want := range map[string]Path{
		"/": {}, "/3": NewPath(3), "/3/0": NewPath(3, 0), "/33650/0/4": NewPath(33650, 0, 4), "/65534": NewPath(65534), "/1/2/3/4": NewPath(1, 2, 3, 4),
	} {
		got, err := ParsePath(s)
		if err != nil || got != want || got.String() != s {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"/a", "/3/", "//", "/03", "/+3", "/-1", "/65535", "/65536", "/1/2/3/4/5", "/3/0/x"} {
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

func TestPathRelations(t *testing.T) {
	p := NewPath(3, 0, 7, 1)
	for depth, want := range []string{"/", "/3", "/3/0", "/3/0/7", "/3/0/7/1", "/3/0/7/1"} {
		if got := p.Up(depth); got.String() != want || !got.Contains(p) {
			t.Errorf("up to %d: %v, want %s", depth, got, want)
		}
	}
	for _, test := range []struct {
		p, ancestor Path
		want        string
	}{
		{p, NewPath(3), "0/7/1"}, {p, NewPath(), "3/0/7/1"}, {p, p, ""},
	} {
		if got := test.p.Below(test.ancestor); got != test.want {
			t.Errorf("%v below %v: %q, want %q", test.p, test.ancestor, got, test.want)
		}
	}
	if got := p.Common(NewPath(3, 0, 8)); got != NewPath(3, 0) {
		t.Errorf("common: %v", got)
	}
	if got := NewPath(4).Common(p); got != NewPath() {
		t.Errorf("common of strangers: %v", got)
	}
	if NewPath(3).Compare(p) >= 0 || NewPath(3, 1).Compare(p) <= 0 || p.Compare(p) != 0 {
		t.Error("order")
	}
}
