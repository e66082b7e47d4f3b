// Package profiles describes links: named, versioned YAML profiles of the
// link, the radio and the modem's power, with the source of every number.
//
//	p, err := profiles.Load("nbiot")      // built in; or a file: "./my.yaml"
//	err = p.Set("link.loss", "2%")        // both directions
//	err = p.Set("link.up.rate", "10kbit") // one
//	err = p.Check()                       // what only several values show
//	link, err := netem.NewLink(p.Netem(), seed, start, nil)
//
// The fields of link are those of netem.Config, the fields of radio those of
// netem.RadioConfig. A profile names another in extends and gives only what
// differs. The comment on a value's line says where it comes from: a flag (V
// read in a published source, D derived from such, G general engineering
// knowledge, unverified) and the source; built-in profiles flag every value.
//
// Limitation: a profile describes one device on one link; cells and fleets
// are the planner's.
package profiles

import (
	"time"

	"github.com/thinlink/thinlink/internal/confyaml"
	"github.com/thinlink/thinlink/internal/units"
	"github.com/thinlink/thinlink/netem"
)

// Profile is one named link. Make one with Load or Parse.
type Profile struct {
	Version     int    `conf:"version" doc:"version of this schema" min:"1" max:"1" required:"true" merge:"own"`
	Name        string `conf:"name" doc:"name in results" pattern:"[A-Za-z0-9][A-Za-z0-9._-]{0,63}" required:"true" merge:"own"`
	Title       string `conf:"title" doc:"one line for people" merge:"own"`
	Description string `conf:"description" doc:"what the profile stands for" merge:"own"`
	// Extends is the profile that gives what this one leaves out.
	Extends string `conf:"extends" doc:"a built-in profile or a file whose values hold where this one gives none" merge:"own"`

	// Technology chooses the currents of a module model (package power).
	Technology string `conf:"technology" doc:"cellular technology, which chooses the currents of a module model" enum:"nbiot,ltem,2g,3g,4g"`

	// Link is the link without its radio; Netem gives both.
	Link  netem.Config       `conf:"link" doc:"the link; a direction's field directly below link holds for both directions"`
	Radio *netem.RadioConfig `conf:"radio" doc:"the cellular radio; null removes an inherited one"`
	SMS   *netem.SMSConfig   `conf:"sms" doc:"the network's short message service; null removes an inherited one"`
	Power Power              `conf:"power" doc:"the modem's mean power in each radio state"`
	TC    TC                 `conf:"tc" doc:"what engines tc and vm do in place of grants and radio states"`

	Timers Timers `conf:"timers" doc:"protocol timers recommended for this link; stacks with timers: profile use them"`

	dec *confyaml.Decoder // knows where each value comes from
}

// Timers are protocol timers that fit the link, where the standards' defaults
// retransmit for nothing. 0 leaves a stack its own.
type Timers struct {
	CoAPAckTimeout time.Duration `conf:"coap_ack_timeout" doc:"CoAP's ACK_TIMEOUT (RFC 7252 section 4.8), of both ends" min:"0s"`
	TCPInitialRTO  time.Duration `conf:"tcp_initial_rto" doc:"TCP's first retransmission time-out (RFC 6298 section 2), of both ends" min:"0s"`
	TCPMinRTO      time.Duration `conf:"tcp_min_rto" doc:"TCP's least retransmission time-out, of both ends" min:"0s"`
	// MQTTKeepAlive is a device's keep-alive: long, since each ping wakes the
	// radio, and below what the network's NAT and the platform allow.
	MQTTKeepAlive time.Duration `conf:"mqtt_keep_alive" doc:"MQTT's keep-alive (MQTT 3.1.1 section 3.1.2.10), in whole seconds" min:"0s" max:"65535s"`
}

// TC says how the kernel's netem, which has neither grants nor radio states,
// may approximate them. A direction that a rate times needs no approximation
// and takes none.
type TC struct {
	// RRC is what to do about radio.rrc, cdrx, idle and psm; "" ignores them.
	RRC  TCRRC       `conf:"rrc" doc:"hold: what the device would make wait (set-up, page, discontinuous reception) is added to the delay as the run goes on; by default the device is always connected" enum:"hold"`
	Up   TCDirection `conf:"up" doc:"device to platform"`
	Down TCDirection `conf:"down" doc:"platform to device"`
}

// TCRRC is how the kernel approximates a radio's states.
type TCRRC string

// RRCHold adds to the delay what a packet waits for the radio.
const RRCHold TCRRC = "hold"

// TCDirection is one direction's approximation.
type TCDirection struct {
	Rate units.BitRate `conf:"rate" doc:"sustained rate in place of grants"`
	// Delay is what access and the cycle of grants add to the link's delay.
	Delay time.Duration `conf:"delay" doc:"added to the link's delay, for access and the grants' cycle" max:"1h"`
}

// Power is the modem's mean power in each radio state, for a first estimate
// of energy, or the module model that replaces it.
type Power struct {
	// Module names a model of package power, built in or a file.
	Module string `conf:"module" doc:"module model whose currents replace the mean powers: a name or a file"`
	// TxDBM is the transmit power at which a module sends; nil is its highest.
	TxDBM *float64 `conf:"tx_dbm" doc:"transmit power of a module model, dBm; by default its highest" min:"-50" max:"40"`
	MCU   MCU      `conf:"mcu" doc:"the application's processor, on top"`

	TX        units.Power `conf:"tx" doc:"transmitting"`
	RX        units.Power `conf:"rx" doc:"receiving"`
	Connected units.Power `conf:"connected" doc:"connected and setting up, neither sending nor receiving"`
	Idle      units.Power `conf:"idle" doc:"idle, paging cycles included"`
	PSM       units.Power `conf:"psm" doc:"power saving mode"`
}

// MCU is the application's processor beside the modem: asleep except for the
// given times. Zero is none.
type MCU struct {
	Idle      units.Power   `conf:"idle" doc:"asleep, always drawn"`
	Active    units.Power   `conf:"active" doc:"computing, on top"`
	Report    time.Duration `conf:"report" doc:"time computing for a report" max:"1h"`
	Handshake time.Duration `conf:"handshake" doc:"time computing for a TLS or DTLS handshake" max:"1h"`
	PerKiB    time.Duration `conf:"per_kib" doc:"time computing for the encryption of 1 KiB" max:"1h"`
}

// Netem is the configuration of the link, its radio and its short messages. It shares no memory
// that Set changes.
func (p *Profile) Netem() netem.Config {
	cfg := p.Link
	cfg.Radio, cfg.SMS = p.Radio, p.SMS
	return cfg
}

// Set overrides one value by its dotted path ("link.loss", "link.up.rate",
// "radio.rrc.inactivity", "mtu" for "link.mtu") with the checks of a file.
// Check judges the whole afterwards. The error is *confyaml.Error.
func (p *Profile) Set(path, value string) error {
	switch path {
	case "mtu":
		path = "link.mtu"
	case "extends", "version":
		return &confyaml.Error{Field: path, Problem: "can only stand in a file"}
	}
	return p.dec.Set(path, value)
}

// Schema is the JSON Schema of profile files.
func Schema() ([]byte, error) { return confyaml.Schema(Profile{}) }
