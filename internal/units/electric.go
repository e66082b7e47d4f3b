package units

import (
	"fmt"
	"strings"
)

// Current is a current in nanoamperes. Text: "167mA", "2.7uA".
type Current int64

var currentUnits = []unit{{"A", 1e9}, {"mA", 1e6}, {"uA", 1e3}, {"nA", 1}}

// ParseCurrent reads a current; a bare 0 needs no unit.
func ParseCurrent(text string) (Current, error) {
	v, err := parseElectric("current", text, currentUnits, "A, mA, uA or nA, for example 167mA")
	return Current(v), err
}

func (c Current) String() string { return formatDecimal(int64(c), currentUnits) }

// Amperes is the current in A.
func (c Current) Amperes() float64 { return float64(c) / 1e9 }

// MarshalText writes String.
func (c Current) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText is ParseCurrent.
func (c *Current) UnmarshalText(text []byte) (err error) {
	*c, err = ParseCurrent(string(text))
	return err
}

// TextForm describes the text for error messages and schemas.
func (Current) TextForm() (noun, example, pattern string) {
	return "a current", "167mA", `^(0|[0-9]+(\.[0-9]+)?[mun]?A)$`
}

// Voltage is a voltage in microvolts. Text: "3.7V", "3800mV".
type Voltage int64

var voltageUnits = []unit{{"V", 1e6}, {"mV", 1e3}, {"uV", 1}}

// ParseVoltage reads a voltage; a bare 0 needs no unit.
func ParseVoltage(text string) (Voltage, error) {
	v, err := parseElectric("voltage", text, voltageUnits, "V, mV or uV, for example 3.7V")
	return Voltage(v), err
}

func (v Voltage) String() string { return formatDecimal(int64(v), voltageUnits) }

// Volts is the voltage in V.
func (v Voltage) Volts() float64 { return float64(v) / 1e6 }

// MarshalText writes String.
func (v Voltage) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText is ParseVoltage.
func (v *Voltage) UnmarshalText(text []byte) (err error) {
	*v, err = ParseVoltage(string(text))
	return err
}

// TextForm describes the text for error messages and schemas.
func (Voltage) TextForm() (noun, example, pattern string) {
	return "a voltage", "3.7V", `^(0|[0-9]+(\.[0-9]+)?[mu]?V)$`
}

// Energy is an energy in microjoules. Text: "550mJ", "4.15J", "5Wh".
type Energy int64

var energyUnits = []unit{{"Wh", 3.6e9}, {"J", 1e6}, {"mWh", 3.6e6}, {"mJ", 1e3}, {"uJ", 1}}

// ParseEnergy reads an energy; a bare 0 needs no unit.
func ParseEnergy(text string) (Energy, error) {
	v, err := parseElectric("energy", text, energyUnits, "Wh, mWh, J, mJ or uJ, for example 5Wh")
	return Energy(v), err
}

func (e Energy) String() string { return formatDecimal(int64(e), energyUnits) }

// Joules is the energy in J.
func (e Energy) Joules() float64 { return float64(e) / 1e6 }

// MarshalText writes String.
func (e Energy) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText is ParseEnergy.
func (e *Energy) UnmarshalText(text []byte) (err error) {
	*e, err = ParseEnergy(string(text))
	return err
}

// TextForm describes the text for error messages and schemas.
func (Energy) TextForm() (noun, example, pattern string) {
	return "an energy", "5Wh", `^(0|[0-9]+(\.[0-9]+)?(m?Wh|[mu]?J))$`
}

func parseElectric(what, text string, suffixes []unit, write string) (int64, error) {
	if text == "0" {
		return 0, nil
	}
	v, err := parseWhole(text, suffixes)
	if err != nil {
		return 0, fmt.Errorf("%s %q: %w; write %s", what, text, err, write)
	}
	return v, nil
}

// formatDecimal writes v in the largest unit that it reaches, with the decimals
// that this takes. A unit that is no power of ten has to divide it.
func formatDecimal(v int64, units []unit) string {
	for _, u := range units {
		if v < u.factor {
			continue
		}
		if v%u.factor == 0 {
			return fmt.Sprintf("%d%s", v/u.factor, u.suffix)
		}
		if digits := fmt.Sprint(u.factor)[1:]; strings.Trim(digits, "0") == "" {
			decimals := fmt.Sprintf("%0*d", len(digits), v%u.factor)
			return fmt.Sprintf("%d.%s%s", v/u.factor, strings.TrimRight(decimals, "0"), u.suffix)
		}
	}
	return fmt.Sprintf("%d%s", v, units[len(units)-1].suffix)
}
