package tcp

// pushState says which segments carry PSH. As in Linux that is decided when
// data is written, not when it leaves: a write is gathered in pieces of whole
// segments; the last piece of a write carries PSH at its end, unless the next
// write goes on filling it, and so does a piece that ends half of the peer's
// greatest window behind the last PSH. Where PSH lies decides which segments
// a receiver with a small window acknowledges alone.
type pushState struct {
	at    []uint32 // ends of unacknowledged pieces that carry PSH, in order
	last  uint32   // the latest one ever
	piece uint32   // start of the unsent piece that the next write fills
}

// maxPiece is what Linux gathers at most: 64 KiB less the room for headers.
const maxPiece = 65536 - 321

// wrote notes that data from seq to end was written.
func (c *Conn) wrote(seq, end uint32) {
	p, size := &c.psh, c.pieceSize()
	p.piece = maxSeq(p.piece, c.sndNxt)
	if n := len(p.at); !after(p.piece+size, seq) {
		p.piece = seq // the last one is full
	} else if n > 0 && p.at[n-1] == seq && before(c.sndNxt, seq) {
		p.at = p.at[:n-1]
	}
	for before(p.piece+size, end) {
		p.piece += size
		if after(p.piece, p.last+c.maxWindow/2) {
			c.pushAt(p.piece)
		}
	}
	c.pushAt(end)
}

func (c *Conn) pushAt(seq uint32) {
	p := &c.psh
	p.at, p.last = append(p.at, seq), seq
}

// pieceSize is whole segments, at most half of the peer's greatest window.
func (c *Conn) pieceSize() uint32 {
	most := min(c.maxWindow, maxPiece)
	if c.maxWindow > 536 {
		most = min(c.maxWindow/2, maxPiece)
	}
	mss := uint32(c.currentMSS())
	return max(most/mss, 1) * mss
}

// pushes says whether a segment carries PSH.
func (c *Conn) pushes(t *transmitted) bool {
	for _, at := range c.psh.at {
		if after(at, t.seq) {
			return !after(at, t.end)
		}
	}
	return false
}

// forget drops what was acknowledged.
func (p *pushState) forget(una uint32) {
	n := 0
	for n < len(p.at) && !after(p.at[n], una) {
		n++
	}
	p.at = p.at[:copy(p.at, p.at[n:])]
}
