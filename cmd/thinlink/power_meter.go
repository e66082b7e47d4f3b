package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"periph.io/x/host/v3/sysfs"

	"github.com/thinlink/thinlink/internal/units"
	"github.com/thinlink/thinlink/lab"
	"github.com/thinlink/thinlink/power/meter"
)

// meterFlags are what thinlink power meter takes.
type meterFlags struct {
	sensor             string
	interval, duration time.Duration
	out                string
	list               bool
}

func newMeter() *cobra.Command {
	var f meterFlags
	cmd := &cobra.Command{
		Use:   "meter",
		Short: "record a kernel power sensor (INA219, INA226, INA260, ... by hwmon or IIO) as CSV for import",
		Example: `  thinlink power meter --list
  thinlink power meter --interval 10ms --duration 10m -o run.csv && thinlink power import run.csv`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.sensor, "sensor", "", "name or path, if there are several")
	fl.DurationVar(&f.interval, "interval", 100*time.Millisecond, "time between samples")
	fl.DurationVar(&f.duration, "duration", 0, "0 records until interrupted")
	fl.StringVarP(&f.out, "output", "o", "", "file (default: standard output)")
	fl.BoolVar(&f.list, "list", false, "list the sensors")
	return cmd
}

func (f *meterFlags) run(cmd *cobra.Command) error {
	if f.interval < time.Millisecond || f.duration < 0 {
		return fmt.Errorf("--interval %v --duration %v: want at least 1ms, and not less than 0", f.interval, f.duration)
	}
	if f.list {
		return f.print(cmd)
	}
	sensor, err := openSensor(f.sensor)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if f.out != "" {
		file, err := os.Create(f.out)
		if err != nil {
			return err
		}
		defer file.Close()
		out = file
	}
	saturated, err := lab.RecordPower(cmd.Context(), sensor, f.interval, f.duration, out)
	if saturated > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "thinlink: %d samples were out of the sensor's range: the energy is more than they say\n", saturated)
	}
	return err
}

// print lists the sensors that the kernel knows.
func (f *meterFlags) print(cmd *cobra.Command) error {
	sensors, err := meter.Sensors(os.DirFS("/sys"))
	if err != nil {
		return &exitError{exitMachine, err}
	}
	for i := range sensors {
		fmt.Fprintf(cmd.OutOrStdout(), "%s\t%s\n", sensors[i].Path, sensors[i].Name)
	}
	return nil
}

// openSensor finds a sensor of the kernel by name or path, or one on an I2C
// bus, and reads it once.
func openSensor(name string) (*meter.Sensor, error) {
	if strings.HasPrefix(name, "i2c:") {
		return openI2C(name)
	}
	sensors, err := meter.Sensors(os.DirFS("/sys"))
	if err != nil {
		return nil, &exitError{exitMachine, err}
	}
	sensor, err := meter.Choose(sensors, name)
	if errors.Is(err, meter.ErrNoSensor) {
		return nil, &exitError{exitMachine, err}
	}
	return sensor, err
}

func openI2C(name string) (*meter.Sensor, error) {
	wired, err := meter.ParseI2C(name)
	if err != nil {
		return nil, err
	}
	bus, err := sysfs.NewI2C(wired.Bus)
	if err != nil {
		return nil, &exitError{exitMachine, fmt.Errorf("%s: %w; on a Raspberry Pi `sudo raspi-config nonint do_i2c 0` switches the bus on, and group i2c may use it", name, err)}
	}
	sensor := wired.On(bus) // the bus stays open as long as the program runs
	if _, err := sensor.Power(); err != nil && !errors.Is(err, meter.ErrSaturated) {
		return nil, &exitError{exitMachine, fmt.Errorf("%w; is the chip at this address (i2cdetect -y %d), and does no driver hold it?", err, wired.Bus)}
	}
	return sensor, nil
}

// meteredFlags are those of a run whose power is measured.
type meteredFlags struct {
	sensor, baseline string
	every            time.Duration
}

func (f *meteredFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.sensor, "meter", "", "power sensor to read during each run of engine tc or host: a name of `thinlink power meter --list`, or i2c:CHIP@BUS:ADDRESS,shunt=OHM")
	fl.StringVar(&f.baseline, "meter-baseline", "0W", "power without any run, which is taken off")
	fl.DurationVar(&f.every, "meter-interval", 100*time.Millisecond, "time between two samples")
}

// wrap gives the engines of a pool the meter; runs then follow one another.
func (f *meteredFlags) wrap(pool *lab.Pool) error {
	if f.sensor == "" {
		return nil
	}
	baseline, err := units.ParsePower(f.baseline)
	if err != nil {
		return fmt.Errorf("--meter-baseline: %w", err)
	}
	if f.every < time.Millisecond {
		return fmt.Errorf("--meter-interval %v: want at least 1ms", f.every)
	}
	for name := range pool.Engines {
		if name != "tc" && name != "host" {
			return fmt.Errorf("--meter: engine %s does not run in real time in this process: want --engine tc or host", name)
		}
	}
	sensor, err := openSensor(f.sensor)
	if err != nil {
		return err
	}
	for name, engine := range pool.Engines {
		pool.Engines[name] = lab.Metered{Engine: engine, Sensor: sensor, Every: f.every, BaselineW: float64(baseline) / 1e9}
	}
	pool.Workers = 1
	return nil
}
