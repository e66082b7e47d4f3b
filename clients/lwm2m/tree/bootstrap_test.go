package tree

import (
	"reflect"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
)

// A bootstrap server's write keeps what the device knows, and of it only that
// which is of an instance (section 6.1.7.5).
func TestBootstrapWrite(t *testing.T) {
	tree, b := blank()
	if err := b.Write(at("/1/0"), []byte(`[{"bn":"/1/0/","n":"0","v":7},{"n":"99","v":1}]`), content.SenMLJSON); err != nil {
		t.Error(err)
	}
	if got, want := tree.Values(1, 0), (model.Values{objects.ServerShortID: int64(7)}); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	withoutInstance := []byte{0xc1, 0, 8} // resource 0 in TLV
	if err := b.Write(at("/1"), withoutInstance, content.TLV); code(err) != codes.BadRequest {
		t.Errorf("resources of no instance: %v", err)
	}
	if got := tree.Instances(1); !reflect.DeepEqual(got, []uint16{0}) {
		t.Errorf("instances %v", got)
	}
}

// A server of an older version than the device may replace an instance whose
// later resources it does not know.
func TestWriteAfterFallback(t *testing.T) {
	tree, _ := blank()
	tree.Add(objects.Server, 0, &Instance{Values: model.Values{objects.ServerShortID: int64(7), objects.ServerLifetime: int64(60), objects.ServerMuteSend: false}})
	tree.SetVersion(content.V10)
	if err := tree.As(7).Write(at("/1/0"), true, []byte{0xc1, 1, 90}, content.TLV, true); err != nil {
		t.Error(err)
	}
	if got := tree.Get(1, 0, objects.ServerLifetime); got != int64(90) {
		t.Errorf("lifetime %v", got)
	}
}
