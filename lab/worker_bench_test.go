package lab

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkWorker is the cost of a run in a process of its own: of starting
// it (ping: one echo over an unshaped link), of certificates and handshakes
// (connect), and of a small update over a lossy link.
func BenchmarkWorker(b *testing.B) {
	path := filepath.Join(b.TempDir(), WorkerName)
	build := exec.Command("go", "build", "-tags", "faketime", "-o", path, "../cmd/thinlink-sim")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	workers := &Workers{Command: []string{path}, Hang: time.Minute}
	for _, c := range []struct {
		name, scenario, profile, stack string
		sets                           []Setting
	}{
		{"ping", "ping", "ethernet", "udp", []Setting{{"trains", "1"}, {"count", "1"}}},
		{"connect-mqtt", "connect", "nbiot", "mqtt", nil},
		{"connect-lwm2m", "connect", "nbiot", "lwm2m", nil},
		{"ota-mqtt-https", "ota", "nbiot", "mqtt-https", []Setting{{"image", "256KiB"}, {"link.loss", "2%"}}},
		{"ota-lwm2m-coap-pull", "ota", "nbiot", "lwm2m-coap-pull", []Setting{{"image", "256KiB"}, {"link.loss", "2%"}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			runs, err := Expand(Matrix{
				Scenarios: []string{c.scenario}, Profiles: []string{c.profile}, Stacks: []string{c.stack},
				Engines: []string{"sim"}, Seeds: []uint64{1}, Sets: c.sets,
			})
			if err != nil {
				b.Fatal(err)
			}
			if err := Certify(runs); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				res, err := workers.Execute(b.Context(), runs[0], func(Progress) {})
				if err != nil || !res.Completed {
					b.Fatalf("%+v, %v", res, err)
				}
			}
		})
	}
}
