package tcp

import (
	"io"
	"math/bits"
	"time"
)

// Readable reports whether Read would return data, end of stream or an error.
func (c *Conn) Readable() bool {
	return c.rcv.unread() > 0 || c.rcv.fin || c.state == Closed
}

// Writable reports whether Write would take bytes or fail. Like Linux's poll
// it wants a third of the buffer free, so that a writer wakes rarely.
func (c *Conn) Writable() bool {
	if c.state == Closed || c.finQueued {
		return true
	}
	queued := c.snd.len()
	return c.synchronised() && c.sendLimit()-queued >= queued/2
}

// Read copies received bytes into b: 0 and nil when nothing is there, io.EOF
// after the peer's FIN, the reason of death after a reset or time-out.
func (c *Conn) Read(now time.Time, b []byte) (int, error) {
	c.setNow(now)
	n := c.rcv.read(b)
	switch {
	case n > 0:
		c.afterRead()
		return n, nil
	case len(b) == 0:
		return 0, nil
	case c.rcv.fin:
		return 0, io.EOF
	case c.err != nil:
		return 0, c.err
	case c.state == Closed:
		return 0, io.EOF
	}
	return 0, nil
}

// Write appends what fits of b to the send buffer and returns how much that
// was, 0 when the buffer is full or the handshake is not over.
func (c *Conn) Write(now time.Time, b []byte) (int, error) {
	c.setNow(now)
	switch {
	case c.err != nil:
		return 0, c.err
	case c.finQueued || c.state == Closed:
		return 0, ErrClosed
	case !c.synchronised():
		return 0, nil
	}
	n := min(len(b), c.sendRoom())
	c.noSpace = n < len(b)
	if n <= 0 {
		return 0, nil
	}
	c.slowStartAfterIdle()
	end := c.snd.end()
	c.snd.append(b[:n], len(c.out) == 0)
	c.wrote(end, c.snd.end())
	c.push()
	return n, nil
}

// sendRoom is how many bytes Write takes. A segment that is begun is filled,
// even beyond the limit, or a full buffer would end in a small segment.
func (c *Conn) sendRoom() int {
	room := c.sendLimit() - c.snd.len()
	if room <= 0 || c.cfg.SendBuffer > 0 {
		return room
	}
	if part := (int(c.snd.end()-c.sndNxt) + room) % c.mss; part > 0 {
		room += c.mss - part
	}
	return room
}

// sendLimit is how many bytes the send buffer holds now. Linux grants two
// windows of segments of a power of two each, and charges a segment its
// payload and packetOverhead.
func (c *Conn) sendLimit() int {
	if c.cfg.SendBuffer > 0 {
		return c.cfg.SendBuffer
	}
	granted := 1<<bits.Len(uint(c.mss+639)) + 256
	return min(int(2*c.sndbufSegs)*granted, c.cfg.MaxSendBuffer) * c.mss / (c.mss + packetOverhead)
}

// CloseWrite queues a FIN behind the data: the half-close.
func (c *Conn) CloseWrite(now time.Time) {
	c.setNow(now)
	switch c.state {
	case SynSent:
		c.die(nil)
		return
	case SynReceived:
		// The FIN waits for the handshake; see afterHandshake.
	case Established:
		c.state = FinWait1
	case CloseWait:
		c.state = LastAck
	default:
		return
	}
	if c.finQueued {
		return
	}
	c.finQueued = true
	if c.synchronised() {
		c.push()
	}
}

// Close ends both directions. As in Linux, bytes that were received and not
// read, and those that still arrive, are answered with a reset, so that the
// peer does not take them for processed (RFC 2525 section 2.17).
func (c *Conn) Close(now time.Time) {
	c.setNow(now)
	c.orphan = true
	if c.rcv.unread() > 0 && c.state != Closed && c.state != TimeWait {
		c.sendRST()
		c.die(nil)
		return
	}
	c.CloseWrite(now)
	if c.state == FinWait2 {
		c.idleAt = c.deadline(c.cfg.TimeWait)
	}
}

// Abort resets the connection (RFC 9293 section 3.9.1, ABORT).
func (c *Conn) Abort(now time.Time) {
	c.setNow(now)
	switch c.state {
	case Closed:
		return
	case SynSent, TimeWait:
	default:
		c.sendRST()
	}
	c.die(ErrAborted)
}
