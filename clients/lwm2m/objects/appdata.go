package objects

import "github.com/thinlink/thinlink/clients/lwm2m/model"

// Resources of the application data container that the code uses.
const (
	AppDataData        = 0
	AppDataPriority    = 1
	AppDataCreated     = 2
	AppDataDescription = 3
	AppDataFormat      = 4
	AppDataApp         = 5
)

// AppData holds data of an application that LwM2M does not look into
// (OMA-TS-LwM2M_BinaryAppDataContainer-V1_0).
var AppData = &model.Object{ID: 19, Name: "BinaryAppDataContainer", Multiple: true, Resources: []model.Resource{
	{ID: AppDataData, Name: "Data", Ops: model.RW, Type: model.Opaque, Multiple: true, Mandatory: true},
	{ID: AppDataPriority, Name: "Data Priority", Ops: model.RW, Type: model.Integer},
	{ID: AppDataCreated, Name: "Data Creation Time", Ops: model.RW, Type: model.Time},
	{ID: AppDataDescription, Name: "Data Description", Ops: model.RW, Type: model.String},
	{ID: AppDataFormat, Name: "Data Format", Ops: model.RW, Type: model.String},
	{ID: AppDataApp, Name: "App ID", Ops: model.RW, Type: model.Integer},
}}
