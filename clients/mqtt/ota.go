package mqtt

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/httpfile"
	"github.com/thinlink/thinlink/clients/mqtt/jobs"
	"github.com/thinlink/thinlink/clients/pki"
)

// httpsPort is where the platform offers images.
const httpsPort = 443

// flash is what a reboot leaves: the partial image, the MQTT session's
// messages and the count of requests, so that client tokens stay unique.
type flash struct {
	store    paho.Store
	requests int
	etag     string // the image that data belongs to
	data     []byte
}

func newFlash() *flash { return &flash{store: keptStore{paho.NewOrderedMemoryStore()}} }

// keptStore stays open: a client that is switched off closes its store late,
// when the next one may be using it.
type keptStore struct{ *paho.OrderedMemoryStore }

func (keptStore) Close() {}

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
	a, err := d.request(ctx, jobs.Topic(pki.DeviceName, "start-next"), func(token string) []byte {
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
	if err := d.install(ctx, j.JobDocument); err != nil {
		if ctx.Err() != nil {
			return err // the job stays in progress
		}
		u = jobUpdate{Status: jobs.Failed, Details: map[string]string{"step": "download", "reason": err.Error()}}
	}
	d.record(clients.EventOTAState, "device: "+string(u.Status))
	a, err := d.request(ctx, jobs.Topic(pki.DeviceName, j.JobID+"/update"), func(token string) []byte {
		u.ClientToken = token
		return encode(u, 0)
	})
	// A request repeated on a new connection may have been obeyed before.
	if err == nil && !a.accepted && !ended(a.payload, u.Status) {
		err = fmt.Errorf("job %s: %s", j.JobID, a.payload)
	}
	return err
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

// install downloads the image and verifies it. As in the reference experiment
// it is not applied.
func (d *device) install(ctx context.Context, doc jobDocument) error {
	if err := d.download(ctx, doc); err != nil {
		return err
	}
	sum := sha256.Sum256(d.flash.data)
	if hex.EncodeToString(sum[:]) != doc.SHA256 {
		d.flash.data = nil
		return errors.New("SHA-256 does not match")
	}
	return nil
}

// download brings the image into flash. An attempt that is cut short is
// followed by another, from the start or, with OTAResume, from where it
// stopped.
func (d *device) download(ctx context.Context, doc jobDocument) error {
	where, err := url.Parse(doc.URL)
	if err != nil {
		return err
	}
	req := httpfile.Request{
		Host: d.env.Device, Addr: netip.AddrPortFrom(d.env.Platform.Addr(), httpsPort).String(),
		Path: where.Path, TLS: d.tls, ETag: doc.ETag, Stall: d.opt.OTAStall,
	}
	f := d.flash
	f.data = slices.Grow(f.data, max(0, int(doc.Size)-len(f.data)))
	for pause := time.Second; ; pause = min(2*pause, d.opt.ReconnectMax) {
		if !d.opt.OTAResume || f.etag != doc.ETag {
			f.etag, f.data = doc.ETag, f.data[:0]
		}
		req.Offset = int64(len(f.data))
		if req.Offset == doc.Size {
			return nil // it was complete before a reboot
		}
		got := false
		rsp, err := httpfile.Download(ctx, req, func(offset int64, chunk []byte) error {
			got = true
			return d.store(doc, offset, chunk)
		})
		if status := new(httpfile.StatusError); errors.As(err, &status) || errors.Is(err, errTooLong) {
			return err
		}
		if err == nil && rsp.ETag != doc.ETag {
			return fmt.Errorf("image has changed: entity tag %s, want %s", rsp.ETag, doc.ETag)
		}
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
		d.record(clients.EventOTAState, fmt.Sprintf("device: interrupted at %d: %v", len(f.data), err))
		if got {
			pause = time.Second
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

var errTooLong = errors.New("image is longer than announced")

// store writes a chunk to flash.
func (d *device) store(doc jobDocument, offset int64, chunk []byte) error {
	if offset+int64(len(chunk)) > doc.Size {
		return errTooLong
	}
	d.flash.data = append(d.flash.data[:offset], chunk...)
	d.env.Record(clients.Event{Kind: clients.EventOTAData, Offset: offset, Length: int64(len(chunk))})
	return nil
}
