package azure

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/thinlink/thinlink/clients/mqtt/broker"
	"github.com/thinlink/thinlink/clients/mqtt/internal/jsontext"
)

// Prefixes of topics.
const (
	twinGet     = "$iothub/twin/GET/"
	twinPatch   = "$iothub/twin/PATCH/properties/reported/"
	twinDesired = "$iothub/twin/PATCH/properties/desired/"
	twinResult  = "$iothub/twin/res/"
	methodCall  = "$iothub/methods/POST/"
	methodRes   = "$iothub/methods/res/"
)

// What devices subscribe to.
const (
	TwinResults   = twinResult + "#"
	TwinDesired   = twinDesired + "#"
	Methods       = methodCall + "#"
	Registrations = registrationResult + "#"
)

// Telemetry is the topic of a device's telemetry.
func Telemetry(device string) string { return "devices/" + device + "/messages/events/" }

// DeviceBound begins the topics of messages to a device.
func DeviceBound(device string) string { return "devices/" + device + "/messages/devicebound/" }

// Handlers are what a hub tells its application; those that are nil are not
// told. They are called without lock, and may call the hub.
type Handlers struct {
	// Telemetry is told of every message of a device.
	Telemetry func(device string, payload []byte)
	// Reported is told of every change of the reported properties, with all of
	// them, before the device is answered.
	Reported func(device string, properties []byte)
}

// Answer is how a device answered a direct method.
type Answer struct {
	Status  int
	Payload []byte
}

// Hub keeps the twins of all devices and answers the topics of a broker.
type Hub struct {
	now      func() time.Time
	handlers Handlers

	mu      sync.Mutex
	b       *broker.Broker
	cancel  []func()
	twins   map[string]*Twin
	calls   map[string]func(Answer) // by device and request identifier
	counter int
	enrol   registry
}

// maxCalls bounds the direct methods that wait for their answers.
const maxCalls = 1000

// New makes a hub without devices.
func New(now func() time.Time, h Handlers) *Hub {
	return &Hub{now: now, handlers: h, twins: map[string]*Twin{}, calls: map[string]func(Answer){}, enrol: newRegistry()}
}

// Serve answers on a broker, and no more on the one before: a platform that has
// restarted has its twins still.
func (h *Hub) Serve(b *broker.Broker) error {
	var cancel []func()
	for filter, handle := range map[string]func(broker.Message){
		twinGet + "+": h.get, twinPatch + "+": h.patch, methodRes + "+/+": h.answered,
		Telemetry("+") + "#": h.telemetry, registrationPut + "+": h.register, registrationGet + "+": h.status,
	} {
		c, err := b.Subscribe(filter, handle)
		if err != nil {
			return fmt.Errorf("azure: %w", err)
		}
		cancel = append(cancel, c)
	}
	h.mu.Lock()
	old := h.cancel
	h.b, h.cancel = b, cancel
	h.mu.Unlock()
	for _, c := range old {
		c()
	}
	return nil
}

// twin is a device's; mu is held.
func (h *Hub) twin(device string) *Twin {
	t := h.twins[device]
	if t == nil {
		t = new(Twin)
		h.twins[device] = t
	}
	return t
}

// send gives a message to one device. The only error is that the broker is
// closed: the device asks again when it has connected.
func (h *Hub) send(device, topic string, payload []byte, qos byte) {
	h.mu.Lock()
	b := h.b
	h.mu.Unlock()
	_ = b.Send(device, broker.Message{Topic: topic, Payload: payload, QoS: qos})
}

// query is what follows the question mark of a topic's last level.
func query(topic string) url.Values {
	_, q, _ := strings.Cut(topic[strings.LastIndexByte(topic, '/')+1:], "?")
	v, err := url.ParseQuery(q)
	if err != nil {
		return url.Values{}
	}
	return v
}

// result is the topic of an answer.
func result(prefix string, status int, fields string) string {
	return prefix + strconv.Itoa(status) + "/?" + fields
}

func rid(id string) string { return "$rid=" + url.QueryEscape(id) }

func (h *Hub) get(m broker.Message) {
	id := query(m.Topic).Get("$rid")
	if id == "" || m.From == "" {
		return
	}
	h.mu.Lock()
	doc := h.twin(m.From).JSON()
	h.mu.Unlock()
	h.send(m.From, result(twinResult, 200, rid(id)), doc, m.QoS)
}

func (h *Hub) patch(m broker.Message) {
	id := query(m.Topic).Get("$rid")
	if id == "" || m.From == "" {
		return
	}
	h.mu.Lock()
	t := h.twin(m.From)
	version, err := t.Report(m.Payload)
	reported := t.Reported()
	h.mu.Unlock()
	if err != nil {
		h.send(m.From, result(twinResult, 400, rid(id)), jsontext.Encode(problem{"BadRequest", err.Error()}), m.QoS)
		return
	}
	if h.handlers.Reported != nil {
		h.handlers.Reported(m.From, reported)
	}
	h.send(m.From, result(twinResult, 204, fmt.Sprintf("%s&$version=%d", rid(id), version)), nil, m.QoS)
}

