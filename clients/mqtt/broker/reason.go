package broker

import "fmt"

// Reason is a reason code of MQTT 5 (section 2.4). Below 0x80 it is a success.
type Reason byte

// The reason codes that are used here.
const (
	Success                Reason = 0x00
	DisconnectWithWill     Reason = 0x04
	NoSubscriptionExisted  Reason = 0x11
	UnspecifiedError       Reason = 0x80
	MalformedPacket        Reason = 0x81
	ProtocolError          Reason = 0x82
	UnsupportedVersion     Reason = 0x84
	ClientIDNotValid       Reason = 0x85
	BadUserNameOrPassword  Reason = 0x86
	NotAuthorized          Reason = 0x87
	ServerUnavailable      Reason = 0x88
	BadAuthMethod          Reason = 0x8c
	KeepAliveTimeout       Reason = 0x8d
	SessionTakenOver       Reason = 0x8e
	TopicNameInvalid       Reason = 0x90
	IdentifierNotFound     Reason = 0x92
	ReceiveMaximumExceeded Reason = 0x93
	TopicAliasInvalid      Reason = 0x94
	PacketTooLarge         Reason = 0x95
	QuotaExceeded          Reason = 0x97
	PayloadFormatInvalid   Reason = 0x99
)

// returnCode is a refusal as CONNACK of MQTT 3.1.1 knows it (table 3.1); 0 is
// none, so that the connection closes without CONNACK.
func (r Reason) returnCode() byte {
	switch r {
	case UnsupportedVersion:
		return 1
	case ClientIDNotValid:
		return 2
	case ServerUnavailable, QuotaExceeded:
		return 3
	case BadUserNameOrPassword:
		return 4
	case NotAuthorized, BadAuthMethod:
		return 5
	}
	return 0
}

// violation is why a connection ends.
type violation struct {
	reason Reason
	text   string
}

func (v *violation) Error() string { return v.text }

func violates(reason Reason, format string, args ...any) error {
	return &violation{reason, fmt.Sprintf(format, args...)}
}
