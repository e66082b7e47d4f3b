// Package units holds the quantities people write in profiles and on the
// command line: BitRate, Bytes, Fraction, Queue, Power, Current,
// Voltage, Energy, and durations with days.
// Values are in base units; text forms scale at the edge and are exact:
// String gives a text that parses to the same value.
//
//	rate, err := units.ParseBitRate("26kbit") // 26000 bit/s
//	rate.String()                             // "26kbit"
//	rate.Human()                              // "26 kbit/s"
//
// Limitation: quantities are not negative; a text with a sign is refused.
package units

import "fmt"

// BitRate is a data rate in bit/s. Text: "26kbit", "1.2Mbit", "2430bit"; a
// bare 0 needs no unit.
type BitRate int64

var rateUnits = []unit{{"Gbit", 1e9}, {"Mbit", 1e6}, {"kbit", 1e3}, {"bit", 1}}

// ParseBitRate reads a rate. Prefixes are decimal: 1kbit is 1000 bit/s.
func ParseBitRate(text string) (BitRate, error) {
	if text == "0" {
		return 0, nil
	}
	v, err := parseWhole(text, rateUnits)
	if err != nil {
		return 0, fmt.Errorf("bit rate %q: %w; write bit, kbit, Mbit or Gbit, for example 26kbit", text, err)
	}
	return BitRate(v), nil
}

func (r BitRate) String() string { return formatWhole(int64(r), rateUnits) }

// Human is the rate for people: "2.43 kbit/s".
func (r BitRate) Human() string { return human(float64(r), rateUnits, "/s") }

// MarshalText writes String.
func (r BitRate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is ParseBitRate.
func (r *BitRate) UnmarshalText(text []byte) (err error) {
	*r, err = ParseBitRate(string(text))
	return err
}

// TextForm describes the text for error messages and schemas.
func (BitRate) TextForm() (noun, example, pattern string) {
	return "a bit rate", "26kbit", `^(0|[0-9]+(\.[0-9]+)?[kMG]?bit)$`
}

// Bytes is a size in bytes. Text: "16KiB", "1MiB", "972000", "10kB".
type Bytes int64

var (
	sizeUnits = []unit{
		{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
		{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1},
	}
	parseSizeUnits = append([]unit{{"", 1}}, sizeUnits...)
	binaryUnits    = []unit{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}
)

// ParseBytes reads a size. KiB, MiB and GiB are powers of 1024; kB, MB and GB
// of 1000; a number without unit is bytes.
func ParseBytes(text string) (Bytes, error) {
	v, err := parseWhole(text, parseSizeUnits)
	if err != nil {
		return 0, fmt.Errorf("size %q: %w; write bytes, B, kB, MB, GB, KiB, MiB or GiB, for example 16KiB", text, err)
	}
	return Bytes(v), nil
}

func (b Bytes) String() string { return formatWhole(int64(b), sizeUnits) }

// Human is the size for people: "1.084 MiB".
func (b Bytes) Human() string { return human(float64(b), binaryUnits, "") }

// MarshalText writes String.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText is ParseBytes.
func (b *Bytes) UnmarshalText(text []byte) (err error) {
	*b, err = ParseBytes(string(text))
	return err
}

// TextForm describes the text for error messages and schemas.
func (Bytes) TextForm() (noun, example, pattern string) {
	return "a size", "16KiB", `^[0-9]+(\.[0-9]+)?([kMG]?B|[KMG]iB)?$`
}
