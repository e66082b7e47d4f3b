package content

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
)

// unhex reads hexadecimal digits; blanks are for people.
func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// The device object of LwM2M Core 1.1 section 7.4.3.2, the response to a read
// of /3/0: its resources, and the instance around them.
var (
	specDevice = unhex("C8 00 14 4F70656E204D6F62696C6520416C6C69616E6365" +
		"C8 01 16 4C69676874776569676874204D324D20436C69656E74" +
		"C8 02 09 333435303030313233 C3 03 312E30" +
		"86 06 41 00 01 41 01 05  88 07 08 42 00 0E D8 42 01 13 88  87 08 41 00 7D 42 01 03 84" +
		"C1 09 64 C1 0A 0F 83 0B 41 00 00 C4 0D 51 82 42 8F C6 0E 2B30323A3030 C1 10 55")
	specDeviceValues = model.Values{
		0: "Open Mobile Alliance", 1: "Lightweight M2M Client", 2: "345000123", 3: "1.0",
		6: model.Multiple{0: int64(1), 1: int64(5)}, 7: model.Multiple{0: int64(0x0ed8), 1: int64(0x1388)},
		8: model.Multiple{0: int64(0x7d), 1: int64(0x384)}, 9: int64(100), 10: int64(15),
		11: model.Multiple{0: int64(0)}, 13: int64(1367491215), 14: "+02:00", 16: "U",
	}
)

func TestSpecDevice(t *testing.T) {
	device := model.NewPath(3, 0)
	want := model.Flat(model.Nodes(device, specDeviceValues))
	if got := must(Encode(TLV, device, want)); !bytes.Equal(got, specDevice) {
		t.Errorf("encoded\n%x, want\n%x", got, specDevice)
	}
	wrapped := append([]byte{0x08, 0x00, 0x79}, specDevice...)
	if got := must(Encode(TLV, model.NewPath(3), want)); !bytes.Equal(got, wrapped) {
		t.Errorf("instance begins %x, want %x", got[:4], wrapped[:4])
	}
	for base, payload := range map[model.Path][]byte{device: specDevice, model.NewPath(3): wrapped} {
		got, err := Decode(TLV, base, objects.Schema, payload)
		if got = slices.DeleteFunc(got, func(n model.Node) bool { return n.Value == nil }); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v: decoded %v, %v", base, got, err)
		}
	}
}

// The access control objects of the same section: two instances, 16-bit IDs.
func TestSpecInstances(t *testing.T) {
	payload := unhex("08 00 0E C1 00 01 C1 01 00 83 02 41 7F 07 C1 03 7F" +
		"08 02 12 C1 00 03 C1 01 00 87 02 41 7F 07 61 01 36 01 C1 03 7F")
	list, err := parseTLVs(payload)
	if err != nil || len(list) != 2 {
		t.Fatalf("%d elements, %v", len(list), err)
	}
	second := list[1]
	if second.Kind != tlvInstance || second.ID != 2 || len(second.Children) != 4 {
		t.Errorf("second: %+v", second)
	}
	instances := second.Children[2].Children
	if len(instances) != 2 || instances[1].Kind != tlvResourceInstance || instances[1].ID != 0x136 || instances[1].Value[0] != 1 {
		t.Errorf("resource instances: %+v", instances)
	}
	if got := appendTree(nil, list); !bytes.Equal(got, payload) {
		t.Errorf("encoded again\n%x, want\n%x", got, payload)
	}
}

