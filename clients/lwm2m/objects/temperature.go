package objects

import "github.com/thinlink/thinlink/clients/lwm2m/model"

// Resources of the temperature object that the code uses.
const (
	TemperatureTimestamp   = 5518
	TemperatureMin         = 5601
	TemperatureMax         = 5602
	TemperatureRangeMin    = 5603
	TemperatureRangeMax    = 5604
	TemperatureReset       = 5605
	TemperatureValue       = 5700
	TemperatureUnits       = 5701
	TemperatureApplication = 5750
)

// Temperature is the temperature sensor of the IPSO smart objects.
var Temperature = &model.Object{ID: 3303, Name: "Temperature", Version: "1.1", Multiple: true, Resources: []model.Resource{
	{ID: TemperatureTimestamp, Name: "Timestamp", Ops: model.R, Type: model.Time},
	{ID: TemperatureMin, Name: "Min Measured Value", Ops: model.R, Type: model.Float},
	{ID: TemperatureMax, Name: "Max Measured Value", Ops: model.R, Type: model.Float},
	{ID: TemperatureRangeMin, Name: "Min Range Value", Ops: model.R, Type: model.Float},
	{ID: TemperatureRangeMax, Name: "Max Range Value", Ops: model.R, Type: model.Float},
	{ID: TemperatureReset, Name: "Reset Min and Max Measured Values", Ops: model.E},
	{ID: TemperatureValue, Name: "Sensor Value", Ops: model.R, Type: model.Float, Mandatory: true},
	{ID: TemperatureUnits, Name: "Sensor Units", Ops: model.R, Type: model.String},
	{ID: TemperatureApplication, Name: "Application Type", Ops: model.RW, Type: model.String},
	{ID: 6042, Name: "Measurement Quality Indicator", Ops: model.R, Type: model.Integer},
	{ID: 6049, Name: "Measurement Quality Level", Ops: model.R, Type: model.Integer},
	{ID: 6050, Name: "Fractional Timestamp", Ops: model.R, Type: model.Float},
}}
