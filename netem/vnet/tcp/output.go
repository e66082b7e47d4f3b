package tcp

import "time"

// Output hands every segment that may leave now to emit, in order. The segment
// and its slices are valid during the call only.
func (c *Conn) Output(now time.Time, emit func(*Segment)) {
	c.setNow(now)
	for i := range c.out {
		o := &c.out[i]
		c.seg = o.Segment
		c.seg.SACK, c.seg.Payload = nil, nil
		if o.sacks > 0 {
			c.seg.SACK = o.sack[:o.sacks]
		}
		if o.n > 0 {
			// nil when it was acknowledged meanwhile: nobody needs it.
			if c.seg.Payload = c.snd.slice(o.Seq, o.n); c.seg.Payload == nil {
				continue
			}
		}
		emit(&c.seg)
	}
	c.out = c.out[:0]
}

// enqueue fills in what every segment carries and appends it to the output.
func (c *Conn) enqueue(flags Flags, seq uint32, n int) *outgoing {
	c.out = append(c.out, outgoing{Segment: Segment{
		SrcPort: c.local, DstPort: c.remote, Seq: seq, Flags: flags, WindowScale: -1,
	}, n: n})
	o := &c.out[len(c.out)-1]
	c.stats.SegmentsOut++
	if c.tsOK || flags&SYN != 0 && c.cfg.Timestamps && !c.passive {
		o.Timestamps = true
		o.TSVal, o.TSEcr = c.tsNow()+c.tsOffset, c.rcv.tsRecent
	}
	if flags&SYN != 0 {
		o.Window = uint16(min(c.rcv.wnd, 65535)) // never scaled, RFC 7323 section 2.2
	} else {
		o.Window = c.updateWindow()
		o.sacks = c.sackBlocks(&o.sack)
	}
	if flags&ACK != 0 {
		o.Ack = c.rcv.nxt
		c.ackSent()
	}
	return o
}

// sackBlocks fills in the D-SACK and as many SACK blocks as there is room for.
func (c *Conn) sackBlocks(b *[4]SACKBlock) int {
	r := &c.rcv
	room := len(b)
	if c.tsOK {
		room--
	}
	n := 0
	if r.hasDup {
		b[0], n = r.dup, 1
		r.hasDup = false
		c.stats.DSACKsSent++
	}
	return n + copy(b[n:room], r.sacks[:r.nsacks])
}

// currentMSS is the payload of a full segment, given the options it carries
// besides timestamps.
func (c *Conn) currentMSS() int {
	n := c.rcv.nsacks
	if c.rcv.hasDup {
		n++
	}
	if n == 0 {
		return c.mss
	}
	room := 4
	if c.tsOK {
		room = 3
	}
	return c.mss - 4 - 8*min(n, room)
}

// sendSYN sends SYN, or SYN-ACK once the peer's SYN is known.
func (c *Conn) sendSYN() {
	flags := SYN
	if c.state == SynReceived {
		flags |= ACK
	}
	o := c.enqueue(flags, c.iss, 0)
	o.MSS = uint16(c.rcv.advMSS)
	if flags&ACK != 0 {
		o.Timestamps = c.tsOK
		if c.tsOK {
			o.MSS += 12 // the option does not count options, RFC 6691
			o.TSVal, o.TSEcr = c.tsNow()+c.tsOffset, c.rcv.tsRecent
		}
		o.SACKPermitted = c.sackOK
		if c.scaleOK {
			o.WindowScale = int8(c.rcv.scale)
		}
		return
	}
	o.SACKPermitted = c.cfg.SACK
	if c.cfg.WindowScaling {
		o.WindowScale = int8(c.rcv.scale)
	}
}

// repeatSYNACK retransmits the SYN-ACK of a passive open.
func (c *Conn) repeatSYNACK() {
	c.synRetrans++
	c.stats.Retransmitted++
	c.sendSYN()
}

// sendACK sends an acknowledgement without data.
func (c *Conn) sendACK() {
	if c.state != Closed {
		c.enqueue(ACK, c.acceptableSeq(), 0)
	}
}

// acceptableSeq is SND.NXT, or the window's end when the peer shrank it.
func (c *Conn) acceptableSeq() uint32 {
	end := c.windowEnd()
	if !before(end, c.sndNxt) || c.scaleOK && c.sndNxt-end < 1<<c.rcv.scale {
		return c.sndNxt
	}
	return end
}

func (c *Conn) sendRST() {
	c.enqueue(RST|ACK, c.acceptableSeq(), 0)
}

// sendProbe sends an empty segment that is old, so that the peer answers.
func (c *Conn) sendProbe() {
	c.enqueue(ACK, c.sndUna-1, 0)
}

