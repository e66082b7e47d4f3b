package report

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/thinlink/thinlink/internal/wire"
	"github.com/thinlink/thinlink/measure"
	"github.com/thinlink/thinlink/netem"
)

// sampleStacks have made-up weights: of time, of bytes, and the share of the
// image that an interruption at half wastes.
var sampleStacks = []struct {
	name               string
	time, bytes, waste float64
}{
	{"mqtt-https", 1, 1.07, .5}, {"mqtt-https-range", 1.02, 1.08, .004}, {"mqtt-chunks", 1.2, 1.15, .01},
	{"mqtt-push", 1.15, 1.12, .03}, {"lwm2m-coap-pull", 1.35, 1.2, .004}, {"lwm2m-coap-push", 1.4, 1.21, .004},
	{"lwm2m-https-pull", 1.01, 1.09, .004}, {"lwm2m-coap-tcp-pull", 1.05, 1.1, .006},
}

var sampleProfiles = map[string]float64{"nbiot": 120, "nbiot-ce1": 700, "ltem": 12, "ntn-geo": 900} // seconds

// sampleSweep is made-up results of the headline sweep's shape.
func sampleSweep(seeds uint64) []*Record {
	var records []*Record
	for profile, base := range sampleProfiles {
		for _, loss := range []float64{0, 1, 2, 5, 10} {
			for _, interrupt := range []string{"", "outage", "reboot", "outage-reboot"} {
				for _, s := range sampleStacks {
					for seed := uint64(1); seed <= seeds; seed++ {
						r := sampleRecord(profile, s.name, base*s.time, s.bytes, s.waste, loss, interrupt, seed)
						records = append(records, r)
					}
				}
			}
		}
	}
	return records
}

func sampleRecord(profile, stack string, base, bytes, waste, loss float64, interrupt string, seed uint64) *Record {
	const image = 256 << 10
	h := uint64(len(profile)*1000+len(stack)*100+len(interrupt)*10) + uint64(loss*1e4)
	rng := rand.New(rand.NewPCG(seed, h))
	interruptions := map[string]int{"outage": 1, "reboot": 1, "outage-reboot": 2}[interrupt]
	wasted := waste * image * float64(interruptions) * (1 + .2*rng.Float64())
	slow := 1 + loss/100*(5+4*rng.ExpFloat64())
	r := &Record{Version: "v0.0.0-test", Command: "thinlink sweep examples/ota-resumption.yaml",
		Set: map[string]string{"link.loss": fmt.Sprintf("%g%%", loss), "image": "256KiB"}, Interrupt: interrupt}
	r.Profile, r.Scenario, r.Stack, r.Engine, r.Seed = profile, "ota", stack, "sim", seed
	r.Key = fmt.Sprintf("%s/%s/%g/%s/%d", profile, stack, loss, interrupt, seed)
	r.Completed = profile != "ntn-geo" || loss < 10 || rng.Float64() < .45
	r.Warnings = []string{}
	if !r.Completed {
		r.Error = "ota: no answer within 4h0m0s"
	}
	if profile == "ntn-geo" {
		r.Warnings = append(r.Warnings, "the delay exceeds RFC 7252's ACK_TIMEOUT: every request is sent twice")
	}
	total := bytes*image*(1+loss/100) + wasted
	r.CompletionS = base*slow + 95*float64(interruptions) + wasted/image*base
	r.WindowS = r.CompletionS + 1
	r.Down = measure.Counts{Packets: int64(total / 1200), Bytes: int64(total), BytesEthernet: int64(total + total/85)}
	r.Up = measure.Counts{Packets: int64(total / 1300), Bytes: int64(total / 12), BytesEthernet: int64(total / 10)}
	r.Layers = measure.Layers{IP: int64(total * .03), Transport: int64(total * .04), Security: int64(total * .05), Protocol: int64(total * .06)}
	r.Layers.Payload = r.Up.Bytes + r.Down.Bytes - r.Layers.IP - r.Layers.Transport - r.Layers.Security - r.Layers.Protocol
	r.Retransmissions = measure.Retransmissions{TCP: int64(loss * 4), TCPSpurious: int64(rng.IntN(3)), TLSHandshakes: int64(1 + interruptions)}
	r.OTA = &measure.OTA{ImageBytes: image, ReceivedBytes: image + int64(wasted), WastedBytes: int64(wasted), Interruptions: interruptions, SHA256OK: r.Completed}
	r.EnergyJ = r.CompletionS * .11
	return r
}

// samplePaper is made-up results of several scenarios without a loss axis.
func samplePaper() []*Record {
	var records []*Record
	for _, profile := range []string{"ethernet", "nbiot"} {
		for i, scenario := range []string{"connect", "steady", "observe", "command"} {
			for j, stack := range []string{"mqtt", "lwm2m"} {
				r := &Record{}
				r.Profile, r.Scenario, r.Stack, r.Engine, r.Seed, r.Completed = profile, scenario, stack, "sim", 1, true
				r.CompletionS = float64(100 * (i + 1))
				r.Up = measure.Counts{Packets: 10, Bytes: int64(4000 - 3000*j + 100*i)}
				r.Down = measure.Counts{Packets: 12, Bytes: int64(6000 - 4500*j)}
				r.Layers = measure.Layers{IP: 400, Transport: 400, Security: 500, Protocol: 100, Payload: r.Up.Bytes + r.Down.Bytes - 1400}
				r.Warnings = []string{}
				records = append(records, r)
			}
		}
	}
	return records
}

// sampleTrace is UDP packets of several sizes, both ways, for a minute.
func sampleTrace() *measure.Trace {
	device, platform := netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.1")
	start := time.Unix(1_257_894_000, 0)
	t := &measure.Trace{Start: start, Device: device, WindowStart: start.Add(time.Second), WindowEnd: start.Add(61 * time.Second), FatesKnown: true}
	rng := rand.New(rand.NewPCG(5, 6))
	for at := time.Duration(0); at < time.Minute; at += time.Duration(50+rng.IntN(400)) * time.Millisecond {
		t.Packets = append(t.Packets, samplePacket(start.Add(at), netem.Up, device, platform, 40+rng.IntN(60)),
			samplePacket(start.Add(at+20*time.Millisecond), netem.Down, platform, device, 900+rng.IntN(300)))
	}
	return t
}

func samplePacket(at time.Time, dir netem.Direction, src, dst netip.Addr, payload int) measure.Packet {
	return measure.Packet{Time: at, Dir: dir, Done: at.Add(time.Second), Data: sampleUDP(src, dst, payload)}
}

func sampleUDP(src, dst netip.Addr, payload int) []byte {
	b := wire.AppendIP(nil, wire.IP{Src: src, Dst: dst, HopLimit: 64, Protocol: wire.ProtoUDP})
	b = wire.AppendUDP(b, 5684, 5684)
	b = append(b, make([]byte, payload)...)
	wire.Seal(b)
	return b
}

func writeFolder(t testing.TB, dir string, records []*Record) *Folder {
	t.Helper()
	file, err := os.Create(filepath.Join(dir, ResultsFile))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	enc := json.NewEncoder(file)
	for _, r := range records {
		if err := enc.Encode(r); err != nil {
			t.Fatal(err)
		}
	}
	f, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// writeCapture puts a capture beside results and names it in r.
func writeCapture(t testing.TB, dir string, r *Record) {
	t.Helper()
	files, err := measure.WriteFiles(dir, fmt.Sprintf("%s-%s-s%d", r.Profile, r.Stack, r.Seed), sampleTrace(), measure.About{Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	r.Files = files
}
