package power

import (
	"time"

	"github.com/thinlink/thinlink/internal/units"
)

// MCU is the application's processor beside the modem: asleep except for the
// given times. Zero is none.
type MCU struct {
	Idle      units.Power   // asleep, always drawn
	Active    units.Power   // computing, on top
	Report    time.Duration // computing for a report
	Handshake time.Duration // computing for a TLS or DTLS handshake
	PerKiB    time.Duration // computing for the encryption of 1 KiB
}

// Work is what the processor had to do in a window.
type Work struct {
	Reports, Handshakes int
	Bytes               int64 // IP packets of both directions
}

// AddMCU adds the processor's energy to the account.
func (a *Account) AddMCU(c MCU, w Work) {
	busy := float64(w.Reports)*c.Report.Seconds() + float64(w.Handshakes)*c.Handshake.Seconds() +
		float64(w.Bytes)/1024*c.PerKiB.Seconds()
	j := (a.Seconds*float64(c.Idle) + busy*float64(c.Active)) / 1e9
	a.States.MCU += j
	a.Causes.MCU += j
}

// Summary is an account in results: energies in J.
type Summary struct {
	// Module is the model, "" for the profile's own mean powers.
	Module string  `json:"module"`
	MeanW  float64 `json:"mean_w"`
	States States  `json:"by_state_j"`
	Causes Causes  `json:"by_cause_j"`
	// Connections that began in the window, by cause.
	Reports  int `json:"report_connections"`
	Sessions int `json:"session_connections"`
	Updates  int `json:"tau_count"`
	// PerReportJ is the mean of a connection that carried a report; at short
	// intervals one connection carries several.
	PerReportJ float64 `json:"per_report_connection_j"`
	// BeforeJ is what the device spent before the window, on connecting.
	BeforeJ float64 `json:"before_window_j"`
	// PerByteJ is what connections cost for each byte of IP that they carried.
	PerByteJ float64 `json:"per_byte_j"`
}

// Summary sums up the account; bytes is the IP traffic of both directions.
func (a *Account) Summary(module string, bytes int64) *Summary {
	s := &Summary{
		Module: module, MeanW: a.MeanW(), States: a.States, Causes: a.Causes,
		Reports: a.Count(CauseReport), Sessions: a.Count(CauseSession), Updates: a.Count(CauseTAU),
	}
	sum := 0.
	for _, c := range a.Connections {
		if c.Cause == CauseReport {
			sum += c.EnergyJ
		}
	}
	if s.Reports > 0 {
		s.PerReportJ = sum / float64(s.Reports)
	}
	if bytes > 0 {
		s.PerByteJ = (a.Causes.Reports + a.Causes.Sessions) / float64(bytes)
	}
	return s
}

// Measured is what a meter read during a run's window.
type Measured struct {
	Sensor    string  `json:"sensor"`
	Samples   int     `json:"samples"`
	EnergyJ   float64 `json:"energy_j"`   // of all that the sensor feeds
	BaselineW float64 `json:"baseline_w"` // taken off for the result's energy
	MeanW     float64 `json:"mean_w"`
	PeakW     float64 `json:"peak_w"`
}
