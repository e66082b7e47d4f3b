package azure

import (
	"fmt"
	"net/url"
	"time"

	"github.com/thinlink/thinlink/clients/mqtt/broker"
	"github.com/thinlink/thinlink/clients/mqtt/internal/jsontext"
)

// Prefixes of the provisioning service's topics.
const (
	registrationPut    = "$dps/registrations/PUT/iotdps-register/"
	registrationGet    = "$dps/registrations/GET/iotdps-get-operationstatus/"
	registrationResult = "$dps/registrations/res/"
)

// RegistrationResults are the topics of the service's answers.
const RegistrationResults = registrationResult + "#"

// RegisterTopic and StatusTopic are the topics of a device's requests.
func RegisterTopic(id string) string { return registrationPut + "?" + rid(id) }

// StatusTopic asks how a registration goes.
func StatusTopic(id, operation string) string {
	return registrationGet + "?" + rid(id) + "&operationId=" + url.QueryEscape(operation)
}

// retryAfter is the pause that the service tells a device to make.
const retryAfter = 3 * time.Second

// registry keeps the registrations that are under way.
type registry struct {
	hub   string // to which devices are assigned
	count int
	// operations are the registration identifiers by operation identifier.
	operations map[string]string
}

// maxOperations bounds them.
const maxOperations = 1000

func newRegistry() registry { return registry{operations: map[string]string{}} }

// Assign tells the hub to which devices are assigned that register.
func (h *Hub) Assign(hub string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.enrol.hub = hub
}

// registrationState is what is known of a registration.
type registrationState struct {
	ID      string `json:"registrationId"`
	Created string `json:"createdDateTimeUtc,omitempty"`
	Hub     string `json:"assignedHub,omitempty"`
	Device  string `json:"deviceId,omitempty"`
	Status  string `json:"status"`
	Sub     string `json:"substatus,omitempty"`
	Updated string `json:"lastUpdatedDateTimeUtc,omitempty"`
	ETag    string `json:"etag,omitempty"`
}

// Registration is the payload of the service's answers.
type Registration struct {
	OperationID string             `json:"operationId"`
	Status      string             `json:"status"`
	State       *registrationState `json:"registrationState,omitempty"`
}

// Assigned is the hub and the device identifier of a registration that has
// ended; ok is false before.
func (r *Registration) Assigned() (hub, device string, ok bool) {
	if r.Status != "assigned" || r.State == nil {
		return "", "", false
	}
	return r.State.Hub, r.State.Device, true
}

// register begins a registration.
func (h *Hub) register(m broker.Message) {
	id := query(m.Topic).Get("$rid")
	if id == "" || m.From == "" {
		return
	}
	var request struct {
		ID string `json:"registrationId"`
	}
	if err := jsontext.Decode(m.Payload, &request); err != nil || request.ID != m.From {
		h.refuse(m.From, id, 400, "The request is malformed", m.QoS)
		return
	}
	h.mu.Lock()
	full := len(h.enrol.operations) >= maxOperations
	if !full {
		h.enrol.count++
	}
	operation := fmt.Sprintf("4.d0a671905ea5b2c8.%08d-0e54-4aa0-9d20-aeb1b89e6c7d", h.enrol.count)
	if !full {
		h.enrol.operations[operation] = request.ID
	}
	h.mu.Unlock()
	if full {
		h.refuse(m.From, id, 429, "Too many registrations", m.QoS)
		return
	}
	answer := Registration{OperationID: operation, Status: "assigning"}
	topic := result(registrationResult, 202, fmt.Sprintf("%s&retry-after=%d", rid(id), retryAfter/time.Second))
	h.send(m.From, topic, jsontext.Encode(answer), m.QoS)
}

// status tells how a registration goes: it has been assigned meanwhile.
func (h *Hub) status(m broker.Message) {
	q := query(m.Topic)
	id, operation := q.Get("$rid"), q.Get("operationId")
	if id == "" || m.From == "" {
		return
	}
	h.mu.Lock()
	registration, known := h.enrol.operations[operation]
	if known && registration == m.From {
		delete(h.enrol.operations, operation)
	}
	hub := h.enrol.hub
	h.mu.Unlock()
	if !known || registration != m.From {
		h.refuse(m.From, id, 404, "Operation not found", m.QoS)
		return
	}
	at := h.now().UTC().Format("2006-01-02T15:04:05.0000000Z")
	answer := Registration{OperationID: operation, Status: "assigned", State: &registrationState{
		ID: registration, Created: at, Hub: hub, Device: registration, Status: "assigned", Sub: "initialAssignment",
		Updated: at, ETag: "IjVlMDAxMzViLTAwMDAtMDQwMC0wMDAwLTY2ZjE1MGQyMDAwMCI=",
	}}
	h.send(m.From, result(registrationResult, 200, rid(id)), jsontext.Encode(answer), m.QoS)
}

func (h *Hub) refuse(device, id string, status int, message string, qos byte) {
	body := jsontext.Encode(struct {
		Code    int    `json:"errorCode"`
		Message string `json:"message"`
	}{status * 1000, message})
	h.send(device, result(registrationResult, status, rid(id)), body, qos)
}
