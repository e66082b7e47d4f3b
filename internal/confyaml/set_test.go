package confyaml

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSet(t *testing.T) {
	c, d := decodeGood(t)
	for _, s := range [][2]string{
		{"link.rate", "1.2Mbit"}, {"link.up.rate", "7kbit"}, {"link.loss", "5%"}, {"link.down.loss.p", "1%"},
		{"link.mtu", "1280"}, {"windows.1.start", "3m"}, {"windows.2", "{start: 4m}"}, {"table", "[1, 2]"}, {"table.0", "3"},
		{"labels.c", "d: e"}, {"mode", "full"}, {"radio.timer", "5s"}, {"name", "007"},
	} {
		if err := d.Set(s[0], s[1]); err != nil {
			t.Error(err)
		}
	}
	want := &config{common: common{1}, Name: "007", Mode: "full"}
	want.Link.MTU = 1280
	want.Link.Up = direction{7000, 800 * time.Millisecond, loss{Rate: 0.05}}
	want.Link.Down = direction{1_200_000, 800 * time.Millisecond, loss{Rate: 0.05, P: 0.01}}
	want.Radio = &radio{Timer: 5 * time.Second}
	want.Windows = []window{{time.Minute}, {3 * time.Minute}, {4 * time.Minute}}
	want.Table = []float64{3, 2}
	want.Labels = map[string]string{"a": "b", "c": "d: e"}
	if diff := cmp.Diff(want, c, cmp.AllowUnexported(config{})); diff != "" {
		t.Error(diff)
	}
	if err := d.Set("radio", "null"); err != nil || c.Radio != nil {
		t.Errorf("radio %v, %v", c.Radio, err)
	}
	for _, path := range []string{"link.up.rate", "link.up.loss", "link.up.loss.rate", "windows.2.start", "table.0"} {
		if p, ok := d.Pos(path); !ok || p != (Pos{}) {
			t.Errorf("%s was set and comes from %+v, %v", path, p, ok)
		}
	}
}

func TestSetErrors(t *testing.T) {
	for _, c := range []struct{ path, value, want string }{
		{"link.rate", "-1kbit", `field link.rate: "-1kbit": want a bit rate above 0 (for example 26kbit)`},
		{"link.rte", "1kbit", `unknown field "link.rte"; did you mean "rate"?`},
		{"lnik.rate", "1kbit", `unknown field "lnik"; did you mean "link"?`},
		{"link.rate.x", "1", `field link.rate: has no fields: want a bit rate above 0 (for example 26kbit)`},
		{"link", "fast", `field link: "fast": want a mapping with fields mtu, up, down, rate, delay, loss`},
		{"", "1", `unknown field "": want one of version, name, mode, link, radio, windows, table, labels`},
		{"windows.3", "{start: 1s}", `field windows.3: no such element: want an index from 0 to 2`},
		{"windows.-1", "{start: 1s}", `field windows.-1: no such element: want an index from 0 to 2`},
		{"table", "[1", `field table: "[1": want a list, each a number from -10 to 10`},
		{"table", "[1]\nname: y", "field table: \"[1]\\nname: y\": want a list, each a number from -10 to 10"},
		{"radio.timer", "soon", `field radio.timer: "soon": want a duration (for example 800ms or 1h30m)`},
		{"link.mtu", "", `field link.mtu: "": want a whole number from 576 to 65535`},
	} {
		got, d := decodeGood(t)
		err := d.Set(c.path, c.value)
		if err == nil || err.Error() != c.want {
			t.Errorf("%s=%s:\n got %v\nwant %s", c.path, c.value, err, c.want)
		}
		if want, _ := decodeGood(t); !cmp.Equal(want, got, cmp.AllowUnexported(config{})) {
			t.Errorf("%s=%s: changed the config", c.path, c.value)
		}
	}
}

func TestErrorf(t *testing.T) {
	_, d := decodeGood(t)
	if err := d.Errorf("link.up.delay", "too long for %s", "x"); err.Error() != "good.yaml:7:10: field link.up.delay: too long for x" {
		t.Error(err)
	}
	if err := d.Errorf("radio.rai", "no"); err.Error() != "good.yaml:10:3: field radio.rai: no" {
		t.Error(err)
	}
	if err := d.Set("radio.timer", "1s"); err != nil {
		t.Fatal(err)
	}
	if err := d.Errorf("radio.timer", "no"); err.Error() != "field radio.timer: no" {
		t.Error(err)
	}
}

func FuzzSet(f *testing.F) {
	for _, s := range [][2]string{{"link.rate", "26kbit"}, {"windows.0.start", "1s"}, {"labels.x", "y"}, {"radio", "{timer: 1s}"}, {"table", "[1, 2]"}, {"..", ""}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, path, value string) {
		var c config
		if err := Set(&c, path, value); err != nil && strings.ContainsAny(err.Error(), "\n\r") {
			t.Fatalf("a message of two lines: %q", err)
		}
	})
}
