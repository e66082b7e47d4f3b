package power

import (
	"time"

	"github.com/thinlink/thinlink/netem"
)

// Account is where the energy of a window went, J.
type Account struct {
	Seconds float64 // of the window
	States  States
	Causes  Causes
	// Connections are those that began in the window, in order.
	Connections []Connection
}

// States splits the energy by what the radio did, J.
type States struct {
	TX        float64 `json:"tx"`
	RX        float64 `json:"rx"`
	Setup     float64 `json:"setup"`     // random access and set-up
	Connected float64 `json:"connected"` // between packets and until the release
	TAU       float64 `json:"tau"`       // tracking area updates
	Paging    float64 `json:"paging"`    // paging occasions in idle
	Idle      float64 `json:"idle"`      // sleep in idle
	PSM       float64 `json:"psm"`
	MCU       float64 `json:"mcu"`
}

// Total is the sum.
func (s States) Total() float64 {
	return s.TX + s.RX + s.Setup + s.Connected + s.TAU + s.Paging + s.Idle + s.PSM + s.MCU
}

// Causes splits the same energy by what it was spent for, J.
type Causes struct {
	Reports  float64 `json:"reports"`  // connections that carried a report
	Sessions float64 `json:"sessions"` // others with packets: keep-alives, registration updates, handshakes
	TAU      float64 `json:"tau"`      // tracking area updates
	Paging   float64 `json:"paging"`   // reachability in idle
	Sleep    float64 `json:"sleep"`    // the floor: PSM, and idle between paging occasions
	MCU      float64 `json:"mcu"`
	// The parts of Reports and Sessions after a connection's last packet,
	// until its release.
	ReportTail  float64 `json:"of_reports_tail"`
	SessionTail float64 `json:"of_sessions_tail"`
}

// A Cause is what a connection was for.
type Cause string

// The causes of connections.
const (
	CauseReport  Cause = "report"
	CauseSession Cause = "session"
	CauseTAU     Cause = "tau"
)

// Connection is one stay out of idle and PSM.
type Connection struct {
	Start    time.Time
	Duration time.Duration
	Cause    Cause
	EnergyJ  float64 // within the window
	TailJ    float64 // of it after the last packet
}

// MeanW is the mean power over the window, W.
func (a *Account) MeanW() float64 {
	if a.Seconds == 0 {
		return 0
	}
	return a.States.Total() / a.Seconds
}

// Count is the number of connections with a cause.
func (a *Account) Count(c Cause) int {
	n := 0
	for i := range a.Connections {
		if a.Connections[i].Cause == c {
			n++
		}
	}
	return n
}

// Account integrates a timeline.
func (m *Model) Account(t Timeline, net Network) *Account {
	a := &accountant{model: m, net: net, line: &t, out: &Account{Seconds: t.End.Sub(t.Start).Seconds()}}
	var open []segment // of the connection that has not ended
	for _, s := range t.segments() {
		if !s.asleep() {
			open = append(open, s)
			continue
		}
		a.connection(open)
		open = open[:0]
		a.sleep(s)
	}
	a.connection(open)
	return a.out
}

type accountant struct {
	model   *Model
	net     Network
	line    *Timeline
	reports int // of line.Reports, before the present connection
	out     *Account
}

// sleep adds a time in idle or PSM.
func (a *accountant) sleep(s segment) {
	s, ok := a.line.clip(s)
	if !ok {
		return
	}
	d := s.to.Sub(s.from).Seconds()
	switch s.state {
	case netem.RadioPSM:
		a.out.States.PSM += d * a.model.PSM
		a.out.Causes.Sleep += d * a.model.PSM
	case netem.RadioIdle:
		page := d * a.model.paging(a.net.Idle)
		a.out.States.Idle += d * a.model.IdleSleep
		a.out.States.Paging += page
		a.out.Causes.Sleep += d * a.model.IdleSleep
		a.out.Causes.Paging += page
	}
}

// connection adds a stay out of idle. One that carried no packet was a
// tracking area update.
func (a *accountant) connection(segments []segment) {
	if len(segments) == 0 {
		return
	}
	start, end := segments[0].from, segments[len(segments)-1].to
	c := Connection{Start: start, Duration: end.Sub(start), Cause: a.cause(segments, end)}
	var spent States
	quiet := start // since when no packet was on the air
	for _, s := range segments {
		j := a.energy(s, quiet, c.Cause)
		if s.state != netem.RadioConnected {
			quiet, c.TailJ = s.to, 0
		} else {
			c.TailJ += j
		}
		spent.add(s.state, c.Cause, j)
	}
	c.EnergyJ = spent.Total()
	a.book(c, spent)
}

// book adds a connection's energy to the account.
func (a *accountant) book(c Connection, spent States) {
	s, by := &a.out.States, &a.out.Causes
	s.TX += spent.TX
	s.RX += spent.RX
	s.Setup += spent.Setup
	s.Connected += spent.Connected
	s.TAU += spent.TAU
	switch c.Cause {
	case CauseTAU:
		c.TailJ = 0
		by.TAU += c.EnergyJ
	case CauseReport:
		by.Reports += c.EnergyJ
		by.ReportTail += c.TailJ
	case CauseSession:
		by.Sessions += c.EnergyJ
		by.SessionTail += c.TailJ
	}
	if !c.Start.Before(a.line.Start) {
		a.out.Connections = append(a.out.Connections, c)
	}
}

func (s *States) add(state netem.RadioState, cause Cause, j float64) {
	switch {
	case cause == CauseTAU:
		s.TAU += j
	case state == netem.RadioTx:
		s.TX += j
	case state == netem.RadioRx:
		s.RX += j
	case state == netem.RadioSetup:
		s.Setup += j
	case state == netem.RadioConnected:
		s.Connected += j
	}
}

// dueBefore is by how much a report may be due before its connection begins.
const dueBefore = time.Second

// cause says what a connection that ended at end was for.
func (a *accountant) cause(segments []segment, end time.Time) Cause {
	reports := 0
	for _, at := range a.line.Reports[a.reports:] {
		if at.After(end) {
			break
		}
		a.reports++
		if !at.Add(dueBefore).Before(segments[0].from) {
			reports++
		}
	}
	if reports > 0 {
		return CauseReport
	}
	for _, s := range segments {
		if s.state == netem.RadioTx || s.state == netem.RadioRx {
			return CauseSession
		}
	}
	return CauseTAU
}

// energy is what the model draws in a segment of a connection that has been
// quiet since then.
func (a *accountant) energy(s segment, quiet time.Time, cause Cause) float64 {
	s, ok := a.line.clip(s)
	if !ok {
		return 0
	}
	m, d := a.model, s.to.Sub(s.from)
	switch {
	case cause == CauseTAU:
		return d.Seconds() * m.TAU
	case s.state == netem.RadioTx:
		return d.Seconds() * m.TX
	case s.state == netem.RadioRx:
		return d.Seconds() * m.RX
	case s.state == netem.RadioSetup:
		return d.Seconds() * m.Setup
	}
	awake := listening(a.net.CDRX, s.to.Sub(quiet)) - listening(a.net.CDRX, s.from.Sub(quiet))
	return awake.Seconds()*m.Connected + (d-awake).Seconds()*m.CDRXSleep
}
