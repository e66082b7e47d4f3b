package tcp

// sendBuffer holds the bytes from base on: unacknowledged, then unsent. They
// lie in one piece, so that a segment's payload needs no copy.
type sendBuffer struct {
	data []byte
	off  int
	base uint32 // sequence number of data[off]
}

func (b *sendBuffer) len() int    { return len(b.data) - b.off }
func (b *sendBuffer) end() uint32 { return b.base + uint32(b.len()) }

// append adds p; move says whether bytes may be moved to the front.
func (b *sendBuffer) append(p []byte, move bool) {
	if move && b.off > 0 && (b.off == len(b.data) || len(b.data)+len(p) > cap(b.data) && b.off >= len(b.data)/2) {
		b.data = b.data[:copy(b.data, b.data[b.off:])]
		b.off = 0
	}
	b.data = append(b.data, p...)
}

// trim forgets what lies before una.
func (b *sendBuffer) trim(una uint32) {
	if n := int(int32(una - b.base)); n > 0 {
		n = min(n, b.len())
		b.off += n
		b.base += uint32(n)
	}
}

// slice returns n bytes from seq on, nil if they are not there any more.
func (b *sendBuffer) slice(seq uint32, n int) []byte {
	i := int(int32(seq - b.base))
	if i < 0 || i+n > b.len() {
		return nil
	}
	return b.data[b.off+i : b.off+i+n : b.off+i+n]
}

// reassembly holds the bytes from the first unread one on: ready ones in
// order, then out-of-order ones with gaps between them, which the receiver's
// list of ranges tells apart.
type reassembly struct {
	data  []byte
	off   int // first unread byte
	ready int // unread bytes in order
}

// place copies p to its place, pos bytes behind the first unread byte.
func (b *reassembly) place(pos int, p []byte) {
	if b.ready == 0 && b.off == len(b.data) {
		b.data, b.off = b.data[:0], 0
	}
	end := b.off + pos + len(p)
	if end > cap(b.data) {
		grown := make([]byte, len(b.data)-b.off, max(2*(end-b.off), 16384))
		copy(grown, b.data[b.off:])
		b.data, b.off = grown, 0
		end = pos + len(p)
	}
	if end > len(b.data) {
		b.data = b.data[:end]
	}
	copy(b.data[b.off+pos:], p)
}

// read takes in-order bytes out.
func (b *reassembly) read(p []byte) int {
	n := copy(p, b.data[b.off:b.off+b.ready])
	b.off += n
	b.ready -= n
	return n
}
