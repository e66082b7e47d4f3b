package netem

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	for _, test := range []struct {
		field string
		set   func(*Config)
	}{
		{"MTU", func(c *Config) { c.MTU = -1 }},
		{"TurnAround", func(c *Config) { c.TurnAround = -1 }},
		{"Up.Rate", func(c *Config) { c.Up.Rate = -5000 }},
		{"Down.Overhead", func(c *Config) { c.Down.Overhead = -1 }},
		{"Up.Queue", func(c *Config) { c.Up.Queue = QueueConfig{Bytes: 1, Packets: 1} }},
		{"Up.Queue.Packets", func(c *Config) { c.Up.Queue.Packets = -1 }},
		{"Up.Loss.Rate", func(c *Config) { c.Up.Loss.Rate = 1.01 }},
		{"Up.Loss.Rate", func(c *Config) { c.Up.Loss = LossConfig{Rate: 0.1, P: 0.1} }},
		{"Up.Loss.BadLoss", func(c *Config) { c.Up.Loss.BadLoss = -0.1 }},
		{"Up.LossPlace", func(c *Config) { c.Up.LossPlace = "moon" }},
		{"Up.Delay", func(c *Config) { c.Up.Delay = -time.Second }},
		{"Up.Delay", func(c *Config) { c.Up.Distribution = LogNormal }},
		{"Up.Jitter", func(c *Config) { c.Up.Distribution, c.Up.Jitter = Constant, 1 }},
		{"Up.Distribution", func(c *Config) { c.Up.Distribution = "zipf" }},
		{"Up.Table", func(c *Config) { c.Up.Distribution, c.Up.Table = Table, []float64{1, 0} }},
		{"Up.Duplicate", func(c *Config) { c.Up.Duplicate = 2 }},
		{"Outages[0].Duration", func(c *Config) { c.Outages = []Outage{{}} }},
		{"Outages[0].Every", func(c *Config) { c.Outages = []Outage{{Duration: 2, Every: 2}} }},
		{"Radio.RRC", func(c *Config) { c.Radio = &RadioConfig{PSM: &PSMConfig{}} }},
		{"Radio.RRC.Setup.Sigma", func(c *Config) { c.Radio = &RadioConfig{RRC: &RRCConfig{Setup: Latency{Sigma: 9}}} }},
		{"Radio.Idle.PTW", func(c *Config) {
			c.Radio = &RadioConfig{RRC: &RRCConfig{}, Idle: &IdleConfig{Cycle: 1, EDRXCycle: 1}}
		}},
		{"Radio.PSM.T3412", func(c *Config) {
			c.Radio = &RadioConfig{RRC: &RRCConfig{}, PSM: &PSMConfig{T3324: 2, T3412: 1}}
		}},
		{"Radio.CDRX.OnDuration", func(c *Config) { c.Radio = &RadioConfig{CDRX: &CDRXConfig{Cycle: 1, OnDuration: 2}} }},
		{"Radio.Down.TBS", func(c *Config) { c.Radio = &RadioConfig{Down: &GrantConfig{Data: 1}} }},
		{"Radio.Up.BLER", func(c *Config) { c.Radio = &RadioConfig{Up: &GrantConfig{TBS: 1, Data: 1, BLER: 1}} }},
	} {
		var cfg Config
		if err := cfg.Validate(); err != nil {
			t.Fatal(err)
		}
		test.set(&cfg)
		_, err := NewLink(cfg, 1, start, nil)
		var field *FieldError
		if !errors.As(err, &field) || field.Field != test.field || !strings.Contains(err.Error(), "want ") {
			t.Errorf("%s: got error %v", test.field, err)
		}
	}
}
