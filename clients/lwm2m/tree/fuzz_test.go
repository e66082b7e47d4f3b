package tree

import (
	"reflect"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
)

// blank is a tree as before bootstrap, with its bootstrap server's view.
func blank() (*Tree, Bootstrap) {
	tree := New(Config{Version: content.V12, Format: content.SenMLCBOR})
	tree.Define(objects.Security, nil)
	tree.Define(objects.Server, nil)
	tree.Define(objects.Access, nil)
	tree.Add(objects.Device, 0, &Instance{Values: model.Values{0: "thinlink", 16: "U"}})
	return tree, tree.Bootstrap(func(_ model.Path, v model.Values) *Instance { return &Instance{Values: v} })
}

// FuzzBootstrapPack: what a bootstrap server's pack has put into a tree can be
// kept in flash memory and taken from there, and no operation of a server fails
// on it but by a code.
func FuzzBootstrapPack(f *testing.F) {
	for _, format := range []message.MediaType{content.SenMLJSON, content.SenMLCBOR, content.LwM2MCBOR} {
		pack, err := content.Encode(format, model.Path{}, append(model.Nodes(model.NewPath(0, 1), accountValues), model.Nodes(model.NewPath(1, 0), serverValues)...))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint16(format), pack, []byte(`[]`))
	}
	f.Add(uint16(content.SenMLJSON), []byte(`[{"bn":"/1/0/","n":"0","v":5},{"n":"99","v":1},{"n":"25/0","vs":"1.1"}]`), []byte(`[{"bn":"/1/0/1","v":5}]`))
	f.Add(uint16(content.SenMLJSON), []byte(`[{"n":"/2/0/2/7","v":1},{"n":"/2/0/3","v":7},{"n":"/1/0/0","v":7},{"n":"/1/1/0","v":8}]`), []byte(`[{"n":"/2/0/2/7","v":null}]`))
	f.Fuzz(func(t *testing.T, format uint16, pack, body []byte) {
		tree, bootstrap := blank()
		if bootstrap.Write(model.Path{}, pack, message.MediaType(format)) != nil {
			return
		}
		kept := append(tree.Nodes(objects.Security.ID), tree.Nodes(objects.Server.ID)...)
		record, err := content.Encode(content.SenMLJSON, model.Path{}, kept)
		if err != nil {
			t.Fatalf("%v cannot be kept: %v", kept, err)
		}
		if flat := model.Flat(kept); len(flat) > 0 {
			later, view := blank()
			if err := view.Write(model.Path{}, record, content.SenMLJSON); err != nil {
				t.Fatalf("%s cannot be taken again: %v", record, err)
			}
			again := model.Flat(append(later.Nodes(objects.Security.ID), later.Nodes(objects.Server.ID)...))
			if !reflect.DeepEqual(again, flat) {
				t.Fatalf("%v became %v", flat, again)
			}
		}
		tree.Accounts()
		useTree(tree, body)
	})
}

// useTree performs every operation of a server, and of the bootstrap server, at
// every instance.
func useTree(tree *Tree, body []byte) {
	v := tree.As(7)
	for _, object := range []uint16{objects.Security.ID, objects.Server.ID, objects.Access.ID, objects.Device.ID} {
		at := model.NewPath(object)
		_, _, _ = v.Read(at, 0, false)
		_, _ = v.Discover(at, MaxDepth)
		for _, id := range tree.Instances(object) {
			_ = v.WriteAttributes(at.Child(id), []string{"pmin=1"})
			v.Rules(at.Child(id))
			v.Samples(at.Child(id))
			_ = v.Write(at.Child(id), true, body, content.SenMLJSON, true)
			_ = v.Write(at.Child(id), false, body, content.SenMLJSON, true)
			_, _ = v.ReadComposite([]model.Path{at.Child(id)}, content.LwM2MCBOR)
		}
	}
	_ = v.WriteComposite(body, content.SenMLJSON)
	tree.SetVersion(content.V10)
	_ = v.Write(model.NewPath(1, 0), true, nil, content.TLV, true)
	_, _ = tree.Bootstrap(nil).Discover(model.Path{})
	tree.Registered()
}

var accountValues = model.Values{
	objects.SecurityURI: "coaps://10.0.0.1:5684", objects.SecurityBootstrap: false, objects.SecurityMode: int64(0),
	objects.SecurityIdentity: []byte("device"), objects.SecurityServerKey: []byte{}, objects.SecuritySecretKey: []byte("secret"), objects.SecurityShortID: int64(7),
}

var serverValues = model.Values{
	objects.ServerShortID: int64(7), objects.ServerLifetime: int64(3600), objects.ServerStoring: true, objects.ServerBinding: "U",
}
