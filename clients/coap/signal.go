package coap

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// isSignal reports a signaling message (RFC 8323 section 5.1).
func isSignal(c codes.Code) bool { return c>>5 == 7 }

// receiveSignal acts on a signaling message; mu is held. Option numbers mean
// something else in each, and an unknown critical one ends the connection
// (RFC 8323 section 5.2): none of those known is critical.
func (c *Conn) receiveSignal(m message.Message) error {
	msg := &Message{Code: m.Code, Options: m.Options, Payload: m.Payload}
	for _, o := range m.Options {
		if o.ID&1 == 1 && m.Code != codes.Abort {
			return criticalSignal(m.Code, o.ID)
		}
	}
	switch m.Code {
	case codes.CSM:
		if err := c.stream.peer.update(msg); err != nil {
			return err
		}
		if !c.hasGreeted() {
			close(c.stream.greeted)
		}
	case codes.Ping:
		c.submit(&transmission{msg: message.Message{Code: codes.Pong, Token: m.Token}})
	case codes.Pong:
		if pong := c.stream.pings[string(m.Token)]; pong != nil {
			delete(c.stream.pings, string(m.Token))
			close(pong)
		}
	case codes.Release:
		c.stream.release = newReleaseError(msg)
		c.stream.wake.Signal()
	case codes.Abort:
		return newAbortError(msg)
	}
	return nil
}

func criticalSignal(code codes.Code, id message.OptionID) *AbortError {
	e := &AbortError{Diagnostic: fmt.Sprintf("critical option %d of %s is unknown", id, CodeString(code))}
	if code == codes.CSM {
		e.BadCSMOption = uint16(id)
	}
	return e
}

func newAbortError(m *Message) *AbortError {
	bad, _ := m.Uint(message.TCPBadCSMOption)
	return &AbortError{ByPeer: true, Diagnostic: string(m.Payload), BadCSMOption: uint16(bad)}
}

func newReleaseError(m *Message) *ReleaseError {
	e := &ReleaseError{Diagnostic: string(m.Payload)}
	for _, o := range m.Options {
		if o.ID == message.TCPAlternativeAddress {
			e.Alternatives = append(e.Alternatives, string(o.Value))
		}
	}
	if v, ok := m.Bytes(message.TCPHoldOff); ok && len(v) <= 3 {
		seconds, _ := m.Uint(message.TCPHoldOff)
		e.HoldOff = time.Duration(seconds) * time.Second
	}
	return e
}

// message is the Abort that tells the peer.
func (e *AbortError) message() message.Message {
	m := Message{Code: codes.Abort}
	if e.BadCSMOption != 0 {
		m.SetUint(message.TCPBadCSMOption, uint32(e.BadCSMOption))
	}
	return message.Message{Code: m.Code, Options: m.Options, Payload: []byte(e.Diagnostic)}
}

// pingStream sends a Ping and waits for its Pong (RFC 8323 section 5.4).
func (c *Conn) pingStream(ctx context.Context) error {
	pong := make(chan struct{})
	c.mu.Lock()
	token, err := c.token(nil)
	if err == nil {
		c.stream.pings[string(token)] = pong
		c.submit(&transmission{msg: message.Message{Code: codes.Ping, Token: token}})
	}
	c.unlock()
	if err != nil {
		return err
	}
	select {
	case <-pong:
		return nil
	case <-c.ctx.Done():
		return c.closed()
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.unlock()
	delete(c.stream.pings, string(token))
	return fmt.Errorf("coap: ping: %w", context.Cause(ctx))
}

// Release asks the peer of a stream to close it when it has answered what it
// received (RFC 8323 section 5.5), waits for that, and closes the Conn. When
// ctx ends first, it closes the Conn at once and returns ctx's error; when the
// connection fails, it returns why. Nothing should be requested meanwhile. Without a stream it is Close.
func (c *Conn) Release(ctx context.Context) error {
	defer c.Close()
	if c.stream == nil {
		return nil
	}
	c.mu.Lock()
	c.stream.released = true
	c.submit(&transmission{msg: message.Message{Code: codes.Release}})
	c.unlock()
	select {
	case <-c.Done():
		return c.failure()
	case <-ctx.Done():
		return fmt.Errorf("coap: release: %w", context.Cause(ctx))
	}
}

// Abort ends a stream with an Abort message and a reason for people (RFC 8323
// section 5.6). It waits for the message to be written, for AckTimeout at
// most, and needs a running Serve for that. Without a stream it is Close.
func (c *Conn) Abort(diagnostic string) {
	if c.stream != nil {
		c.abort(&AbortError{Diagnostic: diagnostic})
	}
	c.end(nil)
}

// abort puts an Abort before everything that waits, and ends when it is
// written.
func (c *Conn) abort(e *AbortError) {
	t := &transmission{msg: e.message()}
	t.done = func(*message.Message, error) { c.callLater(func() { c.end(e) }) }
	c.mu.Lock()
	if !c.ended {
		c.waiting = slices.Insert(c.waiting, 0, t)
		c.stream.wake.Signal()
	}
	c.unlock()
	timer := time.AfterFunc(c.cfg.AckTimeout, func() { c.end(e) })
	defer timer.Stop()
	<-c.ctx.Done()
}
