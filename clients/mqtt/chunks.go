package mqtt

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/mqtt/broker"
)

// An image in chunks travels as on the ThingsBoard platform ("MQTT device API:
// firmware"): the device asks for chunk N by a message with the chunk size as
// its payload, on chunkRequest + ID + "/chunk/N", and gets the bytes on
// chunkResponse + ID + "/chunk/N"; ID is that of the job. One chunk is under
// way at a time, so that a ping never waits behind the image.
const (
	chunkRequest  = "v2/fw/request/"
	chunkResponse = "v2/fw/response/"
)

func chunkTopic(prefix, id string, n int64) string {
	return prefix + id + "/chunk/" + strconv.FormatInt(n, 10)
}

// fetchChunks brings the rest of the image into flash.
func (i *image) fetchChunks(ctx context.Context) error {
	if err := i.begin(); err != nil {
		return err
	}
	d, size := i.device, int64(i.device.opt.ChunkSize)
	i.done -= i.done % size // another chunk size may have been in use before
	for i.done < i.doc.Size {
		n := i.done / size
		a, err := d.ask(ctx, chunkTopic(chunkResponse, i.id, n), chunkTopic(chunkRequest, i.id, n), strconv.AppendInt(nil, size, 10))
		if err != nil {
			return err
		}
		if int64(len(a.payload)) != min(size, i.doc.Size-i.done) {
			return fmt.Errorf("chunk %d has %d bytes", n, len(a.payload))
		}
		if err := i.store(i.done, a.payload); err != nil {
			return err
		}
	}
	return nil
}

// sendChunk answers a request for a chunk with the request's QoS.
func (p *platform) sendChunk(m broker.Message) {
	id, n, err := parseChunkRequest(m.Topic)
	size, err2 := strconv.ParseInt(string(m.Payload), 10, 32)
	p.mu.Lock()
	data, known := p.images[id]
	p.mu.Unlock()
	start := n * size
	if err = errors.Join(err, err2); err != nil || !known || size <= 0 || start < 0 || start/size != n || start >= int64(len(data)) {
		p.env.Record(clients.Event{Kind: clients.EventWarning, Detail: fmt.Sprintf("no chunk for %s of %q", m.Topic, m.Payload)})
		return
	}
	chunk := data[start:min(start+size, int64(len(data)))]
	// The only error is that the broker is closed: the device asks again.
	_ = p.current().Publish(broker.Message{Topic: chunkTopic(chunkResponse, id, n), Payload: chunk, QoS: m.QoS})
}

func parseChunkRequest(topic string) (id string, n int64, err error) {
	id, number, ok := strings.Cut(strings.TrimPrefix(topic, chunkRequest), "/chunk/")
	if n, err = strconv.ParseInt(number, 10, 64); !ok || err != nil || n < 0 {
		return "", 0, fmt.Errorf("topic %s: want %sID/chunk/N", topic, chunkRequest)
	}
	return id, n, nil
}
