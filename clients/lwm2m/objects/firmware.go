package objects

import "github.com/thinlink/thinlink/clients/lwm2m/model"

// Resources of the firmware object that the code uses.
const (
	FirmwarePackage   = 0
	FirmwareURI       = 1
	FirmwareUpdate    = 2
	FirmwareState     = 3
	FirmwareResult    = 5
	FirmwareName      = 6
	FirmwareVersion   = 7
	FirmwareProtocols = 8
	FirmwareDelivery  = 9
	FirmwareCancel    = 10
	FirmwareSeverity  = 11
	FirmwareChanged   = 12
	FirmwareMaxDefer  = 13
)

// Firmware is the firmware update object (appendix E.6).
var Firmware = &model.Object{ID: 5, Name: "Firmware Update", Version: "1.1", Resources: []model.Resource{
	{ID: FirmwarePackage, Name: "Package", Ops: model.W, Type: model.Opaque, Mandatory: true},
	{ID: FirmwareURI, Name: "Package URI", Ops: model.RW, Type: model.String, Mandatory: true},
	{ID: FirmwareUpdate, Name: "Update", Ops: model.E, Mandatory: true},
	{ID: FirmwareState, Name: "State", Ops: model.R, Type: model.Integer, Mandatory: true},
	{ID: FirmwareResult, Name: "Update Result", Ops: model.R, Type: model.Integer, Mandatory: true},
	{ID: FirmwareName, Name: "PkgName", Ops: model.R, Type: model.String},
	{ID: FirmwareVersion, Name: "PkgVersion", Ops: model.R, Type: model.String},
	{ID: FirmwareProtocols, Name: "Firmware Update Protocol Support", Ops: model.R, Type: model.Integer, Multiple: true},
	{ID: FirmwareDelivery, Name: "Firmware Update Delivery Method", Ops: model.R, Type: model.Integer, Mandatory: true},
	{ID: FirmwareCancel, Name: "Cancel", Ops: model.E},
	{ID: FirmwareSeverity, Name: "Severity", Ops: model.RW, Type: model.Integer},
	{ID: FirmwareChanged, Name: "Last State Change Time", Ops: model.R, Type: model.Time},
	{ID: FirmwareMaxDefer, Name: "Maximum Defer Period", Ops: model.RW, Type: model.Unsigned},
}}
