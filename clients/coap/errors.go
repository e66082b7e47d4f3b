package coap

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
)

var (
	// ErrClosed is returned by everything that needs a Conn that was closed. If
	// its connection failed, or the peer ended it, the error wraps the reason,
	// too: on a stream for example io.EOF, *AbortError or *ReleaseError.
	ErrClosed = fmt.Errorf("coap: %w", net.ErrClosed)
	// ErrReset says that the peer answered with a Reset message: it has lost
	// the context that the message needs (RFC 7252 section 4.2).
	ErrReset = errors.New("coap: reset by the peer")
	// ErrTooLarge says that a response exceeds Config.MaxBody.
	ErrTooLarge = errors.New("coap: response is larger than max_body")
	// ErrMessageSize says that a message is larger than the peer of a stream
	// accepts (Max-Message-Size, RFC 8323 section 5.3.1) and cannot be cut.
	ErrMessageSize = errors.New("coap: message is too large for the peer")
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
	// Acknowledged says that the peer had the request, or that it was written
	// to a stream, and that no response came within Config.ResponseTimeout;
	// otherwise no ACK came before the
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

// StatusError is a response code where a Download needed 2.05, or an Upload
// one of class 2.
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

// IncompleteError says that the receiver of an upload has not got what came
// before a block: 4.08 (RFC 7959 section 2.9.2).
type IncompleteError struct {
	// Offset is where the refused block starts, in bytes.
	Offset int64
	// Wanted is where the receiver wants the upload to go on, in bytes; -1 if
	// it did not tell, which means from the start.
	Wanted int64
}

func (e *IncompleteError) Error() string {
	if e.Wanted < 0 {
		return fmt.Sprintf("coap: upload: the receiver lacks blocks before offset %d", e.Offset)
	}
	return fmt.Sprintf("coap: upload: the receiver wants offset %d, not %d", e.Wanted, e.Offset)
}

// BlockError says that a peer's block-wise transfer breaks RFC 7959.
type BlockError struct{ Reason string }

func (e *BlockError) Error() string { return "coap: block-wise transfer: " + e.Reason }

// AbortError says that a stream ended by an Abort message (RFC 8323 section
// 5.6).
type AbortError struct {
	// ByPeer tells the peer's Abort from our own.
	ByPeer bool
	// Diagnostic is the payload: what was wrong, for people.
	Diagnostic string
	// BadCSMOption is the number of the option in a CSM that could not be
	// processed, 0 if that was not the reason.
	BadCSMOption uint16
}

func (e *AbortError) Error() string {
	who := "we"
	if e.ByPeer {
		who = "the peer"
	}
	return fmt.Sprintf("coap: %s aborted the connection: %s", who, e.Diagnostic)
}

// ReleaseError says that the peer wanted a stream closed by a Release message
// (RFC 8323 section 5.5).
type ReleaseError struct {
	// Alternatives are the addresses to connect to instead, each
	// "host:port" or "host".
	Alternatives []string
	// HoldOff is how long the peer does not want to be connected to again.
	HoldOff time.Duration
	// Diagnostic is the payload: why, for people.
	Diagnostic string
}

func (e *ReleaseError) Error() string {
	return fmt.Sprintf("coap: the peer released the connection, hold off %v: %s", e.HoldOff, e.Diagnostic)
}

// CodeString is the code in the notation of RFC 7252 section 3, such as
// "4.04".
func CodeString(c codes.Code) string {
	return fmt.Sprintf("%d.%02d", c>>5, c&0x1f)
}
