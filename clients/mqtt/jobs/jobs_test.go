package jobs

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/thinlink/thinlink/clients/mqtt/broker"
)

// world is a service and everything it publishes.
type world struct {
	t       *testing.T
	b       *broker.Broker
	s       *Service
	at      time.Time
	sent    []string // topic below the thing's jobs, and payload
	changes []string
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, b: broker.New(broker.Options{}), at: time.Unix(1258000000, 0)}
	t.Cleanup(func() { w.b.Close() })
	w.s = New(func() time.Time { return w.at }, func(e Execution) {
		w.changes = append(w.changes, e.Thing+" "+e.JobID+" "+string(e.Status))
	})
	if err := w.s.Serve(w.b); err != nil {
		t.Fatal(err)
	}
	if _, err := w.b.Subscribe(Topic("d", "#"), func(m broker.Message) {
		rest := strings.TrimPrefix(m.Topic, Topic("d", ""))
		if strings.HasSuffix(rest, "/accepted") || strings.HasSuffix(rest, "/rejected") || rest == "notify-next" {
			w.sent = append(w.sent, rest+" "+string(m.Payload))
		}
	}); err != nil {
		t.Fatal(err)
	}
	return w
}

// ask publishes a request and compares all that is published in return.
func (w *world) ask(rest, payload string, want ...string) {
	w.t.Helper()
	w.sent = nil
	if err := w.b.Publish(broker.Message{Topic: Topic("d", rest), Payload: []byte(payload)}); err != nil {
		w.t.Fatal(err)
	}
	w.want(want...)
}

func (w *world) create(id string, want ...string) {
	w.t.Helper()
	w.sent = nil
	if err := w.s.Create("d", id, []byte(`{"url":"u"}`), 0); err != nil {
		w.t.Fatal(err)
	}
	w.want(want...)
}

func (w *world) want(want ...string) {
	w.t.Helper()
	if !slices.Equal(w.sent, want) {
		w.t.Errorf("published\n%s\nwant\n%s", strings.Join(w.sent, "\n"), strings.Join(want, "\n"))
	}
}

func TestLifeOfAJob(t *testing.T) {
	w := newWorld(t)
	w.ask("start-next", `{"clientToken":"t"}`, `start-next/accepted {"timestamp":1258000000,"clientToken":"t","execution":{}}`)
	w.create("j1", `notify-next {"timestamp":1258000000,"execution":{"jobId":"j1","status":"QUEUED","queuedAt":1258000000,`+
		`"lastUpdatedAt":1258000000,"versionNumber":1,"executionNumber":1,"jobDocument":{"url":"u"}}}`)
	w.create("j2") // not the next one: silence
	w.at = w.at.Add(10 * time.Second)
	running := `{"jobId":"j1","status":"IN_PROGRESS","statusDetails":{"step":"0"},"queuedAt":1258000000,"startedAt":1258000010,` +
		`"lastUpdatedAt":1258000010,"versionNumber":2,"executionNumber":1,"jobDocument":{"url":"u"}}`
	w.ask("start-next", `{"statusDetails":{"step":"0"}}`, `start-next/accepted {"timestamp":1258000010,"execution":`+running+`}`)
	w.at = w.at.Add(10 * time.Second)
	w.ask("$next/get", ``, `$next/get/accepted {"timestamp":1258000020,"execution":`+running+`}`)
	w.ask("start-next", ``, `start-next/accepted {"timestamp":1258000020,"execution":`+running+`}`)
	w.ask("j1/update", `{"status":"IN_PROGRESS","statusDetails":{"step":"1"},"expectedVersion":"2","includeJobExecutionState":true,"clientToken":"x"}`,
		`j1/update/accepted {"executionState":{"status":"IN_PROGRESS","statusDetails":{"step":"1"},"versionNumber":3},"timestamp":1258000020,"clientToken":"x"}`)
	w.ask("j1/update", `{"status":"SUCCEEDED","expectedVersion":3}`,
		`j1/update/accepted {"timestamp":1258000020}`,
		`notify-next {"timestamp":1258000020,"execution":{"jobId":"j2","status":"QUEUED","queuedAt":1258000000,`+
			`"lastUpdatedAt":1258000000,"versionNumber":1,"executionNumber":1,"jobDocument":{"url":"u"}}}`)
	w.ask("j2/update", `{"status":"REJECTED"}`, `j2/update/accepted {"timestamp":1258000020}`, `notify-next {"timestamp":1258000020,"execution":{}}`)
	if e, ok := w.s.Find("d", "j1"); !ok || e.Status != Succeeded || e.StatusDetails["step"] != "1" || e.VersionNumber != 4 {
		t.Errorf("j1: %+v, %v", e, ok)
	}
	if want := []string{"d j1 QUEUED", "d j2 QUEUED", "d j1 IN_PROGRESS", "d j1 IN_PROGRESS", "d j1 SUCCEEDED", "d j2 REJECTED"}; !slices.Equal(w.changes, want) {
		t.Errorf("changes %q, want %q", w.changes, want)
	}
}

