package tcp

// Recovery without SACK: duplicate ACKs are counted in counts.sacked, each
// stands for one segment that arrived (RFC 5681 section 3.2, RFC 6582).

// dupACKWithoutSACK counts a duplicate ACK.
func (c *Conn) dupACKWithoutSACK(e *ackEvent) {
	if !c.sackOK && e.dupACK {
		c.addDupACK(e)
	}
}

func (c *Conn) addDupACK(*ackEvent) {
	before := c.counts.sacked
	c.counts.sacked++
	c.limitDupACKs(0)
	if c.counts.sacked > before {
		c.delivered++
	}
}

// limitDupACKs keeps the count below what can have arrived: more duplicate
// ACKs mean reordering or duplication.
func (c *Conn) limitDupACKs(acked uint32) {
	k := &c.counts
	holes := min(max(k.lost, 1), k.packets)
	if k.sacked+holes <= k.packets {
		return
	}
	k.sacked = k.packets - holes
	c.reordering = max(c.reordering, min(k.packets+acked, maxReordering))
	c.reordSeen = true
}

// ackedWithoutSACK takes an acknowledgement's segments off the count.
func (c *Conn) ackedWithoutSACK(e *ackEvent) {
	k := &c.counts
	if n := e.acked; n > 0 {
		c.delivered += max(n-min(n, k.sacked), 1)
		k.sacked -= min(k.sacked, n-1)
	}
	c.limitDupACKs(e.acked)
	if e.flag&ackRetrans != 0 {
		e.flag &^= ackOriginal
	}
}

// markLostWithoutSACK marks the head: after DupThresh duplicate ACKs, or after
// a partial ACK in recovery (RFC 6582 section 3.2).
func (c *Conn) markLostWithoutSACK(advanced bool) {
	if c.ca < caRecovery && c.counts.sacked >= c.reordering || c.ca == caRecovery && advanced {
		if t := c.txq.head(); !t.lost {
			c.markLost(t)
		}
	}
}

// endReno leaves fast recovery at the first new ACK (RFC 5681 section 3.2,
// step 6).
func (c *Conn) endReno() {
	c.counts.sacked = 0
	c.endReduction()
	c.undo.clear()
	c.setCA(caOpen)
	c.highSeq = c.sndUna
}
