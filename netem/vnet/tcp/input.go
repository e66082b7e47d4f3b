package tcp

import "time"

// Input processes one arriving segment. s and its payload are not kept.
func (c *Conn) Input(now time.Time, s *Segment) {
	c.setNow(now)
	c.stats.SegmentsIn++
	switch c.state {
	case Closed:
		c.refuse(s)
	case SynSent:
		c.inputSynSent(s)
	case SynReceived:
		c.inputSynReceived(s)
	case TimeWait:
		c.inputTimeWait(s)
	default:
		c.inputSynchronised(s)
	}
}

// refuse answers a segment with a reset; false when it is one itself.
func (c *Conn) refuse(s *Segment) bool {
	r, ok := Reset(s)
	if ok {
		c.out = append(c.out, outgoing{Segment: r})
	}
	return ok
}

// inputSynSent is RFC 9293 section 3.10.7.3.
func (c *Conn) inputSynSent(s *Segment) {
	if s.Flags&ACK != 0 {
		if s.Ack != c.sndNxt || c.forgedEcho(s) {
			if c.refuse(s) && c.retransmits == 0 {
				// An older connection answers; the reset ends it, and our SYN
				// need not wait for its time-out.
				c.arm(timerRetransmit, 2*c.cfg.Tick)
			}
			return
		}
		if s.Flags&RST != 0 {
			c.die(ErrRefused)
			return
		}
	}
	if s.Flags&SYN == 0 || s.Flags&RST != 0 {
		return
	}
	c.peerSYN(s)
	if s.Flags&ACK == 0 { // simultaneous open
		c.state = SynReceived
		c.sendSYN()
		return
	}
	c.checkSpuriousSYN(s)
	c.processACK(s)
	c.sndWnd = uint32(s.Window)
	c.undo.stamp = 0
	c.establish()
	c.sendACK()
	c.push()
}

// forgedEcho rejects a timestamp echo that is not of a SYN of ours.
func (c *Conn) forgedEcho(s *Segment) bool {
	return c.cfg.Timestamps && s.Timestamps && s.TSEcr != 0 &&
		!between(s.TSEcr-c.tsOffset, c.undo.stamp, c.tsNow())
}

// checkSpuriousSYN finds by the timestamp that the first SYN (or SYN-ACK) was
// answered: its retransmission is no sign of congestion.
func (c *Conn) checkSpuriousSYN(s *Segment) {
	if c.undo.active && s.Timestamps && s.TSEcr != 0 && s.TSEcr-c.tsOffset == c.undo.stamp {
		c.undo.active = false
	}
}

// inputSynReceived is RFC 9293 section 3.10.7.4 for SYN-RECEIVED.
func (c *Conn) inputSynReceived(s *Segment) {
	r := &c.rcv
	if s.Flags&(SYN|RST|ACK) == SYN && s.Seq == r.nxt-1 {
		// The SYN again: our SYN-ACK was lost or is late.
		if c.rateLimited() {
			return
		}
		if !c.passive {
			c.sendSYN()
			return
		}
		c.repeatSYNACK()
		c.arm(timerRetransmit, min(c.cfg.InitialRTO<<c.retransmits, c.cfg.MaxRTO))
		return
	}
	if s.Flags&(ACK|RST) == ACK && s.Ack != c.iss+1 {
		c.refuse(s)
		return
	}
	seq := s.Seq
	if s.Flags&SYN != 0 { // the SYN-ACK of a simultaneous open
		seq++
	}
	if c.tsOK && s.Timestamps && !r.pawsOK(c, s, 0) || before(seq+s.Len(), r.nxt) || after(seq, r.nxt+r.wnd) {
		if s.Flags&RST == 0 && !c.rateLimited() {
			c.sendACK()
		}
		return
	}
	switch {
	case s.Flags&RST != 0:
		if s.Seq != r.nxt {
			c.challengeACK()
		} else if c.passive {
			c.die(ErrReset)
		} else {
			c.die(ErrRefused)
		}
		return
	case s.Flags&ACK == 0:
		return
	}
	c.handshakeDone(s)
}

// handshakeDone enters ESTABLISHED from SYN-RECEIVED with the ACK s.
func (c *Conn) handshakeDone(s *Segment) {
	if c.passive {
		c.sndUna = c.iss + 1
		c.disarm()
		if c.synRetrans == 0 {
			c.sampleHandshake(c.synAt)
		} else if d, ok := c.sinceTS(s.TSEcr); ok && c.tsOK && s.Timestamps {
			c.sampleHandshake(c.now - d)
		}
		c.checkSpuriousSYN(s)
		c.retransmits = 0
	}
	c.undo.stamp = 0
	c.sndWnd = uint32(s.Window) << c.sndScale
	c.maxWindow = c.sndWnd
	fin := c.finQueued
	c.establish()
	c.delivered++
	c.inputSynchronised(s)
	if fin && c.state == Established {
		c.state = FinWait1
		c.push()
	} else if fin && c.state == CloseWait {
		c.state = LastAck
		c.push()
	}
}

func (c *Conn) sampleHandshake(sentAt time.Duration) {
	d := max(c.now-sentAt, time.Microsecond)
	c.rtt.min.add(c.now, d)
	c.sampleRTT(d)
}

// inputTimeWait is RFC 9293 section 3.10.7.4 for TIME-WAIT: a FIN that arrives
// again restarts it.
func (c *Conn) inputTimeWait(s *Segment) {
	if s.Flags&RST != 0 {
		if s.Seq == c.rcv.nxt {
			c.die(nil)
		}
		return
	}
	if s.Len() > 0 || !between(s.Seq, c.rcv.nxt, c.rcv.nxt+c.rcv.window()) {
		if s.Flags&FIN != 0 {
			c.idleAt = c.deadline(c.cfg.TimeWait)
		}
		c.sendACK()
	}
}

