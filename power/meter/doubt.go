package meter

import (
	"fmt"
	"math"
)

// Limits of doubt.
const (
	// plateau is how many samples in a row at exactly the maximum look like
	// the end of a range: noise does not repeat itself.
	plateau = 10
	// tolerance is how far a peak may be from the model's.
	tolerance = 5.0
	// weakest and strongest are peaks of a cellular modem, W: below 10 mW
	// nothing transmits, above 20 W nothing lasts.
	weakest, strongest = 0.01, 20.0
)

// doubt writes the warnings.
func (in *integrator) doubt() {
	c := &in.out
	warn := func(format string, args ...any) { c.Warnings = append(c.Warnings, fmt.Sprintf(format, args...)) }
	c.Warnings = []string{}
	if in.gaps > 0 {
		warn("%d gaps of together %.3g s of %.3g s: their energy is missing", in.gaps, c.MissingS, c.DurationS)
	}
	if in.bad > 0 {
		warn("%d lines without a sample", in.bad)
	}
	if in.back > 0 {
		warn("%d samples were not after the one before: left out", in.back)
	}
	if in.negative > c.Samples/100 {
		warn("%.0f %% of the samples are negative: reversed leads, or an offset", 100*float64(in.negative)/float64(c.Samples))
	}
	if limit := ranges[c.Tool]; limit > 0 && in.peakAmps >= limit {
		warn("saturated: %.3g A reach the end of the range of %s, %.3g A", in.peakAmps, c.Tool, limit)
	} else if in.atPeak >= plateau && c.PeakW > 1.5*c.MeanW {
		warn("%d samples in a row at the maximum of %.3g W: perhaps saturated", in.atPeak, c.PeakW)
	}
	if w := unitDoubt(c.PeakW, in.opt.TXW); w != "" {
		warn("%s", w)
	}
}

// unitDoubt compares a peak with what the modem draws while sending.
func unitDoubt(peak, tx float64) string {
	if tx == 0 {
		if peak < weakest || peak > strongest {
			return fmt.Sprintf("a peak of %.3g W is not a cellular modem's: a wrong unit, or a wrong shunt", peak)
		}
		return ""
	}
	ratio := peak / tx
	if ratio >= 1/tolerance && ratio <= tolerance {
		return ""
	}
	if thousands := math.Round(math.Log10(math.Abs(ratio)) / 3); thousands != 0 && !math.IsInf(thousands, 0) {
		if rest := ratio / math.Pow(1000, thousands); rest >= 1/tolerance && rest <= tolerance {
			return fmt.Sprintf("a peak of %.3g W, where the module draws %.3g W: a wrong unit, by a factor of %.0e", peak, tx, math.Pow(1000, thousands))
		}
	}
	return fmt.Sprintf("a peak of %.3g W, where the module draws %.3g W: a wrong shunt by a factor of %.2g, or the modem never sent", peak, tx, ratio)
}
