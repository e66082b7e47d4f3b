package mqtt

import "context"

// client is the MQTT library of a device. What waits for the platform ends with
// its answer, with errLost when the link is no more, or with the context's
// error; other errors mean that the connection is going down.
type client interface {
	// connect makes the first connection. Later ones it makes by itself, by
	// device.dial, and reports each by device.connected.
	connect() error
	// publish sends a message and waits until the library has done what its QoS
	// asks.
	publish(ctx context.Context, l *link, m outgoing) error
	// subscribe sends one SUBSCRIBE and waits until all is granted.
	subscribe(ctx context.Context, l *link, qos byte, topics ...string) error
	unsubscribe(ctx context.Context, l *link, filter string) error
	// unacknowledged counts the messages that wait for the platform.
	unacknowledged() int
	// powerOff ends changes of what is kept in flash, close everything.
	powerOff()
	close()
}

// outgoing is a message to the platform.
type outgoing struct {
	topic   string
	payload []byte
	qos     byte
	retain  bool
	// correlation, if not nil, answers a request (section 4.10 of MQTT 5).
	correlation []byte
}

// incoming is a message of the platform.
type incoming struct {
	topic   string
	payload []byte
	// responseTopic is where the sender wants its answer, with the correlation
	// data; empty is nowhere.
	responseTopic string
	correlation   []byte
}

// response is the answer that the sender wants, nil if none.
func (m incoming) response() *outgoing {
	if m.responseTopic == "" {
		return nil
	}
	return &outgoing{topic: m.responseTopic, correlation: m.correlation}
}

// refusedError is a subscription that the platform does not grant.
type refusedError struct{ topic string }

func (e *refusedError) Error() string { return e.topic + " was refused" }
