package coap

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
)

var (
	// ErrClosed is returned by everything that needs a Conn that was closed or
	// whose connection failed.
	ErrClosed = fmt.Errorf("coap: %w", net.ErrClosed)
	// ErrReset says that the peer answered with a Reset message: it has lost
	// the context that the message needs (RFC 7252 section 4.2).
	ErrReset = errors.New("coap: reset by the peer")
	// ErrTooLarge says that a response exceeds Config.MaxBody.
	ErrTooLarge = errors.New("coap: response is larger than max_body")
	// ErrCanceled is returned by Observer.Notify after the observation ended.
	ErrCanceled = errors.New("coap: observation was cancelled")
	// ErrMessageIDs says that all 65536 message IDs were used within
	// EXCHANGE_LIFETIME, and none may be used again (RFC 7252 section 4.4).
	ErrMessageIDs = errors.New("coap: no message ID is free within the exchange lifetime")
	// ErrTokens says that no unused token was found: token_length is too short
	// for the number of requests and observations.
	ErrTokens = errors.New("coap: no token is free; token_length is too short")
	// ErrCriticalOption says that a response carries a critical option that is
	// not understood, so that it must be rejected (RFC 7252 section 5.4.1).
	ErrCriticalOption = errors.New("coap: response with a critical option that is not understood")
)

// TimeoutError says that the peer did not answer in time. It is a net.Error.
type TimeoutError struct {
	// Transmissions is how often the message was sent.
	Transmissions int
	// Waited is the time since it was sent first.
	Waited time.Duration
	// Acknowledged says that the peer had the request and sent no response
	// within Config.ResponseTimeout; otherwise no ACK came before the
	// retransmissions were used up (RFC 7252 section 4.2).
	Acknowledged bool
}

func (e *TimeoutError) Error() string {
	what := "no acknowledgement"
	if e.Acknowledged {
		what = "acknowledged but no response"
	}
	return fmt.Sprintf("coap: %s after %d transmissions and %v", what, e.Transmissions, e.Waited.Round(time.Millisecond))
}

// Timeout is true: part of net.Error.
func (e *TimeoutError) Timeout() bool { return true }

// Temporary is true: part of net.Error.
func (e *TimeoutError) Temporary() bool { return true }

// StatusError is a response code where a Download needed 2.05.
type StatusError struct{ Code codes.Code }

func (e *StatusError) Error() string {
	return fmt.Sprintf("coap: response %s", CodeString(e.Code))
}

// ETagError says that a representation changed between two of its blocks, so
// that what was received so far is of no use (RFC 7959 section 2.4).
type ETagError struct{ Want, Got []byte }

func (e *ETagError) Error() string {
	return fmt.Sprintf("coap: the representation changed during the transfer: ETag was %x, now %x", e.Want, e.Got)
}

// BlockError says that a peer's block-wise transfer breaks RFC 7959.
type BlockError struct{ Reason string }

func (e *BlockError) Error() string { return "coap: block-wise transfer: " + e.Reason }

// CodeString is the code in the notation of RFC 7252 section 3, such as
// "4.04".
func CodeString(c codes.Code) string {
	return fmt.Sprintf("%d.%02d", c>>5, c&0x1f)
}
