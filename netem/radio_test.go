package netem

import (
	"maps"
	"testing"
	"time"
)

const sec = time.Second

// cell is a link whose packets take 10 ms on the air each, with a set-up of
// 1 s and an inactivity timer of 5 s.
func cell() Config {
	cfg := both(DirectionConfig{Rate: 8_000})
	cfg.HalfDuplex = true
	cfg.Radio = &RadioConfig{RRC: &RRCConfig{Setup: Latency{Fixed: sec}, Inactivity: 5 * sec}}
	return cfg
}

func TestRRCUplink(t *testing.T) {
	r := newRig(t, cell())
	r.send(0, Up, 10)
	r.want(900*ms, "0 idle", "0 setup")
	r.send(900*ms, Up, 10) // does not set up again
	r.want(4*sec, "1000 tx", "1010 got 1", "1020 connected", "1020 got 2")
	r.send(4*sec, Down, 10) // restarts the timer
	r.want(20*sec, "4000 rx", "4010 connected", "4010 got 3", "9010 idle")
	r.send(20*sec, Up, 10)
	r.want(21*sec, "20000 setup", "21000 tx")
}

func TestPagingDRX(t *testing.T) {
	cfg := cell()
	cfg.Radio.Idle = &IdleConfig{Cycle: 2560 * ms}
	l, _ := NewLink(cfg, 1, start, nil)
	phase := time.Duration(l.radio.paging.phase)
	r := newRig(t, cfg)
	r.send(phase+ms, Down, 10)
	page := phase + 2560*ms
	for _, step := range []struct {
		at    time.Duration
		state RadioState
	}{{0, RadioIdle}, {page, RadioSetup}, {page + sec, RadioRx}, {page + sec + 10*ms, RadioConnected}} {
		r.until(step.at - 1)
		if step.at > 0 && r.radio.reported == step.state {
			t.Errorf("%s before %v", step.state, step.at)
		}
		r.until(step.at)
		if r.radio.reported != step.state {
			t.Errorf("%s at %v, want %s", r.radio.reported, step.at, step.state)
		}
	}
}

func TestPagingEDRX(t *testing.T) {
	p := paging{cfg: &IdleConfig{Cycle: 2 * sec, EDRXCycle: 20 * sec, PTW: 5 * sec}, ephase: int64(3 * sec)}
	for _, test := range []struct{ now, want time.Duration }{
		{0, 3 * sec}, {3 * sec, 3 * sec}, {3*sec + 1, 5 * sec}, {6 * sec, 7 * sec},
		{7*sec + 1, 23 * sec}, {22 * sec, 23 * sec}, {24 * sec, 25 * sec},
	} {
		if got := time.Duration(p.next(int64(test.now))); got != test.want {
			t.Errorf("next occasion after %v is %v, want %v", test.now, got, test.want)
		}
	}
}

// TestPagingUplinkFirst: uplink does not wait for the page, and takes the
// downlink along.
func TestPagingUplinkFirst(t *testing.T) {
	cfg := cell()
	cfg.Radio.Idle = &IdleConfig{Cycle: 10 * sec, EDRXCycle: 1000 * sec, PTW: 10 * sec}
	r := newRig(t, cfg)
	r.send(20*sec, Down, 10)
	r.send(21*sec, Up, 10)
	r.want(23*sec, "0 idle", "21000 setup", "22000 tx", "22010 rx", "22010 got 2", "22020 connected", "22020 got 1")
}

func TestReleaseAssistance(t *testing.T) {
	cfg := cell()
	cfg.Radio.RRC.RAI = 200 * ms
	r := newRig(t, cfg)
	r.send(0, Up, 10)
	r.send(2*sec, Down, 10) // the answer ends the exchange
	r.want(3*sec, "0 idle", "0 setup", "1000 tx", "1010 connected", "1010 got 1",
		"2000 rx", "2010 connected", "2010 got 2", "2210 idle")
	r.send(3*sec, Up, 10) // without answer the inactivity timer counts
	r.want(20*sec, "3000 setup", "4000 tx", "4010 connected", "4010 got 3", "9010 idle")
}

func TestReleaseAssistanceWithoutAnswer(t *testing.T) {
	cfg := cell()
	cfg.Radio.RRC.RAIUplink = 2 * sec
	r := newRig(t, cfg)
	r.send(0, Up, 10)
	r.want(10*sec, "0 idle", "0 setup", "1000 tx", "1010 connected", "1010 got 1", "3010 idle")
	r.send(10*sec, Up, 10)
	r.send(12*sec, Down, 10) // an answer: now the inactivity timer counts
	r.want(30*sec, "10000 setup", "11000 tx", "11010 connected", "11010 got 2",
		"12000 rx", "12010 connected", "12010 got 3", "17010 idle")
}

func TestConnectedDRX(t *testing.T) {
	cfg := cell()
	cfg.Radio.CDRX = &CDRXConfig{Inactivity: 200 * ms, Cycle: 1000 * ms, OnDuration: 100 * ms}
	r := newRig(t, cfg)
	r.send(0, Up, 10)
	r.until(1100 * ms)
	r.log = nil
	r.send(1100*ms, Down, 10) // still awake: until 1010 + 200 ms
	r.want(1200*ms, "1100 rx", "1110 connected", "1110 got 2")
	r.send(1350*ms, Down, 10) // on from 1310 to 1410 ms
	r.want(1400*ms, "1350 rx", "1360 connected", "1360 got 3")
	r.send(1800*ms, Down, 10) // asleep since 1660, on again at 2560
	r.want(2600*ms, "2560 rx", "2570 connected", "2570 got 4")
	r.send(3*sec, Down, 10) // asleep, but uplink wakes the device
	r.send(3200*ms, Up, 10)
	r.want(3300*ms, "3200 tx", "3210 rx", "3210 got 6", "3220 connected", "3220 got 5")
}

