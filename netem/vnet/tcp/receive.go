package tcp

import (
	"math/bits"
	"time"
)

// receiver is the receiving side: reassembly, the advertised window and what
// SACK blocks report.
type receiver struct {
	nxt, wup, wnd uint32 // RCV.NXT, RCV.NXT at the last ACK sent, window of that ACK
	scale         uint8
	buf           reassembly
	ofo           []SACKBlock // ranges above nxt, sorted, disjoint, not adjacent
	fin           bool        // the peer's FIN is in order
	finSeq        uint32      // its sequence number, when finKnown
	finKnown      bool

	advMSS int

	// Window auto-tuning.
	rcvbuf    int    // bytes; half of it is window
	fixed     bool   // the whole of rcvbuf is window, and it never grows
	clamp     uint32 // greatest window for this rcvbuf
	ssthresh  uint32 // greatest window so far, grows with every full segment
	rtt       time.Duration
	rttSeq    uint32
	rttSince  time.Duration
	lastTSEcr uint32
	space     uint32 // bytes read in the last round trip
	spaceSeq  uint32
	spaceAt   time.Duration

	sacks  [4]SACKBlock // most recent first
	nsacks int
	dup    SACKBlock // the D-SACK for the next ACK
	hasDup bool

	tsRecent   uint32
	tsRecentAt time.Duration
	tsValid    bool
	lastEcr    uint32 // timestamp echo of the segment being processed
}

// packetOverhead is what a packet costs in a Linux receive buffer besides its
// payload: sk_buff, shared info and the head's slab.
const packetOverhead = 1280

// maxSocketBuffer is what an application may ask for (net.core.rmem_max).
const maxSocketBuffer = 212992

// init chooses the first window and the scale (Linux: half of the buffer,
// whole segments, at most 64 KiB; the scale fits the greatest buffer, even one
// that SO_RCVBUF would set).
func (r *receiver) init(c *Conn) {
	r.rcvbuf = c.cfg.ReceiveBuffer
	r.fixed = c.cfg.MaxReceiveBuffer == 0
	space := r.fromSpace(r.rcvbuf)
	mss := r.advMSS
	if c.tsOK { // a client does not know yet
		mss -= 12
	}
	if space > mss && !r.fixed {
		space -= space % mss
	}
	r.wnd = uint32(min(space, 65535))
	if c.cfg.WindowScaling {
		most := uint(max(space, c.cfg.MaxReceiveBuffer, maxSocketBuffer))
		r.scale = uint8(min(max(bits.Len(most)-1-15, 0), 14))
	}
	r.clamp = 65535 << r.scale
	r.ssthresh = r.wnd
}

// start sets the first expected sequence number.
func (r *receiver) start(nxt uint32) { r.nxt, r.wup, r.spaceSeq = nxt, nxt, nxt }

// established bounds the window by the buffer.
func (r *receiver) established(c *Conn) {
	most := uint32(r.fromSpace(r.rcvbuf))
	r.clamp = min(r.clamp, most)
	// One segment is kept for the application (Linux: tcp_init_buffer_space).
	if mss := uint32(r.advMSS); !r.fixed && r.clamp > 2*mss && r.clamp+mss > most {
		r.clamp = max(2*mss, most-mss)
	}
	r.ssthresh = min(r.ssthresh, r.clamp)
	r.space = min(r.ssthresh, r.wnd, uint32(10*r.advMSS))
	r.spaceAt, r.spaceSeq = c.now, r.nxt
	hint := max(min(r.advMSS, c.mss, int(r.wnd/2), 536), 88)
	c.ack.rcvMSS = hint
	c.ack.lastData = c.tickNow()
}

// fromSpace is the window that a buffer of so many bytes allows.
func (r *receiver) fromSpace(n int) int {
	if r.fixed {
		return n
	}
	return n - n>>1
}

func (r *receiver) unread() int { return r.buf.ready }

// used estimates the memory the queued bytes take.
func (r *receiver) used() int {
	n := r.buf.ready
	if r.fixed {
		return n
	}
	if n > 0 {
		n += packetOverhead
	}
	for _, k := range r.ofo {
		n += int(k.End-k.Start) + packetOverhead
	}
	return n
}

