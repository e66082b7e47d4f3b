package meter

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"periph.io/x/conn/v3/i2c"
)

// A chip is a power sensor's registers, which hold big-endian words. Values are
// read as the chip is after power-on: converting all the time, not averaging.
type chip struct {
	shunt, bus word // bus voltage, and voltage over the shunt, V
	current    word // of chips with a shunt of their own, A
	fullScale  float64
}

// A word is a register, and what its value's last bit stands for.
type word struct {
	register byte
	lsb      float64
	shift    int // bits at the end that are flags
}

// Registers of Texas Instruments' data sheets (V): SBOS448G (INA219) sections
// 8.6.2 and 8.6.3, SBOS547B (INA226) sections 7.6.2 and 7.6.3, SBOS656C
// (INA260) sections 8.6.2 and 8.6.3. The INA219 measures up to 320 mV over the
// shunt, the INA226 up to 81.92 mV.
var chips = map[string]chip{
	"ina219": {shunt: word{register: 1, lsb: 10e-6}, bus: word{register: 2, lsb: 4e-3, shift: 3}, fullScale: 0.320},
	"ina226": {shunt: word{register: 1, lsb: 2.5e-6}, bus: word{register: 2, lsb: 1.25e-3}, fullScale: 32767 * 2.5e-6},
	"ina260": {current: word{register: 1, lsb: 1.25e-3}, bus: word{register: 2, lsb: 1.25e-3}, fullScale: 32767 * 1.25e-3},
}

// I2CSensor says where a sensor is wired: "i2c:CHIP[@BUS[:ADDRESS]][,shunt=OHM]",
// for example "i2c:ina219@1:0x40,shunt=0.1".
type I2CSensor struct {
	Chip    string // ina219, ina226 or ina260
	Bus     int
	Address uint16
	Shunt   float64 // ohm; the INA260 has its own
}

// The wiring of the usual breakout boards on a Raspberry Pi: bus 1, address
// 0x40, a shunt of 0.1 ohm.
const (
	defaultBus     = 1
	defaultAddress = 0x40
	defaultShunt   = 0.1
)

// i2cPrefix begins the name of a sensor that is read without a driver.
const i2cPrefix = "i2c:"

// ParseI2C reads the form that I2CSensor tells.
func ParseI2C(s string) (I2CSensor, error) {
	c := I2CSensor{Bus: defaultBus, Address: defaultAddress, Shunt: defaultShunt}
	fail := func(what string) (I2CSensor, error) {
		return c, fmt.Errorf("sensor %q: %s: want i2c:CHIP[@BUS[:ADDRESS]][,shunt=OHM], for example i2c:ina219@1:0x40,shunt=0.1", s, what)
	}
	rest, ok := strings.CutPrefix(s, i2cPrefix)
	if !ok {
		return fail("no i2c:")
	}
	rest, option, given := strings.Cut(rest, ",")
	chipName, place, placed := strings.Cut(rest, "@")
	c.Chip = strings.ToLower(chipName)
	part, known := chips[c.Chip]
	if !known {
		return fail("chip " + strconv.Quote(chipName) + " is none of ina219, ina226, ina260")
	}
	if placed {
		bus, address, addressed := strings.Cut(place, ":")
		n, err := strconv.ParseUint(bus, 10, 8)
		if err != nil {
			return fail("bus " + strconv.Quote(bus))
		}
		c.Bus = int(n)
		if addressed {
			a, err := strconv.ParseUint(address, 0, 16)
			if err != nil || a < 0x08 || a > 0x77 { // what is outside is reserved
				return fail("address " + strconv.Quote(address) + " is not from 0x08 to 0x77")
			}
			c.Address = uint16(a)
		}
	}
	if given {
		value, ok := strings.CutPrefix(option, "shunt=")
		ohm, err := strconv.ParseFloat(value, 64)
		switch {
		case part.current.lsb > 0:
			return fail("the " + c.Chip + " has a shunt of its own")
		case !ok || err != nil || !(ohm >= 1e-4 && ohm <= 100):
			return fail("shunt " + strconv.Quote(option) + " is not from 0.0001 to 100 ohm")
		}
		c.Shunt = ohm
	}
	return c, nil
}

// String is the form that ParseI2C reads.
func (c I2CSensor) String() string {
	s := fmt.Sprintf("%s%s@%d:%#02x", i2cPrefix, c.Chip, c.Bus, c.Address)
	if chips[c.Chip].current.lsb > 0 {
		return s
	}
	return fmt.Sprintf("%s,shunt=%g", s, c.Shunt)
}

// ErrSaturated comes with a power that is too low, because the current is out
// of the sensor's range.
var ErrSaturated = errors.New("saturated")

// On reads the sensor on a bus.
func (c I2CSensor) On(bus i2c.Bus) *Sensor {
	dev := &i2c.Dev{Bus: bus, Addr: c.Address}
	return &Sensor{Name: c.Chip, Path: c.String(), read: func(*Sensor) (float64, error) { return c.power(dev) }}
}

// power reads voltage and current, which are converted one after the other.
func (c I2CSensor) power(dev *i2c.Dev) (float64, error) {
	part := chips[c.Chip]
	volts, err := part.bus.read(dev)
	if err != nil {
		return 0, err
	}
	reading, scale := part.shunt, c.Shunt
	if part.current.lsb > 0 {
		reading, scale = part.current, 1
	}
	value, err := reading.read(dev)
	if err != nil {
		return 0, err
	}
	if value >= part.fullScale || value <= -part.fullScale {
		return volts * value / scale, fmt.Errorf("%w: the current is beyond %.3g A", ErrSaturated, part.fullScale/scale)
	}
	return volts * value / scale, nil
}

func (w word) read(dev *i2c.Dev) (float64, error) {
	var b [2]byte
	if err := dev.Tx([]byte{w.register}, b[:]); err != nil {
		return 0, fmt.Errorf("register %d: %w", w.register, err)
	}
	raw := binary.BigEndian.Uint16(b[:])
	if w.shift > 0 { // unsigned, with flags at the end
		return float64(raw>>w.shift) * w.lsb, nil
	}
	return float64(int16(raw)) * w.lsb, nil
}
