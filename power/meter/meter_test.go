package meter

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/fstest"
)

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-6*max(1e-3, math.Abs(want)) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// ppk makes an export of a PPK2: n samples of period ms whose current is f, uA.
func ppk(n int, period float64, f func(i int) float64) string {
	var b strings.Builder
	b.WriteString("Timestamp(ms),Current(uA),D0-D7\n")
	for i := range n {
		fmt.Fprintf(&b, "%g,%g,00000000\n", float64(i)*period, f(i))
	}
	return b.String()
}

// burst is 10 mA with 100 mA in every tenth hundred of samples, and noise.
func burst(i int) float64 {
	if i/100%10 == 0 {
		return 100_000 + float64(i%7)
	}
	return 10_000 + float64(i%5)
}

func read(t *testing.T, text string, opt Options) *Capture {
	t.Helper()
	c, err := Read(strings.NewReader(text), opt)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestFormats reads the same minute as each tool writes it: 100 mA at 3.6 V for
// 2 s.
func TestFormats(t *testing.T) {
	for name, c := range map[string]struct {
		text, tool string
		voltage    float64
	}{
		"ppk2":             {"Timestamp(ms),Current(uA),D0,D1\n0,100000,0,0\n1000,100000,0,0\n2000,100000,1,0\n", ToolPPK2, 3.6},
		"otii":             {"Timestamp,Arc Main Current (A),Arc Main Voltage (V)\n0.0,0.1,3.6\n1.0,0.1,3.6\n2.0,0.1,3.6\n", ToolOtii, 0},
		"otii, european":   {"\"Timestamp [s]\";\"Main Current [mA]\"\n0,0;100,0\n1,0;100,0\n2,0;100,0\n", ToolOtii, 3.6},
		"joulescope":       {"#time,current,voltage\n0,0.1,3.6\n1,0.1,3.6\n2,0.1,3.6\n", ToolJoulescope, 0},
		"joulescope, long": {"# Joulescope export\n# rate 1\ntime (s),current (A),voltage (V),power (W)\n0,0.1,3.6,0.36\n1,0.1,3.6,0.36\n2,0.1,3.6,0.36\n", ToolJoulescope, 0},
		"power meter":      {"Time (s),Power (W)\r\n0,0.36\r\n1,0.36\r\n\r\n2,0.36\r\n", ToolUnknown, 0},
	} {
		got := read(t, c.text, Options{Voltage: c.voltage})
		if got.Tool != c.tool || got.Samples != 3 || len(got.Warnings) != 0 {
			t.Errorf("%s: %+v", name, got)
		}
		near(t, name+": energy", got.EnergyJ, 0.72)
		near(t, name+": duration", got.DurationS, 2)
		near(t, name+": mean", got.MeanW, 0.36)
	}
}

func TestIntegral(t *testing.T) {
	c := read(t, ppk(10_001, 1, burst), Options{Voltage: 4, TXW: 0.5})
	near(t, "duration", c.DurationS, 10)
	if math.Abs(c.EnergyJ-10*4*0.019) > 0.001 {
		t.Errorf("energy %v J, want about 0.76", c.EnergyJ)
	}
	if math.Abs(c.FloorW-0.04) > 1e-4 || math.Abs(c.PeakW-0.4) > 1e-3 || len(c.Bins) != 100 {
		t.Errorf("floor %v, peak %v, %d bins", c.FloorW, c.PeakW, len(c.Bins))
	}
	if len(c.Warnings) != 0 {
		t.Errorf("warnings %q", c.Warnings)
	}
	near(t, "above the baseline", c.AboveFloorJ(0.04), c.EnergyJ-0.4)
	// Cut: the first burst lasts 100 ms.
	c = read(t, ppk(10_001, 1, burst), Options{Voltage: 4, From: 0.2, To: 0.9})
	near(t, "cut duration", c.DurationS, 0.7)
	if math.Abs(c.EnergyJ-0.7*0.04) > 1e-4 {
		t.Errorf("cut energy %v J, want 0.028", c.EnergyJ)
	}
}

// TestAround: packets in the bursts of every other second.
func TestAround(t *testing.T) {
	text := "Time (s),Power (W)\n"
	for i := range 1000 {
		w := 0.1
		if i/100%2 == 1 {
			w = 0.5
		}
		text += fmt.Sprintf("%.2f,%g\n", 1.7e9+float64(i)/100, w)
	}
	c := read(t, text, Options{Absolute: true, From: 1.7e9 + 0.5, To: 1.7e9 + 9})
	near(t, "start", c.StartS, 1.7e9+0.5)
	near(t, "duration", c.DurationS, 8.5)
	with, without := c.Around([]float64{1.7e9 + 1.5, 1.7e9 + 3.5, 1.7e9 + 5.5, 1.7e9 + 7.5, 1}, 0.3)
	if math.Abs(with-0.5) > 0.01 || without > 0.3 {
		t.Errorf("%v W around packets, %v W apart from them", with, without)
	}
	if with, _ := c.Around(nil, 1); !math.IsNaN(with) {
		t.Errorf("%v W around no packets", with)
	}
}

func TestDoubts(t *testing.T) {
	good := ppk(2000, 1, burst)
	lines := strings.SplitAfter(good, "\n")
	flat := func(i int) float64 { // cut off at 60 mA
		return min(burst(i), 60_000)
	}
	for name, c := range map[string]struct {
		text string
		opt  Options
		want string // "" is none
	}{
		"good":          {good, Options{Voltage: 3.7, TXW: 0.4}, ""},
		"gap":           {strings.Join(append(append([]string{}, lines[:500]...), lines[700:]...), ""), Options{Voltage: 3.7}, "1 gaps of together 0.201 s of 2 s"},
		"not a number":  {strings.Replace(good, "\n7,10000", "\n7,nan", 1) + "rubbish\n", Options{Voltage: 3.7}, "2 lines without a sample"},
		"back":          {good + "5,10000,0\n", Options{Voltage: 3.7}, "1 samples were not after the one before"},
		"plateau":       {ppk(2000, 1, flat), Options{Voltage: 3.7}, "in a row at the maximum"},
		"end of range":  {ppk(2000, 1, func(i int) float64 { return 10 * burst(i) }), Options{Voltage: 3.7}, "saturated: 1 A reach the end of the range of ppk2, 1 A"},
		"reversed":      {ppk(2000, 1, func(i int) float64 { return 20_000 - burst(i) }), Options{Voltage: 3.7}, "negative"},
		"milliamperes":  {ppk(2000, 1, func(i int) float64 { return burst(i) / 1000 }), Options{Voltage: 3.7, TXW: 0.4}, "a wrong unit, by a factor of 1e-03"},
		"tenfold shunt": {ppk(2000, 1, func(i int) float64 { return burst(i) / 10 }), Options{Voltage: 3.7, TXW: 0.4}, "a wrong shunt by a factor of 0.0"},
		"no modem":      {ppk(2000, 1, func(i int) float64 { return burst(i) / 1000 }), Options{Voltage: 3.7}, "not a cellular modem's"},
	} {
		got := read(t, c.text, c.opt)
		all := strings.Join(got.Warnings, "\n")
		if c.want == "" && all != "" || !strings.Contains(all, c.want) {
			t.Errorf("%s: warnings %q, want %q", name, all, c.want)
		}
	}
}

func TestMistakes(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		opt  Options
		want string
	}{
		"empty":         {"", Options{}, "empty"},
		"no voltage":    {"Timestamp(ms),Current(uA)\n0,1\n1,1\n", Options{}, "line 1: the file has currents only"},
		"no time":       {"a,b\n1,2\n", Options{}, "line 2: no column for the time"},
		"no current":    {"time,bits\n1,2\n3,4\n", Options{}, "no column for current or power"},
		"unit":          {"time,current (mol)\n1,2\n3,4\n", Options{}, "unknown unit"},
		"one sample":    {"time,power\n1,2\n", Options{}, "1 samples"},
		"nothing there": {"time,power\n1,2\n2,2\n", Options{From: 10}, "0 samples"},
		"options":       {"time,power\n1,2\n2,2\n", Options{From: 10, To: 5}, "an end after the start"},
		"long line":     {"time,power\n1,2\n" + strings.Repeat("x", maxLine+1), Options{}, "too long"},
		"too fine":      {"time,power\n0,1\n1e9,1\n2e9,1\n", Options{Bin: 1e-6}, "bins"},
	} {
		if _, err := Read(strings.NewReader(c.text), c.opt); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// FuzzRead: no file makes it fail otherwise than by an error; what it reads is
// consistent.
func FuzzRead(f *testing.F) {
	f.Add(ppk(20, 1, burst), 3.7)
	f.Add("#time,current,voltage\n0,0.1,3.6\n1,0.1,3.6\n", 0.)
	f.Add("Timestamp;Main Current [mA]\n0,0;1e9\n1e-9,0;-5\n", 1.)
	f.Fuzz(func(t *testing.T, text string, voltage float64) {
		c, err := Read(strings.NewReader(text), Options{Voltage: voltage, Bin: 10})
		if err != nil {
			return
		}
		if c.Samples < 2 || !(c.DurationS > 0) || c.MissingS < 0 || c.MissingS > c.DurationS*(1+1e-9) || math.IsNaN(c.EnergyJ) || math.IsNaN(c.FloorW) {
			t.Fatalf("%+v", c)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	text := ppk(100_000, 0.01, burst)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := Read(strings.NewReader(text), Options{Voltage: 3.7}); err != nil {
			b.Fatal(err)
		}
	}
}

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text + "\n")} }

func TestSensors(t *testing.T) {
	sys := fstest.MapFS{
		"class/hwmon/hwmon0/name":         file("cpu_thermal"),
		"class/hwmon/hwmon0/temp1_input":  file("48000"),
		"class/hwmon/hwmon1/name":         file("ina219"),
		"class/hwmon/hwmon1/power1_input": file("412000"),
		"class/hwmon/hwmon2/name":         file("ltc"),
		"class/hwmon/hwmon2/curr1_input":  file("100"),
		"class/hwmon/hwmon2/in1_input":    file("3600"),

		"bus/iio/devices/iio:device0/name":              file("ina226"),
		"bus/iio/devices/iio:device0/in_power2_raw":     file("25"),
		"bus/iio/devices/iio:device0/in_power2_scale":   file("20.000000"),
		"bus/iio/devices/iio:device1/name":              file("ina219"),
		"bus/iio/devices/iio:device1/in_current3_raw":   file("100"),
		"bus/iio/devices/iio:device1/in_current3_scale": file("1.0"),
		"bus/iio/devices/iio:device1/in_voltage1_raw":   file("900"),
		"bus/iio/devices/iio:device1/in_voltage1_scale": file("4"),
		"bus/iio/devices/iio:device2/name":              file("thermometer"),
	}
	all, err := Sensors(sys)
	if err != nil || len(all) != 4 {
		t.Fatalf("%d sensors, %v", len(all), err)
	}
	for i, want := range []float64{0.412, 0.36, 0.5, 0.36} {
		got, err := all[i].Power()
		if err != nil {
			t.Fatal(err)
		}
		near(t, all[i].Path, got, want)
	}
	for _, c := range []struct{ name, want, err string }{
		{"hwmon1", "class/hwmon/hwmon1", ""}, {"ina226", "bus/iio/devices/iio:device0", ""},
		{"ina219", "", "several"}, {"", "", "several"}, {"ina3221", "", "no sensor"},
	} {
		s, err := Choose(all, c.name)
		if c.err == "" && (err != nil || s.Path != c.want) || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%q: %+v, %v", c.name, s, err)
		}
	}
	if _, err := Choose(nil, ""); err != ErrNoSensor {
		t.Errorf("no sensor: %v", err)
	}
	sys["class/hwmon/hwmon1/power1_input"] = file("much")
	if _, err := all[0].Power(); err == nil || !strings.Contains(err.Error(), "ina219") {
		t.Errorf("not a number: %v", err)
	}
	delete(sys, "class/hwmon/hwmon1/power1_input")
	if _, err := all[0].Power(); err == nil {
		t.Error("a sensor that has gone was read")
	}
}
