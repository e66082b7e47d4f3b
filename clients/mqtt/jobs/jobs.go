package jobs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/thinlink/thinlink/clients/mqtt/broker"
)

// Status is the state of an execution.
type Status string

// The statuses a device or the service sets.
const (
	Queued     Status = "QUEUED"
	InProgress Status = "IN_PROGRESS"
	Succeeded  Status = "SUCCEEDED"
	Failed     Status = "FAILED"
	Rejected   Status = "REJECTED"
)

// Terminal statuses are never left.
func (s Status) Terminal() bool { return s == Succeeded || s == Failed || s == Rejected }

// Execution is one job on one thing. Times are in seconds since 1970; 0 is
// not yet.
type Execution struct {
	JobID           string            `json:"jobId"`
	Thing           string            `json:"thingName,omitempty"`
	Status          Status            `json:"status"`
	StatusDetails   map[string]string `json:"statusDetails,omitempty"`
	QueuedAt        int64             `json:"queuedAt"`
	StartedAt       int64             `json:"startedAt,omitempty"`
	LastUpdatedAt   int64             `json:"lastUpdatedAt"`
	VersionNumber   int64             `json:"versionNumber"`
	ExecutionNumber int64             `json:"executionNumber"`
	JobDocument     json.RawMessage   `json:"jobDocument,omitempty"`
}

// Topic is a topic of the service for one thing: "notify-next", "start-next",
// "ID/update" and so on.
func Topic(thing, rest string) string { return "$aws/things/" + thing + "/jobs/" + rest }

// Limits of the service ("AWS IoT Device Management endpoints and quotas").
const (
	maxDocument = 32 << 10
	maxToken    = 64
	maxDetails  = 10
)

// Rejection is the payload of "/rejected".
type Rejection struct {
	Code           string          `json:"code"`
	Message        string          `json:"message"`
	ClientToken    string          `json:"clientToken,omitempty"`
	Timestamp      int64           `json:"timestamp"`
	ExecutionState *executionState `json:"executionState,omitempty"`
}

func (r *Rejection) Error() string { return r.Code + ": " + r.Message }

type executionState struct {
	Status        Status            `json:"status"`
	StatusDetails map[string]string `json:"statusDetails,omitempty"`
	VersionNumber int64             `json:"versionNumber"`
}

func (e *Execution) state() *executionState {
	return &executionState{e.Status, e.StatusDetails, e.VersionNumber}
}

// Service keeps the executions of all things and answers the topics of a
// broker.
type Service struct {
	now     func() time.Time
	changed func(Execution)

	mu         sync.Mutex
	b          *broker.Broker
	cancel     func()
	executions map[string][]*Execution // by thing, in order of creation
}

// New makes a service without jobs. changed, if not nil, is told of every new
// status before the device is answered.
func New(now func() time.Time, changed func(Execution)) *Service {
	return &Service{now: now, changed: changed, cancel: func() {}, executions: make(map[string][]*Execution)}
}

// Serve answers on a broker, and no more on the one before: a platform that
// has restarted has its jobs still.
func (s *Service) Serve(b *broker.Broker) error {
	cancel, err := b.Subscribe(Topic("+", "#"), s.handle)
	if err != nil {
		return fmt.Errorf("jobs: %w", err)
	}
	s.mu.Lock()
	old := s.cancel
	s.b, s.cancel = b, cancel
	s.mu.Unlock()
	old()
	return nil
}

// publish sends a message. The only error is that the broker is closed: then
// nobody is there to be told, and devices ask again when they have connected.
func (s *Service) publish(m broker.Message) {
	s.mu.Lock()
	b := s.b
	s.mu.Unlock()
	_ = b.Publish(m)
}

