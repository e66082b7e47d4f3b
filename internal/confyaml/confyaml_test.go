package confyaml

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/thinlink/thinlink/internal/units"
)

type direction struct {
	Rate  units.BitRate `conf:"rate" doc:"bit rate" above:"0"`
	Delay time.Duration `conf:"delay" doc:"one way" max:"1h"`
	Loss  loss          `conf:"loss" doc:"loss model" merge:"replace"`
}

type loss struct {
	Rate units.Fraction `conf:"rate" doc:"independent losses" scalar:"true"`
	P    units.Fraction `conf:"p" doc:"good to bad"`
}

type radio struct {
	Timer time.Duration `conf:"timer" doc:"inactivity" required:"true"`
	RAI   bool          `conf:"rai" doc:"release assistance"`
}

type window struct {
	Start time.Duration `conf:"start" doc:"when" required:"true"`
}

type common struct {
	Version int `conf:"version" doc:"schema version" min:"1" max:"1" required:"true"`
}

type config struct {
	common
	Name string `conf:"name" doc:"its name" required:"true" pattern:"[a-z0-9-]+"`
	Mode string `conf:"mode" doc:"duplex" enum:"half,full"`
	Link struct {
		MTU  int       `conf:"mtu" doc:"largest packet" min:"576" max:"65535"`
		Up   direction `conf:"up" doc:"uplink" share:"true"`
		Down direction `conf:"down" doc:"downlink" share:"true"`
	} `conf:"link" doc:"the link"`
	Radio    *radio            `conf:"radio" doc:"the radio"`
	Windows  []window          `conf:"windows" doc:"outages"`
	Table    []float64         `conf:"table" doc:"quantiles" min:"-10" max:"10"`
	Labels   map[string]string `conf:"labels" doc:"free text"`
	Ignored  int
	Unlisted int `conf:"-"`
}

const good = `version: 1
name: x
link:
  up: {rate: 5kbit} # V STB: uplink
  rate: 26kbit # D both
  loss: 2%
  delay: 800ms
  mtu: 1358 # G guess
radio:
  timer: 20s
windows: [{start: 1m}, {start: 2m}]
table: [-1, 0.5]
labels: {a: b}
`

