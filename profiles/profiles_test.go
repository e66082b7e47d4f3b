package profiles

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/thinlink/thinlink/internal/confyaml"
	"github.com/thinlink/thinlink/internal/units"
	"github.com/thinlink/thinlink/netem"
)

var sameProfile = cmp.Options{cmpopts.IgnoreUnexported(Profile{}), cmpopts.IgnoreFields(Profile{}, "Extends")}

func load(t *testing.T, name string) *Profile {
	t.Helper()
	p, err := Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestNames(t *testing.T) {
	want := strings.Fields(`egprs ethernet gprs lte-cat1bis ltem ltem-edge ltem-fd nb2 nbiot nbiot-ce0-rai
		nbiot-ce0-singletone nbiot-ce1 nbiot-ce2 nbiot-network-a nbiot-network-b ntn-geo ntn-leo600 umts`)
	if diff := cmp.Diff(want, Names()); diff != "" {
		t.Error(diff)
	}
	for _, name := range want {
		if p := load(t, name); p.Name != name || p.Title == "" || p.Description == "" {
			t.Errorf("%s: name %q, title %q, description %q", name, p.Name, p.Title, p.Description)
		}
	}
}

// Every value of a built-in profile says where it comes from.
func TestProvenanceOfEveryValue(t *testing.T) {
	for _, name := range Names() {
		p := load(t, name)
		for _, leaf := range p.values() {
			from, ok := p.Provenance(leaf.Path)
			if !ok || from.Flag == "" {
				t.Errorf("%s: %s: %s has no flag V, D or G (%+v)", name, leaf.Path, leaf.Value, from)
			}
			if (from.Flag == "V" || from.Flag == "D") && from.Source == "" {
				t.Errorf("%s:%d: %s: flag %s without a source", from.File, from.Line, leaf.Path, from.Flag)
			}
		}
	}
}

func TestProvenance(t *testing.T) {
	p := load(t, "nbiot-ce1")
	if err := p.Set("link.up.delay", "1s"); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]Provenance{
		"link.mtu":      {"G", "3GPP link MTU", "nbiot.yaml", 0},
		"link.up.queue": {"G", "", "nbiot-ce1.yaml", 0},
		"link.up.delay": {"set", "", "", 0},
	} {
		got, ok := p.Provenance(path)
		if got.Line = 0; !ok || got != want {
			t.Errorf("%s comes from %+v, want %+v", path, got, want)
		}
	}
	if _, ok := p.Provenance("link.up.rate"); ok {
		t.Error("a default has a provenance")
	}
	odd, err := Parse("odd.yaml", []byte("version: 1\nname: odd\nlink: {mtu: 1400} # Very odd\n"))
	if err != nil {
		t.Fatal(err)
	}
	if from, ok := odd.Provenance("link.mtu"); !ok || from != (Provenance{"", "Very odd", "odd.yaml", 3}) {
		t.Errorf("a comment without a flag is %+v", from)
	}
}

// What a direction sustains that has the link for itself is what was measured
// or published, whether the profile says it by a rate or by grants.
func TestSustainedRates(t *testing.T) {
	for _, c := range []struct {
		name     string
		up, down units.BitRate
	}{
		{"nbiot", 56_000, 24_000},
		{"nbiot-ce1", 2400, 2430},
		{"nb2", 94_500, 72_000}, // the peaks of 105 and 80 kbit/s with 10 % block errors
		{"ltem", 293_000, 264_000},
		{"egprs", 158_000, 254_000},
		{"gprs", 85_600, 85_600},
		{"umts", 384_000, 2_000_000},
		{"lte-cat1bis", 5_000_000, 10_000_000},
		{"ethernet", 0, 0},
	} {
		cfg := load(t, c.name).Netem()
		for dir, want := range map[netem.Direction]units.BitRate{netem.Up: c.up, netem.Down: c.down} {
			if got := cfg.Rate(dir); got < want*9/10 || got > want*11/10 {
				t.Errorf("%s %s: %s, want %s within 10 %%", c.name, dir, got.Human(), want.Human())
			}
		}
	}
}

func TestEthernetBuildsAnyLink(t *testing.T) {
	p := load(t, "ethernet")
	for _, s := range []string{
		"link.down.rate=26kbit", "link.up.rate=60kbit", "link.delay=800ms", "link.queue=12packets", "link.loss=2%",
		"link.loss_place=queue", "link.overhead=14", "mtu=1358", "link.jitter=10ms", "link.distribution=normal", "link.half_duplex=true",
	} {
		path, value, _ := strings.Cut(s, "=")
		if err := p.Set(path, value); err != nil {
			t.Error(err)
		}
	}
	both := netem.DirectionConfig{
		Delay: 800 * time.Millisecond, Queue: netem.QueueConfig{Packets: 12}, Loss: netem.LossConfig{Rate: 0.02},
		LossPlace: netem.PlaceQueue, Overhead: 14, Jitter: 10 * time.Millisecond, Distribution: netem.Normal,
	}
	want := netem.Config{MTU: 1358, HalfDuplex: true, Up: both, Down: both}
	want.Up.Rate, want.Down.Rate = 60_000, 26_000
	if diff := cmp.Diff(want, p.Netem()); diff != "" {
		t.Error(diff)
	}
	if err := p.Check(); err != nil {
		t.Error(err)
	}
}

