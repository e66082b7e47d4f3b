package azure

import (
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/thinlink/thinlink/clients/mqtt/internal/jsontext"
)

// Limits of a twin ("Understand and use device twins in IoT Hub").
const (
	MaxProperties = 32 << 10 // bytes of desired or reported properties as JSON
	MaxDepth      = 10       // levels of nesting
	MaxKey        = 1 << 10  // bytes of a name
)

// Twin is a device twin: what is desired of a device and what it reports. The
// zero value is a new one.
type Twin struct {
	desired, reported half
}

// half is one of the two property sets, with the number of its changes.
type half struct {
	properties map[string]any
	changes    int64
}

// version counts from 1, that of a new twin.
func (h *half) version() int64 { return h.changes + 1 }

// JSON is the twin as a device reads it.
func (t *Twin) JSON() []byte {
	return jsontext.Encode(map[string]any{"desired": t.desired.document(), "reported": t.reported.document()})
}

// document is the properties with their version.
func (h *half) document() map[string]any {
	d := maps.Clone(h.properties)
	if d == nil {
		d = map[string]any{}
	}
	d["$version"] = h.version()
	return d
}

// Report merges a patch into the reported properties and returns their new
// version. Errors: what is not a patch, limits; the twin stays as it was.
func (t *Twin) Report(patch []byte) (version int64, err error) {
	_, err = t.reported.apply(patch)
	return t.reported.version(), err
}

// Desire merges a patch into the desired properties and returns it as the
// device is told of it, with the new version.
func (t *Twin) Desire(patch []byte) (notification []byte, version int64, err error) {
	p, err := t.desired.apply(patch)
	if err != nil {
		return nil, 0, err
	}
	p["$version"] = t.desired.version()
	return jsontext.Encode(p), t.desired.version(), nil
}

// Reported is the reported properties as JSON.
func (t *Twin) Reported() []byte { return jsontext.Encode(t.reported.document()) }

func (h *half) apply(patch []byte) (map[string]any, error) {
	var v any
	if err := jsontext.Decode(patch, &v); err != nil {
		return nil, fmt.Errorf("invalid JSON: %w", err)
	}
	p, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("want a JSON object")
	}
	if err := checkValue(p, MaxDepth); err != nil {
		return nil, err
	}
	next := merge(h.properties, p)
	if size := len(jsontext.Encode(next)); size > MaxProperties {
		return nil, fmt.Errorf("%d bytes of properties: at most %d", size, MaxProperties)
	}
	h.properties = next
	h.changes++
	return p, nil
}

// merge is RFC 7396: members are set one by one, null removes, what is no object
// is replaced as a whole.
func merge(target, patch map[string]any) map[string]any {
	merged := maps.Clone(target)
	if merged == nil {
		merged = map[string]any{}
	}
	for key, v := range patch {
		switch v := v.(type) {
		case nil:
			delete(merged, key)
		case map[string]any:
			child, _ := merged[key].(map[string]any)
			merged[key] = merge(child, v)
		default:
			merged[key] = v
		}
	}
	return merged
}

// checkValue checks names and nesting: names are at most 1 KiB, without control
// characters, dots, dollars and spaces.
func checkValue(v any, levels int) error {
	if levels < 0 {
		return fmt.Errorf("more than %d levels of nesting", MaxDepth)
	}
	switch v := v.(type) {
	case map[string]any:
		for key, child := range v {
			if key == "" || len(key) > MaxKey || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r == '.' || r == '$' || r == 0x7f }) {
				return fmt.Errorf("property name %.40q", key)
			}
			if err := checkValue(child, levels-1); err != nil {
				return err
			}
		}
	case []any:
		for _, child := range v {
			if err := checkValue(child, levels-1); err != nil {
				return err
			}
		}
	}
	return nil
}
