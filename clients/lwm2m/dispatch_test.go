package lwm2m

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
	"github.com/thinlink/thinlink/clients/lwm2m/tree"
)

// testObject has a resource of every kind.
var testObject = &model.Object{ID: 100, Version: "2.1", Resources: []model.Resource{
	{ID: 0, Name: "read", Ops: model.R, Type: model.Integer, Mandatory: true},
	{ID: 1, Name: "both", Ops: model.RW, Type: model.String, Mandatory: true},
	{ID: 2, Name: "write", Ops: model.W, Type: model.Boolean},
	{ID: 3, Name: "execute", Ops: model.E},
	{ID: 4, Name: "opaque", Ops: model.RW, Type: model.Opaque},
	{ID: 5, Name: "several", Ops: model.RW, Type: model.Integer, Multiple: true},
	{ID: 6, Name: "absent", Ops: model.RW, Type: model.Float},
}}

// creatableObject is one whose instances servers may create.
var creatableObject = &model.Object{ID: 101, Multiple: true, Resources: []model.Resource{
	{ID: 0, Name: "mandatory", Ops: model.RW, Type: model.String, Mandatory: true},
	{ID: 1, Name: "several", Ops: model.RW, Type: model.Integer, Multiple: true},
	{ID: 2, Name: "read", Ops: model.R, Type: model.Float},
}}

type testDevice struct {
	*dispatcher
	tree     *tree.Tree
	executed string
	deleted  bool
	changes  []model.Path
}

func newTestDevice() *testDevice { return newTestDeviceOf(content.V12) }

func newTestDeviceOf(version string) *testDevice {
	d := &testDevice{}
	t := tree.New(tree.Config{Version: version, Changed: func(p []model.Path) { d.changes = append(d.changes, p...) }})
	d.tree, d.dispatcher = t, &dispatcher{view: t.As(1), obs: new(observers)}
	t.Add(objects.Security, 0, &tree.Instance{Values: model.Values{0: "coaps://10.0.0.1"}})
	t.Add(testObject, 0, &tree.Instance{
		Values: model.Values{0: int64(7), 1: "a", 2: false, 4: []byte{1, 2}, 5: model.Multiple{0: int64(1), 2: int64(3)}},
		OnWrite: func(v model.Values) (model.Values, error) {
			if v[1] == "forbidden" {
				return nil, errors.New("no")
			}
			return v, nil
		},
		Execute: map[uint16]func(string) error{3: func(args string) error { d.executed = args; return nil }},
	})
	t.Add(testObject, 3, &tree.Instance{Values: model.Values{0: int64(-1), 1: "b", 2: nil}})
	t.Define(creatableObject, func(id uint16, v model.Values) (*tree.Instance, error) {
		if v[0] == "forbidden" {
			return nil, errors.New("no")
		}
		return &tree.Instance{Values: v, OnDelete: func() { d.deleted = true }}, nil
	})
	return d
}

func (d *testDevice) do(method codes.Code, path string, format message.MediaType, payload []byte, queries ...string) *coap.Response {
	r := coap.NewRequest(method, path, queries...)
	switch {
	case method == codes.GET && format != noFormat:
		r.SetAccept(format)
	case format != noFormat:
		r.SetContentFormat(format)
	}
	r.Payload = payload
	return d.ServeCoAP(context.Background(), r)
}

const noFormat = message.MediaType(0xffff)

// encoded is nodes of a place in a format.
func encoded(f message.MediaType, base string, nodes ...model.Node) []byte {
	return must(content.Encode(f, must(model.ParsePath(base)), nodes))
}

// node is a place of the test's objects with a value.
func node(path string, value any) model.Node {
	return model.Node{Path: must(model.ParsePath(path)), Value: value}
}

// values is the TLV of resources of the test's first instance.
func values(v model.Values) []byte {
	return must(content.Encode(content.TLV, model.NewPath(100, 0), model.Nodes(model.NewPath(100, 0), v)))
}

