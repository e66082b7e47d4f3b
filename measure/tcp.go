package measure

import (
	"time"

	"github.com/thinlink/thinlink/internal/wire"
	"github.com/thinlink/thinlink/netem"
)

// TCPClass says what a segment's sequence number tells, in Wireshark's terms
// (packet-tcp.c, "TCP Analysis").
type TCPClass uint8

// The classes, those that repeat data in order of precedence.
const (
	TCPNew TCPClass = iota
	TCPKeepAlive
	TCPSpuriousRetransmission // already acknowledged
	TCPFastRetransmission     // answers duplicate acknowledgements
	TCPOutOfOrder             // within the initial round trip: on a FIFO path, a retransmission
	TCPRetransmission
)

// TCPClasses count segments by class.
type TCPClasses struct {
	KeepAlives, Spurious, Fast, OutOfOrder, Retransmissions int64
	// Needless are retransmissions of any class all of whose bytes an earlier
	// copy delivered: what the sender should not have sent. Known if the
	// packets' fates are.
	Needless int64
}

func (c *TCPClasses) add(class TCPClass, needless bool) {
	switch class {
	case TCPKeepAlive:
		c.KeepAlives++
	case TCPSpuriousRetransmission:
		c.Spurious++
	case TCPFastRetransmission:
		c.Fast++
	case TCPOutOfOrder:
		c.OutOfOrder++
	case TCPRetransmission:
		c.Retransmissions++
	}
	if needless {
		c.Needless++
	}
}

// A tcpConn is a TCP connection. Positions in its streams are int64 offsets:
// SYN is at -1, the first byte of data at 0.
type tcpConn struct {
	key       flowKey
	half      [2]tcpHalf // by netem.Direction of the sender
	synAt     time.Time  // first SYN
	firstRTT  time.Duration
	synClient netem.Direction
	haveSYN   bool
}

// A tcpHalf is what one end has sent.
type tcpHalf struct {
	seen   bool
	base   uint32 // sequence number of offset 0
	next   int64  // the highest offset sent so far, plus one
	nextAt time.Time
	probe  bool // the last segment was a zero window probe

	acked      int64 // the peer's offset this end acknowledged
	haveAck    bool
	window     uint16
	duplicates int // acknowledgements that repeat acked
	dupAt      time.Time

	arrived   intervals // offsets of segments that were not lost
	assembler           // stream.go
	class     classes   // of the stream's bytes
}

// reused reports whether a segment opens a new connection between known
// endpoints.
func (c *tcpConn) reused(dir netem.Direction, s *wire.TCP) bool {
	h := &c.half[dir]
	return s.Flags&wire.SYN != 0 && h.seen && s.Seq+1 != h.base
}

// offset turns a sequence number into an offset next to the highest so far,
// across wrap-arounds (RFC 9293 section 3.4).
func (h *tcpHalf) offset(seq uint32) int64 {
	return h.next + int64(int32(seq-h.base-uint32(h.next)))
}

// track follows one segment with n bytes of data and judges it, before which
// the trace's packets were tracked in order. needless: an earlier copy of
// everything in it arrives.
func (c *tcpConn) track(p *Packet, s *wire.TCP, n int) (offset int64, class TCPClass, needless bool) {
	fwd, rev := &c.half[p.Dir], &c.half[1-p.Dir]
	syn, fin := s.Flags&wire.SYN != 0, s.Flags&wire.FIN != 0
	first := !fwd.seen
	if first {
		fwd.seen, fwd.base, fwd.nextAt = true, s.Seq, p.Time
		if syn {
			fwd.base++
			fwd.next = -1
		}
	}
	c.handshake(p, s)
	from := fwd.offset(s.Seq) // SYN comes before the data, FIN behind it
	to := from + int64(n)
	if syn {
		to++
	}
	if fin {
		to++
	}
	offset = to - int64(n)
	if fin {
		offset--
	}
	probe := n == 1 && !first && from == fwd.next && rev.seen && rev.window == 0
	class = c.classify(fwd, rev, p, s, n, from, to, first)
	if to > from && class != TCPKeepAlive {
		if class != TCPNew {
			needless = fwd.arrived.contains(from, to)
		}
		if p.Lost == "" {
			fwd.arrived.add(from, to)
		}
	}
	if !probe && (first || to > fwd.next) {
		fwd.next, fwd.nextAt = to, p.Time
	}
	fwd.probe = probe
	fwd.acknowledge(rev, p, s, n, from)
	return offset, class, needless
}

// handshake measures the initial round trip: from the SYN to the client's
// first acknowledgement, as the point of capture sees both.
func (c *tcpConn) handshake(p *Packet, s *wire.TCP) {
	switch {
	case s.Flags&(wire.SYN|wire.ACK) == wire.SYN:
		if !c.haveSYN {
			c.haveSYN, c.synAt, c.synClient = true, p.Time, p.Dir
		}
	case c.haveSYN && c.firstRTT == 0 && s.Flags&wire.SYN == 0 && p.Dir == c.synClient:
		c.firstRTT = p.Time.Sub(c.synAt)
	}
}

// Limits of Wireshark's classification.
const (
	fastAfterDupAck   = 20 * time.Millisecond
	defaultOutOfOrder = 3 * time.Millisecond
)

// classify follows tcp_analyze_sequence_number of Wireshark 4.0.
func (c *tcpConn) classify(fwd, rev *tcpHalf, p *Packet, s *wire.TCP, n int, from, to int64, first bool) TCPClass {
	if first {
		return TCPNew
	}
	if n <= 1 && from == fwd.next-1 && s.Flags&(wire.SYN|wire.FIN|wire.RST) == 0 {
		return TCPKeepAlive
	}
	if to == from || from >= fwd.next {
		return TCPNew
	}
	if n > 1 && from == fwd.next-1 && fwd.probe {
		return TCPNew // the data behind a zero window probe
	}
	switch {
	case n > 0 && rev.haveAck && from+int64(n) <= rev.acked:
		return TCPSpuriousRetransmission
	case rev.duplicates >= 2 && from == rev.acked && p.Time.Sub(rev.dupAt) < fastAfterDupAck:
		return TCPFastRetransmission
	}
	threshold := defaultOutOfOrder
	if c.firstRTT > 0 {
		threshold = c.firstRTT
	}
	if p.Time.Sub(fwd.nextAt) < threshold && to != fwd.next {
		return TCPOutOfOrder
	}
	return TCPRetransmission
}

// acknowledge notes what a segment of fwd's says about rev's stream.
func (h *tcpHalf) acknowledge(rev *tcpHalf, p *Packet, s *wire.TCP, n int, from int64) {
	if s.Flags&wire.ACK != 0 && rev.seen {
		ack := rev.offset(s.Ack)
		duplicate := h.haveAck && ack == h.acked && n == 0 && from == h.next && s.Window != 0 &&
			s.Window == h.window && s.Flags&(wire.SYN|wire.FIN|wire.RST) == 0
		switch {
		case duplicate:
			h.duplicates++
			h.dupAt = p.Time
		case !h.haveAck || ack != h.acked:
			h.duplicates = 0
		}
		h.acked, h.haveAck = ack, true
	}
	h.window = s.Window
}
