package plan

// An event is a moment of the cell model.
type event struct {
	at   int64 // us
	seq  uint32
	kind eventKind
	ref  int32
}

func (e *event) before(f *event) bool {
	return e.at < f.at || e.at == f.at && int32(e.seq-f.seq) < 0
}

// A queue is a four-way heap. It holds what happens within the current second
// and what is under way; everything later waits in a calendar, so that it
// stays small however many devices there are.
type queue struct {
	list []event
	seq  uint32
}

func (q *queue) push(at int64, kind eventKind, ref int32) {
	q.seq++
	e := event{at, q.seq, kind, ref}
	q.list = append(q.list, e)
	i := len(q.list) - 1
	for i > 0 {
		up := (i - 1) / 4
		if !e.before(&q.list[up]) {
			break
		}
		q.list[i] = q.list[up]
		i = up
	}
	q.list[i] = e
}

func (q *queue) pop() event {
	top := q.list[0]
	n := len(q.list) - 1
	e := q.list[n]
	q.list = q.list[:n]
	i := 0
	for {
		first := 4*i + 1
		if first >= n {
			break
		}
		least := first
		for c := first + 1; c < min(first+4, n); c++ {
			if q.list[c].before(&q.list[least]) {
				least = c
			}
		}
		if !q.list[least].before(&e) {
			break
		}
		q.list[i] = q.list[least]
		i = least
	}
	if n > 0 {
		q.list[i] = e
	}
	return top
}

// A calendar has a bucket for each second, a linked list of entries: adding
// one costs the same however many there are.
type calendar struct {
	heads []int32 // by second; -1 is none
	next  []int32 // by entry
	at    []int64 // by entry, us
	end   int64
}

func newCalendar(end int64, entries int) *calendar {
	c := &calendar{heads: make([]int32, end/second+1), next: make([]int32, entries), at: make([]int64, entries), end: end}
	for i := range c.heads {
		c.heads[i] = -1
	}
	return c
}

// add puts an entry, which must not be in the calendar, at a time. What is
// after the end is forgotten.
func (c *calendar) add(entry int32, at int64) {
	if at >= c.end {
		return
	}
	b := at / second
	c.at[entry] = at
	c.next[entry], c.heads[b] = c.heads[b], entry
}

// take empties a second's bucket.
func (c *calendar) take(b int64, each func(entry int32, at int64)) {
	for e := c.heads[b]; e >= 0; {
		next := c.next[e]
		each(e, c.at[e])
		e = next
	}
	c.heads[b] = -1
}
