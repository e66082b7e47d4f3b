package model

import (
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients/coap"
)

// StatusError is the refusal of an operation: the code of the response.
type StatusError struct {
	Code codes.Code
	// Reason is for people; the peer does not see it.
	Reason string
}

func (e *StatusError) Error() string { return coap.CodeString(e.Code) + " " + e.Reason }

// Refuse is a *StatusError.
func Refuse(code codes.Code, reason string) error { return &StatusError{code, reason} }
