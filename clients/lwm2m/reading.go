package lwm2m

import (
	"fmt"

	"github.com/thinlink/thinlink/clients"
)

// readingPath is the observed object instance.
var readingPath = NewPath(readingObject.ID, 0)

// readingValues are the resources of a reading.
func readingValues(r clients.Reading) Values {
	return Values{
		readingText: r.Text, readingInteger: r.Integer,
		readingFloat: r.Float, readingBoolean: r.Boolean,
	}
}

// parseReading reads the TLV of the observed object instance.
func parseReading(payload []byte) (r clients.Reading, err error) {
	v, err := DecodeValues(readingObject, payload)
	if err != nil {
		return r, err
	}
	var ok [4]bool
	r.Text, ok[0] = v[readingText].(string)
	r.Integer, ok[1] = v[readingInteger].(int64)
	r.Float, ok[2] = v[readingFloat].(float64)
	r.Boolean, ok[3] = v[readingBoolean].(bool)
	if ok != [4]bool{true, true, true, true} {
		return r, fmt.Errorf("the reading is incomplete: it has %d resources", len(v))
	}
	return r, nil
}
