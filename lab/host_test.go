package lab

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/pki"
	"github.com/thinlink/thinlink/clients/remote"
	"github.com/thinlink/thinlink/internal/sockets"
	"github.com/thinlink/thinlink/netem/tc"
)

// elsewhere is a Site on an address of this machine that is not the device's,
// and its control channel.
func elsewhere(t *testing.T, addr string) (site *Site, control, token string) {
	t.Helper()
	site = &Site{
		Host:   &sockets.Host{IP: netip.MustParseAddr(addr)},
		Record: func(_ string, e clients.Event) { t.Log(e) },
	}
	server, err := remote.NewServer(site.Open)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", addr+":0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(ln) }()
	t.Cleanup(func() {
		if err := errors.Join(server.Close(), <-done, site.Close()); err != nil {
			t.Error(err)
		}
	})
	return site, ln.Addr().String(), server.Token().String()
}

// hostRun is a short run of engine host.
func hostRun(t *testing.T, scenario, stack string) *Run {
	t.Helper()
	runs, err := Expand(Matrix{Scenarios: []string{scenario}, Profiles: []string{"ethernet"}, Stacks: []string{stack}, Engines: []string{"host"}, Seeds: []uint64{1}})
	if err != nil {
		t.Fatal(err)
	}
	sc := &runs[0].Scenario
	sc.Window, sc.Settle, sc.Image = 0, 0, 32<<10
	return runs[0]
}

func hostEngine(t *testing.T) Host {
	t.Helper()
	engine, err := NewHost()
	var missing *tc.MissingError
	if errors.As(err, &missing) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	return engine
}

// TestHost runs devices against platforms of a Site elsewhere: steps that need
// both ends, and counts of what crosses as on engine sim.
func TestHost(t *testing.T) {
	engine := hostEngine(t)
	for addr, test := range map[string]struct {
		scenario, stack string
		up, down        int64 // packets
	}{
		"127.0.0.2": {"connect", "lwm2m", 7, 7},
		"127.0.0.3": {"command", "lwm2m", 1, 1},
		"127.0.0.4": {"command", "mqtt-plain-topic", 1, 1},
		"127.0.0.5": {"ota", "mqtt-https-range", 0, 0},
	} {
		t.Run(test.scenario+" "+test.stack, func(t *testing.T) {
			t.Parallel()
			_, control, token := elsewhere(t, addr)
			run := hostRun(t, test.scenario, test.stack)
			if err := Control([]*Run{run}, control, token, "sensor-7"); err != nil {
				t.Fatal(err)
			}
			res, err := engine.Execute(t.Context(), run, func(Progress) {})
			if err != nil {
				t.Fatal(err)
			}
			few := func(got, want int64) bool { return want == 0 || got >= want && got <= want+2 }
			if !res.Completed || !few(res.Up.Packets, test.up) || !few(res.Down.Packets, test.down) {
				t.Errorf("%+v", res)
			}
			if test.scenario == "ota" && (res.OTA == nil || !res.OTA.SHA256OK || res.Down.Bytes < 32<<10) {
				t.Errorf("%+v, %+v", res.OTA, res.Down)
			}
		})
	}
}

// TestHostServer points our device at a server that the run does not control.
func TestHostServer(t *testing.T) {
	t.Parallel()
	engine := hostEngine(t)
	site, _, _ := elsewhere(t, "127.0.0.6")
	stack, err := LoadStack("mqtt-qos1")
	if err != nil {
		t.Fatal(err)
	}
	site.Names = []string{"127.0.0.6"}
	served, err := site.Serve(stack)
	if err != nil {
		t.Fatal(err)
	}
	m, err := served.Material("sensor-7")
	if err != nil {
		t.Fatal(err)
	}
	run := hostRun(t, "observe", "mqtt-qos1")
	run.Scenario.Reports, run.Scenario.Interval = 2, time.Second
	if err := PointAt(t.Context(), []*Run{run}, "mqtts://127.0.0.6:8883", "sensor-7", m); err != nil {
		t.Fatal(err)
	}
	res, err := engine.Execute(t.Context(), run, func(Progress) {})
	if err != nil || !res.Completed || res.Up.Bytes == 0 {
		t.Errorf("%+v, %v", res, err)
	}
}

// Mistakes are told before anything runs.
func TestElsewhereMistakes(t *testing.T) {
	for _, test := range []struct{ scenario, stack, engine, where, want string }{
		{"connect", "mqtt", "host", "mqtt://127.0.0.2", "stack mqtt speaks mqtts"},
		{"connect", "lwm2m-tcp", "host", "coaps://127.0.0.2", "speaks coaps+tcp"},
		{"ota", "mqtt-https", "host", "mqtts://127.0.0.2", "needs a platform of thinlink's"},
		{"connect", "mqtt", "sim", "mqtts://127.0.0.2", "engine sim reaches no server outside"},
		{"connect", "mqtt", "host", "mqtts://127.0.0.2:70000", "70000"},
		{"connect", "mqtt", "host", "mqtts://a:b@127.0.0.2", "want SCHEME://HOST[:PORT]"},
		{"connect", "mqtt", "host", "mqtts:", "want SCHEME://HOST[:PORT]"},
	} {
		run := hostRun(t, test.scenario, test.stack)
		run.Engine = test.engine
		err := PointAt(t.Context(), []*Run{run}, test.where, "", new(pki.Material))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v", test, err)
		}
	}
	for in, want := range map[string]string{
		"192.0.2.1": "192.0.2.1:7443", "192.0.2.1:8000": "192.0.2.1:8000", "2001:db8::1": "[2001:db8::1]:7443",
		"[2001:db8::1]:1": "[2001:db8::1]:1", "pi.local": "pi.local:7443", "pi:x": "", ":7443": "", "pi:70000": "",
	} {
		if got, err := ControlAddress(in); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", in, got, err)
		}
	}
}
