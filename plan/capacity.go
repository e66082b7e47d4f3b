package plan

import (
	"cmp"
	"context"
	"slices"
)

// Capacity is how many devices, in the deployment's mix, a cell carries at the
// service level.
type Capacity struct {
	DevicesPerCell int `json:"devices_per_cell"`
	// Beyond is the next larger number that was tried, at which the service
	// level is missed; 0 if none was found.
	Beyond int `json:"missed_at"`
	// Limit is what was missed there: delay, blocking or loss.
	Limit string `json:"limit"`
	// First is what is closest to its end there, and Load its utilisation.
	First       string      `json:"saturates_first"`
	Load        float64     `json:"load"`
	DelayS      float64     `json:"delay_s"` // at DevicesPerCell, at the percentile
	Blocking    Probability `json:"blocking"`
	ServiceS    float64     `json:"service_delay_s"`
	Percentile  float64     `json:"service_percentile"`
	MaxBlocking float64     `json:"service_blocking"`
}

// searchTime is what one trial simulates: an hour, or three periods of the
// satellite's.
func searchTime(radios []*radio) int64 {
	t := hour
	for _, r := range radios {
		for _, o := range r.outages {
			t = max(t, 3*us(o.Every))
		}
	}
	return t
}

// searchDevices limits the search: more than any cell has.
const searchDevices = 4_000_000

// search finds the largest number of devices by doubling and bisection, over
// an hour each.
func search(ctx context.Context, d *Deployment, radios []*radio, list []population) (*Capacity, error) {
	total := 0
	for i := range list {
		total += list[i].count
	}
	best := &Capacity{ServiceS: d.Service.Delay.Seconds(), Percentile: float64(d.Service.Percentile), MaxBlocking: float64(d.Service.Blocking)}
	try := func(n int) (bool, error) {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		homes := make([]resident, len(list))
		given, at := 0, 0
		for j := range list {
			p := list[j]
			p.ota, p.arrival = nil, "random"
			at += list[j].count
			count := int(float64(n)*float64(at)/float64(total)+0.5) - given
			given += count
			homes[j] = resident{population: &p, count: count}
		}
		t := newCell(d, radios, homes, searchTime(radios), d.Seed, seedSearch).run()
		return best.judge(d, radios, t, n), nil
	}
	low, high := 0, 1000
	for {
		ok, err := try(high)
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		if low = high; high >= searchDevices {
			return best, nil
		}
		high *= 2
	}
	for high-low > max(20, low/50) {
		mid := (low + high) / 2
		ok, err := try(mid)
		if err != nil {
			return nil, err
		}
		if ok {
			low = mid
		} else {
			high = mid
		}
	}
	return best, nil
}

// judge compares a trial with the service level and keeps what it teaches.
func (best *Capacity) judge(d *Deployment, radios []*radio, t *tally, n int) bool {
	var all homeTally
	for i := range t.homes {
		all.merge(&t.homes[i])
	}
	// What is overdue took longer than anything that arrived.
	all.delay.bins[binCount-1] += t.overdue
	all.delay.n += t.overdue
	delay := all.delay.quantile(best.Percentile)
	blocking := probability(all.blocked, all.reports)
	failed := blocking.P + probability(all.lost, all.reports).P
	limit := ""
	switch {
	case delay > best.ServiceS:
		limit = "delay"
	case blocking.P > best.MaxBlocking:
		limit = "blocking"
	case failed > best.MaxBlocking:
		limit = "loss"
	}
	if limit == "" {
		if n > best.DevicesPerCell {
			best.DevicesPerCell, best.DelayS, best.Blocking = n, delay, blocking
		}
		return true
	}
	if best.Beyond == 0 || n < best.Beyond {
		best.Beyond, best.Limit = n, limit
		best.First, best.Load = d.fullest(radios, t)
	}
	return false
}

// fullest is the channel, class or limit that is closest to its end.
func (d *Deployment) fullest(radios []*radio, t *tally) (string, float64) {
	type load struct {
		name string
		v    float64
	}
	var loads []load
	down := 0.
	for _, u := range d.channels(t) {
		if u.Class != "all" {
			continue
		}
		if d.Technology == "nbiot" && u.Channel != "NPUSCH" {
			down += u.Mean
			continue
		}
		loads = append(loads, load{u.Channel, u.Mean})
	}
	if d.Technology == "nbiot" {
		loads = append(loads, load{"NPDCCH and NPDSCH", down})
	}
	prach := "PRACH of "
	if d.Technology == "nbiot" {
		prach = "NPRACH of "
	}
	for i, r := range radios {
		// Slotted ALOHA carries most at one preamble for each opportunity.
		a := d.access(i, r, t)
		loads = append(loads, load{prach + a.Class, a.PerS / a.Capacity})
	}
	loads = append(loads, load{"RRC connections", t.holding / float64(t.end) / float64(d.RRC.Connected)})
	most := slices.MaxFunc(loads, func(a, b load) int { return cmp.Compare(a.v, b.v) })
	return most.name, most.v
}

// quantile is over devices: those whose battery lasts least come first.
func (l *Life) quantile(q float64) float64 {
	rows := slices.Clone(l.Rows)
	slices.SortFunc(rows, func(a, b LifeRow) int { return cmp.Compare(a.Years, b.Years) })
	sum, total := 0., 0.
	for _, r := range rows {
		total += r.Share
	}
	for _, r := range rows {
		if sum += r.Share; sum >= q*total {
			return r.Years
		}
	}
	return rows[len(rows)-1].Years
}