// The object links of the same section.
func TestSpecLinks(t *testing.T) {
	payload := unhex("88 00 0C 44 00 00 42 00 00 44 01 00 42 00 01 C8 01 0D 38363133383030373535353030 C4 02 12 34 56 78")
	schema := schemaOf(model.Resource{ID: 0, Type: model.ObjectLink, Multiple: true}, model.Resource{ID: 1, Type: model.String}, model.Resource{ID: 2, Type: model.Integer})
	want := []model.Node{
		{Path: model.NewPath(65, 0, 0, 0), Value: model.Link{Object: 66, Instance: 0}},
		{Path: model.NewPath(65, 0, 0, 1), Value: model.Link{Object: 66, Instance: 1}},
		{Path: model.NewPath(65, 0, 1), Value: "8613800755500"},
		{Path: model.NewPath(65, 0, 2), Value: int64(0x12345678)},
	}
	got, err := Decode(TLV, model.NewPath(65, 0), schema, payload)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("decoded %v, %v", got, err)
	}
	if again := must(Encode(TLV, model.NewPath(65, 0), want)); !bytes.Equal(again, payload) {
		t.Errorf("encoded %x", again)
	}
}

// schemaOf knows resources of any object.
func schemaOf(list ...model.Resource) model.Schema {
	def := &model.Object{Resources: list}
	return func(p model.Path) *model.Resource { return def.Resource(p.Resource()) }
}

func TestTLVLengths(t *testing.T) {
	for _, test := range []struct {
		n      int
		id     uint16
		header string
	}{
		{0, 1, "c001"}, {7, 1, "c701"}, {8, 1, "c80108"}, {255, 255, "c8ffff"},
		{256, 256, "f001000100"}, {65535, 1, "d001ffff"}, {65536, 1, "d801010000"}, {1 << 20, 65535, "f8ffff100000"},
	} {
		value := bytes.Repeat([]byte{0xa5}, test.n)
		b := appendTLV(nil, tlvResource, test.id, value)
		if got := hex.EncodeToString(b[:len(b)-test.n]); got != test.header {
			t.Errorf("%d bytes, ID %d: header %s, want %s", test.n, test.id, got, test.header)
		}
		list, err := parseTLVs(b)
		if err != nil || len(list) != 1 || list[0].ID != test.id || !bytes.Equal(list[0].Value, value) {
			t.Errorf("%d bytes: %v", test.n, err)
		}
	}
}

func TestTLVMalformed(t *testing.T) {
	for _, s := range []string{
		"c1", "c100", "c8", "c800", "c80001", "d00001", "f8000000", // truncated
		"0300c100",     // instance with a truncated child
		"0400080100",   // instance inside instance
		"0300410001",   // resource instance inside an instance
		"8300c10001",   // resource inside a multiple resource
		"08000cc10001", // shorter than announced
	} {
		if list, err := parseTLVs(unhex(s)); err == nil {
			t.Errorf("%s: parsed as %+v", s, list)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	for s, why := range map[string]string{
		"c0 09":        "integer of 0 bytes",
		"c3 09 010203": "integer of 3 bytes",
		"c1 06 01":     "one value of a multiple resource",
		"83 09 410001": "several values of a single resource",
		"c2 00 c328":   "string that is no UTF-8",
	} {
		if v, err := Decode(TLV, model.NewPath(3, 0), objects.Schema, unhex(s)); err == nil {
			t.Errorf("%s: decoded as %v", why, v)
		}
	}
}

// appendTree encodes elements with their children.
func appendTree(dst []byte, list []element) []byte {
	for _, e := range list {
		value := e.Value
		if e.Children != nil {
			value = appendTree(nil, e.Children)
		}
		dst = appendTLV(dst, e.Kind, e.ID, value)
	}
	return dst
}

func FuzzTLV(f *testing.F) {
	f.Add(specDevice)
	f.Add(appendTLV(nil, tlvInstance, 0, specDevice))
	f.Add(unhex("f801000000020102"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parseTLVs(data)
		if err != nil {
			return
		}
		// Not equal to data, whose lengths need not be the shortest.
		b := appendTree(nil, list)
		if len(b) > len(data) {
			t.Fatalf("%x grew to %x", data, b)
		}
		again, err := parseTLVs(b)
		if err != nil || !bytes.Equal(appendTree(nil, again), b) {
			t.Fatalf("%x became %x: %v", data, b, err)
		}
	})
}
