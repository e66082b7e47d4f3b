package power

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/thinlink/thinlink/internal/confyaml"
)

func load(t *testing.T, name string) *Module {
	t.Helper()
	m, err := Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Every value of a built-in module says where it comes from, and every model
// is in order: sleeping is cheaper than listening, listening than sending.
func TestModules(t *testing.T) {
	want := "3gpp bc95 bg96 m5311 nrf9160 sara-n211"
	if got := strings.Join(Names(), " "); got != want {
		t.Errorf("modules %s, want %s", got, want)
	}
	for _, name := range Names() {
		m := load(t, name)
		if m.Name != name || m.Title == "" {
			t.Errorf("%s: name %q, title %q", name, m.Name, m.Title)
		}
		for _, leaf := range confyaml.Leaves(m) {
			if strings.HasPrefix(leaf.Path, "modes.") || leaf.Path == "voltage" || leaf.Path == "psm" {
				flag, source, _ := strings.Cut(m.Source(leaf.Path), " ")
				if !strings.Contains("VDG", flag) || flag == "" || flag != "G" && source == "" {
					t.Errorf("%s: %s: source %q, want a flag V, D or G, and a source with V and D", name, leaf.Path, m.Source(leaf.Path))
				}
			}
		}
		for _, technology := range m.Technologies() {
			d, err := m.Model(technology, nil)
			if err != nil {
				t.Fatal(err)
			}
			if !(d.PSM < d.IdleSleep && d.IdleSleep <= d.CDRXSleep && d.CDRXSleep < d.Connected && d.Connected <= d.RX && d.RX < d.TX) {
				t.Errorf("%s, %s: draws not in order: %+v", name, technology, d)
			}
		}
	}
}

func TestTransmitPower(t *testing.T) {
	m := load(t, "nrf9160")
	v := m.Voltage.Volts()
	dbm := func(p float64) *float64 { return &p }
	for _, c := range []struct {
		dbm  *float64
		want float64 // mA
	}{{nil, 107}, {dbm(23), 107}, {dbm(10), 50}, {dbm(5), 47.5}, {dbm(0), 45}, {dbm(-10), 45}} {
		d, err := m.Model("ltem", c.dbm)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "tx current", d.TX/v*1000, c.want)
	}
	if _, err := m.Model("ltem", dbm(24)); err == nil || !strings.Contains(err.Error(), "at most 23 dBm") {
		t.Errorf("24 dBm: %v", err)
	}
	if _, err := m.Model("4g", nil); err == nil || !strings.Contains(err.Error(), "ltem, nbiot") {
		t.Errorf("4g: %v", err)
	}
	if _, err := m.Model("", nil); err == nil || !strings.Contains(err.Error(), "names no technology") {
		t.Errorf("no technology: %v", err)
	}
}

func TestModuleMistakes(t *testing.T) {
	good := `version: 1
name: mine
voltage: 3.6V
psm: 3uA
modes:
  nbiot:
    tx: [{dbm: 0, draw: 60mA}, {dbm: 23, draw: 700mW}]
    rx: 50mA
    connected: 40mA
    cdrx_sleep: 2mA
    setup: 10mA
    idle: {sleep: 20uA, page: 2mJ}
`
	m, err := Parse("mine.yaml", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	d, _ := m.Model("nbiot", nil)
	near(t, "tx", d.TX, 0.7)
	near(t, "rx", d.RX, 0.18)
	near(t, "tau", d.TAU, 0.036)
	for _, c := range []struct{ old, new, want string }{
		{"psm: 3uA", "psm: 3uV", "mine.yaml:4:6: field psm"},
		{"psm: 3uA\n", "", "psm"},
		{"nbiot:", "nb-iot:", "mine.yaml:7:5: field modes.nb-iot: unknown technology"},
		{"{dbm: 23,", "{dbm: -1,", "modes.nbiot.tx.1.dbm: -1: want transmit powers in ascending order"},
		{"tx: [{dbm: 0, draw: 60mA}, {dbm: 23, draw: 700mW}]", "tx: []", "modes.nbiot.tx: empty"},
		{"rx: 50mA", "rxx: 50mA", "did you mean"},
		{"voltage: 3.6V", "voltage: 0V", "mine.yaml:3:10: field voltage"},
		{"page: 2mJ", "page: 2mW", "modes.nbiot.idle.page"},
	} {
		_, err := Parse("mine.yaml", []byte(strings.Replace(good, c.old, c.new, 1)))
		var errs confyaml.Errors
		if !errors.As(err, &errs) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.new, err, c.want)
		}
	}
	if _, err := Load("nrf9161"); err == nil || !strings.Contains(err.Error(), `did you mean "nrf9160"`) {
		t.Errorf("nrf9161: %v", err)
	}
}

func TestWriteShow(t *testing.T) {
	var b bytes.Buffer
	m := load(t, "nrf9160")
	if err := m.WriteShow(&b, "text"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"nrf9160: Nordic", "psm", "2.7uA", "V NOR", "modes.ltem.tx.2.draw"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("text lacks %q:\n%s", want, b.String())
		}
	}
	b.Reset()
	if err := m.WriteShow(&b, "json"); err != nil {
		t.Fatal(err)
	}
	var object struct {
		Voltage string
		Sources map[string]string
	}
	if err := json.Unmarshal(b.Bytes(), &object); err != nil || object.Voltage != "3.7V" || object.Sources["psm"] != "V NOR" {
		t.Errorf("%v: %+v", err, object)
	}
	if err := m.WriteShow(&b, "xml"); err == nil {
		t.Error("xml was written")
	}
}

// FuzzParse: what is accepted gives models without negative or infinite draws.
func FuzzParse(f *testing.F) {
	for _, name := range Names() {
		data, err := File(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse("fuzz.yaml", data)
		if err != nil {
			return
		}
		for _, technology := range m.Technologies() {
			d, err := m.Model(technology, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range []float64{d.TX, d.RX, d.Setup, d.Connected, d.CDRXSleep, d.IdleSleep, d.PSM, d.TAU, d.Page, d.Wake} {
				if !(w >= 0) || w > 1e15 {
					t.Fatalf("%s: %+v", technology, d)
				}
			}
		}
	})
}
