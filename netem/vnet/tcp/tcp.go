// Package tcp is TCP as a pure state machine: segments and the time go in,
// segments and the next timer come out. It reads no clock, holds no lock and
// starts no goroutine; its owner serialises the calls.
package tcp

import (
	"time"
)

// Segment is one TCP segment without its IP header.
type Segment struct {
	SrcPort, DstPort uint16
	Seq, Ack         uint32
	Flags            Flags
	Window           uint16 // as on the wire, unscaled
	MSS              uint16 // option, 0: absent
	WindowScale      int8   // option, -1: absent
	SACKPermitted    bool
	SACK             []SACKBlock // at most 4
	Timestamps       bool
	TSVal, TSEcr     uint32
	Payload          []byte
}

// SACKBlock is the half-open range [Start, End) of RFC 2018.
type SACKBlock struct{ Start, End uint32 }

// Flags are the control bits of RFC 9293 section 3.1.
type Flags uint8

// The control bits.
const (
	FIN Flags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

// The contract of Conn, which package vnet drives:
//
//	func Dial(cfg Config, now time.Time, local, remote uint16, iss uint32, mtu int, ipv6 bool) *Conn
//	func Accept(cfg Config, now time.Time, syn *Segment, iss uint32, mtu int, ipv6 bool) *Conn
//	func (c *Conn) Input(now time.Time, s *Segment)          one arriving segment; s and its payload are not kept
//	func (c *Conn) Tick(now time.Time)                       runs every timer that is due
//	func (c *Conn) Next() (at time.Time, ok bool)            when Tick is wanted next
//	func (c *Conn) Output(now time.Time, emit func(*Segment)) hands over every segment that may leave now; call after
//	                                                          Input, Tick, Write, Read, CloseWrite, Abort; emit must
//	                                                          copy or encode: s is reused
//	func (c *Conn) Write(now time.Time, b []byte) (int, error)  takes what fits the send buffer, 0 when full
//	func (c *Conn) Read(now time.Time, b []byte) (int, error)   0, nil when nothing is there; io.EOF after the peer's FIN
//	func (c *Conn) CloseWrite(now time.Time)                 half-close: FIN after the data
//	func (c *Conn) Close(now time.Time)                      both ways; unread data sends RST, as Linux does
//	func (c *Conn) Abort(now time.Time)                      RST
//	func (c *Conn) State() State                             RFC 9293 section 3.3.2
//	func (c *Conn) Err() error                               why the connection died: reset, refused, timed out
//	func (c *Conn) Readable, Writable() bool                 whether Read or Write would make progress (or fail)
//	func (c *Conn) Stats() Stats                             as TCP_INFO and nstat: retransmitted segments, RTOs, TLPs,
//	                                                          DSACKs, SRTT, RTTVAR, cwnd, ssthresh
//	func Parse(b []byte) (Segment, error)                    header and options; no checksum
//	func (s *Segment) AppendTo(b []byte) []byte              wire form, checksum 0
var _ time.Time
