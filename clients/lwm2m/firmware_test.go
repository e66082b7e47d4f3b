package lwm2m

import (
	"errors"
	"strings"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
)

var pullable = []FirmwareProtocol{ProtocolCoAPS, ProtocolHTTPS}

// events are all the things that can happen to a firmware update.
var firmwareEvents = map[string]func(*Firmware) error{
	"uri": func(f *Firmware) error {
		_, err := f.SetURI("coaps://10.0.0.1:5684/fw", pullable)
		return err
	},
	"malformed uri": func(f *Firmware) error { _, err := f.SetURI("coaps//x", pullable); return err },
	"foreign uri":   func(f *Firmware) error { _, err := f.SetURI("ftp://10.0.0.1/fw", pullable); return err },
	"empty uri":     func(f *Firmware) error { _, err := f.SetURI("", pullable); return err },
	"package":       func(f *Firmware) error { return f.BeginPush() },
	"deferred":      func(f *Firmware) error { f.Defer(); return nil },
	"downloaded":    func(f *Firmware) error { f.DownloadEnded(ResultInitial); return nil },
	"lost":          func(f *Firmware) error { f.DownloadEnded(ResultConnectionLost); return nil },
	"wrong":         func(f *Firmware) error { f.DownloadEnded(ResultIntegrity); return nil },
	"update":        (*Firmware).Update,
	"applied":       func(f *Firmware) error { f.Applied(ResultSuccess); return nil },
	"not applied":   func(f *Firmware) error { f.Applied(ResultFailed); return nil },
	"cancel":        (*Firmware).Cancel,
}

// Every event in every state: appendix E.6. A state without a result keeps
// what it had; refused events (4.05) and events that are too late change
// nothing.
func TestFirmwareTransitions(t *testing.T) {
	const refused = "refused"
	for event, want := range map[string][4]string{ // in states idle, downloading, downloaded, updating
		"uri":           {"downloading", refused, refused, refused},
		"malformed uri": {"idle: invalid URI", refused, refused, refused},
		"foreign uri":   {"idle: unsupported protocol", refused, refused, refused},
		"empty uri":     {"idle", "idle", "idle", refused},
		"package":       {"downloading", refused, refused, refused},
		"deferred":      {"", "", "", "downloaded: deferred"},
		"downloaded":    {"", "downloaded", "", ""},
		"lost":          {"", "idle: connection lost", "", ""},
		"wrong":         {"", "idle: integrity check failed", "", ""},
		"update":        {refused, refused, "updating", refused},
		"applied":       {"", "", "", "idle: success"},
		"not applied":   {"", "", "", "downloaded: update failed"},
		"cancel":        {refused, "idle: cancelled", "idle: cancelled", refused},
	} {
		for state := Idle; state <= Updating; state++ {
			f := Firmware{State: state, URI: "coaps://10.0.0.1/old"}
			before := f
			err := firmwareEvents[event](&f)
			expect := want[state]
			var status *model.StatusError
			switch {
			case expect == refused:
				if !errors.As(err, &status) || status.Code != codes.MethodNotAllowed || f != before {
					t.Errorf("%s in %v: %v, now %+v; want 4.05 and no change", event, state, err, f)
				}
			case err != nil:
				t.Errorf("%s in %v: %v", event, state, err)
			case expect == "":
				if f != before {
					t.Errorf("%s in %v: now %+v; want no change", event, state, f)
				}
			default:
				got := f.State.String()
				if f.Result != ResultInitial {
					got += ": " + f.Result.String()
				}
				if got != expect {
					t.Errorf("%s in %v: %s, want %s", event, state, got, expect)
				}
			}
		}
	}
}

// A new update begins with the initial result (appendix E.6, resource 5).
func TestFirmwareResultReset(t *testing.T) {
	f := Firmware{Result: ResultConnectionLost}
	if download, err := f.SetURI("https://10.0.0.1/fw", pullable); !download || err != nil || f.Result != ResultInitial {
		t.Errorf("%v, %v, %+v", download, err, f)
	}
	f = Firmware{State: Downloaded, Result: ResultFailed}
	if err := f.Update(); err != nil || f.Result != ResultInitial {
		t.Errorf("%v, %+v", err, f)
	}
}

func TestFirmwareURIs(t *testing.T) {
	for uri, want := range map[string]FirmwareResult{
		"coaps://10.0.0.1:5684/fw": ResultInitial, "HTTPS://[2001:db8::1]/fw?a=b": ResultInitial,
		"coap://10.0.0.1/fw": ResultProtocol, "http://10.0.0.1/fw": ResultProtocol, "coap+tcp://10.0.0.1/": ResultProtocol,
		"coaps:": ResultInvalidURI, "/fw": ResultInvalidURI, ":": ResultInvalidURI, "coaps:///fw": ResultInvalidURI,
		"coaps://10.0.0.1/" + strings.Repeat("x", 255): ResultInvalidURI,
	} {
		if got := checkURI(uri, pullable); got != want {
			t.Errorf("%.30s: %v, want %v", uri, got, want)
		}
	}
	if s := FirmwareState(9).String() + FirmwareResult(-1).String(); s != "FirmwareState(9)FirmwareResult(-1)" {
		t.Error(s)
	}
}
