package mqtt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"net"
	"sync"

	"github.com/eclipse/paho.golang/packets"
	pahosession "github.com/eclipse/paho.golang/paho/session"
	"github.com/eclipse/paho.golang/paho/session/state"
)

// session5 is the library's session, which must not be told of a packet after
// the connection that it came on: it would answer on none.
type session5 struct {
	*state.State
	mu        sync.Mutex
	connected bool
}

// ConAckReceived implements session.SessionManager.
func (s *session5) ConAckReceived(w io.Writer, c *packets.Connect, ack *packets.Connack) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connected = true
	return s.State.ConAckReceived(w, c, ack)
}

// ConnectionLost implements session.SessionManager.
func (s *session5) ConnectionLost(p *packets.Disconnect) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connected = false
	return s.State.ConnectionLost(p)
}

// PacketReceived implements session.SessionManager.
func (s *session5) PacketReceived(p *packets.ControlPacket, publishes chan<- *packets.Publish) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.connected {
		return pahosession.ErrNoConnection
	}
	return s.State.PacketReceived(p, publishes)
}

// store5 keeps the library's packets in a pile, by their identifier.
type store5 struct{ *pile }

func key5(id uint16) string { return string(binary.BigEndian.AppendUint16(nil, id)) }

// Put stores a packet.
func (s store5) Put(id uint16, _ byte, w io.WriterTo) error {
	var b bytes.Buffer
	if _, err := w.WriteTo(&b); err != nil {
		return err
	}
	s.put(key5(id), b.Bytes())
	return nil
}

// Get gives a packet.
func (s store5) Get(id uint16) (io.ReadCloser, error) {
	wire := s.get(key5(id))
	if wire == nil {
		return nil, fmt.Errorf("packet %d: %w", id, fs.ErrNotExist)
	}
	return io.NopCloser(bytes.NewReader(wire)), nil
}

// Delete removes a packet.
func (s store5) Delete(id uint16) error {
	s.remove(key5(id))
	return nil
}

// Quarantine removes a packet that cannot be read.
func (s store5) Quarantine(id uint16) error { return s.Delete(id) }

// List gives the identifiers in the order in which their packets were stored.
func (s store5) List() (ids []uint16, err error) {
	for _, key := range s.keys() {
		ids = append(ids, binary.BigEndian.Uint16([]byte(key)))
	}
	return ids, nil
}

// Reset removes all.
func (s store5) Reset() error {
	s.clear()
	return nil
}

// readPacket5 reads exactly one packet.
func readPacket5(wire []byte) (*packets.ControlPacket, error) {
	r := bytes.NewReader(wire)
	p, err := packets.ReadPacket(r)
	if err == nil && r.Len() > 0 {
		err = fmt.Errorf("%d bytes behind the packet", r.Len())
	}
	return p, err
}

// packetConn writes each packet in one piece, which is one TLS record, and
// replaces topics by aliases. The library writes pieces between Lock and
// Unlock, and stores a packet before it writes it: what is stored has its topic,
// so that it can be sent again on a connection where the alias means nothing
// [MQTT-3.3.2-7].
type packetConn struct {
	net.Conn
	mu      sync.Mutex
	packet  []byte
	failed  error
	most    int // aliases
	aliases map[string]uint16
}

var _ sync.Locker = (*packetConn)(nil)

// useAliases permits so many aliases from now on.
func (c *packetConn) useAliases(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.most, c.aliases = n, map[string]uint16{}
}

// Lock begins a packet.
func (c *packetConn) Lock() { c.mu.Lock() }

// Write adds to the packet; the error is that of an earlier one.
func (c *packetConn) Write(b []byte) (int, error) {
	if c.failed != nil {
		return 0, c.failed
	}
	c.packet = append(c.packet, b...)
	return len(b), nil
}

// Unlock writes the packet. One that cannot be written ends the connection.
func (c *packetConn) Unlock() {
	defer c.mu.Unlock()
	packet := c.packet
	c.packet = nil
	if c.failed != nil || len(packet) == 0 {
		return
	}
	if c.most > 0 && packet[0]>>4 == packets.PUBLISH {
		packet = c.shorten(packet)
	}
	if _, c.failed = c.Conn.Write(packet); c.failed != nil {
		c.Conn.Close()
	}
}

// shorten gives a PUBLISH an alias, if its topic has one or can get one.
func (c *packetConn) shorten(wire []byte) []byte {
	cp, err := readPacket5(wire)
	if err != nil {
		return wire // the platform will say so
	}
	p := cp.Content.(*packets.Publish)
	alias, known := c.aliases[p.Topic]
	if !known {
		if len(c.aliases) == c.most {
			return wire
		}
		alias = uint16(len(c.aliases) + 1)
		c.aliases[p.Topic] = alias
	} else {
		p.Topic = ""
	}
	p.Properties.TopicAlias = &alias
	var b bytes.Buffer
	if _, err := p.WriteTo(&b); err != nil {
		return wire
	}
	return b.Bytes()
}
