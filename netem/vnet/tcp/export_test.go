package tcp

import "fmt"

// CheckInvariants verifies what must hold between calls: the order of the
// sequence space, and that the counters of the retransmission queue equal a
// recount.
func (c *Conn) CheckInvariants() error {
	if after(c.sndUna, c.sndNxt) || after(c.sndNxt, c.writeSeq()) && c.synchronised() {
		return fmt.Errorf("send space: una %d, nxt %d, written %d", c.sndUna, c.sndNxt, c.writeSeq())
	}
	if c.state == Closed {
		return nil
	}
	var k counters
	next := c.sndUna
	listed := 0
	for i, t := range c.txq.segs() {
		if i == 0 && !after(t.end, c.sndUna) || i > 0 && t.seq != next || !after(t.end, t.seq) {
			return fmt.Errorf("queue: segment %d is [%d, %d), una %d, previous end %d", i, t.seq, t.end, c.sndUna, next)
		}
		next = t.end
		k.packets++
		if t.sacked {
			k.sacked++
		}
		if t.lost {
			k.lost++
		}
		if t.retrans {
			k.retrans++
		}
		if t.sacked && t.lost {
			return fmt.Errorf("segment %d is SACKed and lost", i)
		}
		if t.listed {
			listed++
		}
	}
	if k.packets > 0 && next != c.sndNxt {
		return fmt.Errorf("queue ends at %d, nxt %d", next, c.sndNxt)
	}
	if !c.sackOK {
		k.sacked = c.counts.sacked // duplicate ACKs are counted there
	}
	if k != c.counts {
		return fmt.Errorf("counters %+v, recount %+v", c.counts, k)
	}
	if int32(c.inFlight()) < 0 || c.cwnd == 0 {
		return fmt.Errorf("in flight %d, window %d", int32(c.inFlight()), c.cwnd)
	}
	n := 0
	for t := c.txq.oldest; t != nil; t = t.next {
		if t.next != nil && t.next.at < t.at {
			return fmt.Errorf("transmission list is not in order of time")
		}
		n++
	}
	if n != listed {
		return fmt.Errorf("transmission list has %d segments, %d say they are in it", n, listed)
	}
	for i, o := range c.rcv.ofo {
		if !after(o.Start, c.rcv.nxt) || !after(o.End, o.Start) || i > 0 && !after(o.Start, c.rcv.ofo[i-1].End) {
			return fmt.Errorf("out-of-order ranges %v, nxt %d", c.rcv.ofo, c.rcv.nxt)
		}
	}
	return nil
}
