package tcp_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/thinlink/thinlink/internal/units"
	"github.com/thinlink/thinlink/netem"
)

// The links on which Linux 6.1 was measured. Delay is one way. queue counts
// the packets that wait or are being sent, as netem's limit does, but not
// those in flight.
var yardstickLinks = map[string]struct {
	down, up units.BitRate
	delay    time.Duration
	queue    int
	size     int
}{
	"nb26":     {26000, 60000, 800 * time.Millisecond, 12, 1 << 20},
	"nb26deep": {26000, 60000, 800 * time.Millisecond, 1000, 1 << 20},
	"nb24":     {24000, 56000, 95 * time.Millisecond, 13, 1 << 20},
	"ltem":     {264000, 293000, 50 * time.Millisecond, 25, 1 << 20},
	"ce1":      {2430, 2400, 200 * time.Millisecond, 8, 128 << 10},
	"qnb32":    {32400, 32400, 50 * time.Millisecond, 1000, 972000},
	"ltefd":    {800000, 800000, 40 * time.Millisecond, 49, 2 << 20},
}

// measured are medians of several runs, and the range of two of them. packets
// are those towards the device as sent, retrans RetransSegs of the sender.
type measured struct {
	sec, secLo, secHi     float64
	packets               int
	retrans, retLo, retHi int
	rtos, tlps, dsacks    int
}

// agrees says whether m lies within 10 % of the kernel's k, or in its range,
// or, for retransmissions, is off by at most five.
func (m measured) agrees(k measured) bool {
	near := func(a, b, off float64) bool { return math.Abs(a-b) <= max(off, 0.1*b) }
	return (near(m.sec, k.sec, 0) || m.sec >= k.secLo && m.sec <= k.secHi) &&
		near(float64(m.packets), float64(k.packets), 0) &&
		(near(float64(m.retrans), float64(k.retrans), 5) || m.retrans >= k.retLo && m.retrans <= k.retHi)
}