// Reusable says whether a SYN may open a new connection in the place of this
// one, which then is to be dropped: it is in TIME-WAIT, and the SYN cannot be
// an old one by its timestamp or its sequence number (RFC 9293 section
// 3.10.7.4, RFC 6191).
func (c *Conn) Reusable(syn *Segment) bool {
	if c.state != TimeWait || syn.Flags&(SYN|ACK|RST) != SYN {
		return false
	}
	if c.tsOK && syn.Timestamps && syn.TSVal != c.rcv.tsRecent {
		return int32(syn.TSVal-c.rcv.tsRecent) > 0
	}
	return after(syn.Seq, c.rcv.nxt)
}

// inputSynchronised is RFC 9293 section 3.10.7.4 for the states from
// ESTABLISHED to LAST-ACK.
func (c *Conn) inputSynchronised(s *Segment) {
	if s.Flags&(ACK|RST|SYN) == 0 || !c.validate(s) || s.Flags&ACK == 0 {
		return
	}
	if !c.processACK(s) {
		return
	}
	c.measureReceiverRTTByTS(s)
	c.finAcked()
	if c.state == Closed {
		return
	}
	if c.state != TimeWait {
		if c.orphan && len(s.Payload) > 0 && after(s.Seq+uint32(len(s.Payload)), c.rcv.nxt) {
			// Nobody will read it (RFC 9293 section 3.6, RFC 2525 section 2.17).
			c.refuse(s)
			c.die(nil)
			return
		}
		c.receiveText(s)
	}
	if c.synchronised() {
		c.push()
		c.growSendBuffer()
	}
	if c.state != TimeWait {
		c.acknowledge()
	}
}

// receiveText processes data and FIN in the states that may receive them.
func (c *Conn) receiveText(s *Segment) {
	switch c.state {
	case Established, FinWait1, FinWait2:
		c.receive(s)
	case CloseWait, Closing, LastAck:
		if before(s.Seq, c.rcv.nxt) { // the FIN again
			c.receive(s)
		}
	}
	if c.state == FinWait2 && c.orphan && c.idleAt == 0 {
		c.idleAt = c.deadline(c.cfg.TimeWait)
	}
}

// finAcked moves on when our FIN is acknowledged.
func (c *Conn) finAcked() {
	if !c.finQueued || c.sndUna != c.writeSeq() {
		return
	}
	switch c.state {
	case FinWait1:
		c.state = FinWait2
		if c.orphan {
			c.idleAt = c.deadline(c.cfg.TimeWait)
		}
	case Closing:
		c.timeWait()
	case LastAck:
		c.die(nil)
	}
}

// validate is RFC 9293 section 3.10.7.4, first to fourth check, with PAWS
// (RFC 7323 section 5.3) before and RFC 5961 in it.
func (c *Conn) validate(s *Segment) bool {
	r := &c.rcv
	if c.tsOK && s.Timestamps && s.Flags&RST == 0 && !r.pawsOK(c, s, 1) && !c.oldDuplicateACK(s) {
		c.stats.PAWSRejected++
		c.answerUnacceptable(s)
		return false
	}
	if !r.acceptable(s.Seq, s.Seq+s.Len()) {
		switch {
		case s.Flags&RST != 0:
			if c.resetAfterFIN(s) {
				c.die(ErrReset)
			}
		case s.Flags&SYN != 0:
			c.challengeACK()
		default:
			c.answerUnacceptable(s)
		}
		return false
	}
	if s.Flags&RST != 0 {
		if s.Seq == r.nxt || c.resetAfterFIN(s) || s.Seq == r.highestSACK() {
			c.die(ErrReset)
		} else {
			c.challengeACK()
		}
		return false
	}
	if s.Flags&SYN != 0 {
		c.challengeACK() // RFC 5961 section 4.2
		return false
	}
	return true
}

// oldDuplicateACK excuses a reordered pure ACK from PAWS.
func (c *Conn) oldDuplicateACK(s *Segment) bool {
	return s.Flags&ACK != 0 && s.Len() == 0 && s.Seq == c.rcv.nxt && s.Ack == c.sndUna &&
		!c.mayUpdateWindow(s, uint32(s.Window)<<c.sndScale) &&
		time.Duration(c.rcv.tsRecent-s.TSVal)*time.Millisecond <= c.rtt.rto
}

// answerUnacceptable sends the ACK of RFC 9293 section 3.10.7.4, with a D-SACK
// for old data. Answers to pure ACKs are limited, or two confused ends would
// talk for ever.
func (c *Conn) answerUnacceptable(s *Segment) {
	if s.Len() == 0 && c.rateLimited() {
		return
	}
	if end := s.Seq + s.Len(); s.Len() > 0 && before(s.Seq, c.rcv.nxt) {
		c.quickACK()
		c.duplicate(s.Seq, minSeq(end, c.rcv.nxt))
	}
	c.sendACK()
}

// resetAfterFIN accepts a reset that repeats the FIN's sequence number, as
// some systems send it.
func (c *Conn) resetAfterFIN(s *Segment) bool {
	return s.Seq == c.rcv.nxt-1 && (c.state == CloseWait || c.state == LastAck || c.state == Closing)
}

// highestSACK is the end of the highest out-of-order range: RFC 5961 section
// 3.2 as extended for SACK; RCV.NXT when there is none.
func (r *receiver) highestSACK() uint32 {
	if n := len(r.ofo); n > 0 {
		return r.ofo[n-1].End
	}
	return r.nxt
}
