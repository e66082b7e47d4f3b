package broker

import "sort"

// route hands a message to everyone who subscribed to its topic.
func (b *Broker) route(m Message) {
	if m.Retain {
		b.retain(m)
	}
	// An established subscription sees RETAIN 0 [MQTT-3.3.1-9].
	m.Retain = false
	for _, s := range b.sessions {
		if qos, ok := s.match(m.Topic); ok {
			b.enqueue(s, m, qos)
		}
	}
	for _, l := range b.local {
		if matches(l.filter, m.Topic) {
			b.after = append(b.after, func() { l.fn(m) })
		}
	}
}

// enqueue gives a message to one session, at the lower of the publisher's and
// the subscription's QoS [MQTT-3.8.4-6].
func (b *Broker) enqueue(s *session, m Message, granted byte) {
	m.QoS = min(m.QoS, granted)
	if len(s.queue) >= b.opt.MaxQueued || s.conn == nil && m.QoS == 0 {
		b.dropped++
		return
	}
	s.queue = append(s.queue, m)
	s.pump(b.opt.MaxInflight)
}

// retain keeps the message as the last of its topic; an empty one removes it
// and is not kept itself [MQTT-3.3.1-5], [MQTT-3.3.1-10], [MQTT-3.3.1-11].
func (b *Broker) retain(m Message) {
	if len(m.Payload) == 0 {
		delete(b.retained, m.Topic)
		return
	}
	if _, known := b.retained[m.Topic]; !known && len(b.retained) >= b.opt.MaxRetained {
		b.dropped++
		return
	}
	b.retained[m.Topic] = m
}

// retainedFor lists retained messages in the order of their topics, so that
// equal runs send them in equal order. They carry RETAIN 1 [MQTT-3.3.1-8].
func (b *Broker) retainedFor(filter string) []Message {
	var ms []Message
	for topic, m := range b.retained {
		if matches(filter, topic) {
			ms = append(ms, m)
		}
	}
	sort.Slice(ms, func(i, j int) bool { return ms[i].Topic < ms[j].Topic })
	return ms
}
