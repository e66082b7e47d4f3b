package mqtt

import (
	"math"
	"testing"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/mqtt/broker"
	"github.com/thinlink/thinlink/clients/mqtt/streams"
	"github.com/thinlink/thinlink/clients/pki"
)

func TestParseBlock(t *testing.T) {
	d := &device{name: pki.DeviceName}
	for _, c := range []struct {
		topic, payload string
		number         int64 // -1: an error
	}{
		{chunkTopic(chunkResponse, "job-1", 17), "data", 17},
		{pushPrefix + "job-1/000017", "data", 17},
		{d.streamTopic("job-1", "data/cbor"), string(streams.Block{Index: 17, Payload: []byte("data")}.Encode()), 17},
		{d.streamTopic("job-1", "rejected/cbor"), string((&streams.Rejection{Code: "OffsetOutOfBounds"}).Encode()), -1},
		{d.streamTopic("job-1", "rejected/cbor"), "?", -1},
		{d.streamTopic("job-1", "data/cbor"), "?", -1},
		{pushPrefix + "job-1/", "data", -1},
		{pushPrefix + "job-1", "data", -1},
		{chunkResponse + "job-1/chunk/", "data", -1},
		{chunkResponse + "job-1/chunk/-1", "data", -1},
		{chunkResponse + "job-1/chunk/x", "data", -1},
		{chunkResponse + "job-1", "data", -1},
	} {
		job, number, data, err := d.parseBlock(c.topic, []byte(c.payload))
		if job != "job-1" {
			t.Errorf("%s: job %q", c.topic, job)
		}
		if c.number < 0 && err == nil || c.number >= 0 && (err != nil || number != c.number || string(data) != "data") {
			t.Errorf("%s %q: block %d %q, %v", c.topic, c.payload, number, data, err)
		}
	}
}

// A chunk that does not exist is empty, which ends the device's download.
func TestNoSuchChunk(t *testing.T) {
	run(t, nil, func(w *world) {
		w.platform.images["j"] = make([]byte, 10)
		var got []int
		_, err := w.platform.current().Subscribe(chunkResponse+"#", func(m broker.Message) { got = append(got, len(m.Payload)) })
		w.must(err)
		for i, c := range []struct {
			topic, payload string
			length         int
		}{
			{"j/chunk/0", "6", 6}, {"j/chunk/1", "6", 4}, {"j/chunk/2", "5", 0}, {"j/chunk/0", "0", 0},
			{"j/chunk/0", "-5", 0}, {"j/chunk/0", "x", 0}, {"k/chunk/0", "5", 0}, {"j/chunk/9223372036854775807", "2147483647", 0},
		} {
			w.must(w.platform.current().Publish(broker.Message{Topic: chunkRequest + c.topic, Payload: []byte(c.payload)}))
			if len(got) != i+1 || got[i] != c.length {
				w.t.Errorf("%s %s: lengths %v, want %d", c.topic, c.payload, got, c.length)
			}
		}
		w.must(w.platform.current().Publish(broker.Message{Topic: chunkRequest + "j/chunk/x", Payload: []byte("5")}))
		w.wantCount(clients.EventWarning, "want ID/chunk/N", 1)
	})
}

// A block that does not belong into the image ends the download and leaves
// the file alone.
func TestWrongBlocks(t *testing.T) {
	for _, c := range []struct {
		number int64
		length int
		ok     bool
	}{
		{0, 1000, true}, {2, 500, true}, {2, 1000, false}, {1, 999, false}, {0, 0, false},
		{3, 0, false}, {3, 1000, false}, {-1, 1000, false}, {math.MaxInt64, 1000, false}, {math.MinInt64, 1000, false},
	} {
		run(t, nil, func(w *world) {
			i, err := w.current().openImage(imageState{Job: "j", Size: 2500, Block: 1000})
			w.must(err)
			w.must(i.take(c.number, make([]byte, c.length)))
			if (i.failed == nil) != c.ok {
				w.t.Errorf("block %d of %d bytes: %v", c.number, c.length, i.failed)
			}
			if n, err := i.file.Size(); err != nil || (n > 0) != c.ok || n > 2500 {
				w.t.Errorf("block %d of %d bytes: file of %d bytes, %v", c.number, c.length, n, err)
			}
		})
	}
}
