package power

import (
	"testing"
)

func battery(t *testing.T, chemistry string, celsius float64) Battery {
	t.Helper()
	c, err := ChemistryOf(chemistry)
	if err != nil {
		t.Fatal(err)
	}
	return Battery{Capacity: 5 * 3600 * 1_000_000, Chemistry: c, Celsius: celsius}
}

// TestBatteryByHand: 5 Wh are 18 kJ; 15 uW take 38 years, as the 3GPP study's
// device asleep.
func TestBatteryByHand(t *testing.T) {
	ideal := battery(t, "ideal", -40)
	near(t, "ideal", ideal.Years(15e-6), 18000/15e-6/(8766*3600))
	if got := ideal.Years(15e-6); got < 38 || got > 38.1 {
		t.Errorf("%v years", got)
	}
	b := battery(t, "lisocl2", 20)
	near(t, "one percent a year", b.SelfDischargeW(), 180/(8766.*3600))
	near(t, "alone", b.Years(0), 100)
	b.Celsius = 35 // doubles
	near(t, "at 35 degrees", b.SelfDischargeW(), 360/(8766.*3600))
	b.Celsius = -10
	near(t, "in the cold", b.UsableJ(), 18000*0.825)
	b.Celsius = -70
	near(t, "below the table", b.UsableJ(), 9000)
	b.Celsius = 90
	near(t, "above the table", b.UsableJ(), 18000*0.95)
}

// TestBatteryProperties: more power or heat never lasts longer, more capacity
// never shorter; every table is ascending.
func TestBatteryProperties(t *testing.T) {
	for _, name := range Chemistries() {
		c, _ := ChemistryOf(name)
		for i := 1; i < len(c.Usable); i++ {
			if c.Usable[i].Celsius <= c.Usable[i-1].Celsius {
				t.Errorf("%s: table not ascending", name)
			}
		}
		b := battery(t, name, 20)
		last := b.Years(1e-6)
		for w := 2e-6; w < 1; w *= 2 {
			years := b.Years(w)
			if years >= last || years <= 0 {
				t.Errorf("%s: %v years at %v W, %v at half of it", name, years, w, last)
			}
			last = years
		}
		large := b
		large.Capacity = 2 * b.Capacity
		if large.Years(1e-3) <= b.Years(1e-3) {
			t.Errorf("%s: twice the capacity does not last longer", name)
		}
	}
	if _, err := ChemistryOf("lead"); err == nil {
		t.Error("lead is known")
	}
}