func TestRejections(t *testing.T) {
	w := newWorld(t)
	w.create("done", w.lastNotification("done"))
	w.ask("done/update", `{"status":"FAILED"}`, `done/update/accepted {"timestamp":1258000000}`, `notify-next {"timestamp":1258000000,"execution":{}}`)
	w.create("j", w.lastNotification("j"))
	for _, c := range []struct{ rest, payload, code string }{
		{"j/update", `{`, "InvalidJson"},
		{"j/update", `{"status":"SUCCEEDED"}{}`, "InvalidJson"},
		{"j/update", `{"expectedVersion":"x"}`, "InvalidJson"},
		{"j/update", `{"status":"SUCCEEDED","clientToken":"` + strings.Repeat("t", 65) + `"}`, "InvalidRequest"},
		{"j/update", `{"status":"QUEUED"}`, "InvalidRequest"},
		{"j/update", `{}`, "InvalidRequest"},
		{"j/update", `{"status":"SUCCEEDED","expectedVersion":"7"}`, "VersionMismatch"},
		{"no/update", `{"status":"SUCCEEDED"}`, "ResourceNotFound"},
		{"no/get", ``, "ResourceNotFound"},
		{"done/update", `{"status":"SUCCEEDED"}`, "InvalidStateTransition"},
	} {
		w.sent = nil
		if err := w.b.Publish(broker.Message{Topic: Topic("d", c.rest), Payload: []byte(c.payload)}); err != nil {
			t.Fatal(err)
		}
		topic, payload, _ := strings.Cut(strings.Join(w.sent, "\n"), " ")
		var r Rejection
		if err := json.Unmarshal([]byte(payload), &r); err != nil || topic != c.rest+"/rejected" || r.Code != c.code {
			t.Errorf("%s %s: %q, want %s", c.rest, c.payload, w.sent, c.code)
		}
	}
	if e, _ := w.s.Find("d", "j"); e.Status != Queued || e.VersionNumber != 1 {
		t.Errorf("a rejected update changed the job: %+v", e)
	}
}

func (w *world) lastNotification(id string) string {
	return `notify-next {"timestamp":1258000000,"execution":{"jobId":"` + id + `","status":"QUEUED","queuedAt":1258000000,` +
		`"lastUpdatedAt":1258000000,"versionNumber":1,"executionNumber":1,"jobDocument":{"url":"u"}}}`
}

func TestGetWithoutDocument(t *testing.T) {
	w := newWorld(t)
	w.create("j", w.lastNotification("j"))
	w.ask("j/get", `{"includeJobDocument":false}`, `j/get/accepted {"timestamp":1258000000,"execution":{"jobId":"j","status":"QUEUED",`+
		`"queuedAt":1258000000,"lastUpdatedAt":1258000000,"versionNumber":1,"executionNumber":1}}`)
	other := broker.New(broker.Options{})
	defer other.Close()
	if err := w.s.Serve(other); err != nil {
		t.Fatal(err)
	}
	w.ask("j/get", "") // nobody answers on the old broker
}

func TestCreateMistakes(t *testing.T) {
	w := newWorld(t)
	w.create("j", w.lastNotification("j"))
	for id, document := range map[string]string{"j": `{}`, "a b": `{}`, "": `{}`, "x": `{`, "y": `"` + strings.Repeat("x", maxDocument) + `"`} {
		if w.s.Create("d", id, []byte(document), 0) == nil {
			t.Errorf("%q with %.10s was accepted", id, document)
		}
	}
}

// FuzzRequest sends anything to every operation of a running job.
func FuzzRequest(f *testing.F) {
	f.Add("j/update", `{"status":"IN_PROGRESS","expectedVersion":"2","statusDetails":{"a":"b"}}`)
	f.Add("start-next", `{"clientToken":"t"}`)
	f.Add("$next/get", `{"includeJobDocument":false}`)
	f.Fuzz(func(t *testing.T, rest, payload string) {
		b := broker.New(broker.Options{})
		defer b.Close()
		s := New(time.Now, nil)
		if err := s.Serve(b); err != nil {
			t.Fatal(err)
		}
		if err := s.Create("d", "j", []byte(`{}`), 0); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Subscribe(Topic("d", "#"), func(m broker.Message) {
			if m.Topic != Topic("d", rest) && !json.Valid(m.Payload) {
				t.Errorf("%s: %q is not JSON", m.Topic, m.Payload)
			}
		}); err != nil {
			t.Fatal(err)
		}
		_ = b.Publish(broker.Message{Topic: Topic("d", rest), Payload: []byte(payload)}) // refused if rest has wildcards
		if e, ok := s.Find("d", "j"); !ok || e.VersionNumber < 1 || e.VersionNumber > 2 {
			t.Errorf("after one request: %+v, %v", e, ok)
		}
	})
}
