package tcp

// retransmit sends segment t again; false when the peer's window forbids it.
func (c *Conn) retransmit(t *transmitted) bool {
	if !c.resend(t) {
		return false
	}
	if !t.retrans {
		t.retrans = true
		c.counts.retrans++
	}
	if c.undo.stamp == 0 {
		c.undo.stamp = c.tsNow()
	}
	c.undo.retrans = max(c.undo.retrans, 0) + 1
	return true
}

// resend transmits t again without marking it as a retransmission of a loss.
func (c *Conn) resend(t *transmitted) bool {
	if before(t.seq, c.sndUna) { // the peer acknowledged a part
		t.seq = c.sndUna
	}
	mss := c.currentMSS()
	room := int(int32(c.windowEnd() - t.seq))
	if t.syn {
		room = mss
	}
	if room <= 0 {
		if t.seq != c.sndUna {
			return false
		}
		room = mss // a probe of the window
	}
	if n := min(mss, room); t.payload() > n {
		c.split(t, n)
	} else if !t.syn {
		c.collapse(t, min(room, mss))
	}
	c.stats.Retransmitted++
	c.transmit(t)
	t.everRetrans = true
	return true
}

// split cuts a segment of the queue in two.
func (c *Conn) split(t *transmitted, n int) *transmitted {
	rest := c.txq.split(t, n)
	c.counts.packets++
	if t.sacked {
		c.counts.sacked++
	}
	if t.lost {
		c.counts.lost++
	}
	if t.retrans {
		c.counts.retrans++
	}
	return rest
}

// collapse lets a small segment that is sent again take the following ones
// along, as far as they fit into room bytes.
func (c *Conn) collapse(t *transmitted, room int) {
	if t.payload() >= room || t.sacked || t.fin {
		return
	}
	i := c.txq.index(t.seq) + 1
	for i < len(c.txq.segs()) {
		next := c.txq.segs()[i]
		if next.sacked || t.payload()+next.payload() > room || after(next.end, c.windowEnd()) || t.fin {
			return
		}
		t.end, t.fin = next.end, next.fin
		t.everRetrans = t.everRetrans || next.everRetrans
		c.forget(next)
		c.txq.remove(i)
	}
}

// forget takes a segment out of the counters.
func (c *Conn) forget(t *transmitted) {
	c.counts.packets--
	if t.sacked {
		c.counts.sacked--
	}
	if t.lost {
		c.counts.lost--
	}
	if t.retrans {
		c.counts.retrans--
	}
}