func decodeGood(t *testing.T) (*config, *Decoder) {
	t.Helper()
	c := &config{Mode: "half"}
	doc, err := Parse("good.yaml", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	d := NewDecoder(c)
	if err := errors.Join(d.Apply(doc), d.Complete()); err != nil {
		t.Fatal(err)
	}
	return c, d
}

func TestDecode(t *testing.T) {
	c, d := decodeGood(t)
	want := &config{common: common{1}, Name: "x", Mode: "half"}
	want.Link.MTU = 1358
	want.Link.Up = direction{5000, 800 * time.Millisecond, loss{Rate: 0.02}}
	want.Link.Down = direction{26000, 800 * time.Millisecond, loss{Rate: 0.02}}
	want.Radio = &radio{Timer: 20 * time.Second}
	want.Windows = []window{{time.Minute}, {2 * time.Minute}}
	want.Table = []float64{-1, 0.5}
	want.Labels = map[string]string{"a": "b"}
	if diff := cmp.Diff(want, c, cmp.AllowUnexported(config{})); diff != "" {
		t.Error(diff)
	}
	for path, want := range map[string]Pos{
		"link.up.rate":   {"good.yaml", 4, 14, "V STB: uplink"},
		"link.down.rate": {"good.yaml", 5, 9, "D both"},
		"link.mtu":       {"good.yaml", 8, 8, "G guess"},
		"radio.timer":    {"good.yaml", 10, 10, ""},
	} {
		if got, ok := d.Pos(path); !ok || got != want {
			t.Errorf("%s is at %+v, %v; want %+v", path, got, ok, want)
		}
	}
	if _, ok := d.Pos("mode"); ok {
		t.Error("a default has a position")
	}
}

func TestLayers(t *testing.T) {
	c, d := decodeGood(t)
	doc, err := Parse("child.yaml", []byte("name: y\nlink: {down: {loss: {p: 1%}}, delay: 1s}\nradio: {rai: true}\nwindows: []\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Apply(doc); err != nil {
		t.Fatal(err)
	}
	if c.Name != "y" || c.Link.Down.Loss != (loss{P: 0.01}) || c.Link.Up.Loss != (loss{Rate: 0.02}) || c.Link.Up.Delay != time.Second ||
		c.Link.Down.Rate != 26000 || *c.Radio != (radio{20 * time.Second, true}) || len(c.Windows) != 0 {
		t.Errorf("merged into %+v, radio %+v", c, c.Radio)
	}
	if p, _ := d.Pos("link.up.delay"); p.File != "child.yaml" {
		t.Errorf("delay comes from %v", p)
	}
	if _, ok := d.Pos("link.down.loss.rate"); ok {
		t.Error("a replaced field has a position")
	}
	doc, _ = Parse("none.yaml", []byte("radio: null\n"))
	if err := d.Apply(doc); err != nil || c.Radio != nil {
		t.Errorf("null left radio %v, %v", c.Radio, err)
	}
}

func TestErrors(t *testing.T) {
	const head = "version: 1\nname: x\n"
	for _, c := range []struct{ yaml, want string }{
		{head + "link:\n  up: {rate: -5kbit}", `f:4:14: field link.up.rate: "-5kbit": want a bit rate above 0 (for example 26kbit)`},
		{head + "link: {rate: 0}", `f:3:14: field link.rate: "0": want a bit rate above 0 (for example 26kbit)`},
		{head + "lnk: {}", `f:3:1: unknown field "lnk"; did you mean "link"?`},
		{head + "link: {up: {rat: 1kbit}}", `f:3:13: unknown field "link.up.rat"; did you mean "rate"?`},
		{head + "zzzzz: 1", `f:3:1: unknown field "zzzzz": want one of version, name, mode, link, radio, windows, table, labels`},
		{head + "mode: hlaf", `f:3:7: field mode: "hlaf": want one of half, full; did you mean "half"?`},
		{head + "link: {mtu: 1358.5}", `f:3:13: field link.mtu: "1358.5": want a whole number from 576 to 65535`},
		{head + "link: {mtu: 10}", `f:3:13: field link.mtu: "10": want a whole number from 576 to 65535`},
		{head + `link: {mtu: "1000"}`, `f:3:13: field link.mtu: "1000": want a whole number from 576 to 65535`},
		{head + "link: {delay: 2h}", `f:3:15: field link.delay: "2h": want a duration of at most 1h (for example 800ms or 1h30m)`},
		{head + "link: {delay: }", `f:3:15: field link.delay: no value: want a duration of at most 1h (for example 800ms or 1h30m)`},
		{head + "link: [1]", `f:3:7: field link: a list: want a mapping with fields mtu, up, down, rate, delay, loss`},
		{head + "link: fast", `f:3:7: field link: "fast": want a mapping with fields mtu, up, down, rate, delay, loss`},
		{head + "link: {loss: 200%}", `f:3:14: field link.loss: "200%": want a share of 0% to 100% (for example 0.5% or 0.005)`},
		{head + "radio: {rai: yes, timer: 1s}", `f:3:14: field radio.rai: "yes": want true or false`},
		{head + "radio: {}", `f:3:8: field radio.timer: missing: want a duration (for example 800ms or 1h30m)`},
		{head + "windows: [{start: 1s}, {}]", `f:3:24: field windows.1.start: missing: want a duration (for example 800ms or 1h30m)`},
		{head + "table: [1, 11]", `f:3:12: field table.1: "11": want a number from -10 to 10`},
		{head + "table: [.nan]", `f:3:9: field table.0: ".nan": want a number from -10 to 10`},
		{head + "table: 1", `f:3:8: field table: "1": want a list, each a number from -10 to 10`},
		{head + "name: y", `f:3:1: field name: given twice, first on line 2`},
		{head + "[1]: y", `f:3:1: a list in place of a field name`},
		{"name: x", `f:1:1: field version: missing: want 1`},
		{"version: 2\nname: x", `f:1:10: field version: "2": want 1`},
		{"version: 1\nname: X/../y", `f:2:7: field name: "X/../y": want text matching [a-z0-9-]+`},
		{"", `f:1:1: empty: want a mapping of fields`},
		{"# nothing\n", `f:1:1: empty: want a mapping of fields`},
		{"---\n", `f:1:1: empty: want a mapping of fields`},
		{"- 1", `f:1:1: a list: want a mapping of fields`},
		{"hello", `f:1:1: "hello": want a mapping of fields`},
		{"a: [\n", `f:1:1: not YAML: did not find expected node content`},
		{"version: 1\n\tname: x", `f:2:2: not YAML: found a tab character that violates indentation`},
		{"version: 1\n---\nversion: 1", `f:2:1: a second document: want one`},
		{"a: &a [x]\nb: *a", `f:2:4: alias "*a": aliases are not supported`},
		{"a: &a {b: *a}", `f:1:11: alias "*a": aliases are not supported`},
		{"a: !!binary eA==", `f:1:4: tag "!!binary": tags are not supported`},
		{"a: 1\nb\x00: 2", `f:2:2: not a text file: want YAML in UTF-8`},
		{"a: \xff", `f:1:4: not a text file: want YAML in UTF-8`},
		{strings.Repeat("[", 40) + strings.Repeat("]", 40), "f:1:34: nested too deeply"},
		{strings.Repeat(" ", 1<<20) + "a", "f:1:1: larger than 1 MiB"},
		{"mode: x\nname: x\nversion: 3", "f:1:7: field mode: \"x\": want one of half, full\nf:3:10: field version: \"3\": want 1"},
	} {
		var got config
		err := Decode("f", []byte(c.yaml), &got)
		if err == nil || err.Error() != c.want {
			t.Errorf("%.60q:\n got %v\nwant %s", c.yaml, err, c.want)
		}
		var one *Error
		if !errors.As(err, &one) || one.File != "f" || one.Line < 1 || one.Column < 1 {
			t.Errorf("%.60q: %#v is not an Error with a position", c.yaml, one)
		}
	}
}

func TestManyErrorsAreBounded(t *testing.T) {
	err := Decode("f", []byte("x: 1\n"+strings.Repeat("z", 3)+": 1\n"+manyFields(100)), new(config))
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != maxErrors+1 || lines[maxErrors] != "f: 82 more mistakes" {
		t.Errorf("%d lines, the last %q", len(lines), lines[len(lines)-1])
	}
}

func manyFields(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("unknown-" + string(rune('a'+i/26)) + string(rune('a'+i%26)) + ": 1\n")
	}
	return b.String()
}

// Inputs that made parsers of YAML slow or large.
func TestHostileInput(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+string(c-1)+",", 8) + "]\n"
	}
	const n = 1 << 20
	for name, data := range map[string]string{
		"bomb":      bomb,
		"brackets":  strings.Repeat("[", n),
		"braces":    strings.Repeat("{", n),
		"mixed":     strings.Repeat("[{", n/2),
		"nested":    strings.Repeat("{a: ", n/4),
		"dashes":    strings.Repeat("- ", n/2),
		"questions": strings.Repeat("? ", n/2),
		"quotes":    strings.Repeat(`"`, n),
		"anchors":   strings.Repeat("&a ", n/3),
		"documents": strings.Repeat("---\n", n/4),
		"colons":    strings.Repeat(":", n),
		"stairs":    stairs(1400),
		"tabs":      strings.Repeat("\t", n),
		"comments":  strings.Repeat("#\n", n/2),
	} {
		start := time.Now()
		err := Decode("f", []byte(data), new(config))
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		// Real time, but the limit is a hundred times what is needed.
		if d := time.Since(start); d > 20*time.Second {
			t.Errorf("%s: took %v", name, d)
		}
		if len(err.Error()) > 10_000 {
			t.Errorf("%s: a message of %d bytes", name, len(err.Error()))
		}
	}
}

