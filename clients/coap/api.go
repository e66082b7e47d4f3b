package coap

import (
	"context"
	"errors"
	"net"
)

var errUnfinished = errors.New("coap: not written yet")

// Stats counts what a Conn did since it was made.
type Stats struct {
	// Retransmissions counts confirmable messages sent again.
	Retransmissions int
	// GiveUps counts confirmable messages that were never acknowledged.
	GiveUps int
	// Duplicates counts messages received again and not acted upon.
	Duplicates int
}

// Conn is one peer session, client and server at once.
type Conn struct{}

// NewConn makes a session over conn, which must keep message boundaries and
// whose Write must not wait for the peer. handler may be nil: every request is
// then answered 4.04. The Conn owns conn and cfg.Rand. Nothing is received
// before Serve runs.
func NewConn(conn net.Conn, cfg Config, handler Handler) *Conn { return &Conn{} }

// Serve receives until the Conn is closed, then returns nil, or until the
// connection fails, then returns why. It waits for handlers.
func (c *Conn) Serve() error { return errUnfinished }

// Close ends the session at once: the connection is closed and everything that
// waits fails with ErrClosed. It does not wait for handlers; Serve does.
func (c *Conn) Close() error { return nil }

// Done is closed when the session has ended.
func (c *Conn) Done() <-chan struct{} { return nil }

// LocalAddr and RemoteAddr are those of the connection.
func (c *Conn) LocalAddr() net.Addr { return nil }

// RemoteAddr is the peer's address.
func (c *Conn) RemoteAddr() net.Addr { return nil }

// Stats returns the counters.
func (c *Conn) Stats() Stats { return Stats{} }

// Do sends a request and returns its response. A payload larger than
// Config.BlockSize goes in blocks (RFC 7959 Block1), a response in blocks is
// assembled (Block2). A response of class 4 or 5 is a response, not an error.
// Errors: *TimeoutError, ErrReset, ErrClosed, *BlockError, *ETagError,
// ErrTooLarge, or ctx's: cancelling ctx stops the retransmissions.
func (c *Conn) Do(ctx context.Context, r *Request) (*Response, error) { return nil, errUnfinished }

// Ping sends an empty confirmable message and waits for the Reset it elicits
// (RFC 7252 section 4.3, "CoAP ping").
func (c *Conn) Ping(ctx context.Context) error { return errUnfinished }

// DownloadOptions say how a representation is fetched.
type DownloadOptions struct {
	// BlockSize is the size asked for, in bytes. 0 means Config.BlockSize.
	BlockSize int
	// Offset is where to start, in bytes: a multiple of the block size. With
	// ETag it resumes an earlier transfer.
	Offset int64
	// ETag is what the representation must still have; nil accepts any and
	// then holds all blocks to the first one's.
	ETag []byte
	// SameToken uses one token for all blocks. Otherwise every block has a
	// fresh one, as AVSystem Anjay does.
	SameToken bool
}

// Block is one block of a representation.
type Block struct {
	// Offset is the position of Data in the representation, in bytes.
	Offset int64
	// Data is the block's content; the last block may be shorter.
	Data []byte
	// Last says that the representation ends here.
	Last bool
	// ETag identifies the representation; nil if the server gives none. To be
	// persisted with Offset for a later resumption.
	ETag []byte
	// Size is the representation's size if the server told (Size2), else -1.
	Size int64
}

// Download is a block-wise GET in progress.
type Download struct{}

// Download prepares a block-wise GET of r (RFC 7959 section 2.4); Next
// performs it. Every block is a confirmable request of its own.
func (c *Conn) Download(r *Request, opt DownloadOptions) (*Download, error) {
	return nil, errUnfinished
}

// Next fetches the next block; after the last one it returns io.EOF. After an
// error Next may be called again and asks for the same block. Errors: those of
// Do, and *StatusError for a response other than 2.05.
func (d *Download) Next(ctx context.Context) (Block, error) { return Block{}, errUnfinished }

// Observation is a client's interest in a resource.
type Observation struct{}

// Observe registers for r's resource (RFC 7641 section 3.1), r being a GET or
// FETCH, and returns the first response. If the server declines, the
// Observation is nil and the response that of a plain request.
//
// notify is called for every fresher notification, one at a time, mostly from
// the receiving loop: it must not block nor wait for this Conn. A notification
// without Observe option, or not of class 2, is the last one.
func (c *Conn) Observe(ctx context.Context, r *Request, notify func(*Response)) (*Observation, *Response, error) {
	return nil, nil, errUnfinished
}

// Active reports whether notifications are still expected.
func (o *Observation) Active() bool { return false }

// Cancel deregisters by a request with Observe 1 (RFC 7641 section 3.6) and
// returns its response.
func (o *Observation) Cancel(ctx context.Context) (*Response, error) { return nil, errUnfinished }

// Forget ends the observation without a message; the next notification is
// answered with a Reset, which tells the server.
func (o *Observation) Forget() {}

// Observer is a server's view of one observation.
type Observer struct{}

// AcceptObserve registers the sender of r, if r asks for it, and returns its
// Observer; else nil. It is called by a handler, before it returns a response
// of class 2, to which the Observe option is added. onEnd, if not nil, is
// called once when the observation ends, with the reason: nil for a
// deregistration, ErrReset, a *TimeoutError, ErrClosed, ErrCanceled when
// registered anew under the same token. It must not block.
func (r *Request) AcceptObserve(onEnd func(error)) *Observer { return nil }

// Notify sends a new state to the observer. A confirmable notification that is
// still unacknowledged is replaced by the newest state at its next
// retransmission (RFC 7641 section 4.5.2); a non-confirmable one then waits
// for its outcome, too. A response not of class 2 ends the observation. Notify
// does not wait: it returns ErrCanceled if the observation has ended.
func (o *Observer) Notify(r *Response, confirmable bool) error { return errUnfinished }

// Request is the registration.
func (o *Observer) Request() *Request { return nil }

// End forgets the observer without a message.
func (o *Observer) End() {}
