package meter

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Sensor is a power sensor, one that the kernel knows or one on an I2C bus.
type Sensor struct {
	Name string // of the chip or driver, such as "ina219"
	Path string // below the root of Sensors, such as "class/hwmon/hwmon2", or I2CSensor's form
	sys  fs.FS
	read func(s *Sensor) (float64, error)
}

// Sensors lists the power sensors below the kernel's /sys, which sys is: hwmon
// (Documentation/hwmon/sysfs-interface.rst) and IIO (sysfs-bus-iio) devices
// that know a power, or a current and a voltage.
func Sensors(sys fs.FS) ([]Sensor, error) {
	var all []Sensor
	for _, kind := range []struct {
		pattern string
		choose  func(*Sensor) func(*Sensor) (float64, error)
	}{{"class/hwmon/hwmon*", chooseHwmon}, {"bus/iio/devices/iio:device*", chooseIIO}} {
		dirs, err := fs.Glob(sys, kind.pattern)
		if err != nil {
			return nil, fmt.Errorf("meter: sensors: %w", err)
		}
		slices.Sort(dirs)
		for _, dir := range dirs {
			s := Sensor{Path: dir, sys: sys}
			if name, err := fs.ReadFile(sys, path.Join(dir, "name")); err == nil {
				s.Name = strings.TrimSpace(string(name))
			}
			if s.read = kind.choose(&s); s.read != nil {
				all = append(all, s)
			}
		}
	}
	return all, nil
}

// Power is the present power, W. With ErrSaturated it is less than the true one.
func (s *Sensor) Power() (float64, error) {
	w, err := s.read(s)
	if err != nil {
		return w, fmt.Errorf("meter: sensor %s (%s): %w", s.Name, s.Path, err)
	}
	return w, nil
}

// chooseHwmon: power1_input is in microwatts, curr1_input in milliamperes. The
// bus voltage is in1_input, in millivolts; of the INA chips in0 is the shunt's.
func chooseHwmon(s *Sensor) func(*Sensor) (float64, error) {
	switch {
	case s.has("power1_input"):
		return func(s *Sensor) (float64, error) { return s.product(1e-6, "power1_input") }
	case s.has("curr1_input") && s.has("in1_input"):
		return func(s *Sensor) (float64, error) { return s.product(1e-6, "curr1_input", "in1_input") }
	}
	return nil
}

// chooseIIO: raw values times their scales are milliwatts, milliamperes and
// millivolts. The channel numbers are those of ina2xx-adc.
func chooseIIO(s *Sensor) func(*Sensor) (float64, error) {
	switch {
	case s.has("in_power2_raw") && s.has("in_power2_scale"):
		return func(s *Sensor) (float64, error) { return s.product(1e-3, "in_power2_raw", "in_power2_scale") }
	case s.has("in_current3_raw") && s.has("in_voltage1_raw"):
		return func(s *Sensor) (float64, error) {
			return s.product(1e-6, "in_current3_raw", "in_current3_scale", "in_voltage1_raw", "in_voltage1_scale")
		}
	}
	return nil
}

func (s *Sensor) has(file string) bool {
	_, err := fs.Stat(s.sys, path.Join(s.Path, file))
	return err == nil
}

// product multiplies the numbers in files.
func (s *Sensor) product(factor float64, files ...string) (float64, error) {
	for _, file := range files {
		data, err := fs.ReadFile(s.sys, path.Join(s.Path, file))
		if err != nil {
			return 0, err
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(string(data)), 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", file, err)
		}
		factor *= v
	}
	return factor, nil
}

// ErrNoSensor says that there is none, and how to get one.
var ErrNoSensor = errors.New("no power sensor below /sys/class/hwmon or /sys/bus/iio/devices: load its driver, for example with `dtoverlay=i2c-sensor,ina219` on a Raspberry Pi, or name one on the I2C bus, for example --sensor i2c:ina219@1:0x40,shunt=0.1")

// Choose finds a sensor by name or path; "" is the only one there is.
func Choose(all []Sensor, name string) (*Sensor, error) {
	var found []int
	var known []string
	for i, s := range all {
		known = append(known, fmt.Sprintf("%s (%s)", s.Path, s.Name))
		if name == "" || s.Name == name || s.Path == name || path.Base(s.Path) == name {
			found = append(found, i)
		}
	}
	switch {
	case len(all) == 0:
		return nil, ErrNoSensor
	case len(found) == 1:
		return &all[found[0]], nil
	case len(found) == 0:
		return nil, fmt.Errorf("no sensor %q: there are %s", name, strings.Join(known, ", "))
	}
	return nil, fmt.Errorf("several sensors: choose one of %s", strings.Join(known, ", "))
}
