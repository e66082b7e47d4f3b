package mqtt

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/thinlink/thinlink/clients/flash"
)

func publishPacket(id uint16, payload string) *packets.PublishPacket {
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.TopicName, p.Payload, p.Qos, p.MessageID = "t", []byte(payload), 1, id
	return p
}

func pubrelPacket(id uint16) *packets.PubrelPacket {
	p := packets.NewControlPacket(packets.Pubrel).(*packets.PubrelPacket)
	p.MessageID = id
	return p
}

// list shows what is stored.
func (m messages) show() (list []string) {
	for _, key := range m.All() {
		text := fmt.Sprintf("%s %T", key, m.Get(key))
		if p, ok := m.Get(key).(*packets.PublishPacket); ok {
			text = fmt.Sprintf("%s %s", key, p.Payload)
		}
		list = append(list, text)
	}
	return list
}

func TestMessages(t *testing.T) {
	f := newFragile(math.MaxInt)
	fail := func(err error) { t.Error(err) }
	m, err := openMessages(f, fail)
	must(t, err)
	m.Open()
	m.Put("o.9", publishPacket(9, "first"))
	m.Put("o.3", publishPacket(3, "second"))
	m.Put("o.4", publishPacket(4, "third"))
	m.Put("i.5", publishPacket(5, "comes again"))
	m.Put("o.6", packets.NewControlPacket(packets.Subscribe))
	m.Put("o.9", pubrelPacket(9))
	m.Del("o.3")
	m.Del("o.3")
	m.Close()
	want := []string{"o.9 *packets.PubrelPacket", "o.4 third"}
	again, err := openMessages(f, fail)
	must(t, err)
	for _, x := range []messages{m, again} {
		if got := x.show(); !slices.Equal(got, want) {
			t.Errorf("stored %q, want %q", got, want)
		}
	}
	if again.Get("o.7") != nil {
		t.Error("a message that is not there")
	}
	m.powerOff()
	m.Put("o.8", publishPacket(8, "too late"))
	if again, err = openMessages(f, fail); err != nil || !slices.Equal(again.show(), want) {
		t.Errorf("after the power went: %q, %v", again.show(), err)
	}
	again.Reset()
	if again, err = openMessages(f, fail); err != nil || len(again.All()) != 0 {
		t.Errorf("after a reset: %q, %v", again.show(), err)
	}
}

// Power cut at every operation leaves the list before it or after it.
func TestMessagesPowerCut(t *testing.T) {
	change := []func(messages){
		func(m messages) { m.Put("o.1", publishPacket(1, "one")) },
		func(m messages) { m.Put("o.2", publishPacket(2, "two")) },
		func(m messages) { m.Put("o.1", pubrelPacket(1)) },
		func(m messages) { m.Del("o.1") },
		func(m messages) { m.Del("o.2") },
	}
	for budget := range 2 * len(change) {
		f := newFragile(budget)
		var failed error
		m, err := openMessages(f, func(err error) { failed = err })
		must(t, err)
		before := []string(nil)
		for _, edit := range change {
			before = m.show()
			if edit(m); failed != nil {
				break
			}
		}
		if !errors.Is(failed, errPower) {
			t.Fatalf("cut after %d: %v", budget, failed)
		}
		f.revive(0)
		again, err := openMessages(f, nil)
		must(t, err)
		if got := again.show(); !slices.Equal(got, before) && !slices.Equal(got, m.show()) {
			t.Errorf("cut after %d: %q, want %q or %q", budget, got, before, m.show())
		}
	}
}

func TestDeviceRecord(t *testing.T) {
	store := new(flash.Memory)
	s, err := loadDevice(store)
	if err != nil || s.Boots != 0 {
		t.Errorf("a new device: %+v, %v", s, err)
	}
	s.Boots, s.Topics = 3, []string{"a/#"}
	must(t, s.save(store))
	if s, err = loadDevice(store); err != nil || s.Boots != 3 || len(s.Topics) != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	must(t, store.Save(deviceRecord, []byte("{")))
	if _, err := loadDevice(store); err == nil {
		t.Error("half a record was read")
	}
	must(t, store.Save(messagesRecord, []byte("x")))
	if _, err := openMessages(store, nil); err == nil {
		t.Error("messages that are none were read")
	}
}

// FuzzMessages reads anything. What can be read repeats.
func FuzzMessages(f *testing.F) {
	m, err := openMessages(nil, nil)
	if err != nil {
		f.Fatal(err)
	}
	m.Put("o.1", publishPacket(1, "one"))
	m.Put("o.2", pubrelPacket(2))
	f.Add(formatMessages(m.list))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parseMessages(data, validMessage)
		if err != nil {
			return
		}
		if again := formatMessages(list); !bytes.Equal(again, data) {
			t.Errorf("%x, then %x", data, again)
		}
	})
}