func TestOperationCodes(t *testing.T) {
	one := []byte("1")
	for _, test := range []struct {
		what    string
		method  codes.Code
		path    string
		format  message.MediaType
		payload []byte
		want    string
	}{
		{"read resource", codes.GET, "/100/0/0", noFormat, nil, "2.05"},
		{"read object", codes.GET, "/100", noFormat, nil, "2.05"},
		{"read missing object", codes.GET, "/102", noFormat, nil, "4.04"},
		{"read missing instance", codes.GET, "/100/1", noFormat, nil, "4.04"},
		{"read missing resource", codes.GET, "/100/0/9", noFormat, nil, "4.04"},
		{"read resource without value", codes.GET, "/100/0/6", noFormat, nil, "4.04"},
		{"read what is no number", codes.GET, "/x", noFormat, nil, "4.04"},
		{"read root", codes.GET, "/", noFormat, nil, "4.04"},
		{"read security", codes.GET, "/0/0/0", noFormat, nil, "4.01"},
		{"read write-only", codes.GET, "/100/0/2", noFormat, nil, "4.05"},
		{"read executable", codes.GET, "/100/0/3", noFormat, nil, "4.05"},
		{"read in unknown format", codes.GET, "/100/0/0", 50, nil, "4.06"},
		{"read instance as text", codes.GET, "/100/0", coap.TextPlain, nil, "4.06"},
		{"read several as text", codes.GET, "/100/0/5", coap.TextPlain, nil, "4.06"},
		{"read integer as opaque", codes.GET, "/100/0/0", coap.Octets, nil, "4.06"},
		{"write text", codes.PUT, "/100/0/1", coap.TextPlain, []byte("x"), "2.04"},
		{"write without format", codes.PUT, "/100/0/1", noFormat, []byte("x"), "2.04"},
		{"write boolean", codes.PUT, "/100/0/2", coap.TextPlain, one, "2.04"},
		{"write nonsense", codes.PUT, "/100/0/2", coap.TextPlain, []byte("yes"), "4.00"},
		{"write read-only", codes.PUT, "/100/0/0", coap.TextPlain, one, "4.05"},
		{"write executable", codes.PUT, "/100/0/3", coap.TextPlain, one, "4.05"},
		{"write missing", codes.PUT, "/100/0/9", coap.TextPlain, one, "4.04"},
		{"write object", codes.PUT, "/100", content.TLV, one, "4.05"},
		{"write in unknown format", codes.PUT, "/100/0/1", 50, one, "4.15"},
		{"write instance as text", codes.PUT, "/100/0", coap.TextPlain, one, "4.15"},
		{"write refused by the application", codes.PUT, "/100/0/1", coap.TextPlain, []byte("forbidden"), "4.00"},
		{"write security", codes.PUT, "/0/0/0", coap.TextPlain, one, "4.01"},
		{"write TLV of another resource", codes.PUT, "/100/0/1", content.TLV, values(model.Values{2: true}), "4.00"},
		{"write malformed TLV", codes.PUT, "/100/0", content.TLV, []byte{0xc1}, "4.00"},
		{"write instance with read-only resource", codes.PUT, "/100/0", content.TLV, values(model.Values{0: int64(1)}), "4.05"},
		{"write instance with unknown resource", codes.PUT, "/100/0", content.TLV, values(model.Values{9: int64(1)}), "4.04"},
		{"write several", codes.POST, "/100/0/5", content.TLV, values(model.Values{5: model.Multiple{4: int64(5)}}), "2.04"},
		{"execute", codes.POST, "/100/0/3", noFormat, nil, "2.04"},
		{"execute with arguments", codes.POST, "/100/0/3", coap.TextPlain, []byte("0='a',1"), "2.04"},
		{"execute with malformed arguments", codes.POST, "/100/0/3", coap.TextPlain, []byte("a"), "4.00"},
		{"execute with opaque arguments", codes.POST, "/100/0/3", coap.Octets, []byte("0"), "4.15"},
		{"execute what is readable", codes.POST, "/100/0/0", noFormat, nil, "4.05"},
		{"execute where nothing can be", codes.POST, "/100/3/3", noFormat, nil, "4.04"},
		{"read resource instance", codes.GET, "/100/0/5/2", noFormat, nil, "2.05"},
		{"read missing resource instance", codes.GET, "/100/0/5/1", noFormat, nil, "4.04"},
		{"read instance of a single resource", codes.GET, "/100/0/0/0", noFormat, nil, "4.04"},
		{"read five levels", codes.GET, "/100/0/5/2/0", noFormat, nil, "4.04"},
		{"read object without instances", codes.GET, "/101", noFormat, nil, "2.05"},
		{"write resource instance", codes.PUT, "/100/0/5/2", content.Text, []byte("9"), "2.04"},
		{"write missing resource instance", codes.PUT, "/100/0/5/1", content.Text, []byte("9"), "4.04"},
		{"write several as text", codes.PUT, "/100/0/5", content.Text, one, "4.15"},
		{"update resource in part", codes.POST, "/100/0/1", content.Text, []byte("x"), "4.05"},
		{"update resource instance in part", codes.POST, "/100/0/5/2", content.Text, one, "4.05"},
		{"write object to root", codes.PUT, "/", content.TLV, nil, "4.04"},
		{"write too large a number", codes.PUT, "/100/0/5/2", content.Text, []byte("9223372036854775808"), "4.00"},
		{"write twice the same", codes.PUT, "/100/0", content.SenMLJSON, []byte(`[{"bn":"/100/0/1","vs":"a"},{"vs":"b"}]`), "4.00"},
		{"write elsewhere", codes.PUT, "/100/0", content.SenMLJSON, []byte(`[{"n":"/100/3/1","vs":"a"}]`), "4.00"},
		{"create where servers may not", codes.POST, "/100", content.TLV, nil, "4.05"},
		{"create", codes.POST, "/101", content.TLV, encoded(content.TLV, "/101", node("/101/4/0", "x")), "2.01"},
		{"create without what is mandatory", codes.POST, "/101", content.TLV, nil, "4.00"},
		{"create with what is read-only", codes.POST, "/101", content.TLV, encoded(content.TLV, "/101", node("/101/4/0", "x"), node("/101/4/2", 1.5)), "4.00"},
		{"create two", codes.POST, "/101", content.TLV, encoded(content.TLV, "/101", node("/101/4/0", "x"), node("/101/5/0", "x")), "4.00"},
		{"create what is refused", codes.POST, "/101", content.TLV, encoded(content.TLV, "/101", node("/101/4/0", "forbidden")), "4.00"},
		{"create without format", codes.POST, "/101", noFormat, one, "4.15"},
		{"create at missing object", codes.POST, "/102", content.TLV, nil, "4.04"},
		{"create security", codes.POST, "/0", content.TLV, nil, "4.01"},
		{"delete where servers may not", codes.DELETE, "/100/0", noFormat, nil, "4.05"},
		{"delete missing", codes.DELETE, "/101/9", noFormat, nil, "4.04"},
		{"delete object", codes.DELETE, "/101", noFormat, nil, "4.05"},
		{"delete resource", codes.DELETE, "/100/0/1", noFormat, nil, "4.05"},
		{"delete resource instance", codes.DELETE, "/100/0/5/2", noFormat, nil, "2.02"},
		{"delete security", codes.DELETE, "/0/0", noFormat, nil, "4.01"},
		{"read-composite without format", coap.FETCH, "/", noFormat, nil, "4.15"},
		{"read-composite in TLV", coap.FETCH, "/", content.TLV, nil, "4.15"},
		{"read-composite of a path", coap.FETCH, "/100", content.SenMLJSON, []byte(`[{"n":"/100"}]`), "4.05"},
		{"read-composite of nothing", coap.FETCH, "/", content.SenMLJSON, []byte(`[]`), "4.00"},
		{"read-composite with values", coap.FETCH, "/", content.SenMLJSON, []byte(`[{"n":"/100/0/0","v":1}]`), "4.00"},
		{"read-composite malformed", coap.FETCH, "/", content.SenMLJSON, []byte(`[{"n":"x"}]`), "4.00"},
		{"read-composite of what is missing", coap.FETCH, "/", content.SenMLJSON, []byte(`[{"n":"/102"}]`), "4.04"},
		{"read-composite of security", coap.FETCH, "/", content.SenMLJSON, []byte(`[{"n":"/0/0"}]`), "4.01"},
		{"read-composite in part", coap.FETCH, "/", content.SenMLJSON, []byte(`[{"n":"/102"},{"n":"/100/0/0"}]`), "2.05"},
		{"write-composite without format", coap.IPATCH, "/", noFormat, nil, "4.15"},
		{"write-composite in TLV", coap.IPATCH, "/", content.TLV, nil, "4.15"},
		{"write-composite to a path", coap.IPATCH, "/100", content.SenMLJSON, nil, "4.05"},
		{"write-composite to security", coap.IPATCH, "/", content.SenMLJSON, []byte(`[{"n":"/0/0/0","vs":"x"}]`), "4.01"},
		{"write-composite of another type", coap.IPATCH, "/", content.SenMLJSON, []byte(`[{"n":"/100/0/1","v":1}]`), "4.00"},
		{"write-composite to missing instance", coap.IPATCH, "/", content.SenMLJSON, []byte(`[{"n":"/101/4/0","vs":"x"}]`), "4.04"},
		{"write-composite", coap.IPATCH, "/", content.SenMLJSON, []byte(`[{"n":"/100/0/1","vs":"x"},{"n":"/100/3/1","vs":"y"}]`), "2.04"},
		{"patch", coap.PATCH, "/", content.SenMLJSON, nil, "4.05"},
		{"discover too deep", codes.GET, "/100?depth=4", coap.LinkFormat, nil, "4.00"},
		{"discover with another query", codes.GET, "/100?deep=1", coap.LinkFormat, nil, "4.00"},
		{"discover resource instance", codes.GET, "/100/0/5/2", coap.LinkFormat, nil, "4.05"},
		{"read with a query", codes.GET, "/100?pmin=1", noFormat, nil, "4.00"},
		{"discover", codes.GET, "/100/0", coap.LinkFormat, nil, "2.05"},
		{"discover missing", codes.GET, "/100/1", coap.LinkFormat, nil, "4.04"},
		{"discover security", codes.GET, "/0", coap.LinkFormat, nil, "4.01"},
	} {
		path, query, _ := strings.Cut(test.path, "?")
		var queries []string
		if query != "" {
			queries = []string{query}
		}
		if got := newTestDevice().do(test.method, path, test.format, test.payload, queries...); coap.CodeString(got.Code) != test.want {
			t.Errorf("%s: %s, want %s", test.what, coap.CodeString(got.Code), test.want)
		}
	}
}

