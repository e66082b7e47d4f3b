package objects

import "github.com/thinlink/thinlink/clients/lwm2m/model"

// Resources of the location object that the code uses.
const (
	LocationLatitude  = 0
	LocationLongitude = 1
	LocationTimestamp = 5
)

// Location says where the device is (appendix E.7).
var Location = &model.Object{ID: 6, Name: "Location", Resources: []model.Resource{
	{ID: LocationLatitude, Name: "Latitude", Ops: model.R, Type: model.Float, Mandatory: true},
	{ID: LocationLongitude, Name: "Longitude", Ops: model.R, Type: model.Float, Mandatory: true},
	{ID: 2, Name: "Altitude", Ops: model.R, Type: model.Float},
	{ID: 3, Name: "Radius", Ops: model.R, Type: model.Float},
	{ID: 4, Name: "Velocity", Ops: model.R, Type: model.Opaque},
	{ID: LocationTimestamp, Name: "Timestamp", Ops: model.R, Type: model.Time, Mandatory: true},
	{ID: 6, Name: "Speed", Ops: model.R, Type: model.Float},
}}
