package plan

import "slices"

// updateRetry is when a device whose random access failed tries again.
const updateRetry = 60 * second

// A campaign updates the devices of one population in one cell, at most limit
// at a time.
type campaign struct {
	start, timeout, wait int64
	limit, active        int
	queue                []int32 // who is still to be called, in random order
	again                []int32 // who failed and is called after all others
	tries                map[int32]try
	retries              int
	byReport             bool
}

// A try is what earlier calls of a device came to.
type try struct {
	failed int
	index  int32 // step at which it goes on
}

// plan prepares a population's campaign.
func (c *cell) plan(h *resident) {
	o := h.ota
	k := &campaign{
		start: us(o.Start), timeout: us(o.Timeout), wait: us(o.Wait),
		limit: o.Concurrency[c.d.Coverage[h.class].Name], byReport: o.Reach == "report",
		retries: o.Retries, tries: map[int32]try{},
	}
	k.queue = make([]int32, h.count)
	for i := range k.queue {
		k.queue[i] = int32(h.first + i)
		c.devices[h.first+i].pending = true
	}
	c.rng.Shuffle(h.count, func(i, j int) { k.queue[i], k.queue[j] = k.queue[j], k.queue[i] })
	h.campaign = k
}

// launch calls devices by paging as long as there is room.
func (c *cell) launch(at int64) {
	for i := range c.homes {
		k := c.homes[i].campaign
		if k == nil || k.byReport || at < k.start || at > k.start+k.wait {
			continue
		}
		for k.active < k.limit {
			if len(k.queue) == 0 {
				k.queue, k.again = k.again, nil
			}
			if len(k.queue) == 0 {
				break
			}
			dev := k.queue[len(k.queue)-1]
			k.queue = k.queue[:len(k.queue)-1]
			c.update(dev, k, at)
		}
	}
}

// reached is a device's report: with PSM the moment at which its update can
// begin.
func (c *cell) reached(dev int32, at int64) {
	k := c.home(dev).campaign
	if k == nil || !k.byReport || at < k.start || at > k.start+k.wait || k.active >= k.limit || !c.devices[dev].pending {
		return
	}
	c.update(dev, k, at)
}

// update starts a device's update.
func (c *cell) update(dev int32, k *campaign, at int64) {
	c.devices[dev].pending = false
	k.active++
	id := c.newExchange(dev, anUpdate, at)
	x := &c.pool[id]
	x.index = k.tries[dev].index
	if c.devices[dev].connected {
		c.events.push(at, onPacket, id)
		return
	}
	c.events.push(at+c.page(x), onJoin, id)
}

// updateStep carries a part of an update. On an empty cell it lasts as long as
// it was measured; what it waits for the carrier comes on top.
func (c *cell) updateStep(id int32) {
	x := &c.pool[id]
	h := c.home(x.device)
	k := h.campaign
	r := c.radios[x.class]
	if c.now-x.began > k.timeout {
		c.updated(id, false)
		return
	}
	if seen := r.visible(c.now); seen > c.now {
		c.events.push(seen+c.rng.Int64N(reacquire), onPacket, id)
		return
	}
	if int(x.index) == len(h.sig.Update) {
		c.updated(id, true)
		return
	}
	s := &h.sig.Update[x.index]
	x.index++
	home := c.devices[x.device].population
	empty, loaded := int64(0), int64(0)
	for _, part := range []struct {
		up      bool
		packets int
		bytes   float64
	}{{true, s.UpPackets, s.UpBytes}, {false, s.DownPackets, s.DownBytes}} {
		if part.packets == 0 {
			continue
		}
		waits := c.waits(c.carrier(x.device), part.up)
		dir := &r.down
		if part.up {
			dir = &r.up
		}
		_, blocks := dir.airtime(part.bytes / float64(part.packets))
		loaded += waits * int64(blocks*part.packets)
		empty = max(empty, c.carry(x.device, x.class, part.up, part.bytes, part.packets)-c.now-waits*int64(blocks*part.packets))
		c.stats.updateBytes(home, part.up, part.bytes)
	}
	// The device stays connected while its update is under way.
	c.linger(x.device, r, c.now+us(s.Took)+loaded)
	c.events.push(c.now+max(us(s.Took), empty)+loaded, onPacket, id)
}

// updated ends an update and makes room for the next.
func (c *cell) updated(id int32, ok bool) {
	x := &c.pool[id]
	k := c.home(x.device).campaign
	k.active--
	if !ok && c.retry(x, k) {
		c.leave(id, c.now)
		return
	}
	c.stats.update(c.devices[x.device].population, c.now-k.start, c.now-x.began, ok)
	c.leave(id, c.now)
}

// retry lets a device whose update failed be called again, if it may.
func (c *cell) retry(x *exchange, k *campaign) bool {
	t := k.tries[x.device]
	if t.failed == k.retries {
		return false
	}
	t.failed++
	if c.home(x.device).sig.UpdateResumes {
		t.index = x.index
	}
	k.tries[x.device] = t
	k.again = append(k.again, x.device)
	c.devices[x.device].pending = true
	return true
}

// left is how many devices a campaign has not called.
func (c *cell) left(h *resident) (n int) {
	for _, dev := range c.devices[h.first : h.first+h.count] {
		if dev.pending {
			n++
		}
	}
	return n
}

// sortedSeconds are the times of a campaign's completed updates, ascending.
func sortedSeconds(list []int64) []float64 {
	out := make([]float64, len(list))
	for i, t := range list {
		out[i] = float64(t) / float64(second)
	}
	slices.Sort(out)
	return out
}
