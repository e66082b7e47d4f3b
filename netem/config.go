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
	MTU units.Bytes `conf:"mtu" doc:"largest IP packet" min:"68" max:"65535"`
	// HalfDuplex makes both directions share one air interface: while one
	// direction is served the other waits. Directions take turns packet by
	// packet, or transport block by transport block with grants.
	HalfDuplex bool `conf:"half_duplex" doc:"both directions share one air interface"`
	// TurnAround is what a change of direction costs a half-duplex link
	// before the next packet's service starts.
	TurnAround time.Duration   `conf:"turn_around" doc:"cost of a change of direction, half duplex" max:"1h"`
	Up         DirectionConfig `conf:"up" doc:"device to platform" share:"true"`
	Down       DirectionConfig `conf:"down" doc:"platform to device" share:"true"`
	// Outages are times without service, in both directions.
	Outages []Outage `conf:"outages" doc:"times without service"`
	// OutageLose loses packets that are offered or waiting during an outage;
	// by default they wait in the queue.
	OutageLose bool `conf:"outage_lose" doc:"lose what is offered or waiting in an outage instead of keeping it"`
	// Radio adds a cellular radio above both directions; nil is none.
	Radio *RadioConfig `conf:"-"`
	// SMS is the network's short message service; nil is none.
	SMS *SMSConfig `conf:"-"`
}

// DirectionConfig is the chain of stages of one direction, in the order in
// which a packet meets them: queue, rate, loss, delay, duplicate, corrupt.
type DirectionConfig struct {
	// Queue limits what waits for service and what is in service. Packets in
	// flight do not count (Linux's netem counts them too).
	Queue QueueConfig `conf:"queue" doc:"limit of what waits or is being sent, not counting what is in flight"`
	// Rate is the rate of serialisation while this direction is served: on a
	// half-duplex link the other direction's packets and the turn-arounds
	// come on top. It counts the IP packet plus Overhead. 0 is infinite, or
	// leaves the timing to Radio's grants where the direction has some; a
	// Rate above 0 replaces the grants.
	Rate units.BitRate `conf:"rate" doc:"rate of serialisation; 0 is no limit, or leaves the timing to grants" min:"0bit"`
	// Overhead is added to each packet's size where the rate or the grants
	// count it (14 for an Ethernet header). The queue does not count it.
	Overhead units.Bytes `conf:"overhead" doc:"bytes per packet that the rate counts beside the IP packet" max:"65536"`
	Loss     LossConfig  `conf:"loss" doc:"loss model" merge:"replace"`
	// LossPlace is where packets are lost; "" is PlaceQueue.
	LossPlace LossPlace `conf:"loss_place" doc:"queue: before the rate, no airtime; air: after it" enum:"queue,air"`
	// Delay is one way: from the end of serialisation to delivery.
	Delay time.Duration `conf:"delay" doc:"one way, from the end of serialisation to delivery" max:"1h"`
	// Jitter is the delay's variation as Distribution defines it. A delay
	// that would be negative is 0.
	Jitter time.Duration `conf:"jitter" doc:"variation of the delay as the distribution defines it" max:"1h"`
	// Distribution is the form of the jitter; "" is Uniform.
	Distribution Distribution `conf:"distribution" doc:"form of the jitter" enum:"constant,uniform,normal,lognormal,pareto,paretonormal,table"`
	// Table is the distribution for Distribution == Table: quantiles at equal
	// steps of probability, in units of Jitter, ascending, at least two.
	Table []float64 `conf:"table" doc:"distribution table: ascending quantiles at equal steps of probability, in units of jitter" min:"-1000000" max:"1000000"`
	// Reorder lets a packet overtake an earlier one whose delay was drawn
	// longer. By default a direction is FIFO.
	Reorder bool `conf:"reorder" doc:"let a packet overtake an earlier one"`
	// Duplicate is the share of packets that are delivered twice.
	Duplicate units.Fraction `conf:"duplicate" doc:"share of packets that are delivered twice"`
	// Corrupt is the share of packets that are damaged: they take their time
	// on the link and the receiver's checksum rejects them.
	Corrupt units.Fraction `conf:"corrupt" doc:"share of packets that arrive damaged"`
}

