package lwm2m

import (
	"fmt"
	"slices"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
)

// readingPath is the observed object instance.
var readingPath = model.NewPath(objects.Reading.ID, 0)

// readingValues are the resources of a reading.
func readingValues(r clients.Reading) model.Values {
	return model.Values{
		objects.ReadingText: r.Text, objects.ReadingInteger: r.Integer,
		objects.ReadingFloat: r.Float, objects.ReadingBoolean: r.Boolean,
	}
}

// readingOf is the reading in what a device said of the observed object
// instance.
func readingOf(nodes []model.Node) (r clients.Reading, err error) {
	v := model.ValuesOf(slices.DeleteFunc(nodes, func(n model.Node) bool { return !readingPath.Contains(n.Path) }))
	var ok [4]bool
	r.Text, ok[0] = v[objects.ReadingText].(string)
	r.Integer, ok[1] = v[objects.ReadingInteger].(int64)
	r.Float, ok[2] = v[objects.ReadingFloat].(float64)
	r.Boolean, ok[3] = v[objects.ReadingBoolean].(bool)
	if ok != [4]bool{true, true, true, true} {
		return r, fmt.Errorf("the reading is incomplete: it has %d resources", len(v))
	}
	return r, nil
}