func TestReadFormats(t *testing.T) {
	d := newTestDevice()
	instance0 := values(model.Values{0: int64(7), 1: "a", 4: []byte{1, 2}, 5: model.Multiple{0: int64(1), 2: int64(3)}})
	instance3 := values(model.Values{0: int64(-1), 1: "b"})
	object := append(append([]byte{0x08, 0, byte(len(instance0))}, instance0...), append([]byte{0x07 - 7 + byte(len(instance3)), 3}, instance3...)...)
	for _, test := range []struct {
		path    string
		accept  message.MediaType
		format  message.MediaType
		payload string
	}{
		{"/100/0/0", noFormat, coap.TextPlain, "7"},
		{"/100/0/0", content.TLV, content.TLV, "\xc1\x00\x07"},
		{"/100/0/1", coap.TextPlain, coap.TextPlain, "a"},
		{"/100/0/4", noFormat, coap.Octets, "\x01\x02"},
		{"/100/0/4", coap.TextPlain, coap.TextPlain, "AQI="},
		{"/100/0/5", noFormat, content.TLV, "\x86\x05\x41\x00\x01\x41\x02\x03"},
		{"/100/0", noFormat, content.TLV, string(instance0)},
		{"/100", content.TLV, content.TLV, string(object)},
		{"/100/0/5/2", noFormat, content.Text, "3"},
		{"/100/0/5/2", content.TLV, content.TLV, "\x41\x02\x03"},
		{"/100/0/0", content.CBOR, content.CBOR, "\x07"},
		{"/100/3", content.SenMLJSON, content.SenMLJSON, `[{"bn":"/100/3/","n":"0","v":-1},{"n":"1","vs":"b"}]`},
		{"/100/0/5", content.SenMLJSON, content.SenMLJSON, `[{"bn":"/100/0/5/","n":"0","v":1},{"n":"2","v":3}]`},
		{"/101", content.SenMLJSON, content.SenMLJSON, `[]`},
		{"/101", content.TLV, content.TLV, ""},
	} {
		resp := d.do(codes.GET, test.path, test.accept, nil)
		if format, _ := resp.ContentFormat(); format != test.format || string(resp.Payload) != test.payload {
			t.Errorf("%s as %d: format %d, %x", test.path, test.accept, format, resp.Payload)
		}
	}
}