// yardstick holds two measurements of the Debian kernel 6.1 in QEMU with an
// instruction-counting clock, programs in Go on both ends. In the first (5
// runs, one without loss) IPv6 was on: its neighbour discovery adds about ten
// packets to each direction's count, and they take places in the short queues.
// In the second TCP was alone on the link; runs says how often.
var yardstick = []struct {
	link   string
	loss   int // percent, both directions
	shared measured
	alone  measured
	runs   int
}{
	{"nb26", 0, measured{339.2, 339.2, 339.2, 939, 121, 121, 121, 1, 0, 0}, measured{339.7, 339.7, 339.7, 935, 130, 130, 130, 0, 0, 0}, 1},
	{"nb26", 2, measured{348.9, 339.1, 352.2, 930, 111, 110, 126, 1, 0, 0}, measured{339.7, 339.7, 350.7, 930, 125, 114, 129, 1, 0, 0}, 5},
	{"nb26", 5, measured{342.6, 339.1, 351.4, 918, 100, 95, 105, 1, 0, 0}, measured{341.0, 339.7, 356.3, 914, 109, 88, 125, 1, 0, 0}, 25},
	{"nb26", 10, measured{362.6, 346.0, 403.3, 930, 112, 88, 116, 1, 0, 0}, measured{386.8, 352.3, 398.7, 912, 107, 97, 119, 1, 1, 0}, 5},
	{"nb26deep", 0, measured{339.1, 339.1, 339.1, 818, 1, 1, 1, 1, 0, 0}, measured{339.7, 339.7, 339.7, 807, 2, 2, 2, 1, 0, 0}, 1},
	{"nb26deep", 2, measured{339.2, 339.1, 360.2, 837, 19, 12, 21, 1, 0, 0}, measured{339.7, 339.7, 339.7, 821, 16, 12, 24, 1, 0, 0}, 5},
	{"nb26deep", 5, measured{339.1, 339.1, 354.8, 855, 37, 29, 49, 1, 0, 0}, measured{339.7, 339.7, 345.1, 849, 44, 38, 47, 0, 0, 0}, 5},
	{"nb26deep", 10, measured{353.3, 347.0, 367.9, 907, 89, 83, 94, 1, 0, 0}, measured{345.3, 344.4, 368.9, 885, 80, 79, 93, 1, 0, 0}, 5},
	{"nb24", 0, measured{376.2, 376.2, 376.2, 932, 115, 115, 115, 1, 2, 1}, measured{367.7, 367.7, 367.7, 918, 113, 113, 113, 1, 1, 1}, 1},
	{"nb24", 2, measured{367.8, 367.8, 377.0, 932, 115, 98, 122, 1, 1, 1}, measured{367.9, 367.7, 377.7, 919, 114, 106, 116, 1, 1, 1}, 5},
	{"nb24", 5, measured{367.8, 367.4, 372.7, 919, 102, 97, 112, 1, 1, 1}, measured{367.8, 367.3, 377.9, 909, 103, 98, 117, 1, 1, 0}, 5},
	{"nb24", 10, measured{376.6, 367.4, 395.0, 933, 117, 106, 130, 2, 1, 1}, measured{374.3, 367.9, 389.4, 923, 118, 97, 128, 2, 2, 1}, 5},
	{"ltem", 0, measured{33.4, 33.4, 33.4, 849, 35, 35, 35, 0, 0, 0}, measured{33.4, 33.4, 33.4, 852, 47, 35, 47, 0, 0, 0}, 3},
	{"ltem", 2, measured{33.4, 33.4, 34.3, 840, 26, 18, 32, 0, 0, 0}, measured{33.4, 33.4, 33.5, 837, 32, 22, 40, 0, 0, 0}, 5},
	{"ltem", 5, measured{39.4, 36.8, 40.7, 863, 49, 35, 55, 0, 1, 0}, measured{38.0, 34.2, 39.1, 851, 45, 32, 56, 0, 0, 0}, 5},
	{"ltem", 10, measured{53.0, 51.2, 60.9, 905, 91, 89, 112, 7, 4, 4}, measured{56.3, 51.5, 57.0, 904, 99, 84, 117, 6, 3, 3}, 5},
	{"ce1", 0, measured{456.3, 456.3, 456.3, 141, 25, 25, 25, 1, 2, 0}, measured{502.9, 502.9, 502.9, 133, 27, 27, 27, 2, 2, 0}, 1},
	{"ce1", 2, measured{460.9, 456.0, 506.3, 143, 26, 24, 29, 2, 2, 0}, measured{469.6, 454.8, 515.9, 132, 26, 17, 31, 1, 2, 0}, 9},
	{"ce1", 5, measured{456.1, 455.8, 502.4, 144, 27, 25, 30, 2, 2, 0}, measured{454.8, 454.8, 527.3, 130, 27, 18, 28, 1, 2, 0}, 9},
	{"ce1", 10, measured{573.3, 456.5, 679.0, 154, 29, 25, 33, 4, 1, 1}, measured{455.0, 454.8, 521.2, 129, 25, 18, 35, 1, 2, 0}, 9},
	{"qnb32", 0, measured{252.6, 252.6, 252.6, 759, 1, 1, 1, 1, 1, 1}, measured{252.5, 252.5, 252.5, 748, 1, 1, 1, 1, 1, 1}, 1},
	{"qnb32", 2, measured{252.7, 252.6, 252.7, 779, 21, 19, 24, 1, 1, 1}, measured{252.5, 252.5, 252.5, 765, 18, 14, 21, 1, 1, 1}, 5},
	{"qnb32", 5, measured{252.3, 252.3, 252.8, 805, 47, 35, 57, 1, 1, 0}, measured{252.5, 252.2, 252.5, 783, 36, 34, 38, 1, 1, 1}, 5},
	{"qnb32", 10, measured{257.1, 253.6, 273.7, 853, 94, 83, 96, 2, 1, 1}, measured{258.2, 255.9, 261.9, 834, 86, 80, 90, 2, 1, 1}, 5},
	{"ltefd", 0, measured{22.0, 22.0, 22.0, 1656, 40, 40, 40, 0, 0, 0}, measured{22.1, 22.1, 22.1, 1640, 32, 32, 32, 0, 0, 0}, 3},
	{"ltefd", 2, measured{25.1, 23.0, 26.9, 1647, 31, 22, 36, 0, 0, 0}, measured{25.2, 23.6, 25.9, 1641, 33, 30, 37, 0, 0, 0}, 5},
	{"ltefd", 5, measured{43.9, 39.0, 44.1, 1708, 91, 82, 96, 1, 1, 0}, measured{40.5, 36.9, 47.6, 1688, 80, 76, 108, 0, 2, 0}, 5},
	{"ltefd", 10, measured{65.7, 56.9, 71.9, 1799, 181, 145, 214, 13, 11, 7}, measured{69.4, 60.9, 83.8, 1796, 187, 151, 225, 13, 11, 5}, 25},
}

