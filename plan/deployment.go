package plan

import (
	"time"

	"github.com/thinlink/thinlink/internal/confyaml"
	"github.com/thinlink/thinlink/internal/units"
	"github.com/thinlink/thinlink/netem"
)

// Deployment is a network and its devices. Make one with Load.
type Deployment struct {
	Version     int    `conf:"version" doc:"schema version" min:"1" max:"1" required:"true"`
	Name        string `conf:"name" doc:"name in results" pattern:"[A-Za-z0-9][A-Za-z0-9._-]{0,63}" required:"true"`
	Title       string `conf:"title" doc:"one line for people"`
	Description string `conf:"description" doc:"what the plan asks"`

	Technology string        `conf:"technology" doc:"cellular technology" enum:"nbiot,ltem" required:"true"`
	Sites      int           `conf:"sites" doc:"base station sites" min:"1" max:"10000"`
	Sectors    int           `conf:"sectors" doc:"cells of each site" min:"1" max:"12"`
	Carriers   int           `conf:"carriers" doc:"carriers of 200 kHz (nbiot) or narrowbands (ltem) in each cell" min:"1" max:"64"`
	Mode       Mode          `conf:"mode" doc:"where the carriers lie" enum:"in-band,guard-band,stand-alone"`
	Duration   time.Duration `conf:"duration" doc:"simulated time" min:"1m" max:"30d"`
	Seed       uint64        `conf:"seed" doc:"seed of everything random"`

	Coverage     []Class          `conf:"coverage" doc:"coverage classes from good to bad"`
	RandomAccess RandomAccess     `conf:"random_access" doc:"contention for the uplink"`
	RRC          RRC              `conf:"rrc" doc:"connections"`
	Groups       map[string]Group `conf:"groups" doc:"device groups by name" required:"true"`
	Service      Service          `conf:"service" doc:"the service level that devices per cell are searched for"`

	path        string
	dec         *confyaml.Decoder
	whatIf      string
	assumptions []string
}

// Mode is where a carrier lies, TS 36.802 section 6.1.
type Mode string

// The deployment modes.
const (
	InBand     Mode = "in-band"
	GuardBand  Mode = "guard-band"
	StandAlone Mode = "stand-alone"
)

// Class is a coverage class: its share of the devices, its link, and its
// random access resources.
type Class struct {
	Name    string         `conf:"name" doc:"name in results" required:"true"`
	Share   units.Fraction `conf:"share" doc:"share of the devices" required:"true"`
	Profile string         `conf:"profile" doc:"link profile: built in or a file" required:"true"`

	// A preamble is sent at multiples of Period on one of Preambles
	// subcarriers (NB-IoT) or sequences (LTE-M), TS 36.211 section 10.1.6.
	Period      time.Duration `conf:"period" doc:"time between random access opportunities" min:"1ms" max:"1m"`
	Preambles   int           `conf:"preambles" doc:"subcarriers or preambles to choose from at each opportunity of a carrier" min:"1" max:"1024"`
	Repetitions int           `conf:"repetitions" doc:"repetitions of the preamble" min:"1" max:"2048"`
	Attempts    int           `conf:"attempts" doc:"attempts in this class before the next worse one is tried" min:"1" max:"200"`

	Up   *netem.GrantConfig `conf:"up" doc:"uplink grants in place of the profile's"`
	Down *netem.GrantConfig `conf:"down" doc:"downlink grants in place of the profile's"`
	// Delay is one way beside the air interface; nil is the profile's.
	Delay *time.Duration `conf:"delay" doc:"one-way delay beside the air interface, in place of the profile's" max:"1h"`
}

// RandomAccess is TS 36.321 section 5.1.
type RandomAccess struct {
	Attempts int           `conf:"attempts" doc:"preamble attempts in all classes together before the access has failed" min:"1" max:"200"`
	BackOff  time.Duration `conf:"back_off" doc:"a failed attempt waits a uniform time up to this" min:"0s" max:"10m"`
	Window   time.Duration `conf:"window" doc:"how long a device waits for the response" min:"1ms" max:"1h"`
}

// RRC is the signalling of connections. Sizes are bytes of a transport block.
type RRC struct {
	Connected int         `conf:"connected" doc:"connections that a cell holds at once" min:"1" max:"1000000"`
	Response  units.Bytes `conf:"response" doc:"random access response, down" min:"1" max:"1000"`
	Request   units.Bytes `conf:"request" doc:"message 3, up" min:"1" max:"1000"`
	Setup     units.Bytes `conf:"setup" doc:"message 4, down" min:"1" max:"1000"`
	Complete  units.Bytes `conf:"complete" doc:"message 5, up" min:"1" max:"1000"`
	Release   units.Bytes `conf:"release" doc:"connection release, down" min:"1" max:"1000"`
}