// An update leaves what the payload lacks; a replacement removes what is
// optional and writable (section 6.3.3). A write is done whole or not at all.
func TestWriteInstance(t *testing.T) {
	payload := values(model.Values{1: "new", 2: true})
	d := newTestDevice()
	d.do(codes.POST, "/100/0", content.TLV, payload)
	want := model.Values{0: int64(7), 1: "new", 2: true, 4: []byte{1, 2}, 5: model.Multiple{0: int64(1), 2: int64(3)}}
	if got := d.tree.Values(100, 0); !reflect.DeepEqual(got, want) {
		t.Errorf("updated: %v", got)
	}
	// Only what can be read has changed for an observer.
	if !reflect.DeepEqual(d.changes, []model.Path{model.NewPath(100, 0, 1)}) {
		t.Errorf("changes: %v", d.changes)
	}
	d.do(codes.PUT, "/100/0", content.TLV, payload)
	want = model.Values{0: int64(7), 1: "new", 2: true, 4: nil, 5: nil}
	if got := d.tree.Values(100, 0); !reflect.DeepEqual(got, want) {
		t.Errorf("replaced: %v", got)
	}
	d.do(codes.PUT, "/100/0", content.TLV, values(model.Values{0: int64(1), 1: "other"}))
	if got := d.tree.Values(100, 0); !reflect.DeepEqual(got, want) {
		t.Errorf("after a refused write: %v", got)
	}
	// A PUT to one resource leaves the others.
	d = newTestDevice()
	d.do(codes.PUT, "/100/0/1", coap.TextPlain, []byte("x"))
	if got := d.tree.Get(100, 0, 4); got == nil || d.tree.Get(100, 0, 1) != "x" {
		t.Error("writing one resource removed another")
	}
}

