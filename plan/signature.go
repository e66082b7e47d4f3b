package plan

import (
	"cmp"
	"slices"
	"time"

	"github.com/thinlink/thinlink/measure"
	"github.com/thinlink/thinlink/netem"
)

// A Packet is one packet of a burst.
type Packet struct {
	Up    bool
	Bytes float64 // IP packet
	Slope float64 // bytes more for each byte of payload above the least
	// Gap is from the arrival of the packet before it to this one's sending;
	// below 0 it was sent before that arrival, right after the other.
	Gap time.Duration
}

// A Burst is the packets of one exchange.
type Burst struct {
	Packets []Packet
	TCP     bool
	// Answered says that the platform answers, so that what is lost is sent
	// again; CoAP's non-confirmable messages and given packets are not.
	Answered bool
}

// bytes sums a direction up.
func (b *Burst) bytes(up bool) (n float64) {
	for _, p := range b.Packets {
		if p.Up == up {
			n += p.Bytes
		}
	}
	return n
}

// A Step is a part of a long transfer: what both directions carried in it on
// an empty link.
type Step struct {
	UpPackets, DownPackets int
	UpBytes, DownBytes     float64
	Took                   time.Duration
}

// Signature is the traffic of one device in one coverage class.
type Signature struct {
	Report  Burst
	Session Burst // keep-alive or registration update; may be empty
	// SessionPeriod is the mean time between session bursts; 0 is none.
	SessionPeriod time.Duration
	MeanW         float64 // power of a device on an empty cell, W; 0 is unknown
	Update        []Step  // of a firmware update, with its connection
	UpdateUp      float64 // bytes of an update, up
	UpdateDown    float64
	UpdateTook    time.Duration
	UpdateResumes bool // after a reboot it goes on where it stopped
	Warnings      []string
}

// quiet is the silence that separates two bursts.
const quiet = 15 * time.Second

// cluster is a burst in a trace.
type cluster struct {
	packets []measure.Packet
	report  bool
}

func (c *cluster) bytes() (n int) {
	for _, p := range c.packets {
		n += len(p.Data)
	}
	return n
}

// eventDue marks in a trace that the device has something to report.
const eventDue = "report.due"

// signatureOf takes a device's signature from a trace of scenario power.
func signatureOf(t *measure.Trace, interval time.Duration) Signature {
	gap := min(quiet, interval/2)
	var clusters []cluster
	var last time.Time
	for _, p := range t.Packets {
		if p.Time.Before(t.WindowStart) || !p.Time.Before(t.WindowEnd) {
			continue
		}
		if len(clusters) == 0 || p.Time.Sub(last) > gap {
			clusters = append(clusters, cluster{})
		}
		c := &clusters[len(clusters)-1]
		c.packets = append(c.packets, p)
		last = laterOf(p.Time, p.Done)
	}
	for _, e := range t.Events {
		if e.Kind != eventDue {
			continue
		}
		i, _ := slices.BinarySearchFunc(clusters, e.Time, func(c cluster, at time.Time) int {
			return laterOf(c.packets[len(c.packets)-1].Time, c.packets[0].Time).Compare(at)
		})
		if i < len(clusters) {
			clusters[i].report = true
		}
	}
	var reports, sessions []cluster
	for _, c := range clusters {
		if c.report {
			reports = append(reports, c)
		} else {
			sessions = append(sessions, c)
		}
	}
	sig := Signature{Report: median(reports), Session: median(sessions)}
	if t.Bearer != netem.BearerIP {
		sig.Report.TCP, sig.Session.TCP = false, false
	}
	if len(sessions) > 0 {
		sig.SessionPeriod = max(time.Second, t.WindowEnd.Sub(t.WindowStart)/time.Duration(len(sessions)))
	}
	return sig
}

func laterOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// median is the burst whose size is in the middle: one that is neither the
// first of a session nor one with a spurious retransmission, unless most are.
func median(list []cluster) Burst {
	if len(list) == 0 {
		return Burst{}
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b cluster) int { return cmp.Compare(a.bytes(), b.bytes()) })
	return burstOf(list[(len(list)-1)/2].packets)
}

func burstOf(packets []measure.Packet) Burst {
	var b Burst
	var before *measure.Packet
	for i := range packets {
		p := &packets[i]
		q := Packet{Up: p.Dir == netem.Up, Bytes: float64(len(p.Data))}
		if before != nil {
			q.Gap = p.Time.Sub(laterOf(before.Time, before.Done))
		}
		b.TCP = b.TCP || isTCP(p.Data)
		b.Answered = b.Answered || !q.Up
		b.Packets = append(b.Packets, q)
		before = p
	}
	return b
}

func isTCP(ip []byte) bool {
	switch {
	case len(ip) < 20:
		return false
	case ip[0]>>4 == 4:
		return ip[9] == 6
	}
	return ip[6] == 6
}

// slopes compares a burst with the same one of a larger payload and notes
// which packet grows.
func (b *Burst) slopes(larger *Burst, step float64) bool {
	if len(b.Packets) != len(larger.Packets) {
		return false
	}
	for i := range b.Packets {
		b.Packets[i].Slope = (larger.Packets[i].Bytes - b.Packets[i].Bytes) / step
	}
	return true
}

// steps cuts the window of an update's trace into parts of about equal numbers
// of packets.
func steps(t *measure.Trace, completion time.Duration, parts int) []Step {
	end := t.WindowStart.Add(completion)
	var inside []measure.Packet
	for _, p := range t.Packets {
		if !p.Time.Before(t.WindowStart) && p.Time.Before(end) {
			inside = append(inside, p)
		}
	}
	if len(inside) == 0 {
		return nil
	}
	parts = min(parts, len(inside))
	out := make([]Step, parts)
	from := t.WindowStart
	for i := range out {
		lo, hi := i*len(inside)/parts, (i+1)*len(inside)/parts
		s := &out[i]
		for _, p := range inside[lo:hi] {
			if p.Dir == netem.Up {
				s.UpPackets++
				s.UpBytes += float64(len(p.Data))
			} else {
				s.DownPackets++
				s.DownBytes += float64(len(p.Data))
			}
		}
		to := end
		if hi < len(inside) {
			to = inside[hi].Time
		}
		s.Took, from = to.Sub(from), to
	}
	return out
}

// given makes a signature of packets that a file gives.
func given(specs []PacketSpec) Signature {
	var b Burst
	for _, s := range specs {
		b.Packets = append(b.Packets, Packet{Up: s.Direction == "up", Bytes: float64(s.Bytes), Gap: s.Gap})
	}
	return Signature{Report: b}
}
