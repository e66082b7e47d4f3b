package units

import "fmt"

// Power is a mean power in nanowatts. Text: "589mW", "15uW", "1.5W".
type Power int64

var powerUnits = []unit{{"W", 1e9}, {"mW", 1e6}, {"uW", 1e3}, {"nW", 1}}

// ParsePower reads a power; a bare 0 needs no unit.
func ParsePower(text string) (Power, error) {
	if text == "0" {
		return 0, nil
	}
	v, err := parseWhole(text, powerUnits)
	if err != nil {
		return 0, fmt.Errorf("power %q: %w; write W, mW, uW or nW, for example 589mW", text, err)
	}
	return Power(v), nil
}

func (p Power) String() string { return formatWhole(int64(p), powerUnits) }

// Milliwatts is the power in mW.
func (p Power) Milliwatts() float64 { return float64(p) / 1e6 }

// MarshalText writes String.
func (p Power) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText is ParsePower.
func (p *Power) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePower(string(text))
	return err
}

// TextForm describes the text for error messages and schemas.
func (Power) TextForm() (noun, example, pattern string) {
	return "a power", "589mW", `^(0|[0-9]+(\.[0-9]+)?[mun]?W)$`
}
