package netem

import (
	"time"

	"github.com/thinlink/thinlink/internal/units"
)

// Config describes a link. Its zero value is a perfect one: no delay, no
// loss, infinite rate. Validate says what a link cannot be.
type Config struct {
	// MTU is the largest IP packet in bytes; larger ones are dropped. 0 is no
	// limit.
	MTU units.Bytes
	// HalfDuplex makes both directions share one air interface: while one
	// direction is served the other waits. Directions take turns packet by
	// packet, or transport block by transport block with grants.
	HalfDuplex bool
	// TurnAround is what a change of direction costs a half-duplex link
	// before the next packet's service starts.
	TurnAround time.Duration
	Up, Down   DirectionConfig
	// Outages are times without service, in both directions.
	Outages []Outage
	// OutageLose loses packets that are offered or waiting during an outage;
	// by default they wait in the queue.
	OutageLose bool
	// Radio adds a cellular radio above both directions; nil is none.
	Radio *RadioConfig
}

// DirectionConfig is the chain of stages of one direction, in the order in
// which a packet meets them: queue, rate, loss, delay, duplicate, corrupt.
type DirectionConfig struct {
	// Queue limits what waits for service. The packet in service and those in
	// flight do not count (Linux's netem counts them all).
	Queue QueueConfig
	// Rate is the rate of serialisation while this direction is served: on a
	// half-duplex link the other direction's packets and the turn-arounds
	// come on top. It counts the IP packet plus Overhead. 0 is infinite, or
	// leaves the timing to Radio's grants where the direction has some; a
	// Rate above 0 replaces the grants.
	Rate units.BitRate
	// Overhead is added to each packet's size where the rate or the grants
	// count it (14 for an Ethernet header). The queue does not count it.
	Overhead units.Bytes
	Loss     LossConfig
	// LossPlace is where packets are lost; "" is PlaceQueue.
	LossPlace LossPlace
	// Delay is one way: from the end of serialisation to delivery.
	Delay time.Duration
	// Jitter is the delay's variation as Distribution defines it. A delay
	// that would be negative is 0.
	Jitter time.Duration
	// Distribution is the form of the jitter; "" is Uniform.
	Distribution Distribution
	// Table is the distribution for Distribution == Table: quantiles at equal
	// steps of probability, in units of Jitter, ascending, at least two.
	Table []float64
	// Reorder lets a packet overtake an earlier one whose delay was drawn
	// longer. By default a direction is FIFO.
	Reorder bool
	// Duplicate is the share of packets that are delivered twice.
	Duplicate units.Fraction
	// Corrupt is the share of packets that are damaged: they take their time
	// on the link and the receiver's checksum rejects them.
	Corrupt units.Fraction
}

// QueueConfig limits the packets that wait for service. At most one of the
// two is above 0; both 0 is no limit. A packet that does not fit is dropped
// (drop-tail).
type QueueConfig struct {
	Bytes   units.Bytes // of IP packets
	Packets int
}

// LossPlace says where in the chain packets are lost.
type LossPlace string

// The places of loss.
const (
	// PlaceQueue loses a packet before the queue, as Linux's netem does: it
	// costs no airtime.
	PlaceQueue LossPlace = "queue"
	// PlaceAir loses a packet after its serialisation: it costs airtime.
	PlaceAir LossPlace = "air"
)

// LossConfig is the loss model: independent losses with probability Rate, or,
// if P is above 0, the Gilbert-Elliott model exactly as `tc qdisc ... netem
// loss gemodel P R BadLoss GoodLoss` computes it.
type LossConfig struct {
	Rate units.Fraction
	// P is the probability per packet to go from the good state to the bad
	// one, R that to return.
	P, R units.Fraction
	// BadLoss (tc's 1-h) and GoodLoss (tc's 1-k) are the loss probabilities
	// in the two states.
	BadLoss, GoodLoss units.Fraction
}

// Distribution is the form of a delay's variation.
type Distribution string

// The distributions of jitter. D is Delay and J is Jitter.
const (
	Constant     Distribution = "constant"     // D; J must be 0
	Uniform      Distribution = "uniform"      // between D-J and D+J
	Normal       Distribution = "normal"       // mean D, standard deviation J
	LogNormal    Distribution = "lognormal"    // mean D, standard deviation J, never negative
	Pareto       Distribution = "pareto"       // shape 3 as in iproute2's table, mean D, standard deviation J
	ParetoNormal Distribution = "paretonormal" // 3/4 Pareto and 1/4 normal as in iproute2's, mean D, standard deviation J
	Table        Distribution = "table"        // D + J times a quantile of DirectionConfig.Table
)

