package units

import (
	"encoding"
	"fmt"
	"math"
	"regexp"
	"testing"
	"time"
)

// parse reads text into *T and gives its value as fmt prints it, or "error".
func parse[T any, P interface {
	*T
	encoding.TextUnmarshaler
}](text string) string {
	var v T
	if err := P(&v).UnmarshalText([]byte(text)); err != nil {
		return "error"
	}
	return fmt.Sprintf("%#v", v)
}

func TestParse(t *testing.T) {
	rate, size, share, queue, power := parse[BitRate], parse[Bytes], parse[Fraction], parse[Queue], parse[Power]
	for _, c := range []struct {
		parse      func(string) string
		text, want string
	}{
		{rate, "26kbit", "26000"}, {rate, "1.2Mbit", "1200000"}, {rate, "2430bit", "2430"}, {rate, "0", "0"},
		{rate, "1Gbit", "1000000000"}, {rate, "0.5kbit", "500"}, {rate, "1.0bit", "1"},
		{rate, "26", "error"}, {rate, "-5kbit", "error"}, {rate, "1.5bit", "error"}, {rate, "kbit", "error"}, {rate, "", "error"},
		{rate, "1.kbit", "error"}, {rate, ".5kbit", "error"}, {rate, "26 kbit", "error"}, {rate, "26KBIT", "error"}, {rate, "1.2.3kbit", "error"},
		{rate, "9223372036854775807bit", "9223372036854775807"}, {rate, "9223372036854775808bit", "error"}, {rate, "99999999999Gbit", "error"},
		{rate, "0.1234567891Gbit", "error"},
		{size, "16KiB", "16384"}, {size, "1MiB", "1048576"}, {size, "10kB", "10000"}, {size, "972000", "972000"}, {size, "100B", "100"},
		{size, "1.5KiB", "1536"}, {size, "0.3KiB", "error"}, {size, "1Kib", "error"}, {size, "-1", "error"}, {size, "0", "0"},
		{share, "0.5%", "0.005"}, {share, "0.005", "0.005"}, {share, "100%", "1"}, {share, "1", "1"}, {share, "1e-3", "0.001"},
		{share, "1.01", "error"}, {share, "101%", "error"}, {share, "-1%", "error"}, {share, "NaN", "error"}, {share, "%", "error"}, {share, "0x1p-2", "error"}, {share, "inf", "error"},
		{power, "589mW", "589000000"}, {power, "15uW", "15000"}, {power, "1.5W", "1500000000"}, {power, "0", "0"}, {power, "3", "error"}, {power, "-3mW", "error"}, {power, "0.1nW", "error"},
		{queue, "16KiB", "units.Queue{Bytes:16384, Packets:0}"}, {queue, "12packets", "units.Queue{Bytes:0, Packets:12}"},
		{queue, "unlimited", "units.Queue{Bytes:0, Packets:0}"}, {queue, "0packets", "error"}, {queue, "packets", "error"}, {queue, "0", "error"}, {queue, "-3packets", "error"},
	} {
		if got := c.parse(c.text); got != c.want {
			t.Errorf("%q is %s, want %s", c.text, got, c.want)
		}
	}
}

func TestDuration(t *testing.T) {
	for _, c := range []struct {
		text string
		want time.Duration
		form string
	}{
		{"800ms", 800 * time.Millisecond, "800ms"}, {"20s", 20 * time.Second, "20s"}, {"1h30m", 90 * time.Minute, "1h30m"},
		{"2d", 48 * time.Hour, "2d"}, {"1d12h", 36 * time.Hour, "36h"}, {"0", 0, "0s"}, {"1h0m5s", time.Hour + 5*time.Second, "1h0m5s"},
		{"10m", 10 * time.Minute, "10m"}, {"2621.44s", 2621440 * time.Millisecond, "43m41.44s"}, {"100m", 100 * time.Minute, "1h40m"},
	} {
		got, err := ParseDuration(c.text)
		if err != nil || got != c.want || FormatDuration(got) != c.form {
			t.Errorf("%q is %v (%s), %v; want %v (%s)", c.text, got, FormatDuration(got), err, c.want, c.form)
		}
	}
	for _, text := range []string{"", "5", "-1s", "d", "1.5d", "2dd", "1s2d", "200000d", "1d-2h", "99999999999d"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q is %v, want an error", text, got)
		}
	}
}

func TestHuman(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{BitRate(2430).Human(), "2.43 kbit/s"}, {BitRate(0).Human(), "0 bit/s"}, {BitRate(10_000_000).Human(), "10 Mbit/s"}, {BitRate(999).Human(), "999 bit/s"},
		{Bytes(1_137_000).Human(), "1.084 MiB"}, {Bytes(100).Human(), "100 B"}, {Bytes(16384).Human(), "16 KiB"},
		{BitRate(26_000).String(), "26kbit"}, {BitRate(2430).String(), "2430bit"}, {BitRate(0).String(), "0bit"},
		{Bytes(1358).String(), "1358B"}, {Bytes(16384).String(), "16KiB"}, {Bytes(972000).String(), "972kB"},
		{Fraction(0.002).String(), "0.2%"}, {Fraction(0).String(), "0%"}, {Fraction(1.0 / 3).String(), "0.3333333333333333"},
		{Power(15_000).String(), "15uW"}, {Power(1_500_000_000).String(), "1500mW"},
		{Queue{Packets: 12}.String(), "12packets"}, {Queue{}.String(), "unlimited"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

// FuzzRoundTrip: whatever parses is written as a text that parses to the same
// value and matches the pattern of the schema.
func FuzzRoundTrip(f *testing.F) {
	for _, s := range []string{"26kbit", "1.2Mbit", "16KiB", "0.5%", "12packets", "unlimited", "15uW", "1d12h", "9223372036854775807", "1e-300%", "0."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if v, err := ParseBitRate(s); err == nil {
			again(t, s, v, ParseBitRate)
		}
		if v, err := ParseBytes(s); err == nil {
			again(t, s, v, ParseBytes)
		}
		if v, err := ParseFraction(s); err == nil {
			if math.IsNaN(float64(v)) || v < 0 || v > 1 {
				t.Fatalf("%q is the share %v", s, v)
			}
			again(t, s, v, ParseFraction)
		}
		if v, err := ParsePower(s); err == nil {
			again(t, s, v, ParsePower)
		}
		if v, err := ParseQueue(s); err == nil {
			again(t, s, v, ParseQueue)
		}
		if v, err := ParseDuration(s); err == nil {
			if w, err := ParseDuration(FormatDuration(v)); err != nil || w != v || v < 0 {
				t.Fatalf("%q: %v became %v, %v", s, v, w, err)
			}
		}
	})
}

func again[T interface {
	comparable
	fmt.Stringer
	TextForm() (string, string, string)
}](t *testing.T, s string, v T, parse func(string) (T, error)) {
	t.Helper()
	if w, err := parse(v.String()); err != nil || w != v {
		t.Fatalf("%q: %v became %v, %v", s, v, w, err)
	}
	_, _, pattern := v.TextForm()
	for _, text := range []string{s, v.String()} {
		if !regexp.MustCompile(pattern).MatchString(text) {
			t.Fatalf("%q parses but does not match %s", text, pattern)
		}
	}
}
