package objects

import "github.com/thinlink/thinlink/clients/lwm2m/model"

// Resources of the device object that the code uses.
const (
	DeviceFirmware       = 3
	DeviceReboot         = 4
	DeviceFactoryReset   = 5
	DeviceBatteryLevel   = 9
	DeviceErrorCode      = 11
	DeviceResetErrorCode = 12
	DeviceCurrentTime    = 13
	DeviceUTCOffset      = 14
	DeviceTimezone       = 15
	DeviceBindings       = 16
)

// Device describes the device (appendix E.4).
var Device = &model.Object{ID: 3, Name: "Device", Version: "1.1", Mandatory: true, Resources: []model.Resource{
	{ID: 0, Name: "Manufacturer", Ops: model.R, Type: model.String},
	{ID: 1, Name: "Model Number", Ops: model.R, Type: model.String},
	{ID: 2, Name: "Serial Number", Ops: model.R, Type: model.String},
	{ID: DeviceFirmware, Name: "Firmware Version", Ops: model.R, Type: model.String},
	{ID: DeviceReboot, Name: "Reboot", Ops: model.E, Mandatory: true},
	{ID: DeviceFactoryReset, Name: "Factory Reset", Ops: model.E},
	{ID: 6, Name: "Available Power Sources", Ops: model.R, Type: model.Integer, Multiple: true},
	{ID: 7, Name: "Power Source Voltage", Ops: model.R, Type: model.Integer, Multiple: true},
	{ID: 8, Name: "Power Source Current", Ops: model.R, Type: model.Integer, Multiple: true},
	{ID: DeviceBatteryLevel, Name: "Battery Level", Ops: model.R, Type: model.Integer},
	{ID: 10, Name: "Memory Free", Ops: model.R, Type: model.Integer},
	{ID: DeviceErrorCode, Name: "Error Code", Ops: model.R, Type: model.Integer, Multiple: true, Mandatory: true},
	{ID: DeviceResetErrorCode, Name: "Reset Error Code", Ops: model.E},
	{ID: DeviceCurrentTime, Name: "Current Time", Ops: model.RW, Type: model.Time},
	{ID: DeviceUTCOffset, Name: "UTC Offset", Ops: model.RW, Type: model.String},
	{ID: DeviceTimezone, Name: "Timezone", Ops: model.RW, Type: model.String},
	{ID: DeviceBindings, Name: "Supported Binding and Modes", Ops: model.R, Type: model.String, Mandatory: true},
	{ID: 17, Name: "Device Type", Ops: model.R, Type: model.String},
	{ID: 18, Name: "Hardware Version", Ops: model.R, Type: model.String},
	{ID: 19, Name: "Software Version", Ops: model.R, Type: model.String},
	{ID: 20, Name: "Battery Status", Ops: model.R, Type: model.Integer},
	{ID: 21, Name: "Memory Total", Ops: model.R, Type: model.Integer},
	{ID: 22, Name: "ExtDevInfo", Ops: model.R, Type: model.ObjectLink, Multiple: true},
}}
