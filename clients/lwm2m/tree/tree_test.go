package tree

import (
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
)

// thing is an object with a resource of every kind, whose instances servers may
// create.
var thing = &model.Object{ID: 100, Multiple: true, Resources: []model.Resource{
	{ID: 0, Ops: model.RW, Type: model.Integer, Mandatory: true},
	{ID: 1, Ops: model.RW, Type: model.Float},
	{ID: 2, Ops: model.RW, Type: model.Boolean},
	{ID: 3, Ops: model.E},
	{ID: 4, Ops: model.RW, Type: model.Integer, Multiple: true},
}}

func at(s string) model.Path {
	p, err := model.ParsePath(s)
	if err != nil {
		panic(err)
	}
	return p
}

// newThing is a tree with one instance of it, and accounts of servers.
func newThing(servers ...int64) *Tree {
	t := New(Config{Version: content.V12})
	t.Define(thing, func(_ uint16, v model.Values) (*Instance, error) { return &Instance{Values: v}, nil })
	t.Add(thing, 0, &Instance{
		Values:  model.Values{0: int64(20), 1: 20.0, 2: false, 4: model.Multiple{0: int64(1), 5: int64(6)}},
		Execute: map[uint16]func(string) error{3: func(string) error { return nil }},
	})
	t.Define(objects.Server, nil)
	for i, id := range servers {
		t.Add(objects.Server, uint16(i), &Instance{Values: model.Values{objects.ServerShortID: id, objects.ServerLifetime: int64(60)}})
	}
	return t
}

// code is that of a refusal, 0 for none.
func code(err error) codes.Code {
	var status *model.StatusError
	if errors.As(err, &status) {
		return status.Code
	}
	return 0
}

func (v View) readCode(path string) codes.Code {
	_, _, err := v.Read(at(path), content.SenMLJSON, true)
	return code(err)
}

func (v View) writeCode(path, text string) codes.Code {
	return code(v.Write(at(path), true, []byte(text), content.Text, true))
}

func (v View) createCode() codes.Code {
	_, _, err := v.Create(at("/100"), []byte(`[{"n":"/100/7/0","v":1}]`), content.SenMLJSON, true)
	return code(err)
}

// What each right of an access control list permits, and nothing else (section
// 8.2); the owner without an entry has all, others the default.
func TestRights(t *testing.T) {
	const none = codes.Code(0)
	for _, test := range []struct {
		what                               string
		acl                                model.Multiple
		owner                              int64
		read, write, execute, delete, attr codes.Code
	}{
		{"owner", model.Multiple{}, 2, none, none, none, none, none},
		{"nobody", model.Multiple{}, 1, codes.Unauthorized, codes.Unauthorized, codes.Unauthorized, codes.Unauthorized, codes.Unauthorized},
		{"read", model.Multiple{2: int64(MayRead)}, 1, none, codes.Unauthorized, codes.Unauthorized, codes.Unauthorized, none},
		{"write", model.Multiple{2: int64(MayWrite)}, 1, codes.Unauthorized, none, codes.Unauthorized, codes.Unauthorized, codes.Unauthorized},
		{"execute", model.Multiple{2: int64(MayExecute)}, 1, codes.Unauthorized, codes.Unauthorized, none, codes.Unauthorized, codes.Unauthorized},
		{"delete", model.Multiple{2: int64(MayDelete)}, 1, codes.Unauthorized, codes.Unauthorized, codes.Unauthorized, none, codes.Unauthorized},
		{"default", model.Multiple{0: int64(MayRead)}, 1, none, codes.Unauthorized, codes.Unauthorized, codes.Unauthorized, none},
		{"own entry before default", model.Multiple{0: int64(mayAll), 2: int64(MayRead)}, 1, none, codes.Unauthorized, codes.Unauthorized, codes.Unauthorized, none},
		{"own entry before owner", model.Multiple{2: int64(MayRead)}, 2, none, codes.Unauthorized, codes.Unauthorized, codes.Unauthorized, none},
	} {
		tree := newThing(1, 2)
		tree.Add(objects.Access, 0, &Instance{Values: model.Values{
			objects.AccessObject: int64(100), objects.AccessInstance: int64(0), objects.AccessACL: test.acl, objects.AccessOwner: test.owner,
		}})
		v := tree.As(2)
		got := []codes.Code{
			v.readCode("/100/0/0"), v.writeCode("/100/0/0", "1"), code(v.Execute(at("/100/0/3"), "")),
			code(v.WriteAttributes(at("/100/0"), []string{"pmin=1"})), code(v.Delete(at("/100/0"))),
		}
		if want := []codes.Code{test.read, test.write, test.execute, test.attr, test.delete}; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", test.what, got, want)
		}
	}
}