func TestDiscover(t *testing.T) {
	d := newTestDevice()
	for _, w := range []struct{ path, query string }{
		{"/100", "pmin=10"}, {"/100/0", "pmax=60"}, {"/100/0/1", "pmin=5"}, {"/100/0/0", "pmax=90"}, {"/100/0/0", "pmax"},
	} {
		if resp := d.do(codes.PUT, w.path, noFormat, nil, w.query); resp.Code != codes.Changed {
			t.Fatalf("%v: %s", w, coap.CodeString(resp.Code))
		}
	}
	for path, want := range map[string]string{
		"/100": "</100>;ver=2.1;pmin=10,</100/0>;pmax=60,</100/0/0>,</100/0/1>;pmin=5,</100/0/2>,</100/0/3>,</100/0/4>,</100/0/5>;dim=2," +
			"</100/3>,</100/3/0>,</100/3/1>,</100/3/2>",
		"/100/3":         "</100/3>;pmin=10,</100/3/0>,</100/3/1>,</100/3/2>",
		"/100/0/1":       "</100/0/1>;pmin=5;pmax=60",
		"/100/0/5":       "</100/0/5>;dim=2;pmin=10;pmax=60,</100/0/5/0>,</100/0/5/2>",
		"/100?depth=0":   "</100>;ver=2.1;pmin=10",
		"/100?depth=1":   "</100>;ver=2.1;pmin=10,</100/0>;pmax=60,</100/3>",
		"/100/0?depth=2": "</100/0>;pmin=10;pmax=60,</100/0/0>,</100/0/1>;pmin=5,</100/0/2>,</100/0/3>,</100/0/4>,</100/0/5>;dim=2,</100/0/5/0>,</100/0/5/2>",
		"/101":           "</101>",
	} {
		bare, query, asked := strings.Cut(path, "?")
		var queries []string
		if asked {
			queries = []string{query}
		}
		resp := d.do(codes.GET, bare, coap.LinkFormat, nil, queries...)
		if format, _ := resp.ContentFormat(); string(resp.Payload) != want || format != coap.LinkFormat {
			t.Errorf("%s: format %d\n%s, want\n%s", path, format, resp.Payload, want)
		}
	}
}

