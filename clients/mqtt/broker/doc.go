// Package broker is a small MQTT broker, 3.1.1 and 5, for one process: exact,
// bounded and silent when nothing happens.
//
// A Broker serves any net.Listener; a session is what it remembers of a client
// between connections; services of the same process take part without a
// socket by Publish and Subscribe.
//
//	b := broker.New(broker.Options{})
//	go b.Serve(listener) // tls.NewListener for TLS
//	cancel, err := b.Subscribe("sensors/+", func(m broker.Message) { ... })
//	err = b.Publish(broker.Message{Topic: "commands/1", Payload: p, QoS: 1})
//	defer b.Close()
//
// Both versions have QoS 0, 1 and 2 in both directions with separate packet
// identifiers for each, retained messages, wills, persistent sessions with
// redelivery, takeover and keep-alive. MQTT 5 adds session and message expiry,
// will delay, reason codes, properties that travel with a message, topic
// aliases and receive maximum in both directions, maximum packet size,
// subscription options and identifiers, shared subscriptions, server keep-alive
// and assigned identifiers. Clients of both share topics.
//
// It has no periodic timer, so that it costs nothing while a virtual clock
// jumps, and iterates over slices, so that equal inputs are answered in equal
// order. Whatever a peer does, it holds no more than Options allow; Log is told
// in one line.
//
// Limitations: no enhanced authentication (a client that asks is refused);
// sessions live in memory, and in the next broker by Inherit; subscriptions are
// searched one by one, which suits a few clients; a shared subscription's
// unacknowledged message waits for its client and goes to no other; MQTT 3.1 is
// refused.
//
// The codec is the broker's own: those of the client libraries accept what the
// standards forbid (properties twice, of the wrong packet, packets cut short)
// and write acknowledgements longer than they need be. Tests hold it against
// both.
//
// Numbers such as [MQTT-3.1.2-24] are conformance statements of
// https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/mqtt-v3.1.1.html and, where only
// MQTT 5 has the thing, of https://docs.oasis-open.org/mqtt/mqtt/v5.0/mqtt-v5.0.html.
package broker
