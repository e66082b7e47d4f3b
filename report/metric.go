package report

import (
	"fmt"
	"math"
	"strings"
)

// A metric is one number of a run; of all of them, less is better.
type metric struct {
	name   string // as a key
	title  string
	unit   string // of axes
	per    float64
	format func(float64) string
	of     func(*Record) float64
	has    func(*Record) bool
}

// axis is the title of an axis, with its unit.
func (m *metric) axis() string {
	if m.unit == "" {
		return m.title
	}
	return m.title + ", " + m.unit
}

func always(*Record) bool { return true }

func isOTA(r *Record) bool { return r.OTA != nil }

var (
	completionTime = &metric{
		name: "completion_s", title: "completion time", unit: "s", per: 1, format: compactSeconds,
		of: func(r *Record) float64 { return r.CompletionS }, has: always,
	}
	linkBytes = &metric{
		name: "bytes", title: "IP bytes on the link", unit: "kB", per: 1e3, format: kilobytes,
		of: func(r *Record) float64 { return float64(r.Up.Bytes + r.Down.Bytes) }, has: always,
	}
	wastedBytes = &metric{
		name: "wasted_bytes", title: "image bytes wasted", unit: "kB", per: 1e3, format: kilobytes,
		of: func(r *Record) float64 { return float64(r.OTA.WastedBytes) }, has: isOTA,
	}
	energy = &metric{
		name: "energy_j", title: "energy", unit: "J", per: 1, format: compactJoules,
		of: func(r *Record) float64 { return r.EnergyJ }, has: func(r *Record) bool { return r.EnergyJ > 0 },
	}
	retransmissions = &metric{
		name: "retransmissions", title: "retransmissions", per: 1, format: count,
		of: func(r *Record) float64 {
			x := r.Retransmissions
			return float64(x.TCP + x.CoAP + x.DTLS + x.MQTTSN)
		}, has: always,
	}
	spurious = &metric{
		name: "retransmissions_spurious", title: "spurious retransmissions", per: 1, format: count,
		of: func(r *Record) float64 {
			x := r.Retransmissions
			return float64(x.TCPSpurious + x.CoAPSpurious + x.MQTTSNSpurious)
		}, has: always,
	}
	wastedPerInterruption = &metric{
		name: "wasted_bytes_per_interruption", title: "image bytes wasted per interruption", unit: "kB", per: 1e3, format: kilobytes,
		of:  func(r *Record) float64 { return float64(r.OTA.WastedBytes) / float64(r.OTA.Interruptions) },
		has: func(r *Record) bool { return isOTA(r) && r.OTA.Interruptions > 0 },
	}
)

// heatMetrics are those of the heat maps.
var heatMetrics = []*metric{completionTime, linkBytes, wastedBytes, energy, retransmissions, spurious}

// applies reports whether a metric says anything about records.
func (m *metric) applies(records []*Record) bool {
	for _, r := range records {
		if m.has(r) {
			return true
		}
	}
	return false
}

// range of an estimate in a metric's own format.
func (m *metric) describe(e Estimate) string {
	if e.N == 0 {
		return "no run completed"
	}
	s := m.format(e.Median)
	if e.Lo == e.Hi {
		return s
	}
	return fmt.Sprintf("%s (%s to %s)", s, m.format(e.Lo), m.format(e.Hi))
}

// compactSeconds fits a cell of a heat map.
func compactSeconds(v float64) string {
	switch {
	case v < 100:
		return threeDigits(v) + " s"
	case v < 6000:
		return threeDigits(v/60) + " min"
	default:
		return threeDigits(v/3600) + " h"
	}
}

func kilobytes(v float64) string {
	switch {
	case math.Abs(v) < 1000:
		return fmt.Sprintf("%.0f B", v)
	case math.Abs(v) < 1e6:
		return threeDigits(v/1e3) + " kB"
	default:
		return threeDigits(v/1e6) + " MB"
	}
}

func compactJoules(v float64) string {
	if v < 1 {
		return threeDigits(1e3*v) + " mJ"
	}
	return threeDigits(v) + " J"
}

// threeDigits prints three significant digits, more of numbers above 1000.
func threeDigits(v float64) string {
	switch a := math.Abs(v); {
	case a >= 999.5:
		return count(v)
	case a >= 99.95:
		return fmt.Sprintf("%.0f", v)
	case a >= 9.995:
		return trimZeros(fmt.Sprintf("%.1f", v))
	default:
		return trimZeros(fmt.Sprintf("%.2f", v))
	}
}

func trimZeros(s string) string {
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}
