package tcp

import "time"

// renegingDelay is the least time a reneging receiver is given.
const renegingDelay = 10 * time.Millisecond

// enterLoss is RFC 5681 section 3.1 after a retransmission time-out: all that
// is outstanding counts as lost, but what was sent too recently to tell
// (RFC 8985 section 6.3).
func (c *Conn) enterLoss() {
	fresh := c.ca < caRecovery
	c.markAllLost()
	if c.ca <= caDisorder || !after(c.highSeq, c.sndUna) || c.ca == caLoss && c.retransmits == 0 {
		c.priorSsth = c.currentSsthresh()
		c.priorCwnd = c.cwnd
		c.ssthresh = c.cc.ssthresh(c)
		c.initUndo()
	}
	c.cwnd = c.inFlight() + 1
	c.cwndCnt = 0
	c.cwndStamp = c.now
	if base := uint32(c.cfg.DupThresh); c.ca <= caDisorder && c.counts.sacked >= base {
		c.reordering = min(c.reordering, base)
	}
	c.setCA(caLoss)
	c.highSeq = c.sndNxt
	c.tlp.active = false
	// RFC 5682 section 2.1: not when recovery was under way already.
	c.frto = c.cfg.FRTO && (fresh || c.retransmits > 0)
}

func (c *Conn) markAllLost() {
	head := c.txq.head()
	reneged := head != nil && head.sacked
	if reneged {
		c.counts.sacked = 0
	} else if !c.sackOK {
		c.counts.sacked = 0
	}
	for i, t := range c.txq.segs() {
		if reneged {
			t.sacked = false
		} else if c.cfg.RACK && c.sackOK && i > 0 && c.rack.timeout(c, t, 0) > 0 {
			continue
		}
		c.markLost(t)
	}
}

// processLoss handles an ACK after a time-out: F-RTO (RFC 5682 section 3.1),
// the end of recovery, or the next retransmissions.
func (c *Conn) processLoss(e *ackEvent) {
	advanced := e.flag&ackAdvanced != 0
	recovered := !before(c.sndUna, c.highSeq)
	if advanced && c.undoLoss(false) {
		return
	}
	if c.frto {
		if e.flag&ackOriginal != 0 && c.undoLoss(true) {
			return // step 3.b: what was sent before was not lost
		}
		if after(c.sndNxt, c.highSeq) {
			if e.flag&ackSACKed != 0 || e.dupACK {
				c.frto = false // step 3.a: the loss was real
			}
		} else if advanced && !recovered {
			c.highSeq = c.sndNxt
			// Step 2.b: new data, so that its ACK may tell.
			if c.unsent() > 0 && after(c.windowEnd(), c.sndNxt) {
				e.retransmit = rexmitNew
				return
			}
			c.frto = false
		}
	}
	if recovered {
		c.undoRecovery()
		return
	}
	if !c.sackOK {
		if after(c.sndNxt, c.highSeq) && e.dupACK {
			c.addDupACK(e)
		} else if advanced {
			c.counts.sacked = 0
		}
	}
	e.retransmit = rexmitLost
}

// packetDelayed says that the ACK answers an original transmission: its
// timestamp echo is older than the first retransmission (Eifel, RFC 3522), or
// nothing was retransmitted.
func (c *Conn) packetDelayed() bool {
	if c.undo.stamp != 0 {
		return c.tsOK && c.rcv.lastEcr != 0 && before(c.rcv.lastEcr-c.tsOffset, c.undo.stamp)
	}
	return (c.sackOK || before(c.sndUna, c.highSeq)) && c.state != SynSent
}

// spuriousRetransmission says by its timestamp echo that s answers a
// transmission before t's last.
func (c *Conn) spuriousRetransmission(t *transmitted, s *Segment) bool {
	return t.everRetrans && c.tsOK && s.Timestamps && s.TSEcr != 0 &&
		before(s.TSEcr-c.tsOffset, uint32(t.at/time.Millisecond))
}

func (c *Conn) mayUndo() bool {
	return c.undo.active && (c.undo.retrans == 0 || c.packetDelayed())
}

// undoReduction restores the window; unmark also takes nothing for lost any
// more.
func (c *Conn) undoReduction(unmark bool) {
	if unmark {
		for _, t := range c.txq.segs() {
			t.lost = false
		}
		c.counts.lost = 0
	}
	if c.priorSsth != 0 {
		c.cwnd = max(c.cwnd, c.priorCwnd)
		c.ssthresh = max(c.ssthresh, c.priorSsth)
	}
	c.stats.Undos++
	c.cwndStamp = c.now
	c.undo.active = false
	c.rack.advanced = true
}

// undoRecovery ends recovery, and undoes it if it was unnecessary. It reports
// that the state is kept until more is acknowledged.
func (c *Conn) undoRecovery() bool {
	if c.mayUndo() {
		c.undoReduction(false)
	} else if c.rack.persist > 0 {
		c.rack.persist--
	}
	if c.keepsReno() {
		return true
	}
	c.setCA(caOpen)
	return false
}

// keepsReno says that without SACK recovery must last until something above
// highSeq is acknowledged, or duplicate ACKs of old retransmissions would
// start it again (RFC 6582 section 6).
func (c *Conn) keepsReno() bool {
	if c.sndUna != c.highSeq || c.sackOK {
		return false
	}
	if !c.anyRetransmitted() {
		c.undo.stamp = 0
	}
	return true
}

// undoByDSACK undoes a reduction when every retransmission was reported as a
// duplicate (RFC 3708).
func (c *Conn) undoByDSACK() bool {
	if !c.undo.active || c.undo.retrans != 0 {
		return false
	}
	c.rack.persist = min(persistRecoveries, c.rack.persist+1)
	c.undoReduction(false)
	return true
}

// undoPartial handles a partial ACK of a delayed segment in recovery; true
// means that nothing more is to be retransmitted now.
func (c *Conn) undoPartial(e *ackEvent) bool {
	if !c.undo.active || !c.packetDelayed() {
		return false
	}
	c.noteReordering(e.una)
	if c.counts.retrans > 0 {
		return true
	}
	if !c.anyRetransmitted() {
		c.undo.stamp = 0
	}
	c.undoReduction(true)
	c.keepOpen()
	return false
}

// undoLoss undoes the reduction of a time-out.
func (c *Conn) undoLoss(frto bool) bool {
	if !frto && !c.mayUndo() {
		return false
	}
	c.undoReduction(true)
	if frto {
		c.stats.SpuriousRTOs++
	}
	c.retransmits = 0
	if c.keepsReno() {
		return true
	}
	if frto || c.sackOK {
		c.setCA(caOpen)
	}
	return true
}
