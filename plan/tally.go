package plan

// The channels whose use is counted.
const (
	channelControl = iota
	channelDown
	channelUp
	channels
)

var channelNames = map[string][channels]string{
	"nbiot": {"NPDCCH", "NPDSCH", "NPUSCH"},
	"ltem":  {"MPDCCH", "PDSCH", "PUSCH"},
}

// hour is the step of what is shown over the day.
const hour = 3600 * second

// A tally is what a cell counted, or several together.
type tally struct {
	end     int64
	cells   int
	use     [channels][][]float64 // by channel, class and hour: us of channel time
	access  []accessTally         // by class
	homes   []homeTally
	holding float64   // connections x us
	byHour  []float64 // the same by hour
	peak    int
	overdue int64 // reports under way at the end, later than the service allows
}

type accessTally struct {
	preambles, collided, unanswered, rejected, successes, tries int64
	byHour                                                      []int64 // preambles
}

type homeTally struct {
	reports, deliveredReports, blocked, lost, blockedSessions int64
	repeats, spurious                                         int64
	up, down                                                  float64 // IP bytes
	updateUp, updateDown                                      float64
	updates, failedUpdates, leftUpdates                       int64
	finished, took                                            []int64 // us: since the campaign's start; of one update
	delay                                                     histogram
}

func newTally(radios []*radio, homes []resident, end int64) *tally {
	t := &tally{end: end, cells: 1, access: make([]accessTally, len(radios)), homes: make([]homeTally, len(homes))}
	hours := int((end + hour - 1) / hour)
	t.byHour = make([]float64, hours)
	for ch := range t.use {
		t.use[ch] = make([][]float64, len(radios))
		for i := range radios {
			t.use[ch][i] = make([]float64, hours)
		}
	}
	for i := range t.access {
		t.access[i].byHour = make([]int64, hours)
	}
	return t
}

func (t *tally) hour(at int64) int { return min(int(at/hour), len(t.byHour)-1) }

func (t *tally) busy(channel, class int, at int64, work float64) {
	t.use[channel][class][t.hour(at)] += work
}

func (t *tally) preambles(class int, at int64, n, collided int) {
	a := &t.access[class]
	a.preambles += int64(n)
	a.collided += int64(collided)
	a.byHour[t.hour(at)] += int64(n)
}

func (t *tally) failed(class int, why failure) {
	switch why {
	case noResponse:
		t.access[class].unanswered++
	case rejected:
		t.access[class].rejected++
	}
}

func (t *tally) attempts(class, n int) {
	t.access[class].successes++
	t.access[class].tries += int64(n)
}

func (t *tally) begun(home uint16) { t.homes[home].reports++ }

func (t *tally) delivered(home uint16, delay int64) {
	t.homes[home].deliveredReports++
	t.homes[home].delay.add(delay)
}

func (t *tally) blocked(home uint16, kind uint8) {
	if kind == aReport {
		t.homes[home].blocked++
	} else if kind == aSession {
		t.homes[home].blockedSessions++
	}
}

func (t *tally) lost(home uint16, kind uint8) {
	if kind == aReport {
		t.homes[home].lost++
	}
}

func (t *tally) repeated(home uint16, spurious bool) {
	t.homes[home].repeats++
	if spurious {
		t.homes[home].spurious++
	}
}

func (t *tally) sent(home uint16, up bool, bytes float64) {
	if up {
		t.homes[home].up += bytes
	} else {
		t.homes[home].down += bytes
	}
}

func (t *tally) updateBytes(home uint16, up bool, bytes float64) {
	if up {
		t.homes[home].updateUp += bytes
	} else {
		t.homes[home].updateDown += bytes
	}
}

func (t *tally) update(home uint16, since, took int64, ok bool) {
	h := &t.homes[home]
	if !ok {
		h.failedUpdates++
		return
	}
	h.updates++
	h.finished = append(h.finished, since)
	h.took = append(h.took, took)
}

// held adds connections that were held from one time to another.
func (t *tally) held(n int, from, to int64) {
	t.peak = max(t.peak, n)
	for from < to {
		h := t.hour(from)
		until := min(to, int64(h+1)*hour)
		if h == len(t.byHour)-1 {
			until = to
		}
		t.byHour[h] += float64(n) * float64(until-from)
		t.holding += float64(n) * float64(until-from)
		from = until
	}
}

// merge adds another cell's tally, whose homes are the same populations.
func (t *tally) merge(o *tally) {
	t.cells += o.cells
	for ch := range t.use {
		for class := range t.use[ch] {
			for h, v := range o.use[ch][class] {
				t.use[ch][class][h] += v
			}
		}
	}
	for i := range t.access {
		a, b := &t.access[i], &o.access[i]
		a.preambles += b.preambles
		a.collided += b.collided
		a.unanswered += b.unanswered
		a.rejected += b.rejected
		a.successes += b.successes
		a.tries += b.tries
		for h, v := range b.byHour {
			a.byHour[h] += v
		}
	}
	for i := range t.homes {
		t.homes[i].merge(&o.homes[i])
	}
	t.holding += o.holding
	for h, v := range o.byHour {
		t.byHour[h] += v
	}
	t.peak = max(t.peak, o.peak)
	t.overdue += o.overdue
}

func (h *homeTally) merge(o *homeTally) {
	h.reports += o.reports
	h.deliveredReports += o.deliveredReports
	h.blocked += o.blocked
	h.blockedSessions += o.blockedSessions
	h.lost += o.lost
	h.repeats += o.repeats
	h.spurious += o.spurious
	h.up += o.up
	h.down += o.down
	h.updateUp += o.updateUp
	h.updateDown += o.updateDown
	h.updates += o.updates
	h.failedUpdates += o.failedUpdates
	h.leftUpdates += o.leftUpdates
	h.finished = append(h.finished, o.finished...)
	h.took = append(h.took, o.took...)
	h.delay.merge(&o.delay)
}