// QueueConfig limits the packets that are not sent yet: in bytes of IP
// packets, or in packets. At most one of the two is above 0; both 0 is no
// limit. A packet that does not fit is dropped (drop-tail).
type QueueConfig = units.Queue

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
	Rate units.Fraction `conf:"rate" doc:"independent losses" scalar:"true"`
	// P is the probability per packet to go from the good state to the bad
	// one, R that to return.
	P units.Fraction `conf:"p" doc:"Gilbert-Elliott: probability per packet to enter the bad state"`
	R units.Fraction `conf:"r" doc:"Gilbert-Elliott: probability per packet to leave the bad state"`
	// BadLoss (tc's 1-h) and GoodLoss (tc's 1-k) are the loss probabilities
	// in the two states.
	BadLoss  units.Fraction `conf:"bad_loss" doc:"Gilbert-Elliott: losses in the bad state, 1-h of tc"`
	GoodLoss units.Fraction `conf:"good_loss" doc:"Gilbert-Elliott: losses in the good state, 1-k of tc"`
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
	Start    time.Duration `conf:"start" doc:"after the beginning of the run" required:"true" max:"3650d"` // after the link's start
	Duration time.Duration `conf:"duration" doc:"how long it lasts" required:"true" above:"0s" max:"3650d"`
	// Every repeats the outage with this period; 0 is once. A satellite that
	// is visible for the first 300 s of every 5400 s is Outage{Start: 300 s,
	// Duration: 5100 s, Every: 5400 s}.
	Every time.Duration `conf:"every" doc:"period of repetition; 0 is once" max:"3650d"`
}

// RadioConfig is a cellular radio: what a fixed rate and delay cannot
// express. Every part is optional.
type RadioConfig struct {
	RRC  *RRCConfig  `conf:"rrc" doc:"idle and connected; without it always connected"` // nil: always connected
	CDRX *CDRXConfig `conf:"cdrx" doc:"discontinuous reception while connected"`
	Idle *IdleConfig `conf:"idle" doc:"paging in idle"`
	PSM  *PSMConfig  `conf:"psm" doc:"power saving mode"`
	// Up and Down are the grants of the two directions; nil leaves the
	// direction to its Rate.
	Up   *GrantConfig `conf:"up" doc:"uplink grants, unless link.up.rate replaces them"`
	Down *GrantConfig `conf:"down" doc:"downlink grants, unless link.down.rate replaces them"`
}

// Latency is a random time with a heavy tail: Fixed plus a lognormal body
// and, with probability StallProbability, a lognormal stall.
type Latency struct {
	Fixed  time.Duration `conf:"fixed" doc:"least time" scalar:"true" max:"1d"`
	Median time.Duration `conf:"median" doc:"median of the lognormal body; 0 is no body" max:"1d"`            // of the lognormal body; 0 is no body
	Sigma  float64       `conf:"sigma" doc:"standard deviation of the logarithm of the body" min:"0" max:"3"` // standard deviation of the body's natural logarithm
	// A stall is a failed attempt or a cell search; it comes on top.
	StallProbability units.Fraction `conf:"stall_probability" doc:"share of attempts that stall"`
	StallMedian      time.Duration  `conf:"stall_median" doc:"median of the stall, on top" max:"1d"`
	StallSigma       float64        `conf:"stall_sigma" doc:"standard deviation of the logarithm of the stall" min:"0" max:"3"`
}

// RRCConfig is the connection between idle and connected, TS 36.331 section
// 5.3.
type RRCConfig struct {
	// Setup is from a packet in idle to the first grant: random access and
	// RRC connection set-up or resume, TS 36.331 section 5.3.3.
	Setup Latency `conf:"setup" doc:"from a packet in idle to the first grant" merge:"replace"`
	// Inactivity is from the last packet to the release, TS 36.331 section
	// 5.3.8; 0 never releases.
	Inactivity time.Duration `conf:"inactivity" doc:"from the last packet to the release; 0 never releases" max:"3650d"`
	// RAI releases early, this long after the last packet, once the
	// connection has carried packets in both directions: the device asks for
	// it with a release assistance indication, TS 24.301 section 9.9.4.25
	// (one downlink packet in answer to one uplink packet is expected). 0 is
	// no release assistance.
	RAI time.Duration `conf:"rai" doc:"release this long after an exchange, by release assistance; 0 is none" max:"1h"`
	// RAIUplink does the same for a connection that has carried uplink only:
	// no further packet is expected. It should exceed the round trip, so that
	// it does not cut off an answer. 0 waits for Inactivity.
	RAIUplink time.Duration `conf:"rai_uplink" doc:"release this long after uplink that no answer has followed, by release assistance; 0 is none" max:"1h"`
}

