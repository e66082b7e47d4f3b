package mqtt

import (
	"context"
	"errors"
	"fmt"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/mqtt/broker"
)

// An image in retained messages, as many fleets without a service for it do:
// the platform publishes every chunk at QoS 1 on pushPrefix + JOB + "/NNNNNN",
// and the device subscribes. The broker sends on until all is acknowledged; a
// chunk is acknowledged when it is in flash. In a persistent session what is
// not acknowledged comes again after an interruption, and nothing else. When
// the session is lost, or is a clean one, the device subscribes again and the
// broker sends everything again.
const pushPrefix = "thinlink/firmware/"

// maxChunks is how many chunks the platform can offer: its broker keeps no more
// messages.
const maxChunks = 1 << 16

// maxImage is how many bytes of chunks wait for a device: the largest image,
// which is in memory anyway.
const maxImage = 64 << 20

// push publishes the chunks.
func (p *Platform) push(topic string, data []byte) error {
	size := int(p.opt.BlockSize)
	if n := (len(data) + size - 1) / size; n > maxChunks {
		return fmt.Errorf("image of %d bytes has %d chunks: want at most %d, by a larger block_size", len(data), n, maxChunks)
	}
	for n := 0; n*size < len(data); n++ {
		m := broker.Message{
			// Numbers of constant length are in order for the broker.
			Topic: fmt.Sprintf("%s/%06d", topic, n), Payload: data[n*size : min((n+1)*size, len(data))],
			QoS: 1, Retain: true,
		}
		if err := p.current().Publish(m); err != nil {
			return err
		}
	}
	return nil
}

// receivePushed waits until the whole image is in flash.
func (i *image) receivePushed(ctx context.Context, topic string) error {
	d := i.device
	filter := topic + "/+"
	for timeout, again := d.opt.BlockTimeout, false; !i.complete(); {
		l, err := d.online(ctx)
		if err != nil {
			return err
		}
		if !d.isSubscribed(filter) {
			if err := i.try(ctx, func() error { return d.subscribeChunks(l, filter) }); errors.Is(err, errAgain) {
				continue
			} else if err != nil {
				return err
			}
		}
		switch err := i.wait(ctx, l, timeout); {
		case err == nil:
			timeout, again = d.opt.BlockTimeout, false
		case errors.Is(err, errSilence):
			empty, err := i.queueIsEmpty(ctx)
			if err != nil {
				return err
			}
			if !empty {
				continue
			}
			if again {
				return fmt.Errorf("block %d does not come", i.missing(1, nil)[0])
			}
			d.record(clients.EventOTAState, "device: subscribing again")
			if err := d.unsubscribed(filter); err != nil {
				return err
			}
			timeout, again = 2*timeout, true
		case !errors.Is(err, errLost):
			return err
		}
	}
	return d.unsubscribeChunks(ctx, filter)
}

// queueIsEmpty reports whether no chunk is on its way: the answer to a request
// comes behind all of them.
func (i *image) queueIsEmpty(ctx context.Context) (bool, error) {
	before := i.received()
	_, err := i.device.nextJob(ctx) // which leaves a job in progress as it is
	return i.received() == before, err
}

func (d *device) subscribeChunks(l *link, filter string) error {
	if err := d.client.subscribe(d.ctx, l, 1, filter); err != nil {
		return err
	}
	return d.subscribed(filter)
}

// unsubscribeChunks tells the platform that no more chunks are wanted. If the
// connection breaks they will be dropped instead.
func (d *device) unsubscribeChunks(ctx context.Context, filter string) error {
	l, err := d.online(ctx)
	if err != nil {
		return err
	}
	if err := d.client.unsubscribe(ctx, l, filter); err != nil && ctx.Err() != nil {
		return err
	}
	return d.unsubscribed(filter)
}
