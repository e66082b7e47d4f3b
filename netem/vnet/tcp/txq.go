package tcp

import "time"

// transmitted is a segment that was sent and not acknowledged yet. A segment
// is in one of the states
//
//   - in flight
//     sacked   arrived out of order
//     lost     taken for lost, waits for retransmission
//     lost, retrans  taken for lost, the retransmission is in flight
//     retrans  original and retransmission are in flight
type transmitted struct {
	seq, end uint32
	syn, fin bool

	sacked, lost, retrans bool
	everRetrans           bool

	at        time.Duration // last transmission
	delivered uint32        // Conn.delivered then
	rated     bool          // delivered counts: not SACKed since

	// The list of unsacked segments by time of transmission, for RACK.
	prev, next *transmitted
	listed     bool
}

// payload is the number of bytes the segment carries.
func (t *transmitted) payload() int {
	n := int(t.end - t.seq)
	if t.syn {
		n--
	}
	if t.fin {
		n--
	}
	return n
}

// counters count the segments of the queue by state.
type counters struct{ packets, sacked, lost, retrans uint32 }

// txQueue is the retransmission queue: by sequence in q, by time of
// transmission in the list oldest..newest.
type txQueue struct {
	q              []*transmitted
	oldest, newest *transmitted
	free           []*transmitted
	start          int // of the live part of q
}

func (x *txQueue) segs() []*transmitted { return x.q[x.start:] }

func (x *txQueue) head() *transmitted {
	if x.start == len(x.q) {
		return nil
	}
	return x.q[x.start]
}

func (x *txQueue) tail() *transmitted {
	if x.start == len(x.q) {
		return nil
	}
	return x.q[len(x.q)-1]
}

func (x *txQueue) alloc() *transmitted {
	n := len(x.free)
	if n == 0 {
		block := make([]transmitted, 32)
		for i := range block {
			x.free = append(x.free, &block[i])
		}
		n = len(x.free)
	}
	t := x.free[n-1]
	x.free = x.free[:n-1]
	return t
}

// push appends a segment.
func (x *txQueue) push(seq, end uint32, syn, fin bool) *transmitted {
	t := x.alloc()
	*t = transmitted{seq: seq, end: end, syn: syn, fin: fin}
	if len(x.q) == cap(x.q) && x.start > 0 {
		x.q = x.q[:copy(x.q, x.q[x.start:])]
		x.start = 0
	}
	x.q = append(x.q, t)
	return t
}

// pop removes the head.
func (x *txQueue) pop() {
	t := x.q[x.start]
	x.unlist(t)
	x.q[x.start] = nil
	x.start++
	x.free = append(x.free, t)
}

// remove removes segment i of segs.
func (x *txQueue) remove(i int) {
	i += x.start
	t := x.q[i]
	x.unlist(t)
	x.q = append(x.q[:i], x.q[i+1:]...)
	x.free = append(x.free, t)
}

// split cuts segment t so that it carries n bytes, and returns the rest.
func (x *txQueue) split(t *transmitted, n int) *transmitted {
	i := x.index(t.seq) + x.start
	rest := x.alloc()
	*rest = *t
	rest.prev, rest.next, rest.listed = nil, nil, false
	t.end = t.seq + uint32(n)
	rest.seq = t.end
	t.fin = false
	if t.listed {
		x.insertAfter(t, rest)
	}
	x.q = append(x.q, nil)
	copy(x.q[i+2:], x.q[i+1:])
	x.q[i+1] = rest
	return rest
}

// index is the position in segs of the first segment that ends after seq.
func (x *txQueue) index(seq uint32) int {
	s := x.segs()
	lo, hi := 0, len(s)
	for lo < hi {
		if m := (lo + hi) / 2; after(s[m].end, seq) {
			hi = m
		} else {
			lo = m + 1
		}
	}
	return lo
}

// list makes t the newest by time of transmission.
func (x *txQueue) list(t *transmitted) {
	x.unlist(t)
	t.prev, t.next, t.listed = x.newest, nil, true
	if x.newest != nil {
		x.newest.next = t
	} else {
		x.oldest = t
	}
	x.newest = t
}

func (x *txQueue) insertAfter(t, n *transmitted) {
	n.prev, n.next, n.listed = t, t.next, true
	if t.next != nil {
		t.next.prev = n
	} else {
		x.newest = n
	}
	t.next = n
}

func (x *txQueue) unlist(t *transmitted) {
	if !t.listed {
		return
	}
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		x.oldest = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	} else {
		x.newest = t.prev
	}
	t.prev, t.next, t.listed = nil, nil, false
}
