package units

import (
	"fmt"
	"math"
	"strings"
)

// A unit is a suffix and what one of it is worth in base units.
type unit struct {
	suffix string
	factor int64 // at most 3.6e9
}

// parseWhole reads a decimal number with one of the suffixes as a whole number
// of base units, exactly: floats would make 1.2Mbit something else than 1200kbit.
func parseWhole(text string, suffixes []unit) (int64, error) {
	number, factor, err := splitUnit(text, suffixes)
	if err != nil {
		return 0, err
	}
	whole, frac, point := strings.Cut(number, ".")
	if whole == "" || point && frac == "" {
		return 0, fmt.Errorf("%q is not a number", number)
	}
	value, err := digits(whole)
	if err != nil {
		return 0, err
	}
	frac = strings.TrimRight(frac, "0")
	part, err := digits(frac)
	if err != nil {
		return 0, err
	}
	if len(frac) > 9 {
		return 0, fmt.Errorf("%q has more than 9 decimals", text)
	}
	scale := int64(math.Pow10(len(frac)))
	if part*factor%scale != 0 { // below 1e9 * 3.6e9: no overflow
		return 0, fmt.Errorf("%q is not a whole number of base units", text)
	}
	part = part * factor / scale
	if value > (math.MaxInt64-part)/factor {
		return 0, fmt.Errorf("%q is too large", text)
	}
	return value*factor + part, nil
}

func splitUnit(text string, suffixes []unit) (number string, factor int64, err error) {
	end := strings.LastIndexAny(text, "0123456789.") + 1
	for _, u := range suffixes {
		if text[end:] == u.suffix {
			return text[:end], u.factor, nil
		}
	}
	if end == len(text) {
		return "", 0, fmt.Errorf("%q lacks a unit", text)
	}
	return "", 0, fmt.Errorf("%q is not a unit here", text[end:])
}

func digits(s string) (int64, error) {
	var v int64
	for _, c := range s {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("%q is not a number", s)
		}
		if v > (math.MaxInt64-int64(c-'0'))/10 {
			return 0, fmt.Errorf("%q is too large", s)
		}
		v = v*10 + int64(c-'0')
	}
	return v, nil
}

// formatWhole writes v in the first unit that divides it. Units are ordered
// from the preferred one; the last has factor 1 and takes what is left.
func formatWhole(v int64, units []unit) string {
	for _, u := range units {
		if v != 0 && v%u.factor == 0 {
			return fmt.Sprintf("%d%s", v/u.factor, u.suffix)
		}
	}
	return fmt.Sprintf("%d%s", v, units[len(units)-1].suffix)
}

// human writes v with up to three decimals in the largest unit that leaves at
// least one of it.
func human(v float64, units []unit, after string) string {
	u := units[len(units)-1]
	for _, bigger := range units {
		if bigger.factor > u.factor && math.Abs(v) >= float64(bigger.factor) {
			u = bigger
		}
	}
	s := fmt.Sprintf("%.3f", v/float64(u.factor))
	return strings.TrimRight(strings.TrimRight(s, "0"), ".") + " " + u.suffix + after
}