func TestPowerSavingMode(t *testing.T) {
	cfg := cell()
	cfg.Radio.PSM = &PSMConfig{T3324: 10 * sec, T3412: 100 * sec, Wake: Latency{Fixed: 3 * sec}}
	r := newRig(t, cfg)
	r.send(50*sec, Down, 10) // buffered until the tracking area update
	r.want(120*sec, "0 idle", "10000 psm", "100000 setup", "104000 rx", "104010 connected",
		"104010 got 1", "109010 idle", "119010 psm")
	r.send(150*sec, Up, 10)
	r.want(170*sec, "150000 setup", "154000 tx", "154010 connected", "154010 got 2", "159010 idle", "169010 psm")
	// An update with nothing to carry is released at once.
	r.want(265*sec, "259010 setup", "263010 idle")
}

// TestTrackingAreaUpdate: the signalling of an update keeps the connection for
// its time, and uplink that comes meanwhile uses the connection.
func TestTrackingAreaUpdate(t *testing.T) {
	cfg := cell()
	cfg.Radio.PSM = &PSMConfig{T3324: 10 * sec, T3412: 100 * sec, Wake: Latency{Fixed: sec}, Update: Latency{Fixed: 3 * sec}}
	r := newRig(t, cfg)
	r.want(120*sec, "0 idle", "10000 psm", "100000 setup", "102000 connected", "105000 idle", "115000 psm")
	r.until(208 * sec) // the next one: set-up at 205 s, connected at 207 s
	r.log = nil
	r.send(208*sec, Up, 10)
	r.want(230*sec, "208000 tx", "208010 connected", "208010 got 1", "213010 idle", "223010 psm")
}

func TestPowerSavingModeLoses(t *testing.T) {
	cfg := cell()
	cfg.Radio.PSM = &PSMConfig{T3324: 10 * sec, Lose: true}
	cfg.Radio.Idle = &IdleConfig{Cycle: 10 * sec, EDRXCycle: 1000 * sec, PTW: 10 * sec}
	r := newRig(t, cfg)
	r.send(9*sec, Down, 10) // waits for a page that does not come in time
	r.send(50*sec, Down, 10)
	r.want(60*sec, "0 idle", "10000 lost 1 outage", "10000 psm", "50000 lost 2 outage")
}

func TestOutageConnected(t *testing.T) {
	r := newRig(t, cell())
	r.send(0, Up, 10, 10, 10)
	r.until(1015 * ms)
	r.log = nil
	r.Outage(start.Add(1015*ms), 2*sec) // the second is on the air
	r.want(4*sec, "1015 lost 2 outage", "1015 connected", "3015 tx", "3025 connected", "3025 got 3")
	// Longer than the inactivity timer: connect anew.
	r.Outage(start.Add(4*sec), 60*sec)
	r.send(5*sec, Down, 10)
	r.want(70*sec, "8025 idle", "64000 setup", "65000 rx", "65010 connected", "65010 got 4")
}

func TestOutageDuringSetup(t *testing.T) {
	r := newRig(t, cell())
	r.send(0, Up, 10)
	r.until(500 * ms)
	r.Outage(start.Add(500*ms), 10*sec)
	r.Outage(start.Add(5*sec), sec) // within the first
	r.want(12*sec, "0 idle", "0 setup", "500 idle", "10500 setup", "11500 tx", "11510 connected", "11510 got 1")
}

func TestVisibilityWindow(t *testing.T) {
	cfg := both(DirectionConfig{Rate: 8_000})
	cfg.Outages = []Outage{{Start: 300 * sec, Duration: 5100 * sec, Every: 5400 * sec}}
	r := newRig(t, cfg)
	r.send(299*sec, Up, 10)
	r.send(301*sec, Up, 10)
	r.send(5800*sec, Down, 10)
	r.want(20000*sec, "299010 got 1", "5.40001e+06 got 2", "1.080001e+07 got 3")
	cfg.OutageLose = true
	r = newRig(t, cfg)
	r.send(300*sec-5*ms, Up, 10, 10)
	r.send(400*sec, Down, 10)
	r.want(500*sec, "300000 lost 1 outage", "300000 lost 2 outage", "400000 lost 3 outage")
}

// TestTimeInStates: the timeline covers the run without gaps, and the time in
// each state is what the packets cost.
func TestTimeInStates(t *testing.T) {
	j := &judge{t: t, sent: map[uint64]time.Time{}, fate: map[uint64]int{}, up: map[uint64]bool{}}
	cfg := cell()
	cfg.Radio.Up, cfg.Radio.Down = &nb1Up, &nb1Down
	cfg.Up.Rate, cfg.Down.Rate = 0, 0
	l, err := NewLink(cfg, 1, start, j)
	if err != nil {
		t.Fatal(err)
	}
	l.Advance(start.Add(10*sec), func(Direction, []byte) {})
	l.Send(start.Add(10*sec), Up, make([]byte, 250))   // two blocks
	l.Send(start.Add(10*sec), Down, make([]byte, 255)) // three
	end := start.Add(60 * sec)
	l.Advance(end, func(Direction, []byte) {})
	got := map[RadioState]time.Duration{}
	for i, s := range j.states {
		until := end
		if i+1 < len(j.states) {
			until = j.states[i+1].at
		}
		got[s.state] += until.Sub(s.at)
	}
	want := map[RadioState]time.Duration{
		RadioSetup: sec, RadioConnected: 5 * sec,
		RadioTx: 2*4*ms + 3*2*ms, RadioRx: 2*12*ms + 3*23*ms,
		RadioIdle: 54*sec - 107*ms,
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
