package objects

import (
	"slices"

	"github.com/thinlink/thinlink/clients/lwm2m/model"
)

// all are the objects known here, in order of ID.
var all = []*model.Object{
	Security, Server, Access, Device, Connectivity, Firmware, Location, Statistics, Software, AppData, Temperature, Reading,
}

// Find is the definition of an object, nil if it is not known.
func Find(id uint16) *model.Object {
	i := slices.IndexFunc(all, func(o *model.Object) bool { return o.ID == id })
	if i < 0 {
		return nil
	}
	return all[i]
}

// Schema is the model.Schema of all objects known here.
func Schema(path model.Path) *model.Resource {
	def := Find(path.Object())
	if def == nil || path.Depth() < model.DepthResource {
		return nil
	}
	return def.Resource(path.Resource())
}

// versions are those of the objects in other versions of LwM2M than 1.1, where
// they differ (Core 1.0.2 and 1.2 appendix E): empty is 1.0.
var versions = map[string]map[uint16]string{
	"1.0": {1: "", 3: "", 4: "", 5: ""},
	"1.2": {1: "1.2", 2: "1.1", 3: "1.2", 4: "1.3"},
}

// In is the definition as a version of LwM2M has it.
func In(version string, def *model.Object) *model.Object {
	v, differs := versions[version][def.ID]
	if !differs {
		return def
	}
	other := *def
	other.Version = v
	return &other
}
