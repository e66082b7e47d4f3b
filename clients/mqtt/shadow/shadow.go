package shadow

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/thinlink/thinlink/clients/mqtt/internal/jsontext"
)

// Limits of the service ("AWS IoT Device Shadow endpoints and quotas").
const (
	MaxState = 8 << 10 // bytes of desired and reported state as JSON
	MaxToken = 64      // bytes of clientToken
	MaxDepth = 8       // levels below desired or reported
)

// Shadow is the document of one thing. The zero value does not exist yet.
type Shadow struct {
	exists            bool
	version           int64
	desired, reported section
}

// section is one half of the document: values, and for each of them when it
// was last set.
type section struct {
	values, stamps tree
}

type tree = map[string]any

// Rejection is why a request was refused; it is the payload of "/rejected".
type Rejection struct {
	Code        int    `json:"code"`
	Message     string `json:"message"`
	Timestamp   int64  `json:"timestamp"`
	ClientToken string `json:"clientToken,omitempty"`
}

func (r *Rejection) Error() string { return fmt.Sprintf("%d %s", r.Code, r.Message) }

// Outcome is what an accepted update publishes. Delta is nil where desired and
// reported agree.
type Outcome struct {
	Accepted, Documents, Delta []byte
	// Reported: the request set some reported state.
	Reported bool
}

// request is what devices and applications send.
type request struct {
	State       json.RawMessage `json:"state"`
	Version     *int64          `json:"version"`
	ClientToken string          `json:"clientToken"`
}

// halves is state or metadata by section.
type halves struct {
	Desired  any `json:"desired,omitempty"`
	Reported any `json:"reported,omitempty"`
	Delta    any `json:"delta,omitempty"`
}

// answer is the common form of answers; unused members are left out.
type answer struct {
	State       any    `json:"state,omitempty"`
	Metadata    any    `json:"metadata,omitempty"`
	Version     int64  `json:"version,omitempty"`
	Timestamp   int64  `json:"timestamp"`
	ClientToken string `json:"clientToken,omitempty"`
}

// snapshot is one side of a documents message.
type snapshot struct {
	State    halves `json:"state"`
	Metadata halves `json:"metadata"`
	Version  int64  `json:"version"`
}

// Update merges a request into the document: members are set one by one, null
// removes, arrays are replaced as a whole.
func (s *Shadow) Update(payload []byte, now time.Time) (Outcome, *Rejection) {
	req, rej := parse(payload, now)
	if rej != nil {
		return Outcome{}, rej
	}
	reject := func(code int, format string, args ...any) (Outcome, *Rejection) {
		return Outcome{}, &Rejection{code, fmt.Sprintf(format, args...), now.Unix(), req.ClientToken}
	}
	desired, reported, err := parseState(req.State)
	if err != nil {
		return reject(400, "%s", err)
	}
	if req.Version != nil && *req.Version != s.version {
		return reject(409, "Version conflict")
	}
	next := Shadow{
		exists: true, version: s.version + 1,
		desired:  s.desired.merged(desired, now),
		reported: s.reported.merged(reported, now),
	}
	if next.size() > MaxState {
		return reject(413, "The payload exceeds the maximum size allowed")
	}
	out := Outcome{
		Reported: reported.values != nil,
		Accepted: jsontext.Encode(answer{
			State:    halves{Desired: desired.echo(), Reported: reported.echo()},
			Metadata: halves{Desired: desired.stamped(now), Reported: reported.stamped(now)},
			Version:  next.version, Timestamp: now.Unix(), ClientToken: req.ClientToken,
		}),
		Documents: jsontext.Encode(struct {
			Previous    snapshot `json:"previous"`
			Current     snapshot `json:"current"`
			Timestamp   int64    `json:"timestamp"`
			ClientToken string   `json:"clientToken,omitempty"`
		}{s.snapshot(), next.snapshot(), now.Unix(), req.ClientToken}),
	}
	if delta, stamps := next.delta(); delta != nil {
		out.Delta = jsontext.Encode(answer{delta, stamps, next.version, now.Unix(), req.ClientToken})
	}
	*s = next
	return out, nil
}

// Get is the answer to a get request.
func (s *Shadow) Get(payload []byte, now time.Time) ([]byte, *Rejection) {
	req, rej := s.parseExisting(payload, now)
	if rej != nil {
		return nil, rej
	}
	state, metadata := s.snapshot().State, s.snapshot().Metadata
	if delta, _ := s.delta(); delta != nil {
		state.Delta = delta
	}
	return jsontext.Encode(answer{state, metadata, s.version, now.Unix(), req.ClientToken}), nil
}

// Delete removes the document; its version goes on counting.
func (s *Shadow) Delete(payload []byte, now time.Time) ([]byte, *Rejection) {
	req, rej := s.parseExisting(payload, now)
	if rej != nil {
		return nil, rej
	}
	old := s.version
	*s = Shadow{version: old + 1}
	return jsontext.Encode(answer{Version: old, Timestamp: now.Unix(), ClientToken: req.ClientToken}), nil
}

// Version is the number of changes so far.
func (s *Shadow) Version() int64 { return s.version }

// Reported is the reported state as JSON.
func (s *Shadow) Reported() []byte { return jsontext.Encode(s.reported.values) }

func (s *Shadow) snapshot() snapshot {
	return snapshot{
		State:    halves{Desired: some(s.desired.values), Reported: some(s.reported.values)},
		Metadata: halves{Desired: some(s.desired.stamps), Reported: some(s.reported.stamps)},
		Version:  s.version,
	}
}

func (s *Shadow) size() int {
	n := 0
	for _, t := range []tree{s.desired.values, s.reported.values} {
		if len(t) > 0 {
			n += len(jsontext.Encode(t))
		}
	}
	return n
}

// parseExisting reads a request that needs nothing but an existing shadow; an
// empty payload is allowed.
func (s *Shadow) parseExisting(payload []byte, now time.Time) (request, *Rejection) {
	var req request
	if len(bytes.TrimSpace(payload)) > 0 {
		var rej *Rejection
		if req, rej = parse(payload, now); rej != nil {
			return req, rej
		}
	}
	if !s.exists {
		return req, &Rejection{404, "No shadow exists", now.Unix(), req.ClientToken}
	}
	return req, nil
}

// parse reads the outer object of a request.
func parse(payload []byte, now time.Time) (request, *Rejection) {
	var req request
	if err := jsontext.Decode(payload, &req); err != nil {
		return req, &Rejection{Code: 400, Message: "Invalid JSON", Timestamp: now.Unix()}
	}
	if len(req.ClientToken) > MaxToken {
		return req, &Rejection{Code: 400, Message: "Invalid clientToken", Timestamp: now.Unix()}
	}
	return req, nil
}
