package broker

import (
	"slices"
	"strings"
)

// subscription is a filter with its options (section 3.8.3.1 of MQTT 5);
// MQTT 3.1.1 knows the QoS only.
type subscription struct {
	filter      string // with the prefix of a shared one
	qos         byte
	noLocal     bool // not what the client published itself
	asPublished bool // RETAIN as it was published, not 0
	handling    byte // of retained messages
	id          uint32
	served      int // of a shared one, the broker's turn when it last had one
}

// Retain handling: when a SUBSCRIBE brings retained messages.
const (
	retainAlways = 0
	retainNew    = 1 // if the subscription did not exist
	retainNever  = 2
)

// sharePrefix begins the filter of a shared subscription, whose messages go to
// one of its sessions each (section 4.8.2 of MQTT 5): $share/NAME/FILTER.
const sharePrefix = "$share/"

func (s *subscription) shared() bool { return strings.HasPrefix(s.filter, sharePrefix) }

// topics is the filter without the prefix of a shared subscription.
func (s *subscription) topics() string {
	if !s.shared() {
		return s.filter
	}
	_, filter, _ := strings.Cut(s.filter[len(sharePrefix):], "/")
	return filter
}

// grant is how a session gets a message.
type grant struct {
	qos    byte
	retain bool
	ids    []uint32
}

func (g *grant) add(s *subscription, m *Message) {
	g.qos = max(g.qos, s.qos)
	g.retain = g.retain || s.asPublished && m.Retain
	if s.id > 0 {
		g.ids = append(g.ids, s.id)
	}
}

// match combines the subscriptions that match: the highest QoS
// [MQTT-3.3.5-1], all identifiers [MQTT-3.3.4-3]. Shared ones are routed apart.
func (s *session) match(m *Message) (g grant, ok bool) {
	for i := range s.subs {
		sub := &s.subs[i]
		if sub.shared() || sub.noLocal && m.From == s.id || !matches(sub.filter, m.Topic) { // [MQTT-3.8.3-3]
			continue
		}
		g.add(sub, m)
		ok = true
	}
	return g, ok
}

// subscribe adds a filter or replaces an equal one [MQTT-3.8.4-3]. It reports
// false if there are too many.
func (s *session) subscribe(sub subscription, limit int) (existed, ok bool) {
	for i := range s.subs {
		if s.subs[i].filter == sub.filter {
			s.subs[i] = sub
			return true, true
		}
	}
	if len(s.subs) >= limit {
		return false, false
	}
	s.subs = append(s.subs, sub)
	return false, true
}

// unsubscribe removes a filter that is equal character by character
// [MQTT-3.10.4-1].
func (s *session) unsubscribe(filter string) (existed bool) {
	n := len(s.subs)
	s.subs = slices.DeleteFunc(s.subs, func(sub subscription) bool { return sub.filter == filter })
	return len(s.subs) < n
}
