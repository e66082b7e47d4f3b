package tcp

import "time"

// ackFlags describe what one arriving acknowledgement did.
type ackFlags uint16

const (
	ackData        ackFlags = 1 << iota // the segment carried data
	ackWindow                           // it may have changed the window
	ackAcked                            // it acknowledged data
	ackSYN                              // it acknowledged our SYN
	ackRetrans                          // some of that was retransmitted
	ackSACKed                           // it SACKed something new
	ackOriginal                         // (S)ACKed what was never retransmitted, sent before recovery
	ackAdvanced                         // SND.UNA moved
	ackDSACK                            // a D-SACK of ours
	ackDSACKofTLP                       // of the tail loss probe
	ackReneging                         // the head of the queue had been SACKed before
	ackLostRetrans                      // it showed that a retransmission was lost
	ackSetTimer                         // the RTO is to be restarted
	ackDelayed                          // probably a delayed ACK

	ackNotDup = ackData | ackWindow | ackAcked | ackSYN
)

func (c *Conn) mayUpdateWindow(s *Segment, w uint32) bool {
	return after(s.Ack, c.sndUna) || after(s.Seq, c.sndWl1) || s.Seq == c.sndWl1 && w > c.sndWnd
}

// updateSendWindow is RFC 9293 section 3.10.7.4, fifth check.
func (c *Conn) updateSendWindow(s *Segment) (flag ackFlags) {
	w := uint32(s.Window)
	if s.Flags&SYN == 0 {
		w <<= c.sndScale
	}
	if c.mayUpdateWindow(s, w) {
		flag = ackWindow
		c.sndWl1 = s.Seq
		if w != c.sndWnd {
			c.sndWnd = w
			if c.unsent() > 0 {
				c.slowStartAfterIdle()
			}
			if w > c.maxWindow {
				c.maxWindow = w
			}
		}
	}
	c.stats.BytesAcked += uint64(s.Ack - c.sndUna)
	c.sndUna = s.Ack
	return flag
}

// processACK is the sender's side of an arriving segment. It reports whether
// the rest of the segment may be processed.
func (c *Conn) processACK(s *Segment) bool {
	una := c.sndUna
	c.rcv.lastEcr = 0
	if s.Timestamps {
		c.rcv.lastEcr = s.TSEcr
	}
	if before(s.Ack, una) {
		return c.processOldACK(s)
	}
	if after(s.Ack, c.sndNxt) {
		// It acknowledges what was never sent (RFC 9293 section 3.10.7.4).
		c.challengeACK()
		return false
	}
	var e ackEvent
	e.una = una
	if after(s.Ack, una) {
		e.flag |= ackAdvanced
		c.retransmits = 0
	}
	e.highSacked = c.highestSacked()
	c.replaceTS(s)
	if s.Len() > 0 {
		e.flag |= ackData
	}
	outstanding := c.counts.packets
	delivered, lost := c.delivered, c.lost
	e.flag |= c.updateSendWindow(s)
	if len(s.SACK) > 0 && c.sackOK {
		c.processSACK(s, &e)
	}
	c.lastRecv = c.now
	c.probesOut = 0
	if outstanding == 0 {
		if e.flag&ackDSACK != 0 {
			c.judge(&e)
		}
		c.windowOpened()
		c.processProbeACK(s.Ack, &e)
		return true
	}
	c.clean(s, &e)
	c.rack.updateWindow(c, &e)
	c.processProbeACK(s.Ack, &e)
	if e.flag&ackNotDup == 0 || e.flag&ackSACKed != 0 || c.ca != caOpen {
		if e.flag&(ackAdvanced|ackNotDup|ackDSACK) == 0 {
			e.dupACK = true
		}
		c.judge(&e)
	}
	if e.flag&ackSetTimer != 0 && !c.scheduleLossProbe(true) {
		c.rearm()
	}
	e.delivered, e.lost = c.delivered-delivered, c.lost-lost
	c.controlCongestion(&e)
	c.transmitRecovery(&e)
	return true
}

// processOldACK looks at the SACK blocks of an ACK that was overtaken.
func (c *Conn) processOldACK(s *Segment) bool {
	if before(s.Ack, c.sndUna-min(c.maxWindow, uint32(min(c.stats.BytesAcked, 1<<31-1)))) {
		c.challengeACK() // RFC 5961 section 5.2
		return false
	}
	c.replaceTS(s)
	if len(s.SACK) > 0 && c.sackOK {
		e := ackEvent{una: c.sndUna, highSacked: c.highestSacked()}
		c.processSACK(s, &e)
		c.judge(&e)
		c.transmitRecovery(&e)
	}
	return true
}

// replaceTS is RFC 7323 section 4.3: remember the timestamp of a segment that
// covers the last ACK sent.
func (c *Conn) replaceTS(s *Segment) {
	if c.tsOK && s.Timestamps && !after(s.Seq, c.rcv.wup) && c.rcv.pawsOK(c, s, 0) {
		c.rcv.storeTS(c, s)
	}
}

// windowOpened stops or restarts the zero-window probes.
func (c *Conn) windowOpened() {
	if c.unsent() == 0 {
		return
	}
	n := min(int(c.snd.end()-c.sndNxt), c.currentMSS())
	if !after(c.sndNxt+uint32(n), c.windowEnd()) {
		c.backoff, c.probesSince = 0, 0
		if c.xmitKind == timerPersist {
			c.disarm()
		}
		return
	}
	c.armPersist()
}

