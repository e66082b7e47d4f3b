package broker

import (
	"fmt"
	"sort"
	"time"
)

// route hands a message to everyone who subscribed to its topic.
func (b *Broker) route(m Message) {
	if m.Retain {
		b.retain(m)
	}
	for _, s := range b.sessions {
		if g, ok := s.match(&m); ok {
			b.enqueue(s, m, g)
		}
	}
	b.routeShared(m)
	m.Retain = false // [MQTT-3.3.1-9]
	for _, l := range b.local {
		if matches(l.filter, m.Topic) {
			b.after = append(b.after, func() { l.fn(m) })
		}
	}
}

// routeShared hands a message to one session of each shared subscription
// (section 4.8.2): a connected one before others, of those the one that has been
// waiting longest for its turn.
func (b *Broker) routeShared(m Message) {
	type member struct {
		s   *session
		sub *subscription
	}
	var order []string
	chosen := map[string]member{}
	better := func(x, y member) bool {
		if here := x.s.conn != nil; here != (y.s.conn != nil) {
			return here
		}
		return x.sub.served < y.sub.served
	}
	for _, s := range b.sessions {
		for i := range s.subs {
			x := member{s, &s.subs[i]}
			if !x.sub.shared() || !matches(x.sub.topics(), m.Topic) {
				continue
			}
			best, any := chosen[x.sub.filter]
			if !any {
				order = append(order, x.sub.filter)
			}
			if !any || better(x, best) {
				chosen[x.sub.filter] = x
			}
		}
	}
	for _, filter := range order {
		x := chosen[filter]
		b.turn++
		x.sub.served = b.turn
		var g grant
		g.add(x.sub, &m)
		b.enqueue(x.s, m, g)
	}
}

// enqueue gives a message to one session, at the lower of the publisher's and
// the subscription's QoS [MQTT-3.8.4-6]. An established subscription sees
// RETAIN 0 [MQTT-3.3.1-9] unless it wants it as published [MQTT-3.3.1-13].
func (b *Broker) enqueue(s *session, m Message, g grant) {
	m.QoS, m.Retain, m.subscriptions = min(m.QoS, g.qos), g.retain, g.ids
	if s.conn == nil && m.QoS == 0 {
		b.dropped++
		return
	}
	if !s.enqueue(m, &b.opt) {
		b.dropped++
		if !s.full { // one line until the queue has moved
			b.log("client %s: queue is full: messages are dropped", s.id)
		}
		s.full = true
		return
	}
	s.pump()
}

// Send gives a message to one client, if it has a subscription that matches:
// the answer to a request that only its sender may see.
func (b *Broker) Send(client string, m Message) error {
	if err := m.check(); err != nil {
		return fmt.Errorf("broker: send: %w", err)
	}
	b.mu.Lock()
	defer b.unlock()
	if b.closed {
		return ErrClosed
	}
	if s := b.session(client); s != nil {
		if g, ok := s.match(&m); ok {
			b.enqueue(s, m, g)
		}
	}
	return nil
}

// retain keeps the message as the last of its topic; an empty one removes it
// and is not kept itself [MQTT-3.3.1-5], [MQTT-3.3.1-10], [MQTT-3.3.1-11].
func (b *Broker) retain(m Message) {
	if len(m.Payload) == 0 {
		delete(b.retained, m.Topic)
		b.retainedFull = false
		return
	}
	if _, known := b.retained[m.Topic]; !known && len(b.retained) >= b.opt.MaxRetained {
		b.dropped++
		if !b.retainedFull { // one line until there is room again
			b.log("topic %s: %d retained messages are the most", m.Topic, b.opt.MaxRetained)
		}
		b.retainedFull = true
		return
	}
	b.retained[m.Topic] = m
}

// retainedFor lists retained messages in the order of their topics, so that
// equal runs send them in equal order. They carry RETAIN 1 [MQTT-3.3.1-8].
// What has expired is gone.
func (b *Broker) retainedFor(filter string) []Message {
	now := time.Now()
	var ms []Message
	for topic, m := range b.retained {
		switch {
		case m.expired(now):
			delete(b.retained, topic)
		case matches(filter, topic):
			ms = append(ms, m)
		}
	}
	sort.Slice(ms, func(i, j int) bool { return ms[i].Topic < ms[j].Topic })
	return ms
}
