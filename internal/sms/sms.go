// Package sms builds and reads short messages of 8-bit data as they cross the
// radio: the transport protocol data unit (3GPP TS 23.040) in relay and control
// protocol messages (3GPP TS 24.011), which a NAS message carries.
//
// Nouns: a Segment is one short message's user data, part of a longer one if it
// says so; Split makes them and an Assembler puts them together again. A PDU is a
// message of the control protocol, with a segment or an acknowledgement in it.
//
// Limitations: no status reports, no validity periods, no error messages: a
// service centre stores and forwards everything.
package sms

import (
	"fmt"
	"time"
)

// Lengths of user data, octets (TS 23.040 sections 9.2.3.24 and 9.2.3.24.1).
const (
	MaxData      = 140 // without a header
	concatLen    = 6   // header of a concatenated message with an 8-bit reference
	MaxPart      = MaxData - concatLen
	MaxParts     = 255
	MaxLength    = MaxParts * MaxPart
	concatID     = 0x00 // IEI: concatenated short messages, 8-bit reference
	concatIDSize = 3
)

// Segment is the user data of one short message.
type Segment struct {
	Data []byte
	// Total and Number (from 1) tell the parts of a longer message with this
	// Reference; Total 0 is a message by itself.
	Reference, Total, Number uint8
}

// Split cuts data into segments, as few as possible. It does not copy.
func Split(data []byte, reference uint8) ([]Segment, error) {
	if len(data) <= MaxData {
		return []Segment{{Data: data}}, nil
	}
	if len(data) > MaxLength {
		return nil, fmt.Errorf("sms: %d bytes: want at most %d, %d segments", len(data), MaxLength, MaxParts)
	}
	total := (len(data) + MaxPart - 1) / MaxPart
	segments := make([]Segment, 0, total)
	for i := range total {
		part := data[i*MaxPart : min(len(data), (i+1)*MaxPart)]
		segments = append(segments, Segment{Data: part, Reference: reference, Total: uint8(total), Number: uint8(i + 1)})
	}
	return segments, nil
}

// maxIncomplete bounds what an Assembler keeps: messages of which a segment is
// lost stay, until so many others have begun.
const maxIncomplete = 8

// Assembler puts segments together, in whatever order they come. Its zero value
// is ready.
type Assembler struct {
	incomplete [][]Segment // the oldest first
}

// Put takes a segment and returns all segments of a message in order, if this
// was the last that it missed. A segment that comes again replaces itself.
func (a *Assembler) Put(s Segment) (message []Segment, complete bool) {
	if s.Total == 0 {
		return []Segment{s}, true
	}
	if s.Number == 0 || s.Number > s.Total { // TS 23.040 section 9.2.3.24.1: ignore the element
		return nil, false
	}
	at := -1
	for i, parts := range a.incomplete {
		if parts[0].Reference == s.Reference && parts[0].Total == s.Total {
			at = i
		}
	}
	if at < 0 {
		if len(a.incomplete) == maxIncomplete {
			a.incomplete = a.incomplete[1:]
		}
		parts := make([]Segment, s.Total)
		for i := range parts {
			parts[i].Reference, parts[i].Total = s.Reference, s.Total // Number 0: missing
		}
		at = len(a.incomplete)
		a.incomplete = append(a.incomplete, parts)
	}
	parts := a.incomplete[at]
	parts[s.Number-1] = s
	for _, p := range parts {
		if p.Number == 0 {
			return nil, false
		}
	}
	a.incomplete = append(a.incomplete[:at], a.incomplete[at+1:]...)
	return parts, true
}

// Kind is what a PDU is.
type Kind uint8

// The kinds of PDU.
const (
	Data  Kind = iota // CP-DATA with RP-DATA: a segment
	Ack               // CP-DATA with RP-ACK: the message has arrived, or is stored
	CPAck             // CP-ACK: a CP-DATA has arrived
)

// PDU is a message between device and network.
type PDU struct {
	Kind Kind
	// Up is from the device to the network, of Data and Ack. What CP-ACK
	// acknowledges does not say.
	Up bool
	// Transaction is the transaction identifier, below Transactions; the side that did not
	// begin the transaction sets Answer (TS 24.007 section 11.2.3.1.3).
	Transaction uint8
	Answer      bool
	Reference   uint8 // RP-Message Reference, TS 24.011 section 8.2.3
	Segment     Segment
	Time        time.Time // when the service centre took it, of Data down
}

