package meter

import (
	"errors"
	"strings"
	"testing"

	"periph.io/x/conn/v3/i2c/i2ctest"
)

// TestChips reads registers as the data sheets' examples have them.
func TestChips(t *testing.T) {
	for _, c := range []struct {
		sensor    string
		address   uint16
		bus       [2]byte // register 2
		current   [2]byte // register 1
		want      float64
		saturated bool
	}{
		// INA219: 3.300 V is 825 times 4 mV, above three flags; 10 mV over 0.1 ohm.
		{sensor: "i2c:ina219", address: 0x40, bus: [2]byte{0x19, 0xca}, current: [2]byte{0x03, 0xe8}, want: 0.33},
		// A current that flows back.
		{sensor: "i2c:ina219@0:0x41,shunt=0.01", address: 0x41, bus: [2]byte{0x19, 0xca}, current: [2]byte{0xfc, 0x18}, want: -3.3},
		// INA226: 11.98 V and 20 mV over 2 milliohm, section 8.2.2 of the data sheet.
		{sensor: "i2c:ina226,shunt=0.002", address: 0x40, bus: [2]byte{0x25, 0x70}, current: [2]byte{0x1f, 0x40}, want: 119.8},
		{sensor: "i2c:ina226", address: 0x40, bus: [2]byte{0x25, 0x70}, current: [2]byte{0x7f, 0xff}, want: 11.98 * 0.8191750, saturated: true},
		// INA260: 12 V, 10 A.
		{sensor: "i2c:ina260@1:0x44", address: 0x44, bus: [2]byte{0x25, 0x80}, current: [2]byte{0x1f, 0x40}, want: 120},
	} {
		wired, err := ParseI2C(c.sensor)
		if err != nil {
			t.Fatal(err)
		}
		bus := &i2ctest.Playback{Ops: []i2ctest.IO{
			{Addr: c.address, W: []byte{2}, R: c.bus[:]}, {Addr: c.address, W: []byte{1}, R: c.current[:]},
		}}
		got, err := wired.On(bus).Power()
		if errors.Is(err, ErrSaturated) != c.saturated || err != nil && !c.saturated {
			t.Errorf("%s: %v", c.sensor, err)
		}
		near(t, c.sensor, got, c.want)
		if err := bus.Close(); err != nil {
			t.Errorf("%s: %v", c.sensor, err)
		}
		if again, err := ParseI2C(wired.String()); err != nil || again != wired {
			t.Errorf("%s is %s, which is %v, %v", c.sensor, wired, again, err)
		}
	}
}

func TestParseI2CRefuses(t *testing.T) {
	for text, says := range map[string]string{
		"ina219":                "no i2c:",
		"i2c:ina3221":           "none of ina219, ina226, ina260",
		"i2c:ina219@x":          `bus "x"`,
		"i2c:ina219@1:0x03":     "0x08 to 0x77",
		"i2c:ina219,shunt=0":    "0.0001 to 100 ohm",
		"i2c:ina219,ohm=1":      "0.0001 to 100 ohm",
		"i2c:ina260,shunt=0.1":  "a shunt of its own",
		"i2c:ina219@1:0x40:0x4": "0x08 to 0x77",
	} {
		if _, err := ParseI2C(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v: want %s", text, err, says)
		}
	}
}