// ackEvent is what one ACK did, on its way through the steps.
type ackEvent struct {
	flag       ackFlags
	una        uint32 // SND.UNA before
	highSacked uint32 // end of the highest SACKed segment before
	dupACK     bool

	// Times of transmission of the first and last segment newly SACKed or
	// acknowledged that were sent once; 0: none.
	firstSacked, lastSacked time.Duration
	reorder                 uint32 // lowest sequence number that filled a hole
	priorDelivered          uint32 // Conn.delivered when the newest was sent
	rated                   bool
	newest                  time.Duration
	newestEnd               uint32

	delivered, lost uint32
	acked           uint32 // segments acknowledged cumulatively
	retransmit      rexmit
}

// rexmit is what recovery wants to send.
type rexmit uint8

const (
	rexmitNone rexmit = iota
	rexmitLost        // what is marked lost
	rexmitNew         // new data, for F-RTO
)

// clean removes what is acknowledged from the queue and measures round trips.
func (c *Conn) clean(s *Segment, e *ackEvent) {
	var first, last time.Duration
	priorSacked := c.counts.sacked
	reorder := c.sndNxt
	for t := c.txq.head(); t != nil && !after(t.end, c.sndUna); t = c.txq.head() {
		switch {
		case t.everRetrans:
			e.flag |= ackRetrans
		case !t.sacked:
			last = t.at
			if first == 0 {
				first = last
			}
			if before(t.seq, reorder) {
				reorder = t.seq
			}
			if !after(t.end, c.highSeq) {
				e.flag |= ackOriginal
			}
		}
		if !t.sacked && c.sackOK {
			c.delivered++
			if !c.spuriousRetransmission(t, s) {
				c.rack.advance(c, t)
			}
		}
		c.rate(t, e)
		e.acked++
		if t.syn {
			e.flag |= ackSYN
			c.undo.stamp = 0
		} else {
			e.flag |= ackAcked
		}
		c.forget(t)
		c.txq.pop()
	}
	c.snd.trim(c.sndUna)
	c.psh.forget(c.sndUna)
	if t := c.txq.head(); t != nil && t.sacked {
		e.flag |= ackReneging
	}
	c.measure(s, e, first, last, priorSacked)
	if e.flag&(ackAcked|ackSYN) != 0 {
		e.flag |= ackSetTimer
		if !c.sackOK {
			c.ackedWithoutSACK(e)
		} else if before(reorder, e.highSacked) {
			c.noteReordering(reorder)
		}
	}
}

// rate remembers how much was delivered when the most recently sent of the
// segments that e delivered was sent.
func (c *Conn) rate(t *transmitted, e *ackEvent) {
	if !t.rated {
		return
	}
	if !e.rated || t.at > e.newest || t.at == e.newest && after(t.end, e.newestEnd) {
		e.rated, e.priorDelivered = true, t.delivered
		e.newest, e.newestEnd = t.at, t.end
	}
	if t.sacked {
		t.rated = false
	}
}

// measure takes the round trip of what e delivered: never of a segment that
// was retransmitted (Karn's algorithm, RFC 6298 section 3), unless timestamps
// tell the transmissions apart (RFC 7323 section 4).
func (c *Conn) measure(s *Segment, e *ackEvent, first, last time.Duration, priorSacked uint32) {
	rtt, newest := time.Duration(-1), time.Duration(-1)
	if first != 0 && e.flag&ackRetrans == 0 {
		rtt, newest = c.now-first, c.now-last
		if e.acked == 1 && priorSacked == 0 && int(c.sndUna-e.una) < c.mss &&
			e.rated && e.priorDelivered+1 == c.delivered && e.flag&(ackSACKed|ackSYN) == 0 {
			e.flag |= ackDelayed
		}
	}
	var sacked time.Duration = -1
	if e.firstSacked != 0 {
		sacked, newest = c.now-e.firstSacked, c.now-e.lastSacked
	}
	if rtt < 0 {
		rtt = sacked
	}
	if rtt < 0 && e.flag&(ackAcked|ackSYN) != 0 && c.tsOK && s.Timestamps {
		if d, ok := c.sinceTS(s.TSEcr); ok {
			rtt, newest = d, d
		}
	}
	if rtt >= 0 {
		if e.flag&ackDelayed == 0 || newest <= c.rtt.min.get() {
			c.rtt.min.add(c.now, max(newest, time.Microsecond))
		}
		c.sampleRTT(max(rtt, time.Microsecond))
		if t := c.txq.head(); e.flag&(ackAcked|ackSYN) == 0 && t != nil && sacked >= 0 && sacked > c.now-t.at {
			// The SACKed data was sent before the head was (again): its round
			// trip moves the RTO on, but an RTO that newer data extends would
			// never come.
			e.flag |= ackSetTimer
		}
	}
	c.cc.acked(c, newest)
}

// growSendBuffer lets the buffer follow the congestion window while the
// writer waits for room.
func (c *Conn) growSendBuffer() {
	if !c.noSpace || c.inFlight() >= c.cwnd {
		return
	}
	c.sndbufSegs = max(c.sndbufSegs, c.cwnd, c.reordering+1)
	c.cwndStamp = c.now
}