// Outage is a time without service. During it nothing starts to be served,
// and what is being served at its start is lost.
type Outage struct {
	Start    time.Duration // after the link's start
	Duration time.Duration
	// Every repeats the outage with this period; 0 is once. A satellite that
	// is visible for the first 300 s of every 5400 s is Outage{Start: 300 s,
	// Duration: 5100 s, Every: 5400 s}.
	Every time.Duration
}

// RadioConfig is a cellular radio: what a fixed rate and delay cannot
// express. Every part is optional.
type RadioConfig struct {
	RRC  *RRCConfig // nil: always connected
	CDRX *CDRXConfig
	Idle *IdleConfig
	PSM  *PSMConfig
	// Up and Down are the grants of the two directions; nil leaves the
	// direction to its Rate.
	Up, Down *GrantConfig
}

// Latency is a random time with a heavy tail: Fixed plus a lognormal body
// and, with probability StallProbability, a lognormal stall.
type Latency struct {
	Fixed  time.Duration
	Median time.Duration // of the lognormal body; 0 is no body
	Sigma  float64       // standard deviation of the body's natural logarithm
	// A stall is a failed attempt or a cell search; it comes on top.
	StallProbability units.Fraction
	StallMedian      time.Duration
	StallSigma       float64
}

// RRCConfig is the connection between idle and connected, TS 36.331 section
// 5.3.
type RRCConfig struct {
	// Setup is from a packet in idle to the first grant: random access and
	// RRC connection set-up or resume, TS 36.331 section 5.3.3.
	Setup Latency
	// Inactivity is from the last packet to the release, TS 36.331 section
	// 5.3.8; 0 never releases.
	Inactivity time.Duration
	// RAI releases early, this long after the last packet, once the
	// connection has carried packets in both directions: the device asks for
	// it with a release assistance indication, TS 24.301 section 9.9.4.25
	// (one downlink packet in answer to one uplink packet is expected). 0 is
	// no release assistance.
	RAI time.Duration
}

// CDRXConfig is discontinuous reception in the connected state, TS 36.321
// section 5.7: a device without traffic for Inactivity listens for downlink
// only during OnDuration at the start of each Cycle.
type CDRXConfig struct {
	Inactivity time.Duration
	Cycle      time.Duration
	OnDuration time.Duration
}

// IdleConfig is paging in idle, TS 36.304 section 7: downlink waits for the
// next paging occasion, at the start of a cycle whose phase comes from the
// seed.
type IdleConfig struct {
	// Cycle is the DRX cycle.
	Cycle time.Duration
	// EDRXCycle, if above 0, limits the paging occasions to a window PTW at
	// the start of each extended cycle, TS 36.304 section 7.3.
	EDRXCycle time.Duration
	PTW       time.Duration
}

// PSMConfig is power saving mode, TS 23.682 section 4.5.4: T3324 after
// entering idle the device is unreachable, until it has uplink to send or its
// periodic tracking area update is due, T3412 after entering idle.
type PSMConfig struct {
	T3324 time.Duration // 0 enters the mode with the release
	T3412 time.Duration // 0 is no periodic update
	// Wake is added to the set-up when the device leaves the mode: it looks
	// for the cell first.
	Wake Latency
	// Lose loses downlink in the mode; by default the network buffers it.
	Lose bool
}

// GrantConfig is scheduling per transport block, TS 36.213 section 16 for
// NB-IoT: each costs a cycle of control channel, gaps, data and
// acknowledgement, and a failed one costs another cycle (HARQ). A packet is
// delivered with its last block.
//
// A cycle lasts
//
//	Control + Gap + Data*Repetitions + AckGap + Ack + Post
//
// and carries one block per HARQ process: with two the second block's data
// follow the first's and share the rest of the cycle.
type GrantConfig struct {
	// TBS is the transport block size in bits.
	TBS int
	// Control is the downlink control message (NPDCCH) with its repetitions.
	Control time.Duration
	// Gap is from the control message to the data.
	Gap time.Duration
	// Data is a full block's time on the air without repetitions; a block
	// that is not full takes its share, in steps of Unit.
	Data time.Duration
	// Unit is one subframe downlink, one resource unit uplink; 0 makes every
	// block take a full block's time.
	Unit time.Duration
	// Repetitions multiplies the data's time; 0 is 1.
	Repetitions int
	// AckGap, Ack: from the end of the data to the acknowledgement, and its
	// length. 0 where the next control message carries it (uplink).
	AckGap, Ack time.Duration
	// Post is from the end of data or acknowledgement to the next cycle.
	Post time.Duration
	// BLER is the block error rate of each transmission.
	BLER units.Fraction
	// Processes is the number of HARQ processes; 0 is 1.
	Processes int
	// Access is what the first packet after a pause waits for its first
	// grant: uplink, the scheduling request by random access, TS 36.321
	// section 5.4.4; downlink, the scheduler.
	Access Latency
}
