package mqtt

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/flash"
	"github.com/thinlink/thinlink/clients/mqtt/streams"
	"github.com/thinlink/thinlink/clients/pki"
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

func TestParseCommand(t *testing.T) {
	for _, v := range []int64{0, -1, math.MaxInt64} {
		if got, ok := parseCommand(encode(object{Command: &v}, 0)); !ok || got != v {
			t.Errorf("%d became %d, %v", v, got, ok)
		}
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

// FuzzReceived hands a device anything on any topic.
func FuzzReceived(f *testing.F) {
	d := &device{name: pki.DeviceName}
	f.Add("$aws/things/thinlink-device-0001/shadow/update/delta", `{"state":{"command":7}}`)
	f.Add("$aws/things/thinlink-device-0001/shadow/update/accepted", `{"clientToken":"t"}`)
	f.Add("$aws/things/thinlink-device-0001/jobs/notify-next", `{}`)
	f.Add(chunkTopic(chunkResponse, "j", 0), "data")
	f.Add(pushPrefix+"j/000000", "data")
	f.Add(d.streamTopic("j", "data/cbor"), string(streams.Block{Payload: []byte("data")}.Encode()))
	f.Add(d.streamTopic("j", "rejected/cbor"), string((&streams.Rejection{Code: "ResourceNotFound"}).Encode()))
	f.Add(d.commandTopic(), `{"command":7}`)
	f.Fuzz(func(t *testing.T, topic, payload string) {
		env := &clients.Env{Flash: new(flash.Memory), Record: func(clients.Event) {}}
		d, err := newDevice(DefaultOptions(), env, nil)
		must(t, err)
		defer d.off()
		i, err := d.openImage(imageState{Job: "j", Size: 6, Block: 4})
		must(t, err)
		done := make(chan answer, 1)
		d.waiting["t"] = done
		must(t, d.received(incoming{topic: topic, payload: []byte(payload)}))
		must(t, d.received(incoming{topic: topic, payload: []byte(payload)})) // a repetition must not block
		if n, err := i.file.Size(); err != nil || n > 6 {
			t.Errorf("image of %d bytes, %v", n, err)
		}
		if len(done) == 1 && !json.Valid([]byte(payload)) {
			t.Errorf("%q was taken for an answer", payload)
		}
		d.hubReceived(incoming{topic: topic, payload: []byte(payload)})
	})
}
