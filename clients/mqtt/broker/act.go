package broker

import (
	"fmt"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// refused is the return code of a subscription in SUBACK (section 3.9.3).
const refused = 0x80

// act does what a packet asks for. An error closes the connection
// [MQTT-4.8.0-1].
func (c *conn) act(p packets.ControlPacket) error {
	switch p := p.(type) {
	case *packets.PublishPacket:
		return c.publish(p)
	case *packets.PubackPacket:
		c.session.acknowledged(packets.Puback, p.MessageID)
	case *packets.PubrecPacket:
		c.session.acknowledged(packets.Pubrec, p.MessageID)
	case *packets.PubcompPacket:
		c.session.acknowledged(packets.Pubcomp, p.MessageID)
	case *packets.PubrelPacket:
		delete(c.session.received, p.MessageID)
		c.send(ack(packets.Pubcomp, p.MessageID)) // [MQTT-4.3.3-2]
	case *packets.SubscribePacket:
		return c.subscribe(p)
	case *packets.UnsubscribePacket:
		return c.unsubscribe(p)
	case *packets.PingreqPacket:
		c.send(packets.NewControlPacket(packets.Pingresp)) // [MQTT-3.12.4-1]
	case *packets.DisconnectPacket:
		c.will = nil // [MQTT-3.14.4-3]
		return fmt.Errorf("%s ends the connection", p.FixedHeader)
	default:
		// A second CONNECT [MQTT-3.1.0-2], or a packet only servers send.
		return fmt.Errorf("%w: %s", errProtocol, p)
	}
	return nil
}

// publish routes a client's message. A QoS 2 message is routed when it first
// comes; its identifier is kept until PUBREL, so that repetitions are
// recognised (section 4.3.3, method B).
func (c *conn) publish(p *packets.PublishPacket) error {
	if err := checkTopic(p.TopicName); err != nil {
		return err
	}
	if p.Qos > 0 && p.MessageID == 0 { // [MQTT-2.3.1-1]
		return fmt.Errorf("%w: PUBLISH with identifier 0", errProtocol)
	}
	m := Message{Topic: p.TopicName, Payload: p.Payload, QoS: p.Qos, Retain: p.Retain}
	switch p.Qos {
	case 0:
		c.b.route(m)
	case 1: // [MQTT-4.3.2-2]
		c.send(ack(packets.Puback, p.MessageID))
		c.b.route(m)
	case 2:
		c.send(ack(packets.Pubrec, p.MessageID))
		if _, again := c.session.received[p.MessageID]; !again {
			c.session.received[p.MessageID] = struct{}{}
			c.b.route(m)
		}
	}
	return nil
}

func (c *conn) subscribe(p *packets.SubscribePacket) error {
	if len(p.Topics) == 0 || p.MessageID == 0 { // [MQTT-3.8.3-3], [MQTT-2.3.1-1]
		return fmt.Errorf("%w: %s", errProtocol, p)
	}
	answer := packets.NewControlPacket(packets.Suback).(*packets.SubackPacket)
	answer.MessageID = p.MessageID // [MQTT-3.8.4-2]
	var retained []func()
	for i, filter := range p.Topics {
		qos := p.Qoss[i]
		if qos > 2 { // [MQTT-3-8.3-4]
			return fmt.Errorf("%w: QoS %d", errProtocol, qos)
		}
		if err := checkFilter(filter); err != nil {
			return err
		}
		if !c.session.subscribe(subscription{filter, qos}, c.b.opt.MaxSubscriptions) {
			qos = refused
		} else {
			// Each SUBSCRIBE brings the retained messages again [MQTT-3.8.4-3].
			for _, m := range c.b.retainedFor(filter) {
				retained = append(retained, func() { c.b.enqueue(c.session, m, qos) })
			}
		}
		answer.ReturnCodes = append(answer.ReturnCodes, qos) // [MQTT-3.8.4-5]
	}
	c.send(answer)
	for _, deliver := range retained {
		deliver()
	}
	return nil
}

func (c *conn) unsubscribe(p *packets.UnsubscribePacket) error {
	if len(p.Topics) == 0 || p.MessageID == 0 { // [MQTT-3.10.3-2], [MQTT-2.3.1-1]
		return fmt.Errorf("%w: %s", errProtocol, p)
	}
	for _, filter := range p.Topics {
		if err := checkFilter(filter); err != nil {
			return err
		}
		c.session.unsubscribe(filter)
	}
	c.send(ack(packets.Unsuback, p.MessageID)) // [MQTT-3.10.4-5]
	return nil
}
