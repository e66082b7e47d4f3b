package jobs

import (
	"strconv"
)

// call is one request of a thing.
type call struct {
	s         *Service
	thing, id string
	// updated is the execution after the request, if that changed it.
	updated *Execution
}

// request is the union of what the operations take.
type request struct {
	Status                   Status            `json:"status"`
	StatusDetails            map[string]string `json:"statusDetails"`
	ExpectedVersion          versionText       `json:"expectedVersion"`
	IncludeJobExecutionState bool              `json:"includeJobExecutionState"`
	IncludeJobDocument       *bool             `json:"includeJobDocument"`
	ClientToken              string            `json:"clientToken"`
}

// updateAnswer answers update.
type updateAnswer struct {
	ExecutionState *executionState `json:"executionState,omitempty"`
	Timestamp      int64           `json:"timestamp"`
	ClientToken    string          `json:"clientToken,omitempty"`
}

func (c *call) perform(operation string, payload []byte) ([]byte, *Rejection) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	var req request
	if len(payload) > 0 {
		if err := decode(payload, &req); err != nil {
			return nil, c.reject(req, "InvalidJson", "The contents of the request could not be interpreted", nil)
		}
	}
	if len(req.ClientToken) > maxToken || len(req.StatusDetails) > maxDetails {
		return nil, c.reject(request{}, "InvalidRequest", "The request is too large", nil)
	}
	switch operation {
	case "start-next":
		return c.startNext(req), nil
	case "get":
		return c.get(req)
	}
	return c.update(req)
}

func (c *call) reject(req request, code, message string, e *Execution) *Rejection {
	r := &Rejection{Code: code, Message: message, ClientToken: req.ClientToken, Timestamp: c.s.now().Unix()}
	if e != nil {
		r.ExecutionState = e.state()
	}
	return r
}

// startNext makes a queued execution in progress and leaves one that already
// is as it was, so that a device that restarted gets its job again.
func (c *call) startNext(req request) []byte {
	e := c.s.next(c.thing)
	if e != nil && e.Status == Queued {
		e.StartedAt = c.s.now().Unix()
		c.set(e, InProgress, req.StatusDetails)
	}
	return encode(described{c.s.now().Unix(), req.ClientToken, c.s.describe(e)})
}

func (c *call) get(req request) ([]byte, *Rejection) {
	e := c.s.find(c.thing, c.id)
	if c.id == "$next" {
		e = c.s.next(c.thing)
	} else if e == nil {
		return nil, c.reject(req, "ResourceNotFound", "The job execution does not exist", nil)
	}
	if e != nil && req.IncludeJobDocument != nil && !*req.IncludeJobDocument {
		brief := *e
		brief.JobDocument = nil
		e = &brief
	}
	return encode(described{c.s.now().Unix(), req.ClientToken, c.s.describe(e)}), nil
}

func (c *call) update(req request) ([]byte, *Rejection) {
	e := c.s.find(c.thing, c.id)
	switch {
	case e == nil:
		return nil, c.reject(req, "ResourceNotFound", "The job execution does not exist", nil)
	case e.Status.Terminal():
		return nil, c.reject(req, "InvalidStateTransition", "The job execution has ended", e)
	case req.ExpectedVersion != "" && string(req.ExpectedVersion) != strconv.FormatInt(e.VersionNumber, 10):
		return nil, c.reject(req, "VersionMismatch", "The expected version does not match", e)
	case req.Status != InProgress && !req.Status.Terminal():
		return nil, c.reject(req, "InvalidRequest", "The status is not one a device sets", e)
	}
	if e.StartedAt == 0 {
		e.StartedAt = c.s.now().Unix()
	}
	c.set(e, req.Status, req.StatusDetails)
	answer := updateAnswer{Timestamp: c.s.now().Unix(), ClientToken: req.ClientToken}
	if req.IncludeJobExecutionState {
		answer.ExecutionState = e.state()
	}
	return encode(answer), nil
}

// set changes an execution; details are replaced if the request has some.
func (c *call) set(e *Execution, s Status, details map[string]string) {
	e.Status, e.LastUpdatedAt = s, c.s.now().Unix()
	e.VersionNumber++
	if details != nil {
		e.StatusDetails = details
	}
	copied := *e
	c.updated = &copied
}
