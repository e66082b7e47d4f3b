package lwm2m

// securityObject holds a server's address and credentials; servers never see
// it (LwM2M Core 1.1 appendix E.1).
var securityObject = &Object{ID: 0, Name: "LWM2M Security", Resources: []Resource{
	{ID: 0, Name: "LWM2M Server URI", Type: String, Mandatory: true},
	{ID: 1, Name: "Bootstrap-Server", Type: Boolean, Mandatory: true},
	{ID: 2, Name: "Security Mode", Type: Integer, Mandatory: true},
	{ID: 10, Name: "Short Server ID", Type: Integer},
}}

// Resources of the server object.
const (
	serverLifetime  = 1
	serverMinPeriod = 2
	serverMaxPeriod = 3
	serverBinding   = 7
	serverTrigger   = 8
)

// serverObject governs a registration (appendix E.2).
var serverObject = &Object{ID: 1, Name: "LwM2M Server", Version: "1.1", Resources: []Resource{
	{ID: 0, Name: "Short Server ID", Ops: R, Type: Integer, Mandatory: true},
	{ID: serverLifetime, Name: "Lifetime", Ops: RW, Type: Integer, Mandatory: true},
	{ID: serverMinPeriod, Name: "Default Minimum Period", Ops: RW, Type: Integer},
	{ID: serverMaxPeriod, Name: "Default Maximum Period", Ops: RW, Type: Integer},
	{ID: 6, Name: "Notification Storing When Disabled or Offline", Ops: RW, Type: Boolean, Mandatory: true},
	{ID: serverBinding, Name: "Binding", Ops: RW, Type: String, Mandatory: true},
	{ID: serverTrigger, Name: "Registration Update Trigger", Ops: E, Mandatory: true},
}}

// Resources of the device object that the code uses.
const (
	deviceFirmware = 3
	deviceReboot   = 4
)

// deviceObject describes the device (appendix E.4).
var deviceObject = &Object{ID: 3, Name: "Device", Version: "1.1", Resources: []Resource{
	{ID: 0, Name: "Manufacturer", Ops: R, Type: String},
	{ID: 1, Name: "Model Number", Ops: R, Type: String},
	{ID: 2, Name: "Serial Number", Ops: R, Type: String},
	{ID: deviceFirmware, Name: "Firmware Version", Ops: R, Type: String},
	{ID: deviceReboot, Name: "Reboot", Ops: E, Mandatory: true},
	{ID: 6, Name: "Available Power Sources", Ops: R, Type: Integer, Multiple: true},
	{ID: 7, Name: "Power Source Voltage", Ops: R, Type: Integer, Multiple: true},
	{ID: 8, Name: "Power Source Current", Ops: R, Type: Integer, Multiple: true},
	{ID: 9, Name: "Battery Level", Ops: R, Type: Integer},
	{ID: 10, Name: "Memory Free", Ops: R, Type: Integer},
	{ID: 11, Name: "Error Code", Ops: R, Type: Integer, Multiple: true, Mandatory: true},
	{ID: 14, Name: "UTC Offset", Ops: RW, Type: String},
	{ID: 15, Name: "Timezone", Ops: RW, Type: String},
	{ID: 16, Name: "Supported Binding and Modes", Ops: R, Type: String, Mandatory: true},
	{ID: 17, Name: "Device Type", Ops: R, Type: String},
	{ID: 18, Name: "Hardware Version", Ops: R, Type: String},
	{ID: 19, Name: "Software Version", Ops: R, Type: String},
	{ID: 20, Name: "Battery Status", Ops: R, Type: Integer},
	{ID: 21, Name: "Memory Total", Ops: R, Type: Integer},
}}

// connectivityObject describes the network bearer (appendix E.5).
var connectivityObject = &Object{ID: 4, Name: "Connectivity Monitoring", Version: "1.1", Resources: []Resource{
	{ID: 0, Name: "Network Bearer", Ops: R, Type: Integer, Mandatory: true},
	{ID: 1, Name: "Available Network Bearer", Ops: R, Type: Integer, Multiple: true, Mandatory: true},
	{ID: 2, Name: "Radio Signal Strength", Ops: R, Type: Integer, Mandatory: true},
	{ID: 4, Name: "IP Addresses", Ops: R, Type: String, Multiple: true, Mandatory: true},
}}

// Resources of the firmware update object.
const (
	firmwarePackage   = 0
	firmwareURI       = 1
	firmwareUpdate    = 2
	firmwareState     = 3
	firmwareResult    = 5
	firmwareName      = 6
	firmwareVersion   = 7
	firmwareProtocols = 8
	firmwareDelivery  = 9
	firmwareCancel    = 10
	firmwareSeverity  = 11
	firmwareChanged   = 12
	firmwareMaxDefer  = 13
)

// firmwareObject is the firmware update object (appendix E.6).
var firmwareObject = &Object{ID: 5, Name: "Firmware Update", Version: "1.1", Resources: []Resource{
	{ID: firmwarePackage, Name: "Package", Ops: W, Type: Opaque, Mandatory: true},
	{ID: firmwareURI, Name: "Package URI", Ops: RW, Type: String, Mandatory: true},
	{ID: firmwareUpdate, Name: "Update", Ops: E, Mandatory: true},
	{ID: firmwareState, Name: "State", Ops: R, Type: Integer, Mandatory: true},
	{ID: firmwareResult, Name: "Update Result", Ops: R, Type: Integer, Mandatory: true},
	{ID: firmwareName, Name: "PkgName", Ops: R, Type: String},
	{ID: firmwareVersion, Name: "PkgVersion", Ops: R, Type: String},
	{ID: firmwareProtocols, Name: "Firmware Update Protocol Support", Ops: R, Type: Integer, Multiple: true},
	{ID: firmwareDelivery, Name: "Firmware Update Delivery Method", Ops: R, Type: Integer, Mandatory: true},
	{ID: firmwareCancel, Name: "Cancel", Ops: E},
	{ID: firmwareSeverity, Name: "Severity", Ops: RW, Type: Integer},
	{ID: firmwareChanged, Name: "Last State Change Time", Ops: R, Type: Time},
	{ID: firmwareMaxDefer, Name: "Maximum Defer Period", Ops: RW, Type: Integer},
}}

// Resources of the observed object.
const (
	readingText    = 0
	readingInteger = 1
	readingFloat   = 2
	readingBoolean = 3
	readingCommand = 4
)

// readingObject is the observed object of the reference experiment: a string,
// an integer, a float and a boolean, and an integer to write. Its ID is of the
// range for vendors.
var readingObject = &Object{ID: 33650, Name: "Reference Reading", Version: "1.0", Resources: []Resource{
	{ID: readingText, Name: "Text", Ops: R, Type: String, Mandatory: true},
	{ID: readingInteger, Name: "Integer", Ops: R, Type: Integer, Mandatory: true},
	{ID: readingFloat, Name: "Float", Ops: R, Type: Float, Mandatory: true},
	{ID: readingBoolean, Name: "Boolean", Ops: R, Type: Boolean, Mandatory: true},
	{ID: readingCommand, Name: "Command", Ops: W, Type: Integer, Mandatory: true},
}}
