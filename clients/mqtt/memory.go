package mqtt

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/thinlink/thinlink/clients/flash"
)

// Names in the device's flash memory.
const (
	deviceRecord   = "mqtt-device"
	messagesRecord = "mqtt-messages"
)

// deviceState is what a device knows of itself after a reboot.
type deviceState struct {
	// Boots counts power-ons; client tokens of each are different.
	Boots uint64 `json:"boots"`
	// Topics are the subscriptions that the broker has granted to a persistent
	// session.
	Topics []string `json:"topics,omitempty"`
}

// loadDevice reads the record; one that is not there is that of a new device.
func loadDevice(store flash.Store) (s deviceState, err error) {
	data, err := store.Load(deviceRecord)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s, nil
	case err != nil:
		return s, err
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("flash: record %s: %w", deviceRecord, err)
	}
	return s, nil
}

func (s deviceState) save(store flash.Store) error { return store.Save(deviceRecord, encode(s, 0)) }

// messages is paho's store: what the device has sent at QoS 1 or 2 and the
// platform has not acknowledged, in the order in which it was sent. Of a
// persistent session it is kept in flash. What comes in is not stored: it is
// acknowledged only when it has been dealt with.
type messages struct {
	store flash.Store // nil: in memory only
	fail  func(error)

	mu   sync.Mutex
	list []message
	off  bool
}

// message is a packet as it is sent: paho goes on using the one that it has
// handed over.
type message struct {
	key  string
	wire []byte
}

var _ paho.Store = (*messages)(nil)

// openMessages reads what an earlier life of the device has left. store nil is
// a session that does not outlive the power; errors that come later go to
// fail.
func openMessages(store flash.Store, fail func(error)) (*messages, error) {
	m := &messages{store: store, fail: fail}
	if store == nil {
		return m, nil
	}
	data, err := store.Load(messagesRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	} else if err != nil {
		return nil, err
	}
	if m.list, err = parseMessages(data); err != nil {
		return nil, fmt.Errorf("flash: record %s: %w", messagesRecord, err)
	}
	return m, nil
}

// parseMessages reads what format has written: for each message its key and
// its packet, each after its length in four bytes.
func parseMessages(data []byte) (list []message, err error) {
	next := func() (field []byte) {
		if len(data) < 4 || uint64(binary.BigEndian.Uint32(data)) > uint64(len(data)-4) {
			err, data = errors.New("field is cut short"), nil
			return nil
		}
		n := binary.BigEndian.Uint32(data)
		field, data = data[4:4+n], data[4+n:]
		return field
	}
	for len(data) > 0 {
		key, body := next(), next()
		if err != nil {
			return nil, err
		}
		if len(key) < 3 || !outbound(string(key)) {
			return nil, fmt.Errorf("message %q: want a key of what is sent", key)
		}
		if _, err := readStored(body); err != nil {
			return nil, fmt.Errorf("message %q: %w", key, err)
		}
		list = append(list, message{string(key), body})
	}
	return list, nil
}

func formatMessages(list []message) (data []byte) {
	add := func(field []byte) {
		data = binary.BigEndian.AppendUint32(data, uint32(len(field)))
		data = append(data, field...)
	}
	for _, m := range list {
		add([]byte(m.key))
		add(m.wire)
	}
	return data
}

// readStored reads one packet of a kind that is kept.
func readStored(wire []byte) (packets.ControlPacket, error) {
	r := bytes.NewReader(wire)
	p, err := packets.ReadPacket(r)
	if err == nil && (r.Len() > 0 || !stored(p)) {
		err = errors.New("want one PUBLISH or PUBREL")
	}
	return p, err
}

// change edits the list and saves it, unless the power is off.
func (m *messages) change(edit func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.off {
		return
	}
	edit()
	if m.store == nil {
		return
	}
	if err := m.store.Save(messagesRecord, formatMessages(m.list)); err != nil {
		m.fail(err)
	}
}

func (m *messages) find(key string) int {
	return slices.IndexFunc(m.list, func(x message) bool { return x.key == key })
}

// outbound tells what is sent from what comes in, whose keys begin with "i.".
func outbound(key string) bool { return strings.HasPrefix(key, "o.") }

// stored tells what is kept: subscriptions are repeated by connected.
func stored(packet packets.ControlPacket) bool {
	switch packet.(type) {
	case *packets.PublishPacket, *packets.PubrelPacket:
		return true
	}
	return false
}

// Put implements paho.Store.
func (m *messages) Put(key string, packet packets.ControlPacket) {
	if !stored(packet) || !outbound(key) {
		return
	}
	var b bytes.Buffer
	if err := packet.Write(&b); err != nil {
		m.fail(err)
		return
	}
	m.change(func() {
		if i := m.find(key); i >= 0 {
			m.list[i].wire = b.Bytes()
			return
		}
		m.list = append(m.list, message{key, b.Bytes()})
	})
}

// Del implements paho.Store.
func (m *messages) Del(key string) {
	m.mu.Lock()
	known := m.find(key) >= 0
	m.mu.Unlock()
	if known {
		m.change(func() { m.list = slices.DeleteFunc(m.list, func(x message) bool { return x.key == key }) })
	}
}

// Get implements paho.Store.
func (m *messages) Get(key string) packets.ControlPacket {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.find(key)
	if i < 0 {
		return nil
	}
	p, err := readStored(m.list[i].wire)
	if err != nil {
		m.fail(err)
		return nil
	}
	return p
}

// All implements paho.Store.
func (m *messages) All() (keys []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, x := range m.list {
		keys = append(keys, x.key)
	}
	return keys
}

// Reset implements paho.Store: a clean session begins with nothing.
func (m *messages) Reset() { m.change(func() { m.list = nil }) }

// Open implements paho.Store; openMessages has done it.
func (m *messages) Open() {}

// Close implements paho.Store: every change is saved already.
func (m *messages) Close() {}

// powerOff ends all changes.
func (m *messages) powerOff() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.off = true
}