// A server that is alone needs no rights; one of several that creates an
// instance owns it, if it may create at all (sections 8.1.2 and 8.2.1).
func TestOwnership(t *testing.T) {
	if got := newThing(1).As(1).createCode(); got != 0 {
		t.Errorf("alone: %v", got)
	}
	tree := newThing(1, 2)
	if got := tree.As(2).createCode(); got != codes.Unauthorized {
		t.Errorf("without the right: %v", got)
	}
	tree.Add(objects.Access, 9, &Instance{Values: model.Values{
		objects.AccessObject: int64(100), objects.AccessInstance: int64(model.MaxID),
		objects.AccessACL: model.Multiple{2: int64(MayCreate)}, objects.AccessOwner: int64(model.MaxID),
	}})
	if got := tree.As(2).createCode(); got != 0 {
		t.Fatalf("with it: %v", got)
	}
	if got := tree.As(1).readCode("/100/7"); got != codes.Unauthorized {
		t.Errorf("another server reads what it does not own: %v", got)
	}
	if got := tree.As(2).writeCode("/100/7/0", "5"); got != 0 {
		t.Errorf("the owner writes: %v", got)
	}
	controls := len(tree.Instances(objects.Access.ID))
	if err := tree.As(2).Delete(at("/100/7")); err != nil || len(tree.Instances(objects.Access.ID)) != controls-1 {
		t.Errorf("access control of what is gone: %v", err)
	}
}

// Without access control in the device, others read and the owner does all.
func TestProtect(t *testing.T) {
	tree := newThing(1, 2)
	tree.Protect(1)
	if r, w := tree.As(2).readCode("/100/0"), tree.As(2).writeCode("/100/0/0", "1"); r != 0 || w != codes.Unauthorized {
		t.Errorf("another server: read %v, write %v", r, w)
	}
	if w := tree.As(1).writeCode("/100/0/0", "1"); w != 0 {
		t.Errorf("the owner: %v", w)
	}
	// Everybody may read who may do what, the owner may change it.
	if r, w := tree.As(2).readCode("/2/0"), tree.As(2).writeCode("/2/0/3", "2"); r != 0 || w != codes.Unauthorized {
		t.Errorf("access control: read %v, write %v", r, w)
	}
	if w := tree.As(1).writeCode("/2/0/3", "2"); w != 0 {
		t.Errorf("access control, by its owner: %v", w)
	}
	before := len(tree.Instances(objects.Access.ID))
	if tree.Protect(2); len(tree.Instances(objects.Access.ID)) != before {
		t.Error("protected twice")
	}
}

// Attributes come from the nearest level that has them, each by itself (section
// 5.1.1); each server has its own, and without any the server object's defaults
// hold.
func TestRules(t *testing.T) {
	tree := newThing(1, 2)
	tree.Protect(1)
	v := tree.As(1)
	for _, w := range []struct{ path, query string }{{"/100", "pmin=10"}, {"/100", "con=1"}, {"/100/0", "pmax=60"}, {"/100/0/0", "pmin=5"}, {"/100/0/1", "pmax=3"}, {"/100/0/1", "epmin=2"}, {"/100/0/2", "epmin=9"}, {"/100/0/2", "epmax=9"}} {
		if err := v.WriteAttributes(at(w.path), []string{w.query}); err != nil {
			t.Fatal(err)
		}
	}
	confirmable := true
	const s = time.Second
	for path, want := range map[string]Rules{
		"/100":       {10 * s, 0, 0, &confirmable},
		"/100/0":     {10 * s, 60 * s, 0, &confirmable},
		"/100/0/0":   {5 * s, 60 * s, 0, &confirmable},
		"/100/0/1":   {10 * s, 0, 2 * s, &confirmable}, // pmax below pmin is ignored
		"/100/0/2":   {10 * s, 60 * s, 0, &confirmable},
		"/100/0/4/5": {10 * s, 60 * s, 0, &confirmable},
	} {
		if got := v.Rules(at(path)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", path, got, want)
		}
	}
	if got := tree.As(2).Rules(at("/100/0/0")); got != (Rules{}) {
		t.Errorf("another server: %+v", got)
	}
	tree.Set(objects.Server.ID, 1, model.Values{objects.ServerMinPeriod: int64(7), objects.ServerMaxPeriod: int64(70), objects.ServerNotificationMode: int64(1)})
	if got, want := tree.As(2).Rules(at("/100/0/0")), (Rules{7 * s, 70 * s, 0, &confirmable}); !reflect.DeepEqual(got, want) {
		t.Errorf("defaults: %+v, want %+v", got, want)
	}
	// What is deleted takes its attributes along.
	tree.Remove(100, 0)
	tree.Add(thing, 0, &Instance{Values: model.Values{0: int64(1)}})
	if a := v.Attributes(at("/100/0/0")); a != (Attributes{}) {
		t.Errorf("a new instance has %v", a.Queries())
	}
}

