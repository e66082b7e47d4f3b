package netem

import "time"

// Drop says why a packet did not arrive.
type Drop string

// The reasons for which a link loses a packet.
const (
	DropQueue   Drop = "queue"   // drop-tail: the queue was full
	DropLoss    Drop = "loss"    // the loss model's decision
	DropOutage  Drop = "outage"  // the link was down, or the device in power saving mode
	DropCorrupt Drop = "corrupt" // damaged on the way; the receiver's checksum rejects it
	DropMTU     Drop = "mtu"     // larger than the link's MTU
)

// Tap sees every packet where a router next to the device would see it, and
// again when its fate is known. Calls come in time order, each with the time
// of what it reports; that can be before the time of the call to the link
// which brought it about, since Next does not ask for a call at every change
// of the radio's state. Data belongs to the link and must not be changed.
type Tap interface {
	// Sent reports a packet offered to the link, before any drop. id counts
	// from 1 over both directions.
	Sent(now time.Time, id uint64, dir Direction, ip []byte)
	// Delivered reports that a packet reached the other end; twice for a
	// packet that the link duplicated.
	Delivered(now time.Time, id uint64)
	// Dropped reports that a packet will never arrive.
	Dropped(now time.Time, id uint64, why Drop)
	// Radio reports a change of the radio's state.
	Radio(now time.Time, state RadioState)
}

// RadioState is what the device's modem does, for the power model.
type RadioState string

// The radio states of a timeline.
const (
	RadioPSM       RadioState = "psm"       // power saving mode, TS 23.682 section 4.5.4
	RadioIdle      RadioState = "idle"      // RRC_IDLE with (e)DRX paging
	RadioSetup     RadioState = "setup"     // random access and RRC connection set-up
	RadioConnected RadioState = "connected" // RRC_CONNECTED, neither sending nor receiving
	RadioRx        RadioState = "rx"        // connected and receiving
	RadioTx        RadioState = "tx"        // connected and transmitting
)