// Create queues a job for a thing and notifies it at the given QoS if the job
// is the next one. The document is JSON.
func (s *Service) Create(thing, id string, document []byte, qos byte) error {
	if !json.Valid(document) || len(document) > maxDocument {
		return fmt.Errorf("jobs: create %s: document is not JSON of at most %d bytes", id, maxDocument)
	}
	if !validID(id) {
		return fmt.Errorf("jobs: create %q: want letters, digits, - and _", id)
	}
	s.mu.Lock()
	if s.find(thing, id) != nil {
		s.mu.Unlock()
		return fmt.Errorf("jobs: create %s: exists", id)
	}
	first := s.next(thing) == nil
	e := &Execution{
		JobID: id, Thing: thing, Status: Queued, QueuedAt: s.now().Unix(), LastUpdatedAt: s.now().Unix(),
		VersionNumber: 1, ExecutionNumber: 1, JobDocument: document,
	}
	s.executions[thing] = append(s.executions[thing], e)
	copied := *e
	s.mu.Unlock()
	s.tell(copied)
	if first {
		s.publish(s.notification(thing, qos))
	}
	return nil
}

// validID checks a job identifier as the service does: [a-zA-Z0-9_-]{1,64}.
func validID(id string) bool {
	for _, r := range id {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' {
			return false
		}
	}
	return id != "" && len(id) <= 64
}

// Find returns an execution.
func (s *Service) Find(thing, id string) (Execution, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.find(thing, id); e != nil {
		return *e, true
	}
	return Execution{}, false
}

func (s *Service) find(thing, id string) *Execution {
	for _, e := range s.executions[thing] {
		if e.JobID == id {
			return e
		}
	}
	return nil
}

// next is the execution a thing is to work on: one in progress before the
// oldest queued one.
func (s *Service) next(thing string) *Execution {
	var queued *Execution
	for _, e := range s.executions[thing] {
		if e.Status == InProgress {
			return e
		}
		if e.Status == Queued && queued == nil {
			queued = e
		}
	}
	return queued
}

// notification tells a thing its next execution; without one it says so by an
// empty object.
func (s *Service) notification(thing string, qos byte) broker.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return broker.Message{Topic: Topic(thing, "notify-next"), QoS: qos, Payload: encode(described{
		Timestamp: s.now().Unix(), Execution: s.describe(s.next(thing)),
	})}
}

// describe is an execution as devices see it: without their own name.
func (s *Service) describe(e *Execution) any {
	if e == nil {
		return struct{}{}
	}
	copied := *e
	copied.Thing = ""
	return copied
}

func (s *Service) tell(e Execution) {
	if s.changed != nil {
		s.changed(e)
	}
}

// described answers get and start-next.
type described struct {
	Timestamp   int64  `json:"timestamp"`
	ClientToken string `json:"clientToken,omitempty"`
	Execution   any    `json:"execution"`
}

// handle answers one request with the request's QoS.
func (s *Service) handle(m broker.Message) {
	levels := strings.Split(m.Topic, "/")
	thing, operation := levels[2], strings.Join(levels[4:], "/")
	var id string
	if len(levels) == 6 {
		id, operation = levels[4], levels[5]
	}
	if operation != "start-next" && (id == "" || operation != "get" && operation != "update") {
		return // an answer of our own, or none of our topics
	}
	c := call{s: s, thing: thing, id: id}
	payload, rej := c.perform(operation, m.Payload)
	suffix := "/accepted"
	if rej != nil {
		suffix, payload = "/rejected", encode(rej)
	}
	if c.updated != nil {
		s.tell(*c.updated)
	}
	s.publish(broker.Message{Topic: m.Topic + suffix, Payload: payload, QoS: m.QoS})
	if c.updated != nil && c.updated.Status.Terminal() {
		s.publish(s.notification(thing, m.QoS))
	}
}

// decode reads exactly one JSON value.
func decode(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("more than one value")
	}
	return nil
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("jobs: " + err.Error()) // our own types
	}
	return b
}

// versionText is a version as requests carry it: a number, or a number in a
// string, as the guide's examples have it.
type versionText string

func (v *versionText) UnmarshalJSON(b []byte) error {
	text := strings.Trim(string(b), `"`)
	if _, err := strconv.ParseInt(text, 10, 64); err != nil {
		return err
	}
	*v = versionText(text)
	return nil
}
