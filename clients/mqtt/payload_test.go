package mqtt

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/mqtt/broker"
)

func TestShadowReport(t *testing.T) {
	r := clients.Reading{Text: "<a>", Integer: -5, Float: 0.5, Boolean: true}
	want := `{
  "state": {
    "reported": {
      "objects": {
        "33650": {
          "instances": {
            "0": {
              "string_value": "<a>",
              "integer_value": -5,
              "float_value": 0.5,
              "boolean_value": true
            }
          }
        }
      }
    }
  },
  "clientToken": "t"
}`
	if got := string(shadowReport(readingObject(r), "t", 2)); got != want {
		t.Errorf("got %s", got)
	}
	compact := `{"state":{"reported":{"objects":{"33650":{"instances":{"0":{"string_value":"<a>","integer_value":-5,` +
		`"float_value":0.5,"boolean_value":true}}}}}},"clientToken":"t"}`
	if got := string(shadowReport(readingObject(r), "t", 0)); got != compact {
		t.Errorf("got %s", got)
	}
}

func TestPlainPayloads(t *testing.T) {
	for _, r := range []clients.Reading{{}, reading, {Text: "\u2028\"", Integer: math.MinInt64, Float: 1e-300}} {
		got, err := parsePlainReport(plainReport(r))
		if err != nil || got != r {
			t.Errorf("%+v became %+v, %v", r, got, err)
		}
	}
	for _, v := range []int64{0, -1, math.MaxInt64} {
		if got, ok := parseCommand(plainCommand(v)); !ok || got != v {
			t.Errorf("%d became %d, %v", v, got, ok)
		}
	}
	if string(plainCommand(42)) != `{"command":42}` {
		t.Errorf("command %s", plainCommand(42))
	}
	for _, bad := range []string{``, `{}`, `{"command":null}`, `{"command":1.5}`, `{"command":"1"}`, `[]`} {
		if v, ok := parseCommand([]byte(bad)); ok {
			t.Errorf("%s is command %d", bad, v)
		}
	}
}

func TestReportOfNoNumber(t *testing.T) {
	run(t, nil, func(w *world) {
		for _, f := range []float64{math.NaN(), math.Inf(1)} {
			if w.Report(w.t.Context(), clients.Reading{Float: f}) == nil {
				w.t.Errorf("%v was reported", f)
			}
		}
	})
}

func TestEnded(t *testing.T) {
	rejection := `{"code":"InvalidStateTransition","message":"","timestamp":1,"executionState":{"status":"SUCCEEDED","versionNumber":3}}`
	if !ended([]byte(rejection), "SUCCEEDED") || ended([]byte(rejection), "FAILED") ||
		ended([]byte(`{"code":"InvalidStateTransition"}`), "SUCCEEDED") || ended([]byte(`x`), "SUCCEEDED") {
		t.Error("wrong")
	}
}

func TestParseChunkRequest(t *testing.T) {
	if id, n, err := parseChunkRequest(chunkTopic(chunkRequest, "job-1", 17)); err != nil || id != "job-1" || n != 17 {
		t.Errorf("%q %d %v", id, n, err)
	}
	for _, bad := range []string{"", chunkRequest, chunkRequest + "a/chunk/", chunkRequest + "a/chunk/-1", chunkRequest + "a/chunk/x"} {
		if _, _, err := parseChunkRequest(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

// A chunk that does not exist is not answered, and the platform says so.
func TestNoSuchChunk(t *testing.T) {
	run(t, nil, func(w *world) {
		w.platform.images["j"] = make([]byte, 10)
		send := func(topic, payload string) {
			w.must(w.platform.current().Publish(broker.Message{Topic: topic, Payload: []byte(payload)}))
		}
		var got []byte
		_, err := w.platform.current().Subscribe(chunkResponse+"#", func(m broker.Message) { got = append(got, m.Payload...) })
		w.must(err)
		for i, c := range [][2]string{
			{"j/chunk/2", "5"}, {"j/chunk/0", "0"}, {"j/chunk/0", "-5"}, {"j/chunk/0", "x"}, {"k/chunk/0", "5"},
			{"j/chunk/x", "5"}, {"j/chunk/9223372036854775807", "2147483647"},
		} {
			send(chunkRequest+c[0], c[1])
			w.wantCount(clients.EventWarning, "no chunk", i+1)
		}
		send(chunkRequest+"j/chunk/1", "6")
		if len(got) != 4 {
			w.t.Errorf("%d bytes came, want the last 4", len(got))
		}
	})
}

// FuzzReceived hands a device anything on any topic.
func FuzzReceived(f *testing.F) {
	f.Add("$aws/things/thinlink-device-0001/shadow/update/delta", `{"state":{"command":7}}`)
	f.Add("$aws/things/thinlink-device-0001/shadow/update/accepted", `{"clientToken":"t"}`)
	f.Add("$aws/things/thinlink-device-0001/jobs/notify-next", `{}`)
	f.Add(chunkTopic(chunkResponse, "j", 0), "data")
	f.Add(commandTopic, `{"command":7}`)
	f.Fuzz(func(t *testing.T, topic, payload string) {
		env := &clients.Env{Record: func(clients.Event) {}}
		d := newDevice(DefaultOptions(), env, nil, newKept())
		defer d.off()
		done := make(chan answer, 1)
		d.waiting["t"] = done
		d.received(topic, []byte(payload))
		d.received(topic, []byte(payload)) // a repetition must not block
		if len(done) == 1 && !json.Valid([]byte(payload)) {
			t.Errorf("%q was taken for an answer", payload)
		}
		_, _ = parsePlainReport([]byte(payload))
	})
}