// When the change of a value is worth a notification (section 5.1.2): crossing
// gt or lt either way, a step away from what was notified, an edge.
func TestWorth(t *testing.T) {
	for _, test := range []struct {
		what, path, query   string
		notified, seen, now any
		want                bool
	}{
		{"no condition", "/100/0/0", "pmin=1", int64(1), int64(1), int64(1), true},
		{"above gt", "/100/0/0", "gt=50", int64(20), int64(50), int64(51), true},
		{"below gt again", "/100/0/0", "gt=50", int64(20), int64(51), int64(50), true},
		{"stays above gt", "/100/0/0", "gt=50", int64(20), int64(51), int64(90), false},
		{"below lt", "/100/0/1", "lt=5.5", 9.0, 5.5, 5.4, true},
		{"above lt again", "/100/0/1", "lt=5.5", 9.0, 5.4, 5.5, true},
		{"stays below lt", "/100/0/1", "lt=5.5", 9.0, 5.4, 1.0, false},
		{"a step from what was notified", "/100/0/1", "st=3", 10.0, 12.0, 13.0, true},
		{"a step down", "/100/0/1", "st=3", 10.0, 8.0, 7.0, true},
		{"a step from what was seen only", "/100/0/1", "st=3", 10.0, 8.0, 11.0, false},
		{"rising edge", "/100/0/2", "edge=1", false, false, true, true},
		{"falling edge, not asked for", "/100/0/2", "edge=1", true, true, false, false},
		{"falling edge", "/100/0/2", "edge=0", true, true, false, true},
		{"no edge", "/100/0/2", "edge=0", false, false, false, false},
		{"instance of a resource", "/100/0/4/5", "gt=9", int64(1), int64(1), int64(10), true},
		{"its resource has the condition", "/100/0/4", "gt=9", model.Multiple{5: int64(1)}, model.Multiple{5: int64(1)}, model.Multiple{5: int64(8)}, false},
		{"an instance more", "/100/0/4", "gt=9", model.Multiple{5: int64(1)}, model.Multiple{5: int64(1)}, model.Multiple{5: int64(1), 6: int64(1)}, true},
		{"an instance less", "/100/0/4", "gt=9", model.Multiple{5: int64(1), 6: int64(1)}, model.Multiple{5: int64(1), 6: int64(1)}, model.Multiple{5: int64(1)}, true},
	} {
		tree := newThing(1)
		v := tree.As(1)
		path := at(test.path)
		if err := v.WriteAttributes(path, []string{test.query}); err != nil {
			t.Fatalf("%s: %v", test.what, err)
		}
		samples := func(value any) map[model.Path]Sample {
			if path.Depth() == model.DepthResourceInstance {
				value = model.Multiple{path.ResourceInstance(): value}
			}
			tree.Set(100, 0, model.Values{path.Resource(): value})
			return v.Samples(path)
		}
		notified, seen, now := samples(test.notified), samples(test.seen), samples(test.now)
		if got := v.Worth(path, seen, notified, now); got != test.want {
			t.Errorf("%s: %v", test.what, got)
		}
	}
}

// Attributes that leave no room for each other, or are of another version, are
// refused.
func TestInconsistentAttributes(t *testing.T) {
	for query, want := range map[string]codes.Code{
		"lt=5&gt=10": 0, "lt=5&gt=10&st=2": 0, "lt=5&gt=5": codes.BadRequest, "lt=10&gt=5": codes.BadRequest,
		"lt=5&gt=10&st=2.5": codes.BadRequest, "st=-1": codes.BadRequest, "edge=1": codes.BadRequest, "hqmax=3": codes.BadRequest,
	} {
		err := newThing(1).As(1).WriteAttributes(at("/100/0/1"), strings.Split(query, "&"))
		if got := code(err); got != want {
			t.Errorf("%s: %s, want %s", query, coap.CodeString(got), coap.CodeString(want))
		}
	}
	tree := newThing(1)
	tree.SetVersion(content.V10)
	if got := code(tree.As(1).WriteAttributes(at("/100/0/1"), []string{"epmin=1"})); got != codes.BadRequest {
		t.Errorf("epmin in version 1.0: %v", got)
	}
}

