// Package broker is a small MQTT 3.1.1 broker for one process: exact, bounded
// and silent when nothing happens.
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
// It has all of MQTT 3.1.1: QoS 0, 1 and 2 in both directions with separate
// packet identifiers for each, retained messages, wills, persistent sessions
// with redelivery, takeover and keep-alive. It has no periodic timer, so that
// it costs nothing while a virtual clock jumps, and iterates over slices, so
// that equal inputs are answered in equal order.
//
// Limitations: no users and permissions beyond what the listener's TLS
// demands; sessions live in memory, and in the next broker by Inherit; subscriptions are searched one by one,
// which suits a few clients; neither MQTT 3.1 nor 5.0.
//
// Numbers such as [MQTT-3.1.2-24] are conformance statements of
// https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/mqtt-v3.1.1.html.
package broker
