package measure

import (
	"fmt"
	"slices"
	"time"

	"github.com/thinlink/thinlink/internal/wire"
	"github.com/thinlink/thinlink/netem"
)

// ethernetHeaderLen is what the reference experiment counts on top of each IP
// packet, bytes.
const ethernetHeaderLen = 14

// Judge computes what a trace alone can tell: WindowS, Up, Down,
// Retransmissions, Layers, SMS, OTA (if image bytes arrived: received and wasted),
// RadioS and Warnings. Everything else is left zero. It is a pure function:
// the same trace gives the same result, from memory or read back from files.
func Judge(t *Trace) Result {
	d := dissect(t)
	res := Result{
		WindowS:         t.WindowEnd.Sub(t.WindowStart).Seconds(),
		Retransmissions: d.retransmissions(),
		Layers:          d.layers,
		OTA:             judgeOTA(t),
		SMS:             d.shortMessageCount(),
		RadioS:          radioTimes(t),
		Warnings:        append(append([]string{}, t.Warnings...), d.warnings.list()...),
	}
	res.Up, res.Down = counts(t)
	return res
}

// inWindow reports whether a packet or event counts.
func (t *Trace) inWindow(at time.Time) bool {
	return !at.Before(t.WindowStart) && at.Before(t.WindowEnd)
}

// length is that of a packet, also of an IP packet that the capture cut short or
// padded.
func (t *Trace) length(p *Packet) int {
	if ip, err := wire.ParseIPCut(p.Data); err == nil && t.Bearer == netem.BearerIP {
		return ip.TotalLen
	}
	return len(p.Data)
}

func counts(t *Trace) (up, down Counts) {
	for i := range t.Packets {
		p := &t.Packets[i]
		if !t.inWindow(p.Time) {
			continue
		}
		c := &up
		if p.Dir == netem.Down {
			c = &down
		}
		c.add(t, p)
	}
	return up, down
}

// add counts a packet of a trace.
func (c *Counts) add(t *Trace, p *Packet) {
	n := int64(t.length(p))
	c.Packets++
	c.Bytes += n
	c.BytesEthernet += n
	if t.Bearer == netem.BearerIP {
		c.BytesEthernet += ethernetHeaderLen
	}
	if p.Lost != "" {
		c.Dropped++
		c.BytesDropped += n
	}
}

// radioTimes integrates the radio's states over the window.
func radioTimes(t *Trace) RadioS {
	var r RadioS
	state, since := netem.RadioState(""), t.WindowStart
	until := func(end time.Time) {
		if end.After(t.WindowEnd) {
			end = t.WindowEnd
		}
		if end.After(since) {
			r.add(state, end.Sub(since).Seconds())
			since = end
		}
	}
	for _, e := range t.Events {
		if e.Kind == EventRadio {
			until(e.Time)
			state = netem.RadioState(e.Detail)
		}
	}
	until(t.WindowEnd)
	return r
}

func (r *RadioS) add(state netem.RadioState, s float64) {
	switch state {
	case netem.RadioTx:
		r.TX += s
	case netem.RadioRx:
		r.RX += s
	case netem.RadioSetup, netem.RadioConnected:
		r.Connected += s
	case netem.RadioIdle:
		r.Idle += s
	case netem.RadioPSM:
		r.PSM += s
	}
}

// judgeOTA adds up the image bytes that reached the device. A byte is wasted
// if it had been received before: after a restart, everything up to the point
// of interruption is.
func judgeOTA(t *Trace) *OTA {
	var o OTA
	var got intervals
	for _, e := range t.Events {
		if e.Kind != "ota.data" || e.Length <= 0 || !t.inWindow(e.Time) {
			continue
		}
		o.ReceivedBytes += e.Length
		o.WastedBytes += e.Length - got.add(e.Offset, e.Offset+e.Length)
	}
	if o.ReceivedBytes == 0 {
		return nil
	}
	return &o
}

// warnings are collected once each, in order.
type warnings []string

func (w *warnings) add(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	if !slices.Contains(*w, s) {
		*w = append(*w, s)
	}
}

func (w warnings) list() []string { return w }
