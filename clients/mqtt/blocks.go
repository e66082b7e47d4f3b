package mqtt

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/mqtt/broker"
	"github.com/thinlink/thinlink/clients/mqtt/streams"
)

// An image in blocks over MQTT: the device asks for those that it lacks, at
// most Window at a time, so that a ping never waits behind the whole image. It
// asks again when half of them have come: the rest is on its way meanwhile.
// Requests and blocks travel at QoS 0, as with AWS IoT; TCP delivers them
// unless the connection breaks, and then the device asks for what is missing.

// asker asks for blocks on a connection.
type asker func(ctx context.Context, l *link, blocks []int64) error

// fetchBlocks brings the rest of the image into flash.
func (i *image) fetchBlocks(ctx context.Context, ask asker) error {
	d := i.device
	var asked []int64
	var on *link
	for timeout := d.opt.BlockTimeout; !i.complete(); {
		l, err := d.online(ctx)
		if err != nil {
			return err
		}
		if l != on { // what was asked for went down with its connection
			asked, on = nil, l
		}
		if more := i.missing(d.opt.Window-len(asked), asked); 2*len(asked) <= d.opt.Window && len(more) > 0 {
			if err := i.try(ctx, func() error { return ask(ctx, l, more) }); errors.Is(err, errAgain) {
				continue
			} else if err != nil {
				return err
			}
			asked = append(asked, more...)
		}
		switch err := i.wait(ctx, l, timeout); {
		case err == nil:
			timeout = d.opt.BlockTimeout
			asked = slices.DeleteFunc(asked, i.hasBlock)
		case errors.Is(err, errSilence):
			d.record(clients.EventOTAState, fmt.Sprintf("device: asking again from %d on", i.done()))
			asked, timeout = nil, min(2*timeout, 8*d.opt.BlockTimeout)
		case !errors.Is(err, errLost):
			return err
		}
	}
	return nil
}

var (
	errSilence = errors.New("no block came")
	errAgain   = errors.New("connection is going down")
)

// try sends something. What fails with its connection is errAgain.
func (i *image) try(ctx context.Context, send func() error) error {
	err := send()
	switch {
	case err == nil || ctx.Err() != nil:
		return err
	case errors.Is(err, errLost):
		return errAgain
	}
	// Paho's errors mean that the connection is going down.
	if err := clients.Sleep(ctx, time.Second); err != nil {
		return err
	}
	return errAgain
}

// wait waits for a block.
func (i *image) wait(ctx context.Context, l *link, timeout time.Duration) error {
	t := time.NewTimer(timeout)
	defer t.Stop()
	select {
	case <-i.arrived:
		i.mu.Lock()
		defer i.mu.Unlock()
		return i.failed
	case <-l.lost:
		return errLost
	case <-t.C:
		return errSilence
	case <-ctx.Done():
		return ctx.Err()
	}
}

// blockReceived deals with a message that carries a block, or says why it
// does not. An error means that the message is wanted again.
func (d *device) blockReceived(topic string, payload []byte) error {
	d.mu.Lock()
	i := d.image
	d.mu.Unlock()
	job, number, data, err := d.parseBlock(topic, payload)
	if i == nil || job != i.state.Job {
		return nil // of an update that has ended
	}
	if err != nil {
		i.tell(err)
		return nil
	}
	return i.take(number, data)
}

// parseBlock reads a block in any of its forms. job is valid with an error,
// too.
func (d *device) parseBlock(topic string, payload []byte) (job string, number int64, data []byte, err error) {
	if rest, ok := strings.CutPrefix(topic, d.streamPrefix()); ok {
		job, kind, _ := strings.Cut(rest, "/")
		if kind != "data/cbor" {
			r, err := streams.ParseRejection(payload)
			if err == nil {
				err = r
			}
			return job, 0, nil, err
		}
		b, err := streams.ParseBlock(payload)
		return job, b.Index, b.Payload, err
	}
	if rest, ok := strings.CutPrefix(topic, pushPrefix); ok {
		job, n, _ := strings.Cut(rest, "/")
		number, err = strconv.ParseInt(n, 10, 64)
		return job, number, payload, err
	}
	job, number, err = parseChunkTopic(strings.TrimPrefix(topic, chunkResponse))
	return job, number, payload, err
}

