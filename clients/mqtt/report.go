package mqtt

import (
	"context"
	"fmt"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/mqtt/azure"
	"github.com/thinlink/thinlink/clients/mqtt/shadow"
)

// report publishes a reading until it has arrived; without anybody who could
// tell, once for each connection that is lost meanwhile.
func (d *device) report(ctx context.Context, r clients.Reading, arrived <-chan struct{}) error {
	if d.opt.Topics == "shadow" {
		return d.updateShadow(ctx, func(token string) []byte { return shadowReport(readingObject(r), token, d.opt.Indent) })
	}
	m := outgoing{topic: d.reportTopic(), payload: d.format().Reading(r), retain: d.opt.Retain}
	if d.opt.Topics == "azure" {
		m = outgoing{topic: azure.Telemetry(d.name), payload: m.payload}
	}
	publish := d.publishMessage(ctx, m)
	if arrived == nil {
		sent := make(chan struct{})
		arrived, publish = sent, onceDone(publish, sent)
	}
	_, err := exchange(ctx, d, arrived, publish)
	return err
}

// onceDone closes a channel when publishing has succeeded.
func onceDone(publish func(*link) error, done chan struct{}) func(*link) error {
	return func(l *link) error {
		err := publish(l)
		if err == nil {
			close(done)
		}
		return err
	}
}

// updateShadow publishes a shadow update that must be accepted.
func (d *device) updateShadow(ctx context.Context, payload func(token string) []byte) error {
	a, err := d.request(ctx, shadow.Topic(d.name, "update"), payload)
	if err == nil && !a.accepted {
		err = fmt.Errorf("shadow update rejected: %s", a.payload)
	}
	return err
}

// command waits for a command that send makes the platform send; without send,
// for any that comes.
func (d *device) command(ctx context.Context, value int64, send func(context.Context) error) error {
	done := make(chan command, 1)
	stop := make(chan struct{})
	defer close(stop)
	go func() { // pass on the awaited command, drop others
		for {
			select {
			case c := <-d.commands:
				if send == nil || c.value == value {
					done <- c
					return
				}
			case <-stop:
				return
			}
		}
	}()
	c, err := exchange(ctx, d, done, func(*link) error {
		if send == nil {
			return nil
		}
		return send(ctx)
	})
	switch {
	case err != nil:
		return err
	case c.answer != nil:
		answered := make(chan struct{})
		_, err = exchange(ctx, d, answered, onceDone(d.publishMessage(ctx, *c.answer), answered))
		return err
	case d.opt.Topics == "shadow":
		return d.updateShadow(ctx, func(token string) []byte {
			return shadowReport(&object{Command: &c.value}, token, d.opt.Indent)
		})
	}
	return nil
}