// challengeACK answers a segment that may be forged (RFC 5961 sections 3 to
// 5), at most once per half second (section 7; Linux's tcp_invalid_ratelimit).
func (c *Conn) challengeACK() {
	if c.rateLimited() {
		return
	}
	c.stats.ChallengeACKs++
	c.sendACK()
}

// rateLimited bounds the answers to unacceptable segments.
func (c *Conn) rateLimited() bool {
	if c.lastOow != 0 && c.now-c.lastOow < 500*time.Millisecond {
		return true
	}
	c.lastOow = c.now
	return false
}

// windowEnd is the right edge of the peer's window.
func (c *Conn) windowEnd() uint32 { return c.sndUna + c.sndWnd }

// unsent is how much sequence space waits to be sent for the first time.
func (c *Conn) unsent() uint32 {
	if n := int32(c.writeSeq() - c.sndNxt); n > 0 {
		return uint32(n)
	}
	return 0
}

// push sends what windows and Nagle's algorithm allow.
func (c *Conn) push() {
	if !c.synchronised() {
		return
	}
	c.sendData(sendPush)
	if c.counts.packets == 0 && c.xmitKind == timerNone && c.unsent() > 0 {
		c.armPersist()
	}
}

// What sendData is for.
type sendMode uint8

const (
	sendPush  sendMode = iota
	sendProbe          // one segment, whatever the congestion window says
)

// sendData sends new data.
func (c *Conn) sendData(mode sendMode) {
	mss := c.currentMSS()
	sent := 0
	for c.unsent() > 0 {
		data := int(c.snd.end() - c.sndNxt)
		n := min(data, mss)
		fin := c.finQueued && n == data
		if mode != sendProbe && c.inFlight() >= c.cwnd && !(fin && n == 0) {
			// A lone FIN may exceed the window.
			break
		}
		if after(c.sndNxt+uint32(n), c.windowEnd()) {
			break // RFC 9293 section 3.8.6.2.1: no silly segments
		}
		if n < mss && !fin && c.nagle() {
			break
		}
		c.sendNew(n, fin, mss)
		sent++
		if mode == sendProbe {
			break
		}
	}
	limited := c.inFlight() >= c.cwnd
	if sent > 0 || limited {
		c.validateWindow(limited)
	}
	if sent == 0 {
		return
	}
	if c.inReduction() {
		c.prr.out += uint32(sent)
	}
	if mode != sendProbe {
		c.scheduleLossProbe(false)
	}
}

// nagle says whether a small segment must wait: one is unacknowledged already
// (RFC 9293 section 3.7.4, in Minshall's variant).
func (c *Conn) nagle() bool {
	return !c.cfg.NoDelay && c.counts.packets > 0 && after(c.sndSml, c.sndUna)
}

// sendNew sends one new segment of n bytes.
func (c *Conn) sendNew(n int, fin bool, mss int) {
	seq := c.sndNxt
	end := seq + uint32(n)
	if fin {
		end++
	}
	if n > 0 {
		c.dataSent()
	}
	outstanding := c.counts.packets
	t := c.txq.push(seq, end, false, fin)
	c.transmit(t)
	c.sndNxt = end
	c.counts.packets++
	if outstanding == 0 || c.xmitKind == timerProbe {
		c.rearm()
	}
	if n < mss {
		c.sndSml = end
	}
	c.growSendBuffer()
}

// dataSent keeps the books about idleness.
func (c *Conn) dataSent() {
	if c.inFlight() == 0 {
		c.cc.restart(c)
	}
	c.lastSend = c.now
	if c.tickNow()-c.ack.lastData < c.ack.ato {
		c.ack.pingpong = true // an answer within the ACK delay
	}
}

// transmit puts segment t on the wire, for the first time or again.
func (c *Conn) transmit(t *transmitted) {
	n := t.payload()
	if t.syn {
		c.sendSYN()
	} else {
		flags := ACK
		if t.fin {
			flags |= FIN
		}
		if n > 0 && c.pushes(t) {
			flags |= PSH
		}
		c.enqueue(flags, t.seq, n)
	}
	c.sent(t)
}

// sent notes the transmission.
func (c *Conn) sent(t *transmitted) {
	t.at = c.now
	t.delivered, t.rated = c.delivered, true
	c.txq.list(t)
}

// wakeWindow probes the peer's window: with what fits, else with an old
// sequence number.
func (c *Conn) wakeWindow() {
	room := int(int32(c.windowEnd() - c.sndNxt))
	if c.unsent() == 0 || room <= 0 {
		c.sendProbe()
		return
	}
	data := int(c.snd.end() - c.sndNxt)
	mss := c.currentMSS()
	n := min(data, room, mss)
	c.sendNew(n, c.finQueued && n == data, mss)
}