// take stores a block and tells who waits for it.
func (i *image) take(number int64, data []byte) error {
	size, block := i.state.Size, i.state.Block
	if number < 0 || number > (size-1)/block || int64(len(data)) != min(block, size-number*block) {
		i.tell(fmt.Errorf("block %d has %d bytes, in an image of %d and blocks of %d", number, len(data), size, block))
		return nil
	}
	err := i.store(number*block, data)
	i.tell(err)
	return err
}

// tell wakes who waits for a block.
func (i *image) tell(err error) {
	i.mu.Lock()
	i.blocks++
	if i.failed == nil {
		i.failed = err
	}
	i.mu.Unlock()
	select {
	case i.arrived <- struct{}{}:
	default: // awake already
	}
}

// received counts the blocks that came.
func (i *image) received() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.blocks
}

// Blocks as AWS IoT Streams deliver them; the stream has the job's name.
func (d *device) streamPrefix() string { return "$aws/things/" + d.name + "/streams/" }

func (d *device) streamTopic(stream, rest string) string { return streams.Topic(d.name, stream, rest) }

// streamToken is the client token of the vendor's library.
const streamToken = "rdy"

// askStream asks for all blocks in one request, by their bitmap.
func (d *device) askStream(stream string, revision, size int64) asker {
	return func(ctx context.Context, l *link, blocks []int64) error {
		var wanted bitmap
		for _, n := range blocks {
			wanted.set(int(n - blocks[0]))
		}
		r := streams.Request{
			Token: streamToken, Version: revision, Size: size,
			Offset: blocks[0], Count: int64(len(blocks)), Bitmap: wanted,
		}
		return d.client.publish(ctx, l, outgoing{topic: d.streamTopic(stream, "get/cbor"), payload: r.Encode()})
	}
}

// Chunks travel as on the ThingsBoard platform ("MQTT device API: firmware"):
// the device asks for chunk N by a message with the chunk size as its payload,
// on chunkRequest + ID + "/chunk/N", and gets the bytes on chunkResponse + ID +
// "/chunk/N"; ID is that of the job.
const (
	chunkRequest  = "v2/fw/request/"
	chunkResponse = "v2/fw/response/"
)

func chunkTopic(prefix, id string, n int64) string {
	return prefix + id + "/chunk/" + strconv.FormatInt(n, 10)
}

// askChunks asks for each chunk in a message of its own.
func (d *device) askChunks(id string, size int64) asker {
	return func(ctx context.Context, l *link, blocks []int64) error {
		for _, n := range blocks {
			m := outgoing{topic: chunkTopic(chunkRequest, id, n), payload: strconv.AppendInt(nil, size, 10)}
			if err := d.client.publish(ctx, l, m); err != nil {
				return err
			}
		}
		return nil
	}
}

// sendChunk answers a request for a chunk with the request's QoS. A chunk that
// does not exist is empty.
func (p *Platform) sendChunk(m broker.Message) {
	id, n, err := parseChunkTopic(strings.TrimPrefix(m.Topic, chunkRequest))
	if err != nil {
		p.env.Record(clients.Event{Kind: clients.EventWarning, Detail: "chunk: " + err.Error()})
		return
	}
	size, err := strconv.ParseInt(string(m.Payload), 10, 32)
	p.mu.Lock()
	data := p.images[id]
	p.mu.Unlock()
	var chunk []byte
	if start := n * size; err == nil && size > 0 && start/size == n && start < int64(len(data)) {
		chunk = data[start:min(start+size, int64(len(data)))]
	}
	// The only error is that the broker is closed: the device asks again.
	_ = p.current().Publish(broker.Message{Topic: chunkTopic(chunkResponse, id, n), Payload: chunk, QoS: m.QoS})
}

// parseChunkTopic reads ID/chunk/N.
func parseChunkTopic(rest string) (id string, n int64, err error) {
	id, number, ok := strings.Cut(rest, "/chunk/")
	if n, err = strconv.ParseInt(number, 10, 64); !ok || err != nil || n < 0 {
		return id, 0, fmt.Errorf("topic %s: want ID/chunk/N", rest)
	}
	return id, n, nil
}
