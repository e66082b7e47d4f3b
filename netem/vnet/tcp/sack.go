package tcp

import "slices"

// inFlight is how many segments are in the network (RFC 6675 section 2, pipe).
func (c *Conn) inFlight() uint32 {
	k := &c.counts
	return k.packets - k.sacked - k.lost + k.retrans
}

// highestSacked is the end of the highest SACKed segment, SND.UNA without one.
func (c *Conn) highestSacked() uint32 {
	if !c.sackOK || c.counts.sacked == 0 {
		return c.sndUna
	}
	return c.highSacked
}

// processSACK marks what the SACK blocks of s cover (RFC 2018 section 5).
func (c *Conn) processSACK(s *Segment, e *ackEvent) {
	if c.counts.sacked == 0 {
		c.highSacked = c.sndUna
	}
	e.reorder = c.sndNxt
	dsack := c.checkDSACK(s, e)
	if c.counts.packets == 0 {
		return
	}
	var blocks [4]SACKBlock
	n := 0
	for i, k := range s.SACK {
		if n == len(blocks) {
			break
		}
		if !c.validSACK(k, dsack && i == 0) || !after(k.End, e.una) {
			continue
		}
		if dsack && i == 0 {
			c.markSACKed(k, true, e)
			continue
		}
		blocks[n] = k
		n++
	}
	slices.SortFunc(blocks[:n], func(a, b SACKBlock) int { return int(int32(a.Start - b.Start)) })
	for _, k := range blocks[:n] {
		c.markSACKed(k, false, e)
	}
	if c.ca != caLoss || c.undo.active {
		if before(e.reorder, c.highestSacked()) {
			c.noteReordering(e.reorder)
		}
	}
}

// validSACK rejects blocks that cannot be true: outside what is outstanding,
// a D-SACK older than the undo marker.
func (c *Conn) validSACK(k SACKBlock, dsack bool) bool {
	if after(k.End, c.sndNxt) || !before(k.Start, k.End) || !before(k.Start, c.sndNxt) {
		return false
	}
	if after(k.Start, c.sndUna) {
		return true
	}
	if !dsack || !c.undo.active || after(k.End, c.sndUna) {
		return false
	}
	if !before(k.Start, c.undo.marker) {
		return true
	}
	return after(k.End, c.undo.marker) && !before(k.Start, k.End-c.maxWindow)
}

// checkDSACK recognises a D-SACK (RFC 2883 section 4): its first block lies
// below the acknowledgement or within the second block.
func (c *Conn) checkDSACK(s *Segment, e *ackEvent) bool {
	k := s.SACK[0]
	if !before(k.Start, s.Ack) {
		if len(s.SACK) < 2 {
			return false
		}
		if o := s.SACK[1]; after(k.End, o.End) || before(k.Start, o.Start) {
			return false
		}
	}
	c.stats.DSACKs++
	if !before(k.Start, k.End) || k.End-k.Start > c.maxWindow {
		return false
	}
	dups := uint32(1)
	if size := k.End - k.Start; size > uint32(c.mss) {
		dups = (size + uint32(c.mss) - 1) / uint32(c.mss)
	} else if c.tlp.active && c.tlp.high == k.End {
		e.flag |= ackDSACKofTLP
	}
	c.undo.dups += uint64(dups)
	if c.undo.dups > c.stats.Retransmitted {
		return false // more duplicates than retransmissions: not ours
	}
	if c.reordSeen && e.flag&ackDSACKofTLP == 0 {
		c.rack.dsackSeen = true
	}
	e.flag |= ackDSACK
	c.delivered += dups
	if c.undo.active && c.undo.retrans > 0 && !after(k.End, e.una) && after(k.End, c.undo.marker) {
		c.undo.retrans = max(0, c.undo.retrans-int(dups))
	}
	return true
}

// markSACKed marks the segments that lie within block k.
func (c *Conn) markSACKed(k SACKBlock, dup bool, e *ackEvent) {
	segs := c.txq.segs()
	for i := c.txq.index(k.Start); i < len(segs); i++ {
		t := segs[i]
		if !before(t.seq, k.End) {
			return
		}
		if before(t.seq, k.Start) || after(t.end, k.End) || t.sacked && !dup {
			continue
		}
		c.markOne(t, dup, e)
	}
}

func (c *Conn) markOne(t *transmitted, dup bool, e *ackEvent) {
	if dup && t.everRetrans {
		if c.undo.active && c.undo.retrans > 0 && after(t.end, c.undo.marker) {
			c.undo.retrans--
		}
		if t.sacked {
			e.reorder = minSeq(e.reorder, t.seq)
		}
	}
	if !after(t.end, c.sndUna) {
		return
	}
	if !t.sacked {
		c.newlySACKed(t, e)
	}
	if dup && t.retrans {
		t.retrans = false
		c.counts.retrans--
	}
	if after(t.end, c.highSacked) {
		c.highSacked = t.end
	}
}

func (c *Conn) newlySACKed(t *transmitted, e *ackEvent) {
	c.rack.advance(c, t)
	switch {
	case t.retrans:
		// Not marked lost, the retransmission is taken to be still in flight.
		if t.lost {
			t.lost, t.retrans = false, false
			c.counts.lost--
			c.counts.retrans--
		}
	default:
		if !t.everRetrans {
			if before(t.seq, c.highestSacked()) {
				e.reorder = minSeq(e.reorder, t.seq)
			}
			if !after(t.end, c.highSeq) {
				e.flag |= ackOriginal
			}
			if e.firstSacked == 0 {
				e.firstSacked = t.at
			}
			e.lastSacked = t.at
		}
		if t.lost {
			t.lost = false
			c.counts.lost--
		}
	}
	t.sacked = true
	c.counts.sacked++
	c.delivered++
	e.flag |= ackSACKed
	c.rate(t, e)
	c.txq.unlist(t)
	if after(t.end, c.highSacked) {
		c.highSacked = t.end
	}
}

// maxReordering bounds the reordering degree (Linux: tcp_max_reordering).
const maxReordering = 300

// noteReordering learns that a segment at seq arrived after later ones.
func (c *Conn) noteReordering(seq uint32) {
	d := c.highestSacked() - seq
	if int32(d) <= 0 {
		return
	}
	mss := uint32(c.mss)
	if d > c.reordering*mss {
		c.reordering = min((d+mss-1)/mss, maxReordering)
	}
	c.reordSeen = true
	c.stats.Reorderings++
}

// markLost marks a segment as lost, or its retransmission if that is what is
// in flight.
func (c *Conn) markLost(t *transmitted) {
	if t.sacked {
		return
	}
	switch {
	case !t.lost:
		t.lost = true
		c.counts.lost++
	case t.retrans:
		t.retrans = false
		c.counts.retrans--
		c.stats.LostRetransmissions++
	default:
		return
	}
	c.lost++
}

// markLostByCount marks the segments that have DupThresh SACKed ones above
// them (RFC 6675 section 4, IsLost), for a configuration without RACK.
func (c *Conn) markLostByCount() {
	segs := c.txq.segs()
	above := uint32(0)
	for i := len(segs) - 1; i >= 0; i-- {
		switch t := segs[i]; {
		case t.sacked:
			above++
		case above >= c.reordering && !t.lost:
			c.markLost(t)
		}
	}
}
