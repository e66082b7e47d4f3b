package measure

import (
	"time"

	"github.com/thinlink/thinlink/netem"
)

// Traffic describes a trace's packets inside the window, as the reference
// experiment draws them.
type Traffic struct {
	MeanPacket float64 `json:"mean_packet"` // IP bytes, both directions
	ShareDown  float64 `json:"share_down"`  // of all IP bytes, 0 to 1
	// Lengths counts packets by IP length. Empty bins are left out.
	Lengths []LengthBin `json:"lengths"`
	// Series is traffic over time from the window's start, without gaps.
	Series []SeriesPoint `json:"series"`
	TCP    TCPClasses    `json:"tcp"`
}

// LengthBin counts packets of From <= length < To bytes.
type LengthBin struct {
	From int   `json:"from"`
	To   int   `json:"to"`
	Up   int64 `json:"up"`
	Down int64 `json:"down"`
}

// SeriesPoint is what was sent in one step, beginning at T seconds.
type SeriesPoint struct {
	T           float64 `json:"t"`
	UpPackets   int64   `json:"up_packets"`
	UpBytes     int64   `json:"up_bytes"`
	DownPackets int64   `json:"down_packets"`
	DownBytes   int64   `json:"down_bytes"`
}

// maxSeries limits a series: longer ones get longer steps.
const maxSeries = 10_000

// Describe computes a trace's Traffic with bins of binWidth bytes and steps of
// step, which doubles until there are at most 10,000. It panics unless both
// are positive.
func Describe(t *Trace, binWidth int, step time.Duration) *Traffic {
	if binWidth <= 0 || step <= 0 {
		panic("measure: Describe needs positive bins and steps")
	}
	out := &Traffic{TCP: dissect(t).tcpClasses}
	length := t.WindowEnd.Sub(t.WindowStart)
	for length/step >= maxSeries {
		step *= 2
	}
	out.Series = make([]SeriesPoint, max(0, (length+step-1)/step))
	for i := range out.Series {
		out.Series[i].T = (time.Duration(i) * step).Seconds()
	}
	bins := make(map[int]*LengthBin)
	largest := 0
	for i := range t.Packets {
		p := &t.Packets[i]
		if !t.inWindow(p.Time) {
			continue
		}
		n := t.length(p)
		bin := n / binWidth
		largest = max(largest, bin)
		b := bins[bin]
		if b == nil {
			b = &LengthBin{From: bin * binWidth, To: (bin + 1) * binWidth}
			bins[bin] = b
		}
		s := &out.Series[p.Time.Sub(t.WindowStart)/step]
		if p.Dir == netem.Up {
			b.Up++
			s.UpPackets++
			s.UpBytes += int64(n)
		} else {
			b.Down++
			s.DownPackets++
			s.DownBytes += int64(n)
		}
	}
	for bin := range largest + 1 {
		if b := bins[bin]; b != nil {
			out.Lengths = append(out.Lengths, *b)
		}
	}
	out.share(t)
	return out
}

func (out *Traffic) share(t *Trace) {
	up, down := counts(t)
	if packets, bytes := up.Packets+down.Packets, up.Bytes+down.Bytes; packets > 0 {
		out.MeanPacket = float64(bytes) / float64(packets)
		out.ShareDown = float64(down.Bytes) / float64(bytes)
	}
}
