package profiles

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/thinlink/thinlink/internal/units"
	"github.com/thinlink/thinlink/netem"
)

// What show prints as YAML is the same profile again, with its sources.
func TestShowYAMLLoadsAgain(t *testing.T) {
	for _, name := range Names() {
		p := load(t, name)
		var out bytes.Buffer
		if err := p.WriteShow(&out, "yaml"); err != nil {
			t.Fatal(err)
		}
		again, err := Parse("again.yaml", out.Bytes())
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out.String())
		}
		if diff := cmp.Diff(p, again, sameProfile); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		for _, leaf := range p.values() {
			was, _ := p.Provenance(leaf.Path)
			is, _ := again.Provenance(leaf.Path)
			if was.comment() != is.comment() {
				t.Errorf("%s: %s comes from %q, then from %q", name, leaf.Path, was.comment(), is.comment())
			}
		}
	}
}

func TestShowText(t *testing.T) {
	p := load(t, "nbiot")
	if err := p.Set("link.up.loss", "2%"); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := p.WriteShow(&out, "text"); err != nil {
		t.Fatal(err)
	}
	lines := map[string]bool{}
	for _, line := range strings.Split(out.String(), "\n") {
		lines[strings.Join(strings.Fields(line), " ")] = true
	}
	for _, want := range []string{
		"nbiot: NB-IoT (Cat-NB1), good coverage",
		"link.mtu 1358B G 3GPP link MTU",
		"link.up.loss.rate 2% set",
		"link.down.loss.rate 0.1% D SIM: echo loss 0.2 % over both directions, CE0",
		"radio.rrc.inactivity 20s V SIM: connected time p50 23.4-24.1 s",
		"sustained rate up: " + rateUp(p),
		"STB: NB-IoT thesis, Stellenbosch 2019, github.com/dan-leo/masters, thesis/v8/thesis.md",
	} {
		if !lines[want] {
			t.Errorf("no line %q in\n%s", want, out.String())
		}
	}
	if err := p.WriteShow(&out, "xml"); err == nil {
		t.Error("format xml is accepted")
	}
}

func rateUp(p *Profile) string {
	cfg := p.Netem()
	return cfg.Rate(netem.Up).Human()
}

func TestShowJSON(t *testing.T) {
	var out bytes.Buffer
	p := load(t, "nbiot")
	if err := p.WriteShow(&out, "json"); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Name string
		Link struct {
			MTU        string
			HalfDuplex bool `json:"half_duplex"`
			Up         struct{ Delay string }
		}
		Radio      struct{ Up struct{ TBS int } }
		Provenance map[string]Provenance
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Name != "nbiot" || got.Link.MTU != "1358B" || !got.Link.HalfDuplex || got.Link.Up.Delay != units.FormatDuration(p.Link.Up.Delay) || got.Radio.Up.TBS != 1000 {
		t.Errorf("%+v", got)
	}
	if from := got.Provenance["radio.up.tbs"]; from.Flag != "V" || from.File != "nbiot.yaml" {
		t.Errorf("tbs comes from %+v", from)
	}
}
