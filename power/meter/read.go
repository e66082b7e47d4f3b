package meter

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Options say what a file does not.
type Options struct {
	// Voltage of the supply, V, where the file has currents only.
	Voltage float64
	// From and To cut the capture, s after its first sample; To 0 is its end.
	From, To float64
	// Absolute makes From and To times of the file's own clock.
	Absolute bool
	// Bin is the width of Capture.Bins, s; 0 is 0.1.
	Bin float64
	// TXW is the modem's power while sending, from its model, W: it tells a
	// wrong unit or shunt from a strange modem. 0 checks for what no
	// cellular modem does.
	TXW float64
}

// Capture is a measurement, integrated.
type Capture struct {
	Tool      string  `json:"tool"`
	Samples   int     `json:"samples"`
	PeriodS   float64 `json:"period_s"`   // between samples, as seen first
	StartS    float64 `json:"start_s"`    // first sample, by the file's clock
	DurationS float64 `json:"duration_s"` // from first to last sample
	MissingS  float64 `json:"missing_s"`  // of it in gaps
	EnergyJ   float64 `json:"energy_j"`   // without the gaps
	MeanW     float64 `json:"mean_w"`     // over the time that was measured
	PeakW     float64 `json:"peak_w"`
	FloorW    float64 `json:"floor_w"` // the 5th percentile of the bins: the baseline
	// Bins are mean powers over Options.Bin each, W; NaN where nothing was
	// measured. They begin with the first sample.
	Bins     []float64 `json:"-"`
	BinS     float64   `json:"bin_s"`
	Warnings []string  `json:"warnings"`
}

// AboveFloorJ is the energy with a baseline of so many watts taken off.
func (c *Capture) AboveFloorJ(baselineW float64) float64 {
	return c.EnergyJ - baselineW*(c.DurationS-c.MissingS)
}

// Around compares the mean power while packets pass, within width s of the given
// times of the file's clock, with that of the rest, W: what a capture that is
// aligned with its run shows. NaN is a side without samples.
func (c *Capture) Around(times []float64, width float64) (near, apart float64) {
	busy := make([]bool, len(c.Bins))
	for _, at := range times {
		first := math.Floor((at - width - c.StartS) / c.BinS)
		last := math.Floor((at + width - c.StartS) / c.BinS)
		for i := max(first, 0); i <= last && i < float64(len(busy)); i++ {
			busy[int(i)] = true
		}
	}
	var sums, counts [2]float64
	for i, w := range c.Bins {
		side := 0
		if busy[i] {
			side = 1
		}
		if !math.IsNaN(w) {
			sums[side] += w
			counts[side]++
		}
	}
	return sums[1] / counts[1], sums[0] / counts[0]
}

// Limits of a capture: what is larger is refused, not read for ever.
const (
	maxLine = 1 << 16
	maxBins = 10_000_000
)

// Read reads a CSV export. Errors: no header with a time and a current or
// power, no voltage where one is needed, fewer than two samples.
func Read(r io.Reader, opt Options) (*Capture, error) {
	if opt.Bin == 0 {
		opt.Bin = 0.1
	}
	if !(opt.Bin > 0) || !(opt.From >= 0) || opt.To != 0 && !(opt.To > opt.From) || !(opt.Voltage >= 0) {
		return nil, fmt.Errorf("meter: bin %v s, from %v s to %v s, %v V: want a positive bin, and an end after the start", opt.Bin, opt.From, opt.To, opt.Voltage)
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4096), maxLine)
	in := &integrator{opt: opt}
	number := 0
	for lines.Scan() {
		number++
		if err := in.line(lines.Text(), number); err != nil {
			return nil, fmt.Errorf("meter: line %d: %w", number, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("meter: after line %d: %w", number, err)
	}
	return in.finish()
}

// line takes one line: what comes before the header is a comment of the tool.
func (in *integrator) line(text string, number int) error {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	if in.layout.factors == nil {
		l, err := parseHeader(text)
		if err == nil {
			in.layout = l
			return in.checkVoltage()
		}
		const preamble = 20 // lines
		if number < preamble && !startsWithNumber(text) {
			in.headerErr = err
			return nil
		}
		if in.headerErr != nil { // of the line above the numbers
			return in.headerErr
		}
		return err
	}
	s, ok := in.layout.sample(text, in.opt.Voltage)
	if !ok {
		in.bad++
		return nil
	}
	return in.add(s)
}

func (in *integrator) checkVoltage() error {
	if l := in.layout; l.pow < 0 && l.volts < 0 && in.opt.Voltage == 0 {
		return errors.New("the file has currents only: the supply's voltage is needed")
	}
	return nil
}

func startsWithNumber(text string) bool {
	text = strings.TrimSpace(text)
	return text != "" && (text[0] >= '0' && text[0] <= '9' || text[0] == '-' || text[0] == '.')
}

// A reading is one sample: s, A (NaN if only the power is known), W.
type reading struct{ at, amps, power float64 }

// sample reads a line; false if a value is missing or not a number.
func (l *layout) sample(text string, volts float64) (reading, bool) {
	fields := strings.Split(text, l.separator)
	get := func(i int) (float64, bool) {
		if i < 0 || i >= len(fields) {
			return 0, false
		}
		field := strings.Trim(strings.TrimSpace(fields[i]), `"`)
		if l.separator != "," {
			field = strings.Replace(field, ",", ".", 1) // decimal comma
		}
		v, err := strconv.ParseFloat(field, 64)
		v *= l.factors[i]
		return v, err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) && math.Abs(v) < 1e15
	}
	r := reading{amps: math.NaN()}
	var ok bool
	if r.at, ok = get(l.time); !ok {
		return r, false
	}
	amps, hasAmps := get(l.amps)
	if hasAmps {
		r.amps = amps
	}
	if l.pow >= 0 {
		r.power, ok = get(l.pow)
		return r, ok
	}
	if l.volts >= 0 {
		if volts, ok = get(l.volts); !ok {
			return r, false
		}
	}
	r.power = amps * volts
	return r, hasAmps
}