func TestWriteAttributesRefused(t *testing.T) {
	for query, want := range map[string]string{"pmin=x": "4.00", "pmin=-1": "4.00", "gt=5": "4.00", "pmax=": "4.00", "con=2": "4.00", "dim=1": "4.00", "epmin=1.5": "4.00"} {
		d := newTestDevice()
		if resp := d.do(codes.PUT, "/100/0", noFormat, nil, "pmin=1", query); coap.CodeString(resp.Code) != want {
			t.Errorf("%s: %s", query, coap.CodeString(resp.Code))
		}
		if a := d.view.Attributes(model.NewPath(100, 0)); a != (tree.Attributes{}) {
			t.Errorf("%s: set %v all the same", query, a.Queries())
		}
	}
	d := newTestDevice()
	if resp := d.do(codes.PUT, "/100/7", noFormat, nil, "pmin=1"); resp.Code != codes.NotFound {
		t.Errorf("missing instance: %s", coap.CodeString(resp.Code))
	}
	if resp := d.do(codes.PUT, "/100/0/1", coap.TextPlain, []byte("x"), "pmin=1"); resp.Code != codes.BadRequest {
		t.Errorf("attributes and payload: %s", coap.CodeString(resp.Code))
	}
	if resp := d.do(codes.POST, "/100/0/1", coap.TextPlain, []byte("x"), "pmin=1"); resp.Code != codes.BadRequest {
		t.Errorf("update with attributes: %s", coap.CodeString(resp.Code))
	}
}

func TestExecuteArguments(t *testing.T) {
	d := newTestDevice()
	for args, want := range map[string]bool{
		"": true, "0": true, "0,1": true, "5='x'": true, "0='http://10.0.0.1/'": true, "7='',2": true,
		"x": false, "0,": false, "0=": false, "0=x": false, "0='": false, "0='a b'": false, "01": false, ",": false, "0='a'b": false,
	} {
		d.executed = "none"
		resp := d.do(codes.POST, "/100/0/3", noFormat, []byte(args))
		if ok := resp.Code == codes.Changed; ok != want || ok != (d.executed == args) {
			t.Errorf("%q: %s, executed %q", args, coap.CodeString(resp.Code), d.executed)
		}
	}
}

