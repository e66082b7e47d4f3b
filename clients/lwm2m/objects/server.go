package objects

import "github.com/thinlink/thinlink/clients/lwm2m/model"

// Resources of the server object that the code uses.
const (
	ServerShortID            = 0
	ServerLifetime           = 1
	ServerMinPeriod          = 2
	ServerMaxPeriod          = 3
	ServerDisable            = 4
	ServerDisableTimeout     = 5
	ServerStoring            = 6
	ServerBinding            = 7
	ServerTrigger            = 8
	ServerBootstrapTrigger   = 9
	ServerPriority           = 13
	ServerInitialDelay       = 14
	ServerFailureBlock       = 15
	ServerBootstrapOnFailure = 16
	ServerRetryCount         = 17
	ServerRetryTimer         = 18
	ServerSequenceDelay      = 19
	ServerSequenceCount      = 20
	ServerPreferredTransport = 22
	ServerMuteSend           = 23
	ServerNotificationMode   = 26
)

// Server governs a registration (appendix E.2).
var Server = &model.Object{ID: 1, Name: "LwM2M Server", Version: "1.1", Multiple: true, Mandatory: true, Resources: []model.Resource{
	{ID: ServerShortID, Name: "Short Server ID", Ops: model.R, Type: model.Integer, Mandatory: true},
	{ID: ServerLifetime, Name: "Lifetime", Ops: model.RW, Type: model.Integer, Mandatory: true},
	{ID: ServerMinPeriod, Name: "Default Minimum Period", Ops: model.RW, Type: model.Integer},
	{ID: ServerMaxPeriod, Name: "Default Maximum Period", Ops: model.RW, Type: model.Integer},
	{ID: ServerDisable, Name: "Disable", Ops: model.E},
	{ID: ServerDisableTimeout, Name: "Disable Timeout", Ops: model.RW, Type: model.Integer},
	{ID: ServerStoring, Name: "Notification Storing When Disabled or Offline", Ops: model.RW, Type: model.Boolean, Mandatory: true},
	{ID: ServerBinding, Name: "Binding", Ops: model.RW, Type: model.String, Mandatory: true},
	{ID: ServerTrigger, Name: "Registration Update Trigger", Ops: model.E, Mandatory: true},
	{ID: ServerBootstrapTrigger, Name: "Bootstrap-Request Trigger", Ops: model.E},
	{ID: 10, Name: "APN Link", Ops: model.RW, Type: model.ObjectLink},
	{ID: 11, Name: "TLS-DTLS Alert Code", Ops: model.R, Type: model.Unsigned},
	{ID: 12, Name: "Last Bootstrapped", Ops: model.R, Type: model.Time},
	{ID: ServerPriority, Name: "Registration Priority Order", Ops: model.R, Type: model.Unsigned},
	{ID: ServerInitialDelay, Name: "Initial Registration Delay Timer", Ops: model.RW, Type: model.Unsigned},
	{ID: ServerFailureBlock, Name: "Registration Failure Block", Ops: model.R, Type: model.Boolean},
	{ID: ServerBootstrapOnFailure, Name: "Bootstrap on Registration Failure", Ops: model.R, Type: model.Boolean},
	{ID: ServerRetryCount, Name: "Communication Retry Count", Ops: model.RW, Type: model.Unsigned},
	{ID: ServerRetryTimer, Name: "Communication Retry Timer", Ops: model.RW, Type: model.Unsigned},
	{ID: ServerSequenceDelay, Name: "Communication Sequence Delay Timer", Ops: model.RW, Type: model.Unsigned},
	{ID: ServerSequenceCount, Name: "Communication Sequence Retry Count", Ops: model.RW, Type: model.Unsigned},
	{ID: 21, Name: "Trigger", Ops: model.RW, Type: model.Boolean},
	{ID: ServerPreferredTransport, Name: "Preferred Transport", Ops: model.RW, Type: model.String},
	{ID: ServerMuteSend, Name: "Mute Send", Ops: model.RW, Type: model.Boolean},
	{ID: 24, Name: "Alternate APN Links", Ops: model.RW, Type: model.ObjectLink, Multiple: true},
	{ID: 25, Name: "Supported Server Versions", Ops: model.RW, Type: model.String, Multiple: true},
	{ID: ServerNotificationMode, Name: "Default Notification Mode", Ops: model.RW, Type: model.Integer},
	{ID: 27, Name: "Profile ID Hash Algorithm", Ops: model.RW, Type: model.Unsigned},
}}
