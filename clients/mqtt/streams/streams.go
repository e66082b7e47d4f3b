package streams

import (
	"fmt"
	"strings"
	"sync"

	"github.com/thinlink/thinlink/clients/mqtt/broker"
)

// Limits of the service ("AWS IoT Core endpoints and quotas").
const (
	MinBlock    = 256
	MaxBlock    = 128 << 10
	MaxResponse = 128 << 10 // bytes of all blocks that one request brings
	maxBlocks   = 98304
	maxToken    = 64
)

// Topic is a topic of the service for one thing and stream: "get/cbor",
// "data/cbor" or "rejected/cbor". Both may be "+" in a filter.
func Topic(thing, stream, rest string) string {
	return "$aws/things/" + thing + "/streams/" + stream + "/" + rest
}

// Service keeps streams and answers the topics of a broker.
type Service struct {
	mu      sync.Mutex
	b       *broker.Broker
	cancel  func()
	streams map[string]*stream
}

type stream struct {
	data    []byte
	version int64
}

// New makes a service without streams.
func New() *Service { return &Service{cancel: func() {}, streams: make(map[string]*stream)} }

// Put offers data under a name, replacing what was there, and returns the
// stream's version. The data must not change afterwards.
func (s *Service) Put(name string, data []byte) (version int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.streams[name]; old != nil {
		version = old.version
	}
	version++
	s.streams[name] = &stream{data, version}
	return version
}

// Remove withdraws a stream.
func (s *Service) Remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streams, name)
}

// Serve answers on a broker, and no more on the one before: a platform that
// has restarted has its streams still.
func (s *Service) Serve(b *broker.Broker) error {
	cancel, err := b.Subscribe(Topic("+", "+", "get/cbor"), s.handle)
	if err != nil {
		return fmt.Errorf("streams: %w", err)
	}
	s.mu.Lock()
	old := s.cancel
	s.b, s.cancel = b, cancel
	s.mu.Unlock()
	old()
	return nil
}

// handle answers one request. The only error of publishing is that the broker
// is closed: the thing asks again when it has connected.
func (s *Service) handle(m broker.Message) {
	levels := strings.Split(m.Topic, "/")
	thing, name := levels[2], levels[4]
	s.mu.Lock()
	b := s.b
	blocks, rejection := s.blocks(name, m.Payload)
	s.mu.Unlock()
	if rejection != nil {
		_ = b.Publish(broker.Message{Topic: Topic(thing, name, "rejected/cbor"), Payload: rejection.Encode()})
	}
	for _, block := range blocks {
		_ = b.Publish(broker.Message{Topic: Topic(thing, name, "data/cbor"), Payload: block.Encode()})
	}
}

// blocks are what a request asks for.
func (s *Service) blocks(name string, payload []byte) ([]Block, *Rejection) {
	r, err := ParseRequest(payload)
	reject := func(code, format string, a ...any) ([]Block, *Rejection) {
		return nil, &Rejection{Code: code, Message: fmt.Sprintf(format, a...), Token: r.Token}
	}
	if err != nil {
		return reject("InvalidCbor", "The request cannot be read")
	}
	if len(r.Token) > maxToken {
		r.Token = ""
		return reject("InvalidRequest", "The client token is longer than %d bytes", maxToken)
	}
	st := s.streams[name]
	switch {
	case st == nil || r.File != 0:
		return reject("ResourceNotFound", "File %d of stream %s does not exist", r.File, name)
	case r.Version != 0 && r.Version != st.version:
		return reject("VersionMismatch", "The stream has version %d", st.version)
	case r.Size < MinBlock || r.Size > MaxBlock:
		return reject("BlockSizeOutOfBounds", "Want %d to %d bytes", MinBlock, MaxBlock)
	case r.Offset < 0 || r.Offset*r.Size >= int64(len(st.data)) || r.Offset > maxBlocks:
		return reject("OffsetOutOfBounds", "The file has %d bytes", len(st.data))
	case r.Count < 0 || r.Count > maxBlocks:
		return reject("BlockCountLimitExceeded", "Want at most %d blocks", maxBlocks)
	case len(r.Bitmap) > maxBlocks/8:
		return reject("BlockBitmapLimitExceeded", "Want at most %d blocks", maxBlocks)
	}
	return r.pick(st.data), nil
}

// pick cuts the wanted blocks out of the file, as many as one request brings.
func (r Request) pick(data []byte) (blocks []Block) {
	size := int64(len(data))
	room := MaxResponse / r.Size
	if r.Count > 0 {
		room = min(room, r.Count)
	}
	for i := int64(0); int64(len(blocks)) < room; i++ {
		start := (r.Offset + i) * r.Size
		if start >= size || len(r.Bitmap) > 0 && i >= 8*int64(len(r.Bitmap)) {
			break
		}
		if len(r.Bitmap) > 0 && r.Bitmap[i/8]>>(i%8)&1 == 0 {
			continue
		}
		blocks = append(blocks, Block{Token: r.Token, Index: r.Offset + i, Payload: data[start:min(start+r.Size, size)]})
	}
	return blocks
}