func yardstickConfig(name string, lossPercent int) (netem.Config, int) {
	l := yardstickLinks[name]
	dir := func(rate units.BitRate) netem.DirectionConfig {
		return netem.DirectionConfig{
			// The link does not count the packet that is being sent.
			Queue: netem.QueueConfig{Packets: l.queue}, Rate: rate, Overhead: 14, Delay: l.delay,
			Loss: netem.LossConfig{Rate: units.Fraction(lossPercent) / 100}, LossPlace: netem.PlaceQueue,
		}
	}
	return netem.Config{MTU: bulkMTU, Up: dir(l.up), Down: dir(l.down)}, l.size
}

// ours measures the row with seeds 1 to 5.
func ours(t *testing.T, link string, loss int) measured {
	var sec []float64
	var packets, retrans, rtos, tlps, dsacks []int
	for seed := uint64(1); seed <= 5; seed++ {
		cfg, size := yardstickConfig(link, loss)
		b := newBulk(t, cfg, size, seed)
		sec = append(sec, b.run(t).Seconds())
		st := b.platform.Stats()
		packets = append(packets, b.down)
		retrans = append(retrans, int(st.Retransmitted))
		rtos, tlps, dsacks = append(rtos, int(st.RTOs)), append(tlps, int(st.TLPs)), append(dsacks, int(st.DSACKs))
	}
	mid := func(v []int) int { slices.Sort(v); return v[2] }
	slices.Sort(sec)
	m := measured{sec: sec[2], secLo: sec[0], secHi: sec[4], packets: mid(packets), retrans: mid(retrans),
		rtos: mid(rtos), tlps: mid(tlps), dsacks: mid(dsacks)}
	m.retLo, m.retHi = retrans[0], retrans[4]
	return m
}

// TestYardstick holds the Linux personality against the kernel's. A transfer
// over a short queue is chaotic: one packet more in a queue or a timer one
// tick later changes what is dropped from there on, and single runs of the
// kernel differ from each other as ours do from them. So a row agrees if it
// does with either measurement. The table goes to VALIDATION.md.
func TestYardstick(t *testing.T) {
	t.Log("| link | loss | seconds | kernel, shared | kernel, alone | packets | kernel | alone | retransmitted | kernel | alone | RTOs | TLPs | DSACKs | agrees with |")
	t.Log("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|")
	for _, k := range yardstick {
		m := ours(t, k.link, k.loss)
		with := "both"
		switch shared, alone := m.agrees(k.shared), m.agrees(k.alone); {
		case !shared && !alone:
			with = "NEITHER"
			t.Fail()
		case !alone:
			with = "shared"
		case !shared:
			with = "alone"
		}
		t.Logf("| %s | %d %% | %.1f (%.1f-%.1f) | %.1f (%.1f-%.1f) | %.1f (%.1f-%.1f) | %d | %d | %d | %d (%d-%d) | %d (%d-%d) | %d (%d-%d) | %d, %d, %d | %d, %d, %d | %d, %d, %d | %s |",
			k.link, k.loss, m.sec, m.secLo, m.secHi, k.shared.sec, k.shared.secLo, k.shared.secHi, k.alone.sec, k.alone.secLo, k.alone.secHi,
			m.packets, k.shared.packets, k.alone.packets, m.retrans, m.retLo, m.retHi, k.shared.retrans, k.shared.retLo, k.shared.retHi,
			k.alone.retrans, k.alone.retLo, k.alone.retHi, m.rtos, k.shared.rtos, k.alone.rtos, m.tlps, k.shared.tlps, k.alone.tlps,
			m.dsacks, k.shared.dsacks, k.alone.dsacks, with)
	}
}
