package power

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/thinlink/thinlink/internal/units"
)

// year is the Julian year, by which battery lives are given.
const year = 8766 * time.Hour

// ProvenYears is about how long cells have been seen to last (G): what is
// longer is arithmetic.
const ProvenYears = 20

// Battery is an energy store that also loses energy by itself.
type Battery struct {
	Capacity  units.Energy // nominal, at 20 degrees Celsius
	Chemistry Chemistry
	Celsius   float64 // mean temperature
}

// Chemistry is how a kind of cell ages and takes the cold. All values are
// general knowledge of data sheets (flag G).
type Chemistry struct {
	Name string
	// SelfDischarge is the share of the nominal capacity lost per year at 20
	// degrees Celsius. It doubles with every 10 K above 25 degrees.
	SelfDischarge float64
	// Usable is the share of the nominal capacity that can be drawn at a
	// temperature, ascending; between rows it is interpolated.
	Usable []Derating
}

// Derating is the usable share of a battery's capacity at a temperature.
type Derating struct{ Celsius, Share float64 }

// chemistries by name; the first is the default.
var chemistries = []Chemistry{
	{"lisocl2", 0.01, []Derating{{-40, 0.5}, {-20, 0.75}, {0, 0.9}, {20, 1}, {60, 0.95}}},
	{"limno2", 0.015, []Derating{{-40, 0.3}, {-20, 0.7}, {0, 0.9}, {20, 1}, {60, 0.95}}},
	{"alkaline", 0.03, []Derating{{-20, 0.2}, {0, 0.6}, {20, 1}, {50, 1}}},
	{"liion", 0.24, []Derating{{-20, 0.6}, {0, 0.8}, {20, 1}, {60, 1}}},
	// 3GPP's battery life study has a capacity without leakage (TR 45.820
	// section 5.4).
	{"ideal", 0, []Derating{{20, 1}}},
}

// Chemistries lists the names that ChemistryOf knows; the first is what most
// meters and sensors for ten years use.
func Chemistries() []string {
	var names []string
	for _, c := range chemistries {
		names = append(names, c.Name)
	}
	return names
}

// ChemistryOf is a chemistry by its name.
func ChemistryOf(name string) (Chemistry, error) {
	i := slices.IndexFunc(chemistries, func(c Chemistry) bool { return c.Name == name })
	if i < 0 {
		return Chemistry{}, fmt.Errorf("unknown chemistry %q (known: %s)", name, strings.Join(Chemistries(), ", "))
	}
	return chemistries[i], nil
}

// usable interpolates the derating.
func (c Chemistry) usable(celsius float64) float64 {
	rows := c.Usable
	if celsius <= rows[0].Celsius {
		return rows[0].Share
	}
	for i := 1; i < len(rows); i++ {
		if a, b := rows[i-1], rows[i]; celsius <= b.Celsius {
			return a.Share + (b.Share-a.Share)*(celsius-a.Celsius)/(b.Celsius-a.Celsius)
		}
	}
	return rows[len(rows)-1].Share
}

// SelfDischargeW is what the battery loses by itself, W: a constant share of
// the nominal capacity, which counts it rather too high towards the end.
func (b *Battery) SelfDischargeW() float64 {
	rate := b.Chemistry.SelfDischarge * math.Pow(2, max(0, b.Celsius-25)/10)
	return rate * b.Capacity.Joules() / year.Seconds()
}

// UsableJ is the capacity at the battery's temperature, J.
func (b *Battery) UsableJ() float64 { return b.Capacity.Joules() * b.Chemistry.usable(b.Celsius) }

// Years is how long the battery lasts under a mean power of a device, W.
func (b *Battery) Years(meanW float64) float64 {
	return b.UsableJ() / (meanW + b.SelfDischargeW()) / year.Seconds()
}
