package netem

import (
	"time"

	"github.com/thinlink/thinlink/internal/units"
)

// Bearer is how a link carries the messages of a device and its platform.
type Bearer string

// The bearers.
const (
	BearerIP    Bearer = ""       // IP packets
	BearerNonIP Bearer = "non-ip" // datagrams without header, non-IP data delivery (TS 23.401 section 4.3.17.8)
	BearerSMS   Bearer = "sms"    // short messages (TS 23.040) in NAS messages (TS 23.272 section 8)
)

// SMSConfig is the short message service of a network.
type SMSConfig struct {
	// Delay is what the service centre and the network behind it take for a
	// message, beside the link.
	Delay Latency `conf:"delay" doc:"in the service centre and the network behind it, beside the link" merge:"replace"`
	// Loss is the share of messages that the service centre never delivers.
	Loss units.Fraction `conf:"loss" doc:"share of messages that are never delivered"`
	// CostUp and CostDown are the price of a short message from the device and to
	// it, in whatever currency.
	CostUp   float64 `conf:"cost_up" doc:"price of a short message from the device, in a currency of yours" min:"0" max:"1000000"`
	CostDown float64 `conf:"cost_down" doc:"price of a short message to the device" min:"0" max:"1000000"`
}

// ServiceCentre draws what becomes of short messages.
type ServiceCentre struct {
	loss  float64
	delay [2]sampler
}

// NewServiceCentre makes one for a run.
func NewServiceCentre(cfg SMSConfig, seed uint64) *ServiceCentre {
	c := &ServiceCentre{loss: float64(cfg.Loss)}
	for _, dir := range []Direction{Up, Down} {
		c.delay[dir] = sampler{cfg.Delay, generator(seed, dir, stageSMS)}
	}
	return c
}

// Take returns the time after which the centre sends the next message of a
// direction on; false if it never does.
func (c *ServiceCentre) Take(dir Direction) (time.Duration, bool) {
	s := c.delay[dir]
	lost := s.rng.Float64() < c.loss
	return time.Duration(s.draw()), !lost
}
