package mqtt

import (
	"context"
	"fmt"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/mqtt/shadow"
)

// report publishes a reading until it has arrived; without anybody who could
// tell, once for each connection that is lost meanwhile.
func (d *device) report(ctx context.Context, r clients.Reading, arrived <-chan struct{}) error {
	if d.opt.Topics == "shadow" {
		return d.updateShadow(ctx, func(token string) []byte { return shadowReport(readingObject(r), token, d.opt.Indent) })
	}
	publish := d.publish(ctx, d.reportTopic(), plainReport(r))
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
	done := make(chan int64, 1)
	stop := make(chan struct{})
	defer close(stop)
	go func() { // pass on the awaited command, drop others
		for {
			select {
			case v := <-d.commands:
				if send == nil || v == value {
					done <- v
					return
				}
			case <-stop:
				return
			}
		}
	}()
	value, err := exchange(ctx, d, done, func(*link) error {
		if send == nil {
			return nil
		}
		return send(ctx)
	})
	if err != nil || d.opt.Topics == "plain" {
		return err
	}
	return d.updateShadow(ctx, func(token string) []byte {
		return shadowReport(&object{Command: &value}, token, d.opt.Indent)
	})
}
