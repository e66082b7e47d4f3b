package mqtt

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/mqtt/azure"
	"github.com/thinlink/thinlink/clients/mqtt/jobs"
)

// A device of an Azure IoT hub: its readings are telemetry, its commands direct
// methods or messages, and its firmware is a desired property, as the vendor's
// guide to firmware updates by the device twin has it:
//
//	desired:  {"firmware":{"job":"update-000001","document":{"url":"...",...}}}
//	reported: {"firmware":{"job":"update-000001","status":"SUCCEEDED"}}
type hubProperties struct {
	Firmware *hubFirmware `json:"firmware,omitempty"`
	Device   *about       `json:"device,omitempty"`
}

type hubFirmware struct {
	Job      string       `json:"job"`
	Document *jobDocument `json:"document,omitempty"`
	Status   jobs.Status  `json:"status,omitempty"`
	Reason   string       `json:"reason,omitempty"`
}

// hubTwin is the device twin as far as the device reads it.
type hubTwin struct {
	Desired, Reported hubProperties
}

func (d *device) hubSubscriptions() []string {
	topics := []string{azure.TwinResults, azure.TwinDesired}
	if d.opt.Command == "message" {
		return append(topics, azure.DeviceBound(d.name)+"#")
	}
	return append(topics, azure.Methods)
}

// hubReceived handles a message of the hub.
func (d *device) hubReceived(m incoming) {
	if r, ok := azure.ParseResult(m.topic); ok {
		d.deliver(r.ID, answer{accepted: r.Status/100 == 2, payload: m.payload})
		return
	}
	if call, ok := azure.ParseCall(m.topic); ok {
		if value, ok := parseCommand(m.payload); ok {
			d.commanded(command{value, &outgoing{topic: call.AnswerTopic(200), payload: []byte("{}")}})
		} else {
			d.running.Go(func() { d.refuse(call) })
		}
		return
	}
	if strings.HasPrefix(m.topic, azure.DeviceBound(d.name)) {
		if value, ok := parseCommand(m.payload); ok {
			d.commanded(command{value: value})
		}
		return
	}
	var changed hubProperties
	if json.Unmarshal(m.payload, &changed) == nil && changed.Firmware != nil {
		d.jobChanged()
	}
}

// refuse answers a method that the device does not have. If the connection is
// lost meanwhile, so is the call.
func (d *device) refuse(call azure.Call) {
	if l, err := d.online(d.ctx); err == nil {
		_ = d.client.publish(d.ctx, l, outgoing{topic: call.AnswerTopic(404), payload: []byte("{}"), qos: byte(d.opt.QoS)})
	}
}

// askHub makes a request of the hub and returns the payload of its answer.
func (d *device) askHub(ctx context.Context, topic func(id string) string, payload []byte) ([]byte, error) {
	d.mu.Lock()
	d.requests = d.requests%99999 + 1
	id := strconv.FormatUint(100_000*d.state.Boots+uint64(d.requests), 10)
	d.mu.Unlock()
	a, err := d.ask(ctx, id, topic(id), payload)
	if err == nil && !a.accepted {
		err = fmt.Errorf("%s: refused: %s", topic(id), a.payload)
	}
	return a.payload, err
}

func (d *device) patchTwin(ctx context.Context, p hubProperties) error {
	_, err := d.askHub(ctx, azure.PatchTopic, encode(p, 0))
	return err
}

// bootHub reports what the device is.
func (d *device) bootHub(ctx context.Context) error {
	return d.patchTwin(ctx, hubProperties{Device: aboutDevice(d.name).Device})
}

// hubJob reads the twin for firmware that is desired and not dealt with.
func (d *device) hubJob(ctx context.Context) (*job, error) {
	payload, err := d.askHub(ctx, azure.GetTopic, nil)
	if err != nil {
		return nil, err
	}
	var twin hubTwin
	if err := json.Unmarshal(payload, &twin); err != nil {
		return nil, fmt.Errorf("twin: %w", err)
	}
	want, done := twin.Desired.Firmware, twin.Reported.Firmware
	if want == nil || want.Document == nil || done != nil && done.Job == want.Job && done.Status.Terminal() {
		return nil, nil
	}
	return &job{JobID: want.Job, JobDocument: *want.Document}, nil
}

func (d *device) reportHubJob(ctx context.Context, id string, u jobUpdate) error {
	return d.patchTwin(ctx, hubProperties{Firmware: &hubFirmware{Job: id, Status: u.Status, Reason: u.Details["reason"]}})
}

// The platform's side.

// newHub makes the hub, which tells the application of telemetry and of updates
// that have ended.
func (p *Platform) newHub() *azure.Hub {
	h := azure.New(p.env.Now, azure.Handlers{
		Telemetry: func(device string, payload []byte) { p.reported(device, azure.Telemetry(device), payload) },
		Reported:  p.hubReported,
	})
	h.Assign(p.env.ServerName())
	return h
}

func (p *Platform) hubReported(device string, properties []byte) {
	var r hubProperties
	if json.Unmarshal(properties, &r) != nil || r.Firmware == nil || !r.Firmware.Status.Terminal() {
		return
	}
	p.jobChanged(jobs.Execution{
		JobID: r.Firmware.Job, Thing: device, Status: r.Firmware.Status,
		StatusDetails: map[string]string{"reason": r.Firmware.Reason},
	})
}

// hubCommand sends a command.
func (p *Platform) hubCommand(device string, value int64) error {
	payload := encode(object{Command: &value}, 0)
	if p.opt.Command == "message" {
		p.hub.Message(device, payload, byte(p.opt.QoS))
		return nil
	}
	return p.hub.Invoke(device, "command", payload, byte(p.opt.QoS), func(a azure.Answer) {
		p.env.Record(clients.Event{Kind: clients.EventState, Detail: fmt.Sprintf("platform: method answered with %d", a.Status)})
	})
}

// hubOffer makes firmware desired.
func (p *Platform) hubOffer(device, job string, doc jobDocument) error {
	p.env.Record(clients.Event{Kind: clients.EventOTAState, Detail: "platform: " + string(jobs.Queued)})
	return p.hub.Desire(device, encode(hubProperties{Firmware: &hubFirmware{Job: job, Document: &doc}}, 0), byte(p.opt.QoS))
}