// stairs nests by indentation.
func stairs(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func TestNearest(t *testing.T) {
	names := []string{"nbiot", "ntn-geo", "ltem", "gprs", "egprs"}
	for written, want := range map[string]string{"nbiott": "nbiot", "nboit": "nbiot", "LTEM": "ltem", "grps": "gprs", "x": "", "": "", "umts-advanced": "", "ntngeo": "ntn-geo", strings.Repeat("a", 1000): ""} {
		if got := Nearest(written, names); got != want {
			t.Errorf("%.20q is near %q, want %q", written, got, want)
		}
	}
}

// A layer does not inherit what is its own.
func TestOwn(t *testing.T) {
	type named struct {
		Name  string `conf:"name" merge:"own" required:"true"`
		Title string `conf:"title" merge:"own"`
		Value int    `conf:"value"`
	}
	var n named
	d := NewDecoder(&n)
	for _, layer := range []string{"name: a\ntitle: t\nvalue: 1", "name: b"} {
		doc, err := Parse("f", []byte(layer))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(d.Apply(doc), d.Complete()); err != nil {
			t.Fatal(err)
		}
	}
	if n != (named{"b", "", 1}) {
		t.Errorf("layers came to %+v", n)
	}
	doc, err := Parse("g", []byte("value: 2"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.Apply(doc), d.Complete()); err == nil || err.Error() != "g:1:1: field name: missing: want text" {
		t.Error(err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(good))
	for _, s := range []string{"", "a: [\n", "a: &a [*a]", "version: 1\n---\n", "{a: {b: {c: 1}}}", "? - a\n: |\n  x", "link: {<<: {a: 1}}", "a: 'b\n\n c'", "%YAML 1.2\n--- >\n x"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var c config
		err := Decode("f", data, &c)
		if err == nil {
			if c.Version != 1 || c.Name == "" {
				t.Fatalf("required fields are missing: %+v", c)
			}
			out, err := Encode(c, nil)
			if err != nil {
				t.Fatal(err)
			}
			var again config
			if err := Decode("again", out, &again); err != nil || !cmp.Equal(c, again, cmp.AllowUnexported(config{}), cmpopts.EquateEmpty()) {
				t.Fatalf("%v: %+v is written as\n%s", err, c, out)
			}
			return
		}
		var errs Errors
		if !errors.As(err, &errs) || len(errs) == 0 {
			t.Fatalf("%T is not Errors", err)
		}
		lines := strings.Count(string(data), "\n") + strings.Count(string(data), "\r") + strings.Count(string(data), "\u0085") + strings.Count(string(data), "\u2028") + strings.Count(string(data), "\u2029") + 1
		for _, e := range errs {
			if e.Line < 1 || e.Column < 1 || e.Line > lines+1 || strings.ContainsAny(e.Error(), "\n\r") {
				t.Fatalf("error %q at %d:%d of %d lines", e, e.Line, e.Column, lines)
			}
		}
	})
}
