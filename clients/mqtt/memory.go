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
	// Hub is where the provisioning service has assigned the device to.
	Hub string `json:"hub,omitempty"`
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

// pile is a list of packets in the order in which they were put there. Of a
// persistent session it is kept in flash.
type pile struct {
	store flash.Store // nil: in memory only
	name  string      // of its record
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

// openPile reads what an earlier life of the device has left, if all of it is
// valid. store nil is a session that does not outlive the power; errors that
// come later go to fail.
func openPile(store flash.Store, name string, fail func(error), valid func(message) error) (*pile, error) {
	p := &pile{store: store, name: name, fail: fail}
	if store == nil {
		return p, nil
	}
	data, err := store.Load(name)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	} else if err != nil {
		return nil, err
	}
	if p.list, err = parseMessages(data, valid); err != nil {
		return nil, fmt.Errorf("flash: record %s: %w", name, err)
	}
	return p, nil
}

// parseMessages reads what formatMessages has written: for each message its key
// and its packet, each after its length in four bytes.
func parseMessages(data []byte, valid func(message) error) (list []message, err error) {
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
		m := message{key: string(next()), wire: next()}
		if err == nil {
			err = valid(m)
		}
		if err != nil {
			return nil, fmt.Errorf("message %q: %w", m.key, err)
		}
		list = append(list, m)
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

// change edits the list and saves it, unless the power is off.
func (p *pile) change(edit func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.off {
		return
	}
	edit()
	if p.store == nil {
		return
	}
	if err := p.store.Save(p.name, formatMessages(p.list)); err != nil {
		p.fail(err)
	}
}

func (p *pile) find(key string) int {
	return slices.IndexFunc(p.list, func(x message) bool { return x.key == key })
}

// put stores a packet, in the place of one with the same key.
func (p *pile) put(key string, wire []byte) {
	p.change(func() {
		if i := p.find(key); i >= 0 {
			p.list[i].wire = wire
			return
		}
		p.list = append(p.list, message{key, wire})
	})
}

// get is a packet, nil if there is none.
func (p *pile) get(key string) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := p.find(key); i >= 0 {
		return p.list[i].wire
	}
	return nil
}

func (p *pile) remove(key string) {
	if p.get(key) != nil {
		p.change(func() { p.list = slices.DeleteFunc(p.list, func(x message) bool { return x.key == key }) })
	}
}

func (p *pile) keys() (keys []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range p.list {
		keys = append(keys, x.key)
	}
	return keys
}

func (p *pile) clear() {
	if len(p.keys()) > 0 {
		p.change(func() { p.list = nil })
	}
}

// powerOff ends all changes.
func (p *pile) powerOff() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.off = true
}

// messages is the store of paho for MQTT 3.1.1: what the device has sent at
// QoS 1 or 2 and the platform has not acknowledged. What comes in is not stored:
// it is acknowledged only when it has been dealt with.
type messages struct{ *pile }

var _ paho.Store = messages{}

func openMessages(store flash.Store, fail func(error)) (messages, error) {
	p, err := openPile(store, messagesRecord, fail, validMessage)
	return messages{p}, err
}

func validMessage(m message) error {
	if len(m.key) < 3 || !outbound(m.key) {
		return errors.New("want a key of what is sent")
	}
	_, err := readStored(m.wire)
	return err
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
func (m messages) Put(key string, packet packets.ControlPacket) {
	if !stored(packet) || !outbound(key) {
		return
	}
	var b bytes.Buffer
	if err := packet.Write(&b); err != nil {
		m.fail(err)
		return
	}
	m.put(key, b.Bytes())
}

// Del implements paho.Store.
func (m messages) Del(key string) { m.remove(key) }

// Get implements paho.Store.
func (m messages) Get(key string) packets.ControlPacket {
	wire := m.get(key)
	if wire == nil {
		return nil
	}
	p, err := readStored(wire)
	if err != nil {
		m.fail(err)
		return nil
	}
	return p
}

// All implements paho.Store.
func (m messages) All() []string { return m.keys() }

// Reset implements paho.Store: a clean session begins with nothing.
func (m messages) Reset() { m.clear() }

// Open implements paho.Store; openMessages has done it.
func (m messages) Open() {}

// Close implements paho.Store: every change is saved already.
func (m messages) Close() {}
