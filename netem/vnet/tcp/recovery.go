package tcp

// caState is the state of congestion avoidance and loss recovery, in Linux's
// terms.
type caState uint8

const (
	caOpen     caState = iota
	caDisorder         // duplicate ACKs or SACKs, no loss proven
	caCWR              // the window is being reduced, nothing is lost
	caRecovery         // fast recovery
	caLoss             // after a retransmission time-out
)

const infiniteSsthresh = 1<<31 - 1

// undoState is what is needed to find out that a recovery was unnecessary.
type undoState struct {
	active  bool   // a reduction may be undone
	marker  uint32 // SND.UNA at its start
	retrans int    // retransmissions not reported as duplicates; -1: none sent
	stamp   uint32 // tsNow of the first retransmission, 0: none
	dups    uint64 // segments reported as duplicates so far
}

// clear forbids undoing.
func (u *undoState) clear() {
	u.active = false
	u.retrans = -1
}

// prrState is proportional rate reduction's (RFC 6937 section 3).
type prrState struct{ delivered, out uint32 }

func (c *Conn) setCA(s caState) {
	c.ca = s
	if s == caLoss {
		c.cc.lossState(c)
	}
}

// inReduction says that PRR, not congestion avoidance, sets the window.
func (c *Conn) inReduction() bool { return c.ca == caCWR || c.ca == caRecovery }

// currentSsthresh is ssthresh outside a reduction, at least three quarters of
// the window that was in use.
func (c *Conn) currentSsthresh() uint32 {
	if c.inReduction() {
		return c.ssthresh
	}
	return max(c.ssthresh, c.cwnd/2+c.cwnd/4)
}

// initUndo starts to keep the evidence.
func (c *Conn) initUndo() {
	c.undo.active = c.cfg.Undo || !c.synchronised()
	c.undo.marker = c.sndUna
	c.undo.retrans = int(c.counts.retrans)
	if c.tlp.active && c.tlp.retrans {
		c.undo.retrans++
	}
	if c.undo.retrans == 0 {
		c.undo.retrans = -1
	}
}

// judge decides what an unusual ACK means: RFC 5681 section 3.2, RFC 6582,
// RFC 6675 section 5 and RFC 8985 in Linux's state machine.
func (c *Conn) judge(e *ackEvent) {
	advanced := e.flag&ackAdvanced != 0
	if c.counts.packets == 0 {
		c.counts.sacked = 0
	}
	if e.flag&ackReneging != 0 && advanced {
		// The receiver seems to have dropped SACKed data (RFC 2018 section 8).
		// Give it half a round trip to put that right.
		c.arm(timerRetransmit, max(c.rtt.srtt/16, renegingDelay))
		e.flag &^= ackSetTimer
		return
	}
	if c.ca == caOpen {
		c.undo.stamp = 0
	} else if !before(c.sndUna, c.highSeq) && c.leaveReduction() {
		return
	}
	switch c.ca {
	case caRecovery:
		if !advanced {
			c.dupACKWithoutSACK(e)
		} else if c.undoPartial(e) {
			return
		} else if !c.sackOK && !c.cfg.NewReno {
			c.endReno()
			return
		}
		if c.undoByDSACK() {
			c.tryOpen()
		}
		c.identifyLosses(e)
		if c.ca != caRecovery {
			if c.counts.lost == 0 {
				return
			}
			c.enterRecovery()
		}
	case caLoss:
		c.processLoss(e)
		c.identifyLosses(e)
		if c.ca != caOpen && e.flag&ackLostRetrans == 0 {
			return
		}
		if !c.considerRecovery(e) {
			return
		}
	default:
		if !c.considerRecovery(e) {
			return
		}
	}
	e.retransmit = rexmitLost
}

// considerRecovery enters fast recovery if a loss is proven.
func (c *Conn) considerRecovery(e *ackEvent) bool {
	if !c.sackOK && e.flag&ackAdvanced != 0 {
		c.counts.sacked = 0
	}
	c.dupACKWithoutSACK(e)
	if c.ca <= caDisorder {
		c.undoByDSACK()
	}
	c.identifyLosses(e)
	if c.counts.lost == 0 {
		c.tryOpen()
		return false
	}
	c.enterRecovery()
	return true
}

// leaveReduction ends CWR and recovery when all that was outstanding at their
// start is acknowledged. It reports that the ACK needs no further look.
func (c *Conn) leaveReduction() bool {
	switch c.ca {
	case caCWR:
		if c.sndUna != c.highSeq {
			c.endReduction()
			c.setCA(caOpen)
		}
	case caRecovery:
		if !c.sackOK {
			c.counts.sacked = 0
		}
		if c.undoRecovery() {
			return true
		}
		c.endReduction()
	}
	return false
}

// identifyLosses marks what is lost after an ACK.
func (c *Conn) identifyLosses(e *ackEvent) {
	if c.counts.packets == 0 {
		return
	}
	switch {
	case !c.sackOK:
		c.markLostWithoutSACK(e.flag&ackAdvanced != 0)
	case c.cfg.RACK:
		retrans := c.counts.retrans
		if c.rackMarkLost() {
			e.flag &^= ackSetTimer
		}
		if c.counts.retrans < retrans {
			e.flag |= ackLostRetrans
		}
	default:
		c.markLostByCount()
	}
}

