package shadow

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/thinlink/thinlink/clients/mqtt/broker"
)

func TestService(t *testing.T) {
	b := broker.New(broker.Options{})
	defer b.Close()
	var reports []string
	s := New(func() time.Time { return now }, func(thing string, reported []byte) {
		reports = append(reports, thing+" "+string(reported))
	})
	if err := s.Serve(b); err != nil {
		t.Fatal(err)
	}
	var seen []string
	if _, err := b.Subscribe("$aws/things/+/shadow/+/+", func(m broker.Message) {
		seen = append(seen, strings.TrimPrefix(m.Topic, "$aws/things/"))
	}); err != nil {
		t.Fatal(err)
	}
	publish := func(topic, payload string) {
		if err := b.Publish(broker.Message{Topic: topic, Payload: []byte(payload)}); err != nil {
			t.Fatal(err)
		}
	}
	publish(Topic("d1", "get"), "")
	publish(Topic("d1", "update"), `{"state":{"reported":{"a":1}}}`)
	s.Do("d1", "update", []byte(`{"state":{"desired":{"a":2}}}`), 0)
	publish(Topic("d1", "get"), "")
	publish(Topic("d1", "get"), "nonsense")
	publish(Topic("d2", "delete"), "")
	publish(Topic("d1", "delete"), "")
	publish(Topic("d1", "other"), "")
	if want := []string{
		"d1/shadow/get/rejected",
		"d1/shadow/update/accepted", "d1/shadow/update/documents",
		"d1/shadow/update/accepted", "d1/shadow/update/documents", "d1/shadow/update/delta",
		"d1/shadow/get/accepted", "d1/shadow/get/rejected", "d2/shadow/delete/rejected", "d1/shadow/delete/accepted",
	}; !slices.Equal(seen, want) {
		t.Errorf("published\n%s\nwant\n%s", strings.Join(seen, "\n"), strings.Join(want, "\n"))
	}
	if want := []string{`d1 {"a":1}`}; !slices.Equal(reports, want) {
		t.Errorf("reports %q, want %q", reports, want)
	}
	other := broker.New(broker.Options{})
	defer other.Close()
	if err := s.Serve(other); err != nil {
		t.Fatal(err)
	}
	seen = nil
	publish(Topic("d1", "get"), "")
	if len(seen) > 0 {
		t.Errorf("answered on the old broker: %q", seen)
	}
}
