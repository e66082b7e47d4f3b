package objects

import "github.com/thinlink/thinlink/clients/lwm2m/model"

// Resources of the security object that the code uses.
const (
	SecurityURI              = 0
	SecurityBootstrap        = 1
	SecurityMode             = 2
	SecurityIdentity         = 3
	SecurityServerKey        = 4
	SecuritySecretKey        = 5
	SecurityShortID          = 10
	SecurityHoldOff          = 11
	SecurityBootstrapTimeout = 12
	SecurityMatchingType     = 13
	SecuritySNI              = 14
	SecurityCertificateUsage = 15
	SecurityOSCORE           = 17
)

// Security holds a server's address and credentials; servers never see it
// (appendix E.1).
var Security = &model.Object{ID: 0, Name: "LWM2M Security", Multiple: true, Mandatory: true, Resources: []model.Resource{
	{ID: SecurityURI, Name: "LWM2M Server URI", Type: model.String, Mandatory: true},
	{ID: SecurityBootstrap, Name: "Bootstrap-Server", Type: model.Boolean, Mandatory: true},
	{ID: SecurityMode, Name: "Security Mode", Type: model.Integer, Mandatory: true},
	{ID: SecurityIdentity, Name: "Public Key or Identity", Type: model.Opaque, Mandatory: true},
	{ID: SecurityServerKey, Name: "Server Public Key", Type: model.Opaque, Mandatory: true},
	{ID: SecuritySecretKey, Name: "Secret Key", Type: model.Opaque, Mandatory: true},
	{ID: 6, Name: "SMS Security Mode", Type: model.Integer},
	{ID: 7, Name: "SMS Binding Key Parameters", Type: model.Opaque},
	{ID: 8, Name: "SMS Binding Secret Key(s)", Type: model.Opaque},
	{ID: 9, Name: "LwM2M Server SMS Number", Type: model.String},
	{ID: SecurityShortID, Name: "Short Server ID", Type: model.Integer},
	{ID: SecurityHoldOff, Name: "Client Hold Off Time", Type: model.Integer},
	{ID: SecurityBootstrapTimeout, Name: "Bootstrap-Server Account Timeout", Type: model.Integer},
	{ID: SecurityMatchingType, Name: "Matching Type", Type: model.Unsigned},
	{ID: SecuritySNI, Name: "SNI", Type: model.String},
	{ID: SecurityCertificateUsage, Name: "Certificate Usage", Type: model.Unsigned},
	{ID: 16, Name: "DTLS/TLS Ciphersuite", Type: model.Unsigned, Multiple: true},
	{ID: SecurityOSCORE, Name: "OSCORE Security Mode", Type: model.ObjectLink},
	{ID: 18, Name: "Groups To Use by Client", Type: model.Unsigned, Multiple: true},
	{ID: 19, Name: "Signature Algorithms Supported by Server", Type: model.Unsigned, Multiple: true},
	{ID: 20, Name: "Signature Algorithms To Use by Client", Type: model.Unsigned, Multiple: true},
	{ID: 21, Name: "Signature Algorithm Certs Supported by Server", Type: model.Unsigned, Multiple: true},
	{ID: 22, Name: "TLS 1.3 Features To Use by Client", Type: model.Unsigned},
	{ID: 23, Name: "TLS Extensions Supported by Server", Type: model.Unsigned},
	{ID: 24, Name: "TLS Extensions To Use by Client", Type: model.Unsigned},
	{ID: 25, Name: "Secondary LwM2M Server URI", Type: model.String, Multiple: true},
	{ID: 26, Name: "MQTT Server", Type: model.ObjectLink},
	{ID: 27, Name: "LwM2M COSE Security", Type: model.ObjectLink, Multiple: true},
	{ID: 28, Name: "RDS Destination Port", Type: model.Integer},
	{ID: 29, Name: "RDS Source Port", Type: model.Integer},
	{ID: 30, Name: "RDS Application ID", Type: model.String},
}}
