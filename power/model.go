package power

import (
	"fmt"
	"strings"
	"time"

	"github.com/thinlink/thinlink/internal/units"
	"github.com/thinlink/thinlink/netem"
)

// Model is what a modem draws, resolved: powers in W, energies in J.
type Model struct {
	Module string `json:"module"` // "" is a profile's own mean powers

	TX        float64 `json:"tx"`
	RX        float64 `json:"rx"`
	Setup     float64 `json:"setup"`
	Connected float64 `json:"connected"`
	CDRXSleep float64 `json:"cdrx_sleep"`
	IdleSleep float64 `json:"idle_sleep"`
	PSM       float64 `json:"psm"`
	TAU       float64 `json:"tau"`  // mean during a tracking area update
	Page      float64 `json:"page"` // J, a paging occasion
	Wake      float64 `json:"wake"` // J, a paging time window
}

// Means is a model of five mean powers: what connected DRX and paging cost is
// in them already.
func Means(tx, rx, connected, idle, psm units.Power) Model {
	w := func(p units.Power) float64 { return float64(p) / 1e9 }
	return Model{
		TX: w(tx), RX: w(rx), Setup: w(connected), Connected: w(connected), CDRXSleep: w(connected),
		IdleSleep: w(idle), PSM: w(psm), TAU: w(connected),
	}
}

// Model resolves the module for a technology, as profiles name it, and a
// transmit power in dBm; nil is the highest of the table. A power between two
// rows is interpolated; below the first it draws what the first does. Errors:
// a technology that the module does not speak, a power above the table.
func (m *Module) Model(technology string, dbm *float64) (Model, error) {
	mode, ok := m.Modes[technology]
	if !ok {
		known := strings.Join(m.Technologies(), ", ")
		if technology == "" {
			return Model{}, fmt.Errorf("module %s speaks %s, and the profile names no technology: set technology in it", m.Name, known)
		}
		return Model{}, fmt.Errorf("module %s speaks %s, not the profile's technology %s", m.Name, known, technology)
	}
	tx, err := mode.transmit(m.Voltage, dbm)
	if err != nil {
		return Model{}, fmt.Errorf("module %s: %w", m.Name, err)
	}
	w := func(d Draw) float64 { return d.watts(m.Voltage) }
	model := Model{
		Module: m.Name, TX: tx, RX: w(mode.RX), Setup: w(mode.Setup), Connected: w(mode.Connected), CDRXSleep: w(mode.CDRXSleep),
		IdleSleep: w(mode.Idle.Sleep), PSM: w(m.PSM), TAU: w(mode.Setup),
		Page: mode.Idle.Page.Joules(), Wake: mode.Idle.Wake.Joules(),
	}
	if mode.TAU != nil {
		model.TAU = mode.TAU.Energy.Joules() / mode.TAU.Duration.Seconds()
	}
	return model, nil
}

func (m Mode) transmit(v units.Voltage, dbm *float64) (float64, error) {
	last := m.TX[len(m.TX)-1]
	switch {
	case dbm == nil:
		return last.Draw.watts(v), nil
	case *dbm > last.DBM:
		return 0, fmt.Errorf("a transmit power of %v dBm: want at most %v dBm", *dbm, last.DBM)
	case *dbm <= m.TX[0].DBM:
		return m.TX[0].Draw.watts(v), nil
	}
	for i := 1; ; i++ {
		if a, b := m.TX[i-1], m.TX[i]; *dbm <= b.DBM {
			share := (*dbm - a.DBM) / (b.DBM - a.DBM)
			return a.Draw.watts(v)*(1-share) + b.Draw.watts(v)*share, nil
		}
	}
}

// Network is what of a network's settings decides over energy between
// packets.
type Network struct {
	CDRX *netem.CDRXConfig // nil: a connection listens all the time
	Idle *netem.IdleConfig // nil: paging costs nothing
}

// NetworkOf takes the settings from a link.
func NetworkOf(cfg netem.Config) Network {
	if cfg.Radio == nil {
		return Network{}
	}
	return Network{CDRX: cfg.Radio.CDRX, Idle: cfg.Radio.Idle}
}

// paging is the mean power of paging in idle, W.
func (m *Model) paging(c *netem.IdleConfig) float64 {
	switch {
	case c == nil:
		return 0
	case c.EDRXCycle == 0:
		return m.Page / c.Cycle.Seconds()
	}
	occasions := float64((c.PTW + c.Cycle - 1) / c.Cycle)
	return (m.Wake + occasions*m.Page) / c.EDRXCycle.Seconds()
}

// listening is how long a connection without traffic listens within the time d
// after its last activity.
func listening(c *netem.CDRXConfig, d time.Duration) time.Duration {
	if c == nil || d <= c.Inactivity {
		return d
	}
	asleep := d - c.Inactivity
	return c.Inactivity + asleep/c.Cycle*c.OnDuration + min(asleep%c.Cycle, c.OnDuration)
}

// DefaultPSM is the power saving mode of a technology as devices that live on
// a battery ask for it; nil if the technology has none here. The times are
// those of a published tracking area update in good coverage, 2.7 s on NB-IoT
// and 1.5 s on LTE-M (D NOR), divided between finding the cell, the profile's
// set-up and signalling (G).
func DefaultPSM(technology string) *netem.PSMConfig {
	c := &netem.PSMConfig{T3324: 10 * time.Second, T3412: 24 * time.Hour}
	switch technology {
	case "nbiot":
		c.Wake.Fixed, c.Update.Fixed = 1000*time.Millisecond, 1180*time.Millisecond
	case "ltem":
		c.Wake.Fixed, c.Update.Fixed = 600*time.Millisecond, 690*time.Millisecond
	default:
		return nil
	}
	return c
}
