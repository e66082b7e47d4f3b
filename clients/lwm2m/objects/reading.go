package objects

import "github.com/thinlink/thinlink/clients/lwm2m/model"

// Resources of the observed object.
const (
	ReadingText    = 0
	ReadingInteger = 1
	ReadingFloat   = 2
	ReadingBoolean = 3
	ReadingCommand = 4
)

// Reading is the observed object of the reference experiment: a string, an
// integer, a float and a boolean, and an integer to write. Its ID is of the
// range for vendors.
var Reading = &model.Object{ID: 33650, Name: "Reference Reading", Version: "1.0", Resources: []model.Resource{
	{ID: ReadingText, Name: "Text", Ops: model.R, Type: model.String, Mandatory: true},
	{ID: ReadingInteger, Name: "Integer", Ops: model.R, Type: model.Integer, Mandatory: true},
	{ID: ReadingFloat, Name: "Float", Ops: model.R, Type: model.Float, Mandatory: true},
	{ID: ReadingBoolean, Name: "Boolean", Ops: model.R, Type: model.Boolean, Mandatory: true},
	{ID: ReadingCommand, Name: "Command", Ops: model.W, Type: model.Integer, Mandatory: true},
}}
