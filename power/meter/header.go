package meter

import (
	"errors"
	"fmt"
	"strings"
)

// Tools whose exports are known, by their header lines.
const (
	ToolPPK2       = "ppk2"
	ToolOtii       = "otii"
	ToolJoulescope = "joulescope"
	ToolUnknown    = "csv"
)

// ranges are the largest currents the tools measure, A, from their data sheets
// (V): what reaches them is cut off.
var ranges = map[string]float64{ToolPPK2: 1.0, ToolOtii: 5.0, ToolJoulescope: 10.0}

// A quantity is what a column holds.
type quantity uint8

const (
	other quantity = iota
	timeOf
	current
	voltage
	watts
)

// A column is a quantity with the factor to its base unit.
type column struct {
	quantity quantity
	factor   float64
}

// layout says where the quantities stand in a line.
type layout struct {
	tool                   string
	separator              string
	time, amps, volts, pow int // indices, -1 for none
	factors                []float64
}

// unitFactors by quantity; "" is the base unit.
var unitFactors = map[quantity]map[string]float64{
	timeOf:  {"": 1, "s": 1, "sec": 1, "seconds": 1, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9},
	current: {"": 1, "a": 1, "ma": 1e-3, "ua": 1e-6, "µa": 1e-6, "μa": 1e-6, "na": 1e-9},
	voltage: {"": 1, "v": 1, "mv": 1e-3, "uv": 1e-6, "µv": 1e-6, "μv": 1e-6},
	watts:   {"": 1, "w": 1, "mw": 1e-3, "uw": 1e-6, "µw": 1e-6, "μw": 1e-6},
}

// parseHeader reads the line that names the columns.
func parseHeader(line string) (layout, error) {
	line = strings.TrimPrefix(strings.TrimSpace(strings.TrimPrefix(line, "\ufeff")), "#")
	l := layout{separator: separatorOf(line), time: -1, amps: -1, volts: -1, pow: -1}
	for i, name := range strings.Split(line, l.separator) {
		c, err := parseColumn(name)
		if err != nil {
			return layout{}, err
		}
		l.factors = append(l.factors, c.factor)
		slot := map[quantity]*int{timeOf: &l.time, current: &l.amps, voltage: &l.volts, watts: &l.pow}[c.quantity]
		if slot != nil && *slot < 0 { // of several channels the first
			*slot = i
		}
	}
	l.tool = toolOf(strings.ToLower(line))
	switch {
	case l.time < 0:
		return layout{}, errors.New("no column for the time: want a header such as \"Timestamp(ms),Current(uA)\"")
	case l.amps < 0 && l.pow < 0:
		return layout{}, errors.New("no column for current or power: want a header such as \"Timestamp(ms),Current(uA)\"")
	}
	return l, nil
}

func separatorOf(line string) string {
	for _, s := range []string{";", "\t"} {
		if strings.Contains(line, s) {
			return s
		}
	}
	return ","
}

// parseColumn reads "Current(uA)", "Main Current [A]" or "voltage".
func parseColumn(name string) (column, error) {
	name = strings.ToLower(strings.Trim(strings.TrimSpace(name), `"`))
	unit := ""
	if i := strings.LastIndexAny(name, "([") + 1; i > 0 {
		unit = strings.TrimSpace(strings.TrimRight(name[i:], ")] "))
		name = strings.TrimSpace(name[:i-1])
	}
	q := quantityOf(name)
	if q == other {
		return column{other, 1}, nil
	}
	factor, ok := unitFactors[q][unit]
	if !ok {
		return column{}, fmt.Errorf("column %q: unknown unit %q", name, unit)
	}
	return column{q, factor}, nil
}

func quantityOf(name string) quantity {
	switch last := name[strings.LastIndexByte(name, ' ')+1:]; {
	case strings.HasPrefix(name, "time"), name == "t", name == "x":
		return timeOf
	case last == "current", last == "i":
		return current
	case last == "voltage", last == "v":
		return voltage
	case last == "power", last == "p":
		return watts
	}
	return other
}

// toolOf guesses who wrote a header.
func toolOf(header string) string {
	switch {
	case strings.HasPrefix(header, "timestamp(ms),current(ua)"):
		return ToolPPK2
	case strings.Contains(header, "main current"), strings.Contains(header, "arc"):
		return ToolOtii
	case strings.HasPrefix(header, "time") && strings.Contains(header, "current") && strings.Contains(header, "voltage"):
		return ToolJoulescope
	}
	return ToolUnknown
}
