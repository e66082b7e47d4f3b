package tcp

import "time"

// growWindow lets the window grow by two segments for each full one that
// arrives, up to the clamp: slow start of the receiver.
func (c *Conn) growWindow(n int) {
	r := &c.rcv
	room := min(int(r.clamp), r.fromSpace(r.rcvbuf-r.used())) - int(r.ssthresh)
	if room <= 0 || r.fixed {
		return
	}
	r.ssthresh += uint32(min(room, max(2*r.advMSS, 2*n)))
	c.ack.quick |= 1
}

// selectWindow is the window to advertise: it never takes back what was
// offered (RFC 9293 section 3.8.6.2.2) and goes to zero in time.
func (c *Conn) selectWindow() uint32 {
	r := &c.rcv
	if r.fixed {
		return c.fixedWindow()
	}
	space := r.fromSpace(r.rcvbuf - r.used())
	all := r.fromSpace(r.rcvbuf)
	full := min(int(r.clamp), all)
	mss := min(c.ack.rcvMSS, full)
	if space < full/2 {
		c.ack.quick = 0
		space &^= 1<<r.scale - 1
		if space < all/16 || space < mss {
			return 0
		}
	}
	space = min(space, int(r.ssthresh))
	if r.scale > 0 {
		return uint32(space+1<<r.scale-1) &^ (1<<r.scale - 1)
	}
	w := int(r.wnd)
	if mss > 0 && (w <= space-mss || w > space) {
		w = space - space%mss
	}
	return uint32(max(w, 0))
}

// fixedWindow raises the window only by a worthwhile step, a segment or a
// quarter of the buffer (lwIP: TCP_WND_UPDATE_THRESHOLD).
func (c *Conn) fixedWindow() uint32 {
	r := &c.rcv
	free := uint32(r.rcvbuf - r.used())
	if now := r.window(); free < now+uint32(min(r.rcvbuf/4, r.advMSS)) {
		return now
	}
	return min(free, 65535)
}

// updateWindow chooses the window for a segment that leaves now.
func (c *Conn) updateWindow() uint16 {
	r := &c.rcv
	w := c.selectWindow()
	if now := r.window(); w < now {
		w = (now + 1<<r.scale - 1) &^ (1<<r.scale - 1)
	}
	w = min(w, 65535<<r.scale)
	r.wnd, r.wup = w, r.nxt
	return uint16(w >> r.scale)
}

// tuneReceiveBuffer is dynamic right-sizing: the buffer becomes twice what the
// application read in a round trip, and more while that grows.
func (c *Conn) tuneReceiveBuffer() {
	r := &c.rcv
	if r.fixed || r.rtt == 0 || c.now-r.spaceAt < r.rtt {
		return
	}
	copied := r.nxt - uint32(r.buf.ready) - r.spaceSeq
	if copied > r.space {
		mss := uint64(r.advMSS)
		want := 2*uint64(copied) + 16*mss
		want += 2 * (want * uint64(copied-r.space) / uint64(max(r.space, 1)))
		perSegment := max(mss+packetOverhead, 2*mss)
		buf := int(min(want/mss*perSegment, uint64(c.cfg.MaxReceiveBuffer)))
		if buf > r.rcvbuf {
			r.rcvbuf = buf
			r.clamp = uint32(r.fromSpace(buf))
		}
		r.space = copied
	}
	r.spaceSeq, r.spaceAt = r.nxt-uint32(r.buf.ready), c.now
}

// measureReceiverRTT measures the round trip as a receiver: by timestamps, or
// as the time a whole window takes.
func (c *Conn) measureReceiverRTT() {
	r := &c.rcv
	if r.rttSince != 0 {
		if before(r.nxt, r.rttSeq) {
			return
		}
		if d := c.now - r.rttSince; r.rtt == 0 || d < r.rtt {
			r.rtt = max(d, time.Microsecond)
		}
	}
	r.rttSeq, r.rttSince = r.nxt+r.wnd, c.now
}

func (c *Conn) measureReceiverRTTByTS(s *Segment) {
	r := &c.rcv
	if !c.tsOK || !s.Timestamps || s.TSEcr == r.lastTSEcr {
		return
	}
	r.lastTSEcr = s.TSEcr
	if len(s.Payload) < c.ack.rcvMSS {
		return
	}
	d, ok := c.sinceTS(s.TSEcr)
	if !ok {
		return
	}
	if r.rtt == 0 || d < r.rtt {
		r.rtt = d
	} else {
		r.rtt += (d - r.rtt) / 8
	}
}
