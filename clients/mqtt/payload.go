package mqtt

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/thinlink/thinlink/clients"
)

// A report in the shadow has the layout of the object it stands for:
//
//	{
//	    "state": {
//	        "reported": {
//	            "objects": {
//	                "33650": {
//	                    "instances": {
//	                        "0": {
//	                            "string_value": "...",
//	                            "integer_value": 1,
//	                            "float_value": 0.5,
//	                            "boolean_value": true
//	                        }
//	                    }
//	                }
//	            }
//	        }
//	    },
//	    "clientToken": "THING_THING_00001_abcde"
//	}
//
// The reference experiment gives sizes only: about 750 B for the update and
// 720 B for its confirmation, which carries a timestamp for every value more.
// The confirmation can be shorter only if the update has white space that the
// service does not repeat; with names of this length and Indent 4 both sizes
// come out for a text of 60 characters.
type observed struct {
	Text    string  `json:"string_value"`
	Integer int64   `json:"integer_value"`
	Float   float64 `json:"float_value"`
	Boolean bool    `json:"boolean_value"`
}

type object struct {
	Objects map[string]instances `json:"objects,omitempty"`
	Device  *about               `json:"device,omitempty"`
	// Command is the last command obeyed; the platform sets it as desired.
	Command *int64 `json:"command,omitempty"`
}

type instances struct {
	Instances map[string]observed `json:"instances"`
}

// objectID is the number of the observed object, the same as over LwM2M.
const objectID = "33650"

// about is what the device reports of itself after every start, the same as
// LwM2M's object 3.
type about struct {
	Manufacturer string `json:"manufacturer"`
	Model        string `json:"model_number"`
	Serial       string `json:"serial_number"`
	Firmware     string `json:"firmware_version"`
	Hardware     string `json:"hardware_version"`
}

func aboutDevice(name string) *object {
	return &object{Device: &about{
		Manufacturer: "thinlink", Model: "reference device", Serial: name, Firmware: "1.0.0", Hardware: "1.0",
	}}
}

type shadowUpdate struct {
	State       *shadowState `json:"state,omitempty"`
	ClientToken string       `json:"clientToken,omitempty"`
}

type shadowState struct {
	Desired  *object `json:"desired,omitempty"`
	Reported *object `json:"reported,omitempty"`
}

// readingObject is a reading in its place in the shadow.
func readingObject(r clients.Reading) *object {
	return &object{Objects: map[string]instances{objectID: {map[string]observed{"0": observed(r)}}}}
}

// shadowReport is an update of the reported state.
func shadowReport(o *object, token string, indent int) []byte {
	return encode(shadowUpdate{&shadowState{Reported: o}, token}, indent)
}

// parseCommand reads the command in the state of a delta message.
func parseCommand(payload []byte) (value int64, ok bool) {
	var o object
	if json.Unmarshal(payload, &o) != nil || o.Command == nil {
		return 0, false
	}
	return *o.Command, true
}

// jobDocument tells the device what to install, and where to find it: at a URL,
// in a stream, or in messages on topics below one.
type jobDocument struct {
	Operation string `json:"operation"`
	Name      string `json:"name"`
	Version   string `json:"version"`
	URL       string `json:"url,omitempty"`
	Stream    string `json:"stream,omitempty"`
	Revision  int64  `json:"revision,omitempty"` // of the stream
	Topic     string `json:"topic,omitempty"`
	BlockSize int64  `json:"block_size,omitempty"` // of the messages
	Size      int64  `json:"size"`
	ETag      string `json:"etag,omitempty"`
	SHA256    string `json:"sha256"`
}

// encode writes JSON without escaping what HTML would need.
func encode(v any, indent int) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", strings.Repeat(" ", indent))
	if err := enc.Encode(v); err != nil {
		panic(fmt.Sprintf("mqtt: %T does not encode: %v", v, err)) // our own types
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
