package objects

import "github.com/thinlink/thinlink/clients/lwm2m/model"

// Security holds a server's address and credentials; servers never see
// it (LwM2M Core 1.1 appendix E.1).
var Security = &model.Object{ID: 0, Name: "LWM2M Security", Resources: []model.Resource{
	{ID: 0, Name: "LWM2M Server URI", Type: model.String, Mandatory: true},
	{ID: 1, Name: "Bootstrap-Server", Type: model.Boolean, Mandatory: true},
	{ID: 2, Name: "Security Mode", Type: model.Integer, Mandatory: true},
	{ID: 10, Name: "Short Server ID", Type: model.Integer},
}}

// Resources of the server object.
const (
	ServerLifetime  = 1
	ServerMinPeriod = 2
	ServerMaxPeriod = 3
	ServerBinding   = 7
	ServerTrigger   = 8
)

// Server governs a registration (appendix E.2).
var Server = &model.Object{ID: 1, Name: "LwM2M Server", Version: "1.1", Resources: []model.Resource{
	{ID: 0, Name: "Short Server ID", Ops: model.R, Type: model.Integer, Mandatory: true},
	{ID: ServerLifetime, Name: "Lifetime", Ops: model.RW, Type: model.Integer, Mandatory: true},
	{ID: ServerMinPeriod, Name: "Default Minimum Period", Ops: model.RW, Type: model.Integer},
	{ID: ServerMaxPeriod, Name: "Default Maximum Period", Ops: model.RW, Type: model.Integer},
	{ID: 6, Name: "Notification Storing When Disabled or Offline", Ops: model.RW, Type: model.Boolean, Mandatory: true},
	{ID: ServerBinding, Name: "Binding", Ops: model.RW, Type: model.String, Mandatory: true},
	{ID: ServerTrigger, Name: "Registration Update Trigger", Ops: model.E, Mandatory: true},
}}

// Resources of the device object that the code uses.
const (
	DeviceFirmware = 3
	DeviceReboot   = 4
)

// Device describes the device (appendix E.4).
var Device = &model.Object{ID: 3, Name: "Device", Version: "1.1", Resources: []model.Resource{
	{ID: 0, Name: "Manufacturer", Ops: model.R, Type: model.String},
	{ID: 1, Name: "Model Number", Ops: model.R, Type: model.String},
	{ID: 2, Name: "Serial Number", Ops: model.R, Type: model.String},
	{ID: DeviceFirmware, Name: "Firmware Version", Ops: model.R, Type: model.String},
	{ID: DeviceReboot, Name: "Reboot", Ops: model.E, Mandatory: true},
	{ID: 6, Name: "Available Power Sources", Ops: model.R, Type: model.Integer, Multiple: true},
	{ID: 7, Name: "Power Source Voltage", Ops: model.R, Type: model.Integer, Multiple: true},
	{ID: 8, Name: "Power Source Current", Ops: model.R, Type: model.Integer, Multiple: true},
	{ID: 9, Name: "Battery Level", Ops: model.R, Type: model.Integer},
	{ID: 10, Name: "Memory Free", Ops: model.R, Type: model.Integer},
	{ID: 11, Name: "Error Code", Ops: model.R, Type: model.Integer, Multiple: true, Mandatory: true},
	{ID: 14, Name: "UTC Offset", Ops: model.RW, Type: model.String},
	{ID: 15, Name: "Timezone", Ops: model.RW, Type: model.String},
	{ID: 16, Name: "Supported Binding and Modes", Ops: model.R, Type: model.String, Mandatory: true},
	{ID: 17, Name: "Device Type", Ops: model.R, Type: model.String},
	{ID: 18, Name: "Hardware Version", Ops: model.R, Type: model.String},
	{ID: 19, Name: "Software Version", Ops: model.R, Type: model.String},
	{ID: 20, Name: "Battery Status", Ops: model.R, Type: model.Integer},
	{ID: 21, Name: "Memory Total", Ops: model.R, Type: model.Integer},
}}

// Connectivity describes the network bearer (appendix E.5).
var Connectivity = &model.Object{ID: 4, Name: "Connectivity Monitoring", Version: "1.1", Resources: []model.Resource{
	{ID: 0, Name: "Network Bearer", Ops: model.R, Type: model.Integer, Mandatory: true},
	{ID: 1, Name: "Available Network Bearer", Ops: model.R, Type: model.Integer, Multiple: true, Mandatory: true},
	{ID: 2, Name: "Radio Signal Strength", Ops: model.R, Type: model.Integer, Mandatory: true},
	{ID: 4, Name: "IP Addresses", Ops: model.R, Type: model.String, Multiple: true, Mandatory: true},
}}

// Resources of the firmware update object.
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
	{ID: FirmwareMaxDefer, Name: "Maximum Defer Period", Ops: model.RW, Type: model.Integer},
}}

// Resources of the observed object.
const (
	ReadingText    = 0
	ReadingInteger = 1
	ReadingFloat   = 2
	ReadingBoolean = 3
	ReadingCommand = 4
)

// Reading is the observed object of the reference experiment: a string,
// an integer, a float and a boolean, and an integer to write. Its ID is of the
// range for vendors.
var Reading = &model.Object{ID: 33650, Name: "Reference Reading", Version: "1.0", Resources: []model.Resource{
	{ID: ReadingText, Name: "Text", Ops: model.R, Type: model.String, Mandatory: true},
	{ID: ReadingInteger, Name: "Integer", Ops: model.R, Type: model.Integer, Mandatory: true},
	{ID: ReadingFloat, Name: "Float", Ops: model.R, Type: model.Float, Mandatory: true},
	{ID: ReadingBoolean, Name: "Boolean", Ops: model.R, Type: model.Boolean, Mandatory: true},
	{ID: ReadingCommand, Name: "Command", Ops: model.W, Type: model.Integer, Mandatory: true},
}}
