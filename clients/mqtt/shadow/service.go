package shadow

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/thinlink/thinlink/clients/mqtt/broker"

	"github.com/thinlink/thinlink/clients/mqtt/internal/jsontext"
)

// Topic is the topic of an operation ("update", "get", "delete") of a thing,
// to which "/accepted" and so on are appended.
func Topic(thing, operation string) string {
	return "$aws/things/" + thing + "/shadow/" + operation
}

// Service keeps the shadows of all things and answers the topics of a broker.
type Service struct {
	now    func() time.Time
	report func(thing string, reported []byte)

	mu     sync.Mutex
	b      *broker.Broker
	cancel func()
	things map[string]*Shadow
}

// New makes a service without shadows. report, if not nil, is called for each
// accepted update that carries a reported state, with the whole reported state
// as JSON, before the device is answered.
func New(now func() time.Time, report func(thing string, reported []byte)) *Service {
	return &Service{now: now, report: report, cancel: func() {}, things: make(map[string]*Shadow)}
}

// Serve answers on a broker, and no more on the one before: a platform that
// has restarted has its shadows still.
func (s *Service) Serve(b *broker.Broker) error {
	cancel, err := b.Subscribe(Topic("+", "+"), s.handle)
	if err != nil {
		return fmt.Errorf("shadow: %w", err)
	}
	s.mu.Lock()
	old := s.cancel
	s.b, s.cancel = b, cancel
	s.mu.Unlock()
	old()
	return nil
}

// Do performs an operation for an application of this process, as if it had
// published the payload at that QoS.
func (s *Service) Do(thing, operation string, payload []byte, qos byte) {
	s.handle(broker.Message{Topic: Topic(thing, operation), Payload: payload, QoS: qos})
}

// handle answers one request with the request's QoS.
func (s *Service) handle(m broker.Message) {
	levels := strings.Split(m.Topic, "/")
	thing, operation := levels[2], levels[4]
	s.mu.Lock()
	shadow := s.things[thing]
	if shadow == nil {
		shadow = new(Shadow)
	}
	b := s.b
	answers, reported := perform(shadow, operation, m.Payload, s.now())
	if shadow.version > 0 { // asking for what does not exist does not make it
		s.things[thing] = shadow
	}
	s.mu.Unlock()
	if reported != nil && s.report != nil {
		s.report(thing, reported)
	}
	for _, a := range answers {
		// The only error is that the broker is closed: nobody is there to be told.
		_ = b.Publish(broker.Message{Topic: Topic(thing, operation) + "/" + a.suffix, Payload: a.payload, QoS: m.QoS})
	}
}

type reply struct {
	suffix  string
	payload []byte
}

func perform(s *Shadow, operation string, payload []byte, now time.Time) (answers []reply, reported []byte) {
	var accepted []byte
	var rej *Rejection
	switch operation {
	case "update":
		var out Outcome
		if out, rej = s.Update(payload, now); rej == nil {
			if out.Reported {
				reported = s.Reported()
			}
			answers = []reply{{"accepted", out.Accepted}, {"documents", out.Documents}}
			if out.Delta != nil {
				answers = append(answers, reply{"delta", out.Delta})
			}
			return answers, reported
		}
	case "get":
		accepted, rej = s.Get(payload, now)
	case "delete":
		accepted, rej = s.Delete(payload, now)
	default:
		return nil, nil
	}
	if rej != nil {
		return []reply{{"rejected", jsontext.Encode(rej)}}, nil
	}
	return []reply{{"accepted", accepted}}, nil
}
