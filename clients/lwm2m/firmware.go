package lwm2m

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
)

// FirmwareState is resource 3 of the firmware update object (appendix E.6).
type FirmwareState int64

// The states of a firmware update.
const (
	Idle        FirmwareState = 0
	Downloading FirmwareState = 1
	Downloaded  FirmwareState = 2
	Updating    FirmwareState = 3
)

// FirmwareResult is resource 5 of the firmware update object.
type FirmwareResult int64

// The results of a firmware update.
const (
	ResultInitial            FirmwareResult = 0
	ResultSuccess            FirmwareResult = 1
	ResultNoFlash            FirmwareResult = 2
	ResultNoRAM              FirmwareResult = 3
	ResultConnectionLost     FirmwareResult = 4
	ResultIntegrity          FirmwareResult = 5
	ResultUnsupportedPackage FirmwareResult = 6
	ResultInvalidURI         FirmwareResult = 7
	ResultFailed             FirmwareResult = 8
	ResultProtocol           FirmwareResult = 9
	ResultCancelled          FirmwareResult = 10
	ResultDeferred           FirmwareResult = 11
)

// FirmwareProtocol is a value of resource 8: how packages can be pulled.
type FirmwareProtocol int64

// The protocols of package URIs.
const (
	ProtocolCoAP  FirmwareProtocol = 0
	ProtocolCoAPS FirmwareProtocol = 1
	ProtocolHTTP  FirmwareProtocol = 2
	ProtocolHTTPS FirmwareProtocol = 3
	// CoAP over TCP and TLS (RFC 8323).
	ProtocolCoAPTCP FirmwareProtocol = 4
	ProtocolCoAPTLS FirmwareProtocol = 5
)

var firmwareSchemes = map[string]FirmwareProtocol{
	"coap": ProtocolCoAP, "coaps": ProtocolCoAPS, "http": ProtocolHTTP, "https": ProtocolHTTPS,
	"coap+tcp": ProtocolCoAPTCP, "coaps+tcp": ProtocolCoAPTLS,
}

// Firmware is the state machine of the firmware update object. It is pure:
// methods say what happened, fields what it came to. The zero value is idle.
type Firmware struct {
	State  FirmwareState
	Result FirmwareResult
	// URI is what is or was to be downloaded.
	URI string
}

// SetURI is a write to Package URI. An empty one resets, any other begins a
// download in state Idle: download is then true. Errors: *StatusError when the
// state does not allow it.
func (f *Firmware) SetURI(uri string, supported []FirmwareProtocol) (download bool, err error) {
	switch {
	case f.State == Updating:
		return false, f.refuse("the update is being applied")
	case uri == "":
		*f = Firmware{}
		return false, nil
	case f.State != Idle:
		return false, f.refuse("a package is there or on its way; reset first")
	}
	*f = Firmware{Result: checkURI(uri, supported), URI: uri}
	if f.Result != ResultInitial {
		return false, nil
	}
	f.State = Downloading
	return true, nil
}

// BeginPush is the first block of a write to Package (other than the NUL byte,
// which resets like an empty URI). Errors: *StatusError when the state does not
// allow it.
func (f *Firmware) BeginPush() error {
	if f.State != Idle {
		return f.refuse("a package is there or on its way; reset first")
	}
	*f = Firmware{State: Downloading}
	return nil
}

// Pushed reports that a package is being pushed, not pulled.
func (f *Firmware) Pushed() bool { return f.State == Downloading && f.URI == "" }

// checkURI judges a package URI.
func checkURI(uri string, supported []FirmwareProtocol) FirmwareResult {
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" || len(uri) > 255 {
		return ResultInvalidURI
	}
	protocol, known := firmwareSchemes[strings.ToLower(u.Scheme)]
	for _, p := range supported {
		if known && p == protocol {
			return ResultInitial
		}
	}
	return ResultProtocol
}

// DownloadEnded is the end of a download, with ResultInitial if the package is
// there and sound. Out of state Downloading it is without effect: the download
// was reset or cancelled.
func (f *Firmware) DownloadEnded(result FirmwareResult) {
	switch {
	case f.State != Downloading:
	case result == ResultInitial:
		f.State = Downloaded
	default:
		f.State, f.Result = Idle, result
	}
}

// Defer is the user's wish, after Update was executed, to have the package
// applied later: it is still there, and will be (resource 13).
func (f *Firmware) Defer() {
	if f.State == Updating {
		f.State, f.Result = Downloaded, ResultDeferred
	}
}

// Update is the execution of Update, or the end of a deferral.
func (f *Firmware) Update() error {
	if f.State != Downloaded {
		return f.refuse("there is no package")
	}
	f.State, f.Result = Updating, ResultInitial
	return nil
}

// Applied is the end of applying a package. After a failure it is still there
// (appendix E.6, resource 3).
func (f *Firmware) Applied(result FirmwareResult) {
	if f.State != Updating {
		return
	}
	f.Result = result
	f.State = Downloaded
	if result == ResultSuccess {
		f.State = Idle
	}
}

// Cancel is the execution of Cancel.
func (f *Firmware) Cancel() error {
	if f.State != Downloading && f.State != Downloaded {
		return f.refuse("there is nothing to cancel")
	}
	*f = Firmware{Result: ResultCancelled}
	return nil
}

func (f *Firmware) refuse(reason string) error {
	return model.Refuse(codes.MethodNotAllowed, fmt.Sprintf("state %v: %s", f.State, reason))
}

// String is the state's name.
func (s FirmwareState) String() string {
	names := [...]string{"idle", "downloading", "downloaded", "updating"}
	if s < 0 || int(s) >= len(names) {
		return fmt.Sprintf("FirmwareState(%d)", int64(s))
	}
	return names[s]
}

// String is what the result means.
func (r FirmwareResult) String() string {
	names := [...]string{
		"initial", "success", "not enough flash memory", "out of memory", "connection lost",
		"integrity check failed", "unsupported package", "invalid URI", "update failed",
		"unsupported protocol", "cancelled", "deferred",
	}
	if r < 0 || int(r) >= len(names) {
		return fmt.Sprintf("FirmwareResult(%d)", int64(r))
	}
	return names[r]
}
