package objects

import (
	"slices"
	"testing"

	"github.com/thinlink/thinlink/clients/lwm2m/model"
)

// Definitions are looked up by binary search, and every resource is executed or
// has a type.
func TestDefinitions(t *testing.T) {
	if !slices.IsSortedFunc(all, func(a, b *model.Object) int { return int(a.ID) - int(b.ID) }) {
		t.Error("objects are out of order")
	}
	for _, o := range all {
		if !slices.IsSortedFunc(o.Resources, func(a, b model.Resource) int { return int(a.ID) - int(b.ID) }) {
			t.Errorf("object %d: resources are out of order", o.ID)
		}
		for _, r := range o.Resources {
			if (r.Ops == model.E) == (r.Type != 0) {
				t.Errorf("resource %d/x/%d: operations %b, type %v", o.ID, r.ID, r.Ops, r.Type)
			}
			if got := Schema(model.NewPath(o.ID, 0, r.ID, 1)); got == nil || got.Name != r.Name {
				t.Errorf("resource %d/x/%d: found %v", o.ID, r.ID, got)
			}
		}
	}
	if Schema(model.NewPath(3, 0)) != nil || Schema(model.NewPath(8, 0, 0)) != nil || Schema(model.NewPath(3, 0, 99)) != nil {
		t.Error("found what is not defined")
	}
}

func TestVersions(t *testing.T) {
	for version, want := range map[string]string{"1.0": "", "1.1": "1.1", "1.2": "1.3"} {
		if got := In(version, Connectivity).Version; got != want {
			t.Errorf("connectivity monitoring of LwM2M %s: version %q, want %q", version, got, want)
		}
	}
	if In("1.2", Reading) != Reading {
		t.Error("an object of its own has one version")
	}
}
