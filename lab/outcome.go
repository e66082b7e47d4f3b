package lab

import (
	"math"
	"slices"
	"time"

	"github.com/thinlink/thinlink/clients/plain"
	"github.com/thinlink/thinlink/measure"
)

// pingStats sums up the echoes that keep selects.
func pingStats(echoes []plain.Echo, keep func(plain.Echo) bool) measure.PingStats {
	var s measure.PingStats
	var rtts []float64
	sum := 0.
	for _, e := range echoes {
		if !keep(e) {
			continue
		}
		s.Sent++
		if e.Lost {
			continue
		}
		ms := float64(e.RTT) / float64(time.Millisecond)
		rtts = append(rtts, ms)
		sum += ms
	}
	s.Received = len(rtts)
	if s.Received == 0 {
		return s
	}
	slices.Sort(rtts)
	s.MinMS, s.MaxMS = rtts[0], rtts[len(rtts)-1]
	s.P5MS, s.P50MS = percentile(rtts, 5), percentile(rtts, 50)
	s.P95MS, s.P99MS = percentile(rtts, 95), percentile(rtts, 99)
	s.MeanMS = sum / float64(len(rtts))
	return s
}

// percentile interpolates linearly between the closest ranks of sorted values.
func percentile(sorted []float64, p float64) float64 {
	at := p / 100 * float64(len(sorted)-1)
	lo := math.Floor(at)
	hi := math.Ceil(at)
	return sorted[int(lo)] + (at-lo)*(sorted[int(hi)]-sorted[int(lo)])
}

// pingOf splits the echoes into those that found the radio idle and others.
func pingOf(echoes []plain.Echo) *measure.Ping {
	return &measure.Ping{
		Idle:      pingStats(echoes, func(e plain.Echo) bool { return e.Index == 0 }),
		Connected: pingStats(echoes, func(e plain.Echo) bool { return e.Index > 0 }),
	}
}

// bulkOf describes a transfer; the IP rate comes from the packets that
// arrived.
func bulkOf(run *Run, t *plain.Transfer, trace *measure.Trace) *measure.Bulk {
	b := &measure.Bulk{Direction: run.Scenario.Direction, Bytes: t.Bytes, DurationS: t.Took.Seconds()}
	if t.Took > 0 {
		b.GoodputBPS = 8 * float64(t.Bytes) / t.Took.Seconds()
	}
	b.RateBPS = arrivalRate(trace, run.Scenario.Direction)
	return b
}

// arrivalRate is the IP bit/s from the first arrival to the last, without the
// first packet's own bits.
func arrivalRate(trace *measure.Trace, dir string) float64 {
	var first, last time.Time
	bits := 0.
	for _, p := range trace.Packets {
		if p.Dir.String() != dir || p.Lost != "" || p.Done.IsZero() {
			continue
		}
		if first.IsZero() {
			first = p.Done
			continue
		}
		bits += 8 * float64(len(p.Data))
		last = p.Done
	}
	if !last.After(first) {
		return 0
	}
	return bits / last.Sub(first).Seconds()
}

// judgeInterruptions says from a trace's events what the interruptions of an
// update came to.
func judgeInterruptions(trace *measure.Trace, o *measure.OTA) {
	o.Resumed = true
	var had int64         // the farthest image byte so far
	var since []time.Time // interruptions that no new byte has followed yet
	first := false        // the next data is the first after an interruption
	for _, e := range trace.Events {
		switch e.Kind {
		case eventInterrupt:
			o.Interruptions++
			since = append(since, e.Time)
			first = had > 0
		case "ota.data":
			if first && e.Offset < had-had/10 {
				o.Resumed = false
			}
			first = false
			if e.Offset+e.Length <= had {
				continue
			}
			had = e.Offset + e.Length
			for _, t := range since {
				o.LostS = append(o.LostS, e.Time.Sub(t).Seconds())
			}
			since = nil
		}
	}
	o.Resumed = o.Resumed && o.Interruptions > 0
}

// imageReceived reports whether the ota.data events cover the whole image:
// with the stack's own word this makes sha256_ok.
func imageReceived(trace *measure.Trace, size int64) bool {
	type span struct{ from, to int64 }
	var spans []span
	for _, e := range trace.Events {
		if e.Kind == "ota.data" {
			spans = append(spans, span{e.Offset, e.Offset + e.Length})
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return int(a.from - b.from) })
	var end int64
	for _, s := range spans {
		if s.from > end {
			return false
		}
		end = max(end, s.to)
	}
	return end == size
}
