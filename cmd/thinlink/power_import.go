package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/thinlink/thinlink/internal/units"
	"github.com/thinlink/thinlink/measure"
	"github.com/thinlink/thinlink/power"
	"github.com/thinlink/thinlink/power/meter"
	"github.com/thinlink/thinlink/profiles"
)

// importFlags are what thinlink power import takes.
type importFlags struct {
	voltage, module, profile string
	from, to                 time.Duration
	baseline                 string
	trace                    string
	json                     bool
}

func newImport() *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "integrate a CSV export of a PPK2, Otii or Joulescope, and say what is wrong with it",
		Example: `  thinlink power import ppk.csv --voltage 3.7V --module nrf9160 -p ltem
  thinlink power import otii.csv --from 10s --to 610s --baseline 12mW --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd.OutOrStdout(), args[0]) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.voltage, "voltage", "", "supply, for files with currents only (default: the module's)")
	fl.StringVar(&f.module, "module", "", "module model that was measured: a peak far from its own is said")
	fl.StringVarP(&f.profile, "profile", "p", "nbiot", "profile whose technology the module spoke")
	fl.DurationVar(&f.from, "from", 0, "leave out what is before, counted from the first sample")
	fl.DurationVar(&f.to, "to", 0, "leave out what is after; 0 is the end")
	fl.StringVar(&f.baseline, "baseline", "0", "power to take off, for example of a board without its modem")
	fl.StringVar(&f.trace, "run", "", "run whose window and packets the capture is to be aligned with, for example results/nbiot-power-60s-mqtt-tc-s1; its times have to be Unix times, as power meter writes them")
	fl.BoolVar(&f.json, "json", false, "print one JSON object")
	complete(cmd, "module", power.Names)
	complete(cmd, "profile", profiles.Names)
	return cmd
}

// imported is what import prints as JSON.
type imported struct {
	File string `json:"file"`
	*meter.Capture
	EnergyWh    float64 `json:"energy_wh"`
	BaselineW   float64 `json:"baseline_w"`
	AboveFloorJ float64 `json:"above_baseline_j"`
	// Aligned is the run's side, nil without one.
	Aligned *aligned `json:"aligned,omitempty"`
}

// aligned compares a capture with the packets of its run.
type aligned struct {
	Run      string  `json:"run"`
	Packets  int     `json:"packets"`
	Bytes    int64   `json:"bytes"`
	AroundW  float64 `json:"around_packets_w"` // mean within half a second of a packet
	ApartW   float64 `json:"apart_from_packets_w"`
	PerByteJ float64 `json:"per_byte_j"` // above the baseline
}

func (f *importFlags) run(w io.Writer, name string) error {
	opt, err := f.options()
	if err != nil {
		return err
	}
	baseline, err := units.ParsePower(f.baseline)
	if err != nil {
		return fmt.Errorf("--baseline: %w", err)
	}
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	var trace *measure.Trace
	if f.trace != "" {
		if trace, err = measure.ReadTrace(f.trace+".pcapng", f.trace+".events.jsonl"); err != nil {
			return fmt.Errorf("--run: %w", err)
		}
		opt.Absolute, opt.From, opt.To = true, unixTime(trace.WindowStart), unixTime(trace.WindowEnd)
	}
	c, err := meter.Read(file, opt)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	out := imported{name, c, c.EnergyJ / 3600, float64(baseline) / 1e9, c.AboveFloorJ(float64(baseline) / 1e9), nil}
	if trace != nil {
		out.align(f.trace, trace)
	}
	if f.json {
		return json.NewEncoder(w).Encode(out)
	}
	return out.print(w)
}

func unixTime(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

// align compares the capture with the packets of a run's window. A capture
// whose power does not rise when packets pass has another clock.
func (i *imported) align(name string, trace *measure.Trace) {
	var times []float64
	for _, p := range trace.Packets {
		if !p.Time.Before(trace.WindowStart) && p.Time.Before(trace.WindowEnd) {
			times = append(times, unixTime(p.Time))
		}
	}
	res := measure.Judge(trace)
	a := &aligned{Run: name, Packets: len(times), Bytes: res.Up.Bytes + res.Down.Bytes}
	if a.Bytes > 0 {
		a.PerByteJ = i.AboveFloorJ / float64(a.Bytes)
	}
	with, without := i.Around(times, 0.5)
	switch {
	case math.IsNaN(with) || math.IsNaN(without):
		i.Warnings = append(i.Warnings, "not aligned: there are no samples around packets, or none apart from them")
	case with <= without:
		i.Warnings = append(i.Warnings, "not aligned: the power does not rise when packets pass; do both clocks agree?")
	}
	if !math.IsNaN(with) {
		a.AroundW = with
	}
	if !math.IsNaN(without) {
		a.ApartW = without
	}
	i.Aligned = a
}

func (f *importFlags) options() (opt meter.Options, err error) {
	opt.From, opt.To = f.from.Seconds(), f.to.Seconds()
	if f.module != "" {
		module, err := power.Load(f.module)
		if err != nil {
			return opt, err
		}
		link, err := profiles.Load(f.profile)
		if err != nil {
			return opt, err
		}
		model, err := module.Model(link.Technology, nil)
		if err != nil {
			return opt, err
		}
		opt.Voltage, opt.TXW = module.Voltage.Volts(), model.TX
	}
	if f.voltage != "" {
		v, err := units.ParseVoltage(f.voltage)
		if err != nil {
			return opt, fmt.Errorf("--voltage: %w", err)
		}
		opt.Voltage = v.Volts()
	}
	return opt, nil
}

func (i *imported) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s\t%s, %d samples in %.4g s\n", i.File, i.Tool, i.Samples, i.DurationS)
	fmt.Fprintf(t, "energy\t%s, %.4g mWh\n", joules(i.EnergyJ), 1000*i.EnergyWh)
	if i.BaselineW > 0 {
		fmt.Fprintf(t, "above %s\t%s\n", watts(i.BaselineW), joules(i.AboveFloorJ))
	}
	fmt.Fprintf(t, "mean, peak, floor\t%s, %s, %s\n", watts(i.MeanW), watts(i.PeakW), watts(i.FloorW))
	if a := i.Aligned; a != nil {
		fmt.Fprintf(t, "around packets\t%s, apart from them %s\n", watts(a.AroundW), watts(a.ApartW))
		fmt.Fprintf(t, "%d B of IP\t%s for each\n", a.Bytes, joules(a.PerByteJ))
	}
	for _, warning := range i.Warnings {
		fmt.Fprintf(t, "warning\t%s\n", warning)
	}
	return t.Flush()
}