func TestParseArguments(t *testing.T) {
	args, err := ParseArguments("0='a,b',3,9=''")
	if want := []Argument{{0, "a,b", true}, {3, "", false}, {9, "", true}}; err != nil || !reflect.DeepEqual(args, want) {
		t.Errorf("%v, %v", args, err)
	}
}

func FuzzParseArguments(f *testing.F) {
	f.Add("0='a',1")
	f.Add("5='http://10.0.0.1/',7,9=''")
	f.Fuzz(func(t *testing.T, s string) {
		args, err := ParseArguments(s)
		if err != nil {
			return
		}
		text := ""
		for i, a := range args {
			if i > 0 {
				text += ","
			}
			if text += strconv.Itoa(int(a.ID)); a.HasValue {
				text += "='" + a.Value + "'"
			}
		}
		if text != s {
			t.Fatalf("%q reads as %v", s, args)
		}
	})
}

// Another version of LwM2M has other formats and versions of objects.
func TestSetVersion(t *testing.T) {
	for version, want := range map[string]string{
		content.V12: "</>;rt=oma.lwm2m;ct=11544,</4>;ver=1.3,</4/0>",
		content.V11: "</>;rt=oma.lwm2m;ct=11542,</4>;ver=1.1,</4/0>",
		content.V10: "</>;rt=oma.lwm2m;ct=11542,</4/0>",
	} {
		tree := New(Config{Version: content.V12, Format: content.LwM2MCBOR})
		tree.Add(objects.Connectivity, 0, &Instance{Values: model.Values{0: int64(7)}})
		tree.SetVersion(version)
		if got := string(content.AppendLinks(nil, tree.Registered())); got != want {
			t.Errorf("%s: %s, want %s", version, got, want)
		}
	}
}

// Attributes of an observe request hold for that observation and in place of all
// that are attached (Core 1.2 section 6.4.1); those of the server object remain
// the defaults.
func TestObserving(t *testing.T) {
	tree := newThing(1)
	v := tree.As(1)
	tree.Set(objects.Server.ID, 0, model.Values{objects.ServerMinPeriod: int64(7)})
	for _, q := range []string{"pmax=60", "gt=30"} {
		if err := v.WriteAttributes(at("/100/0/1"), []string{q}); err != nil {
			t.Fatal(err)
		}
	}
	confirmable := true
	for _, c := range []struct {
		path    string
		queries []string
		want    Rules
		samples int
	}{
		{"/100/0/1", nil, Rules{7 * time.Second, 60 * time.Second, 0, nil}, 1},
		{"/100/0/1", []string{"con=1"}, Rules{7 * time.Second, 0, 0, &confirmable}, 0},
		{"/100/0/1", []string{"pmin=1", "pmax=5", "lt=3"}, Rules{time.Second, 5 * time.Second, 0, nil}, 1},
		{"/100/0", []string{"pmin=2"}, Rules{2 * time.Second, 0, 0, nil}, 0},
	} {
		o, err := v.Observing([]model.Path{at(c.path)}, c.queries)
		if got := o.Rules(at(c.path)); err != nil || !reflect.DeepEqual(got, c.want) || len(o.Samples(at(c.path))) != c.samples || o.Server() != 1 {
			t.Errorf("%s %v: %+v, %v, want %+v", c.path, c.queries, got, err, c.want)
		}
	}
	if a := v.Attributes(at("/100/0/1")); a.Greater == nil || a.Less != nil {
		t.Errorf("attached: %+v", a)
	}
	for _, c := range []struct{ path, query string }{{"/100/0", "gt=1"}, {"/100/0/2", "st=1"}, {"/100/0/1", "st=-1"}, {"/100/0/1", "what=1"}, {"/100/0/1", "pmin=x"}} {
		if _, err := v.Observing([]model.Path{at(c.path)}, []string{c.query}); code(err) != codes.BadRequest {
			t.Errorf("%s?%s: %v", c.path, c.query, err)
		}
	}
	tree.SetVersion(content.V11)
	if _, err := v.Observing([]model.Path{at("/100/0/1")}, []string{"pmin=1"}); code(err) != codes.BadRequest {
		t.Errorf("version 1.1: %v", err)
	}
}