// enterRecovery starts fast recovery.
func (c *Conn) enterRecovery() {
	if !c.anyRetransmitted() {
		c.undo.stamp = 0
	}
	c.stats.FastRecoveries++
	c.priorSsth = 0
	c.initUndo()
	if !c.inReduction() {
		c.priorSsth = c.currentSsthresh()
		c.initReduction()
		if !c.cfg.PRR {
			c.cwnd = c.ssthresh
		}
	}
	c.setCA(caRecovery)
}

// initReduction reduces ssthresh and starts PRR.
func (c *Conn) initReduction() {
	c.highSeq = c.sndNxt
	c.tlp.active = false
	c.cwndCnt = 0
	c.priorCwnd = c.cwnd
	c.prr = prrState{}
	c.ssthresh = c.cc.ssthresh(c)
}

// reduceWindow is PRR with its slow-start reduction bound (RFC 6937 section 3).
func (c *Conn) reduceWindow(delivered, lost uint32, advanced bool) {
	if delivered == 0 || c.priorCwnd == 0 {
		return
	}
	flight := c.inFlight()
	if !c.cfg.PRR {
		c.cwnd = max(c.ssthresh, 1)
		return
	}
	p := &c.prr
	p.delivered += delivered
	var n int
	if room := int(c.ssthresh) - int(flight); room < 0 {
		n = int((uint64(c.ssthresh)*uint64(p.delivered)+uint64(c.priorCwnd)-1)/uint64(c.priorCwnd)) - int(p.out)
	} else {
		n = max(int(p.delivered)-int(p.out), int(delivered))
		if advanced && lost == 0 {
			n++
		}
		n = min(room, n)
	}
	if p.out == 0 {
		n = max(n, 1) // the fast retransmit itself
	}
	c.cwnd = uint32(int(flight) + max(n, 0))
}

// endReduction sets the window to ssthresh.
func (c *Conn) endReduction() {
	if c.ssthresh < infiniteSsthresh && (c.ca == caCWR || c.undo.active || !c.cfg.Undo) {
		c.cwnd = c.ssthresh
		c.cwndStamp = c.now
	}
}

// controlCongestion changes the window after an ACK.
func (c *Conn) controlCongestion(e *ackEvent) {
	if c.inReduction() {
		c.reduceWindow(e.delivered, e.lost, e.flag&ackAdvanced != 0)
		return
	}
	grow := e.flag & ackAcked
	if c.reordering > uint32(c.cfg.DupThresh) {
		grow = e.flag & (ackAcked | ackSYN | ackSACKed)
	}
	if grow != 0 {
		c.cc.avoid(c, e.delivered)
		c.cwndStamp = c.now
	}
}

// transmitRecovery sends what recovery wants sent.
func (c *Conn) transmitRecovery(e *ackEvent) {
	if e.retransmit == rexmitNone || c.state == SynSent {
		return
	}
	if e.retransmit == rexmitNew {
		c.push()
		if after(c.sndNxt, c.highSeq) {
			return
		}
		c.frto = false
	}
	c.retransmitLost()
}

// retransmitLost sends what is marked lost, as the window allows.
func (c *Conn) retransmitLost() {
	head := c.txq.head()
	restart := false
	for i := 0; i < len(c.txq.segs()); i++ { // collapse may shorten the queue
		t := c.txq.segs()[i]
		if c.counts.retrans >= c.counts.lost || c.inFlight() >= c.cwnd && !c.forced(t) {
			break
		}
		if !t.lost || t.sacked || t.retrans {
			continue
		}
		if !c.retransmit(t) {
			break
		}
		if c.inReduction() {
			c.prr.out++
		}
		if t == head && c.xmitKind != timerReorder {
			restart = true
		}
	}
	if restart {
		c.arm(timerRetransmit, c.rtt.rto)
	}
}

// forced says that a retransmission does not wait for the window: without PRR,
// which makes room for it, the first segment in fast recovery (RFC 5681 section
// 3.2, step 3; RFC 6582 section 3.2, step 3; RFC 6675 section 5, step 4.3).
func (c *Conn) forced(t *transmitted) bool {
	return !c.cfg.PRR && c.ca == caRecovery && t == c.txq.head()
}

// anyRetransmitted says whether a retransmission may still be in the network.
func (c *Conn) anyRetransmitted() bool {
	t := c.txq.head()
	return c.counts.retrans > 0 || t != nil && t.everRetrans
}

// tryOpen returns to Open, or to Disorder while something is out of order.
func (c *Conn) tryOpen() {
	if !c.anyRetransmitted() {
		c.undo.stamp = 0
	}
	if c.ca != caCWR {
		c.keepOpen()
	}
}

func (c *Conn) keepOpen() {
	s := caOpen
	if c.counts.sacked+c.counts.lost > 0 || c.anyRetransmitted() {
		s = caDisorder
	}
	if c.ca != s {
		c.setCA(s)
		c.highSeq = c.sndNxt
	}
}
