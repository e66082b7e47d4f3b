package tcp_test

import (
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/thinlink/thinlink/netem/vnet/tcp"
)

func TestPersonalitiesAreValid(t *testing.T) {
	for name, cfg := range map[string]tcp.Config{"linux": tcp.Linux(), "lwip": tcp.LwIP()} {
		if err := cfg.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestValidateNamesTheField(t *testing.T) {
	for field, spoil := range map[string]func(*tcp.Config){
		"congestion":         func(c *tcp.Config) { c.Congestion = "bbr" },
		"rtt_estimator":      func(c *tcp.Config) { c.RTTEstimator = "" },
		"initial_window":     func(c *tcp.Config) { c.InitialWindow = 0 },
		"tick":               func(c *tcp.Config) { c.Tick = 0 },
		"max_rto":            func(c *tcp.Config) { c.MaxRTO = time.Millisecond },
		"delayed_ack_max":    func(c *tcp.Config) { c.DelayedACKMax = time.Millisecond },
		"max_send_buffer":    func(c *tcp.Config) { c.MaxSendBuffer = 0 },
		"max_receive_buffer": func(c *tcp.Config) { c.MaxReceiveBuffer = 2048 },
		"keepalive_interval": func(c *tcp.Config) { c.KeepAlive, c.KeepAliveInterval = time.Minute, 0 },
	} {
		cfg := tcp.Linux()
		spoil(&cfg)
		if err := cfg.Validate(); err == nil || !strings.HasPrefix(err.Error(), "tcp: "+field+": ") {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// Every field can be set by name, and the name is in snake case.
func TestFieldsHaveNames(t *testing.T) {
	typ := reflect.TypeFor[tcp.Config]()
	seen := map[string]bool{}
	for i := range typ.NumField() {
		name := typ.Field(i).Tag.Get("conf")
		if !regexp.MustCompile(`^[a-z0-9_]+$`).MatchString(name) || seen[name] {
			t.Errorf("%s: name %q", typ.Field(i).Name, name)
		}
		seen[name] = true
	}
}