// A configuration that was handed out does not change with the profile.
func TestNetemIsACopy(t *testing.T) {
	p := load(t, "ntn-leo600")
	before := p.Netem()
	for path, value := range map[string]string{"radio.rrc.inactivity": "1s", "link.outages.0.start": "1s", "radio.idle": "null"} {
		if err := p.Set(path, value); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(load(t, "ntn-leo600").Netem(), before); diff != "" {
		t.Error(diff)
	}
	if p.Radio.RRC.Inactivity != time.Second || p.Radio.Idle != nil {
		t.Errorf("radio is %+v", p.Radio)
	}
}

func TestExtends(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("base.yaml", "version: 1\nname: base\ntitle: a base\nextends: nbiot\nlink: {loss: {p: 1%, r: 10%, bad_loss: 100%}, rate: 10kbit}\n")
	child := write("child.yaml", "version: 1\nname: child\nextends: ./base.yaml\nlink:\n  down: {loss: 3%}\n  delay: 1s\nradio: {rrc: {inactivity: 5s}, psm: {t3324: 10s, t3412: 1d}}\n")
	p, err := Load(child)
	if err != nil {
		t.Fatal(err)
	}
	want := load(t, "nbiot")
	want.Name, want.Title, want.Description = "child", "", ""
	want.Link.Up.Loss = netem.LossConfig{P: 0.01, R: 0.1, BadLoss: 1}
	want.Link.Down.Loss = netem.LossConfig{Rate: 0.03}
	want.Link.Up.Rate, want.Link.Down.Rate = 10_000, 10_000
	want.Link.Up.Delay, want.Link.Down.Delay = time.Second, time.Second
	want.Radio.RRC.Inactivity = 5 * time.Second
	want.Radio.PSM = &netem.PSMConfig{T3324: 10 * time.Second, T3412: 24 * time.Hour}
	if diff := cmp.Diff(want, p, sameProfile); diff != "" {
		t.Error(diff)
	}

	loop := write("loop.yaml", "version: 1\nname: loop\nextends: ./pool.yml\n")
	write("pool.yml", "version: 1\nname: pool\nextends: loop.yaml\n")
	if _, err := Load(loop); err == nil || !strings.Contains(err.Error(), "pool.yml:3:10: field extends: extends itself") {
		t.Errorf("a loop is %v", err)
	}
	lost := write("lost.yaml", "version: 1\nname: lost\nextends: ./missing.yaml\n")
	if _, err := Load(lost); !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), lost+":3:10: extends: ") {
		t.Errorf("a missing parent is %v", err)
	}
	// A mistake in a parent is shown in the parent.
	bad := write("bad.yaml", "version: 1\nname: bad\nlink: {rate: fast}\n")
	heir := write("heir.yaml", "version: 1\nname: heir\nextends: ./bad.yaml\n")
	if _, err := Load(heir); err == nil || err.Error() != bad+`:3:14: field link.rate: "fast": want a bit rate of at least 0bit (for example 26kbit)` {
		t.Errorf("a parent's mistake is %v", err)
	}
	nameless := write("nameless.yaml", "version: 1\nextends: nbiot\n")
	if _, err := Load(nameless); err == nil || !strings.HasPrefix(err.Error(), nameless+":1:1: field name: missing") {
		t.Errorf("a file without name is %v", err)
	}
}