// An integrator adds samples up, and notes what is wrong with them.
type integrator struct {
	opt       Options
	layout    layout
	headerErr error

	out         Capture
	started     bool
	zero        float64 // time of the file's first sample
	first, last reading // within From and To
	periods     []float64
	bad         int // lines without a sample
	back        int // samples not after the one before
	gaps        int
	negative    int
	peakAmps    float64
	run, atPeak int // samples in a row at the maximum: now, at most
	sums        []float64
	times       []float64
}

// learn is the number of periods from which the usual one is taken; gapFactor
// of them make a gap.
const (
	learn     = 100
	gapFactor = 5
)

func (in *integrator) add(r reading) error {
	if !in.started {
		in.started = true
		if !in.opt.Absolute {
			in.zero = r.at
		}
	}
	r.at -= in.zero
	if r.at < in.opt.From || in.opt.To > 0 && r.at > in.opt.To {
		return nil
	}
	if in.out.Samples > 0 && r.at <= in.last.at {
		in.back++
		return nil
	}
	if in.out.Samples == 0 {
		in.first = r
	} else if err := in.step(r); err != nil {
		return err
	}
	in.out.Samples++
	in.note(r)
	in.last = r
	return nil
}

// step integrates from the last sample to this one.
func (in *integrator) step(r reading) error {
	d := r.at - in.last.at
	if len(in.periods) < learn {
		in.periods = append(in.periods, d)
		in.out.PeriodS = median(in.periods)
	}
	if d > gapFactor*in.out.PeriodS {
		in.gaps++
		in.out.MissingS += d
		return nil
	}
	j := d * (in.last.power + r.power) / 2
	in.out.EnergyJ += j
	bin := (in.last.at - in.first.at) / in.opt.Bin
	if bin >= maxBins {
		return fmt.Errorf("%v s into the capture: more than %d bins of %v s", r.at, maxBins, in.opt.Bin)
	}
	for int(bin) >= len(in.sums) {
		in.sums, in.times = append(in.sums, 0), append(in.times, 0)
	}
	in.sums[int(bin)] += j
	in.times[int(bin)] += d
	return nil
}

// note watches single samples.
func (in *integrator) note(r reading) {
	level := r.power
	if !math.IsNaN(r.amps) {
		level = r.amps
		in.peakAmps = max(in.peakAmps, r.amps)
	}
	if level < 0 {
		in.negative++
	}
	switch {
	case in.out.Samples == 1 || r.power > in.out.PeakW:
		in.out.PeakW, in.run, in.atPeak = r.power, 1, 1
	case r.power == in.out.PeakW:
		in.run++
		in.atPeak = max(in.atPeak, in.run)
	default:
		in.run = 0
	}
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// finish completes the capture.
func (in *integrator) finish() (*Capture, error) {
	c := &in.out
	if in.layout.factors == nil {
		if in.headerErr == nil {
			in.headerErr = errors.New("empty")
		}
		return nil, fmt.Errorf("meter: %w", in.headerErr)
	}
	if c.Samples < 2 {
		return nil, fmt.Errorf("meter: %d samples in the time asked for: want at least two", c.Samples)
	}
	c.Tool, c.BinS = in.layout.tool, in.opt.Bin
	c.StartS = in.zero + in.first.at
	c.DurationS = in.last.at - in.first.at
	if measured := c.DurationS - c.MissingS; measured > 0 {
		c.MeanW = c.EnergyJ / measured
	}
	var seen []float64
	for i, t := range in.times {
		w := math.NaN()
		if t > 0 {
			w = in.sums[i] / t
			seen = append(seen, w)
		}
		c.Bins = append(c.Bins, w)
	}
	if len(seen) > 0 {
		slices.Sort(seen)
		c.FloorW = seen[len(seen)/20]
	}
	in.doubt()
	return c, nil
}
