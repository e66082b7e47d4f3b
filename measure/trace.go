// Package measure turns the trace of a run into numbers: packets, bytes by
// direction and by layer, retransmissions. It reads no clock and needs no
// engine: a capture that anybody made gives the same counts.
//
// Nouns: a Recorder taps a link and collects a Trace: packets with their fates,
// events, keys, the measured window. Judge makes a Result of it, Describe the
// Traffic's shape. WriteFiles and ReadTrace keep a trace as a pcapng capture
// with events beside it; Open reads a foreign capture; PaperRule counts as the
// reference experiment did.
//
//	rec := measure.NewRecorder(start, device) // the link's netem.Tap
//	rec.OpenWindow(now)
//	...
//	rec.CloseWindow(now)
//	trace := rec.Trace()
//	result := measure.Judge(trace)
//	files, err := measure.WriteFiles(dir, "run", trace, measure.About{Profile: "nbiot"})
//
// Bytes are IP packets where a router next to the device sees them, sent,
// whatever became of them. Every byte belongs to one layer: IP and transport
// headers; security (handshakes, record headers, nonces, tags); protocol (MQTT,
// CoAP and HTTP headers); payload. What is sent again counts again, in its own
// layers. TLS 1.2 and 1.3 and DTLS 1.2 are decrypted with the trace's keys;
// what cannot be decrypted is payload, with a warning.
//
// Retransmissions. TCP: segments that repeat sequence numbers, as Wireshark
// classifies them (TCPClass); with fates known, those it calls out of order are
// included, because at the sender's end of a link nothing was reordered yet.
// CoAP: copies of a confirmable or non-confirmable message by message ID within
// EXCHANGE_LIFETIME, as tshark's coap.retransmitted; repeated ACKs are not
// counted. MQTT-SN, on its ports: copies, but for DUP, of the last message that
// wants an answer. DTLS: handshake messages (or fragments of them) sent again in a new
// record; one datagram may carry several. TLSHandshakes: negotiations that got
// as far as a ServerHello, HelloRetryRequest apart.
//
// A trace may be of a link without IP (Bearer): then there are no IP headers, and
// a capture names the protocol of each frame.
//
// Limitations: IP fragments are counted, not reassembled; MQTT over WebSocket
// and QUIC count as payload; header fields of HTTP/2 are not
// decoded; captures are held in memory.
package measure

import (
	"net/netip"
	"time"

	"github.com/thinlink/thinlink/netem"
)

// Packet is one IP packet where a router next to the device would see it.
type Packet struct {
	Time time.Time // when it was sent
	Dir  netem.Direction
	Data []byte // from the IP header on, or all there is on another Bearer
	// Done is when it arrived, or when it was lost; zero if it was still on
	// its way at the end, or nobody knows (a foreign capture).
	Done time.Time
	// Lost is the link's reason, "" if it was not lost (or nobody knows).
	Lost netem.Drop
}

// Event is a moment of a run that packets alone do not show. The constants of
// clients.Event name the kinds stacks record; the Recorder adds EventWindow
// marks and EventRadio states.
type Event struct {
	Time   time.Time `json:"time"`
	Kind   string    `json:"kind"`
	Detail string    `json:"detail,omitempty"`
	Offset int64     `json:"offset,omitempty"`
	Length int64     `json:"length,omitempty"`
}

// Trace is all that is known of a run: the single hand-over between running
// and judging.
type Trace struct {
	Start  time.Time  // when the device was switched on
	Device netip.Addr // tells the directions of a capture's packets
	// The measured window: packets with WindowStart <= Time < WindowEnd count.
	WindowStart, WindowEnd time.Time
	Packets                []Packet // in order of Time
	Events                 []Event  // in order of Time
	KeyLog                 []byte   // TLS and DTLS secrets, NSS key log format
	// Bearer is what packets are: of BearerNonIP datagrams without headers, of
	// BearerSMS messages of the control protocol (TS 24.011), all of one flow.
	Bearer netem.Bearer
	// FatesKnown is true if Packet.Done and Lost mean something, as in a
	// trace of our own engines.
	FatesKnown bool
	// Warnings are doubts about the trace itself, as after reading a foreign
	// capture. Judge hands them on.
	Warnings []string
}