// Service is what devices per cell are searched for.
type Service struct {
	Delay      time.Duration  `conf:"delay" doc:"an exchange takes at most this, at the percentile" above:"0s" max:"30d"`
	Percentile units.Fraction `conf:"percentile" doc:"share of exchanges that must be as fast" min:"1%" max:"99.9%"`
	Blocking   units.Fraction `conf:"blocking" doc:"share of exchanges that may fail" min:"0%" max:"99%"`
	Skip       bool           `conf:"skip" doc:"do not search"`
}

// Group is a kind of device.
type Group struct {
	Count    int                       `conf:"count" doc:"devices in the whole deployment" min:"1" max:"100000000" required:"true"`
	Stack    string                    `conf:"stack" doc:"stack whose traffic is measured: built in or a file"`
	Packets  *[]PacketSpec             `conf:"packets" doc:"in place of a stack: the packets of a report; none is random access alone"`
	Interval time.Duration             `conf:"interval" doc:"time between reports" min:"1s" max:"365d"`
	Traffic  string                    `conf:"traffic" doc:"in place of an interval: a mix of intervals" enum:"tr-45.820"`
	Payload  Payload                   `conf:"payload" doc:"text of a report; 0 is the reference reading"`
	Arrival  string                    `conf:"arrival" doc:"when in its interval a device reports" enum:"random,synchronised"`
	Spread   time.Duration             `conf:"spread" doc:"synchronised: reports begin within this" min:"0s" max:"365d"`
	Set      map[string]string         `conf:"set" doc:"overrides of profile or stack, as thinlink run --set takes them"`
	Coverage map[string]units.Fraction `conf:"coverage" doc:"shares of the coverage classes, in place of the deployment's"`
	OTA      *Campaign                 `conf:"ota" doc:"firmware campaign"`
	Tariff   *Tariff                   `conf:"tariff" doc:"what data costs"`
	Battery  *Battery                  `conf:"battery" doc:"energy store"`
}

// PacketSpec is one packet that is given, not measured.
type PacketSpec struct {
	Direction string        `conf:"direction" doc:"up: device to platform" enum:"up,down" required:"true"`
	Bytes     units.Bytes   `conf:"bytes" doc:"size on the air" min:"1" max:"65535" required:"true"`
	Gap       time.Duration `conf:"gap" doc:"after the packet before it" min:"0s" max:"1h"`
}

// Payload is fixed, or Pareto distributed and cut at Max, as TR 45.820 annex
// E.2 has it.
type Payload struct {
	Bytes units.Bytes `conf:"bytes" doc:"size, or the least size" max:"1000" scalar:"true"`
	Max   units.Bytes `conf:"max" doc:"Pareto: the largest size; 0 is a fixed size" max:"1000"`
	Alpha float64     `conf:"alpha" doc:"Pareto: shape" above:"0" max:"100"`
}

// Campaign is a firmware update of a whole group.
type Campaign struct {
	Stack       string         `conf:"stack" doc:"stack that carries the image" required:"true"`
	Strategy    string         `conf:"strategy" doc:"which image is sent" enum:"full,delta"`
	Image       units.Bytes    `conf:"image" doc:"size of the full image" min:"1" max:"67108864" required:"true"`
	Delta       units.Bytes    `conf:"delta" doc:"size of the difference" min:"1" max:"67108864"`
	Start       time.Duration  `conf:"start" doc:"after the simulation's beginning" min:"0s" max:"30d"`
	Concurrency map[string]int `conf:"concurrency" doc:"updates at once in a cell, by coverage class"`
	Timeout     time.Duration  `conf:"timeout" doc:"a download that takes longer has failed" min:"1m" max:"30d"`
	Retries     int            `conf:"retries" doc:"how often a device whose download failed is called again; it goes on where it stopped if its stack resumes" min:"0" max:"100"`
	Reach       string         `conf:"reach" doc:"paging: devices answer at any time; report: at their next report, as in PSM" enum:"paging,report"`
	Wait        time.Duration  `conf:"wait" doc:"how long a campaign waits for a device to be reachable" min:"1m" max:"365d"`
}

// Tariff is the price of data, in any currency.
type Tariff struct {
	Currency string      `conf:"currency" doc:"name of the currency" required:"true"`
	Monthly  float64     `conf:"monthly" doc:"price of a device and month" min:"0" max:"1000000"`
	Included units.Bytes `conf:"included" doc:"data of a month without further price"`
	PerMB    float64     `conf:"per_mb" doc:"price of 1,000,000 bytes beyond that" min:"0" max:"1000000"`
}

// Battery is a group's energy store, as package power has it.
type Battery struct {
	Capacity  units.Energy `conf:"capacity" doc:"nominal energy" above:"0J" required:"true"`
	Chemistry string       `conf:"chemistry" doc:"kind of cell; see package power"`
	Celsius   float64      `conf:"celsius" doc:"mean temperature, degrees Celsius" min:"-40" max:"85"`
	Module    string       `conf:"module" doc:"module model; none: the profile's mean powers"`
}

// Cells is the number of cells.
func (d *Deployment) Cells() int { return d.Sites * d.Sectors }

// Schema is the JSON Schema of deployment files.
func Schema() ([]byte, error) { return confyaml.Schema(Deployment{}) }
