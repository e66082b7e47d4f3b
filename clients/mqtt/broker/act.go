package broker

import "time"

// refused4 is the return code of a subscription in SUBACK of MQTT 3.1.1
// (section 3.9.3).
const refused4 Reason = 0x80

// act does what a packet asks for. An error closes the connection
// [MQTT-4.8.0-1].
func (c *conn) act(p *packet) error {
	switch p.kind {
	case kindPublish:
		return c.publish(p)
	case kindPuback, kindPubrec, kindPubcomp:
		c.session.acknowledged(p)
	case kindPubrel:
		answer := &packet{kind: kindPubcomp, id: p.id} // [MQTT-4.3.3-2]
		if _, known := c.session.received[p.id]; !known {
			answer.reason = IdentifierNotFound
		}
		delete(c.session.received, p.id)
		c.send(answer)
	case kindSubscribe:
		c.subscribe(p)
	case kindUnsubscribe:
		c.unsubscribe(p)
	case kindPingreq:
		c.send(&packet{kind: kindPingresp}) // [MQTT-3.12.4-1]
	case kindDisconnect:
		return c.disconnect(p)
	default:
		// A second CONNECT [MQTT-3.1.0-2], a packet only servers send, or AUTH
		// without an authentication method [MQTT-4.12.0-7].
		return violates(ProtocolError, "unexpected %s", p.kind)
	}
	return nil
}

// errBye ends a connection whose client said goodbye.
var errBye = violates(Success, "DISCONNECT")

// disconnect obeys DISCONNECT: the will is forgotten [MQTT-3.14.4-3], unless
// the client wants it published; the expiry of the session may change.
func (c *conn) disconnect(p *packet) error {
	if seconds, ok := p.props.Num(SessionExpiry); ok {
		if c.session.expiry == 0 && seconds > 0 { // section 3.14.2.2.2
			return violates(ProtocolError, "a session expiry interval that was 0 cannot grow")
		}
		c.session.expiry = min(sessionExpiry(seconds), c.b.opt.MaxSessionExpiry)
	}
	if p.reason == Success {
		c.will = nil
	}
	return errBye
}

// publish routes a client's message. A QoS 2 message is routed when it first
// comes; its identifier is kept until PUBREL, so that repetitions are
// recognised (section 4.3.3, method B).
func (c *conn) publish(p *packet) error {
	topic, err := c.topicOf(p)
	if err != nil {
		return err
	}
	m := Message{
		Topic: topic, Payload: p.payload, QoS: p.qos, Retain: p.retain,
		Properties: p.props.forwarded(), From: c.session.id,
	}
	m.lifetime(p.props)
	m.begin(time.Now())
	answer := &packet{id: p.id}
	allowed := c.b.opt.Authorize == nil || c.b.opt.Authorize(c.session.id, topic, true)
	if !allowed {
		if c.level == level4 || p.qos == 0 { // there is no negative answer, [MQTT-3.3.5-2]
			return violates(NotAuthorized, "not authorized to publish on %s", topic)
		}
		answer.reason = NotAuthorized
	}
	switch p.qos {
	case 1: // [MQTT-4.3.2-2]
		answer.kind = kindPuback
		c.send(answer)
	case 2:
		answer.kind = kindPubrec
		c.send(answer)
		if _, again := c.session.received[p.id]; again || !allowed {
			return nil
		}
		if len(c.session.received) >= c.b.opt.MaxReceived { // [MQTT-3.3.4-7]
			return violates(ReceiveMaximumExceeded, "more than %d messages without PUBREL", c.b.opt.MaxReceived)
		}
		c.session.received[p.id] = struct{}{}
	}
	if allowed {
		c.b.route(m)
	}
	return nil
}

// topicOf is the topic of a PUBLISH, by its alias if it has one (section
// 3.3.2.3.4 of MQTT 5).
func (c *conn) topicOf(p *packet) (string, error) {
	n, has := p.props.Num(TopicAlias)
	if _, id := p.props.Num(SubscriptionIdentifier); id { // [MQTT-3.3.4-6]
		return "", violates(ProtocolError, "subscription identifier from a client")
	}
	if !has {
		return p.topic, nil
	}
	if n == 0 || int(n) > c.b.opt.MaxTopicAlias { // [MQTT-3.3.2-8], [MQTT-3.3.2-9]
		return "", violates(TopicAliasInvalid, "topic alias %d", n)
	}
	if p.topic != "" {
		c.aliasesIn[uint16(n)] = p.topic
	} else if c.aliasesIn[uint16(n)] == "" { // section 3.3.4
		return "", violates(ProtocolError, "topic alias %d is not known", n)
	}
	return c.aliasesIn[uint16(n)], nil
}

func (c *conn) subscribe(p *packet) {
	answer := &packet{kind: kindSuback, id: p.id} // [MQTT-3.8.4-2]
	var retained []func()
	for _, sub := range p.subs {
		reason := Reason(sub.qos)
		if c.b.opt.Authorize != nil && !c.b.opt.Authorize(c.session.id, sub.topics(), false) {
			reason = NotAuthorized
		} else if existed, ok := c.session.subscribe(sub, c.b.opt.MaxSubscriptions); !ok {
			reason = QuotaExceeded
			c.b.log("client %s: more than %d subscriptions", c.session.id, c.b.opt.MaxSubscriptions)
		} else {
			retained = append(retained, c.retainedFor(sub, existed)...)
		}
		if reason > 2 && c.level == level4 {
			reason = refused4
		}
		answer.reasons = append(answer.reasons, reason) // [MQTT-3.8.4-5]
	}
	c.send(answer)
	for _, deliver := range retained {
		deliver()
	}
}

// retainedFor delivers the retained messages of a subscription: each SUBSCRIBE
// brings them again [MQTT-3.8.4-3] unless its options say otherwise
// [MQTT-3.3.1-9] to [MQTT-3.3.1-11]; a shared one has none (section 4.8.2).
func (c *conn) retainedFor(sub subscription, existed bool) (deliver []func()) {
	if sub.shared() || sub.handling == retainNever || sub.handling == retainNew && existed {
		return nil
	}
	for _, m := range c.b.retainedFor(sub.filter) {
		if sub.noLocal && m.From == c.session.id {
			continue
		}
		g := grant{qos: sub.qos, retain: true}
		if sub.id > 0 {
			g.ids = []uint32{sub.id}
		}
		deliver = append(deliver, func() { c.b.enqueue(c.session, m, g) })
	}
	return deliver
}

func (c *conn) unsubscribe(p *packet) {
	answer := &packet{kind: kindUnsuback, id: p.id} // [MQTT-3.10.4-5]
	for _, filter := range p.filters {
		reason := Success
		if !c.session.unsubscribe(filter) {
			reason = NoSubscriptionExisted
		}
		answer.reasons = append(answer.reasons, reason)
	}
	c.send(answer)
}
