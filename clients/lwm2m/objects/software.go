package objects

import "github.com/thinlink/thinlink/clients/lwm2m/model"

// Resources of the software object that the code uses.
const (
	SoftwareName             = 0
	SoftwareVersion          = 1
	SoftwarePackage          = 2
	SoftwareURI              = 3
	SoftwareInstall          = 4
	SoftwareUninstall        = 6
	SoftwareState            = 7
	SoftwareSupportedObjects = 8
	SoftwareResult           = 9
	SoftwareActivate         = 10
	SoftwareDeactivate       = 11
	SoftwareActive           = 12
)

// Software is software beside the firmware, one instance a component
// (OMA-TS-LWM2M_SwMgmt-V1_0).
var Software = &model.Object{ID: 9, Name: "LWM2M Software Management", Multiple: true, Resources: []model.Resource{
	{ID: SoftwareName, Name: "PkgName", Ops: model.R, Type: model.String, Mandatory: true},
	{ID: SoftwareVersion, Name: "PkgVersion", Ops: model.R, Type: model.String, Mandatory: true},
	{ID: SoftwarePackage, Name: "Package", Ops: model.W, Type: model.Opaque},
	{ID: SoftwareURI, Name: "Package URI", Ops: model.W, Type: model.String},
	{ID: SoftwareInstall, Name: "Install", Ops: model.E, Mandatory: true},
	{ID: 5, Name: "Checkpoint", Ops: model.R, Type: model.ObjectLink},
	{ID: SoftwareUninstall, Name: "Uninstall", Ops: model.E, Mandatory: true},
	{ID: SoftwareState, Name: "Update State", Ops: model.R, Type: model.Integer, Mandatory: true},
	{ID: SoftwareSupportedObjects, Name: "Update Supported Objects", Ops: model.RW, Type: model.Boolean},
	{ID: SoftwareResult, Name: "Update Result", Ops: model.R, Type: model.Integer, Mandatory: true},
	{ID: SoftwareActivate, Name: "Activate", Ops: model.E, Mandatory: true},
	{ID: SoftwareDeactivate, Name: "Deactivate", Ops: model.E, Mandatory: true},
	{ID: SoftwareActive, Name: "Activation State", Ops: model.R, Type: model.Boolean, Mandatory: true},
	{ID: 13, Name: "Package Settings", Ops: model.RW, Type: model.ObjectLink},
	{ID: 14, Name: "User Name", Ops: model.W, Type: model.String},
	{ID: 15, Name: "Password", Ops: model.W, Type: model.String},
	{ID: 16, Name: "Status Reason", Ops: model.R, Type: model.String},
	{ID: 17, Name: "Software Component Link", Ops: model.R, Type: model.ObjectLink, Multiple: true},
	{ID: 18, Name: "Software Component tree length", Ops: model.R, Type: model.Integer},
}}