// CDRXConfig is discontinuous reception in the connected state, TS 36.321
// section 5.7: a device without traffic for Inactivity listens for downlink
// only during OnDuration at the start of each Cycle.
type CDRXConfig struct {
	Inactivity time.Duration `conf:"inactivity" doc:"from the last packet to the first cycle" max:"1h"`
	Cycle      time.Duration `conf:"cycle" doc:"cDRX cycle" required:"true" above:"0s" max:"1h"`
	OnDuration time.Duration `conf:"on_duration" doc:"listening time at the start of a cycle" required:"true" above:"0s" max:"1h"`
}

// IdleConfig is paging in idle, TS 36.304 section 7: downlink waits for the
// next paging occasion, at the start of a cycle whose phase comes from the
// seed.
type IdleConfig struct {
	// Cycle is the DRX cycle.
	Cycle time.Duration `conf:"cycle" doc:"DRX cycle" required:"true" above:"0s" max:"1d"`
	// EDRXCycle, if above 0, limits the paging occasions to a window PTW at
	// the start of each extended cycle, TS 36.304 section 7.3.
	EDRXCycle time.Duration `conf:"edrx_cycle" doc:"eDRX cycle; 0 is none" max:"1d"`
	PTW       time.Duration `conf:"ptw" doc:"paging time window at the start of an eDRX cycle" max:"1d"`
}

// PSMConfig is power saving mode, TS 23.682 section 4.5.4: T3324 after
// entering idle the device is unreachable, until it has uplink to send or its
// periodic tracking area update is due, T3412 after entering idle.
type PSMConfig struct {
	T3324 time.Duration `conf:"t3324" doc:"active time: from idle to the mode" max:"3650d"`            // 0 enters the mode with the release
	T3412 time.Duration `conf:"t3412" doc:"period of the tracking area update; 0 is none" max:"3650d"` // 0 is no periodic update
	// Wake is added to the set-up when the device leaves the mode: it looks
	// for the cell first.
	Wake Latency `conf:"wake" doc:"added to the set-up when the device leaves the mode" merge:"replace"`
	// Update is the signalling of a periodic tracking area update, TS 24.301
	// section 5.5.3, between the set-up and the release.
	Update Latency `conf:"update" doc:"signalling of a tracking area update, between set-up and release" merge:"replace"`
	// Lose loses downlink in the mode; by default the network buffers it.
	Lose bool `conf:"lose" doc:"lose downlink in the mode instead of buffering it"`
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
	TBS int `conf:"tbs" doc:"transport block size, bit" required:"true" min:"1" max:"1048576"`
	// Control is the downlink control message (NPDCCH) with its repetitions.
	Control time.Duration `conf:"control" doc:"downlink control message with its repetitions" max:"1h"`
	// Gap is from the control message to the data.
	Gap time.Duration `conf:"gap" doc:"from the control message to the data" max:"1h"`
	// Data is a full block's time on the air without repetitions; a block
	// that is not full takes its share, in steps of Unit.
	Data time.Duration `conf:"data" doc:"airtime of a full block without repetitions" required:"true" above:"0s" max:"1h"`
	// Unit is one subframe downlink, one resource unit uplink; 0 makes every
	// block take a full block's time.
	Unit time.Duration `conf:"unit" doc:"a block that is not full takes its share of data in steps of this; 0 is all of it" max:"1h"`
	// Repetitions multiplies the data's time; 0 is 1.
	Repetitions int `conf:"repetitions" doc:"times the data is sent" min:"1" max:"2048"`
	// AckGap, Ack: from the end of the data to the acknowledgement, and its
	// length. 0 where the next control message carries it (uplink).
	AckGap time.Duration `conf:"ack_gap" doc:"from the data to the acknowledgement" max:"1h"`
	Ack    time.Duration `conf:"ack" doc:"acknowledgement with its repetitions" max:"1h"`
	// Post is from the end of data or acknowledgement to the next cycle.
	Post time.Duration `conf:"post" doc:"from the end of a cycle to the next control message" max:"1h"`
	// BLER is the block error rate of each transmission.
	BLER units.Fraction `conf:"bler" doc:"block error rate of each transmission" max:"99%"`
	// Processes is the number of HARQ processes; 0 is 1.
	Processes int `conf:"processes" doc:"HARQ processes" min:"1" max:"16"`
	// Access is what the first packet after a pause waits for its first
	// grant: uplink, the scheduling request by random access, TS 36.321
	// section 5.4.4; downlink, the scheduler.
	Access Latency `conf:"access" doc:"what the first packet after a pause waits for its first grant" merge:"replace"`
}
