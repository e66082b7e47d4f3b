package units

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// ParseDuration reads what time.ParseDuration reads, and days before it:
// "800ms", "1h30m", "2d", "1d12h". A bare 0 needs no unit.
func ParseDuration(text string) (time.Duration, error) {
	days, rest, found := strings.Cut(text, "d")
	if !found {
		days, rest = "0", text
	} else if rest == "" {
		rest = "0"
	}
	n, errDays := strconv.ParseUint(days, 10, 32)
	d, errRest := time.ParseDuration(rest)
	if err := errors.Join(errDays, errRest); err != nil || d < 0 {
		return 0, fmt.Errorf("duration %q: write a number with ns, us, ms, s, m, h or d, for example 800ms or 1h30m", text)
	}
	if time.Duration(n) > (math.MaxInt64-d)/day {
		return 0, fmt.Errorf("duration %q is too long: the limit is 292 years", text)
	}
	return time.Duration(n)*day + d, nil
}

// FormatDuration writes d so that ParseDuration reads it, without the zero
// minutes and seconds of time.Duration's String: "20s", "1h30m", "2d".
func FormatDuration(d time.Duration) string {
	if d >= day && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
