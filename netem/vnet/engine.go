package vnet

import (
	"container/heap"
	"time"

	"github.com/thinlink/thinlink/netem"
)

// The engine turns the link, the connections' timers and the sockets'
// deadlines into one sequence of events. Whoever holds the lock runs it: an
// application that calls a socket, or the timer when nobody does.

// lock takes the network and processes everything due until now, so that the
// caller acts on the present.
func (n *Network) lock() {
	n.mu.Lock()
	n.advance(time.Now())
}

// unlock sends what the caller caused and gives the network back.
func (n *Network) unlock() {
	n.settle()
	n.mu.Unlock()
}

// settle processes the consequences of a call, as far as they happen now, and
// sets the timer for the rest.
func (n *Network) settle() {
	n.flush()
	n.advance(n.now)
	n.rearm()
}

// fire is the timer's function.
func (n *Network) fire() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.armed = time.Time{}
	n.advance(time.Now())
	n.rearm()
}

// advance processes all events up to t, in order and each at its own time.
func (n *Network) advance(t time.Time) {
	if n.closed {
		return
	}
	for {
		at, ok := n.next()
		if !ok || at.After(t) {
			break
		}
		n.moveTo(at)
		n.step()
	}
	n.moveTo(t)
}

// moveTo sets model time, which never goes back.
func (n *Network) moveTo(t time.Time) {
	if t.After(n.now) {
		n.now = t
	}
}

// next is the time of the earliest event.
func (n *Network) next() (time.Time, bool) {
	at, ok := n.link.Next()
	if len(n.alarms) > 0 && (!ok || n.alarms[0].at.Before(at)) {
		return n.alarms[0].at, true
	}
	return at, ok
}

// step processes what is due at n.now: first arrivals, so that an
// acknowledgement and a time-out at the same instant do no harm, then alarms.
func (n *Network) step() {
	n.link.Advance(n.now, n.collect)
	// The link must not be called while it delivers, so answers wait until
	// all packets of this instant have been collected.
	for i := range n.arrived {
		a := &n.arrived[i]
		host := n.towards(a.dir)
		if n.sms != nil {
			n.sms.arrive(a.dir, a.ip)
		} else {
			n.deliver(host, a.ip)
		}
		if !host.cfg.GRO {
			n.flush()
		}
		a.ip = nil
	}
	n.arrived = n.arrived[:0]
	n.device.releaseGRO()
	n.plat.releaseGRO()
	n.flush()
	for len(n.alarms) > 0 && !n.alarms[0].at.After(n.now) {
		a := n.alarms[0]
		n.stop(a)
		a.ring()
		n.flush()
	}
}

func (n *Network) collect(dir netem.Direction, ip []byte) {
	n.arrived = append(n.arrived, arrival{dir, ip})
}

// towards is the host at the end of a direction.
func (n *Network) towards(dir netem.Direction) *Host {
	if dir == netem.Down {
		return n.device
	}
	return n.plat
}

// deliver hands a packet to the host it has reached.
func (n *Network) deliver(host *Host, ip []byte) {
	if n.gateway != nil {
		ip = n.gateway.wrap(host, ip)
	}
	if host == n.plat && n.nat != nil {
		if ip = n.nat.outbound(ip); ip == nil {
			return
		}
	}
	host.receive(ip)
}

// send hands a host's packet to the link, which keeps it.
func (n *Network) send(host *Host, ip []byte) {
	if n.closed {
		return
	}
	if host == n.plat && n.nat != nil {
		if ip = n.nat.inbound(ip); ip == nil {
			return
		}
	}
	if n.gateway != nil {
		if ip = n.gateway.unwrap(host, ip); ip == nil {
			return
		}
	}
	if n.sms != nil {
		n.sms.send(host.dir, ip)
		return
	}
	n.link.Send(n.now, host.dir, ip)
}

// touch marks a connection whose state has changed.
func (n *Network) touch(c *tcpConn) {
	if !c.dirty {
		c.dirty = true
		n.dirty = append(n.dirty, c)
	}
}

// flush sends what the touched connections have to say, in the order in which
// they were touched.
func (n *Network) flush() {
	for i := 0; i < len(n.dirty); i++ { // update may touch others
		c := n.dirty[i]
		c.dirty = false
		c.update()
	}
	clear(n.dirty)
	n.dirty = n.dirty[:0]
}

// rearm sets the timer to the earliest event.
func (n *Network) rearm() {
	if n.closed {
		return
	}
	at, ok := n.next()
	switch {
	case !ok:
		if !n.armed.IsZero() {
			n.timer.Stop()
			n.armed = time.Time{}
		}
	case !at.Equal(n.armed):
		n.timer.Reset(time.Until(at))
		n.armed = at
	}
}

// alarm is something that happens at a time: a connection's timer or a
// socket's deadline.
type alarm struct {
	at    time.Time
	order uint64 // decides between alarms of one instant: that of the older socket first
	index int    // in the heap, from 1; 0 is not set
	ring  func()
}

// newAlarm prepares a.
func (n *Network) newAlarm(a *alarm, ring func()) {
	n.made++
	a.order, a.ring = n.made, ring
}

// after calls f once, d from now.
func (n *Network) after(d time.Duration, f func()) {
	a := new(alarm)
	n.newAlarm(a, f)
	n.set(a, n.now.Add(d))
}

// set makes a ring at t, instead of when it was to ring before.
func (n *Network) set(a *alarm, t time.Time) {
	if a.index > 0 {
		if !a.at.Equal(t) {
			a.at = t
			heap.Fix(&n.alarms, a.index-1)
		}
		return
	}
	a.at = t
	heap.Push(&n.alarms, a)
}

// stop keeps a from ringing.
func (n *Network) stop(a *alarm) {
	if a.index > 0 {
		heap.Remove(&n.alarms, a.index-1)
	}
}

// alarms is a heap ordered by time, then by order.
type alarms []*alarm

func (h alarms) Len() int { return len(h) }

func (h alarms) Less(i, j int) bool {
	if h[i].at.Equal(h[j].at) {
		return h[i].order < h[j].order
	}
	return h[i].at.Before(h[j].at)
}

func (h alarms) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i+1, j+1
}

// Push implements heap.Interface.
func (h *alarms) Push(x any) {
	a := x.(*alarm)
	*h = append(*h, a)
	a.index = len(*h)
}

// Pop implements heap.Interface.
func (h *alarms) Pop() any {
	last := len(*h) - 1
	a := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	a.index = 0
	return a
}
