package mqtt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/mqtt/jobs"
)

// job is what the device is to do.
type job struct {
	JobID       string
	JobDocument jobDocument
}

// jobChanged wakes the agent.
func (d *device) jobChanged() {
	select {
	case d.news <- struct{}{}:
	default: // it will look anyway
	}
}

// agent works on jobs as they come until the device is switched off.
func (d *device) agent() {
	for {
		var j *job
		var err error
		select {
		case j = <-d.jobs:
		case <-d.news:
			j, err = d.nextJob(d.ctx)
		case <-d.ctx.Done():
			return
		}
		if err == nil && j != nil {
			err = d.work(d.ctx, j)
		}
		if err != nil && d.ctx.Err() == nil {
			d.record(clients.EventWarning, "firmware update: "+err.Error())
		}
	}
}

// nextJob asks for the next job, which thereby begins; nil if there is none.
func (d *device) nextJob(ctx context.Context) (*job, error) {
	if d.opt.Topics == "azure" {
		return d.hubJob(ctx)
	}
	a, err := d.request(ctx, jobs.Topic(d.name, "start-next"), func(token string) []byte {
		return encode(jobUpdate{Details: map[string]string{"step": "download"}, ClientToken: token}, 0)
	})
	if err != nil {
		return nil, err
	}
	var next struct{ Execution job }
	if err := json.Unmarshal(a.payload, &next); err != nil || !a.accepted {
		return nil, fmt.Errorf("start-next: %s", a.payload)
	}
	if next.Execution.JobID == "" {
		return nil, nil
	}
	return &next.Execution, nil
}

// work does a job and reports how it ended. When it has ended the platform
// notifies of the next one.
func (d *device) work(ctx context.Context, j *job) error {
	d.record(clients.EventOTAState, "device: downloading "+j.JobDocument.Name+" "+j.JobDocument.Version)
	u := jobUpdate{Status: jobs.Succeeded, Details: map[string]string{"step": "downloaded"}}
	if err := d.install(ctx, j); err != nil {
		if ctx.Err() != nil {
			return err // the job stays in progress
		}
		u = jobUpdate{Status: jobs.Failed, Details: map[string]string{"step": "download", "reason": err.Error()}}
	}
	d.record(clients.EventOTAState, "device: "+string(u.Status))
	if d.opt.Topics == "azure" {
		return errors.Join(d.reportHubJob(ctx, j.JobID, u), d.endImage())
	}
	a, err := d.request(ctx, jobs.Topic(d.name, j.JobID+"/update"), func(token string) []byte {
		u.ClientToken = token
		return encode(u, 0)
	})
	if err != nil {
		return err
	}
	// A request repeated on a new connection may have been obeyed before.
	if !a.accepted && !ended(a.payload, u.Status) {
		return fmt.Errorf("job %s: %s", j.JobID, a.payload)
	}
	return d.endImage()
}

type jobUpdate struct {
	Status      jobs.Status       `json:"status,omitempty"`
	Details     map[string]string `json:"statusDetails,omitempty"`
	ClientToken string            `json:"clientToken"`
}

// ended reports whether a rejection says that the job has that status already.
func ended(payload []byte, s jobs.Status) bool {
	var r jobs.Rejection
	var state struct {
		ExecutionState struct{ Status jobs.Status }
	}
	return json.Unmarshal(payload, &r) == nil && r.Code == "InvalidStateTransition" &&
		json.Unmarshal(payload, &state) == nil && state.ExecutionState.Status == s
}
