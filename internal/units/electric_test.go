package units

import "testing"

func TestParseElectric(t *testing.T) {
	current, voltage, energy := parse[Current], parse[Voltage], parse[Energy]
	for _, c := range []struct {
		parse      func(string) string
		text, want string
	}{
		{current, "167mA", "167000000"}, {current, "2.7uA", "2700"}, {current, "1A", "1000000000"}, {current, "0", "0"},
		{current, "2.7", "error"}, {current, "-1mA", "error"}, {current, "0.1nA", "error"}, {current, "3mW", "error"},
		{voltage, "3.7V", "3700000"}, {voltage, "3800mV", "3800000"}, {voltage, "V", "error"},
		{energy, "550mJ", "550000"}, {energy, "5Wh", "18000000000"}, {energy, "4.15J", "4150000"}, {energy, "2mWh", "7200000"},
		{energy, "0.0000001J", "error"}, {energy, "99999999999Wh", "error"},
	} {
		if got := c.parse(c.text); got != c.want {
			t.Errorf("%q is %s, want %s", c.text, got, c.want)
		}
	}
	for _, c := range []struct{ got, want string }{
		{Current(2700).String(), "2.7uA"}, {Current(167_000_000).String(), "167mA"}, {Current(0).String(), "0nA"},
		{Current(5).String(), "5nA"}, {Current(1_000_000_001).String(), "1.000000001A"}, {Voltage(3_700_000).String(), "3.7V"},
		{Energy(4_150_000).String(), "4.15J"}, {Energy(18_000_000_000).String(), "5Wh"}, {Energy(9_000_000_000).String(), "9000J"}, {Energy(550_000).String(), "550mJ"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
	if got := Energy(18_000_000_000).Joules(); got != 18_000 {
		t.Errorf("5 Wh are %v J, want 18000", got)
	}
}

// FuzzElectric: whatever parses is written as a text that parses to the same
// value and matches the pattern of the schema.
func FuzzElectric(f *testing.F) {
	for _, s := range []string{"167mA", "2.7uA", "3.7V", "5Wh", "550mJ", "9223372036854775807uJ", "0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if v, err := ParseCurrent(s); err == nil {
			again(t, s, v, ParseCurrent)
		}
		if v, err := ParseVoltage(s); err == nil {
			again(t, s, v, ParseVoltage)
		}
		if v, err := ParseEnergy(s); err == nil {
			again(t, s, v, ParseEnergy)
		}
	})
}
