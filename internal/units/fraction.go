package units

import (
	"fmt"
	"strconv"
	"strings"
)

// Fraction is a share between 0 and 1. Text: "0.5%", "0.005".
type Fraction float64

// ParseFraction reads a share, in percent if it ends in "%".
func ParseFraction(text string) (Fraction, error) {
	number, percent := strings.CutSuffix(text, "%")
	if !decimal(number) {
		return 0, badFraction(text)
	}
	f, err := strconv.ParseFloat(number, 64)
	if percent {
		f /= 100
	}
	if err != nil || f > 1 {
		return 0, badFraction(text)
	}
	return Fraction(f), nil
}

func badFraction(text string) error {
	return fmt.Errorf("share %q: write 0%% to 100%% or 0 to 1, for example 0.5%% or 0.005", text)
}

// decimal keeps signs, hexadecimals, NaN and infinities out.
func decimal(s string) bool {
	return s != "" && strings.Trim(s, "0123456789.eE-") == "" && s[0] != '-'
}

// String is the share in percent, or plain where percent would round.
func (f Fraction) String() string {
	s := strconv.FormatFloat(float64(f)*100, 'g', 12, 64) + "%"
	if g, err := ParseFraction(s); err == nil && g == f {
		return s
	}
	return strconv.FormatFloat(float64(f), 'g', -1, 64)
}

// MarshalText writes String.
func (f Fraction) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText is ParseFraction.
func (f *Fraction) UnmarshalText(text []byte) (err error) {
	*f, err = ParseFraction(string(text))
	return err
}

// TextForm describes the text for error messages and schemas.
func (Fraction) TextForm() (noun, example, pattern string) {
	return "a share of 0% to 100%", "0.5% or 0.005", `^[0-9.]+([eE]-?[0-9]+)?%?$`
}