// problem is the payload of an answer that refuses.
type problem struct {
	Code    string `json:"errorCode"`
	Message string `json:"message"`
}

// Desire changes the desired properties of a device, which is told if it is
// connected and finds them in its twin otherwise.
func (h *Hub) Desire(device string, patch []byte, qos byte) error {
	h.mu.Lock()
	notification, version, err := h.twin(device).Desire(patch)
	h.mu.Unlock()
	if err != nil {
		return fmt.Errorf("azure: desire: %w", err)
	}
	h.send(device, fmt.Sprintf("%s?$version=%d", twinDesired, version), notification, qos)
	return nil
}

// Reported is the reported properties of a device as JSON.
func (h *Hub) Reported(device string) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.twin(device).Reported()
}

func (h *Hub) telemetry(m broker.Message) {
	device := strings.Split(m.Topic, "/")[1]
	if h.handlers.Telemetry != nil && (m.From == device || m.From == "") { // a device speaks for itself only
		h.handlers.Telemetry(device, m.Payload)
	}
}

// Message sends a message to a device.
func (h *Hub) Message(device string, payload []byte, qos byte) {
	h.mu.Lock()
	h.counter++
	id := h.counter
	h.mu.Unlock()
	bag := fmt.Sprintf("%%24.mid=%08d&%%24.to=%s", id, url.QueryEscape("/devices/"+device+"/messages/deviceBound"))
	h.send(device, DeviceBound(device)+bag, payload, qos)
}

// Invoke calls a direct method of a device; done is told of the answer, if one
// comes. A device that is not connected never gets the call.
func (h *Hub) Invoke(device, method string, payload []byte, qos byte, done func(Answer)) error {
	h.mu.Lock()
	if len(h.calls) >= maxCalls {
		h.mu.Unlock()
		return fmt.Errorf("azure: invoke: %d calls wait for their answers", maxCalls)
	}
	h.counter++
	id := strconv.Itoa(h.counter)
	h.calls[device+"/"+id] = done
	h.mu.Unlock()
	h.send(device, methodCall+url.PathEscape(method)+"/?"+rid(id), payload, qos)
	return nil
}

// answered hands the answer to a direct method to who called.
func (h *Hub) answered(m broker.Message) {
	status, err := strconv.Atoi(strings.Split(m.Topic, "/")[3])
	key := m.From + "/" + query(m.Topic).Get("$rid")
	h.mu.Lock()
	done := h.calls[key]
	delete(h.calls, key)
	h.mu.Unlock()
	if done != nil && err == nil {
		done(Answer{status, m.Payload})
	}
}

// Call is a direct method as it reaches a device.
type Call struct{ Method, ID string }

// ParseCall reads the topic of a direct method.
func ParseCall(topic string) (c Call, ok bool) {
	rest, ok := strings.CutPrefix(topic, methodCall)
	name, _, slash := strings.Cut(rest, "/")
	c.ID = query(topic).Get("$rid")
	method, err := url.PathUnescape(name)
	c.Method = method
	return c, ok && slash && c.ID != "" && err == nil
}

// AnswerTopic is where a device answers a call.
func (c Call) AnswerTopic(status int) string { return result(methodRes, status, rid(c.ID)) }

// GetTopic and PatchTopic are the topics of a device's requests.
func GetTopic(id string) string   { return twinGet + "?" + rid(id) }
func PatchTopic(id string) string { return twinPatch + "?" + rid(id) }

// Result is an answer of the hub or the provisioning service to a device.
type Result struct {
	ID         string
	Status     int
	Version    int64         // of the reported properties, after a patch
	RetryAfter time.Duration // of a registration
}

// ParseResult reads the topic of an answer to a twin request or registration.
func ParseResult(topic string) (r Result, ok bool) {
	rest, ok := strings.CutPrefix(topic, twinResult)
	if !ok {
		rest, ok = strings.CutPrefix(topic, registrationResult)
	}
	status, _, slash := strings.Cut(rest, "/")
	n, err := strconv.Atoi(status)
	q := query(topic)
	r.ID, r.Status = q.Get("$rid"), n
	// Both are left out where they do not apply.
	r.Version, _ = strconv.ParseInt(q.Get("$version"), 10, 64)
	seconds, _ := strconv.ParseUint(q.Get("retry-after"), 10, 16)
	r.RetryAfter = time.Duration(seconds) * time.Second
	return r, ok && slash && err == nil && r.ID != ""
}
