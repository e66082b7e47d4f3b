package lab

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/thinlink/thinlink/measure"
	"github.com/thinlink/thinlink/netem"
	"github.com/thinlink/thinlink/netem/vnet"
)

// The hosts of a run: a private network behind a carrier's NAT, and a
// documentation address (RFC 6598, RFC 5737; RFC 4193, RFC 3849).
var (
	deviceAddr   = map[string]netip.Addr{"4": netip.MustParseAddr("100.64.0.2"), "6": netip.MustParseAddr("fd00:6c::2")}
	platformAddr = map[string]netip.Addr{"4": netip.MustParseAddr("203.0.113.10"), "6": netip.MustParseAddr("2001:db8::10")}
)

// runSim executes a run on engine sim, on package time's clock: virtual in
// the worker, real elsewhere.
func runSim(ctx context.Context, run *Run, progress func(Progress)) *measure.Result {
	start := time.Now()
	rec := measure.NewRecorder(start, deviceAddr[run.Stack.IP])
	net, err := vnet.New(vnet.Config{
		Device:   vnet.HostConfig{Addr: deviceAddr[run.Stack.IP], TCP: run.Stack.TCP.Device.config(), GRO: run.Stack.TCP.Device.GRO},
		Platform: vnet.HostConfig{Addr: platformAddr[run.Stack.IP], TCP: run.Stack.TCP.Platform.config(), GRO: run.Stack.TCP.Platform.GRO},
		Link:     run.Link,
		Seed:     run.Seed,
		Bearer:   run.Stack.bearer(),
		Tap:      &pulse{Recorder: rec, start: start, progress: progress},
	})
	if err != nil {
		return run.failed(err)
	}
	var trace *measure.Trace
	w := newWorld(run, rec, net.Device(), net.Platform())
	w.Faults = Faults{
		Outage: net.Outage, Rebind: net.Rebind,
		ResetDevice: net.Device().Reset, ResetPlatform: net.Platform().Reset,
	}
	w.Halt = func() {
		net.Close()
		trace = rec.Trace()
		trace.Bearer = run.Stack.bearer()
	}
	out := perform(ctx, run, w)
	return judge(run, trace, &out)
}

func (r *Run) failed(err error) *measure.Result {
	res := r.newResult()
	res.Error = err.Error()
	return res
}

// A pulse is the recorder's tap that also gives a sign of life every few
// hundred packets.
type pulse struct {
	*measure.Recorder
	start    time.Time
	progress func(Progress)
}

const pulseEvery = 500 // packets

func (p *pulse) Sent(now time.Time, id uint64, dir netem.Direction, ip []byte) {
	p.Recorder.Sent(now, id, dir, ip)
	if id%pulseEvery == 0 {
		p.progress(Progress{Seconds: now.Sub(p.start).Seconds()})
	}
}

// judge makes the result of a trace and of what the steps came to, and writes
// the run's files.
func judge(run *Run, trace *measure.Trace, out *Outcome) *measure.Result {
	judged := measure.Judge(trace)
	res := run.newResult()
	res.WindowS, res.Up, res.Down = judged.WindowS, judged.Up, judged.Down
	if run.Stack.servers() > 1 {
		res.Ports = measure.Ports(trace)
	}
	res.Retransmissions, res.Layers, res.RadioS = judged.Retransmissions, judged.Layers, judged.RadioS
	res.Warnings = append(append(res.Warnings, judged.Warnings...), out.Warnings...)
	res.Completed = out.Err == nil
	if out.Err != nil {
		res.Error = out.Err.Error()
	}
	res.CompletionS = out.Completion.Seconds()
	if out.Image != nil {
		res.OTA = judged.OTA
		if res.OTA == nil {
			res.OTA = new(measure.OTA)
		}
		res.OTA.ImageBytes = int64(len(out.Image.Data))
		judgeInterruptions(trace, res.OTA)
		// The stack has compared the hash; that every byte arrived is seen
		// from outside.
		res.OTA.SHA256OK = res.Completed && imageReceived(trace, res.OTA.ImageBytes)
	}
	if res.SMS = judged.SMS; res.SMS != nil {
		res.SMS.Cost = float64(res.SMS.Up)*run.Link.SMS.CostUp + float64(res.SMS.Down)*run.Link.SMS.CostDown
	}
	if out.Echoes != nil {
		res.Ping = pingOf(out.Echoes)
	}
	if out.Transfer != nil {
		res.Bulk = bulkOf(run, out.Transfer, trace)
	}
	res.Exec = out.Exec
	run.account(trace, res)
	if run.Out != "" {
		files, err := measure.WriteFiles(run.Out, run.Base(), trace, measure.About{
			Version: run.Version, Profile: run.Profile, Scenario: run.Scenario.Name, Stack: run.Stack.Name,
			Engine: run.Engine, Seed: run.Seed,
		})
		if err != nil {
			res.Warnings = append(res.Warnings, fmt.Sprintf("files: %v", err))
		}
		res.Files = files
	}
	return res
}
