package netem

// fifo is a queue of packets in a ring that grows as needed.
type fifo struct {
	ring []packet // a power of two long
	head int
	n    int
}

func (f *fifo) len() int { return f.n }

// front is the first packet of a queue that is not empty.
func (f *fifo) front() packet { return f.ring[f.head] }

func (f *fifo) push(p packet) {
	if f.n == len(f.ring) {
		f.grow()
	}
	f.ring[(f.head+f.n)&(len(f.ring)-1)] = p
	f.n++
}

func (f *fifo) pop() packet {
	p := f.ring[f.head]
	f.ring[f.head] = packet{}
	f.head = (f.head + 1) & (len(f.ring) - 1)
	f.n--
	return p
}

func (f *fifo) grow() {
	ring := make([]packet, max(8, 2*len(f.ring)))
	for i := range f.n {
		ring[i] = f.ring[(f.head+i)&(len(f.ring)-1)]
	}
	f.ring, f.head = ring, 0
}

// flight holds the packets that wait out their delay, as a heap ordered by
// time of delivery and then by id.
type flight struct {
	heap []flying
}

type flying struct {
	due int64
	packet
}

func (f *flight) len() int { return len(f.heap) }

// next is when the first packet is due.
func (f *flight) next() int64 {
	if len(f.heap) == 0 {
		return never
	}
	return f.heap[0].due
}

func (f *flight) less(i, j int) bool {
	a, b := &f.heap[i], &f.heap[j]
	return a.due < b.due || a.due == b.due && a.id < b.id
}

func (f *flight) push(due int64, p packet) {
	f.heap = append(f.heap, flying{due, p})
	for i := len(f.heap) - 1; i > 0; {
		parent := (i - 1) / 2
		if !f.less(i, parent) {
			break
		}
		f.heap[i], f.heap[parent] = f.heap[parent], f.heap[i]
		i = parent
	}
}

func (f *flight) pop() packet {
	p := f.heap[0].packet
	last := len(f.heap) - 1
	f.heap[0] = f.heap[last]
	f.heap[last] = flying{}
	f.heap = f.heap[:last]
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			break
		}
		if child+1 < last && f.less(child+1, child) {
			child++
		}
		if !f.less(child, i) {
			break
		}
		f.heap[i], f.heap[child] = f.heap[child], f.heap[i]
		i = child
	}
	return p
}