func TestRegisteredLinks(t *testing.T) {
	got := string(content.AppendLinks(nil, newTestDevice().tree.Registered()))
	if want := "</>;rt=oma.lwm2m;ct=11542,</100>;ver=2.1,</100/0>,</100/3>,</101>"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// FuzzDispatch sends arbitrary requests: no panic, and a code of an answer.
func FuzzDispatch(f *testing.F) {
	f.Add(uint8(codes.PUT), "/100/0", uint16(content.TLV), values(model.Values{1: "x"}), "")
	f.Add(uint8(codes.GET), "/100", uint16(coap.LinkFormat), []byte(nil), "")
	f.Add(uint8(codes.PUT), "/100/0/1", uint16(noFormat), []byte(nil), "pmin=1")
	f.Add(uint8(codes.POST), "/100/0/3", uint16(0), []byte("0='a'"), "")
	f.Fuzz(func(t *testing.T, method uint8, path string, format uint16, payload []byte, query string) {
		d := newTestDevice()
		var queries []string
		if query != "" {
			queries = []string{query}
		}
		resp := d.do(codes.Code(method), path, message.MediaType(format), payload, queries...)
		if class := resp.Code >> 5; class != 2 && class != 4 {
			t.Fatalf("%s", coap.CodeString(resp.Code))
		}
		// Whatever was written, the tree can still be read.
		if resp := d.do(codes.GET, "/100", content.TLV, nil); resp.Code != codes.Content {
			t.Fatalf("read after it: %s", coap.CodeString(resp.Code))
		}
	})
}

// A request whose condition does not hold is 4.12, and nothing happens (RFC 7252
// section 5.10.8). The device gives no entity tags, so that only existence can
// match.
func TestConditionalOperations(t *testing.T) {
	for _, test := range []struct {
		what    string
		method  codes.Code
		path    string
		payload string
		match   [][]byte
		none    bool
		want    string
	}{
		{"write what exists", codes.PUT, "/100/0/1", "c", [][]byte{{}}, false, "2.04"},
		{"write by a tag", codes.PUT, "/100/0/1", "c", [][]byte{{7}}, false, "4.12"},
		{"write what is not there", codes.PUT, "/100/1/1", "c", [][]byte{{}}, false, "4.12"},
		{"write unless there", codes.PUT, "/100/0/1", "c", nil, true, "4.12"},
		{"write unless there, where nothing is", codes.PUT, "/100/1/1", "c", nil, true, "4.04"},
		{"execute unless there", codes.POST, "/100/0/3", "", nil, true, "4.12"},
		{"execute what exists", codes.POST, "/100/0/3", "", [][]byte{{}}, false, "2.04"},
		{"delete by a tag", codes.DELETE, "/101/0", "", [][]byte{{7}}, false, "4.12"},
		{"read by a tag", codes.GET, "/100/0/0", "", [][]byte{{7}}, false, "4.12"},
		{"security is not there for servers", codes.GET, "/0/0/0", "", [][]byte{{}}, false, "4.12"},
		{"the root is", coap.FETCH, "/", "", nil, true, "4.12"},
	} {
		d := newTestDevice()
		d.executed = "not"
		r := coap.NewRequest(test.method, test.path)
		if test.payload != "" {
			r.WithPayload(content.Text, []byte(test.payload))
		}
		for _, tag := range test.match {
			r.AddIfMatch(tag)
		}
		if test.none {
			r.Set(message.IfNoneMatch, nil)
		}
		if got := coap.CodeString(d.ServeCoAP(context.Background(), r).Code); got != test.want {
			t.Errorf("%s: %s, want %s", test.what, got, test.want)
		}
		if acted := d.tree.Get(100, 0, 1) != "a" || d.executed != "not"; acted != (test.want == "2.04") {
			t.Errorf("%s: acted %v", test.what, acted)
		}
	}
}
