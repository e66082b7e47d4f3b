package lwm2m

import (
	"fmt"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
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

// parseReading reads the TLV of the observed object instance.
func parseReading(payload []byte) (r clients.Reading, err error) {
	v, err := content.DecodeValues(objects.Reading, payload)
	if err != nil {
		return r, err
	}
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