// window is what remains of the window of the last ACK (RCV.WND).
func (r *receiver) window() uint32 {
	if w := int32(r.wup + r.wnd - r.nxt); w > 0 {
		return uint32(w)
	}
	return 0
}

// acceptable is the test of RFC 9293 section 3.10.7.4, as Linux relaxes it:
// the left edge is the one the peer knows.
func (r *receiver) acceptable(seq, end uint32) bool {
	return !before(end, r.wup) && !after(seq, r.nxt+r.window())
}

func (r *receiver) read(b []byte) int { return r.buf.read(b) }

// afterRead sends the ACKs that reading causes, and tunes the buffer.
func (c *Conn) afterRead() {
	c.tuneReceiveBuffer()
	if c.synchronised() || c.state == SynReceived {
		c.ackAfterRead()
	}
}

// receive is RFC 9293 section 3.10.7.4, seventh and eighth step: the segment
// text and the FIN.
func (c *Conn) receive(s *Segment) {
	r := &c.rcv
	n := uint32(len(s.Payload))
	end := s.Seq + n
	hasFIN := s.Flags&FIN != 0
	segEnd := end
	if hasFIN {
		segEnd++
	}
	if s.Seq == segEnd {
		return
	}
	r.hasDup = false
	switch {
	case s.Seq == r.nxt:
		if r.window() == 0 && n > 0 {
			c.quickACK()
			return
		}
		c.inOrder(s, s.Payload, segEnd)
	case !after(segEnd, r.nxt): // all of it is old: say so (RFC 2883)
		c.duplicate(s.Seq, segEnd)
		c.quickACK()
	case !before(s.Seq, r.nxt+r.window()): // beyond the window, for instance a probe of it
		c.quickACK()
	case before(s.Seq, r.nxt): // old at its front
		c.duplicate(s.Seq, r.nxt)
		if r.window() == 0 {
			c.quickACK()
			return
		}
		c.inOrder(s, s.Payload[min(r.nxt-s.Seq, n):], segEnd)
	default:
		c.outOfOrder(s, segEnd)
	}
}

// fits cuts what lies beyond the window: a sender that ignores it must not
// make the buffer grow without bound.
func (r *receiver) fits(seq uint32, p []byte) []byte {
	if room := int(int32(r.nxt + r.window() + uint32(r.advMSS) - seq)); len(p) > room {
		return p[:max(room, 0)]
	}
	return p
}

func (c *Conn) inOrder(s *Segment, p []byte, segEnd uint32) {
	r := &c.rcv
	whole := len(p)
	p = r.fits(r.nxt, p)
	if len(p) > 0 {
		r.buf.place(r.buf.ready, p)
		c.advance(r.nxt + uint32(len(p)))
		c.dataReceived(s, len(s.Payload))
	}
	if s.Flags&FIN != 0 && len(p) == whole {
		c.receiveFIN()
		return
	}
	if len(r.ofo) > 0 {
		c.drain()
		if len(r.ofo) == 0 {
			c.ack.now = true // RFC 5681 section 4.2: a gap was filled
		}
	}
	r.removeSACKs()
}

// advance moves RCV.NXT over bytes that are in the buffer.
func (c *Conn) advance(to uint32) {
	n := to - c.rcv.nxt
	c.rcv.nxt = to
	c.rcv.buf.ready += int(n)
	c.stats.BytesReceived += uint64(n)
}

// drain takes over the out-of-order ranges that became contiguous.
func (c *Conn) drain() {
	r := &c.rcv
	dupHigh := r.nxt
	for len(r.ofo) > 0 && !after(r.ofo[0].Start, r.nxt) {
		k := r.ofo[0]
		if before(k.Start, dupHigh) {
			c.extendDuplicate(k.Start, minSeq(k.End, dupHigh))
		}
		r.ofo = r.ofo[:copy(r.ofo, r.ofo[1:])]
		if !after(k.End, r.nxt) {
			continue
		}
		if r.finKnown && k.End == r.finSeq+1 {
			c.advance(r.finSeq)
			c.receiveFIN()
			return
		}
		c.advance(k.End)
	}
}