func TestMistakes(t *testing.T) {
	const head = "version: 1\nname: x\n"
	for _, c := range []struct{ text, want string }{
		{head + "link:\n  up: {rate: -5kbit}\n", `f.yaml:4:14: field link.up.rate: "-5kbit": want a bit rate of at least 0bit (for example 26kbit)`},
		{"a: [\n", "f.yaml:1:1: not YAML: did not find expected node content"},
		{head + "lnk: {}\n", `f.yaml:3:1: unknown field "lnk"; did you mean "link"?`},
		{"", "f.yaml:1:1: empty: want a mapping of fields"},
		{"\x8f\x01\xfe", "f.yaml:1:1: not a text file: want YAML in UTF-8"},
		{"a: &a [x,x]\nb: [*a,*a]\n", `f.yaml:2:5: alias "*a": aliases are not supported`},
		{head + "extends: nope\n", `f.yaml:3:10: field extends: "nope": want a file that ends in .yaml, or one of ` + strings.Join(Names(), ", ")},
		{head + "extends: nboit\n", `f.yaml:3:10: field extends: "nboit": want a file that ends in .yaml, or one of ` + strings.Join(Names(), ", ") + `; did you mean "nbiot"?`},
		{head + "extends: [nbiot]\n", `f.yaml:3:10: field extends: a list: want text`},
		{head + "link: {jitter: 1ms, distribution: constant}\n", "f.yaml:3:16: field link.up.jitter: 1ms: want 0s with the constant distribution\nf.yaml:3:16: field link.down.jitter: 1ms: want 0s with the constant distribution"},
		{head + "link: {up: {distribution: table}}\n", "f.yaml:3:12: field link.up.table: []: want two or more finite values in ascending order"},
		{head + "link: {up: {table: [0, 1]}}\n", "f.yaml:3:20: field link.up.table: want distribution: table beside it"},
		{head + "link: {up: {loss: {p: 1%}}}\n", "f.yaml:3:19: field link.up.loss: want bad_loss above 0: without it the Gilbert-Elliott model loses nothing"},
		{head + "link: {up: {loss: {bad_loss: 1%}}}\n", "f.yaml:3:19: field link.up.loss: want p above 0: without it r, bad_loss and good_loss mean nothing"},
		{head + "link: {outages: [{start: 1s, duration: 10s, every: 5s}]}\n", "f.yaml:3:52: field link.outages.0.every: 5s: want 0s (once) or more than the duration"},
		{head + "radio: {psm: {t3324: 10s}}\n", "f.yaml:3:8: field radio.rrc: missing: want to be set with Idle or PSM"},
		{head + "extends: nbiot\nradio: {rrc: {setup: {sigma: 9}}}\n", `f.yaml:4:30: field radio.rrc.setup.sigma: "9": want a number from 0 to 3`},
		{head + "radio: {up: {data: 1ms}}\n", "f.yaml:3:13: field radio.up.tbs: missing: want a whole number from 1 to 1048576"},
	} {
		_, err := Parse("f.yaml", []byte(c.text))
		if err == nil || err.Error() != c.want {
			t.Errorf("%q:\n got %v\nwant %s", c.text, err, c.want)
		}
		if errs := (confyaml.Errors{}); !errors.As(err, &errs) {
			t.Errorf("%q: %T is not confyaml.Errors", c.text, err)
		}
	}
}

func TestLoadMistakes(t *testing.T) {
	if _, err := Load("nbiott"); err == nil || !strings.HasPrefix(err.Error(), `unknown profile "nbiott"; did you mean "nbiot"? (known: egprs, `) {
		t.Errorf("a misspelt name is %v", err)
	}
	if _, err := Load("./no/such.yaml"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file is %v", err)
	}
}

func TestSetMistakes(t *testing.T) {
	for _, c := range []struct{ path, value, want string }{
		{"link.rate", "-1", `field link.rate: "-1": want a bit rate of at least 0bit (for example 26kbit)`},
		{"link.quue", "1KiB", `unknown field "link.quue"; did you mean "queue"?`},
		{"link.queue", "12", ""},
		{"link.queue", "0packets", `field link.queue: "0packets": want a queue size (for example 16KiB, 12packets or unlimited)`},
		{"link.loss_place", "sky", `field link.loss_place: "sky": want one of queue, air`},
		{"mtu", "12", `field link.mtu: "12": want a size from 68 to 65535 (for example 16KiB)`},
		{"extends", "ltem", `field extends: can only stand in a file`},
	} {
		err := load(t, "ethernet").Set(c.path, c.value)
		if got := message(err); got != c.want {
			t.Errorf("%s=%s:\n got %s\nwant %s", c.path, c.value, got, c.want)
		}
	}
	// What only two values show, Check finds after the last.
	p := load(t, "ethernet")
	if err := p.Set("link.distribution", "constant"); err != nil {
		t.Fatal(err)
	}
	if err := p.Set("link.up.jitter", "1ms"); err != nil {
		t.Fatal(err)
	}
	if got := message(p.Check()); got != "field link.up.jitter: 1ms: want 0s with the constant distribution" {
		t.Error(got)
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func FuzzParse(f *testing.F) {
	for _, name := range Names() {
		data, err := embedded.ReadFile(name + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if bytes.Contains(data, []byte("extends")) && bytes.ContainsAny(data, "/.") {
			t.Skip() // would read files
		}
		p, err := Parse("f.yaml", data)
		if err != nil {
			return
		}
		cfg := p.Netem()
		if err := cfg.Validate(); err != nil {
			t.Fatalf("accepted a link that netem refuses: %v", err)
		}
		var out bytes.Buffer
		if err := p.WriteShow(&out, "yaml"); err != nil {
			t.Fatal(err)
		}
		again, err := Parse("again.yaml", out.Bytes())
		if err != nil {
			t.Fatalf("%v in\n%s", err, out.String())
		}
		if diff := cmp.Diff(p, again, sameProfile, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("shown as\n%s\n%s", out.String(), diff)
		}
	})
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if _, err := Load("nbiot-ce0-rai"); err != nil {
			b.Fatal(err)
		}
	}
}