// Numbers that nobody has (Ofcom, telephone numbers for drama use): +44 7700
// 900000 is the service centre, 900001 the platform.
var (
	numberCentre   = []byte{0x91, 0x44, 0x77, 0x00, 0x09, 0x00, 0x00}
	numberPlatform = []byte{0x91, 0x44, 0x77, 0x00, 0x09, 0x00, 0x10}
)

const digits = 12 // of both

// Transactions is how many transaction identifiers there are without an octet
// that extends them (TS 24.007 section 11.2.3.1.3).
const Transactions = 7

// Codes of the protocols.
const (
	discriminator = 0x09 // TS 24.007 section 11.2.3.1.1: SMS messages
	cpData        = 0x01 // TS 24.011 section 8.1.3
	cpAck         = 0x04
	rpDataUp      = 0 // TS 24.011 section 8.2.2
	rpDataDown    = 1
	rpAckUp       = 2
	rpAckDown     = 3

	tpDeliver      = 0x00 // TS 23.040 section 9.2.3.1
	tpSubmit       = 0x01
	tpNoMore       = 0x04 // section 9.2.3.2, of SMS-DELIVER: no more messages wait
	tpHeader       = 0x40 // section 9.2.3.23: user data begin with a header
	coding8Bit     = 0x04 // TS 23.038 section 4: no compression, no class, 8-bit data
	timestampLen   = 7    // TS 23.040 section 9.2.3.11
	maxDigits      = 20   // TS 23.040 section 9.1.2.5
	maxAddress     = 11   // TS 24.011 section 8.2.5: octets after the length
	maxUserDataLen = 233  // TS 24.011 section 8.2.5.3
)

// Append appends the PDU's octets.
func (p *PDU) Append(b []byte) []byte {
	first := discriminator | p.Transaction%Transactions<<4
	if p.Answer {
		first |= 0x80
	}
	if p.Kind == CPAck {
		return append(b, first, cpAck)
	}
	b = append(b, first, cpData, 0)
	start := len(b)
	switch {
	case p.Kind == Ack && p.Up:
		b = append(b, rpAckUp, p.Reference)
	case p.Kind == Ack:
		b = append(b, rpAckDown, p.Reference)
	case p.Up: // no originator, the centre as destination
		b = append(b, rpDataUp, p.Reference, 0, byte(len(numberCentre)))
		b = p.appendTPDU(append(b, numberCentre...))
	default:
		b = append(b, rpDataDown, p.Reference, byte(len(numberCentre)))
		b = p.appendTPDU(append(append(b, numberCentre...), 0))
	}
	b[start-1] = byte(len(b) - start)
	return b
}

// appendTPDU appends SMS-SUBMIT or SMS-DELIVER (TS 23.040 section 9.2.2), and its
// length before it.
func (p *PDU) appendTPDU(b []byte) []byte {
	b = append(b, 0)
	start := len(b)
	var header byte
	if p.Segment.Total > 0 {
		header = tpHeader
	}
	if p.Up {
		b = append(b, tpSubmit|header, p.Reference, digits)
	} else {
		b = append(b, tpDeliver|tpNoMore|header, digits)
	}
	b = append(b, numberPlatform...)
	b = append(b, 0, coding8Bit) // TP-PID: no interworking
	if !p.Up {
		b = appendTime(b, p.Time)
	}
	b = append(b, 0)
	data := len(b)
	if s := p.Segment; s.Total > 0 {
		b = append(b, concatLen-1, concatID, concatIDSize, s.Reference, s.Total, s.Number)
	}
	b = append(b, p.Segment.Data...)
	b[data-1] = byte(len(b) - data)
	b[start-1] = byte(len(b) - start)
	return b
}

// appendTime appends a service centre time stamp: semi-octets, the lower digit
// first, in UTC.
func appendTime(b []byte, t time.Time) []byte {
	t = t.UTC()
	for _, v := range []int{t.Year() % 100, int(t.Month()), t.Day(), t.Hour(), t.Minute(), t.Second(), 0} {
		b = append(b, byte(v%10<<4|v/10))
	}
	return b
}