// receiveFIN processes the peer's FIN, which is in order.
func (c *Conn) receiveFIN() {
	r := &c.rcv
	r.nxt++
	r.fin = true
	r.ofo, r.nsacks = r.ofo[:0], 0
	c.ack.scheduled = true
	switch c.state {
	case SynReceived, Established:
		c.state = CloseWait
		c.ack.pingpong = true
	case FinWait1:
		c.sendACK()
		c.state = Closing
	case FinWait2:
		c.sendACK()
		c.timeWait()
	}
}

func (c *Conn) outOfOrder(s *Segment, segEnd uint32) {
	r := &c.rcv
	p := r.fits(s.Seq, s.Payload)
	if len(p) < len(s.Payload) {
		segEnd = s.Seq + uint32(len(p))
	} else if s.Flags&FIN != 0 {
		r.finKnown, r.finSeq = true, segEnd-1
	}
	c.ack.scheduled = true
	if s.Seq == segEnd {
		return
	}
	// After a FIN nothing can follow (RFC 9293 section 3.10.7.4).
	if r.finKnown && after(segEnd, r.finSeq+1) {
		return
	}
	r.buf.place(r.buf.ready+int(s.Seq-r.nxt), p)
	c.insertRange(s.Seq, segEnd)
	if c.sackOK {
		c.growWindow(len(p))
	}
}

// insertRange adds [seq, end) to the out-of-order ranges, reports what was
// there already as duplicate, and makes its block the first SACK block
// (RFC 2018 section 4).
func (c *Conn) insertRange(seq, end uint32) {
	r := &c.rcv
	i := 0
	for i < len(r.ofo) && before(r.ofo[i].End, seq) {
		i++
	}
	merged := SACKBlock{seq, end}
	j := i
	for ; j < len(r.ofo) && !after(r.ofo[j].Start, end); j++ {
		k := r.ofo[j]
		if lo, hi := maxSeq(k.Start, seq), minSeq(k.End, end); before(lo, hi) {
			c.extendDuplicate(lo, hi)
		}
		merged.Start, merged.End = minSeq(merged.Start, k.Start), maxSeq(merged.End, k.End)
	}
	switch {
	case i == j:
		r.ofo = append(r.ofo, SACKBlock{})
		copy(r.ofo[i+1:], r.ofo[i:])
	case j > i+1:
		r.ofo = append(r.ofo[:i+1], r.ofo[j:]...)
	}
	r.ofo[i] = merged
	if c.sackOK {
		r.addSACK(merged)
	}
}

// addSACK puts a block first and removes those it swallowed.
func (r *receiver) addSACK(k SACKBlock) {
	kept := [4]SACKBlock{k}
	n := 1
	for _, o := range r.sacks[:r.nsacks] {
		if (before(o.End, k.Start) || after(o.Start, k.End)) && n < len(kept) {
			kept[n] = o
			n++
		}
	}
	r.sacks, r.nsacks = kept, n
}

// removeSACKs drops the blocks RCV.NXT has passed.
func (r *receiver) removeSACKs() {
	n := 0
	for _, o := range r.sacks[:r.nsacks] {
		if before(r.nxt, o.Start) {
			r.sacks[n] = o
			n++
		}
	}
	r.nsacks = n
}

// duplicate remembers a range for the next ACK's D-SACK (RFC 2883 section 4).
func (c *Conn) duplicate(start, end uint32) {
	if c.sackOK && c.cfg.DSACK {
		c.rcv.dup, c.rcv.hasDup = SACKBlock{start, end}, true
	}
}

func (c *Conn) extendDuplicate(start, end uint32) {
	d := &c.rcv.dup
	switch {
	case !c.rcv.hasDup:
		c.duplicate(start, end)
	case !after(start, d.End) && !after(d.Start, end):
		d.Start, d.End = minSeq(d.Start, start), maxSeq(d.End, end)
	}
}
